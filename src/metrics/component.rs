//! The calls of the state API on one store.

use std::time::Duration;

use tokio::time::Instant;

use super::{
    families,
    instrument::{Buckets, Counter, Histogram, LATENCY_MILLIS},
    text::Scrape,
};

/// What is asked of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Read one key.
    Get,
    /// Save one or more values.
    Set,
    /// Delete one key.
    Delete,
    /// Read several keys.
    BulkGet,
    /// Delete several keys.
    BulkDelete,
    /// Save and delete as a transaction.
    Transaction,
    /// Query.
    Query,
}

const OPERATIONS: [&str; 7] =
    ["get", "set", "delete", "bulk_get", "bulk_delete", "transaction", "query"];

/// What came of a call or of an attempt: the closed set of the label `class`. What follows from
/// each stands in `api/failures.rs`.
// In this order: of several failures of one call the last one here is what the call's caller hears.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// It did what was asked.
    Ok,
    /// The store answered "no" and would again.
    Refused,
    /// The TTL is none.
    BadTtl,
    /// Another version was found than the caller expects.
    Conflict,
    /// The etag is none.
    BadEtag,
    /// The store answered "no" to a retry, and an earlier attempt may have been carried out.
    Unclear,
    /// It was carried out, and the store does not say whether its replicas have it.
    Unconfirmed,
    /// The store answered that it cannot work now.
    Unavailable,
    /// There was no connection: nothing was sent.
    Unreachable,
    /// No answer came: it may have been carried out.
    Lost,
    /// An attempt took longer than the policy allows.
    Timeout,
    /// The caller's own deadline came first.
    DeadlineExceeded,
    /// The circuit breaker is open.
    BreakerOpen,
    /// The circuit breaker is half-open and has its probes.
    ProbesExhausted,
    /// The caller left, or the sidecar ended first.
    Abandoned,
}

const CLASSES: [&str; 15] = [
    "ok",
    "refused",
    "bad_ttl",
    "conflict",
    "bad_etag",
    "unclear",
    "unconfirmed",
    "unavailable",
    "unreachable",
    "lost",
    "timeout",
    "deadline_exceeded",
    "breaker_open",
    "probes_exhausted",
    "abandoned",
];

impl Class {
    /// The label's value.
    pub fn as_str(self) -> &'static str {
        CLASSES[self as usize]
    }
}

/// What is counted for one store.
#[derive(Debug)]
pub struct ComponentMeters {
    operations: [OperationMeters; OPERATIONS.len()],
}

#[derive(Debug)]
struct OperationMeters {
    failed: Histogram,
    succeeded: Histogram,
    outcomes: [Counter; CLASSES.len()],
}

impl Default for ComponentMeters {
    fn default() -> Self {
        Self::new(&LATENCY_MILLIS)
    }
}

impl ComponentMeters {
    /// With these latency buckets, in milliseconds.
    pub fn new(latencies: &[u64]) -> Self {
        let buckets = Buckets::of_nanos(latencies);
        let operations = std::array::from_fn(|_| OperationMeters {
            failed: Histogram::new(&buckets),
            succeeded: Histogram::new(&buckets),
            outcomes: Default::default(),
        });
        Self { operations }
    }

    /// A call begins.
    pub fn begin(&self, operation: Operation) -> Timer<'_> {
        let meters = &self.operations[operation as usize];
        Timer { meters, begun: Instant::now(), answered: false, class: Class::Abandoned }
    }

    /// Puts the store's series into a scrape.
    pub fn collect(&self, scrape: &mut Scrape, app_id: &str, namespace: &str, component: &str) {
        for (operation, meters) in OPERATIONS.iter().zip(&self.operations) {
            for (success, latencies) in [("true", &meters.succeeded), ("false", &meters.failed)] {
                let labels = [
                    ("app_id", app_id),
                    ("component", component),
                    ("namespace", namespace),
                    ("operation", operation),
                    ("success", success),
                ];
                let latencies = latencies.snapshot();
                scrape.counter(&families::STATE_COUNT, labels, latencies.count);
                scrape.histogram(&families::STATE_LATENCIES, labels, latencies);
            }
            for (class, count) in CLASSES.iter().zip(&meters.outcomes) {
                let labels = [
                    ("app_id", app_id),
                    ("class", class),
                    ("component", component),
                    ("operation", operation),
                ];
                scrape.counter(&families::OUTCOMES, labels, count.get());
            }
        }
    }
}

/// One call under way. Dropped before its end it says that the caller left.
#[derive(Debug)]
pub struct Timer<'a> {
    meters: &'a OperationMeters,
    begun: Instant,
    answered: bool,
    class: Class,
}

impl Timer<'_> {
    /// The call ended; `answered` is whether its caller hears of a success.
    pub fn end(mut self, answered: bool, class: Class) {
        self.answered = answered;
        self.class = class;
    }
}

impl Drop for Timer<'_> {
    fn drop(&mut self) {
        let latencies = if self.answered { &self.meters.succeeded } else { &self.meters.failed };
        latencies.record(nanos(self.begun.elapsed()));
        self.meters.outcomes[self.class as usize].add_one();
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_call_is_counted_by_its_outcome_and_timed() {
        let meters = ComponentMeters::default();
        let timer = meters.begin(Operation::Get);
        tokio::time::advance(Duration::from_micros(2500)).await;
        timer.end(true, Class::Ok);
        meters.begin(Operation::Set).end(false, Class::Conflict);
        drop(meters.begin(Operation::Set));
        let mut scrape = Scrape::default();
        meters.collect(&mut scrape, "a", "", "s");
        let text = scrape.into_text();
        for line in [
            "dapr_component_state_count{app_id=\"a\",component=\"s\",namespace=\"\",operation=\"get\",success=\"true\"} 1",
            "dapr_component_state_count{app_id=\"a\",component=\"s\",namespace=\"\",operation=\"set\",success=\"false\"} 2",
            "dapr_component_state_latencies_bucket{app_id=\"a\",component=\"s\",namespace=\"\",operation=\"get\",success=\"true\",le=\"2\"} 0",
            "dapr_component_state_latencies_bucket{app_id=\"a\",component=\"s\",namespace=\"\",operation=\"get\",success=\"true\",le=\"3\"} 1",
            "dapr_component_state_latencies_sum{app_id=\"a\",component=\"s\",namespace=\"\",operation=\"get\",success=\"true\"} 2.5",
            "outrigger_state_outcomes_total{app_id=\"a\",class=\"ok\",component=\"s\",operation=\"get\"} 1",
            "outrigger_state_outcomes_total{app_id=\"a\",class=\"conflict\",component=\"s\",operation=\"set\"} 1",
            "outrigger_state_outcomes_total{app_id=\"a\",class=\"abandoned\",component=\"s\",operation=\"set\"} 1",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}:\n{text}");
        }
    }
}
