//! What one call alone takes longer than one to an echo, beside what the plain server adds.

use super::Section;
use crate::{
    lab::{DAPRD, ECHO, Lab, OUTRIGGER, PLAIN},
    load::{Load, Operation},
    samples::Samples,
    verdict::{Finding, Target},
};

const OPERATIONS: [(Operation, &str); 2] =
    [(Operation::Get, "GetState"), (Operation::Save, "SaveState")];
/// As a part of what `plain` adds.
const TARGET: Target = Target::at_most(1.3).aiming_at(1.1);

struct Latency(Samples);

pub fn open(_: &mut Lab) -> anyhow::Result<Box<dyn Section>> {
    Ok(Box::new(Latency(Samples::default())))
}

impl Section for Latency {
    fn round(&mut self, lab: &mut Lab, round: usize) -> anyhow::Result<()> {
        for (operation, name) in OPERATIONS {
            for subject in lab.turn(&[ECHO, PLAIN, OUTRIGGER, DAPRD], round) {
                let load = Load::usual(operation, lab.plan.span()).in_flight(1);
                let outcome = lab.drive(subject, &load, &format!("{name}, 1 in flight"))?;
                self.0.push(subject, name, outcome.latency_us.p50);
            }
        }
        Ok(())
    }

    fn findings(&self) -> Vec<Finding> {
        let mut found = Vec::new();
        for (_, name) in OPERATIONS {
            let echo = self.0.of(ECHO, name);
            let ours = added(self.0.of(OUTRIGGER, name), echo);
            let plain = added(self.0.of(PLAIN, name), echo);
            let ratios = crate::statistics::paired_ratios(&ours, &plain);
            let what = format!("{name}, 1 in flight: p50 added over echo, / what plain adds");
            found.push(Finding::new(what, "x", ratios, TARGET));
            let what = format!("{name}, 1 in flight: p50 added over echo");
            found.push(Finding::told(what, "us", ours));
        }
        found
    }
}

/// What each round's sample is above its echo.
fn added(samples: &[f64], echo: &[f64]) -> Vec<f64> {
    samples.iter().zip(echo).map(|(sample, echo)| sample - echo).collect()
}
