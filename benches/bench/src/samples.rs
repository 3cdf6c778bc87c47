//! The samples of a section, by subject and by what was asked of it.

use std::collections::BTreeMap;

use crate::statistics::paired_ratios;

/// Lists of samples under names; the n-th sample of each list is of the n-th round.
#[derive(Clone, Debug, Default)]
pub struct Samples(BTreeMap<String, Vec<f64>>);

impl Samples {
    /// Adds a round's sample.
    pub fn push(&mut self, subject: &str, what: &str, sample: f64) {
        self.0.entry(name(subject, what)).or_default().push(sample);
    }

    /// All samples; none if nothing was measured.
    pub fn of(&self, subject: &str, what: &str) -> &[f64] {
        self.0.get(&name(subject, what)).map_or(&[], Vec::as_slice)
    }

    /// What one subject needs of what another one needs, round by round.
    pub fn ratios(&self, (one, what): (&str, &str), (other, what_other): (&str, &str)) -> Vec<f64> {
        paired_ratios(self.of(one, what), self.of(other, what_other))
    }
}

fn name(subject: &str, what: &str) -> String {
    format!("{subject} {what}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_pair_the_rounds_of_two_subjects() {
        let mut samples = Samples::default();
        for (ours, theirs) in [(10.0, 5.0), (30.0, 10.0)] {
            samples.push("ours", "get", ours);
            samples.push("theirs", "get", theirs);
        }
        assert_eq!(samples.ratios(("ours", "get"), ("theirs", "get")), [2.0, 3.0]);
        assert_eq!(samples.of("ours", "save"), [] as [f64; 0]);
        assert!(samples.ratios(("ours", "save"), ("theirs", "get")).is_empty());
    }
}
