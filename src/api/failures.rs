//! The failure table: every way an attempt can end other than by plain success, and what follows.
//!
//! The engine asks this table, it does not repeat it: [`Class`] decides for [`StoreError`] whether
//! to retry and what the breaker counts, and which code and status are answered;
//! [`ANSWERS`](crate::state_store::redis::answers::ANSWERS) what a reply of Redis means, and metrics
//! count by it. `docs/failures.md` is this table for people, and a test compares the two; another
//! produces each row for real.

pub use self::{
    table::{
        Executed, OVERLOADED, Row, TABLE, TOO_MANY_BYTES, TOO_MANY_CALLS, TOO_MANY_CONNECTIONS,
    },
    told::{GrpcCode, Told},
};
pub use crate::metrics::component::Class;
use crate::{
    resiliency::{
        fault::{Fault, Outcome, Retry},
        policy::PolicyError,
    },
    state_store::StoreError,
};

mod table;
mod told;

/// What was asked for, as far as errors name it: `errorCode` over HTTP, the reason over gRPC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "they are the calls of the state API")]
pub enum Operation {
    Get,
    BulkGet,
    Save,
    Delete,
    BulkDelete,
    Transaction,
}

impl Operation {
    /// The word that says which of them failed.
    pub fn error_code(self) -> &'static str {
        match self {
            Self::Get => "ERR_STATE_GET",
            Self::BulkGet => "ERR_STATE_BULK_GET",
            Self::Save => "ERR_STATE_SAVE",
            Self::Delete => "ERR_STATE_DELETE",
            Self::BulkDelete => "ERR_STATE_BULK_DELETE",
            Self::Transaction => "ERR_STATE_TRANSACTION",
        }
    }
}

impl From<&StoreError> for Class {
    fn from(error: &StoreError) -> Self {
        match error {
            StoreError::EtagMismatch(_) => Self::Conflict,
            StoreError::EtagInvalid(_) => Self::BadEtag,
            StoreError::TtlInvalid(_) => Self::BadTtl,
            StoreError::Refused(_) => Self::Refused,
            StoreError::Unclear(_) => Self::Unclear,
            StoreError::Unconfirmed(_) => Self::Unconfirmed,
            StoreError::Unavailable(_) => Self::Unavailable,
            StoreError::Unreachable(_) => Self::Unreachable,
            StoreError::Lost(_) => Self::Lost,
        }
    }
}

impl From<&PolicyError<StoreError>> for Class {
    fn from(error: &PolicyError<StoreError>) -> Self {
        match error {
            PolicyError::Operation(error) => Self::from(error),
            PolicyError::TimedOut => Self::Timeout,
            PolicyError::DeadlineExceeded | PolicyError::NoTimeToRetry(_) => Self::DeadlineExceeded,
            PolicyError::CircuitOpen => Self::BreakerOpen,
            PolicyError::TooManyRequests => Self::ProbesExhausted,
        }
    }
}

impl Class {
    /// Whether another attempt can end differently.
    pub fn retry(self) -> Retry {
        match self {
            Self::Unavailable | Self::Unreachable | Self::Lost => Retry::Worthwhile,
            Self::Timeout => TIMED_OUT.retry(),
            Self::DeadlineExceeded => DEADLINE_EXCEEDED.retry(),
            Self::BreakerOpen => CIRCUIT_OPEN.retry(),
            Self::ProbesExhausted => TOO_MANY_REQUESTS.retry(),
            Self::Ok
            | Self::Refused
            | Self::BadTtl
            | Self::Conflict
            | Self::BadEtag
            | Self::Unclear
            | Self::Unconfirmed
            | Self::Abandoned => Retry::Pointless,
        }
    }

    /// What the circuit breaker counts; `None` where no attempt was let through.
    pub fn breaker(self) -> Option<Outcome> {
        match self {
            Self::Ok | Self::Refused | Self::Conflict | Self::Unclear | Self::Unconfirmed => {
                Some(Outcome::Success)
            }
            Self::Unavailable | Self::Unreachable | Self::Lost => Some(Outcome::Failure),
            Self::Timeout => Some(TIMED_OUT.outcome()),
            Self::DeadlineExceeded => Some(DEADLINE_EXCEEDED.outcome()),
            Self::Abandoned => Some(Outcome::Abandoned),
            // Read before the policy is asked, or turned away by it.
            Self::BadEtag | Self::BadTtl | Self::BreakerOpen | Self::ProbesExhausted => None,
        }
    }

    /// What an attempt that ended so means to the policies.
    pub fn fault(self) -> Fault {
        let outcome = self.breaker().unwrap_or(Outcome::Abandoned);
        Fault { retry: self.retry(), outcome }
    }
}

// The policy's own failures are classified where it is.
const TIMED_OUT: PolicyError<StoreError> = PolicyError::TimedOut;
const DEADLINE_EXCEEDED: PolicyError<StoreError> = PolicyError::DeadlineExceeded;
const CIRCUIT_OPEN: PolicyError<StoreError> = PolicyError::CircuitOpen;
const TOO_MANY_REQUESTS: PolicyError<StoreError> = PolicyError::TooManyRequests;
