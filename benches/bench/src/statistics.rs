//! Medians, their spread, and how sure a median is.

/// How often the samples are drawn again to see how far their median may be off.
const RESAMPLES: usize = 2_000;

/// The same samples give the same interval.
const SEED: u64 = 0x006f_7574_7269_6767;

/// What several samples of one figure say.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Summary {
    /// The middle of the samples.
    pub median: f64,
    /// The least sample.
    pub min: f64,
    /// The greatest sample.
    pub max: f64,
    /// The lower end of the 95 % interval of the median.
    pub low: f64,
    /// The upper end of that interval.
    pub high: f64,
}

/// Sums the samples up; nothing comes of no samples or of a sample that is no number.
pub fn summarize(samples: &[f64]) -> Option<Summary> {
    if samples.is_empty() || samples.iter().any(|sample| sample.is_nan()) {
        return None;
    }
    let sorted = sorted(samples);
    let (low, high) = interval_of_median(samples);
    Some(Summary {
        median: middle(&sorted),
        min: sorted[0],
        max: sorted[sorted.len() - 1],
        low,
        high,
    })
}

/// The median; 0 of nothing.
pub fn median(samples: &[f64]) -> f64 {
    if samples.is_empty() { 0.0 } else { middle(&sorted(samples)) }
}

/// What each sample is of its partner: both were taken in the same round, so that what the machine
/// did in that round is in both.
pub fn paired_ratios(samples: &[f64], partners: &[f64]) -> Vec<f64> {
    samples.iter().zip(partners).map(|(sample, partner)| sample / partner).collect()
}

/// The 95 % interval of the median, by drawing the samples again (bootstrap).
fn interval_of_median(samples: &[f64]) -> (f64, f64) {
    let mut random = fastrand::Rng::with_seed(SEED);
    let mut drawn = vec![0.0; samples.len()];
    let mut medians: Vec<f64> = (0..RESAMPLES)
        .map(|_| {
            drawn.fill_with(|| samples[random.usize(..samples.len())]);
            drawn.sort_by(f64::total_cmp);
            middle(&drawn)
        })
        .collect();
    medians.sort_by(f64::total_cmp);
    (medians[RESAMPLES * 25 / 1_000], medians[RESAMPLES * 975 / 1_000 - 1])
}

fn sorted(samples: &[f64]) -> Vec<f64> {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted
}

fn middle(sorted: &[f64]) -> f64 {
    let half = sorted.len() / 2;
    if sorted.len() % 2 == 1 { sorted[half] } else { f64::midpoint(sorted[half - 1], sorted[half]) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
        assert_eq!(median(&[]), 0.0);
    }

    #[test]
    fn a_summary_has_the_ends_and_an_interval_between_them() {
        let samples = [1.0, 1.1, 0.9, 1.05, 0.95, 1.0, 3.0, 1.02, 0.98];
        let summary = summarize(&samples).expect("samples");
        assert_eq!((summary.median, summary.min, summary.max), (1.0, 0.9, 3.0));
        assert!(summary.low >= 0.9 && summary.low <= 1.0, "{summary:?}");
        assert!(summary.high >= 1.0 && summary.high < 1.2, "one outlier widens it: {summary:?}");
        assert_eq!(summarize(&samples), Some(summary), "the same samples, the same interval");
    }

    #[test]
    fn more_samples_make_the_median_surer() {
        let few = [0.8, 1.0, 1.2];
        let many: Vec<f64> = (0..30).flat_map(|_| few).collect();
        let width = |samples: &[f64]| summarize(samples).map(|summary| summary.high - summary.low);
        assert!(width(&many) < width(&few), "{:?} {:?}", width(&many), width(&few));
    }

    #[test]
    fn what_is_no_number_gives_no_summary() {
        assert_eq!(summarize(&[]), None);
        assert_eq!(summarize(&[1.0, f64::NAN]), None);
        let endless = summarize(&[1.0, f64::INFINITY, 1.1]).expect("it is one, and a large one");
        assert_eq!((endless.median, endless.max), (1.1, f64::INFINITY));
        let one = summarize(&[7.0]).expect("a sample");
        assert_eq!((one.low, one.median, one.high), (7.0, 7.0, 7.0));
    }

    #[test]
    fn ratios_are_taken_within_a_round() {
        assert_eq!(paired_ratios(&[2.0, 30.0], &[1.0, 10.0]), [2.0, 3.0]);
        assert_eq!(paired_ratios(&[2.0, 30.0], &[1.0]), [2.0], "an unfinished round is left out");
    }
}
