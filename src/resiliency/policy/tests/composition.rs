//! Pairs of policies, and callers that leave.

use super::*;

const HUNG_UP: Duration = Duration::from_millis(10);

/// Breaks a breaker and waits until it is half-open.
async fn half_open(max_requests: u32) -> Arc<Breaker> {
    let breaker = breaker(max_requests, 5 * SECOND, "true");
    let policy = Policy::new(OPERATION, None, Some(Arc::clone(&breaker)), None);
    let told = Target::down().run(&policy, &Call::default()).await;
    assert_eq!(told, Err(PolicyError::Operation(Trouble::Down)));
    sleep(5 * SECOND).await;
    assert_eq!(breaker.state(), State::HalfOpen);
    breaker
}

#[tokio::test(start_paused = true)]
async fn every_retry_has_a_timeout_of_its_own() {
    let policy = Policy::new(OPERATION, Some(SECOND), None, constant(2 * SECOND, Some(2)));
    let target = Target::slow(10 * SECOND);
    assert_eq!(target.run(&policy, &Call::default()).await, Err(PolicyError::TimedOut));
    assert_eq!(target.asked.take(), [0.0, 3.0, 6.0]);
    assert_eq!(target.started.elapsed(), 7 * SECOND);
}

// The story of the quickstart: redis is gone for half a minute.
#[tokio::test(start_paused = true)]
async fn a_sleeping_retry_becomes_the_probe_that_closes_the_circuit() {
    let log = CapturedLog::start();
    let breaker = breaker(1, 5 * SECOND, "consecutiveFailures >= 5");
    let policy = Policy::new(OPERATION, None, Some(breaker), constant(5 * SECOND, None));
    let target = Target::down_for(28 * SECOND);
    let meanwhile = async {
        sleep(22 * SECOND).await;
        let told = Target::down().run(&policy, &Call::default()).await;
        (told, target.started.elapsed())
    };
    let call = Call::default();
    let (told, rejected) = tokio::join!(target.run(&policy, &call), meanwhile);
    assert_eq!(told, Ok("value"));
    assert_eq!(rejected, (Err(PolicyError::CircuitOpen), 22 * SECOND));
    assert_eq!(target.asked.take(), [0.0, 5.0, 10.0, 15.0, 20.0, 25.0, 30.0]);
    let expected = [
        "WARN dapr.runtime: Error processing operation component[statestore] output. \
         Retrying in 5s…",
        "INFO dapr.runtime: Circuit breaker \"simpleCB-statestore\" changed state \
         from closed to open",
        "INFO dapr.runtime: Circuit breaker \"simpleCB-statestore\" changed state \
         from open to half-open",
        "INFO dapr.runtime: Circuit breaker \"simpleCB-statestore\" changed state \
         from half-open to open",
        "INFO dapr.runtime: Circuit breaker \"simpleCB-statestore\" changed state \
         from open to half-open",
        "INFO dapr.runtime: Circuit breaker \"simpleCB-statestore\" changed state \
         from half-open to closed",
        "INFO dapr.runtime: Recovered processing operation component[statestore] output \
         after 7 attempts",
    ];
    assert_eq!(log.usual_lines(), expected);
}

#[tokio::test(start_paused = true)]
async fn a_retry_as_long_as_the_open_period_is_never_too_early() {
    for nanos in [1, 999, 1_000_000, 1_500_000, 33_333_333, 999_999_999, 5_000_000_001] {
        let period = Duration::from_nanos(nanos);
        let breaker = breaker(1, period, "true");
        let policy = Policy::new(OPERATION, None, Some(breaker), constant(period, Some(20)));
        let target = Target::down();
        let told = target.run(&policy, &Call::default()).await;
        assert_eq!(told, Err(PolicyError::Operation(Trouble::Down)), "{period:?}");
        assert_eq!(target.asked.take().len(), 21, "{period:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_retry_that_comes_too_early_ends_the_call() {
    let breaker = breaker(1, 5 * SECOND, "consecutiveFailures >= 2");
    let policy = Policy::new(OPERATION, None, Some(breaker), constant(2 * SECOND, None));
    let target = Target::down();
    assert_eq!(target.run(&policy, &Call::default()).await, Err(PolicyError::CircuitOpen));
    assert_eq!(target.asked.take(), [0.0, 2.0]);
    assert_eq!(target.started.elapsed(), 4 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn timeouts_open_the_circuit() {
    let breaker = breaker(1, 60 * SECOND, "consecutiveFailures >= 2");
    let policy = Policy::new(OPERATION, Some(SECOND), Some(breaker), constant(2 * SECOND, None));
    let target = Target::slow(10 * SECOND);
    assert_eq!(target.run(&policy, &Call::default()).await, Err(PolicyError::CircuitOpen));
    assert_eq!(target.asked.take(), [0.0, 3.0]);
}

#[tokio::test(start_paused = true)]
async fn an_answer_of_no_is_a_success_for_the_circuit() {
    let breaker = breaker(1, 60 * SECOND, "consecutiveFailures >= 2");
    let policy = Policy::new(OPERATION, None, Some(Arc::clone(&breaker)), None);
    for trouble in [Trouble::Down, Trouble::Conflict, Trouble::Down] {
        let told = policy.attempt(&Call::default(), async { Err::<(), _>(trouble) }).await;
        assert_eq!(told, Err(PolicyError::Operation(trouble)));
    }
    assert_eq!(breaker.state(), State::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_probe_whose_caller_hung_up_gives_its_slot_back() {
    let breaker = half_open(1).await;
    let policy = Policy::new(OPERATION, None, Some(Arc::clone(&breaker)), constant(SECOND, None));
    let call = Call::default();
    let probe = policy.run(&call, pending::<Result<(), Trouble>>);
    assert!(tokio::time::timeout(HUNG_UP, probe).await.is_err());
    assert_eq!(breaker.state(), State::HalfOpen);
    assert_eq!(Target::slow(HUNG_UP).run(&policy, &call).await, Ok("value"));
    assert_eq!(breaker.state(), State::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_probe_cut_by_its_callers_deadline_decides_nothing() {
    let breaker = half_open(1).await;
    let policy = Policy::new(OPERATION, Some(8 * SECOND), Some(Arc::clone(&breaker)), None);
    let slow = Target::slow(10 * SECOND);
    let told = slow.run(&policy, &within(2 * SECOND)).await;
    assert_eq!(told, Err(PolicyError::DeadlineExceeded));
    assert_eq!(breaker.state(), State::HalfOpen);
    // The policy's own timeout does decide.
    assert_eq!(slow.run(&policy, &within(9 * SECOND)).await, Err(PolicyError::TimedOut));
    assert_eq!(breaker.state(), State::Open);
}

#[tokio::test(start_paused = true)]
async fn a_caller_who_is_too_late_takes_no_slot() {
    let breaker = half_open(1).await;
    let policy = Policy::new(OPERATION, None, Some(Arc::clone(&breaker)), None);
    let told = Target::down().run(&policy, &within(Duration::ZERO)).await;
    assert_eq!(told, Err(PolicyError::DeadlineExceeded));
    assert_eq!(Target::slow(HUNG_UP).run(&policy, &Call::default()).await, Ok("value"));
}

#[tokio::test(start_paused = true)]
async fn a_caller_who_hangs_up_between_two_attempts_leaves_the_circuit_alone() {
    let breaker = breaker(1, 60 * SECOND, "totalFailures >= 2");
    let policy = Policy::new(OPERATION, None, Some(Arc::clone(&breaker)), constant(SECOND, None));
    let target = Target::down();
    let call = Call::default();
    assert!(tokio::time::timeout(HUNG_UP, target.run(&policy, &call)).await.is_err());
    sleep(10 * SECOND).await;
    assert_eq!(target.asked.take(), [0.0]);
    assert_eq!(breaker.state(), State::Closed);
}

#[tokio::test(start_paused = true)]
async fn probes_beyond_the_allowed_ones_are_rejected_and_not_retried() {
    let breaker = half_open(2).await;
    let policy = Policy::new(OPERATION, None, Some(Arc::clone(&breaker)), constant(SECOND, None));
    let call = Call::default();
    let target = Target::slow(SECOND);
    let told = tokio::join!(
        target.run(&policy, &call),
        target.run(&policy, &call),
        target.run(&policy, &call),
    );
    assert_eq!(told, (Ok("value"), Ok("value"), Err(PolicyError::TooManyRequests)));
    assert_eq!(target.asked.take().len(), 2);
    assert_eq!(breaker.state(), State::Closed);
}

#[tokio::test(start_paused = true)]
async fn an_operation_that_panics_counts_as_a_failure() {
    let breaker = half_open(1).await;
    let policy = Policy::new(OPERATION, Some(SECOND), Some(Arc::clone(&breaker)), None);
    let running = async move {
        let operation = || async {
            sleep(HUNG_UP).await;
            std::panic::resume_unwind(Box::new("the operation panicked"))
        };
        policy.run(&Call::default(), operation).await
    };
    let ended: Result<Result<(), PolicyError<Trouble>>, _> = tokio::spawn(running).await;
    assert!(ended.unwrap_err().is_panic());
    assert_eq!(breaker.state(), State::Open);
}

#[tokio::test(start_paused = true)]
async fn a_rejected_operation_is_not_even_made() {
    let breaker = breaker(1, 60 * SECOND, "true");
    let policy = Policy::new(OPERATION, None, Some(breaker), None);
    let mut made = 0;
    for _ in 0..3 {
        let operation = || {
            made += 1;
            std::future::ready(Err::<(), _>(Trouble::Down))
        };
        assert!(policy.run(&Call::default(), operation).await.is_err());
    }
    assert_eq!(made, 1);
}

#[tokio::test(start_paused = true)]
async fn retries_without_a_pause_leave_others_their_turn() {
    let policy = Policy::new(OPERATION, None, None, constant(Duration::ZERO, None));
    let call = Call::default();
    let mut endless = pin!(policy.run(&call, || async { Err::<(), _>(Trouble::Down) }));
    // Were it never to yield, this poll would not return.
    assert!((&mut endless).now_or_never().is_none());
}
