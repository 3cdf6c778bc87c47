//! How often policies were used, and how often they acted.

use super::{families, instrument::Counter, text::Scrape};

/// A breaker's states in the order of their numbers here.
pub const STATES: [&str; 3] = ["closed", "half-open", "open"];

/// What is counted for the policy of one target.
#[derive(Debug, Default)]
pub struct PolicyMeters {
    lookups: Counter,
    lookups_by_state: [Counter; STATES.len()],
    timeouts: Counter,
    retries: Counter,
}

impl PolicyMeters {
    /// A call begins; `breaker` is the number of its breaker's state, if it has one.
    pub fn begin(&self, breaker: Option<usize>) {
        match breaker {
            Some(state) => self.lookups_by_state[state].add_one(),
            None => self.lookups.add_one(),
        }
    }

    /// An attempt of a call was timed out, the first one of that call.
    pub fn timed_out(&self) {
        self.timeouts.add_one();
    }

    /// A call is retried for the first time.
    pub fn retried(&self) {
        self.retries.add_one();
    }
}

/// What is counted for one circuit breaker.
#[derive(Debug, Default)]
pub struct BreakerMeters {
    changes: [Counter; STATES.len()],
}

impl BreakerMeters {
    /// It changed to the state of this number.
    pub fn changed_to(&self, state: usize) {
        self.changes[state].add_one();
    }
}

/// One target with its policies, as a scrape sees it.
#[derive(Debug)]
pub struct Target<'a> {
    /// The app.
    pub app_id: &'a str,
    /// The name of the Resiliency resource that was loaded last.
    pub name: &'a str,
    /// That resource's namespace.
    pub namespace: &'a str,
    /// What the policies are around.
    pub target: &'a str,
    /// What they counted.
    pub meters: &'a PolicyMeters,
    /// Whether there is a timeout.
    pub has_timeout: bool,
    /// Whether there are retries.
    pub has_retry: bool,
    /// The breaker, if there is one: what it counted, and its state's number now.
    pub breaker: Option<(&'a BreakerMeters, usize)>,
}

impl Target<'_> {
    /// Puts the target's series into a scrape.
    pub fn collect(&self, scrape: &mut Scrape) {
        let meters = self.meters;
        let by_state = meters.lookups_by_state.each_ref().map(Counter::get);
        let lookups = meters.lookups.get() + by_state.iter().sum::<u64>();
        for (policy, is_there, activations) in [
            ("timeout", self.has_timeout, &meters.timeouts),
            ("retry", self.has_retry, &meters.retries),
        ] {
            if is_there {
                let labels = self.labels(policy, "");
                scrape.counter(&families::RESILIENCY_COUNT, labels, lookups);
                scrape.counter(&families::RESILIENCY_ACTIVATIONS, labels, activations.get());
            }
        }
        let Some((breaker, state)) = self.breaker else { return };
        for (number, status) in STATES.iter().enumerate() {
            let labels = self.labels("circuitbreaker", status);
            scrape.counter(&families::RESILIENCY_COUNT, labels, by_state[number]);
            let changes = breaker.changes[number].get();
            scrape.counter(&families::RESILIENCY_ACTIVATIONS, labels, changes);
            let is_now = if number == state { 1.0 } else { 0.0 };
            scrape.number(&families::RESILIENCY_CB_STATE, labels, is_now);
        }
        // daprd's fourth state, which no breaker of ours is ever in.
        let labels = self.labels("circuitbreaker", "unknown");
        scrape.number(&families::RESILIENCY_CB_STATE, labels, 0.0);
    }

    fn labels<'s>(&'s self, policy: &'s str, status: &'s str) -> [(&'static str, &'s str); 7] {
        [
            ("app_id", self.app_id),
            ("flow_direction", "outbound"),
            ("name", self.name),
            ("namespace", self.namespace),
            ("policy", policy),
            ("status", status),
            ("target", self.target),
        ]
    }
}
