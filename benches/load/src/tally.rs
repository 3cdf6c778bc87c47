//! What is counted while calls are made.

use std::{collections::BTreeMap, time::Duration};

use serde::Serialize;

use crate::{failure::Failure, histogram::Histogram};

/// A call this much behind its time started late.
const LATE: Duration = Duration::from_millis(1);

/// What is counted; times are held in nanoseconds.
#[derive(Debug)]
pub struct Tally {
    /// Calls that were answered as they should be.
    pub calls: u64,
    /// The others.
    pub errors: BTreeMap<Failure, u64>,
    right: Histogram,
    failed: Histogram,
    late: u64,
    greatest_lag: Duration,
}

impl Tally {
    /// Nothing yet.
    pub fn new() -> Self {
        Self {
            calls: 0,
            errors: BTreeMap::new(),
            right: Histogram::new(),
            failed: Histogram::new(),
            late: 0,
            greatest_lag: Duration::ZERO,
        }
    }

    /// Counts one call that took this long.
    pub fn count(&mut self, result: Result<(), Failure>, took: Duration) {
        let histogram = match result {
            Ok(()) => {
                self.calls += 1;
                &mut self.right
            }
            Err(failure) => {
                *self.errors.entry(failure).or_default() += 1;
                &mut self.failed
            }
        };
        histogram.record(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
    }

    /// Counts how far behind its time one call started.
    pub fn started(&mut self, lag: Duration) {
        self.late += u64::from(lag > LATE);
        self.greatest_lag = self.greatest_lag.max(lag);
    }

    /// All calls that ended one way or the other.
    pub fn ended(&self) -> u64 {
        self.calls + self.errors.values().sum::<u64>()
    }

    /// How long the right answers took.
    pub fn latency(&self) -> Option<Latency> {
        Latency::of(&self.right)
    }

    /// How long the failures took.
    pub fn refused_latency(&self) -> Option<Latency> {
        Latency::of(&self.failed)
    }

    /// What started late.
    pub fn late(&self) -> Late {
        Late { calls: self.late, greatest_lag_us: micros(self.greatest_lag.as_nanos() as f64) }
    }
}

/// Percentiles in microseconds.
#[derive(Debug, Serialize)]
pub struct Latency {
    p50: f64,
    p90: f64,
    p99: f64,
    #[serde(rename = "p99.9")]
    p99_9: f64,
    max: f64,
    mean: f64,
}

impl Latency {
    /// None of nothing.
    fn of(times: &Histogram) -> Option<Self> {
        let at = |part| Some(micros(times.quantile(part)? as f64));
        Some(Self {
            p50: at(0.5)?,
            p90: at(0.9)?,
            p99: at(0.99)?,
            p99_9: at(0.999)?,
            max: at(1.0)?,
            mean: micros(times.mean()?),
        })
    }
}

/// Calls of an open loop that started over a millisecond after their time.
#[derive(Debug, Serialize)]
pub struct Late {
    calls: u64,
    greatest_lag_us: f64,
}

/// Nanoseconds as microseconds with one decimal.
pub fn micros(nanos: f64) -> f64 {
    (nanos / 100.0).round() / 10.0
}
