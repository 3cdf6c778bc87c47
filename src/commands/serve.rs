//! Being a sidecar until a signal or the Shutdown API ends it.

use super::{ExitCode, lifecycle, signals::Signals};
use crate::sidecar::options::SidecarOptions;

/// Serves until the end; the exit code.
pub(super) async fn serve(options: &SidecarOptions, mut signals: Signals) -> ExitCode {
    let running = match lifecycle::start(options, &mut signals).await {
        Ok(running) => running,
        Err(code) => return code,
    };
    let ending = lifecycle::ending(&running, &mut signals).await;
    lifecycle::end(running, ending, &mut signals).await
}
