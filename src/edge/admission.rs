//! How much the sidecar takes on at once, over all its threads: calls, bytes, connections. What is
//! too much is refused before it costs anything; nothing waits here.

mod gauge;
mod load;

use std::{sync::Arc, time::Duration};

use gauge::Gauge;
pub use gauge::Reading;
pub use load::{Load, announce_request, hold_answer, hold_request};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::api::failures;

/// How long a caller who was refused is asked to wait, in seconds.
pub const RETRY_AFTER_SECONDS: u16 = 1;

/// How many connections beyond the limit are answered at once. The others wait to be accepted.
const SURPLUS: usize = 64;

/// The most of everything; `None` for any number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Most {
    /// Calls that were let in and are not answered in full yet.
    pub calls: Option<usize>,
    /// Bytes of their requests and answers.
    pub bytes: Option<usize>,
    /// Open connections.
    pub connections: Option<usize>,
}

/// What was too much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// Calls in flight.
    Calls,
    /// Bytes in flight.
    Bytes,
    /// Connections.
    Connections,
}

impl Limit {
    /// What metrics call it.
    pub fn label(self) -> &'static str {
        match self {
            Self::Calls => "calls_in_flight",
            Self::Bytes => "bytes_in_flight",
            Self::Connections => "connections",
        }
    }

    /// The flag that sets it.
    pub fn flag(self) -> &'static str {
        match self {
            Self::Calls => "--max-calls-in-flight",
            Self::Bytes => "--max-bytes-in-flight",
            Self::Connections => "--max-connections",
        }
    }

    /// The word for it that programs read in a refusal.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Calls => failures::TOO_MANY_CALLS,
            Self::Bytes => failures::TOO_MANY_BYTES,
            Self::Connections => failures::TOO_MANY_CONNECTIONS,
        }
    }
}

/// Why a call is not done: nothing of it was, and no policy was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What was too much.
    pub limit: Limit,
    /// How much is allowed.
    pub most: usize,
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { limit, most } = self;
        let flag = limit.flag();
        f.write_str("the sidecar is overloaded: ")?;
        match limit {
            Limit::Calls => write!(f, "{most} calls are in flight, and {flag} allows no more"),
            Limit::Bytes => {
                write!(f, "requests and answers in flight take the {most} bytes that {flag} allows")
            }
            Limit::Connections => {
                write!(f, "{most} connections are open, and {flag} allows no more")
            }
        }?;
        write!(f, "; try again in {RETRY_AFTER_SECONDS} s")
    }
}

impl std::error::Error for Refusal {}

/// The counts and their limits; clones share them.
#[derive(Clone, Debug)]
pub struct Admission {
    gauges: Arc<Gauges>,
    surplus: Arc<Semaphore>,
}

#[derive(Debug)]
struct Gauges {
    calls: Gauge,
    bytes: Gauge,
    connections: Gauge,
}

/// What is counted now, for metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// Calls in flight.
    pub calls: Reading,
    /// Bytes in flight.
    pub bytes: Reading,
    /// Connections.
    pub connections: Reading,
}

impl Snapshot {
    /// Each reading with the limit it is about.
    pub fn readings(&self) -> [(Limit, Reading); 3] {
        [
            (Limit::Calls, self.calls),
            (Limit::Bytes, self.bytes),
            (Limit::Connections, self.connections),
        ]
    }
}

impl Default for Admission {
    fn default() -> Self {
        Self::new(Most::default())
    }
}

impl Admission {
    /// Nothing counted yet.
    pub fn new(most: Most) -> Self {
        let Most { calls, bytes, connections } = most;
        let [calls, bytes, connections] = [calls, bytes, connections].map(Gauge::new);
        let gauges = Arc::new(Gauges { calls, bytes, connections });
        Self { gauges, surplus: Arc::new(Semaphore::new(SURPLUS)) }
    }

    /// What is counted now.
    pub fn snapshot(&self) -> Snapshot {
        let Gauges { calls, bytes, connections } = &*self.gauges;
        Snapshot {
            calls: calls.reading(),
            bytes: bytes.reading(),
            connections: connections.reading(),
        }
    }

    /// What a call that begins weighs: nothing until it is let in.
    pub fn begin(&self) -> Load {
        Load::new(self.gauges.clone())
    }

    /// Counts a connection until what is returned is dropped. One that is too many is let in only
    /// to be answered, once few enough of those are there.
    pub async fn enter_connection(&self) -> Place {
        let Err(most) = self.gauges.connections.take(1, 0) else {
            return Place::Counted(Counted(self.gauges.clone()));
        };
        let refusal = Refusal { limit: Limit::Connections, most };
        let permit = self.surplus.clone().acquire_owned().await;
        Place::Surplus(Surplus(refusal), permit.ok())
    }
}

/// A connection's place.
#[derive(Debug)]
pub enum Place {
    /// Among those that the limit allows.
    Counted(Counted),
    /// Beyond them.
    Surplus(Surplus, Option<OwnedSemaphorePermit>),
}

impl Place {
    /// How long a connection beyond the limit may take to say what it wants, and to hear why it
    /// does not get it.
    pub const SURPLUS_TIME: Duration = Duration::from_secs(1);

    /// What to tell calls of the connection, if it is beyond the limit.
    pub fn surplus(&self) -> Option<Surplus> {
        match self {
            Self::Counted(_) => None,
            Self::Surplus(surplus, _) => Some(*surplus),
        }
    }
}

/// An open connection that is counted.
#[derive(Debug)]
pub struct Counted(Arc<Gauges>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.connections.give_back(1);
    }
}

/// Marks the calls of a connection that is one too many.
#[derive(Clone, Copy, Debug)]
pub struct Surplus(pub Refusal);

#[cfg(test)]
mod tests;
