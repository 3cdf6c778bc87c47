//! The circuit breaker's state machine: closed, open, half-open.
//!
//! No lock, no clock, no waiting: every step is told what time it is, and hands back the change
//! of state it made, so that the caller can log it when no lock is held any more.

use std::{fmt, time::Duration};

use tokio::time::Instant;

use super::{fault::Outcome, trip::TripRule};
use crate::metrics::resiliency::STATES;

#[cfg(test)]
mod tests;

/// What a circuit breaker does with the next attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It lets everything through and counts.
    Closed,
    /// It lets a few probes through: their outcomes decide.
    HalfOpen,
    /// It rejects everything until its time is over.
    Open,
}

impl State {
    /// Its number in [`STATES`].
    pub fn number(self) -> usize {
        self as usize
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(STATES[self.number()])
    }
}

/// How a circuit breaker was asked to behave.
#[derive(Clone, Debug, PartialEq)]
pub struct CircuitSettings {
    /// How many probes are let through while half-open, and how many successes close the circuit.
    pub max_requests: u32,
    /// How often the counts start anew while closed; `None` for never.
    pub interval: Option<Duration>,
    /// How long the circuit stays open.
    pub timeout: Duration,
    /// Which counts open the circuit.
    pub trip: TripRule,
}

impl CircuitSettings {
    const DEFAULT_TIMEOUT: Duration = Duration::from_secs(60);

    /// The settings as Dapr completes them: no probes means one, no timeout means a minute.
    pub fn new(
        max_requests: u32,
        interval: Option<Duration>,
        timeout: Option<Duration>,
        trip: TripRule,
    ) -> Self {
        Self {
            max_requests: max_requests.max(1),
            interval: interval.filter(|interval| !interval.is_zero()),
            timeout: timeout.filter(|timeout| !timeout.is_zero()).unwrap_or(Self::DEFAULT_TIMEOUT),
            trip,
        }
    }
}

/// What happened since the current generation began. Rules see these five numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Attempts let through, those still running included.
    pub requests: u32,
    /// Attempts that succeeded.
    pub total_successes: u32,
    /// Attempts that failed.
    pub total_failures: u32,
    /// Successes since the last failure.
    pub consecutive_successes: u32,
    /// Failures since the last success.
    pub consecutive_failures: u32,
}

impl Counts {
    // A closed circuit without an interval counts for as long as the process lives: the counts
    // stop at their greatest value instead of starting again at zero.

    fn admit(&mut self) {
        self.requests = self.requests.saturating_add(1);
    }

    fn take_back(&mut self) {
        self.requests = self.requests.saturating_sub(1);
    }

    fn succeed(&mut self) {
        self.total_successes = self.total_successes.saturating_add(1);
        self.consecutive_successes = self.consecutive_successes.saturating_add(1);
        self.consecutive_failures = 0;
    }

    fn fail(&mut self) {
        self.total_failures = self.total_failures.saturating_add(1);
        self.consecutive_failures = self.consecutive_failures.saturating_add(1);
        self.consecutive_successes = 0;
    }
}

/// The span of time an attempt was let through in; its outcome counts for no other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Generation(u64);

/// Why an attempt was not let through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rejected {
    /// The circuit is open.
    Open,
    /// The circuit is half-open and has its probes.
    TooManyRequests,
}

/// A change of state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transition {
    /// The state before.
    pub from: State,
    /// The state now.
    pub to: State,
}

/// A circuit and what it has counted.
#[derive(Debug)]
pub struct Circuit {
    settings: CircuitSettings,
    state: State,
    generation: Generation,
    counts: Counts,
    /// When the generation ends by itself, if it does.
    expiry: Option<Instant>,
}

impl Circuit {
    /// A closed circuit that has seen nothing.
    pub fn new(settings: CircuitSettings, now: Instant) -> Self {
        let mut circuit = Self {
            settings,
            state: State::Closed,
            generation: Generation(0),
            counts: Counts::default(),
            expiry: None,
        };
        circuit.begin_generation(now);
        circuit
    }

    /// The state at this moment; an open circuit whose time is over becomes half-open.
    pub fn state(&mut self, now: Instant) -> (State, Option<Transition>) {
        let transition = self.catch_up(now);
        (self.state, transition)
    }

    /// The state at this moment without moving the circuit on.
    pub fn peek(&self, now: Instant) -> State {
        let is_over = self.expiry.is_some_and(|expiry| now >= expiry);
        if self.state == State::Open && is_over { State::HalfOpen } else { self.state }
    }

    /// What the current generation has counted so far.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Asks for an attempt. Whoever is let through owes a [`record`](Self::record).
    pub fn admit(&mut self, now: Instant) -> (Result<Generation, Rejected>, Option<Transition>) {
        let transition = self.catch_up(now);
        let rejected = match self.state {
            State::Closed => None,
            State::HalfOpen => (self.counts.requests >= self.settings.max_requests)
                .then_some(Rejected::TooManyRequests),
            State::Open => Some(Rejected::Open),
        };
        let admitted = match rejected {
            Some(rejected) => Err(rejected),
            None => {
                self.counts.admit();
                Ok(self.generation)
            }
        };
        (admitted, transition)
    }

    /// Tells how an attempt ended. What began in an older generation says nothing about this one.
    pub fn record(
        &mut self,
        generation: Generation,
        outcome: Outcome,
        now: Instant,
    ) -> Option<Transition> {
        let transition = self.catch_up(now);
        if generation != self.generation {
            return transition;
        }
        match (self.state, outcome) {
            // gobreaker has no such outcome: a probe whose caller hung up would keep its slot for
            // ever, and with it the circuit would stay half-open and reject everybody.
            (_, Outcome::Abandoned) => {
                self.counts.take_back();
                None
            }
            (State::Closed, Outcome::Success) => {
                self.counts.succeed();
                None
            }
            (State::Closed, Outcome::Failure) => {
                self.counts.fail();
                self.settings.trip.matches(&self.counts).then(|| self.change_to(State::Open, now))
            }
            (State::HalfOpen, Outcome::Success) => {
                self.counts.succeed();
                (self.counts.consecutive_successes >= self.settings.max_requests)
                    .then(|| self.change_to(State::Closed, now))
            }
            (State::HalfOpen, Outcome::Failure) => Some(self.change_to(State::Open, now)),
            // Nothing is let through in an open generation, so nothing of it can end.
            (State::Open, Outcome::Success | Outcome::Failure) => None,
        }
    }

    /// Does what the time that passed asks for. A generation is over when its expiry is reached
    /// and not only when it has passed, as gobreaker has it: a retry that slept exactly as long as
    /// the circuit stays open must become the probe, however coarse the clock is.
    fn catch_up(&mut self, now: Instant) -> Option<Transition> {
        if self.expiry.is_none_or(|expiry| now < expiry) {
            return None;
        }
        match self.state {
            State::Closed => {
                self.begin_generation(now);
                None
            }
            State::Open => Some(self.change_to(State::HalfOpen, now)),
            State::HalfOpen => None,
        }
    }

    fn change_to(&mut self, state: State, now: Instant) -> Transition {
        let from = std::mem::replace(&mut self.state, state);
        self.begin_generation(now);
        Transition { from, to: state }
    }

    fn begin_generation(&mut self, now: Instant) {
        self.generation.0 += 1;
        self.counts = Counts::default();
        let lasts = match self.state {
            State::Closed => self.settings.interval,
            State::Open => Some(self.settings.timeout),
            State::HalfOpen => None,
        };
        // A time too far away for the clock is never.
        self.expiry = lasts.and_then(|duration| now.checked_add(duration));
    }
}
