//! Log lines in daprd's three formats, written by one thread that stalls nobody.
//!
//! An event's tracing target is the line's `scope`, its message the text, its other fields the
//! line's own fields. An error event with the field `fatal = true` is one of daprd's level `fatal`.
//! Events of other crates are left out. The lines about calls come at every level.

pub mod queue;

mod format;
mod layer;

use std::{
    fs::OpenOptions,
    io::{self, Write},
    os::fd::AsFd,
    path::PathBuf,
    time::Duration,
};

use format::{Format, Formatter};
use layer::LogLayer;
use queue::{Lines, Writer};
use tracing_subscriber::{Registry, layer::SubscriberExt as _};

/// How long the end of the program waits for a blocked output.
const LAST_LINES_WAIT: Duration = Duration::from_secs(1);

/// The least important level that is logged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Everything.
    Debug,
    /// Whatever tells of a change.
    #[default]
    Info,
    /// What a user should look at.
    Warn,
    /// What went wrong.
    Error,
    /// What ends the program.
    Fatal,
}

impl Level {
    /// Reads the spelling of `--log-level`.
    pub fn parse(text: &str) -> Option<Self> {
        match text.to_ascii_lowercase().as_str() {
            "debug" => Some(Self::Debug),
            "info" => Some(Self::Info),
            "warn" => Some(Self::Warn),
            "error" => Some(Self::Error),
            "fatal" => Some(Self::Fatal),
            _ => None,
        }
    }

    /// The spelling of `--log-level`.
    pub fn flag_text(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
            Self::Fatal => "fatal",
        }
    }
}

/// Where lines go.
pub enum Output {
    /// Standard output.
    Stdout,
    /// The end of this file.
    File(PathBuf),
    /// Something else that bytes can be written to.
    Other(Box<dyn Write + Send>),
}

/// What lines look like and where they go.
pub struct LogOptions {
    /// The least important level that is logged.
    pub level: Level,
    /// One JSON object a line instead of text.
    pub json: bool,
    /// Whether text is coloured for a terminal.
    pub terminal: bool,
    /// The app id each line names; `None` before it is known.
    pub app_id: Option<String>,
    /// The version each line names as `ver`.
    pub version: &'static str,
    /// Where lines go.
    pub output: Output,
}

/// A log file that cannot be opened.
#[derive(Debug, thiserror::Error)]
#[error("failed to open log file {}: {source}", path.display())]
pub struct LogFileError {
    path: PathBuf,
    source: io::Error,
}

/// Keeps the log going; when dropped, it writes out what is left, for a second at the most.
pub struct LogGuard {
    writer: Writer,
}

impl LogGuard {
    /// Where whole lines of another origin are handed in, so that they do not interleave.
    pub fn lines(&self) -> Lines {
        self.writer.lines()
    }
}

impl Drop for LogGuard {
    fn drop(&mut self) {
        self.writer.close(LAST_LINES_WAIT);
    }
}

/// Starts logging for the whole process. Only the first call has an effect on tracing.
pub fn start(options: LogOptions) -> Result<LogGuard, LogFileError> {
    let (layer, guard) = open(options)?;
    // A second subscriber is refused: the first one goes on.
    let _ = tracing::subscriber::set_global_default(Registry::default().with(layer));
    Ok(guard)
}

fn open(options: LogOptions) -> Result<(LogLayer, LogGuard), LogFileError> {
    let LogOptions { level, json, terminal, app_id, version, output } = options;
    let format = match (json, terminal) {
        (true, _) => Format::Json,
        (false, true) => Format::Terminal,
        (false, false) => Format::Text,
    };
    let formatter = Formatter::new(format, app_id, version);
    let report = formatter.clone();
    let writer = Writer::start(
        sink(output)?,
        Box::new(move |dropped, line| report.dropped_lines(dropped, line)),
    );
    let layer = LogLayer::new(level, formatter, writer.lines());
    Ok((layer, LogGuard { writer }))
}

fn sink(output: Output) -> Result<Box<dyn Write + Send>, LogFileError> {
    match output {
        // Not std's handle: it is buffered by lines and locked while it blocks.
        Output::Stdout => Ok(match io::stdout().as_fd().try_clone_to_owned() {
            Ok(fd) => Box::new(std::fs::File::from(fd)),
            // Started without a standard output.
            Err(_) => Box::new(io::sink()),
        }),
        Output::File(path) => match OpenOptions::new().create(true).append(true).open(&path) {
            Ok(file) => Ok(Box::new(file)),
            Err(source) => Err(LogFileError { path, source }),
        },
        Output::Other(writer) => Ok(writer),
    }
}

#[cfg(test)]
mod tests;
