//! Instructions a call, counted by callgrind: the same on every machine, so that nobody wins by a slow
//! floor. It sees no system calls.

use std::{
    fs,
    net::SocketAddr,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, ensure};

use super::Section;
use crate::{
    lab::{ECHO, Lab, OUTRIGGER, PLAIN},
    load::{Load, Operation, Span},
    pinning::Role,
    process::Program,
    subjects::{Floor, Server, Sidecar, listening},
    verdict::Finding,
};

const OPERATIONS: [(Operation, &str); 2] =
    [(Operation::Get, "GetState"), (Operation::Save, "SaveState")];

struct Instructions(Vec<Finding>);

pub fn open(_: &mut Lab) -> anyhow::Result<Box<dyn Section>> {
    Ok(Box::new(Instructions(Vec::new())))
}

impl Section for Instructions {
    fn round(&mut self, lab: &mut Lab, _round: usize) -> anyhow::Result<()> {
        let valgrind = Command::new("valgrind").arg("--version").stdout(Stdio::null()).status();
        if !valgrind.is_ok_and(|status| status.success()) {
            lab.notes.push("no valgrind: instructions per call were not counted".to_owned());
            return Ok(());
        }
        for subject in [ECHO, PLAIN, OUTRIGGER] {
            for (operation, name) in OPERATIONS {
                let calls = lab.plan.traced_calls;
                let life =
                    |calls| traced(lab, subject, &Load::usual(operation, Span::Calls(calls)));
                let (few, many) = (life(calls)?, life(calls * 2)?);
                let samples = vec![per_call(few, many, calls)];
                let what = format!("instructions per {name}, 64 in flight, {subject}");
                self.0.push(Finding::told(what, "", samples));
            }
        }
        Ok(())
    }

    fn findings(&self) -> Vec<Finding> {
        self.0.clone()
    }
}

/// What the second half of the calls took: neither the start nor the end is in it.
#[expect(clippy::cast_precision_loss, reason = "instructions are below 2^52")]
fn per_call(few: u64, many: u64, calls: u64) -> f64 {
    many.saturating_sub(few) as f64 / calls as f64
}

/// The instructions of a call of our sidecar with nothing else in flight.
pub fn of_sidecar(lab: &Lab, operation: Operation) -> anyhow::Result<f64> {
    let calls = lab.plan.traced_calls;
    let life = |calls| {
        let load = Load::usual(operation, Span::Calls(calls)).in_flight(1);
        traced(lab, OUTRIGGER, &load)
    };
    Ok(per_call(life(calls)?, life(calls * 2)?, calls))
}

/// The instructions of a whole life under this load.
fn traced(lab: &Lab, subject: &str, load: &Load) -> anyhow::Result<u64> {
    let counts = lab.folder().join("callgrind.out");
    // What an earlier run left must not be taken for this one's.
    let _ = fs::remove_file(&counts);
    let server = start(lab, subject, &counts).with_context(|| format!("{subject} in callgrind"))?;
    lab.run(&server, load)?;
    server.program.end()?;
    let text = fs::read_to_string(&counts)
        .with_context(|| format!("callgrind wrote no {}", counts.display()))?;
    let total = total(&text).context("callgrind's file has no total")?;
    ensure!(total > 0, "callgrind counted nothing");
    Ok(total)
}

fn start(lab: &Lab, subject: &str, counts: &Path) -> anyhow::Result<Server> {
    let redis = lab.redis.address();
    let floor = match subject {
        ECHO => Some(Floor::Echo),
        PLAIN => Some(Floor::Plain),
        _ => None,
    };
    if let Some(floor) = floor {
        let command = in_callgrind(&floor.command(&lab.programs.floor, redis), counts);
        let mut program = spawn(lab, command)?;
        let grpc = listening(&mut program)?;
        return Ok(Server { name: "callgrind", program, grpc: Some(grpc), http: None });
    }
    let sidecar = Sidecar::new(&lab.programs.outrigger, redis, lab.folder())?;
    let mut program = spawn(lab, in_callgrind(&sidecar.command(), counts))?;
    let ready = |address: SocketAddr| crate::http_probe::status_of(address, "/v1.0/healthz").ok();
    let every = Duration::from_millis(20);
    program.wait_for("readiness", every, |_| ready(sidecar.http).filter(|code| *code == 204))?;
    let (grpc, http) = (Some(sidecar.grpc), Some(sidecar.http));
    Ok(Server { name: "callgrind", program, grpc, http })
}

fn spawn(lab: &Lab, command: Command) -> anyhow::Result<Program> {
    Program::start("callgrind", command, (&lab.cores, Role::Server), lab.folder())
}

fn in_callgrind(command: &Command, counts: &Path) -> Command {
    let mut traced = Command::new("valgrind");
    traced.args(["--tool=callgrind", "--quiet"]);
    traced.arg(format!("--callgrind-out-file={}", counts.display()));
    traced.arg(command.get_program()).args(command.get_args());
    traced
}

/// The whole count of a callgrind file.
fn total(text: &str) -> Option<u64> {
    let line = |mark: &str| text.lines().find_map(|line| line.strip_prefix(mark));
    line("summary:").or_else(|| line("totals:"))?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_total_is_read() {
        assert_eq!(total("version: 1\nevents: Ir\nsummary: 123456\nfn=(1)\n"), Some(123_456));
        assert_eq!(total("events: Ir\nfn=(1)\ntotals: 77\n"), Some(77));
        assert_eq!(total("events: Ir\n"), None);
    }

    #[test]
    fn what_start_and_end_take_is_not_in_it() {
        assert_eq!(per_call(1_000_000 + 5_000, 1_000_000 + 10_000, 100), 50.0);
    }
}
