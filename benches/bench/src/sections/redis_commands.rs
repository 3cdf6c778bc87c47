//! What Redis is asked for: scripts a save, and commands an item inside them.

use anyhow::ensure;

use super::Section;
use crate::{
    commandstats::CommandStats,
    lab::{Lab, OUTRIGGER},
    load::{Load, Operation, Span},
    samples::Samples,
    verdict::{Finding, Target},
};

const ITEMS: u32 = 100;
const SAVES: u64 = 20_000;
const BATCHES: u64 = 200;

struct RedisCommands(Samples);

pub fn open(_: &mut Lab) -> anyhow::Result<Box<dyn Section>> {
    Ok(Box::new(RedisCommands(Samples::default())))
}

/// What Redis did during a load, and how many calls that was.
fn counted(lab: &mut Lab, load: &Load, what: &str) -> anyhow::Result<(u64, CommandStats)> {
    let before = lab.redis.command_stats()?;
    let outcome = lab.drive(OUTRIGGER, load, what)?;
    let did = lab.redis.command_stats()?.since(&before);
    let nothing = did.scripts() == 0 || did.on_keys() < outcome.calls;
    ensure!(!nothing, "{what}: {} calls, and Redis did {} only", outcome.calls, did.text());
    Ok((outcome.calls, did))
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
fn per(count: u64, of: u64) -> f64 {
    count as f64 / of as f64
}

impl Section for RedisCommands {
    fn round(&mut self, lab: &mut Lab, round: usize) -> anyhow::Result<()> {
        let saves = Load::usual(Operation::Save, Span::Calls(SAVES));
        let (calls, did) = counted(lab, &saves, "SaveState, counted")?;
        self.0.push(OUTRIGGER, "scripts", per(did.scripts(), calls));
        for (name, ttl) in [("without TTL", None), ("with TTL", Some(600))] {
            let load = Load::usual(Operation::BulkSave, Span::Calls(BATCHES)).in_flight(4);
            // Keys of its own: those with a TTL would have to lose it in the usual saves.
            let key_prefix = format!("counted-{}-", ttl.unwrap_or(0));
            let load = Load { items: ITEMS, ttl, key_prefix, ..load };
            let what = format!("bulk save of {ITEMS} {name}, counted");
            let (calls, did) = counted(lab, &load, &what)?;
            self.0.push(OUTRIGGER, name, per(did.on_keys(), calls * u64::from(ITEMS)));
            if round == 0 {
                let did = did.text();
                lab.notes.push(format!("Redis did for {calls} bulk saves {name}: {did}."));
            }
        }
        Ok(())
    }

    fn findings(&self) -> Vec<Finding> {
        let of = |what| self.0.of(OUTRIGGER, what).to_vec();
        vec![
            Finding::new(
                "script calls per SaveState, 64 in flight",
                "",
                of("scripts"),
                Target::at_most(0.1),
            ),
            Finding::new(
                "commands in the script per item, without TTL",
                "",
                of("without TTL"),
                Target::at_most(2.0),
            ),
            Finding::new(
                "commands in the script per item, with TTL",
                "",
                of("with TTL"),
                Target::at_most(3.0),
            ),
        ]
    }
}
