//! Whether saves that wait for a common script call wait longer than those that do not, with a Redis
//! one millisecond away.

use std::time::Duration;

use super::Section;
use crate::{
    lab::{Lab, OUTRIGGER, PLAIN},
    load::{Load, Operation},
    proxy::{Effect, Proxy},
    samples::Samples,
    subjects::{Floor, Server},
    verdict::{Finding, Target},
};

/// Added on each way: 1 ms there and back.
const EACH_WAY: Duration = Duration::from_micros(500);
const IN_FLIGHT: [u32; 2] = [1, 64];
const TARGET: Target = Target::at_most(1.1);

struct GroupCommit {
    samples: Samples,
    servers: [Server; 2],
    _proxy: Proxy,
}

pub fn open(lab: &mut Lab) -> anyhow::Result<Box<dyn Section>> {
    let proxy = Proxy::start(lab.redis.address(), Effect::Delay(EACH_WAY))?;
    let servers = [
        lab.start_floor(PLAIN, Floor::Plain, proxy.address())?,
        lab.start_outrigger(OUTRIGGER, proxy.address())?,
    ];
    Ok(Box::new(GroupCommit { samples: Samples::default(), servers, _proxy: proxy }))
}

impl Section for GroupCommit {
    fn round(&mut self, lab: &mut Lab, round: usize) -> anyhow::Result<()> {
        for in_flight in IN_FLIGHT {
            for subject in lab.turn(&[PLAIN, OUTRIGGER], round) {
                let server = &self.servers[usize::from(subject == OUTRIGGER)];
                let load = Load::usual(Operation::Save, lab.plan.span()).in_flight(in_flight);
                let outcome = lab.run(server, &load)?;
                let what = format!("SaveState through 1 ms, {in_flight} in flight");
                lab.keep(subject, &what, &outcome);
                self.samples.push(subject, &in_flight.to_string(), outcome.latency().p50);
            }
        }
        Ok(())
    }

    fn findings(&self) -> Vec<Finding> {
        let finding = |in_flight: u32| {
            let what = format!("SaveState through 1 ms, {in_flight} in flight: p50 / unbatched");
            let in_flight = in_flight.to_string();
            let ratios = self.samples.ratios((OUTRIGGER, &in_flight), (PLAIN, &in_flight));
            Finding::new(what, "x", ratios, TARGET)
        };
        IN_FLIGHT.map(finding).into()
    }
}
