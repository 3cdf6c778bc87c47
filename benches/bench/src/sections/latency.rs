//! What one call alone takes longer than one to an echo, beside what the plain server adds.

use super::{Section, concurrency_label};
use crate::{
    lab::{DAPRD, ECHO, Lab, OUTRIGGER, PLAIN},
    load::{Load, Operation},
    samples::Samples,
    verdict::{Finding, Target},
    windows,
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
            let load = Load::usual(operation, lab.plan.short_span()).in_flight(1);
            let what = concurrency_label(name, 1);
            let subjects = [ECHO, PLAIN, OUTRIGGER, DAPRD];
            for (subject, run) in windows::drive(lab, &subjects, &load, &what, round)? {
                self.0.push(subject, name, run.latency().p50);
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
            let ratios = ratios(&ours, &plain);
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

/// In a round in which the plain server added nothing, whatever we added was too much.
fn ratios(ours: &[f64], plain: &[f64]) -> Vec<f64> {
    let ratio =
        |(ours, plain): (&f64, &f64)| if *plain > 0.0 { ours / plain } else { f64::INFINITY };
    ours.iter().zip(plain).map(ratio).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_added_is_compared() {
        let echo = [40.0, 44.0];
        let ours = added(&[70.0, 78.0], &echo);
        let plain = added(&[65.0, 64.0], &echo);
        assert_eq!((&ours[..], &plain[..]), (&[30.0, 34.0][..], &[25.0, 20.0][..]));
        assert_eq!(ratios(&ours, &plain), [1.2, 1.7]);
        assert_eq!(ratios(&[30.0], &[-1.0]), [f64::INFINITY], "it is no pass");
    }
}
