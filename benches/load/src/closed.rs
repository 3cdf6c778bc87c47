//! The closed loop: so many calls in flight, the next one starting when one is answered.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    task::JoinSet,
    time::{Instant, sleep},
};

use crate::{
    args::Args,
    line::Line,
    measure::{Counted, Meter},
    messages::Messages,
    tally::Tally,
};

/// How long a caller whose connection broke waits before it calls again.
const BACK_OFF: Duration = Duration::from_millis(10);
/// How long `--calls` waits for an answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the callers share.
#[derive(Debug)]
struct Round {
    /// How many calls may still start.
    tickets: AtomicU64,
    counts: AtomicBool,
    tally: Mutex<Tally>,
}

impl Round {
    fn new(tickets: u64, counts: bool) -> Arc<Self> {
        Arc::new(Self {
            tickets: AtomicU64::new(tickets),
            counts: AtomicBool::new(counts),
            tally: Mutex::new(Tally::new()),
        })
    }

    fn takes_ticket(&self) -> bool {
        let take = |left: u64| left.checked_sub(1);
        self.tickets.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok()
    }

    fn ended(&self) -> u64 {
        self.tally.lock().expect("invariant: nobody panics with it").ended()
    }
}

/// Makes the calls and counts those that end within the window.
pub async fn run(
    args: &Args,
    lines: &[Arc<Line>],
    messages: &Arc<Messages>,
    meter: Meter,
) -> Result<Counted, String> {
    let start = |round: &Arc<Round>| {
        let mut callers = JoinSet::new();
        for caller in 0..args.in_flight() {
            let line = Arc::clone(&lines[caller % lines.len()]);
            let random = fastrand::Rng::with_seed(caller as u64);
            callers.spawn(call(line, Arc::clone(messages), Arc::clone(round), random));
        }
        callers
    };
    let round = Round::new(u64::MAX, false);
    let mut callers = JoinSet::new();
    if args.calls.is_none() || !args.warm_up.is_zero() {
        callers = start(&round);
        sleep(args.warm_up).await;
    }
    if let Some(calls) = args.calls {
        // Nothing of the warm-up may run into what is counted.
        round.tickets.store(0, Ordering::Relaxed);
        all_end(&mut callers, &round).await?;
        let round = Round::new(calls, true);
        let running = meter.begin()?;
        all_end(&mut start(&round), &round).await?;
        return finish(&round, |tally| running.end(tally));
    }
    let running = meter.begin()?;
    round.counts.store(true, Ordering::Relaxed);
    sleep(args.seconds).await;
    round.counts.store(false, Ordering::Relaxed);
    let counted = finish(&round, |tally| running.end(tally));
    callers.abort_all();
    counted
}

fn finish(
    round: &Round,
    end: impl FnOnce(Tally) -> Result<Counted, String>,
) -> Result<Counted, String> {
    let mut tally = round.tally.lock().expect("invariant: nobody panics with it");
    end(std::mem::replace(&mut tally, Tally::new()))
}

async fn call(
    line: Arc<Line>,
    messages: Arc<Messages>,
    round: Arc<Round>,
    mut random: fastrand::Rng,
) {
    let mut start = Instant::now();
    while round.takes_ticket() {
        let result = line.call(&messages, messages.any_request(&mut random)).await;
        let end = Instant::now();
        if round.counts.load(Ordering::Relaxed) {
            let mut tally = round.tally.lock().expect("invariant: nobody panics with it");
            tally.count(result, end - start);
        }
        start = end;
        if result.is_err_and(|failure| failure.is_of_the_connection()) {
            sleep(BACK_OFF).await;
            start = Instant::now();
        }
    }
}

/// Waits for the callers as long as answers come.
async fn all_end(callers: &mut JoinSet<()>, round: &Round) -> Result<(), String> {
    let (mut left, mut ended) = (callers.len(), round.ended());
    loop {
        match tokio::time::timeout(PATIENCE, callers.join_next()).await {
            Ok(None) => return Ok(()),
            Ok(Some(_)) => {}
            Err(_) if (callers.len(), round.ended()) == (left, ended) => {
                return Err(format!("no answer came for {PATIENCE:?}: {left} calls wait"));
            }
            Err(_) => {}
        }
        (left, ended) = (callers.len(), round.ended());
    }
}
