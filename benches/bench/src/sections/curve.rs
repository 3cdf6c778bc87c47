//! Latency against rate, for the plot.

use super::Section;
use crate::{
    lab::{CurvePoint, DAPRD, ECHO, Lab, OUTRIGGER, PLAIN},
    load::{Load, Operation, Pace},
    verdict::Finding,
};

/// The rates, as parts of our sidecar's greatest one.
const PARTS: [f64; 7] = [0.1, 0.25, 0.4, 0.55, 0.7, 0.8, 0.9];
/// Beyond this part of its greatest rate a subject's queue only grows.
const SERVED: f64 = 0.95;

struct Curve;

pub fn open(_: &mut Lab) -> anyhow::Result<Box<dyn Section>> {
    Ok(Box::new(Curve))
}

impl Section for Curve {
    fn round(&mut self, lab: &mut Lab, round: usize) -> anyhow::Result<()> {
        let closed = Load::usual(Operation::Get, lab.plan.span());
        let mut peaks = Vec::new();
        for subject in lab.turn(&[OUTRIGGER, ECHO, PLAIN, DAPRD], round) {
            let outcome = lab.drive(subject, &closed, "GetState, 64 in flight")?;
            peaks.push((subject, outcome.calls_per_second));
        }
        let ours = peaks.iter().find(|(subject, _)| *subject == OUTRIGGER);
        let ours = ours.map_or(0.0, |(_, peak)| *peak);
        for part in PARTS {
            for (subject, peak) in &peaks {
                let rate = ours * part;
                if rate > peak * SERVED {
                    continue;
                }
                let mut load = Load { pace: Pace::PerSecond(rate), ..closed.clone() };
                load.refusals_expected = true;
                let outcome = lab.ask(subject, &load)?;
                // Refused at this rate: there is no latency to show.
                if outcome.failed() > 0 {
                    continue;
                }
                let latency = outcome.latency();
                let (p50_us, p99_us) = (latency.p50, latency.p99);
                let subject = (*subject).to_owned();
                lab.curve.push(CurvePoint { subject, rate, p50_us, p99_us });
            }
        }
        Ok(())
    }

    fn findings(&self) -> Vec<Finding> {
        Vec::new()
    }
}
