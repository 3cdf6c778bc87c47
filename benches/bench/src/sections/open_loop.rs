//! How long calls take that come at half the rate that can be served, whatever becomes of them; with
//! many keys, and on many connections. A call costs more where it has its connection's reads and
//! writes for itself, so the rate is half of what many connections can have: the same for all.

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

struct OpenLoop {
    samples: Samples,
    rate: f64,
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
    Ok(Box::new(OpenLoop { samples: Samples::default(), rate: peak / 2.0 }))
}

fn many_keys(lab: &Lab, load: Load) -> Load {
    Load { keys: lab.plan.many_keys, key_prefix: "many-".to_owned(), ..load }
}

impl Section for OpenLoop {
    fn round(&mut self, lab: &mut Lab, round: usize) -> anyhow::Result<()> {
        let mut base = Load::usual(Operation::Get, lab.plan.span_times(1.5));
        base.pace = Pace::PerSecond(self.rate);
        let mut loads = [
            (BASE, base.clone()),
            (MANY_KEYS, many_keys(lab, base.clone())),
            (MANY_CONNECTIONS, Load { connections: CONNECTIONS, ..base }),
        ];
        loads.rotate_left(round % 3);
        for (name, load) in loads {
            let what = format!("GetState at half the peak rate, {name}");
            let outcome = lab.drive(OUTRIGGER, &load, &what)?;
            self.samples.push(OUTRIGGER, name, outcome.latency().p99);
        }
        Ok(())
    }

    fn findings(&self) -> Vec<Finding> {
        let finding = |name: &str| {
            let ratios = self.samples.ratios((OUTRIGGER, name), (OUTRIGGER, BASE));
            let what = format!("GetState at half the peak rate, {name}: p99 / with {BASE}");
            Finding::new(what, "x", ratios, TARGET)
        };
        vec![finding(MANY_KEYS), finding(MANY_CONNECTIONS)]
    }

    fn finish(&mut self, lab: &mut Lab) -> anyhow::Result<()> {
        lab.redis.flush()?;
        lab.prefill()
    }
}
