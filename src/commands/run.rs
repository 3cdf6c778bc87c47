//! A sidecar and the application beside it, in one command.

use std::{ffi::OsString, process};

use nix::sys::signal::Signal;

use super::{
    ExitCode, FAILED, SUCCESS,
    lifecycle::{self, Ending, abandon},
    processes::GRPC_PORT,
    signals::Signals,
};
use crate::{
    api::metadata::ShutdownRequest,
    app_process::AppProcess,
    log::queue::Lines,
    sidecar::{Running, options::SidecarOptions},
};

/// What `run` needs besides a sidecar's options.
pub(super) struct App {
    /// The application's command; empty for a sidecar alone.
    pub(super) command: Vec<OsString>,
    /// Where its lines go.
    pub(super) lines: Lines,
}

/// The ports on which an application reaches its sidecar.
#[derive(Clone, Copy, Debug)]
pub(super) struct ApiPorts {
    pub(super) http: u16,
    pub(super) grpc: u16,
    pub(super) metrics: Option<u16>,
}

/// Runs both until one of them ends; the application's exit code, or ours if we failed.
pub(super) async fn run(options: &SidecarOptions, app: App, mut signals: Signals) -> ExitCode {
    let running = match lifecycle::start(options, &mut signals).await {
        Ok(running) => running,
        Err(code) => return code,
    };
    running.set_metadata("cliPID", &process::id().to_string());
    // The ports are free ones unless asked for: `list` could not know this one otherwise.
    running.set_metadata(GRPC_PORT, &running.grpc_port.to_string());
    let Some((program, arguments)) = app.command.split_first() else {
        app.lines.push(b"You're up and running! Dapr logs will appear here.\n");
        let ending = lifecycle::ending(&running, &mut signals).await;
        return lifecycle::end(running, ending, &mut signals).await;
    };
    let Running { http_port: http, grpc_port: grpc, metrics_port: metrics, .. } = running;
    let variables = variables(options, ApiPorts { http, grpc, metrics });
    match AppProcess::spawn(program, arguments, &variables, &app.lines) {
        Ok(process) => {
            running.set_metadata("appPID", &process.id().unwrap_or_default().to_string());
            running.set_metadata("appCommand", &text(&app.command));
            app.lines
                .push(b"You're up and running! Both Dapr and your app logs will appear here.\n");
            accompany(running, process, signals).await
        }
        Err(error) => {
            super::tell_fatal(&error.to_string());
            lifecycle::end_gracefully(running, &mut signals).await;
            FAILED
        }
    }
}

/// Waits for the first of both to end, and ends the other: the application always first, so that
/// its last calls are served.
async fn accompany(running: Running, mut app: AppProcess, mut signals: Signals) -> ExitCode {
    let ending = tokio::select! {
        code = app.wait() => {
            tracing::info!(target: "outrigger.run", "The app ended with exit code {code}");
            return first_failure(code, lifecycle::end_gracefully(running, &mut signals).await);
        }
        ending = lifecycle::ending(&running, &mut signals) => ending,
    };
    let signal = match ending {
        Ending::Signalled(signal) => signal,
        Ending::Requested(ShutdownRequest::Graceful | ShutdownRequest::Forced) => Signal::SIGTERM,
    };
    let code = tokio::select! {
        code = app.stop(signal) => code,
        signal = signals.next() => {
            lifecycle::tell_second_signal(signal);
            abandon(running);
            return FAILED;
        }
    };
    first_failure(code, lifecycle::end(running, ending, &mut signals).await)
}

/// The application's code says more than ours, unless it says nothing.
pub(super) fn first_failure(app: ExitCode, sidecar: ExitCode) -> ExitCode {
    if app == SUCCESS { sidecar } else { app }
}

/// What the application is told about its sidecar, as by `dapr run`.
pub(super) fn variables(
    options: &SidecarOptions,
    ApiPorts { http, grpc, metrics }: ApiPorts,
) -> Vec<(String, String)> {
    let app = &options.app;
    let mut variables = vec![
        ("APP_ID", options.app_id.clone()),
        ("APP_CHANNEL_ADDRESS", app.address.clone()),
        ("APP_PROTOCOL", app.protocol.as_str().to_owned()),
        ("DAPR_HTTP_PORT", http.to_string()),
        ("DAPR_GRPC_PORT", grpc.to_string()),
    ];
    if let Some(port) = metrics {
        variables.push(("DAPR_METRICS_PORT", port.to_string()));
    }
    if let Some(port) = app.port {
        variables.push(("APP_PORT", port.to_string()));
    }
    variables.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn text(command: &[OsString]) -> String {
    let words: Vec<_> = command.iter().map(|word| word.to_string_lossy()).collect();
    words.join(" ")
}
