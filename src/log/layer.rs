//! From tracing's events to lines.

use std::fmt;

use tracing::{
    Event, Metadata, Subscriber,
    field::{Field, Visit},
    level_filters::LevelFilter,
    subscriber::Interest,
};
use tracing_subscriber::layer::{Context, Layer};

use super::{
    Level,
    format::{Formatter, Record, Severity, Value},
    queue::Lines,
};

/// The scopes of the lines about calls: whoever asks for these lines gets them, whatever the level.
const CALLS: [&str; 2] = ["dapr.runtime.http-info", "dapr.runtime.grpc.api-info"];

/// Turns events into lines and hands them to the writing thread.
pub(super) struct LogLayer {
    level: Level,
    formatter: Formatter,
    lines: Lines,
}

impl LogLayer {
    pub(super) fn new(level: Level, formatter: Formatter, lines: Lines) -> Self {
        Self { level, formatter, lines }
    }

    fn wants(&self, metadata: &Metadata<'_>) -> bool {
        let target = metadata.target();
        let ours = target.starts_with("dapr.") || target.starts_with("outrigger");
        let level = if CALLS.contains(&target) { self.level.min(Level::Info) } else { self.level };
        ours && *metadata.level() <= max_level(level)
    }
}

impl<S: Subscriber> Layer<S> for LogLayer {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if self.wants(metadata) { Interest::always() } else { Interest::never() }
    }

    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        self.wants(metadata)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(max_level(self.level.min(Level::Info)))
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut found = Found::default();
        event.record(&mut found);
        let severity = match *event.metadata().level() {
            tracing::Level::ERROR if found.fatal => Severity::Fatal,
            // Error events pass the static filter for the sake of the fatal ones.
            tracing::Level::ERROR if self.level == Level::Fatal => return,
            tracing::Level::ERROR => Severity::Error,
            tracing::Level::WARN => Severity::Warning,
            tracing::Level::INFO => Severity::Info,
            tracing::Level::DEBUG | tracing::Level::TRACE => Severity::Debug,
        };
        let record = Record {
            severity,
            scope: event.metadata().target(),
            message: &found.message,
            fields: found.fields,
        };
        let mut line = Vec::with_capacity(256);
        self.formatter.line(record, &mut line);
        self.lines.push(&line);
    }
}

fn max_level(level: Level) -> LevelFilter {
    match level {
        Level::Debug => LevelFilter::DEBUG,
        Level::Info => LevelFilter::INFO,
        Level::Warn => LevelFilter::WARN,
        Level::Error | Level::Fatal => LevelFilter::ERROR,
    }
}

/// What an event holds.
#[derive(Default)]
struct Found {
    message: String,
    fatal: bool,
    fields: Vec<(&'static str, Value)>,
}

impl Visit for Found {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.record_str(field, &format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "message" => value.clone_into(&mut self.message),
            name => self.fields.push((name, Value::Text(value.to_owned()))),
        }
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        match field.name() {
            "fatal" => self.fatal = value,
            name => self.fields.push((name, Value::Plain(value.to_string()))),
        }
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.fields.push((field.name(), Value::Plain(value.to_string())));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.fields.push((field.name(), Value::Plain(value.to_string())));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.fields.push((field.name(), Value::Plain(value.to_string())));
    }
}
