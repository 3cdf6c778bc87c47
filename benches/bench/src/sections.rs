//! What is measured: a section for each row of the targets, and how long each goes on.

mod bulk;
mod concurrency;
mod cpu;
mod curve;
mod group_commit;
mod http;
pub mod instructions;
mod latency;
mod memory;
mod open_loop;
mod overload;
mod redis_commands;
mod size;
mod start;

use anyhow::Context as _;
pub use concurrency::{IN_FLIGHT, label as concurrency_label};
use serde::Serialize;

use crate::{
    lab::Lab,
    plan::Plan,
    verdict::{Finding, Verdict},
};

/// A part of the measurement.
pub trait Section {
    /// Measures every subject once.
    fn round(&mut self, lab: &mut Lab, round: usize) -> anyhow::Result<()>;

    /// What the rounds so far say.
    fn findings(&self) -> Vec<Finding>;

    /// Leaves everything as it was found.
    fn finish(&mut self, _lab: &mut Lab) -> anyhow::Result<()> {
        Ok(())
    }
}

/// How often a section is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Repeats {
    /// The rounds of the plan, and more while a figure straddles its target.
    Rounds,
    /// As many as there are starts.
    Starts,
    /// A few: what is counted is the same each time.
    Counts,
    /// Once.
    Once,
}

impl Repeats {
    /// At least, and at most.
    fn of(self, plan: &Plan) -> (usize, usize) {
        match self {
            Self::Rounds => (plan.rounds, plan.most_rounds),
            Self::Starts if plan.quick => (plan.starts, plan.starts),
            Self::Starts => (plan.starts, plan.starts * 3),
            Self::Counts => (plan.counts, plan.counts),
            Self::Once => (1, 1),
        }
    }
}

/// Opens a section: starts what it needs beside the usual subjects.
type Open = fn(&mut Lab) -> anyhow::Result<Box<dyn Section>>;

/// The sections in the order in which they are measured.
const SECTIONS: &[(&str, Repeats, Open)] = &[
    ("size", Repeats::Once, size::open),
    ("start", Repeats::Starts, start::open),
    ("redis", Repeats::Counts, redis_commands::open),
    ("cpu", Repeats::Rounds, cpu::open),
    ("http", Repeats::Rounds, http::open),
    ("bulk", Repeats::Rounds, bulk::open),
    ("latency", Repeats::Rounds, latency::open),
    ("concurrency", Repeats::Rounds, concurrency::open),
    ("group-commit", Repeats::Rounds, group_commit::open),
    ("curve", Repeats::Once, curve::open),
    ("open-loop", Repeats::Rounds, open_loop::open),
    ("memory", Repeats::Once, memory::open),
    ("overload", Repeats::Once, overload::open),
    ("instructions", Repeats::Once, instructions::open),
];

/// The names of all sections.
pub fn names() -> impl Iterator<Item = &'static str> {
    SECTIONS.iter().map(|(name, ..)| *name)
}

/// A section that was measured.
#[derive(Debug, Serialize)]
pub struct Measured {
    /// Its name.
    pub section: &'static str,
    /// How many rounds it took.
    pub rounds: usize,
    /// Which figures made it take more rounds than planned.
    pub extended_for: Vec<String>,
    /// How many seconds it took.
    pub seconds: f64,
    /// What was found.
    pub findings: Vec<Finding>,
    /// Why nothing was.
    pub error: Option<String>,
}

/// Measures the sections that are wanted; `tell` hears what is going on. One that fails takes nothing
/// from the others.
pub fn measure(
    lab: &mut Lab,
    wanted: impl Fn(&str) -> bool,
    mut tell: impl FnMut(&str),
) -> Vec<Measured> {
    let mut all = Vec::new();
    for (name, repeats, open) in SECTIONS.iter().filter(|(name, ..)| wanted(name)) {
        tell(name);
        let begin = std::time::Instant::now();
        let run = measure_one(lab, *repeats, *open);
        let error = run.as_ref().err().map(|error| format!("{error:#}"));
        let (rounds, extended_for, findings) = run.unwrap_or_default();
        let seconds = begin.elapsed().as_secs_f64();
        all.push(Measured { section: name, rounds, extended_for, seconds, findings, error });
    }
    all
}

fn measure_one(
    lab: &mut Lab,
    repeats: Repeats,
    open: Open,
) -> anyhow::Result<(usize, Vec<String>, Vec<Finding>)> {
    let mut section = open(lab)?;
    let (rounds, extended_for) = rounds(repeats.of(&lab.plan), |round| {
        section.round(lab, round)?;
        Ok(section.findings())
    })?;
    section.finish(lab)?;
    Ok((rounds, extended_for, section.findings()))
}

/// Measures the rounds; goes on beyond the least while a figure straddles its target. `round` measures
/// one and says what all so far tell.
fn rounds(
    (least, most): (usize, usize),
    mut round: impl FnMut(usize) -> anyhow::Result<Vec<Finding>>,
) -> anyhow::Result<(usize, Vec<String>)> {
    let mut extended_for: Vec<String> = Vec::new();
    for done in 1..=most {
        let findings = round(done - 1).with_context(|| format!("round {done}"))?;
        if done < least {
            continue;
        }
        let straddling = straddling(&findings);
        if straddling.is_empty() {
            return Ok((done, extended_for));
        }
        if done < most {
            let new = straddling.into_iter().filter(|what| !extended_for.contains(what));
            extended_for.extend(new.collect::<Vec<_>>());
        }
    }
    Ok((most, extended_for))
}

fn straddling(findings: &[Finding]) -> Vec<String> {
    let straddles = |finding: &&Finding| finding.verdict() == Verdict::Straddles;
    findings.iter().filter(straddles).map(|finding| finding.what.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdict::Target;

    #[test]
    fn rounds_are_added_only_where_the_machine_decides() {
        let plan = Plan::full(None);
        assert_eq!(Repeats::Rounds.of(&plan), (9, 54));
        assert_eq!(Repeats::Starts.of(&plan), (20, 60));
        assert_eq!(Repeats::Once.of(&plan), (1, 1));
        let quick = Plan::quick(None);
        assert_eq!(Repeats::Rounds.of(&quick), (2, 2));
    }

    /// Rounds in which a figure comes down upon its target from above.
    fn run(samples: &[f64], limits: (usize, usize)) -> (usize, Vec<String>) {
        let measured = rounds(limits, |round| {
            let samples = samples[..=round].to_vec();
            Ok(vec![Finding::new("cost", "x", samples, Target::at_most(1.0))])
        });
        measured.expect("no round fails")
    }

    #[test]
    fn a_figure_that_is_clear_is_not_measured_longer() {
        assert_eq!(run(&[0.9; 9], (3, 9)), (3, vec![]));
        assert_eq!(run(&[1.1; 9], (3, 9)), (3, vec![]), "nor is one that fails");
    }

    #[test]
    fn a_figure_that_straddles_is_measured_until_it_is_clear() {
        let (rounds, extended_for) = run(&[1.1, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9], (2, 9));
        assert!(rounds > 2 && rounds < 9, "{rounds}");
        assert_eq!(extended_for, ["cost"]);
    }

    #[test]
    fn a_figure_that_never_gets_clear_is_given_up() {
        let samples = [1.1, 0.9].repeat(5);
        assert_eq!(run(&samples, (2, 10)), (10, vec!["cost".to_owned()]));
        assert_eq!(run(&samples, (2, 2)), (2, vec![]), "a quick run adds no rounds");
    }

    #[test]
    fn a_round_that_fails_says_which_one() {
        let error = rounds((1, 2), |_| anyhow::bail!("gone")).expect_err("it fails");
        assert_eq!(format!("{error:#}"), "round 1: gone");
    }

    #[test]
    fn sections_have_different_names() {
        let mut found: Vec<_> = names().collect();
        found.sort_unstable();
        found.dedup();
        assert_eq!(found.len(), SECTIONS.len());
    }
}
