//! Subjects that take turns of a fraction of a second. How fast the machine is changes within
//! seconds: what takes turns that quickly is measured at the same speed, and what differs is theirs.

use std::collections::BTreeMap;

use anyhow::Context as _;

use crate::{
    lab::Lab,
    load::{Late, Latency, Load, Outcome, Watched},
    statistics::median,
};

/// How many turns each subject has.
const TURNS: usize = 8;

/// Drives the subjects in turns, each as often as the others, and keeps what came of each as one run
/// for the table. `round` says who begins; the load should be a short one.
pub fn drive(
    lab: &mut Lab,
    subjects: &[&'static str],
    load: &Load,
    what: &str,
    round: usize,
) -> anyhow::Result<Vec<(&'static str, Outcome)>> {
    let mut runs: BTreeMap<_, Vec<Outcome>> = BTreeMap::new();
    for turn in 0..TURNS {
        for subject in lab.turn(subjects, round + turn) {
            let run = lab.ask(subject, load).with_context(|| what.to_owned())?;
            runs.entry(subject).or_default().push(run);
        }
    }
    let joined: Vec<_> = subjects
        .iter()
        .filter_map(|subject| runs.get(subject).map(|runs| (*subject, join(runs))))
        .collect();
    for (subject, outcome) in &joined {
        lab.keep(subject, what, outcome);
    }
    Ok(joined)
}

/// Several runs of one load as one. Of its times of calls each is the median of the runs' own, but for
/// the slowest call, which is that of all.
#[expect(clippy::cast_precision_loss, reason = "counts of calls are far below 2^52")]
fn join(runs: &[Outcome]) -> Outcome {
    let calls: u64 = runs.iter().map(|run| run.calls).sum();
    let seconds: f64 = runs.iter().map(|run| run.seconds).sum();
    let by_time = |of: &dyn Fn(&Outcome) -> f64| {
        runs.iter().map(|run| of(run) * run.seconds).sum::<f64>() / seconds
    };
    let mut errors = BTreeMap::new();
    for (kind, count) in runs.iter().flat_map(|run| &run.errors) {
        *errors.entry(kind.clone()).or_default() += count;
    }
    let names: Vec<_> = runs.first().into_iter().flat_map(|run| run.watched.keys()).collect();
    let watched = names.into_iter().map(|name| {
        let of = |run: &Outcome| run.watched.get(name).copied().unwrap_or_default();
        let used: f64 = runs.iter().map(|run| of(run).cpu_us_per_call * run.calls as f64).sum();
        let watched = Watched {
            cpu_us_per_call: used / calls as f64,
            cpu_fraction: by_time(&|run| of(run).cpu_fraction),
            rss_bytes_peak: runs.iter().map(|run| of(run).rss_bytes_peak).max().unwrap_or_default(),
        };
        (name.clone(), watched)
    });
    Outcome {
        calls,
        errors,
        seconds,
        calls_per_second: calls as f64 / seconds,
        latency_us: Some(median_latency(runs)),
        refused_latency_us: None,
        watched: watched.collect(),
        generator_busy: by_time(&|run| run.generator_busy),
        late: Late { calls: runs.iter().map(|run| run.late.calls).sum() },
    }
}

fn median_latency(runs: &[Outcome]) -> Latency {
    let of = |part: fn(Latency) -> f64| {
        median(&runs.iter().map(|run| part(run.latency())).collect::<Vec<_>>())
    };
    Latency {
        p50: of(|latency| latency.p50),
        p90: of(|latency| latency.p90),
        p99: of(|latency| latency.p99),
        p99_9: of(|latency| latency.p99_9),
        max: runs.iter().map(|run| run.latency().max).fold(0.0, f64::max),
        mean: of(|latency| latency.mean),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(calls: u64, seconds: f64, cpu: f64, p50: f64) -> Outcome {
        let watched =
            Watched { cpu_us_per_call: cpu, cpu_fraction: cpu / 128.0, rss_bytes_peak: calls };
        Outcome {
            calls,
            errors: BTreeMap::from([("late".to_owned(), 1)]),
            seconds,
            calls_per_second: f64::NAN,
            latency_us: Some(Latency { p50, max: 2.0 * p50, ..Latency::default() }),
            refused_latency_us: None,
            watched: BTreeMap::from([("server".to_owned(), watched)]),
            generator_busy: p50 / 64.0,
            late: Late { calls: 2 },
        }
    }

    #[test]
    fn runs_are_joined_by_their_calls_and_their_time() {
        let joined =
            join(&[run(100, 1.0, 16.0, 32.0), run(300, 3.0, 32.0, 96.0), run(0, 0.0, 7.0, 60.0)]);
        assert_eq!((joined.calls, joined.seconds, joined.calls_per_second), (400, 4.0, 100.0));
        assert_eq!(joined.cpu("server"), 28.0);
        let server = joined.watched["server"];
        assert_eq!((server.cpu_fraction, server.rss_bytes_peak), (0.21875, 300));
        assert_eq!((joined.failed(), joined.late.calls), (3, 6));
        assert_eq!(joined.generator_busy, 1.25);
        let latency = joined.latency();
        assert_eq!((latency.p50, latency.max), (60.0, 192.0));
    }
}
