//! Each part of a policy by itself.

use super::*;

#[tokio::test(start_paused = true)]
async fn without_a_policy_there_is_one_attempt() {
    let target = Target::down();
    let log = CapturedLog::start();
    let told = target.run(&Policy::none(OPERATION), &Call::default()).await;
    assert_eq!(told, Err(PolicyError::Operation(Trouble::Down)));
    assert_eq!(target.asked.take(), [0.0]);
    assert_eq!(log.usual_lines(), Vec::<String>::new());
}

#[test]
fn failures_are_told_in_daprs_words() {
    let texts = [
        (PolicyError::Operation(Trouble::Down), "connection refused"),
        (PolicyError::TimedOut, "context deadline exceeded"),
        (PolicyError::DeadlineExceeded, "context deadline exceeded"),
        (
            PolicyError::NoTimeToRetry(Trouble::Down),
            "context deadline exceeded: no time left to retry: connection refused",
        ),
        (PolicyError::CircuitOpen, "circuit breaker is open"),
        (PolicyError::TooManyRequests, "too many requests"),
    ];
    for (failure, text) in texts {
        assert_eq!(failure.to_string(), text);
        assert_eq!(failure.map(|trouble| trouble).to_string(), text);
    }
}

#[tokio::test(start_paused = true)]
async fn max_retries_counts_the_attempts_after_the_first() {
    for (max_retries, asked) in [(0, vec![0.0]), (1, vec![0.0, 2.0]), (3, vec![0.0, 2.0, 4.0, 6.0])]
    {
        let policy = Policy::new(OPERATION, None, None, constant(2 * SECOND, Some(max_retries)));
        let target = Target::down();
        let told = target.run(&policy, &Call::default()).await;
        assert_eq!(told, Err(PolicyError::Operation(Trouble::Down)));
        assert_eq!(target.asked.take(), asked);
        let since_the_last = target.seconds() - asked[asked.len() - 1];
        assert!(since_the_last < 1.0, "no pause after the last attempt");
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_target_would_say_again_is_not_asked_again() {
    let policy = Policy::new(OPERATION, None, None, constant(SECOND, None));
    let log = CapturedLog::start();
    let mut attempts = 0;
    let told: Result<(), _> = policy
        .run(&Call::default(), || {
            attempts += 1;
            async { Err(Trouble::Conflict) }
        })
        .await;
    assert_eq!((told, attempts), (Err(PolicyError::Operation(Trouble::Conflict)), 1));
    assert_eq!(log.usual_lines(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn exponential_pauses_go_on_for_a_quarter_of_an_hour_at_most() {
    let backoff = Backoff::Exponential { max_interval: 60 * SECOND };
    let retry = RetryPolicy { backoff, max_retries: None };
    let policy = Policy::new(OPERATION, None, None, Some(retry));
    let target = Target::down();
    let told = target.run(&policy, &Call::default()).await;
    assert_eq!(told, Err(PolicyError::Operation(Trouble::Down)));
    let asked = target.asked.take();
    let last = asked[asked.len() - 1];
    assert!((0.25..=0.752).contains(&asked[1]), "{asked:?}");
    // The greatest pause is 90 s.
    assert!((810.0..=900.1).contains(&last), "{asked:?}");
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_takes_too_long_is_dropped() {
    let policy = Policy::new(OPERATION, Some(SECOND), None, None);
    let target = Target::slow(10 * SECOND);
    assert_eq!(target.run(&policy, &Call::default()).await, Err(PolicyError::TimedOut));
    assert_eq!(target.started.elapsed(), SECOND);
    let fast = Target::slow(SECOND);
    assert_eq!(fast.run(&policy, &Call::default()).await, Ok("value"));
}

#[tokio::test(start_paused = true)]
async fn an_attempt_is_cut_when_the_caller_stops_waiting() {
    let target = Target::slow(10 * SECOND);
    let told = target.run(&Policy::none(OPERATION), &within(3 * SECOND)).await;
    assert_eq!(told, Err(PolicyError::DeadlineExceeded));
    assert_eq!(target.started.elapsed(), 3 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn no_attempt_begins_after_the_deadline() {
    let target = Target::down();
    let told = target.run(&Policy::none(OPERATION), &within(Duration::ZERO)).await;
    assert_eq!(told, Err(PolicyError::DeadlineExceeded));
    assert_eq!(target.asked.take(), Vec::<f64>::new());
}

#[tokio::test(start_paused = true)]
async fn no_pause_begins_that_ends_after_the_deadline() {
    let policy = Policy::new(OPERATION, None, None, constant(5 * SECOND, None));
    for (deadline, asked) in [(12, vec![0.0, 5.0, 10.0]), (10, vec![0.0, 5.0]), (4, vec![0.0])] {
        let target = Target::down();
        let told = target.run(&policy, &within(deadline * SECOND)).await;
        assert_eq!(told, Err(PolicyError::NoTimeToRetry(Trouble::Down)));
        assert_eq!(target.seconds(), asked[asked.len() - 1], "told at once");
        assert_eq!(target.asked.take(), asked);
    }
}

#[tokio::test(start_paused = true)]
async fn a_retry_is_announced_once_and_its_success_with_the_number_of_attempts() {
    let policy = Policy::new(OPERATION, None, None, constant(SECOND * 3 / 2, None));
    let log = CapturedLog::start();
    let target = Target::down_for(4 * SECOND);
    assert_eq!(target.run(&policy, &Call::default()).await, Ok("value"));
    let debug = "DEBUG dapr.runtime: Error for operation component[statestore] output was: \
                 connection refused";
    let expected = [
        debug,
        "WARN dapr.runtime: Error processing operation component[statestore] output. \
         Retrying in 1.5s…",
        debug,
        debug,
        "INFO dapr.runtime: Recovered processing operation component[statestore] output \
         after 4 attempts",
    ];
    assert_eq!(log.lines(), expected);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_succeeds_at_once_says_nothing() {
    let policy = Policy::new(OPERATION, None, None, constant(SECOND, None));
    let log = CapturedLog::start();
    let told = Target::slow(SECOND).run(&policy, &Call::default()).await;
    assert_eq!((told, log.lines()), (Ok("value"), Vec::new()));
}

#[tokio::test(start_paused = true)]
async fn exhausted_retries_end_without_another_line() {
    let policy = Policy::new(OPERATION, None, None, constant(300 * SECOND / 1000, Some(3)));
    let log = CapturedLog::start();
    let target = Target::down();
    assert!(target.run(&policy, &Call::default()).await.is_err());
    let warning = "WARN dapr.runtime: Error processing operation component[statestore] output. \
                   Retrying in 300ms…";
    assert_eq!(log.usual_lines(), [warning]);
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_writes_the_loop_itself_can_narrow_its_attempts() {
    let policy = Policy::new(OPERATION, None, None, constant(SECOND, None));
    let log = CapturedLog::start();
    let call = Call::default();
    let mut left = vec!["a", "b", "c"];
    let mut sizes = Vec::new();
    let mut retries = policy.start();
    loop {
        sizes.push(left.len());
        let attempt = policy.attempt(&call, async {
            left.pop();
            if left.is_empty() { Ok(()) } else { Err(Trouble::Down) }
        });
        match attempt.await {
            Ok(()) => break retries.succeeded(),
            Err(failure) => retries.pause_after(&call, failure).await.unwrap(),
        }
    }
    assert_eq!(sizes, [3, 2, 1]);
    assert!(log.usual_lines()[1].ends_with("after 3 attempts"));
}

#[test]
fn a_call_can_be_spawned() {
    fn is_send<T: Send>(future: T) -> T {
        future
    }
    let policy = Policy::new(OPERATION, Some(SECOND), None, constant(SECOND, None));
    let call = Call::default();
    let run = is_send(policy.run(&call, || async { Ok::<_, Trouble>(String::new()) }));
    drop(run);
    let mut retries = policy.start();
    drop(is_send(retries.pause_after(&call, PolicyError::Operation(Trouble::Down))));
}
