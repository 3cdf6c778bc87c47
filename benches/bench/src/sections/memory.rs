//! Resident memory: idle, with 64 calls in flight, after large calls, and of connections that do
//! nothing. Each figure is of a sidecar that did nothing else before.

use std::{
    process::Stdio,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};

use super::Section;
use crate::{
    lab::{Lab, OUTRIGGER},
    load::{Load, Operation, Pace, Span},
    process::Memory,
    series::megabytes,
    subjects::Server,
    verdict::{Finding, Target},
};

const MIB: u32 = 1024 * 1024;
const CONNECTIONS: u32 = 1_000;
/// How long the connections may take.
const CONNECT_LIMIT: Duration = Duration::from_secs(20);
/// After this time nothing of the start goes on.
const STARTED: Duration = Duration::from_secs(1);

/// The large calls of one client: their name, how many, and of what size.
const LARGE: [(&str, &str, Operation, u32, u32, u32); 3] = [
    ("large-saves", "saves of 3 MiB", Operation::Save, 200, 1, 3 * MIB),
    ("large-bulk-gets", "bulk gets of 10,000 keys", Operation::BulkGet, 400, 10_000, 100),
    ("large-transactions", "transactions of 3 MiB", Operation::Transaction, 400, 30, MIB / 10),
];

struct MemoryUse(Vec<Finding>);

pub fn open(_: &mut Lab) -> anyhow::Result<Box<dyn Section>> {
    Ok(Box::new(MemoryUse(Vec::new())))
}

impl Section for MemoryUse {
    fn round(&mut self, lab: &mut Lab, _round: usize) -> anyhow::Result<()> {
        self.0.extend(idle_and_busy(lab)?);
        self.0.extend(after_large_calls(lab)?);
        self.0.push(per_connection(lab)?);
        Ok(())
    }

    fn findings(&self) -> Vec<Finding> {
        self.0.clone()
    }
}

fn in_megabytes(server: &Server, of: Memory) -> anyhow::Result<f64> {
    server.program.memory(of).map(megabytes)
}

fn idle_and_busy(lab: &mut Lab) -> anyhow::Result<[Finding; 2]> {
    let server = lab.start_outrigger("memory", lab.redis.address())?;
    thread::sleep(STARTED);
    let idle = in_megabytes(&server, Memory::Resident)?;
    for operation in [Operation::Get, Operation::Save] {
        lab.run(&server, &Load::usual(operation, lab.plan.span_times(2.0)))?;
    }
    let busy = in_megabytes(&server, Memory::Peak)?;
    let ceiling = |must, aim| Target::at_most(must).aiming_at(aim);
    Ok([
        Finding::new("resident memory, idle", "MB", vec![idle], ceiling(15.0, 10.0)),
        Finding::new(
            "resident memory, 64 in flight, greatest",
            "MB",
            vec![busy],
            ceiling(25.0, 15.0),
        ),
    ])
}

/// Three sidecars, so that each may go back while the next one works.
fn after_large_calls(lab: &mut Lab) -> anyhow::Result<Vec<Finding>> {
    let mut waiting = Vec::new();
    for (name, what, operation, calls, items, value_bytes) in LARGE {
        let calls = (f64::from(calls) * lab.plan.large_calls).ceil();
        let what = format!("{calls} {what}");
        let span = Span::Calls(calls as u64);
        let keys = items.max(10);
        let key_prefix = format!("{name}-");
        let load = Load { items, value_bytes, keys, key_prefix, ..Load::usual(operation, span) };
        let load = load.in_flight(1);
        if operation == Operation::BulkGet {
            // By another sidecar: the one that is looked at only reads.
            let load = Load { prefill: true, span: Span::Calls(1), ..load.clone() };
            lab.ask(OUTRIGGER, &load).context("writing the keys of bulk gets")?;
        }
        let server = lab.start_outrigger(name, lab.redis.address())?;
        let outcome = lab.run(&server, &load).with_context(|| what.clone())?;
        lab.keep(OUTRIGGER, &what, &outcome);
        waiting.push((what, server, Instant::now()));
    }
    let target = Target::at_most(40.0).aiming_at(20.0);
    let settling = lab.plan.settling;
    waiting
        .into_iter()
        .map(|(what, server, ended)| {
            thread::sleep((ended + settling).saturating_duration_since(Instant::now()));
            let sample = in_megabytes(&server, Memory::Resident)?;
            let what = format!("resident memory {} s after {what}", settling.as_secs());
            Ok(Finding::new(what, "MB", vec![sample], target))
        })
        .collect()
}

fn per_connection(lab: &mut Lab) -> anyhow::Result<Finding> {
    let server = lab.start_outrigger("idle-connections", lab.redis.address())?;
    lab.run(&server, &Load::usual(Operation::Get, lab.plan.span()))?;
    let before = server.program.memory(Memory::Resident)?;
    let mut load = Load::usual(Operation::Get, Span::Seconds { counted: 6.0, warm_up: 0.0 });
    load.pace = Pace::PerSecond(10.0);
    load.connections = 1;
    load.idle_connections = CONNECTIONS;
    let mut generator = lab
        .load_command(&server, &load)?
        .stdout(Stdio::null())
        .stderr(Stdio::inherit())
        .spawn()
        .context("starting outrigger-load")?;
    let begin = Instant::now();
    while server.program.open_files() < CONNECTIONS as usize {
        ensure!(
            begin.elapsed() < CONNECT_LIMIT,
            "no {CONNECTIONS} connections in {CONNECT_LIMIT:?}"
        );
        let ended = generator.try_wait()?;
        ensure!(ended.is_none(), "outrigger-load ended ({ended:?}) before they were open");
        thread::sleep(Duration::from_millis(20));
    }
    thread::sleep(STARTED);
    let after = server.program.memory(Memory::Resident)?;
    ensure!(generator.wait()?.success(), "outrigger-load failed");
    let kilobytes = megabytes(after.saturating_sub(before)) * 1e3 / f64::from(CONNECTIONS);
    let target = Target::at_most(64.0).aiming_at(32.0);
    Ok(Finding::new("resident memory per idle connection", "kB", vec![kilobytes], target))
}
