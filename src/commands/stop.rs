//! Ending sidecars by their apps' ids, or a whole run by its file, as `dapr stop` does.

use std::collections::BTreeSet;

use nix::{
    errno::Errno,
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use super::{
    ExitCode, FAILED, SUCCESS, complain, print,
    processes::{self, SidecarProcess},
};
use crate::resources::run_file;

/// Asks the sidecars of these apps to end; fails if one was not found or could not be asked.
pub(super) fn stop_apps(app_ids: &[String]) -> ExitCode {
    let sidecars = processes::sidecars();
    let mut code = SUCCESS;
    for app_id in app_ids {
        let found: Vec<_> = sidecars.iter().filter(|it| it.app_id == *app_id).collect();
        if found.is_empty() {
            complain(&format!("failed to stop app id {app_id}: couldn't find app id {app_id}"));
            code = FAILED;
        }
        for sidecar in found {
            match terminate(target(sidecar, &sidecars)) {
                Ok(()) => print(&format!("app stopped: {app_id}\n")),
                Err(error) => {
                    complain(&format!("failed to stop app id {app_id}: {}", error.desc()));
                    code = FAILED;
                }
            }
        }
    }
    code
}

/// Asks the launcher of this file's apps to end, and them with it.
pub(super) fn stop_run(file: &str) -> ExitCode {
    let Ok(path) = run_file::locate(file) else {
        complain(&format!("failed to stop {file}: no such path"));
        return FAILED;
    };
    let path = path.display().to_string();
    let sidecars = processes::sidecars();
    let of_file = sidecars.iter().filter(|it| it.extended.get("runTemplatePath") == Some(&path));
    let launchers: BTreeSet<i32> = of_file.filter_map(SidecarProcess::launcher).collect();
    if launchers.is_empty() {
        complain(&format!("failed to stop {path}: couldn't find apps of this run file"));
        return FAILED;
    }
    let mut code = SUCCESS;
    for launcher in launchers {
        match terminate(launcher) {
            Ok(()) => print(&format!("apps stopped: {path}\n")),
            Err(error) => {
                complain(&format!("failed to stop {path}: {}", error.desc()));
                code = FAILED;
            }
        }
    }
    code
}

/// A process that ended meanwhile, perhaps because its launcher was stopped before, is no failure.
fn terminate(pid: i32) -> Result<(), Errno> {
    match kill(Pid::from_raw(pid), Signal::SIGTERM) {
        Ok(()) | Err(Errno::ESRCH) => Ok(()),
        Err(error) => Err(error),
    }
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
