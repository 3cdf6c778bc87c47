//! How long calls take that come at half the rate that can be served, whatever becomes of them; with
//! many keys, and on many connections. A call costs more where it has its connection's reads and
//! writes for itself, so the rate is half of what many connections can have: the same for all. It is
//! less where the core that measures could not keep up: the slowest calls would be those that waited
//! for the generator, or for Redis beside it.

use anyhow::{Context as _, ensure};

use super::Section;
use crate::{
    lab::{Lab, OUTRIGGER},
    load::{Load, Operation, Pace, Span},
    samples::Samples,
    verdict::{Finding, Target},
};

const CONNECTIONS: u32 = 1_000;
const TARGET: Target = Target::at_most(2.0);
const RATE: &str = "half the peak rate or less";
const BASE: &str = "1,000 keys, 4 connections";
const MANY_CONNECTIONS: &str = "1,000 connections";
const MANY_KEYS: &str = "1 M keys";

/// How busy the core that measures may be. Calls that come when they come wait for each other on a
/// core that is busier, and the slowest in a hundred are about that.
const MOST_BUSY: f64 = 0.75;

/// The least part of the peak rate that says anything.
const LOWEST: f64 = 0.1;

/// In how many runs, one after the other, it must not be busier for a rate to be taken.
const STEADY: usize = 3;

/// How often a round measures all three. Their slowest calls are those that a pause of the machine
/// hit. How many there are changes from run to run, so that runs twice as long differ as much from
/// each other: it is their number that makes a median certain.
const TURNS: usize = 2;

struct OpenLoop {
    samples: Samples,
    rate: Rate,
}

/// How many calls come every second.
struct Rate {
    calls: f64,
    /// In the first round.
    first: f64,
    peak: f64,
    /// How busy the core that measures is at half the peak rate, if that is too much.
    busy_at_half: Option<f64>,
    /// How busy it was in the round before.
    busy_before: f64,
}

pub fn open(lab: &mut Lab) -> anyhow::Result<Box<dyn Section>> {
    let mut fill = many_keys(lab, Load::usual(Operation::Get, Span::Calls(1)));
    fill.prefill = true;
    lab.ask(OUTRIGGER, &fill).context("writing many keys")?;
    let keys = lab.redis.keys()?;
    ensure!(keys >= u64::from(lab.plan.many_keys), "Redis has {keys} keys only");
    let mut load = Load::usual(Operation::Get, lab.plan.span());
    load.connections = CONNECTIONS;
    load.pace = Pace::InFlight(CONNECTIONS);
    let what = format!("GetState, {CONNECTIONS} connections, each with one call in flight");
    let peak = lab.drive(OUTRIGGER, &load, &what)?.calls_per_second;
    let rate = rate(lab, peak)?;
    Ok(Box::new(OpenLoop { samples: Samples::default(), rate }))
}

/// Half the peak rate, or what the core that measures has room for.
fn rate(lab: &Lab, peak: f64) -> anyhow::Result<Rate> {
    let mut load = Load::usual(Operation::Get, lab.plan.span());
    load.connections = CONNECTIONS;
    let mut rate = Rate::half_of(peak);
    let mut steady = 0;
    while steady < STEADY {
        load.pace = Pace::PerSecond(rate.calls);
        let busy = lab.measuring_core_busy(&lab.ask(OUTRIGGER, &load)?);
        ensure!(
            busy <= MOST_BUSY || rate.calls > peak * LOWEST,
            "the core that measures is {:.0} % busy at {:.0} calls/s already",
            busy * 100.0,
            rate.calls
        );
        steady = if rate.lower_if_busy(busy) { 0 } else { steady + 1 };
    }
    rate.first = rate.calls;
    Ok(rate)
}

impl Rate {
    fn half_of(peak: f64) -> Self {
        let calls = peak / 2.0;
        Self { calls, first: calls, peak, busy_at_half: None, busy_before: 0.0 }
    }

    /// Lowers the rate if the core that measures is busier than it may be, and says whether it is.
    fn lower_if_busy(&mut self, busy: f64) -> bool {
        let too_much = busy > MOST_BUSY;
        if too_much {
            self.busy_at_half.get_or_insert(busy);
            // A call costs more where fewer come.
            let lowered = self.calls * (MOST_BUSY / busy).powf(1.5).min(0.95);
            self.calls = lowered.max(self.peak * LOWEST);
        }
        too_much
    }

    /// What a reader has to know, if it is not half the peak rate.
    fn note(&self) -> Option<String> {
        let busy = self.busy_at_half? * 100.0;
        let Self { calls, first, peak, .. } = self;
        Some(format!(
            "Open loop: at half the peak rate of {CONNECTIONS} connections ({:.0} calls/s) the core \
             that measures is {busy:.0} % busy, and the slowest calls would be about that. Where it \
             is more than {:.0} % busy the rate is lowered, for all alike: {first:.0} calls/s in the \
             first round ({:.0} % of the peak), {calls:.0} in the last ({:.0} %).",
            peak / 2.0,
            MOST_BUSY * 100.0,
            first / peak * 100.0,
            calls / peak * 100.0,
        ))
    }
}

fn many_keys(lab: &Lab, load: Load) -> Load {
    Load { keys: lab.plan.many_keys, key_prefix: "many-".to_owned(), ..load }
}

impl Section for OpenLoop {
    fn round(&mut self, lab: &mut Lab, round: usize) -> anyhow::Result<()> {
        // The machine is not always as fast as when the rate was chosen. Rounds that are added because
        // a figure is not clear have the rate of those before.
        if round < lab.plan.rounds {
            self.rate.lower_if_busy(self.rate.busy_before);
        }
        let mut base = Load::usual(Operation::Get, lab.plan.span_times(2.5));
        base.pace = Pace::PerSecond(self.rate.calls);
        let mut loads = [
            (BASE, base.clone()),
            (MANY_KEYS, many_keys(lab, base.clone())),
            (MANY_CONNECTIONS, Load { connections: CONNECTIONS, ..base }),
        ];
        loads.rotate_left(round % 3);
        let mut busy = 0.0;
        for _ in 0..TURNS {
            loads.rotate_left(1);
            for (name, load) in &loads {
                let what = format!("GetState at {RATE}, {name}");
                let outcome = lab.drive(OUTRIGGER, load, &what)?;
                self.samples.push(OUTRIGGER, name, outcome.latency().p99);
                if *name == MANY_CONNECTIONS {
                    busy += lab.measuring_core_busy(&outcome) / TURNS as f64;
                }
            }
        }
        self.rate.busy_before = busy;
        Ok(())
    }

    fn findings(&self) -> Vec<Finding> {
        let finding = |name: &str| {
            let ratios = self.samples.ratios((OUTRIGGER, name), (OUTRIGGER, BASE));
            let what = format!("GetState at {RATE}, {name}: p99 / with {BASE}");
            Finding::new(what, "x", ratios, TARGET)
        };
        vec![finding(MANY_KEYS), finding(MANY_CONNECTIONS)]
    }

    fn finish(&mut self, lab: &mut Lab) -> anyhow::Result<()> {
        lab.notes.extend(self.rate.note());
        lab.redis.flush()?;
        lab.prefill()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_lowered_while_the_core_that_measures_is_too_busy() {
        let mut rate = Rate::half_of(1_000.0);
        assert!(!rate.lower_if_busy(MOST_BUSY));
        assert_eq!((rate.calls, rate.note()), (500.0, None));
        assert!(rate.lower_if_busy(0.99));
        let lowered = rate.calls;
        assert!(lowered < 0.8 * 500.0, "{lowered}");
        assert!(rate.lower_if_busy(MOST_BUSY + 0.001));
        assert_eq!(rate.calls, lowered * 0.95, "by something at least");
        let note = rate.note().expect("it is less than half");
        assert!(note.contains("99 % busy") && note.contains("in the last (31 %)"), "{note}");
        (0..20).for_each(|_| assert!(rate.lower_if_busy(1.0)));
        assert_eq!(rate.calls, 100.0, "less says nothing");
    }
}
