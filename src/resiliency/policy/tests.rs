use std::{cell::RefCell, fmt, future::pending, pin::pin};

use futures_util::FutureExt;
use tokio::time::sleep;

use super::*;
use crate::resiliency::{
    backoff::Backoff,
    captured_log::CapturedLog,
    circuit::{CircuitSettings, State},
    fault::Fault,
    trip::TripRule,
};

mod composition;
mod deadline;
mod single;

const SECOND: Duration = Duration::from_secs(1);
const OPERATION: &str = "component[statestore] output";

#[derive(Clone, Copy, Debug, PartialEq)]
enum Trouble {
    /// The target did not do its work.
    Down,
    /// The target said "no" and would again.
    Conflict,
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.log_text())
    }
}

impl Classify for Trouble {
    fn fault(&self) -> Fault {
        match self {
            Self::Down => Fault { retry: Retry::Worthwhile, outcome: Outcome::Failure },
            Self::Conflict => Fault { retry: Retry::Pointless, outcome: Outcome::Success },
        }
    }

    fn log_text(&self) -> &str {
        match self {
            Self::Down => "connection refused",
            Self::Conflict => "etag mismatch",
        }
    }
}

fn constant(duration: Duration, max_retries: Option<u32>) -> Option<RetryPolicy> {
    Some(RetryPolicy { backoff: Backoff::Constant { duration }, max_retries })
}

fn breaker(max_requests: u32, timeout: Duration, trip: &str) -> Arc<Breaker> {
    let trip = TripRule::parse(trip).unwrap();
    let settings = CircuitSettings::new(max_requests, None, Some(timeout), trip);
    Breaker::new("simpleCB-statestore", settings)
}

fn within(duration: Duration) -> Call {
    Call { deadline: Some(Instant::now() + duration) }
}

/// A target that is down until a moment, and notes when it was asked.
struct Target {
    started: Instant,
    down_for: Duration,
    /// How long an answer takes.
    takes: Duration,
    asked: RefCell<Vec<f64>>,
}

impl Target {
    fn down_for(down_for: Duration) -> Self {
        let asked = RefCell::default();
        Self { started: Instant::now(), down_for, takes: Duration::ZERO, asked }
    }

    fn down() -> Self {
        Self::down_for(Duration::MAX)
    }

    fn slow(takes: Duration) -> Self {
        Self { takes, ..Self::down_for(Duration::ZERO) }
    }

    async fn ask(&self) -> Result<&'static str, Trouble> {
        self.asked.borrow_mut().push(self.seconds());
        sleep(self.takes).await;
        if self.started.elapsed() < self.down_for { Err(Trouble::Down) } else { Ok("value") }
    }

    /// Seconds since the start.
    fn seconds(&self) -> f64 {
        self.started.elapsed().as_secs_f64()
    }

    async fn run(
        &self,
        policy: &Policy,
        call: &Call,
    ) -> Result<&'static str, PolicyError<Trouble>> {
        policy.run(call, || self.ask()).await
    }
}
