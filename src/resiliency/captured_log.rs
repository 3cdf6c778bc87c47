//! For tests: the log lines written by the current thread.

use std::{
    fmt,
    sync::{Arc, LazyLock, Mutex},
};

use tracing::{
    Dispatch, Event, Subscriber,
    field::{Field, Visit},
    subscriber::DefaultGuard,
};
use tracing_subscriber::{
    Layer,
    layer::{Context, SubscriberExt},
};

/// Collects lines until it is dropped.
pub(super) struct CapturedLog {
    lines: Arc<Mutex<Vec<String>>>,
    _guard: DefaultGuard,
}

/// As long as tracing knows of one subscriber only, a log line first reached on another test's
/// thread, which has none, is switched off for good. So there is always a second one.
static SECOND_SUBSCRIBER: LazyLock<Dispatch> =
    LazyLock::new(|| Dispatch::new(tracing_subscriber::registry()));

impl CapturedLog {
    pub(super) fn start() -> Self {
        LazyLock::force(&SECOND_SUBSCRIBER);
        let lines = Arc::default();
        let subscriber = tracing_subscriber::registry().with(Lines(Arc::clone(&lines)));
        Self { lines, _guard: tracing::subscriber::set_default(subscriber) }
    }

    /// The lines so far, each as `LEVEL logger: message`.
    pub(super) fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }

    /// The lines so far that are not for debugging.
    pub(super) fn usual_lines(&self) -> Vec<String> {
        self.lines().into_iter().filter(|line| !line.starts_with("DEBUG")).collect()
    }
}

struct Lines(Arc<Mutex<Vec<String>>>);

impl<S: Subscriber> Layer<S> for Lines {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let (level, target) = (event.metadata().level(), event.metadata().target());
        let mut line = format!("{level} {target}: ");
        event.record(&mut Message(&mut line));
        self.0.lock().unwrap().push(line);
    }
}

struct Message<'a>(&'a mut String);

impl Visit for Message<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        match field.name() {
            "message" => self.0.push_str(&format!("{value:?}")),
            name => self.0.push_str(&format!(" {name}={value:?}")),
        }
    }
}
