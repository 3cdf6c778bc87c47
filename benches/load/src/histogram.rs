//! How often each time was seen, told apart to within half a percent, in a fixed space.

/// Each doubling is cut into this many steps; what is below is counted exactly.
const STEPS: u64 = 1 << STEP_BITS;
const STEP_BITS: u32 = 8;
const BUCKETS: usize = (64 - STEP_BITS as usize + 1) << STEP_BITS;

/// Counts numbers of any size.
#[derive(Debug)]
pub struct Histogram {
    buckets: Box<[u64]>,
    count: u64,
    sum: u128,
    max: u64,
}

impl Histogram {
    /// Nothing yet.
    pub fn new() -> Self {
        Self { buckets: vec![0; BUCKETS].into(), count: 0, sum: 0, max: 0 }
    }

    /// Counts one number.
    pub fn record(&mut self, number: u64) {
        self.buckets[bucket(number)] += 1;
        self.count += 1;
        self.sum += u128::from(number);
        self.max = self.max.max(number);
    }

    /// The number that this part of all does not exceed; none of nothing.
    pub fn quantile(&self, part: f64) -> Option<u64> {
        let rank = ((part * self.count as f64).ceil() as u64).clamp(1, self.count.max(1));
        let mut seen = 0;
        let found = self.buckets.iter().position(|count| {
            seen += count;
            seen >= rank
        })?;
        Some(greatest(found).min(self.max))
    }

    /// The mean, exactly.
    pub fn mean(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum as f64 / self.count as f64)
    }
}

fn bucket(number: u64) -> usize {
    let shift = (number | 1).ilog2().saturating_sub(STEP_BITS);
    ((u64::from(shift) << STEP_BITS) + (number >> shift)) as usize
}

/// The greatest number that is counted in this bucket.
fn greatest(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    if bucket < 2 * STEPS {
        return bucket;
    }
    let shift = (bucket >> STEP_BITS) - 1;
    let first = (bucket - (shift << STEP_BITS)) << shift;
    first + ((1 << shift) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_follow_one_another_without_a_gap() {
        for index in 0..BUCKETS {
            let last = greatest(index);
            assert_eq!(bucket(last), index, "{last}");
            if let Some(next) = last.checked_add(1) {
                assert_eq!(bucket(next), index + 1, "{next}");
            }
        }
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn quantiles_are_those_of_the_sorted_numbers_to_within_half_a_percent() {
        let mut random = fastrand::Rng::with_seed(7);
        let mut numbers: Vec<u64> = (0..5000).map(|_| 1 << random.u32(0..40)).collect();
        numbers.iter_mut().for_each(|number| *number += random.u64(0..=*number));
        let mut histogram = Histogram::new();
        numbers.iter().for_each(|number| histogram.record(*number));
        numbers.sort_unstable();
        for part in [0.001, 0.5, 0.9, 0.99, 0.999, 1.0] {
            let rank = (part * numbers.len() as f64).ceil() as usize;
            let (exact, found) = (numbers[rank - 1], histogram.quantile(part).expect("a number"));
            assert!(found >= exact && found - exact <= exact / 200, "{part}: {found}, not {exact}");
        }
    }

    #[test]
    fn there_are_no_percentiles_of_nothing() {
        assert_eq!(Histogram::new().quantile(0.5), None);
        assert_eq!(Histogram::new().mean(), None);
    }
}
