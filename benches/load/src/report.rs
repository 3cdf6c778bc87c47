//! The one JSON object on standard output.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::{
    measure::Counted,
    tally::{Late, Latency},
    watch::Usage,
};

/// What a run found.
#[derive(Debug, Serialize)]
pub struct Report {
    calls: u64,
    errors: BTreeMap<String, u64>,
    seconds: f64,
    calls_per_second: f64,
    latency_us: Option<Latency>,
    refused_latency_us: Option<Latency>,
    watched: BTreeMap<String, Usage>,
    generator_busy: f64,
    late: Late,
}

impl From<Counted> for Report {
    fn from(counted: Counted) -> Self {
        let Counted { seconds, watched, generator_busy, tally } = counted;
        let errors =
            tally.errors.iter().map(|(failure, count)| (failure.name().into_owned(), *count));
        Self {
            calls: tally.calls,
            errors: errors.collect(),
            seconds,
            calls_per_second: (tally.calls as f64 / seconds * 10.0).round() / 10.0,
            latency_us: tally.latency(),
            refused_latency_us: tally.refused_latency(),
            watched,
            generator_busy,
            late: tally.late(),
        }
    }
}
