//! What an item costs in calls of 100 items, as a part of what a call of one costs an echo.

use super::Section;
use crate::{
    lab::{DAPRD, ECHO, Lab, OUTRIGGER},
    load::{Load, Operation},
    samples::Samples,
    verdict::{Finding, Target},
};

const ITEMS: u32 = 100;
/// 1,600 items in flight.
const IN_FLIGHT: u32 = 16;

/// A call with many items, the call with one that the echo answers, and the targets.
const OPERATIONS: [(Operation, &str, Operation, &str, Target); 2] = [
    (
        Operation::BulkGet,
        "bulk get",
        Operation::Get,
        "GetState",
        Target::at_most(0.6).aiming_at(0.45),
    ),
    (
        Operation::BulkSave,
        "bulk save",
        Operation::Save,
        "SaveState",
        Target::at_most(0.35).aiming_at(0.25),
    ),
];

struct Bulk(Samples);

pub fn open(_: &mut Lab) -> anyhow::Result<Box<dyn Section>> {
    Ok(Box::new(Bulk(Samples::default())))
}

impl Section for Bulk {
    fn round(&mut self, lab: &mut Lab, round: usize) -> anyhow::Result<()> {
        for (bulk, name, single, single_name, _) in OPERATIONS {
            for subject in lab.turn(&[ECHO, OUTRIGGER, DAPRD], round) {
                if subject == ECHO {
                    let load = Load::usual(single, lab.plan.span());
                    let what = format!("{single_name}, 64 in flight");
                    let outcome = lab.drive(subject, &load, &what)?;
                    self.0.push(subject, name, outcome.cpu("server"));
                } else {
                    let load = Load::usual(bulk, lab.plan.span()).in_flight(IN_FLIGHT);
                    let what = format!("{name} of {ITEMS}, {IN_FLIGHT} in flight");
                    let load = Load { items: ITEMS, ..load };
                    let outcome = lab.drive(subject, &load, &what)?;
                    self.0.push(subject, name, outcome.cpu("server") / f64::from(ITEMS));
                }
            }
        }
        Ok(())
    }

    fn findings(&self) -> Vec<Finding> {
        let mut found = Vec::new();
        for (_, name, _, single, target) in OPERATIONS {
            let ratios = self.0.ratios((OUTRIGGER, name), (ECHO, name));
            let what = format!("{name} of {ITEMS}, CPU per item, / echo of one {single}");
            found.push(Finding::new(what, "x", ratios, target));
            if !self.0.of(DAPRD, name).is_empty() {
                let ratios = self.0.ratios((DAPRD, name), (OUTRIGGER, name));
                let what = format!("{name} of {ITEMS}, CPU per item, daprd / outrigger");
                found.push(Finding::told(what, "x", ratios));
            }
        }
        found
    }
}
