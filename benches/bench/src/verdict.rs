//! A figure, what it must be, and whether it is.

use serde::Serialize;

use crate::statistics::{Summary, summarize};

/// On which side of its target a figure has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// The figure is a cost.
    AtMost,
    /// The figure is a yield.
    AtLeast,
}

/// What a figure must be, and what it should be.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Target {
    /// The side that is good.
    pub side: Side,
    /// A figure beyond this one fails.
    pub must: f64,
    /// What we are after.
    pub aim: Option<f64>,
}

impl Target {
    /// A cost with its ceiling.
    pub const fn at_most(must: f64) -> Self {
        Self { side: Side::AtMost, must, aim: None }
    }

    /// A yield with its floor.
    pub const fn at_least(must: f64) -> Self {
        Self { side: Side::AtLeast, must, aim: None }
    }

    /// The same with what we are after.
    pub const fn aiming_at(mut self, aim: f64) -> Self {
        self.aim = Some(aim);
        self
    }

    fn allows(&self, figure: f64) -> bool {
        match self.side {
            Side::AtMost => figure <= self.must,
            Side::AtLeast => figure >= self.must,
        }
    }
}

/// Whether a figure keeps its target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The whole interval does.
    Pass,
    /// No part of the interval does.
    Fail,
    /// The interval lies on both sides: more rounds have to tell.
    Straddles,
    /// It could not be measured.
    Missing,
    /// It has no target.
    Told,
}

/// One figure of a section, with every sample of it.
#[derive(Clone, Debug, Serialize)]
pub struct Finding {
    /// What was measured.
    pub what: String,
    /// The unit behind the figure.
    pub unit: &'static str,
    /// One sample a round.
    pub samples: Vec<f64>,
    /// What it must be.
    pub target: Option<Target>,
}

impl Finding {
    /// A figure that has to keep a target.
    pub fn new(
        what: impl Into<String>,
        unit: &'static str,
        samples: Vec<f64>,
        target: Target,
    ) -> Self {
        Self { what: what.into(), unit, samples, target: Some(target) }
    }

    /// A figure that is told and not judged.
    pub fn told(what: impl Into<String>, unit: &'static str, samples: Vec<f64>) -> Self {
        Self { what: what.into(), unit, samples, target: None }
    }

    /// What the samples say.
    pub fn summary(&self) -> Option<Summary> {
        summarize(&self.samples)
    }

    /// Whether the target is kept.
    pub fn verdict(&self) -> Verdict {
        match (self.target, self.summary()) {
            (None, _) => Verdict::Told,
            (Some(_), None) => Verdict::Missing,
            (Some(target), Some(summary)) => judge(target, summary),
        }
    }

    /// Whether the median is as good as we want it.
    pub fn reaches_aim(&self) -> bool {
        let Some((target, summary)) = self.target.zip(self.summary()) else { return false };
        let Some(aim) = target.aim else { return false };
        Target { must: aim, ..target }.allows(summary.median)
    }
}

fn judge(target: Target, summary: Summary) -> Verdict {
    match (target.allows(summary.low), target.allows(summary.high)) {
        (true, true) => Verdict::Pass,
        (false, false) => Verdict::Fail,
        _ => Verdict::Straddles,
    }
}

/// Whether every target is kept for sure.
pub fn all_pass<'a>(findings: impl IntoIterator<Item = &'a Finding>) -> bool {
    let good = |finding: &Finding| matches!(finding.verdict(), Verdict::Pass | Verdict::Told);
    findings.into_iter().all(good)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(samples: &[f64], target: Target) -> Finding {
        Finding::new("cost", "x", samples.to_vec(), target)
    }

    #[test]
    fn a_figure_wholly_within_its_target_passes() {
        let good = finding(&[1.0, 1.1, 1.05, 1.02, 1.01], Target::at_most(1.25).aiming_at(1.05));
        assert_eq!(good.verdict(), Verdict::Pass);
        assert!(good.reaches_aim());
        let good = finding(&[0.96, 0.97, 0.98], Target::at_least(0.95));
        assert_eq!(good.verdict(), Verdict::Pass);
        assert!(!good.reaches_aim(), "there is none to reach");
    }

    #[test]
    fn a_figure_wholly_beyond_its_target_fails() {
        assert_eq!(finding(&[1.3, 1.4, 1.35], Target::at_most(1.25)).verdict(), Verdict::Fail);
        assert_eq!(finding(&[0.8, 0.9, 0.85], Target::at_least(0.95)).verdict(), Verdict::Fail);
        assert_eq!(finding(&[16.0], Target::at_most(15.0)).verdict(), Verdict::Fail);
    }

    #[test]
    fn a_figure_on_both_sides_straddles_until_more_samples_tell() {
        let target = Target::at_most(1.25);
        let mut samples = vec![1.2, 1.3, 1.22];
        assert_eq!(finding(&samples, target).verdict(), Verdict::Straddles);
        samples.extend([1.21; 20]);
        assert_eq!(finding(&samples, target).verdict(), Verdict::Pass);
    }

    #[test]
    fn a_figure_that_sits_on_its_target_keeps_it() {
        assert_eq!(finding(&[2.0, 2.0, 2.0], Target::at_most(2.0)).verdict(), Verdict::Pass);
    }

    #[test]
    fn what_was_not_measured_does_not_pass() {
        let none = finding(&[], Target::at_most(1.0));
        assert_eq!(none.verdict(), Verdict::Missing);
        let told = Finding::told("instructions", "", vec![]);
        let good = finding(&[0.5], Target::at_most(1.0));
        assert!(all_pass([&told, &good]));
        assert!(!all_pass([&told, &good, &none]));
        assert!(!all_pass([&finding(&[0.9, 1.1, 1.0], Target::at_most(1.0))]));
    }
}
