//! Tells a connection that still answers from one that only looks open.
//!
//! A call that was given up while it was on the wire raises suspicion. Any answer clears it; if
//! none comes within the grace, the connection is dead and must be thrown away, so that what it
//! still holds is not carried out later.

use std::{
    convert::Infallible,
    future::Future,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use fred::error::Error;
use tokio::{sync::Notify, time::Instant};

use super::reply;
use crate::timers;

/// How long a connection may say nothing before it is asked for a sign of life.
const SILENCE: Duration = Duration::from_secs(10);

/// The signs of life of one lane's connection.
#[derive(Debug, Default)]
pub(super) struct Pulse {
    beats: Mutex<Beats>,
    on_wire: AtomicUsize,
    /// Which connection of the lane this is; 0 before the first.
    life: AtomicU64,
    /// The last connection of which a command heard that it ended; its supervisor may hear later.
    ended: AtomicU64,
    suspected: Notify,
    /// Told to the watchdog when a suspicion was cleared.
    calmed: Notify,
    /// Told to the pump, then and when there is something new to send.
    sendable: Notify,
}

#[derive(Debug, Default)]
struct Beats {
    count: u64,
    suspicion: Option<Suspicion>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Suspicion {
    since: Instant,
    beats: u64,
}

impl Pulse {
    /// A new connection: the old one's suspicion is not its own.
    pub(super) fn reset(&self) {
        self.beats().suspicion = None;
        self.life.fetch_add(1, Ordering::Relaxed);
        self.clear();
    }

    /// An answer arrived.
    pub(super) fn beat(&self) {
        let mut beats = self.beats();
        beats.count = beats.count.wrapping_add(1);
        if beats.suspicion.take().is_some() {
            drop(beats);
            self.clear();
        }
    }

    /// A call that is on the wire was given up.
    pub(super) fn suspect(&self) {
        let mut beats = self.beats();
        if beats.suspicion.is_none() {
            beats.suspicion = Some(Suspicion { since: Instant::now(), beats: beats.count });
            drop(beats);
            self.suspected.notify_one();
        }
    }

    /// Whether it is doubtful that the connection answers: nothing more should be handed to it.
    pub(super) fn is_suspected(&self) -> bool {
        self.beats().suspicion.is_some()
    }

    /// Whether the connection is known to have ended: what is handed to it now is never sent.
    pub(super) fn has_ended(&self) -> bool {
        let life = self.life.load(Ordering::Relaxed);
        life > 0 && self.ended.load(Ordering::Relaxed) == life
    }

    /// There is something new to send.
    pub(super) fn wake_pump(&self) {
        self.sendable.notify_one();
    }

    /// Waits until something may have to be sent, because it is new or because a suspicion was
    /// cleared: one wait for both, made at every wake of the pump.
    pub(super) async fn pump_woken(&self) {
        self.sendable.notified().await;
    }

    /// Counts something as handed to the connection until the guard is gone.
    pub(super) fn hand_over(&self) -> OnWire<'_> {
        self.on_wire.fetch_add(1, Ordering::Relaxed);
        OnWire { pulse: self, life: self.life.load(Ordering::Relaxed), settled: false }
    }

    /// Whether something is on the wire.
    pub(super) fn is_busy(&self) -> bool {
        self.on_wire.load(Ordering::Relaxed) > 0
    }

    /// Waits until nothing is on the wire.
    pub(super) async fn drained(&self) {
        const LOOK: Duration = Duration::from_millis(5);
        while self.is_busy() {
            timers::sleep(LOOK).await;
        }
    }

    /// Returns when the connection is dead: it was suspected, asked by `probe`, and silent for
    /// `grace`. `probe` says whether the server answered.
    pub(super) async fn stalled<F: Future<Output = bool>>(
        &self,
        grace: Duration,
        probe: impl Fn() -> F,
    ) {
        loop {
            let Some(suspicion) = self.next_suspicion().await else { continue };
            let asked = async {
                if probe().await {
                    self.beat();
                }
                std::future::pending::<Infallible>().await
            };
            tokio::select! {
                never = asked => match never {},
                () = self.calmed.notified() => continue,
                () = timers::sleep_until(suspicion.since + grace) => {}
            }
            if self.beats().suspicion == Some(suspicion) {
                return;
            }
        }
    }

    /// The suspicion there is, or one that arises; silence is one, too.
    async fn next_suspicion(&self) -> Option<Suspicion> {
        let before = {
            let beats = self.beats();
            if beats.suspicion.is_some() {
                return beats.suspicion;
            }
            beats.count
        };
        tokio::select! {
            () = self.suspected.notified() => {}
            () = timers::sleep(SILENCE) => {
                if self.beats().count == before {
                    self.suspect();
                }
            }
        }
        self.beats().suspicion
    }

    fn clear(&self) {
        self.calmed.notify_one();
        self.wake_pump();
    }

    fn beats(&self) -> MutexGuard<'_, Beats> {
        self.beats.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Something that was handed to the connection. Dropped without an answer, it raises suspicion.
#[derive(Debug)]
pub(super) struct OnWire<'p> {
    pulse: &'p Pulse,
    /// Of the connection that it was handed to.
    life: u64,
    settled: bool,
}

impl OnWire<'_> {
    /// It ended like this.
    pub(super) fn settle<T>(self, reply: &Result<T, Error>) {
        match reply {
            Ok(_) => self.answered(),
            Err(error) if reply::is_server_text(error.details()) => self.answered(),
            Err(error) => {
                if reply::is_end(error) {
                    self.pulse.ended.store(self.life, Ordering::Relaxed);
                }
                self.failed();
            }
        }
    }

    /// The server answered.
    fn answered(mut self) {
        self.settled = true;
        self.pulse.beat();
    }

    /// The connection said that it is gone: no news about whether it answers.
    fn failed(mut self) {
        self.settled = true;
    }
}

impl Drop for OnWire<'_> {
    fn drop(&mut self) {
        self.pulse.on_wire.fetch_sub(1, Ordering::Relaxed);
        if !self.settled {
            self.pulse.suspect();
        }
    }
}

#[cfg(test)]
mod tests {
    use fred::error::ErrorKind;
    use tokio::time::{sleep, timeout};

    use super::*;

    const GRACE: Duration = Duration::from_millis(800);

    #[test]
    fn what_an_old_connections_commands_hear_late_is_not_about_the_new_one() {
        let end = || Err::<(), _>(Error::new(ErrorKind::IO, "Connection closed."));
        let pulse = Pulse::default();
        pulse.reset();
        let (first, late) = (pulse.hand_over(), pulse.hand_over());
        assert!(!pulse.has_ended());
        first.settle(&end());
        assert!(pulse.has_ended());
        pulse.reset();
        late.settle(&end());
        assert!(!pulse.has_ended());
        pulse.hand_over().settle(&end());
        assert!(pulse.has_ended());
    }

    async fn silent() -> bool {
        std::future::pending().await
    }

    #[tokio::test(start_paused = true)]
    async fn a_suspected_connection_that_stays_silent_is_dead_after_the_grace() {
        let pulse = Pulse::default();
        drop(pulse.hand_over());
        let begun = Instant::now();
        pulse.stalled(GRACE, silent).await;
        assert_eq!(begun.elapsed(), GRACE);
    }

    #[tokio::test(start_paused = true)]
    async fn any_answer_ends_the_suspicion() {
        let pulse = Pulse::default();
        let dead = pulse.stalled(GRACE, silent);
        let living = async {
            for _ in 0..50 {
                drop(pulse.hand_over());
                sleep(GRACE / 2).await;
                pulse.hand_over().answered();
                sleep(GRACE).await;
            }
        };
        tokio::select! {
            () = dead => panic!("a living connection was given up"),
            () = living => {}
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_answers_the_probe_lives() {
        let pulse = Pulse::default();
        pulse.suspect();
        let probe = || async {
            sleep(GRACE / 2).await;
            true
        };
        assert!(timeout(GRACE * 100, pulse.stalled(GRACE, probe)).await.is_err());
        assert!(!pulse.is_suspected());
    }

    #[tokio::test(start_paused = true)]
    async fn silence_is_asked_for_a_sign_of_life() {
        let pulse = Pulse::default();
        let begun = Instant::now();
        pulse.stalled(GRACE, silent).await;
        assert_eq!(begun.elapsed(), SILENCE + GRACE);
    }

    #[tokio::test(start_paused = true)]
    async fn a_second_doubt_has_a_grace_of_its_own() {
        let pulse = Pulse::default();
        let begun = Instant::now();
        let doubts = async {
            pulse.suspect();
            sleep(GRACE / 2).await;
            pulse.beat();
            pulse.suspect();
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = doubts => {}
            () = pulse.stalled(GRACE, silent) => {}
        }
        assert_eq!(begun.elapsed(), GRACE / 2 + GRACE);
    }
}
