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
const BASE: &str = "1,000 keys, 4 connections";
const MANY_CONNECTIONS: &str = "1,000 connections";
const MANY_KEYS: &str = "1 M keys";

/// How busy the core that measures may be. Calls that come when they come wait for each other on a
/// core that is busier, and the slowest in a hundred are about that.
const MOST_BUSY: f64 = 0.75;

/// The least part of the peak rate that says anything.
const LOWEST: f64 = 0.1;

/// How often a round measures all three. Their slowest calls are those that a pause of the machine
/// hit. How many there are changes from run to run, so that runs twice as long differ as much from
/// each other: it is their number that makes a median certain.
const TURNS: usize = 2;

struct OpenLoop {
    samples: Samples,
    rate: Rate,
}

/// How many calls come.
struct Rate {
    /// Every second.
    calls: f64,
    /// In words.
    words: String,
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
fn rate(lab: &mut Lab, peak: f64) -> anyhow::Result<Rate> {
    let mut load = Load::usual(Operation::Get, lab.plan.span());
    load.connections = CONNECTIONS;
    let mut at_half = None;
    let mut calls = peak / 2.0;
    loop {
        load.pace = Pace::PerSecond(calls);
        let busy = lab.measuring_core_busy(&lab.ask(OUTRIGGER, &load)?);
        if busy <= MOST_BUSY {
            break;
        }
        at_half.get_or_insert(busy);
        // A call costs more where fewer come.
        calls *= (MOST_BUSY / busy).powf(1.5).min(0.95);
        ensure!(
            calls >= peak * LOWEST,
            "the core that measures is {:.0} % busy at {:.0} calls/s already",
            busy * 100.0,
            peak * LOWEST
        );
    }
    let Some(busy) = at_half else {
        return Ok(Rate { calls, words: "half the peak rate".to_owned() });
    };
    lab.notes.push(format!(
        "Open loop: at half the peak rate of {CONNECTIONS} connections ({:.0} calls/s) the core that \
         measures is {:.0} % busy, and the slowest calls would be about that. The rate is lowered \
         until it is at most {:.0} % busy: {calls:.0} calls/s.",
        peak / 2.0,
        busy * 100.0,
        MOST_BUSY * 100.0
    ));
    Ok(Rate { calls, words: format!("{:.0} % of the peak rate", calls / peak * 100.0) })
}

fn many_keys(lab: &Lab, load: Load) -> Load {
    Load { keys: lab.plan.many_keys, key_prefix: "many-".to_owned(), ..load }
}

impl Section for OpenLoop {
    fn round(&mut self, lab: &mut Lab, round: usize) -> anyhow::Result<()> {
        let mut base = Load::usual(Operation::Get, lab.plan.span_times(2.5));
        base.pace = Pace::PerSecond(self.rate.calls);
        let mut loads = [
            (BASE, base.clone()),
            (MANY_KEYS, many_keys(lab, base.clone())),
            (MANY_CONNECTIONS, Load { connections: CONNECTIONS, ..base }),
        ];
        loads.rotate_left(round % 3);
        for _ in 0..TURNS {
            loads.rotate_left(1);
            for (name, load) in &loads {
                let what = format!("GetState at {}, {name}", self.rate.words);
                let outcome = lab.drive(OUTRIGGER, load, &what)?;
                self.samples.push(OUTRIGGER, name, outcome.latency().p99);
            }
        }
        Ok(())
    }

    fn findings(&self) -> Vec<Finding> {
        let finding = |name: &str| {
            let ratios = self.samples.ratios((OUTRIGGER, name), (OUTRIGGER, BASE));
            let what = format!("GetState at {}, {name}: p99 / with {BASE}", self.rate.words);
            Finding::new(what, "x", ratios, TARGET)
        };
        vec![finding(MANY_KEYS), finding(MANY_CONNECTIONS)]
    }

    fn finish(&mut self, lab: &mut Lab) -> anyhow::Result<()> {
        lab.redis.flush()?;
        lab.prefill()
    }
}
