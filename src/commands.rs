//! What each command does, down to its exit code.

mod health;
mod http_client;
mod install;
mod lifecycle;
mod limits;
mod list;
mod processes;
mod run;
mod run_file;
mod serve;
mod signals;
mod stop;
mod wait;

use std::{
    ffi::OsString,
    io::{self, IsTerminal as _, Write as _},
};

use run::App;
use signals::Signals;

use crate::{
    cli::{CliError, Command, Launch, LogSettings, Notes, Tool},
    log::{self, Level, LogFileError, LogGuard, LogOptions, Output},
    sidecar::options::SidecarOptions,
    version::{DAPR_VERSION, OUTRIGGER_VERSION},
};

/// What a process ends with.
pub type ExitCode = u8;

const SUCCESS: ExitCode = 0;
const FAILED: ExitCode = 1;
const WRONG_USAGE: ExitCode = 2;

/// Carries a command out.
pub fn execute(command: Command) -> ExitCode {
    match command {
        Command::Version => {
            print(&format!("{DAPR_VERSION}\n"));
            SUCCESS
        }
        Command::BuildInfo => {
            print(&format!(
                "Version: {DAPR_VERSION}\nGit Commit: outrigger-{OUTRIGGER_VERSION}\n\
                 Git Version: v{DAPR_VERSION}\nOutrigger: {OUTRIGGER_VERSION}\n"
            ));
            SUCCESS
        }
        Command::Wait { http_port } => {
            wait::wait(&http_port);
            SUCCESS
        }
        Command::Serve(launch) => launch_sidecar(*launch, Task::Serve),
        Command::Run(launch, command) => launch_sidecar(*launch, Task::Run(command)),
        Command::RunFile { path } => run_file::run(&path),
        Command::Limits(all) => limits::limits(&all),
        Command::Tool(Tool::List(format)) => list::list(format),
        Command::Tool(Tool::Stop { app_ids, run_file }) => match run_file {
            Some(file) => stop::stop_run(&file),
            None => stop::stop_apps(&app_ids),
        },
        Command::Tool(Tool::Health { http_port }) => health::health(http_port),
        Command::Tool(Tool::Install(install)) => install::install(install),
    }
}

/// Tells why a command line cannot be followed.
pub fn refuse(error: CliError) -> ExitCode {
    match error {
        CliError::Help(text) => {
            print(&text);
            SUCCESS
        }
        CliError::Usage { usage, message } => {
            complain(format!("{usage}\n{message}").trim_start());
            WRONG_USAGE
        }
        CliError::Fatal(text) => fail_before_the_log(&text),
    }
}

enum Task {
    Serve,
    Run(Vec<OsString>),
}

fn launch_sidecar(launch: Launch, task: Task) -> ExitCode {
    let Launch { log, options, notes, deprecations } = launch;
    for line in deprecations {
        complain(&line);
    }
    let log = match start_log(log) {
        Ok(log) => log,
        Err(error) => return fail_before_the_log(&error.to_string()),
    };
    tell_notes(&notes);
    match options {
        Ok(options) => supervise(&options, task, &log),
        Err(error) => {
            tell_fatal(&error.to_string());
            FAILED
        }
    }
}

/// Runs what belongs to no data-plane thread on this one.
fn supervise(options: &SidecarOptions, task: Task, log: &LogGuard) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            tell_fatal(&format!("failed to start the control thread: {error}"));
            return FAILED;
        }
    };
    runtime.block_on(async {
        let signals = match Signals::catch() {
            Ok(signals) => signals,
            Err(error) => {
                tell_fatal(&format!("failed to catch signals: {error}"));
                return FAILED;
            }
        };
        match task {
            Task::Serve => serve::serve(options, signals).await,
            Task::Run(command) => {
                let app = App { command, lines: log.lines() };
                run::run(options, app, signals).await
            }
        }
    })
}

fn start_log(settings: LogSettings) -> Result<LogGuard, LogFileError> {
    let LogSettings { level, json, file, app_id } = settings;
    let (output, terminal) = if file.is_empty() {
        (Output::Stdout, io::stdout().is_terminal())
    } else {
        (Output::File(file.into()), false)
    };
    let app_id = Some(app_id);
    log::start(LogOptions { level, json, terminal, app_id, version: DAPR_VERSION, output })
}

/// The log that holds before any option does.
fn start_plain_log() -> Result<LogGuard, LogFileError> {
    log::start(LogOptions {
        level: Level::Info,
        json: false,
        terminal: io::stdout().is_terminal(),
        app_id: None,
        version: DAPR_VERSION,
        output: Output::Stdout,
    })
}

fn fail_before_the_log(text: &str) -> ExitCode {
    match start_plain_log() {
        Ok(_flushed_when_dropped) => {
            tracing::error!(target: "dapr.runtime", fatal = true, "{text}");
        }
        Err(error) => complain(&format!("{error}\n{text}")),
    }
    FAILED
}

/// Unlike std's macro it does not panic when nobody reads.
fn print(text: &str) {
    let _ = io::stdout().write_all(text.as_bytes());
}

/// A line on standard error, if somebody reads there.
fn complain(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}

fn tell_notes(notes: &Notes) {
    if let Some(line) = &notes.quiet {
        tracing::debug!(target: "dapr.runtime", "{line}");
    }
    for line in &notes.warnings {
        tracing::warn!(target: "dapr.runtime", "{line}");
    }
}

fn tell_fatal(problem: &str) {
    tracing::error!(
        target: "dapr.runtime", fatal = true,
        "Fatal error from runtime: {problem}"
    );
}
