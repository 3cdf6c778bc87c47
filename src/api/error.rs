//! What a caller can be told, and what each failure of a store means to the policies.

use std::convert::Infallible;

use crate::{
    api::failures::{Operation, Told},
    metrics::{component::Class, error_codes::ErrorCode},
    resiliency::{
        fault::{Classify, Fault},
        policy::PolicyError,
    },
    state_store::StoreError,
};

/// Every way a state call can fail. The texts are Dapr's (`messages/predefined.go`); which code,
/// status and reason go with them is said once for each edge.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum StateError {
    /// No state store is loaded at all.
    #[error("state store {store} is not configured")]
    NotConfigured {
        /// The name asked for.
        store: String,
    },
    /// There are stores, but none of this name.
    #[error("state store {store} is not found")]
    NotFound {
        /// The name asked for.
        store: String,
    },
    /// The key holds the separator.
    #[error("input key/keyPrefix '{key}' can't contain '||'")]
    InvalidKey {
        /// The store asked for.
        store: String,
        /// The key as given.
        key: String,
    },
    /// A save without a key.
    #[error("state key cannot be empty")]
    EmptyKey,
    /// A value that was announced as JSON is none; the text is that of Go's decoder.
    #[error("{0}")]
    InvalidJson(String),
    /// A read failed.
    #[error("fail to get {key} from state store {store}: {cause}")]
    Get {
        /// The store.
        store: String,
        /// The caller's key.
        key: String,
        /// Why.
        cause: PolicyError<StoreError>,
    },
    /// A read of several keys failed as a whole.
    #[error("{0}")]
    BulkGet(PolicyError<StoreError>),
    /// A save failed.
    #[error("failed saving state in state store {store}: {cause}")]
    Save {
        /// The store.
        store: String,
        /// Why.
        cause: WriteFailure,
    },
    /// A delete failed.
    #[error("failed deleting state with key {key}: {cause}")]
    Delete {
        /// The caller's key.
        key: String,
        /// Why.
        cause: WriteFailure,
    },
    /// A delete of several keys failed.
    #[error("failed deleting state in state store {store}: {cause}")]
    BulkDelete {
        /// The store.
        store: String,
        /// Why.
        cause: WriteFailure,
    },
    /// A transaction failed, in part or as a whole.
    #[error("error while executing state transaction: {0}")]
    Transaction(WriteFailure),
    /// A transaction holds an operation that is neither `upsert` nor `delete`.
    #[error("operation type {0} not supported")]
    UnsupportedOperation(String),
    /// The store can never answer queries.
    #[error("state store does not support querying")]
    QueryUnsupported {
        /// The store.
        store: String,
    },
    /// The store cannot answer this query.
    #[error("state store {store} query failed: {detail}")]
    QueryFailed {
        /// The store.
        store: String,
        /// Why.
        detail: String,
    },
}

impl StateError {
    /// The code by which callers over HTTP and metrics know it, as Dapr's `api/errors/state.go` and
    /// `messages/predefined.go` say.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotConfigured { .. } => "ERR_STATE_STORE_NOT_CONFIGURED",
            Self::NotFound { .. } => "ERR_STATE_STORE_NOT_FOUND",
            Self::InvalidKey { .. } | Self::EmptyKey | Self::InvalidJson(_) => {
                "ERR_MALFORMED_REQUEST"
            }
            Self::Get { .. } => Operation::Get.error_code(),
            Self::BulkGet(_) => Operation::BulkGet.error_code(),
            Self::Save { .. } => Operation::Save.error_code(),
            Self::Delete { .. } => Operation::Delete.error_code(),
            Self::BulkDelete { .. } => Operation::BulkDelete.error_code(),
            Self::Transaction(_) => Operation::Transaction.error_code(),
            Self::UnsupportedOperation(_) => "ERR_NOT_SUPPORTED_STATE_OPERATION",
            Self::QueryUnsupported { .. } => "ERR_STATE_STORE_NOT_SUPPORTED",
            Self::QueryFailed { .. } => "ERR_STATE_QUERY",
        }
    }

    /// What the failure table has for it; `None` if it is about the request and no store was asked.
    pub fn told(&self) -> Option<Told> {
        let (class, operation) = match self {
            Self::Get { cause, .. } => (Class::from(cause), Operation::Get),
            Self::BulkGet(cause) => (Class::from(cause), Operation::BulkGet),
            Self::Save { cause, .. } => (cause.class(), Operation::Save),
            Self::Delete { cause, .. } => (cause.class(), Operation::Delete),
            Self::BulkDelete { cause, .. } => (cause.class(), Operation::BulkDelete),
            Self::Transaction(cause) => (cause.class(), Operation::Transaction),
            Self::NotConfigured { .. }
            | Self::NotFound { .. }
            | Self::InvalidKey { .. }
            | Self::EmptyKey
            | Self::InvalidJson(_)
            | Self::UnsupportedOperation(_)
            | Self::QueryUnsupported { .. }
            | Self::QueryFailed { .. } => return None,
        };
        Some(class.told(operation))
    }

    /// How metrics count it: a bad key is the state's although its code is everybody's.
    pub fn counted(&self) -> ErrorCode {
        let is_about_state = !matches!(self, Self::EmptyKey | Self::InvalidJson(_));
        ErrorCode { code: self.code(), is_about_state }
    }
}

/// Why a call that writes did not succeed.
#[derive(Clone, Debug, PartialEq)]
pub struct WriteFailure {
    /// Whether the call had several writes, of which each is told.
    several: bool,
    /// What the writes met that did not succeed; those come first that were refused for good.
    errors: Vec<StoreError>,
    ended: Ended,
}

/// What ended a call that writes.
#[derive(Clone, Debug, PartialEq)]
enum Ended {
    /// What its writes met.
    ByErrors,
    /// The same, and its caller stops waiting before another attempt could begin.
    OutOfTime,
    /// The policy, by itself.
    ByPolicy(PolicyError<Infallible>),
}

impl WriteFailure {
    /// The call's only write was refused, or the call as a whole.
    pub fn refused(error: StoreError) -> Self {
        Self { several: false, errors: vec![error], ended: Ended::ByErrors }
    }

    /// These writes were refused for good; a call with `several` tells each, another one the first.
    pub fn all_refused(several: bool, errors: Vec<StoreError>) -> Self {
        Self { several, errors, ended: Ended::ByErrors }
    }

    /// The policy gave the call up. `refused` was refused for good before, `open` is what the others
    /// met in the last attempt, as far as they were answered.
    pub fn given_up(
        several: bool,
        refused: Vec<StoreError>,
        open: Vec<StoreError>,
        verdict: PolicyError<StoreError>,
    ) -> Self {
        let mut errors = refused;
        errors.extend(open);
        let (ended, error) = match verdict {
            PolicyError::Operation(error) => (Ended::ByErrors, Some(error)),
            PolicyError::NoTimeToRetry(error) => (Ended::OutOfTime, Some(error)),
            PolicyError::TimedOut => (Ended::ByPolicy(PolicyError::TimedOut), None),
            PolicyError::DeadlineExceeded => (Ended::ByPolicy(PolicyError::DeadlineExceeded), None),
            PolicyError::CircuitOpen => (Ended::ByPolicy(PolicyError::CircuitOpen), None),
            PolicyError::TooManyRequests => (Ended::ByPolicy(PolicyError::TooManyRequests), None),
        };
        // The verdict's own error is one of those that are open.
        errors.extend(error.filter(|_| errors.is_empty()));
        Self { several, errors, ended }
    }

    /// The class of the call. An outage outranks what the store answered: it is never reported as a
    /// conflict, also where another write of the same call met one.
    pub fn class(&self) -> Class {
        let ended = match &self.ended {
            Ended::ByErrors => None,
            Ended::OutOfTime => Some(Class::DeadlineExceeded),
            Ended::ByPolicy(own) => Some(Class::from(&own.clone().map(|never| match never {}))),
        };
        self.errors.iter().map(Class::from).chain(ended).max().unwrap_or(Class::Refused)
    }
}

impl std::fmt::Display for WriteFailure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let told = if self.several { self.errors.len() } else { 1 };
        let errors = self.errors.iter().take(told).map(ToString::to_string);
        let mut lines: Vec<String> = errors.collect();
        match &self.ended {
            // Dapr wraps a batch of nothing but etag failures once more.
            Ended::ByErrors if self.several && self.errors.iter().all(is_about_an_etag) => {
                f.write_str(match self.class() {
                    Class::BadEtag => "invalid etag value: ",
                    _ => "possible etag mismatch. error from state store: ",
                })?;
            }
            Ended::ByErrors => {}
            Ended::OutOfTime => return PolicyError::NoTimeToRetry(lines.join("\n")).fmt(f),
            Ended::ByPolicy(own) => lines.push(own.to_string()),
        }
        f.write_str(&lines.join("\n"))
    }
}

fn is_about_an_etag(error: &StoreError) -> bool {
    matches!(Class::from(error), Class::Conflict | Class::BadEtag)
}

/// By the failure table (`api/failures.rs`): what the store answered is final and speaks for the store's health; what it
/// did not answer, or answered with "not now", is an outage.
impl Classify for StoreError {
    fn fault(&self) -> Fault {
        Class::from(self).fault()
    }

    // The texts for callers name keys, and a key can be personal data.
    fn log_text(&self) -> &str {
        match self {
            Self::EtagMismatch(_) => "possible etag mismatch",
            Self::EtagInvalid(_) => "invalid etag value",
            Self::TtlInvalid(_) => "invalid ttlInSeconds",
            Self::Refused(_) => "refused by the store",
            Self::Unclear(_) => "refused by the store, after an attempt that got no answer",
            Self::Unconfirmed(_) => "replicas did not confirm",
            Self::Unavailable(outage) | Self::Unreachable(outage) | Self::Lost(outage) => {
                outage.cause()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resiliency::fault::{Outcome, Retry};

    fn mismatch() -> StoreError {
        StoreError::EtagMismatch("refused".to_owned())
    }

    fn lost() -> StoreError {
        StoreError::Lost("EOF".to_owned().into())
    }

    fn several(errors: &[StoreError]) -> WriteFailure {
        WriteFailure::all_refused(true, errors.to_vec())
    }

    #[test]
    fn an_outage_outranks_what_the_store_answered() {
        let down = StoreError::Unreachable("refused".to_owned().into());
        let refused = StoreError::Refused("no".to_owned());
        assert_eq!(several(&[mismatch()]).class(), Class::Conflict);
        assert_eq!(several(&[refused, mismatch()]).class(), Class::Conflict);
        assert_eq!(several(&[mismatch(), down.clone()]).class(), Class::Unreachable);
        assert_eq!(several(&[lost(), mismatch(), down]).class(), Class::Lost);
    }

    #[test]
    fn an_invalid_etag_outranks_a_mismatch() {
        let failure = several(&[mismatch(), StoreError::EtagInvalid("x".into())]);
        assert_eq!(failure.class(), Class::BadEtag);
        assert_eq!(
            failure.to_string(),
            "invalid etag value: possible etag mismatch. error from state store: refused\n\
             invalid etag value: x"
        );
    }

    #[test]
    fn a_batch_of_conflicts_is_wrapped_once_more_and_a_mixed_one_is_not() {
        assert_eq!(
            several(&[mismatch()]).to_string(),
            "possible etag mismatch. error from state store: \
             possible etag mismatch. error from state store: refused"
        );
        assert_eq!(
            several(&[mismatch(), lost()]).to_string(),
            "possible etag mismatch. error from state store: refused\nEOF"
        );
    }

    #[test]
    fn what_was_refused_is_told_beside_the_policys_own_verdict() {
        let open = PolicyError::CircuitOpen;
        let failure = WriteFailure::given_up(true, vec![mismatch()], vec![], open.clone());
        assert_eq!(
            failure.to_string(),
            "possible etag mismatch. error from state store: refused\ncircuit breaker is open"
        );
        assert_eq!(failure.class(), Class::BreakerOpen);
        let alone = WriteFailure::given_up(false, vec![], vec![], open);
        assert_eq!(alone.to_string(), "circuit breaker is open");
    }

    #[test]
    fn only_an_outage_is_retried_and_counted() {
        for answered in [mismatch(), StoreError::Refused("no".into())] {
            assert_eq!(
                answered.fault(),
                Fault { retry: Retry::Pointless, outcome: Outcome::Success }
            );
        }
        for outage in [lost(), StoreError::Unavailable("READONLY".to_owned().into())] {
            assert_eq!(
                outage.fault(),
                Fault { retry: Retry::Worthwhile, outcome: Outcome::Failure }
            );
        }
    }
}
