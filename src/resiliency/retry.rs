//! Whether and when a call is tried again.

use std::time::Duration;

use tokio::time::Instant;

use super::{
    LOG_TARGET,
    backoff::{Backoff, Pauses},
    fault::{Classify, Retry},
    policy::PolicyError,
};
use crate::{call::Call, go_text, metrics::resiliency::PolicyMeters, timers};

/// How failed attempts are to be repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// How long to wait before each retry.
    pub backoff: Backoff,
    /// How many attempts may follow the first one; `None` for as many as it takes.
    pub max_retries: Option<u32>,
}

/// One call's progress through its retries.
#[derive(Debug)]
pub struct Retries<'a> {
    operation: &'a str,
    plan: Option<Plan>,
    retries: u32,
    timed_out: bool,
    meters: &'a PolicyMeters,
}

#[derive(Debug)]
struct Plan {
    pauses: Pauses,
    max_retries: Option<u32>,
    started: Instant,
}

impl<'a> Retries<'a> {
    /// A call that begins now.
    pub(super) fn start(
        operation: &'a str,
        policy: Option<RetryPolicy>,
        meters: &'a PolicyMeters,
    ) -> Self {
        let plan = policy.map(|RetryPolicy { backoff, max_retries }| Plan {
            pauses: backoff.pauses(),
            max_retries,
            started: Instant::now(),
        });
        Self { operation, plan, retries: 0, timed_out: false, meters }
    }

    /// Waits until it is time for the next attempt. An error means that there is none, and is what
    /// the caller is to be told.
    pub async fn pause_after<E: Classify>(
        &mut self,
        call: &Call,
        failure: PolicyError<E>,
    ) -> Result<(), PolicyError<E>> {
        tracing::debug!(
            target: LOG_TARGET,
            "Error for operation {} was: {}", self.operation, failure.log_text(),
        );
        if matches!(failure, PolicyError::TimedOut) && !std::mem::replace(&mut self.timed_out, true)
        {
            self.meters.timed_out();
        }
        if failure.retry() == Retry::Pointless {
            return Err(failure);
        }
        let Some(pause) = self.plan.as_mut().and_then(|plan| plan.next_pause(self.retries)) else {
            return Err(failure);
        };
        // An attempt that begins when the caller stops waiting is of no use to anybody. The clock
        // of pauses ticks in milliseconds, so one may end a tick late.
        const TICK: Duration = Duration::from_millis(1);
        let wake = Instant::now().checked_add(pause.saturating_add(TICK));
        if call.deadline.is_some_and(|deadline| wake.is_none_or(|wake| wake >= deadline)) {
            tracing::debug!(
                target: LOG_TARGET,
                "Operation {} is not retried: its caller stops waiting before the pause of {} ends",
                self.operation,
                go_text::duration(pause),
            );
            return Err(failure.without_time_to_retry());
        }
        drop(failure);
        self.retries = self.retries.saturating_add(1);
        if self.retries == 1 {
            self.meters.retried();
            tracing::warn!(
                target: LOG_TARGET,
                "Error processing operation {}. Retrying in {}…",
                self.operation,
                go_text::duration(pause),
            );
        }
        timers::sleep(pause).await;
        Ok(())
    }

    /// Notes that the call succeeded after all.
    pub fn succeeded(&mut self) {
        if self.retries > 0 {
            tracing::info!(
                target: LOG_TARGET,
                "Recovered processing operation {} after {} attempts",
                self.operation,
                u64::from(self.retries) + 1,
            );
        }
    }
}

impl Plan {
    fn next_pause(&mut self, retries: u32) -> Option<Duration> {
        if self.max_retries.is_some_and(|max_retries| retries >= max_retries) {
            return None;
        }
        self.pauses.next_pause(self.started.elapsed(), fastrand::f64())
    }
}
