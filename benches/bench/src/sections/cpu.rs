//! What a single GetState and a single SaveState cost at 64 calls in flight.

use super::Section;
use crate::{
    lab::{DAPRD, ECHO, Lab, OUTRIGGER, PLAIN},
    load::{Load, Operation},
    samples::Samples,
    verdict::{Finding, Target},
};

/// The operations with their names in tables and what they must cost, as a part of `plain`.
const OPERATIONS: [(Operation, &str, Target); 2] = [
    (Operation::Get, "GetState", Target::at_most(1.25).aiming_at(1.05)),
    (Operation::Save, "SaveState", Target::at_most(0.8).aiming_at(0.65)),
];

struct Cpu(Samples);

pub fn open(_: &mut Lab) -> anyhow::Result<Box<dyn Section>> {
    Ok(Box::new(Cpu(Samples::default())))
}

impl Section for Cpu {
    fn round(&mut self, lab: &mut Lab, round: usize) -> anyhow::Result<()> {
        for (operation, name, _) in OPERATIONS {
            for subject in lab.turn(&[ECHO, PLAIN, OUTRIGGER, DAPRD], round) {
                let load = Load::usual(operation, lab.plan.span());
                let what = format!("{name}, 64 in flight");
                let outcome = lab.drive(subject, &load, &what)?;
                self.0.push(subject, name, outcome.cpu("server"));
            }
        }
        Ok(())
    }

    fn findings(&self) -> Vec<Finding> {
        let mut found = Vec::new();
        for (_, name, target) in OPERATIONS {
            let of = |one, other| self.0.ratios((one, name), (other, name));
            let what = format!("{name} CPU per call, 64 in flight, / plain");
            found.push(Finding::new(what, "x", of(OUTRIGGER, PLAIN), target));
            let what = format!("{name} CPU per call, / echo");
            found.push(Finding::told(what, "x", of(OUTRIGGER, ECHO)));
            if !self.0.of(DAPRD, name).is_empty() {
                let what = format!("{name} CPU per call, daprd / outrigger");
                found.push(Finding::told(what, "x", of(DAPRD, OUTRIGGER)));
            }
        }
        found
    }
}
