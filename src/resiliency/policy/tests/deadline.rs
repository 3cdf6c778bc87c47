//! What holds for every policy, target and deadline: nothing is begun that cannot end in time.

use super::*;

/// What one call did, in milliseconds since it began.
#[derive(Debug)]
struct Story {
    policy: Policy,
    timeout: Option<u64>,
    deadline: u64,
    /// When the attempts began, and how long each would take if it were let.
    attempts: Vec<(u64, u64)>,
    told: Result<(), PolicyError<Trouble>>,
    ended: u64,
}

fn millis(range: std::ops::Range<u64>, random: &mut fastrand::Rng) -> Duration {
    Duration::from_millis(random.u64(range))
}

fn any_policy(random: &mut fastrand::Rng) -> (Policy, Option<u64>) {
    let timeout = random.bool().then(|| millis(1..400, random));
    let backoff = if random.bool() {
        Backoff::Constant { duration: millis(0..500, random) }
    } else {
        Backoff::Exponential { max_interval: millis(1..2000, random) }
    };
    let max_retries = random.bool().then(|| random.u32(0..6));
    let retry = (random.u8(0..8) > 0).then_some(RetryPolicy { backoff, max_retries });
    let breaker =
        random.bool().then(|| breaker(1, millis(1..500, random), "consecutiveFailures >= 2"));
    let whole = timeout.and_then(|timeout| u64::try_from(timeout.as_millis()).ok());
    (Policy::new(OPERATION, timeout, breaker, retry), whole)
}

async fn any_story(seed: u64) -> Story {
    let mut random = fastrand::Rng::with_seed(seed);
    let (policy, timeout) = any_policy(&mut random);
    let deadline = random.u64(0..1500);
    let started = Instant::now();
    let since = || u64::try_from(started.elapsed().as_millis()).unwrap();
    let attempts: RefCell<Vec<(u64, u64)>> = RefCell::default();
    let random = RefCell::new(random);
    let told = policy
        .run(&within(Duration::from_millis(deadline)), || async {
            let takes = random.borrow_mut().u64(0..300);
            attempts.borrow_mut().push((since(), takes));
            sleep(Duration::from_millis(takes)).await;
            match random.borrow_mut().u8(0..10) {
                0 => Ok(()),
                1 => Err(Trouble::Conflict),
                _ => Err(Trouble::Down),
            }
        })
        .await;
    Story { timeout, deadline, attempts: attempts.take(), told, ended: since(), policy }
}

impl Story {
    fn check(&self) {
        assert!(self.ended <= self.deadline, "it outlived its caller");
        for (begun, _) in &self.attempts {
            assert!(*begun < self.deadline, "an attempt that cannot end");
        }
        // An attempt's end is the earliest of its own, its timeout's and the caller's.
        let end_of = |&(begun, takes): &(u64, u64)| {
            let bounded = self.timeout.map_or(takes, |timeout| timeout.min(takes));
            (begun + bounded).min(self.deadline)
        };
        let last_end = self.attempts.last().map_or(0, end_of);
        let rejected =
            matches!(self.told, Err(PolicyError::CircuitOpen | PolicyError::TooManyRequests));
        assert!(rejected || self.ended == last_end, "it slept for nothing");
        match &self.told {
            Err(PolicyError::NoTimeToRetry(_)) => self.check_pause(last_end),
            Err(PolicyError::DeadlineExceeded) if self.ended < self.deadline => {
                assert!(self.timeout.is_some(), "no attempt was cut");
                self.check_pause(last_end);
            }
            _ => {}
        }
    }

    /// Whoever was told that there is no time for a retry had none.
    fn check_pause(&self, last_end: u64) {
        match self.policy.retry().expect("a retry was wanted").backoff {
            Backoff::Constant { duration } => {
                let pause = u64::try_from(duration.as_millis()).unwrap();
                assert!(last_end + pause + 1 >= self.deadline, "there was time for a retry");
            }
            // By chance up to one and a half times the interval, but not past it.
            Backoff::Exponential { max_interval } => {
                let longest = u64::try_from(max_interval.as_millis()).unwrap() * 3 / 2 + 752;
                assert!(last_end + longest >= self.deadline, "there was time for a retry");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_begun_that_cannot_end_before_the_caller_leaves() {
    let mut endings = std::collections::BTreeMap::<_, u32>::new();
    for seed in 0..5000 {
        let story = any_story(seed).await;
        let checked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| story.check()));
        assert!(checked.is_ok(), "seed {seed}: {story:?}");
        let ending = match story.told {
            Ok(()) => "ok".to_owned(),
            Err(failure) => failure.to_string(),
        };
        *endings.entry(ending).or_default() += 1;
    }
    // Every way to end was played often enough to mean something.
    assert_eq!(endings.len(), 6, "{endings:?}");
    assert!(endings.values().all(|count| *count >= 20), "{endings:?}");
}

/// Whatever the attempts do, a half-open circuit has its slot back when their call is over.
#[tokio::test(start_paused = true)]
async fn a_call_cut_at_any_moment_leaves_no_slot_taken() {
    for cut in 0..40 {
        let breaker = breaker(1, SECOND, "true");
        let policy = Policy::new(
            OPERATION,
            Some(Duration::from_millis(10)),
            Some(Arc::clone(&breaker)),
            constant(Duration::from_millis(5), None),
        );
        let broken = Target::down().run(&policy, &within(Duration::from_millis(1))).await;
        assert_eq!(broken, Err(PolicyError::NoTimeToRetry(Trouble::Down)));
        sleep(SECOND).await;
        assert_eq!(breaker.state(), State::HalfOpen);
        let slow = Target::slow(Duration::from_millis(20));
        let cut = Duration::from_millis(cut);
        // By the caller's deadline, and by the caller who leaves.
        for call in [within(cut), Call::default()] {
            let _ = tokio::time::timeout(cut, slow.run(&policy, &call)).await;
        }
        if cut < Duration::from_millis(10) {
            assert_eq!(breaker.state(), State::HalfOpen, "{cut:?}");
        } else {
            sleep(SECOND).await;
        }
        let probe = Target::down_for(Duration::ZERO).run(&policy, &Call::default()).await;
        assert_eq!(probe, Ok("value"), "{cut:?}");
        assert_eq!(breaker.state(), State::Closed);
    }
}
