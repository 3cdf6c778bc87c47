//! How long to wait before the next attempt. The clock and the dice are the caller's.

use std::time::Duration;

#[cfg(test)]
mod tests;

/// By which rule pauses are chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backoff {
    /// The same pause every time.
    Constant {
        /// The pause.
        duration: Duration,
    },
    /// Pauses around a base that grows by half each time, from half a second on.
    Exponential {
        /// What the base grows to. The first base is not bounded by it, nor is the pause itself,
        /// which strays from the base by up to half of it.
        max_interval: Duration,
    },
}

impl Backoff {
    /// A constant policy's pause where none was given.
    pub const DEFAULT_DURATION: Duration = Duration::from_secs(5);
    /// An exponential policy's greatest base where none was given.
    pub const DEFAULT_MAX_INTERVAL: Duration = Duration::from_secs(60);

    // Dapr leaves these four no choice.
    const FIRST_BASE: Duration = Duration::from_millis(500);
    const MULTIPLIER: f64 = 1.5;
    const RANDOMISATION: f64 = 0.5;
    const MAX_ELAPSED: Duration = Duration::from_secs(15 * 60);

    /// The pauses of one call.
    pub fn pauses(self) -> Pauses {
        Pauses { backoff: self, base: Self::FIRST_BASE }
    }
}

/// Which pause comes next in one call.
#[derive(Clone, Debug)]
pub struct Pauses {
    backoff: Backoff,
    base: Duration,
}

impl Pauses {
    /// The next pause, or `None` if the call has been tried for long enough. `elapsed` is the time
    /// since the call began, `random` is at least 0 and less than 1.
    pub fn next_pause(&mut self, elapsed: Duration, random: f64) -> Option<Duration> {
        match self.backoff {
            Backoff::Constant { duration } => Some(duration),
            Backoff::Exponential { max_interval } => {
                let pause = stray(self.base, random);
                self.base = grown(self.base, max_interval);
                (elapsed.saturating_add(pause) <= Backoff::MAX_ELAPSED).then_some(pause)
            }
        }
    }
}

/// A duration of up to half the base more or less than it.
fn stray(base: Duration, random: f64) -> Duration {
    let base = base.as_nanos() as f64;
    let delta = base * Backoff::RANDOMISATION;
    // The one more makes the greatest pause as likely as any other.
    Duration::from_nanos((base - delta + random * (2.0 * delta + 1.0)) as u64)
}

fn grown(base: Duration, max_interval: Duration) -> Duration {
    if base.as_secs_f64() >= max_interval.as_secs_f64() / Backoff::MULTIPLIER {
        max_interval
    } else {
        base.mul_f64(Backoff::MULTIPLIER)
    }
}
