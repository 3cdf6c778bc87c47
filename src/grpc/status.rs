//! The one table from [`StateError`] to gRPC: code, message, details.

use tonic::{Code, Status};
use tonic_types::{BadRequest, ErrorDetail, ErrorInfo, ResourceInfo, StatusExt as _};

use crate::api::{error::StateError, failures::Operation};

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
        StateError::BulkGet(_) => (told(error), vec![]),
        StateError::Get { .. }
        | StateError::Save { .. }
        | StateError::Delete { .. }
        | StateError::BulkDelete { .. }
        | StateError::Transaction(_) => (told(error), vec![info(error.code())]),
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

/// By the failure table.
fn told(error: &StateError) -> Code {
    error.told().map_or(Code::Internal, |told| Code::from(told.grpc as i32))
}

fn info(reason: &str) -> ErrorDetail {
    ErrorInfo::new(reason, DOMAIN, []).into()
}

fn resource(store: &str) -> ErrorDetail {
    ResourceInfo::new("state", store, "", "").into()
}
