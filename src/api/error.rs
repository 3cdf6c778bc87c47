//! What a caller can be told, and what each failure of a store means to the policies.

use crate::{
    api::failures::{Class, Operation},
    metrics::error_codes::ErrorCode,
    resiliency::{
        fault::{Classify, Fault, Outcome},
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
            Self::BulkGet(_) => "ERR_STATE_BULK_GET",
            Self::Save { .. } => Operation::Save.error_code(),
            Self::Delete { .. } => Operation::Delete.error_code(),
            Self::BulkDelete { .. } => Operation::BulkDelete.error_code(),
            Self::Transaction(_) => Operation::Transaction.error_code(),
            Self::UnsupportedOperation(_) => "ERR_NOT_SUPPORTED_STATE_OPERATION",
            Self::QueryUnsupported { .. } => "ERR_STATE_STORE_NOT_SUPPORTED",
            Self::QueryFailed { .. } => "ERR_STATE_QUERY",
        }
    }

    /// How metrics count it: a bad key is the state's although its code is everybody's.
    pub fn counted(&self) -> ErrorCode {
        let is_about_state = !matches!(self, Self::EmptyKey | Self::InvalidJson(_));
        ErrorCode { code: self.code(), is_about_state }
    }
}

/// Why a call that writes did not succeed.
#[derive(Clone, Debug, PartialEq)]
pub enum WriteFailure {
    /// The call's only write failed, or the whole call by its policy.
    Single(PolicyError<StoreError>),
    /// Some writes of several failed; each of these did.
    Batch(Vec<StoreError>),
    /// This failed, and the caller stops waiting before it could be tried again.
    NoTimeToRetry(Box<WriteFailure>),
}

/// What kind of answer a [`WriteFailure`] deserves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteFailureKind {
    /// Somebody else was faster: ABORTED, 409.
    Conflict,
    /// The etag is none: INVALID_ARGUMENT, 400.
    InvalidEtag,
    /// The caller's own time was over: DEADLINE_EXCEEDED. Callers over HTTP give none.
    OutOfTime,
    /// Everything else: INTERNAL, 500.
    Internal,
}

impl WriteFailure {
    /// What kind of answer this deserves. An outage is never reported as a conflict, also where
    /// another write of the same call met one.
    pub fn kind(&self) -> WriteFailureKind {
        match self {
            Self::Single(PolicyError::Operation(error)) => kind_of(std::slice::from_ref(error)),
            Self::Single(own) if own.is_callers_deadline() => WriteFailureKind::OutOfTime,
            Self::Single(_) => WriteFailureKind::Internal,
            Self::NoTimeToRetry(_) => WriteFailureKind::OutOfTime,
            Self::Batch(errors) => kind_of(errors),
        }
    }
}

impl std::fmt::Display for WriteFailure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let errors = match self {
            Self::Single(error) => return error.fmt(f),
            Self::Batch(errors) => errors,
            Self::NoTimeToRetry(failure) => return PolicyError::NoTimeToRetry(failure).fmt(f),
        };
        // Dapr wraps a batch of nothing but etag failures once more.
        if errors.iter().all(|error| etag_kind(error).is_some()) {
            f.write_str(match self.kind() {
                WriteFailureKind::InvalidEtag => "invalid etag value: ",
                _ => "possible etag mismatch. error from state store: ",
            })?;
        }
        for (position, error) in errors.iter().enumerate() {
            if position > 0 {
                f.write_str("\n")?;
            }
            error.fmt(f)?;
        }
        Ok(())
    }
}

fn kind_of(errors: &[StoreError]) -> WriteFailureKind {
    if errors.iter().any(|error| error.fault().outcome == Outcome::Failure) {
        return WriteFailureKind::Internal;
    }
    let mut kind = WriteFailureKind::Internal;
    for error in errors {
        match etag_kind(error) {
            Some(WriteFailureKind::InvalidEtag) => return WriteFailureKind::InvalidEtag,
            Some(found) => kind = found,
            None => {}
        }
    }
    kind
}

fn etag_kind(error: &StoreError) -> Option<WriteFailureKind> {
    match Class::from(error).kind() {
        kind @ Some(WriteFailureKind::Conflict | WriteFailureKind::InvalidEtag) => kind,
        Some(WriteFailureKind::OutOfTime | WriteFailureKind::Internal) | None => None,
    }
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
    use crate::resiliency::fault::Retry;

    fn mismatch() -> StoreError {
        StoreError::EtagMismatch("refused".to_owned())
    }

    fn lost() -> StoreError {
        StoreError::Lost("EOF".to_owned().into())
    }

    #[test]
    fn an_outage_beside_a_conflict_is_no_conflict() {
        assert_eq!(
            WriteFailure::Batch(vec![mismatch(), lost()]).kind(),
            WriteFailureKind::Internal
        );
        assert_eq!(WriteFailure::Batch(vec![mismatch()]).kind(), WriteFailureKind::Conflict);
    }

    #[test]
    fn an_invalid_etag_outranks_a_mismatch() {
        let failure = WriteFailure::Batch(vec![mismatch(), StoreError::EtagInvalid("x".into())]);
        assert_eq!(failure.kind(), WriteFailureKind::InvalidEtag);
        assert_eq!(
            failure.to_string(),
            "invalid etag value: possible etag mismatch. error from state store: refused\n\
             invalid etag value: x"
        );
    }

    #[test]
    fn a_batch_of_conflicts_is_wrapped_once_more_and_a_mixed_one_is_not() {
        assert_eq!(
            WriteFailure::Batch(vec![mismatch()]).to_string(),
            "possible etag mismatch. error from state store: \
             possible etag mismatch. error from state store: refused"
        );
        assert_eq!(
            WriteFailure::Batch(vec![mismatch(), lost()]).to_string(),
            "possible etag mismatch. error from state store: refused\nEOF"
        );
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
