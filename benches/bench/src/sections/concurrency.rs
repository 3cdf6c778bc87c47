//! Whether a call costs about the same, beside the plain server, with few callers and with many.

use super::Section;
use crate::{
    lab::{Lab, OUTRIGGER, PLAIN},
    load::{Load, Operation},
    samples::Samples,
    verdict::{Finding, Target},
    windows,
};

const OPERATIONS: [(Operation, &str); 2] =
    [(Operation::Get, "GetState"), (Operation::Save, "SaveState")];
/// How many calls are in flight; the costs are compared with those at 64.
pub const IN_FLIGHT: [u32; 5] = [1, 16, 64, 256, 512];
const TARGET: Target = Target::at_most(1.2);
/// How many in flight the others are compared with.
const BASE: u32 = 64;

/// What a call costs beside the plain server, with so many in flight, as a part of that at `BASE`.
struct Concurrency(Samples);

pub fn open(_: &mut Lab) -> anyhow::Result<Box<dyn Section>> {
    Ok(Box::new(Concurrency(Samples::default())))
}

impl Section for Concurrency {
    fn round(&mut self, lab: &mut Lab, round: usize) -> anyhow::Result<()> {
        let is_extra = round >= lab.plan.rounds;
        // More rounds are for what has a target.
        for (operation, name) in OPERATIONS.into_iter().filter(|of| !is_extra || has_target(of.0)) {
            let base = cost(lab, operation, name, BASE, round)?;
            for in_flight in others() {
                let ratio = cost(lab, operation, name, in_flight, round)? / base;
                self.0.push(OUTRIGGER, &label(name, in_flight), ratio);
            }
        }
        Ok(())
    }

    fn findings(&self) -> Vec<Finding> {
        let mut found = Vec::new();
        for (operation, name) in OPERATIONS {
            found.extend(others().map(|in_flight| self.finding(operation, name, in_flight)));
        }
        found
    }
}

impl Concurrency {
    fn finding(&self, operation: Operation, name: &str, in_flight: u32) -> Finding {
        let what = format!("{name} CPU per call / plain, {in_flight} in flight, / at {BASE}");
        let samples = self.0.of(OUTRIGGER, &label(name, in_flight)).to_vec();
        if has_target(operation) {
            Finding::new(what, "x", samples, TARGET)
        } else {
            Finding::told(what, "x", samples)
        }
    }
}

/// Saves have none: at 64 they share script calls, which `plain` never does and one call alone cannot,
/// so that this ratio is the greater the better that works.
fn has_target(operation: Operation) -> bool {
    operation == Operation::Get
}

/// What a call costs the sidecar, as a part of what it costs the plain server.
fn cost(
    lab: &mut Lab,
    operation: Operation,
    name: &str,
    in_flight: u32,
    round: usize,
) -> anyhow::Result<f64> {
    let load = Load::usual(operation, lab.plan.short_span()).in_flight(in_flight);
    let runs = windows::drive(lab, &[PLAIN, OUTRIGGER], &load, &label(name, in_flight), round)?;
    let cpu = |subject| {
        let run = runs.iter().find(|(name, _)| *name == subject);
        run.map_or(f64::NAN, |(_, run)| run.cpu("server"))
    };
    Ok(cpu(OUTRIGGER) / cpu(PLAIN))
}

fn others() -> impl Iterator<Item = u32> {
    IN_FLIGHT.into_iter().filter(|in_flight| *in_flight != BASE)
}

/// The name of a load in the table, of which the subjects take turns; the plot finds its series by it.
pub fn label(operation: &str, in_flight: u32) -> String {
    format!("{operation}, {in_flight} in flight, by turns")
}
