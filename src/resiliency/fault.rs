//! What a failed attempt means to the policies: decided once, where the failure is known.

/// A failure that can say what policies should do about it.
pub trait Classify {
    /// What this failure means.
    fn fault(&self) -> Fault;

    /// The failure in words for the log: without anything that belongs to the caller.
    fn log_text(&self) -> &str;
}

/// Two separate questions about one failed attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Whether another attempt can end differently.
    pub retry: Retry,
    /// What the circuit breaker counts.
    pub outcome: Outcome,
}

/// Whether another attempt can end differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// It can: the retry policy decides whether and when.
    Worthwhile,
    /// It cannot: the next attempt would hear the same answer.
    Pointless,
}

/// How an attempt counts for a circuit breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The target works, even if what it said was "no".
    Success,
    /// The target did not do its work.
    Failure,
    /// Nobody knows: the caller left before there was an answer. Counts as neither.
    Abandoned,
}
