//! The one table from [`StateError`] to gRPC: code, message, details.

use tonic::{Code, Status};
use tonic_types::{BadRequest, ErrorDetail, ErrorInfo, ResourceInfo, StatusExt as _};

use crate::{
    api::{
        error::{StateError, WriteFailure, WriteFailureKind},
        failures::Operation,
    },
    resiliency::policy::PolicyError,
    state_store::StoreError,
};

/// Every detail of ours and of Dapr's names this domain.
const DOMAIN: &str = "dapr.io";

impl From<StateError> for Status {
    fn from(error: StateError) -> Self {
        let message = error.to_string();
        let (code, details) = code_and_details(&error, &message);
        Status::with_error_details_vec(code, message, details)
    }
}

/// As Dapr's `api/errors/state.go` and `messages/predefined.go` say, in the order they emit.
fn code_and_details(error: &StateError, message: &str) -> (Code, Vec<ErrorDetail>) {
    match error {
        StateError::NotConfigured { .. } => {
            (Code::FailedPrecondition, vec![info("DAPR_STATE_NOT_CONFIGURED")])
        }
        StateError::NotFound { .. } => (Code::InvalidArgument, vec![info("DAPR_STATE_NOT_FOUND")]),
        StateError::InvalidKey { store, key } => (
            Code::InvalidArgument,
            vec![
                BadRequest::with_violation(key, message).into(),
                resource(store),
                info("DAPR_STATE_ILLEGAL_KEY"),
            ],
        ),
        StateError::EmptyKey => (Code::InvalidArgument, vec![info(Operation::Save.error_code())]),
        StateError::InvalidJson(_) => (Code::Unknown, vec![]),
        StateError::Get { cause, .. } => (get_code(cause), vec![info(Operation::Get.error_code())]),
        StateError::BulkGet(cause) => (bulk_get_code(cause), vec![]),
        StateError::Save { cause, .. } => {
            (write_code(cause), vec![info(Operation::Save.error_code())])
        }
        StateError::Delete { cause, .. } => {
            (write_code(cause), vec![info(Operation::Delete.error_code())])
        }
        StateError::BulkDelete { cause, .. } => {
            (write_code(cause), vec![info(Operation::BulkDelete.error_code())])
        }
        StateError::Transaction(cause) => {
            (transaction_code(cause), vec![info(Operation::Transaction.error_code())])
        }
        StateError::UnsupportedOperation(_) => {
            (Code::Unimplemented, vec![info("ERR_NOT_SUPPORTED_STATE_OPERATION")])
        }
        StateError::QueryUnsupported { store } => {
            (Code::Internal, vec![resource(store), info("DAPR_STATE_QUERYING_NOT_SUPPORTED")])
        }
        StateError::QueryFailed { store, .. } => {
            (Code::Internal, vec![resource(store), info("DAPR_STATE_QUERY_FAILED")])
        }
    }
}

/// Who gave a deadline hears that it is over, whether from us or from its own clock. Dapr's own
/// answer, if it comes first, is INTERNAL.
fn get_code(cause: &PolicyError<StoreError>) -> Code {
    if cause.is_callers_deadline() { Code::DeadlineExceeded } else { Code::Internal }
}

fn transaction_code(cause: &WriteFailure) -> Code {
    match cause.kind() {
        WriteFailureKind::OutOfTime => Code::DeadlineExceeded,
        WriteFailureKind::Conflict | WriteFailureKind::InvalidEtag | WriteFailureKind::Internal => {
            Code::Internal
        }
    }
}

/// Dapr hands these errors of a bulk read out as they are, without a code of its own.
fn bulk_get_code(cause: &PolicyError<StoreError>) -> Code {
    match cause {
        PolicyError::TimedOut | PolicyError::DeadlineExceeded | PolicyError::NoTimeToRetry(_) => {
            Code::DeadlineExceeded
        }
        PolicyError::CircuitOpen | PolicyError::TooManyRequests | PolicyError::Operation(_) => {
            Code::Unknown
        }
    }
}

fn write_code(cause: &WriteFailure) -> Code {
    Code::from(cause.kind().told().grpc as i32)
}

fn info(reason: &str) -> ErrorDetail {
    ErrorInfo::new(reason, DOMAIN, []).into()
}

fn resource(store: &str) -> ErrorDetail {
    ResourceInfo::new("state", store, "", "").into()
}
