use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    time::Duration,
};

use super::*;
use crate::resiliency::{captured_log::CapturedLog, trip::TripRule};

const TIMEOUT: Duration = Duration::from_secs(5);

fn breaker(trip: &str) -> Arc<Breaker> {
    let trip = TripRule::parse(trip).unwrap();
    Breaker::new("cb-store", CircuitSettings::new(1, None, Some(TIMEOUT), trip))
}

fn end(breaker: &Breaker, outcome: Outcome) {
    breaker.admit().unwrap_or_else(|rejected| panic!("{rejected:?}")).finish(outcome);
}

#[tokio::test(start_paused = true)]
async fn every_change_of_state_is_one_log_line() {
    let log = CapturedLog::start();
    let breaker = breaker("consecutiveFailures >= 2");
    end(&breaker, Outcome::Failure);
    end(&breaker, Outcome::Failure);
    assert_eq!(breaker.admit().err(), Some(Rejected::Open));
    tokio::time::advance(TIMEOUT).await;
    end(&breaker, Outcome::Failure);
    tokio::time::advance(TIMEOUT).await;
    assert_eq!(breaker.state(), State::HalfOpen);
    end(&breaker, Outcome::Success);
    let expected = [
        ("closed", "open"),
        ("open", "half-open"),
        ("half-open", "open"),
        ("open", "half-open"),
        ("half-open", "closed"),
    ];
    let expected = expected.map(|(from, to)| {
        let line = "INFO dapr.runtime: Circuit breaker \"cb-store\" changed state from";
        format!("{line} {from} to {to}")
    });
    assert_eq!(log.lines(), expected);
}

#[tokio::test(start_paused = true)]
async fn a_dropped_permit_gives_its_half_open_slot_back() {
    let breaker = breaker("true");
    end(&breaker, Outcome::Failure);
    tokio::time::advance(TIMEOUT).await;
    let probe = breaker.admit();
    assert_eq!(breaker.admit().err(), Some(Rejected::TooManyRequests));
    drop(probe);
    assert!(breaker.admit().is_ok());
    assert_eq!(breaker.state(), State::HalfOpen);
}

#[tokio::test(start_paused = true)]
async fn a_panic_counts_as_a_failure() {
    let breaker = breaker("true");
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        let _permit = breaker.admit();
        std::panic::resume_unwind(Box::new("the operation panicked"));
    }));
    assert!(panicked.is_err());
    assert_eq!(breaker.state(), State::Open);
}

#[tokio::test(start_paused = true)]
async fn threads_share_one_count() {
    let breaker = breaker("consecutiveFailures >= 400");
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..100).for_each(|_| end(&breaker, Outcome::Failure)));
        }
    });
    assert_eq!(breaker.state(), State::Open);
}
