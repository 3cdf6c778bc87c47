//! Start and end of the sidecar in this process, as both `serve` and `run` need them.

use std::time::Duration;

use nix::sys::signal::Signal;
use tokio::time::sleep;

use super::{
    ExitCode, FAILED, SUCCESS,
    signals::{self, Signals},
};
use crate::{
    api::metadata::ShutdownRequest,
    resources::{LoadErrors, ProcessEnvironment},
    sidecar::{self, Running, ShutdownOutcome, StartError, options::SidecarOptions},
};

/// How long the answer to a forced shutdown has to reach its caller.
const FORCED_SHUTDOWN_DELAY: Duration = Duration::from_millis(100);

/// Who wants the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// A signal.
    Signalled(Signal),
    /// A caller of the Shutdown API.
    Requested(ShutdownRequest),
}

/// Starts a sidecar; otherwise the exit code: a failure, or a signal while it started.
pub(super) async fn start(
    options: &SidecarOptions,
    signals: &mut Signals,
) -> Result<Running, ExitCode> {
    let started = tokio::select! {
        biased;
        started = sidecar::start(options, &ProcessEnvironment) => started,
        signal = signals.next() => {
            tell_signal(signal);
            return Err(SUCCESS);
        }
    };
    started.map_err(|error| {
        tell_start_error(&error);
        FAILED
    })
}

/// Waits until somebody wants the end, and tells about it.
pub(super) async fn ending(running: &Running, signals: &mut Signals) -> Ending {
    tokio::select! {
        signal = signals.next() => {
            tell_signal(signal);
            Ending::Signalled(signal)
        }
        request = running.shutdown_requested() => Ending::Requested(request),
    }
}

/// Ends the sidecar the way it was asked for.
pub(super) async fn end(running: Running, ending: Ending, signals: &mut Signals) -> ExitCode {
    match ending {
        Ending::Signalled(_) | Ending::Requested(ShutdownRequest::Graceful) => {
            end_gracefully(running, signals).await
        }
        Ending::Requested(ShutdownRequest::Forced) => {
            sleep(FORCED_SHUTDOWN_DELAY).await;
            abandon(running);
            FAILED
        }
    }
}

/// Lets calls in flight finish; a signal cuts that short.
pub(super) async fn end_gracefully(running: Running, signals: &mut Signals) -> ExitCode {
    let mut shutdown = Box::pin(running.shutdown());
    let outcome = tokio::select! {
        outcome = &mut shutdown => outcome,
        signal = signals.next() => {
            tell_second_signal(signal);
            abandon(shutdown);
            return FAILED;
        }
    };
    match outcome {
        ShutdownOutcome::Graceful => SUCCESS,
        ShutdownOutcome::GraceExceeded => {
            tracing::error!(
                target: "dapr.runtime", fatal = true,
                "Graceful shutdown timeout exceeded, forcing shutdown"
            );
            FAILED
        }
    }
}

/// Leaves a sidecar as it is, because the process ends now: its threads are not waited for.
pub(super) fn abandon<T>(sidecar: T) {
    std::mem::forget(sidecar);
}

/// The line that tells of a signal while the end is under way.
pub(super) fn tell_second_signal(signal: Signal) {
    let name = signals::name(signal);
    tracing::error!(
        target: "dapr.signals", fatal = true,
        "Received signal '{name}' during shutdown; exiting immediately"
    );
}

/// The line that tells of a signal that begins the end.
pub(super) fn tell_signal(signal: Signal) {
    let name = signals::name(signal);
    tracing::info!(target: "dapr.signals", "Received signal '{name}'; beginning shutdown");
}

fn tell_start_error(error: &StartError) {
    match error {
        StartError::Resources(errors) => tell_problems(errors, "the resources"),
        StartError::Bind(_) | StartError::Thread(_) => super::tell_fatal(&error.to_string()),
    }
}

/// Several problems get a line each.
pub(super) fn tell_problems(errors: &LoadErrors, of: &str) {
    let problems = errors.problems();
    if let [problem] = problems {
        return super::tell_fatal(&problem.to_string());
    }
    for problem in problems {
        tracing::error!(target: "dapr.runtime", "{problem}");
    }
    super::tell_fatal(&format!("{} problems in {of}, told above", problems.len()));
}
