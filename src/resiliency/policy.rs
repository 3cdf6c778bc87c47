//! A target's policy: retry around circuit breaker around timeout around an attempt.

use std::{pin::pin, sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{
    breaker::{Breaker, Permit},
    circuit::Rejected,
    fault::{Classify, Outcome, Retry},
    retry::{Retries, RetryPolicy},
};
use crate::{call::Call, metrics::resiliency::PolicyMeters, timers};

#[cfg(test)]
mod tests;

/// What surrounds every call of one target. Clones share the circuit breaker.
#[derive(Clone, Debug)]
pub struct Policy {
    operation: Arc<str>,
    timeout: Option<Duration>,
    breaker: Option<Arc<Breaker>>,
    retry: Option<RetryPolicy>,
    meters: Arc<PolicyMeters>,
}

const DEADLINE_EXCEEDED: &str = "context deadline exceeded";
const CIRCUIT_OPEN: &str = "circuit breaker is open";
const TOO_MANY_REQUESTS: &str = "too many requests";

/// How a call under a policy failed. The texts are what Dapr's clients see.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError<E> {
    /// The operation itself failed.
    #[error("{0}")]
    Operation(E),
    /// An attempt took longer than the policy's timeout.
    #[error("{DEADLINE_EXCEEDED}")]
    TimedOut,
    /// The caller stopped waiting before an attempt could end.
    #[error("{DEADLINE_EXCEEDED}")]
    DeadlineExceeded,
    /// The operation failed, and its caller stops waiting before another attempt could begin.
    #[error("{DEADLINE_EXCEEDED}: no time left to retry: {0}")]
    NoTimeToRetry(E),
    /// The circuit breaker is open.
    #[error("{CIRCUIT_OPEN}")]
    CircuitOpen,
    /// The circuit breaker is half-open and has its probes.
    #[error("{TOO_MANY_REQUESTS}")]
    TooManyRequests,
}

impl<E> PolicyError<E> {
    /// The same failure with another type of the operation's own error.
    pub fn map<F>(self, change: impl FnOnce(E) -> F) -> PolicyError<F> {
        match self {
            Self::Operation(error) => PolicyError::Operation(change(error)),
            Self::TimedOut => PolicyError::TimedOut,
            Self::DeadlineExceeded => PolicyError::DeadlineExceeded,
            Self::NoTimeToRetry(error) => PolicyError::NoTimeToRetry(change(error)),
            Self::CircuitOpen => PolicyError::CircuitOpen,
            Self::TooManyRequests => PolicyError::TooManyRequests,
        }
    }

    /// What the caller of a call is told that failed, and for whose retry it does not wait.
    pub(super) fn without_time_to_retry(self) -> Self {
        match self {
            Self::Operation(error) => Self::NoTimeToRetry(error),
            _ => Self::DeadlineExceeded,
        }
    }
}

impl<E: Classify> PolicyError<E> {
    /// Whether another attempt can end differently. A rejection by the breaker ends the call at
    /// once, even if retries are unlimited, as in daprd.
    pub fn retry(&self) -> Retry {
        match self {
            Self::Operation(error) => error.fault().retry,
            Self::TimedOut => Retry::Worthwhile,
            Self::DeadlineExceeded
            | Self::NoTimeToRetry(_)
            | Self::CircuitOpen
            | Self::TooManyRequests => Retry::Pointless,
        }
    }

    /// The failure in words for the log.
    pub(super) fn log_text(&self) -> &str {
        match self {
            Self::Operation(error) | Self::NoTimeToRetry(error) => error.log_text(),
            Self::TimedOut | Self::DeadlineExceeded => DEADLINE_EXCEEDED,
            Self::CircuitOpen => CIRCUIT_OPEN,
            Self::TooManyRequests => TOO_MANY_REQUESTS,
        }
    }

    /// How the attempt counts for the breaker that let it through.
    pub fn outcome(&self) -> Outcome {
        match self {
            Self::Operation(error) | Self::NoTimeToRetry(error) => error.fault().outcome,
            Self::TimedOut => Outcome::Failure,
            Self::DeadlineExceeded | Self::CircuitOpen | Self::TooManyRequests => {
                Outcome::Abandoned
            }
        }
    }
}

impl<E> From<Rejected> for PolicyError<E> {
    fn from(rejected: Rejected) -> Self {
        match rejected {
            Rejected::Open => Self::CircuitOpen,
            Rejected::TooManyRequests => Self::TooManyRequests,
        }
    }
}

/// Who ends an attempt.
#[derive(Clone, Copy)]
enum Whose {
    /// The policy, by its timeout.
    Policy,
    /// The caller, by the time it waits.
    Caller,
}

impl Policy {
    /// No policy: one attempt, bounded by the caller's deadline only.
    pub fn none(operation: impl Into<Arc<str>>) -> Self {
        Self::new(operation, None, None, None)
    }

    /// A policy of these parts; the operation is what log lines call it.
    pub fn new(
        operation: impl Into<Arc<str>>,
        timeout: Option<Duration>,
        breaker: Option<Arc<Breaker>>,
        retry: Option<RetryPolicy>,
    ) -> Self {
        Self { operation: operation.into(), timeout, breaker, retry, meters: Arc::default() }
    }

    /// What log lines call the operation.
    pub fn operation(&self) -> &str {
        &self.operation
    }

    /// How long one attempt may take.
    pub fn timeout(&self) -> Option<Duration> {
        self.timeout
    }

    /// The circuit breaker every attempt passes.
    pub fn breaker(&self) -> Option<&Arc<Breaker>> {
        self.breaker.as_ref()
    }

    /// How failed attempts are repeated.
    pub fn retry(&self) -> Option<RetryPolicy> {
        self.retry
    }

    /// What was counted.
    pub fn meters(&self) -> &PolicyMeters {
        &self.meters
    }

    /// Runs an operation, again and again if need be, until it succeeds or the policy gives up.
    // Not `AsyncFnMut`: inside a tonic handler its future is not known to be `Send`.
    pub async fn run<T, E, F, Fut>(
        &self,
        call: &Call,
        mut operation: F,
    ) -> Result<T, PolicyError<E>>
    where
        E: Classify,
        F: FnMut() -> Fut,
        Fut: Future<Output = Result<T, E>>,
    {
        let mut retries = self.start();
        loop {
            let outcome = {
                // Made inside the attempt: not at all where the breaker rejects it. Pinned here, so
                // that no layer below moves what it awaits; gone before a pause begins.
                let operation = pin!(async { operation().await });
                self.attempt(call, operation).await
            };
            match outcome {
                Ok(value) => {
                    retries.succeeded();
                    return Ok(value);
                }
                // Boxed, because it is rare and every call would have room for it.
                Err(failure) => Box::pin(retries.pause_after(call, failure)).await?,
            }
        }
    }

    /// Runs an operation once, through the circuit breaker and within the timeout. Give it pinned:
    /// it is handed down through layers that would each move it.
    pub async fn attempt<T, E>(
        &self,
        call: &Call,
        operation: impl Future<Output = Result<T, E>>,
    ) -> Result<T, PolicyError<E>>
    where
        E: Classify,
    {
        // Asked before the breaker: an attempt that cannot end must not take a half-open slot.
        if call.deadline.is_some_and(|deadline| deadline <= Instant::now()) {
            return Err(PolicyError::DeadlineExceeded);
        }
        // From here on every way out, a panic and a dropped future included, drops the permit.
        let permit = match &self.breaker {
            Some(breaker) => Some(breaker.admit()?),
            None => None,
        };
        let limit = self.limit(call, permit.as_ref().map(Permit::since));
        let result = bounded(limit, operation).await;
        if let Some(permit) = permit {
            permit.finish(result.as_ref().err().map_or(Outcome::Success, PolicyError::outcome));
        }
        result
    }

    /// One call's progress, for a caller that writes the loop around [`attempt`](Self::attempt)
    /// itself because its attempts differ.
    pub fn start(&self) -> Retries<'_> {
        self.meters.begin(self.breaker.as_ref().map(|breaker| breaker.noted_state().number()));
        Retries::start(&self.operation, self.retry, &self.meters)
    }

    /// When an attempt has to end, and who wants that; it begins now unless it is known when it did.
    fn limit(&self, call: &Call, since: Option<Instant>) -> Option<(Instant, Whose)> {
        let end = |timeout| since.unwrap_or_else(Instant::now).checked_add(timeout);
        let timeout = self.timeout.and_then(end);
        match (timeout, call.deadline) {
            (Some(timeout), Some(deadline)) if timeout < deadline => Some((timeout, Whose::Policy)),
            (_, Some(deadline)) => Some((deadline, Whose::Caller)),
            (Some(timeout), None) => Some((timeout, Whose::Policy)),
            (None, None) => None,
        }
    }
}

async fn bounded<T, E>(
    limit: Option<(Instant, Whose)>,
    operation: impl Future<Output = Result<T, E>>,
) -> Result<T, PolicyError<E>> {
    // Without a limit no timer is set up.
    let Some((end, whose)) = limit else {
        return operation.await.map_err(PolicyError::Operation);
    };
    match (timers::timeout_at(end, operation).await, whose) {
        (Ok(result), _) => result.map_err(PolicyError::Operation),
        (Err(_), Whose::Policy) => Err(PolicyError::TimedOut),
        (Err(_), Whose::Caller) => Err(PolicyError::DeadlineExceeded),
    }
}
