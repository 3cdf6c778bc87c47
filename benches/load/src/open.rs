//! The open loop: calls start at their times, whatever became of those before, and are timed from
//! there. A server that stalls is not spared the calls that would have come in the meantime.

use std::{
    collections::VecDeque,
    io,
    ops::Range,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use timerfd::{ClockId, SetTimeFlags, TimerFd, TimerState};
use tokio::{
    io::unix::AsyncFd,
    sync::Notify,
    task::JoinSet,
    time::{Instant, sleep_until, timeout_at},
};

use crate::{
    args::{Args, Protocol},
    failure::Failure,
    line::Line,
    measure::{Counted, Meter},
    messages::Messages,
    tally::Tally,
};

/// As many calls as one HTTP/2 connection commonly carries.
const STREAMS: usize = 1000;
/// How long the answers to the last calls are waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// What the calls share.
#[derive(Debug)]
struct Round {
    tally: Mutex<Tally>,
    /// The places for calls that are free, as the number of their line.
    free: Mutex<VecDeque<usize>>,
    freed: Notify,
}

impl Round {
    fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().expect("invariant: nobody panics with it")
    }

    fn free(&self) -> MutexGuard<'_, VecDeque<usize>> {
        self.free.lock().expect("invariant: nobody panics with it")
    }
}

/// The place a call takes on a line, given back when the call ends or is given up.
struct Place {
    number: usize,
    round: Arc<Round>,
    time: Instant,
    counts: bool,
}

impl Place {
    fn ended(&mut self, result: Result<(), Failure>) {
        if std::mem::take(&mut self.counts) {
            self.round.tally().count(result, self.time.elapsed());
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.ended(Err(Failure::Unanswered));
        self.round.free().push_back(self.number);
        self.round.freed.notify_one();
    }
}

/// The times of the calls.
#[derive(Clone, Copy, Debug)]
struct Schedule {
    start: Instant,
    rate: u64,
}

impl Schedule {
    fn time(&self, call: u64) -> Instant {
        let nanos = u128::from(call) * 1_000_000_000 / u128::from(self.rate);
        self.start + Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// The first call at or after this time.
    fn first_after(&self, time: Duration) -> u64 {
        let calls = (time.as_nanos() * u128::from(self.rate)).div_ceil(1_000_000_000);
        u64::try_from(calls).unwrap_or(u64::MAX)
    }
}

/// Makes the calls and counts those whose time lies within the window.
pub async fn run(
    args: &Args,
    rate: u32,
    lines: &[Arc<Line>],
    messages: &Arc<Messages>,
    meter: Meter,
) -> Result<Counted, String> {
    let on_one = if args.protocol == Protocol::Grpc { STREAMS } else { 1 };
    let round = Arc::new(Round {
        tally: Mutex::new(Tally::new()),
        free: Mutex::new((0..lines.len() * on_one).map(|place| place % lines.len()).collect()),
        freed: Notify::new(),
    });
    let timer = timer().map_err(|error| format!("no timer: {error}"))?;
    let mut dispatcher = Dispatcher {
        round: Arc::clone(&round),
        lines,
        messages,
        timer,
        random: fastrand::Rng::with_seed(0),
        started: JoinSet::new(),
    };
    let schedule = Schedule { start: Instant::now(), rate: u64::from(rate) };
    let first = schedule.first_after(args.warm_up);
    let last = schedule.first_after(args.warm_up + args.seconds);
    let (begin, end) = (schedule.time(first), schedule.time(last));
    dispatcher.dispatch(schedule, 0..first, begin, false).await?;
    sleep_until(begin).await;
    let running = meter.begin()?;
    let next = dispatcher.dispatch(schedule, first..last, end, true).await?;
    sleep_until(end).await;
    let measured = running.stop(round.tally().ended())?;
    let patience = Instant::now() + PATIENCE;
    let next = dispatcher.dispatch(schedule, next..last, patience, true).await?;
    dispatcher.drain(patience).await;
    let mut tally = round.tally();
    for call in next..last {
        tally.count(Err(Failure::NotStarted), schedule.time(call).elapsed());
    }
    Ok(measured.with(std::mem::replace(&mut *tally, Tally::new())))
}

#[expect(deprecated, reason = "what replaces it is unsafe; a TimerFd keeps its one descriptor")]
fn timer() -> io::Result<AsyncFd<TimerFd>> {
    AsyncFd::new(TimerFd::new_custom(ClockId::Monotonic, true, true)?)
}

struct Dispatcher<'a> {
    round: Arc<Round>,
    lines: &'a [Arc<Line>],
    messages: &'a Arc<Messages>,
    timer: AsyncFd<TimerFd>,
    random: fastrand::Rng,
    started: JoinSet<()>,
}

impl Dispatcher<'_> {
    /// Starts each call at its time, or later if there was no place for it; says which call is
    /// still to be started when the time is up.
    async fn dispatch(
        &mut self,
        schedule: Schedule,
        calls: Range<u64>,
        until: Instant,
        counts: bool,
    ) -> Result<u64, String> {
        let mut next = calls.start;
        while next < calls.end {
            let (now, time) = (Instant::now(), schedule.time(next));
            if now >= until {
                break;
            }
            if time > now {
                self.sleep(time - now).await.map_err(|error| format!("the timer: {error}"))?;
                continue;
            }
            let Some(place) = self.round.free().pop_front() else {
                let _ = timeout_at(until, self.round.freed.notified()).await;
                continue;
            };
            if counts {
                self.round.tally().started(now - time);
            }
            self.start(Place { number: place, round: Arc::clone(&self.round), time, counts });
            while self.started.try_join_next().is_some() {}
            next += 1;
        }
        Ok(next)
    }

    fn start(&mut self, mut place: Place) {
        let line = Arc::clone(&self.lines[place.number]);
        let messages = Arc::clone(self.messages);
        let request = messages.any_request(&mut self.random);
        self.started.spawn(async move {
            let result = line.call(&messages, request).await;
            place.ended(result);
        });
    }

    /// Waits for the answers that are still to come.
    async fn drain(&mut self, until: Instant) {
        while let Ok(Some(_)) = timeout_at(until, self.started.join_next()).await {}
        self.started.shutdown().await;
    }

    /// tokio's own timers are a millisecond apart.
    async fn sleep(&mut self, time: Duration) -> io::Result<()> {
        self.timer.get_mut().set_state(TimerState::Oneshot(time), SetTimeFlags::Default);
        let mut ready = self.timer.readable_mut().await?;
        ready.get_inner_mut().read();
        ready.clear_ready();
        Ok(())
    }
}
