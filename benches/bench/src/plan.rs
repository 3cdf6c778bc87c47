//! How long everything is measured.

use std::time::Duration;

use serde::Serialize;

use crate::load::Span;

/// The lengths of a whole measurement.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Plan {
    /// A sanity check: nothing of it is for publication.
    pub quick: bool,
    /// Rounds over all subjects.
    pub rounds: usize,
    /// Rounds at most, for figures that lie on both sides of their targets.
    pub most_rounds: usize,
    /// Seconds of a run that are counted.
    pub counted: f64,
    /// Seconds before.
    pub warm_up: f64,
    /// Starts from which a median is taken.
    pub starts: usize,
    /// Rounds of what is counted and does not vary with the machine's mood.
    pub counts: usize,
    /// How long memory may take to go back.
    pub settling: Duration,
    /// What part of the large calls is made before memory has to go back.
    pub large_calls: f64,
    /// The keys of a large store.
    pub many_keys: u32,
    /// How long an overload lasts.
    pub overload: f64,
    /// The calls from which instructions are counted.
    pub traced_calls: u64,
}

impl Plan {
    /// What is published.
    pub fn full(rounds: Option<usize>) -> Self {
        let rounds = rounds.unwrap_or(9);
        Self {
            quick: false,
            rounds,
            most_rounds: rounds * 6,
            counted: 1.2,
            warm_up: 0.3,
            starts: 20,
            counts: 3,
            settling: Duration::from_secs(25),
            large_calls: 1.0,
            many_keys: 1_000_000,
            overload: 20.0,
            traced_calls: 4_000,
        }
    }

    /// Whether everything works.
    pub fn quick(rounds: Option<usize>) -> Self {
        let rounds = rounds.unwrap_or(2);
        Self {
            quick: true,
            rounds,
            most_rounds: rounds,
            counted: 0.3,
            warm_up: 0.1,
            starts: 5,
            counts: 1,
            settling: Duration::from_secs(2),
            large_calls: 0.05,
            many_keys: 20_000,
            overload: 4.0,
            traced_calls: 100,
        }
    }

    /// The time of a usual run.
    pub fn span(&self) -> Span {
        Span::Seconds { counted: self.counted, warm_up: self.warm_up }
    }

    /// A short run: subjects take many turns.
    pub fn short_span(&self) -> Span {
        Span::Seconds { counted: self.counted / 15.0, warm_up: self.warm_up / 6.0 }
    }

    /// So many times the time of a usual run.
    pub fn span_times(&self, factor: f64) -> Span {
        Span::Seconds { counted: self.counted * factor, warm_up: self.warm_up }
    }
}
