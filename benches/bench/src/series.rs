//! All runs of one kind: what the table shows of them.

use serde::Serialize;

use crate::load::Outcome;

/// Above this part of a core the load generator may be what is slow.
pub const BUSY: f64 = 0.9;

/// Beyond this part of late calls a p99 says more of the generator than of the subject.
pub const LATE: f64 = 0.01;

/// Runs of the same load against the same subject, a sample each.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Series {
    /// Who was driven.
    pub subject: String,
    /// With what.
    pub what: String,
    /// Processor time a call of the subject, in microseconds.
    pub cpu_us: Vec<f64>,
    /// Processor time a call of Redis, in microseconds.
    pub redis_cpu_us: Vec<f64>,
    /// Calls a second.
    pub calls_per_second: Vec<f64>,
    /// The median time of a call, in microseconds.
    pub p50_us: Vec<f64>,
    /// What nine of ten calls need at most.
    pub p90_us: Vec<f64>,
    /// What 99 of 100 calls need at most.
    pub p99_us: Vec<f64>,
    /// What 999 of 1,000 calls need at most.
    pub p99_9_us: Vec<f64>,
    /// The most resident memory, in MB.
    pub peak_mb: Vec<f64>,
    /// How busy the core was that measures.
    pub busy: Vec<f64>,
    /// The part of the calls of a fixed rate that started late.
    pub late: Vec<f64>,
}

impl Series {
    /// A run, in which the core that measures was as busy as this.
    pub fn one(subject: &str, what: &str, outcome: &Outcome, busy: f64) -> Self {
        let latency = outcome.latency();
        let peak = outcome.watched.get("server").map_or(0, |server| server.rss_bytes_peak);
        Self {
            subject: subject.to_owned(),
            what: what.to_owned(),
            cpu_us: vec![outcome.cpu("server")],
            redis_cpu_us: vec![outcome.cpu("redis")],
            calls_per_second: vec![outcome.calls_per_second],
            p50_us: vec![latency.p50],
            p90_us: vec![latency.p90],
            p99_us: vec![latency.p99],
            p99_9_us: vec![latency.p99_9],
            peak_mb: vec![megabytes(peak)],
            busy: vec![busy],
            late: vec![outcome.late_part()],
        }
    }

    fn append(&mut self, more: Self) {
        for (samples, added) in [
            (&mut self.cpu_us, more.cpu_us),
            (&mut self.redis_cpu_us, more.redis_cpu_us),
            (&mut self.calls_per_second, more.calls_per_second),
            (&mut self.p50_us, more.p50_us),
            (&mut self.p90_us, more.p90_us),
            (&mut self.p99_us, more.p99_us),
            (&mut self.p99_9_us, more.p99_9_us),
            (&mut self.peak_mb, more.peak_mb),
            (&mut self.busy, more.busy),
            (&mut self.late, more.late),
        ] {
            samples.extend(added);
        }
    }
}

/// Every series, in the order in which they began.
#[derive(Clone, Debug, Default, Serialize)]
pub struct SeriesSet(Vec<Series>);

impl SeriesSet {
    /// Adds runs to those of the same kind.
    pub fn add(&mut self, more: Series) {
        let same =
            |series: &&mut Series| series.subject == more.subject && series.what == more.what;
        match self.0.iter_mut().find(same) {
            Some(series) => series.append(more),
            None => self.0.push(more),
        }
    }

    /// All of them.
    pub fn all(&self) -> &[Series] {
        &self.0
    }
}

/// Bytes as megabytes of a million.
#[expect(clippy::cast_precision_loss, reason = "sizes are far below 2^52")]
pub fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome() -> Outcome {
        let json = r#"{"calls": 10, "errors": {"UNAVAILABLE": 2}, "seconds": 1.0,
            "calls_per_second": 10.0,
            "latency_us": {"p50": 1, "p90": 2, "p99": 3, "p99.9": 4, "max": 5, "mean": 1.5},
            "refused_latency_us": null, "generator_busy": 0.5, "late": {"calls": 3, "greatest_lag_us": 1500.0},
            "watched": {"server": {"cpu_us_per_call": 7.5, "cpu_fraction": 0.75,
                "rss_bytes_before": 1, "rss_bytes_peak": 2000000, "rss_bytes_after": 1},
              "redis": {"cpu_us_per_call": 4.5, "cpu_fraction": 0.45,
                "rss_bytes_before": 1, "rss_bytes_peak": 2, "rss_bytes_after": 1}}}"#;
        serde_json::from_str(json).expect("what the load generator prints")
    }

    #[test]
    fn what_the_generator_prints_becomes_a_sample() {
        let outcome = outcome();
        assert_eq!((outcome.failed(), outcome.late_part()), (2, 0.25));
        let series = Series::one("plain", "get", &outcome, 0.5);
        assert_eq!(series.cpu_us, [7.5]);
        assert_eq!(series.p99_9_us, [4.0]);
        assert_eq!(series.peak_mb, [2.0]);
        assert_eq!(series.busy, [0.5]);
        assert_eq!(
            outcome.measuring_core_busy(true),
            0.95,
            "a shared core is as busy as both on it"
        );
        assert_eq!(outcome.measuring_core_busy(false), 0.5);
    }

    #[test]
    fn runs_of_the_same_kind_are_one_series() {
        let mut set = SeriesSet::default();
        for (subject, what) in [("plain", "get"), ("echo", "get"), ("plain", "get")] {
            set.add(Series::one(subject, what, &outcome(), 0.5));
        }
        let found: Vec<_> =
            set.all().iter().map(|series| (&*series.subject, series.cpu_us.len())).collect();
        assert_eq!(found, [("plain", 2), ("echo", 1)]);
    }
}
