//! A circuit shared by all attempts on one target: the lock, the clock and the log line.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicBool, Ordering::Relaxed},
};

use tokio::time::Instant;

use super::{
    LOG_TARGET,
    circuit::{Circuit, CircuitSettings, Generation, Rejected, State, Transition},
    fault::Outcome,
};
use crate::{go_text, metrics::resiliency::BreakerMeters};

#[cfg(test)]
mod tests;

/// One target's circuit breaker.
#[derive(Debug)]
pub struct Breaker {
    name: Arc<str>,
    circuit: Mutex<Circuit>,
    /// Whether the circuit is closed, for who only counts and needs no lock.
    closed: AtomicBool,
    meters: BreakerMeters,
}

impl Breaker {
    /// A closed breaker; the name is what log lines and metadata call it.
    pub fn new(name: impl Into<Arc<str>>, settings: CircuitSettings) -> Arc<Self> {
        let circuit = Mutex::new(Circuit::new(settings, Instant::now()));
        let (closed, meters) = (AtomicBool::new(true), BreakerMeters::default());
        Arc::new(Self { name: name.into(), circuit, closed, meters })
    }

    /// What log lines and metadata call it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The state at this moment. Asking can move an open breaker on to half-open, as in daprd.
    pub fn state(&self) -> State {
        self.step(|circuit, now| circuit.state(now))
    }

    /// The state at this moment, without a lock while it is closed.
    pub(super) fn noted_state(&self) -> State {
        if self.closed.load(Relaxed) { State::Closed } else { self.peek() }
    }

    /// The state at this moment for who only looks: nothing changes by it.
    pub fn peek(&self) -> State {
        self.circuit().peek(Instant::now())
    }

    /// What was counted.
    pub fn meters(&self) -> &BreakerMeters {
        &self.meters
    }

    /// Asks for an attempt.
    pub(crate) fn admit(&self) -> Result<Permit<'_>, Rejected> {
        let (generation, since) = self.step(|circuit, now| {
            let (admitted, transition) = circuit.admit(now);
            (admitted.map(|generation| (generation, now)), transition)
        })?;
        Ok(Permit { breaker: self, generation, since, outcome: Outcome::Abandoned })
    }

    fn record(&self, generation: Generation, outcome: Outcome) {
        self.step(|circuit, now| ((), circuit.record(generation, outcome, now)));
    }

    /// Does one step of the circuit and tells of the change it made. The line is written when the
    /// lock is released: whoever writes it must not hold up the others.
    fn step<T>(&self, step: impl FnOnce(&mut Circuit, Instant) -> (T, Option<Transition>)) -> T {
        let mut circuit = self.circuit();
        let (result, transition) = step(&mut circuit, Instant::now());
        if let Some(Transition { to, .. }) = transition {
            self.closed.store(to == State::Closed, Relaxed);
            self.meters.changed_to(to.number());
        }
        drop(circuit);
        if let Some(Transition { from, to }) = transition {
            tracing::info!(
                target: LOG_TARGET,
                "Circuit breaker {} changed state from {from} to {to}",
                go_text::quote(&self.name),
            );
        }
        result
    }

    fn circuit(&self) -> MutexGuard<'_, Circuit> {
        // Every step leaves the circuit whole, so a panic in another thread spoils nothing.
        self.circuit.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to one attempt. Dropped before its end it says that the caller left: tonic drops a
/// handler's future when its client hangs up, and a half-open slot must then come back.
pub(crate) struct Permit<'a> {
    breaker: &'a Breaker,
    generation: Generation,
    since: Instant,
    outcome: Outcome,
}

impl Permit<'_> {
    /// When the attempt began.
    pub(crate) fn since(&self) -> Instant {
        self.since
    }

    /// Tells how the attempt ended.
    pub(crate) fn finish(mut self, outcome: Outcome) {
        self.outcome = outcome;
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        let outcome = if std::thread::panicking() { Outcome::Failure } else { self.outcome };
        self.breaker.record(self.generation, outcome);
    }
}
