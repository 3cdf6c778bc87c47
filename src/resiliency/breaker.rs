//! A circuit shared by all attempts on one target: the lock, the clock and the log line.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

use super::{
    LOG_TARGET,
    circuit::{Circuit, CircuitSettings, Generation, Rejected, State, Transition},
    fault::Outcome,
};
use crate::go_text;

#[cfg(test)]
mod tests;

/// One target's circuit breaker.
#[derive(Debug)]
pub struct Breaker {
    name: Arc<str>,
    circuit: Mutex<Circuit>,
}

impl Breaker {
    /// A closed breaker; the name is what log lines and metadata call it.
    pub fn new(name: impl Into<Arc<str>>, settings: CircuitSettings) -> Arc<Self> {
        let circuit = Mutex::new(Circuit::new(settings, Instant::now()));
        Arc::new(Self { name: name.into(), circuit })
    }

    /// What log lines and metadata call it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The state at this moment. Asking can move an open breaker on to half-open, as in daprd.
    pub fn state(&self) -> State {
        let (state, transition) = self.circuit().state(Instant::now());
        self.log(transition);
        state
    }

    /// Asks for an attempt.
    pub(crate) fn admit(&self) -> Result<Permit<'_>, Rejected> {
        let (admitted, transition) = self.circuit().admit(Instant::now());
        self.log(transition);
        let generation = admitted?;
        Ok(Permit { breaker: self, generation, outcome: Outcome::Abandoned })
    }

    fn record(&self, generation: Generation, outcome: Outcome) {
        let transition = self.circuit().record(generation, outcome, Instant::now());
        self.log(transition);
    }

    fn circuit(&self) -> MutexGuard<'_, Circuit> {
        // Every step leaves the circuit whole, so a panic in another thread spoils nothing.
        self.circuit.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Called when the lock is released: whoever writes the line must not hold up the others.
    fn log(&self, transition: Option<Transition>) {
        if let Some(Transition { from, to }) = transition {
            tracing::info!(
                target: LOG_TARGET,
                "Circuit breaker {} changed state from {from} to {to}",
                go_text::quote(&self.name),
            );
        }
    }
}

/// The right to one attempt. Dropped before its end it says that the caller left: tonic drops a
/// handler's future when its client hangs up, and a half-open slot must then come back.
pub(crate) struct Permit<'a> {
    breaker: &'a Breaker,
    generation: Generation,
    outcome: Outcome,
}

impl Permit<'_> {
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
