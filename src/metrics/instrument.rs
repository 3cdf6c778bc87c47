//! What a call touches: counters and histograms of relaxed atomics.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

/// The latency buckets where a Configuration says nothing, in milliseconds.
pub const LATENCY_MILLIS: [u64; 34] = [
    1, 2, 3, 4, 5, 6, 8, 10, 13, 16, 20, 25, 30, 40, 50, 65, 80, 100, 130, 160, 200, 250, 300, 400,
    500, 650, 800, 1000, 2000, 5000, 10_000, 20_000, 50_000, 100_000,
];

/// The size buckets, in bytes.
pub const SIZES: [u64; 13] = [
    1 << 10,
    2 << 10,
    4 << 10,
    16 << 10,
    64 << 10,
    256 << 10,
    1 << 20,
    4 << 20,
    16 << 20,
    64 << 20,
    256 << 20,
    1 << 30,
    4 << 30,
];

/// Counts up.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// One more.
    pub fn add_one(&self) {
        self.add(1);
    }

    /// Several more.
    pub fn add(&self, count: u64) {
        self.0.fetch_add(count, Relaxed);
    }

    /// How many so far.
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// The upper bounds of a histogram's buckets, shared by all histograms of a kind.
#[derive(Clone, Debug)]
pub struct Buckets {
    bounds: Arc<[u64]>,
    /// How many recorded units one printed unit has.
    scale: u64,
}

impl Buckets {
    /// Bounds in the unit in which is recorded.
    pub fn whole(bounds: &[u64]) -> Self {
        Self { bounds: bounds.into(), scale: 1 }
    }

    /// Bounds in milliseconds for times that are recorded in nanoseconds.
    pub fn of_nanos(millis: &[u64]) -> Self {
        const NANOS: u64 = 1_000_000;
        let bounds = millis.iter().map(|bound| bound.saturating_mul(NANOS));
        Self { bounds: bounds.collect(), scale: NANOS }
    }
}

/// Counts what is recorded by size, and adds it up.
#[derive(Debug)]
pub struct Histogram {
    buckets: Buckets,
    /// One for each bound, and one for what is greater than all.
    counts: Box<[AtomicU64]>,
    sum: AtomicU64,
}

/// A histogram at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot {
    /// Each bound with how many were not greater, in rising order.
    pub cumulative: Vec<(f64, u64)>,
    /// How many there were.
    pub count: u64,
    /// All added up.
    pub sum: f64,
}

impl Histogram {
    /// An empty one.
    pub fn new(buckets: &Buckets) -> Self {
        let counts = (0..=buckets.bounds.len()).map(|_| AtomicU64::default()).collect();
        Self { buckets: buckets.clone(), counts, sum: AtomicU64::default() }
    }

    /// Records one value.
    pub fn record(&self, value: u64) {
        let bucket = self.buckets.bounds.partition_point(|bound| *bound < value);
        self.counts[bucket].fetch_add(1, Relaxed);
        self.sum.fetch_add(value, Relaxed);
    }

    /// How many values were recorded.
    pub fn count(&self) -> u64 {
        self.counts.iter().map(|count| count.load(Relaxed)).sum()
    }

    /// What is in it now.
    pub fn snapshot(&self) -> Snapshot {
        let mut total = 0;
        let mut cumulative = Vec::with_capacity(self.buckets.bounds.len());
        for (bound, count) in self.buckets.bounds.iter().zip(&self.counts) {
            total += count.load(Relaxed);
            cumulative.push((self.printed(*bound), total));
        }
        let above = self.counts.last().map_or(0, |count| count.load(Relaxed));
        let sum = self.printed(self.sum.load(Relaxed));
        Snapshot { cumulative, count: total + above, sum }
    }

    // Beyond 2^53 the last digits are lost, as in every Prometheus value.
    fn printed(&self, recorded: u64) -> f64 {
        recorded as f64 / self.buckets.scale as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_counted_in_the_first_bucket_that_holds_it() {
        let histogram = Histogram::new(&Buckets::whole(&[1, 2, 5]));
        for value in [0, 1, 2, 3, 5, 6, 1000] {
            histogram.record(value);
        }
        let Snapshot { cumulative, count, sum } = histogram.snapshot();
        assert_eq!(cumulative, [(1.0, 2), (2.0, 3), (5.0, 5)]);
        assert_eq!((count, sum, histogram.count()), (7, 1017.0, 7));
    }

    #[test]
    fn times_are_recorded_finer_than_they_are_printed() {
        let histogram = Histogram::new(&Buckets::of_nanos(&[1, 2]));
        histogram.record(1_000_000);
        histogram.record(1_000_001);
        histogram.record(250_000);
        let Snapshot { cumulative, count, sum } = histogram.snapshot();
        assert_eq!(cumulative, [(1.0, 2), (2.0, 3)]);
        assert_eq!((count, sum), (3, 2.250_001));
    }

    #[test]
    fn nothing_is_lost_between_threads() {
        let histogram = Histogram::new(&Buckets::whole(&SIZES));
        let counter = Counter::default();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for value in 0..1000 {
                        histogram.record(value * 7);
                        counter.add_one();
                    }
                });
            }
        });
        assert_eq!((histogram.count(), counter.get()), (4000, 4000));
    }

    #[test]
    fn bounds_rise() {
        assert!(LATENCY_MILLIS.is_sorted() && SIZES.is_sorted());
    }
}
