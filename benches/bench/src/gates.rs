//! The gates of CI: figures that are counted, not timed, so that they say the same on every machine.
//!
//! Some have a limit of their own. The others are held against what the file of the gates records,
//! with a margin; it moves only with a commit that says why (`make gates-record`).

use std::{fs, path::Path, thread, time::Duration};

use anyhow::{Context as _, ensure};
use serde::{Deserialize, Serialize};

use crate::{
    lab::Lab,
    load::{Load, Operation, Span},
    process::Memory,
    sections::instructions,
    series::megabytes,
    subjects::Sidecar,
    table::Table,
};

/// How much more than recorded is let through: a compiler or a library moves it a little.
const MARGIN: f64 = 1.05;
/// The calls over which write system calls are counted.
const CALLS: u64 = 20_000;
/// The calls from which allocations are counted.
const COUNTED_CALLS: u64 = 1_000;
const OPERATIONS: [(Operation, &str); 2] =
    [(Operation::Get, "GetState"), (Operation::Save, "SaveState")];

/// What was recorded: one figure per operation.
#[derive(Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Recorded {
    /// Instructions per call, one call in flight, of the `dist` program.
    instructions: PerOperation,
    /// Allocations per call, one call in flight.
    allocations: PerOperation,
}

#[derive(Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
struct PerOperation {
    get: f64,
    save: f64,
}

impl PerOperation {
    fn of(&self, operation: Operation) -> f64 {
        if operation == Operation::Get { self.get } else { self.save }
    }

    fn of_mut(&mut self, operation: Operation) -> &mut f64 {
        if operation == Operation::Get { &mut self.get } else { &mut self.save }
    }
}

/// A figure and what it may be.
struct Gate {
    what: String,
    measured: f64,
    most: f64,
}

impl Gate {
    fn new(what: impl Into<String>, measured: f64, most: f64) -> Self {
        Self { what: what.into(), measured, most }
    }

    fn is_kept(&self) -> bool {
        self.measured <= self.most
    }
}

/// Measures, prints, and says whether every gate is kept. With `record` the file is written anew and
/// holds only what has a limit of its own.
pub fn hold(lab: &Lab, counted: &Path, file: &Path, record: bool) -> anyhow::Result<bool> {
    // It writes the keys that are read below.
    let mut gates = with_limits(lab)?;
    let mut measured = Recorded::default();
    for (operation, name) in OPERATIONS {
        eprintln!("counting the instructions and allocations of {name}");
        *measured.instructions.of_mut(operation) = instructions::of_sidecar(lab, operation)?;
        *measured.allocations.of_mut(operation) = allocations(lab, counted, operation)?;
    }
    if record {
        let text = serde_json::to_string_pretty(&measured)?;
        fs::write(file, text + "\n").with_context(|| format!("writing {}", file.display()))?;
        println!("recorded in {}", file.display());
    } else {
        gates.extend(against(&read(file)?, &measured));
    }
    println!("{}", table(&gates).text());
    Ok(gates.iter().all(Gate::is_kept))
}

fn read(file: &Path) -> anyhow::Result<Recorded> {
    let text = fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))?;
    serde_json::from_str(&text).with_context(|| format!("{}", file.display()))
}

fn against(recorded: &Recorded, measured: &Recorded) -> Vec<Gate> {
    let mut gates = Vec::new();
    for (what, recorded, measured) in [
        ("instructions", &recorded.instructions, &measured.instructions),
        ("allocations", &recorded.allocations, &measured.allocations),
    ] {
        gates.extend(OPERATIONS.map(|(operation, name)| {
            let most = recorded.of(operation) * MARGIN;
            Gate::new(format!("{what} per {name}"), measured.of(operation), most)
        }));
    }
    gates
}

fn with_limits(lab: &Lab) -> anyhow::Result<Vec<Gate>> {
    let size = fs::metadata(&lab.programs.outrigger)?.len();
    let mut gates = vec![Gate::new("size of the program, MB", megabytes(size), 15.0)];
    let server = lab.start_outrigger("gates", lab.redis.address())?;
    // What the start did is given back, and nothing else happens.
    thread::sleep(Duration::from_secs(2));
    let memory = |of| server.program.memory(of).map(megabytes);
    gates.push(Gate::new("memory idle, MB", memory(Memory::Resident)?, 15.0));
    for (operation, name) in OPERATIONS {
        let mut load = Load::usual(operation, Span::Calls(CALLS));
        load.prefill = true;
        // The prefill's own writes are made here, so that only the calls' are counted below.
        lab.run(&server, &load)?;
        load.prefill = false;
        let before = server.program.writes()?;
        lab.run(&server, &load)?;
        let per_call = per_call(server.program.writes()? - before, CALLS);
        gates.push(Gate::new(
            format!("write system calls per {name}, 64 in flight"),
            per_call,
            0.3,
        ));
    }
    gates.push(Gate::new("memory with 64 in flight, MB", memory(Memory::Peak)?, 25.0));
    server.program.end()?;
    Ok(gates)
}

/// What a call of a sidecar with a counting allocator asks for, start and end left out.
fn allocations(lab: &Lab, counted: &Path, operation: Operation) -> anyhow::Result<f64> {
    let few = allocations_of(lab, counted, operation, COUNTED_CALLS)?;
    let many = allocations_of(lab, counted, operation, COUNTED_CALLS * 2)?;
    Ok(per_call(many.saturating_sub(few), COUNTED_CALLS))
}

fn allocations_of(
    lab: &Lab,
    counted: &Path,
    operation: Operation,
    calls: u64,
) -> anyhow::Result<u64> {
    let sidecar = Sidecar::new(counted, lab.redis.address(), lab.folder())?;
    let server = sidecar.start("counted", lab.place(), Duration::from_millis(5))?;
    lab.run(&server, &Load::usual(operation, Span::Calls(calls)).in_flight(1))?;
    let output = server.program.end_and_read()?;
    let count = output.lines().find_map(|line| line.strip_prefix("allocations: "));
    let count = count.with_context(|| format!("{} told no allocations", counted.display()))?;
    let count = count.trim().parse()?;
    ensure!(count > calls, "{count} allocations for {calls} calls cannot be");
    Ok(count)
}

#[expect(clippy::cast_precision_loss, reason = "counts are below 2^52")]
fn per_call(count: u64, calls: u64) -> f64 {
    count as f64 / calls as f64
}

fn table(gates: &[Gate]) -> Table {
    let mut table = Table::new(&["gate", "", "measured", "at most"], 2);
    for gate in gates {
        let verdict = if gate.is_kept() { "kept" } else { "BROKEN" };
        let figure = |value: f64| format!("{value:.2}");
        table.row(vec![
            gate.what.clone(),
            verdict.to_owned(),
            figure(gate.measured),
            figure(gate.most),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recorded(get: f64, save: f64) -> Recorded {
        let figures = || PerOperation { get, save };
        Recorded { instructions: figures(), allocations: figures() }
    }

    #[test]
    fn five_per_cent_more_than_recorded_is_let_through_and_no_more() {
        let kept = against(&recorded(100.0, 50.0), &recorded(104.9, 52.0));
        assert_eq!(kept.len(), 4);
        assert!(kept.iter().all(Gate::is_kept));
        let broken = against(&recorded(100.0, 50.0), &recorded(100.0, 53.0));
        let broken: Vec<_> = broken.iter().filter(|gate| !gate.is_kept()).collect();
        assert_eq!(broken.len(), 2);
        assert!(broken.iter().all(|gate| gate.what.ends_with("SaveState")));
        assert!(
            table(&against(&recorded(1.0, 1.0), &recorded(2.0, 1.0))).text().contains("BROKEN")
        );
    }

    #[test]
    fn the_file_of_the_project_is_read() {
        let file = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../gates.json"));
        let recorded = read(file).expect("the recorded figures");
        for (operation, name) in OPERATIONS {
            assert!(recorded.instructions.of(operation) > 1_000.0, "{name}");
            assert!(recorded.allocations.of(operation) > 1.0, "{name}");
        }
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("gates.json");
        fs::write(&file, r#"{"instructions": {"get": 1, "put": 2}}"#).expect("a file");
        let error = format!("{:#}", read(&file).expect_err("an unknown field"));
        assert!(error.contains("gates.json") && error.contains("put"), "{error}");
    }
}
