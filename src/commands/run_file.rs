//! Several apps, each beside a sidecar of its own, in one command.
//!
//! Each sidecar is a process of this executable with daprd's command line: it has a log, a level and
//! an end of its own, `list` and `stop` find it as any other, and a launcher that only starts and
//! ends processes cannot take all apps' state calls down with it. Children lead process groups of
//! their own, so that Ctrl-C reaches this process alone and every app ends before its sidecar.

mod pair;
mod plan;

use std::io::{self, IsTerminal as _};

use nix::sys::signal::Signal;
use pair::{Origin, Pair};
use plan::Plan;
use tokio::{sync::watch, task::JoinSet};

use super::{ExitCode, FAILED, SUCCESS, lifecycle, signals::Signals};
use crate::{
    log::{LogGuard, queue::Lines},
    resources::{ProcessEnvironment, run_file},
};

/// Runs the apps of a file; the exit code of the first of them that failed.
pub(super) fn run(path: &str) -> ExitCode {
    let log = match super::start_plain_log() {
        Ok(log) => log,
        Err(error) => {
            super::complain(&error.to_string());
            return FAILED;
        }
    };
    let file = match run_file::load(path, &ProcessEnvironment) {
        Ok(file) => file,
        Err(errors) => {
            lifecycle::tell_problems(&errors, "the run file");
            return FAILED;
        }
    };
    let origin = Origin { path: file.path.clone(), name: file.name.clone() };
    let plans = match plan::plans(file) {
        Ok(plans) => plans,
        Err(error) => {
            super::tell_fatal(&error.to_string());
            return FAILED;
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    // What still runs when this returns is ended by force as the runtime goes.
    let done = runtime.and_then(|runtime| runtime.block_on(run_all(plans, &origin, &log)));
    done.unwrap_or_else(|error| {
        super::tell_fatal(&format!("failed to start the control thread: {error}"));
        FAILED
    })
}

async fn run_all(plans: Vec<Plan>, origin: &Origin, log: &LogGuard) -> io::Result<ExitCode> {
    let mut signals = Signals::catch()?;
    let (stop, stopped) = watch::channel(None);
    let mut running = Running { pairs: JoinSet::new(), code: SUCCESS };
    let mut failed = false;
    for (number, plan) in plans.into_iter().enumerate() {
        let console = Console { lines: log.lines(), number };
        let started = tokio::select! {
            started = Pair::start(plan, origin, &console) => started,
            signal = signals.next() => {
                lifecycle::tell_signal(signal);
                stop.send_replace(Some(signal));
                break;
            }
        };
        match started {
            Ok(pair) => _ = running.pairs.spawn(pair.accompany(stopped.clone())),
            Err(problem) => {
                super::tell_fatal(&problem);
                failed = true;
                stop.send_replace(Some(Signal::SIGTERM));
                break;
            }
        }
    }
    if stop.borrow().is_none() {
        tokio::select! {
            () = running.end() => return Ok(running.code),
            signal = signals.next() => {
                lifecycle::tell_signal(signal);
                stop.send_replace(Some(signal));
            }
        }
    }
    tokio::select! {
        () = running.end() => Ok(if failed { FAILED } else { running.code }),
        signal = signals.next() => {
            lifecycle::tell_second_signal(signal);
            Ok(FAILED)
        }
    }
}

/// The pairs that were started.
struct Running {
    pairs: JoinSet<ExitCode>,
    /// Of the first that failed.
    code: ExitCode,
}

impl Running {
    /// Waits until all have ended.
    async fn end(&mut self) {
        while let Some(ended) = self.pairs.join_next().await {
            let code = ended.unwrap_or(FAILED);
            if self.code == SUCCESS {
                self.code = code;
            }
        }
    }
}

/// Where an app's lines are shown, and as the how manieth's.
struct Console {
    lines: Lines,
    number: usize,
}

impl Console {
    fn prefix(&self, app_id: &str) -> Vec<u8> {
        prefix(app_id, self.number, io::stdout().is_terminal())
    }
}

/// What stands before an app's lines, in a colour of its own on a terminal.
fn prefix(app_id: &str, number: usize, terminal: bool) -> Vec<u8> {
    // Without black, white and the red of errors.
    const COLOURS: [u8; 10] = [36, 35, 33, 32, 34, 96, 95, 93, 92, 94];
    let prefix = format!("== APP - {app_id} == ");
    if !terminal {
        return prefix.into_bytes();
    }
    let colour = COLOURS[number % COLOURS.len()];
    format!("\x1b[{colour}m{prefix}\x1b[0m").into_bytes()
}

#[cfg(test)]
mod tests {
    use super::prefix;

    #[test]
    fn on_a_terminal_every_app_has_a_colour_of_its_own() {
        assert_eq!(prefix("a", 0, false), b"== APP - a == ");
        assert_eq!(prefix("a", 0, true), b"\x1b[36m== APP - a == \x1b[0m");
        let colours: std::collections::BTreeSet<_> =
            (0..10).map(|it| prefix("a", it, true)).collect();
        assert_eq!(colours.len(), 10);
        assert_eq!(prefix("a", 10, true), prefix("a", 0, true));
    }
}
