//! Ending sidecars by their apps' ids, as `dapr stop` does.

use nix::{
    errno::Errno,
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use super::{
    ExitCode, FAILED, SUCCESS, complain, print,
    processes::{self, SidecarProcess},
};

/// Asks them to end; fails if one was not found or could not be asked.
pub(super) fn stop(app_ids: &[String]) -> ExitCode {
    let sidecars = processes::sidecars();
    let mut code = SUCCESS;
    for app_id in app_ids {
        let found: Vec<_> = sidecars.iter().filter(|it| it.app_id == *app_id).collect();
        if found.is_empty() {
            complain(&format!("failed to stop app id {app_id}: couldn't find app id {app_id}"));
            code = FAILED;
        }
        for sidecar in found {
            match kill(Pid::from_raw(target(sidecar, &sidecars)), Signal::SIGTERM) {
                // It ended meanwhile, perhaps because its launcher was stopped for another app.
                Ok(()) | Err(Errno::ESRCH) => print(&format!("app stopped: {app_id}\n")),
                Err(error) => {
                    complain(&format!("failed to stop app id {app_id}: {}", error.desc()));
                    code = FAILED;
                }
            }
        }
    }
    code
}

/// Whom to signal: the launcher, which ends the app as well, unless it has other apps to look after.
fn target(sidecar: &SidecarProcess, all: &[SidecarProcess]) -> i32 {
    match sidecar.launcher() {
        Some(launcher) if all.iter().filter(|it| it.launcher() == Some(launcher)).count() == 1 => {
            launcher
        }
        Some(_) | None => sidecar.pid,
    }
}
