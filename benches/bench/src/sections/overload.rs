//! Ten times as many calls as Redis can serve: what is refused is refused at once, memory stays
//! bounded, Redis is kept busy, and the health endpoint answers.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::Context as _;

use super::Section;
use crate::{
    http_probe::{LIMIT, status_of},
    lab::{Lab, OUTRIGGER},
    load::{Load, Operation, Outcome, Pace, Span},
    process::Memory,
    proxy::{Effect, Proxy},
    series::megabytes,
    verdict::{Finding, Target},
};

/// Commands a second that reach Redis. A GetState is one command.
const CAP: u32 = 2_000;
/// Calls a second.
const OFFERED: f64 = 20_000.0;
/// Enough that the streams of a connection are not what holds calls back.
const CONNECTIONS: u32 = 64;
/// Seconds until the queues are full.
const WARM_UP: f64 = 1.0;
/// How often health is asked for.
const PROBE: Duration = Duration::from_millis(10);
/// What one probe may take; the issue's bound for health is ours for refusals.
const AT_ONCE_MS: f64 = 100.0;

struct Overload(Vec<Finding>);

pub fn open(_: &mut Lab) -> anyhow::Result<Box<dyn Section>> {
    Ok(Box::new(Overload(Vec::new())))
}

impl Section for Overload {
    fn round(&mut self, lab: &mut Lab, _round: usize) -> anyhow::Result<()> {
        let proxy = Proxy::start(lab.redis.address(), Effect::Cap(CAP))?;
        let server = lab.start_outrigger("overload", proxy.address())?;
        thread::sleep(Duration::from_secs(1));
        let idle = server.program.memory(Memory::Resident)?;
        let probe = Probe::start(server.http.context("a sidecar has an HTTP port")?);
        let span = Span::Seconds { counted: lab.plan.overload, warm_up: WARM_UP };
        let mut load = Load::usual(Operation::Get, span);
        load.pace = Pace::PerSecond(OFFERED);
        load.connections = CONNECTIONS;
        load.refusals_expected = true;
        let outcome = lab.run(&server, &load)?;
        let passed = proxy.passed();
        let slowest = probe.end()?;
        let peak = server.program.memory(Memory::Peak)?;
        lab.keep(OUTRIGGER, "GetState, 20,000/s offered, Redis capped at 2,000/s", &outcome);
        self.0 = judged(&outcome, megabytes(peak.saturating_sub(idle)), slowest);
        let whole = lab.plan.overload + WARM_UP;
        let asked = count(passed) / whole / f64::from(CAP);
        self.0.push(Finding::told("overload: what Redis was asked / cap", "x", vec![asked]));
        Ok(())
    }

    fn findings(&self) -> Vec<Finding> {
        self.0.clone()
    }
}

fn judged(outcome: &Outcome, memory: f64, health: Duration) -> Vec<Finding> {
    let per_second = |calls: u64| count(calls) / outcome.seconds;
    let goodput = per_second(outcome.calls) / f64::from(CAP);
    let refused = outcome.refused_latency_us.filter(|_| outcome.failed() > 0);
    let refused_ms = refused.map(|latency| latency.p99 / 1e3);
    let other: u64 =
        outcome.errors.iter().filter(|(kind, _)| !is_refusal(kind)).map(|(_, calls)| calls).sum();
    vec![
        Finding::new("overload: peak memory over idle", "MB", vec![memory], Target::at_most(64.0)),
        Finding::new("overload: goodput / cap", "x", vec![goodput], Target::at_least(0.95)),
        Finding::new(
            "overload: p99 of what is refused",
            "ms",
            refused_ms.into_iter().collect(),
            Target::at_most(AT_ONCE_MS),
        ),
        Finding::new(
            "overload: calls that fail otherwise than RESOURCE_EXHAUSTED",
            "",
            vec![count(other)],
            Target::at_most(0.0),
        ),
        Finding::new(
            "overload: slowest answer of healthz",
            "ms",
            vec![health.as_secs_f64() * 1e3],
            Target::at_most(100.0),
        ),
    ]
}

#[expect(clippy::cast_precision_loss, reason = "counts of calls are far below 2^52")]
fn count(calls: u64) -> f64 {
    calls as f64
}

fn is_refusal(kind: &str) -> bool {
    kind.replace('_', "").eq_ignore_ascii_case("RESOURCEEXHAUSTED")
}

/// Asks for health again and again.
struct Probe {
    ended: Arc<AtomicBool>,
    thread: JoinHandle<Duration>,
}

impl Probe {
    fn start(address: SocketAddr) -> Self {
        let ended = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&ended);
        let thread = thread::spawn(move || {
            let mut slowest = Duration::ZERO;
            while !stop.load(Ordering::Acquire) {
                let begin = Instant::now();
                let healthy = status_of(address, "/v1.0/healthz").is_ok_and(|status| status == 204);
                // No answer, or another one, is as bad as one that comes too late.
                slowest = slowest.max(if healthy { begin.elapsed() } else { LIMIT });
                thread::sleep(PROBE);
            }
            slowest
        });
        Self { ended, thread }
    }

    fn end(self) -> anyhow::Result<Duration> {
        self.ended.store(true, Ordering::Release);
        self.thread.join().map_err(|_| anyhow::anyhow!("the probe of healthz panicked"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdict::Verdict;

    fn outcome(calls: u64, errors: &str, refused: &str) -> Outcome {
        let json = format!(
            r#"{{"calls": {calls}, "errors": {errors}, "seconds": 20.0,
            "calls_per_second": 20000.0,
            "latency_us": {{"p50":1,"p90":1,"p99":1,"p99.9":1,"max":1,"mean":1}},
            "refused_latency_us": {refused}, "generator_busy": 0.5, "watched": {{}}}}"#
        );
        serde_json::from_str(&json).expect("an outcome")
    }

    const REFUSED: &str = r#"{"p50":1,"p90":1,"p99":1500,"p99.9":1,"max":1,"mean":1}"#;

    fn verdicts(outcome: &Outcome, health: Duration) -> Vec<Verdict> {
        judged(outcome, 10.0, health).iter().map(Finding::verdict).collect()
    }

    #[test]
    fn what_is_refused_by_name_and_at_once_passes() {
        let outcome = outcome(39_000, r#"{"RESOURCE_EXHAUSTED": 361000}"#, REFUSED);
        let found = judged(&outcome, 10.0, Duration::from_millis(3));
        assert_eq!(found[1].samples, [0.975]);
        assert!(found.iter().all(|finding| finding.verdict() == Verdict::Pass), "{found:?}");
    }

    #[test]
    fn an_overload_without_refusals_or_with_other_failures_does_not() {
        let nobody = verdicts(&outcome(39_000, "{}", "null"), Duration::from_millis(3));
        assert_eq!(nobody[2], Verdict::Missing);
        let dead = verdicts(&outcome(1_000, r#"{"UNAVAILABLE": 399000}"#, REFUSED), LIMIT);
        assert_eq!(dead[1], Verdict::Fail, "goodput");
        assert_eq!(dead[3], Verdict::Fail, "a failure of another kind");
        assert_eq!(dead[4], Verdict::Fail, "health");
    }
}
