//! Whether a call costs about the same, beside the plain server, with few callers and with many.

use super::Section;
use crate::{
    lab::{Lab, OUTRIGGER, PLAIN},
    load::{Load, Operation},
    samples::Samples,
    statistics::paired_ratios,
    verdict::{Finding, Target},
};

const OPERATIONS: [(Operation, &str); 2] =
    [(Operation::Get, "GetState"), (Operation::Save, "SaveState")];
/// How many calls are in flight; the costs are compared with those at 64.
pub const IN_FLIGHT: [u32; 5] = [1, 16, 64, 256, 512];
const TARGET: Target = Target::at_most(1.2);

struct Concurrency(Samples);

pub fn open(_: &mut Lab) -> anyhow::Result<Box<dyn Section>> {
    Ok(Box::new(Concurrency(Samples::default())))
}

impl Section for Concurrency {
    fn round(&mut self, lab: &mut Lab, round: usize) -> anyhow::Result<()> {
        for (operation, name) in OPERATIONS {
            for in_flight in IN_FLIGHT {
                for subject in lab.turn(&[PLAIN, OUTRIGGER], round) {
                    let span = lab.plan.span_times(0.4);
                    let load = Load::usual(operation, span).in_flight(in_flight);
                    let what = label(name, in_flight);
                    let outcome = lab.drive(subject, &load, &what)?;
                    self.0.push(subject, &what, outcome.cpu("server"));
                }
            }
        }
        Ok(())
    }

    fn findings(&self) -> Vec<Finding> {
        let mut found = Vec::new();
        for (operation, name) in OPERATIONS {
            let ratios = |in_flight| {
                let what = label(name, in_flight);
                self.0.ratios((OUTRIGGER, &what), (PLAIN, &what))
            };
            let at_64 = ratios(64);
            for in_flight in IN_FLIGHT.into_iter().filter(|in_flight| *in_flight != 64) {
                let what = format!("{name} CPU per call / plain, {in_flight} in flight, / at 64");
                let samples = paired_ratios(&ratios(in_flight), &at_64);
                // Saves have no target: at 64 they share script calls, which `plain` never does and
                // one call alone cannot, so that this ratio is the greater the better that works.
                found.push(match operation {
                    Operation::Get => Finding::new(what, "x", samples, TARGET),
                    _ => Finding::told(what, "x", samples),
                });
            }
        }
        found
    }
}

/// The name of a load in the table; the plot finds its series by it.
pub fn label(operation: &str, in_flight: u32) -> String {
    format!("{operation}, {in_flight} in flight")
}
