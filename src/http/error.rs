//! Bodies of answers that say what went wrong, byte for byte as Dapr's.

use std::collections::BTreeMap;

use axum::{Extension, body::Body, response::IntoResponse as _};
use http::{HeaderValue, Response, StatusCode, header};
use serde::Serialize;

use crate::{
    api::{error::StateError, failures::OVERLOADED},
    edge::admission::{RETRY_AFTER_SECONDS, Refusal},
    http::go_json,
    metrics::error_codes::ErrorCode,
};

/// The content type of everything that is JSON, exactly.
pub const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// The content type of what Go's own HTTP server answers.
pub const PLAIN_TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");

/// `{"errorCode":..,"message":..,"details":[..]}`.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ErrorBody<'a> {
    error_code: &'static str,
    message: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    details: Vec<Detail<'a>>,
    #[serde(skip)]
    is_about_state: bool,
}

/// One of Google's error details; its members come in alphabetical order.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "@type")]
pub enum Detail<'a> {
    /// Which inputs are wrong.
    #[serde(rename = "type.googleapis.com/google.rpc.BadRequest")]
    BadRequest {
        /// The wrong inputs.
        field_violations: Vec<Violation<'a>>,
    },
    /// Why, in a word that programs read.
    #[serde(rename = "type.googleapis.com/google.rpc.ErrorInfo")]
    ErrorInfo {
        /// Who gives out such words.
        domain: &'a str,
        /// What else is known.
        metadata: Option<BTreeMap<&'a str, &'a str>>,
        /// The word.
        reason: &'a str,
    },
    /// When to try again.
    #[serde(rename = "type.googleapis.com/google.rpc.RetryInfo")]
    RetryInfo {
        /// How long to wait first.
        retry_delay: &'a str,
    },
    /// What it is about.
    #[serde(rename = "type.googleapis.com/google.rpc.ResourceInfo")]
    ResourceInfo {
        /// More about it.
        description: &'a str,
        /// Whose it is.
        owner: &'a str,
        /// Its name.
        resource_name: &'a str,
        /// What it is.
        resource_type: &'a str,
    },
}

/// One wrong input; an empty field has no name in JSON.
#[derive(Clone, Debug, Serialize)]
pub struct Violation<'a> {
    /// Which input.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub field: &'a str,
    /// What is wrong with it.
    pub description: &'a str,
}

impl<'a> ErrorBody<'a> {
    /// An error without details.
    pub fn new(error_code: &'static str, message: &'a str) -> Self {
        Self { error_code, message, details: Vec::new(), is_about_state: false }
    }

    /// The same error with `details`, in this order.
    pub fn with_details(self, details: Vec<Detail<'a>>) -> Self {
        Self { details, ..self }
    }

    /// The answer; whoever counts finds the code in its extensions.
    pub fn with_status(&self, status: StatusCode) -> Response<Body> {
        let Self { error_code: code, is_about_state, .. } = *self;
        let code = Extension(ErrorCode { code, is_about_state });
        (status, [(header::CONTENT_TYPE, JSON)], code, go_json::to_vec(self)).into_response()
    }
}

/// What a caller hears when there is too much to do; nothing of the call was done.
pub fn overloaded(refusal: Refusal) -> Response<Body> {
    let Refusal { limit, most } = refusal;
    let (message, most) = (refusal.to_string(), most.to_string());
    let named = [("limit", limit.label()), ("flag", limit.flag()), ("value", &most)];
    let delay = format!("{RETRY_AFTER_SECONDS}s");
    let mut response = ErrorBody::new(OVERLOADED, &message)
        .with_details(vec![
            info(limit.reason(), Some(BTreeMap::from(named))),
            Detail::RetryInfo { retry_delay: &delay },
        ])
        .with_status(StatusCode::TOO_MANY_REQUESTS);
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(RETRY_AFTER_SECONDS));
    response
}

/// An answer in plain text, as Go's HTTP library writes errors.
pub fn plain_text(status: StatusCode, text: String) -> Response<Body> {
    let no_sniffing = (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    (status, [(header::CONTENT_TYPE, PLAIN_TEXT), no_sniffing], text).into_response()
}

/// Every detail of ours and of Dapr's names this domain.
const DOMAIN: &str = "dapr.io";

/// How a caller asked, as far as it shows in the errors of state calls.
#[derive(Clone, Debug)]
pub struct Asked<'a> {
    app_id: Option<&'a str>,
    names_key: bool,
}

impl<'a> Asked<'a> {
    /// By one of the routes that name the application where a store is missing.
    pub fn of(app_id: &'a str) -> Self {
        Self { app_id: Some(app_id), names_key: true }
    }

    /// By the route of queries, which does not.
    pub fn anonymously() -> Self {
        Self { app_id: None, names_key: true }
    }

    /// In a transaction, where a bad key is not named in the details.
    pub fn for_an_operation(self) -> Self {
        Self { names_key: false, ..self }
    }

    /// The answer to a state call that failed.
    pub fn refused(&self, error: &StateError) -> Response<Body> {
        let message = message(error);
        let ErrorCode { code, is_about_state } = error.counted();
        let body = ErrorBody { is_about_state, ..ErrorBody::new(code, &message) };
        body.with_details(self.details(error, &message)).with_status(status(error))
    }

    /// In the order in which Dapr emits them.
    fn details<'d>(&self, error: &'d StateError, message: &'d str) -> Vec<Detail<'d>>
    where
        'a: 'd,
    {
        let metadata = self.app_id.map(|app_id| BTreeMap::from([("appID", app_id)]));
        match error {
            StateError::NotConfigured { .. } => vec![info("DAPR_STATE_NOT_CONFIGURED", metadata)],
            StateError::NotFound { .. } => vec![info("DAPR_STATE_NOT_FOUND", metadata)],
            StateError::InvalidKey { store, key } => {
                let field = if self.names_key { key.as_str() } else { "" };
                let violation = Violation { field, description: message };
                vec![
                    Detail::BadRequest { field_violations: vec![violation] },
                    resource(store),
                    info("DAPR_STATE_ILLEGAL_KEY", None),
                ]
            }
            StateError::QueryUnsupported { store } => {
                vec![resource(store), info("DAPR_STATE_QUERYING_NOT_SUPPORTED", None)]
            }
            StateError::QueryFailed { store, .. } => {
                vec![resource(store), info("DAPR_STATE_QUERY_FAILED", None)]
            }
            StateError::EmptyKey
            | StateError::InvalidJson(_)
            | StateError::Get { .. }
            | StateError::BulkGet(_)
            | StateError::Save { .. }
            | StateError::Delete { .. }
            | StateError::BulkDelete { .. }
            | StateError::Transaction(_)
            | StateError::UnsupportedOperation(_) => vec![],
        }
    }
}

/// Two errors are worded otherwise than over gRPC.
fn message(error: &StateError) -> String {
    match error {
        StateError::InvalidKey { .. } => {
            format!("api error: code = InvalidArgument desc = {error}")
        }
        StateError::EmptyKey => "\"key\" is a required field".to_owned(),
        StateError::NotConfigured { .. }
        | StateError::NotFound { .. }
        | StateError::InvalidJson(_)
        | StateError::Get { .. }
        | StateError::BulkGet(_)
        | StateError::Save { .. }
        | StateError::Delete { .. }
        | StateError::BulkDelete { .. }
        | StateError::Transaction(_)
        | StateError::UnsupportedOperation(_)
        | StateError::QueryUnsupported { .. }
        | StateError::QueryFailed { .. } => error.to_string(),
    }
}

/// The one table from [`StateError`] to HTTP's statuses, as Dapr's `api/errors/state.go` and
/// `messages/predefined.go` say.
fn status(error: &StateError) -> StatusCode {
    match error {
        StateError::NotFound { .. }
        | StateError::InvalidKey { .. }
        | StateError::EmptyKey
        | StateError::InvalidJson(_)
        | StateError::UnsupportedOperation(_) => StatusCode::BAD_REQUEST,
        // By the failure table.
        StateError::Save { .. }
        | StateError::Delete { .. }
        | StateError::BulkDelete { .. }
        | StateError::Get { .. }
        | StateError::BulkGet(_)
        | StateError::Transaction(_) => {
            let status = error.told().and_then(|told| StatusCode::from_u16(told.http).ok());
            status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
        }
        StateError::NotConfigured { .. }
        | StateError::QueryUnsupported { .. }
        | StateError::QueryFailed { .. } => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

fn info<'d>(reason: &'d str, metadata: Option<BTreeMap<&'d str, &'d str>>) -> Detail<'d> {
    Detail::ErrorInfo { domain: DOMAIN, metadata, reason }
}

fn resource(store: &str) -> Detail<'_> {
    Detail::ResourceInfo {
        description: "",
        owner: "",
        resource_name: store,
        resource_type: "state",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(body: &ErrorBody<'_>) -> String {
        String::from_utf8(go_json::to_vec(body)).unwrap()
    }

    #[test]
    fn bodies_are_those_of_dapr() {
        // sidecar-surface A2 and state-api 2.7.
        let not_found =
            ErrorBody::new("ERR_STATE_STORE_NOT_FOUND", "state store nope is not found")
                .with_details(vec![Detail::ErrorInfo {
                    domain: "dapr.io",
                    metadata: Some(BTreeMap::from([("appID", "order-processor")])),
                    reason: "DAPR_STATE_NOT_FOUND",
                }]);
        assert_eq!(
            text(&not_found),
            r#"{"errorCode":"ERR_STATE_STORE_NOT_FOUND","message":"state store nope is not found","details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo","domain":"dapr.io","metadata":{"appID":"order-processor"},"reason":"DAPR_STATE_NOT_FOUND"}]}"#
        );
        let bad_key = ErrorBody::new("ERR_MALFORMED_REQUEST", "<a> & b").with_details(vec![
            Detail::BadRequest {
                field_violations: vec![
                    Violation { field: "a||b", description: "d" },
                    Violation { field: "", description: "e" },
                ],
            },
            Detail::ResourceInfo {
                description: "",
                owner: "",
                resource_name: "foo",
                resource_type: "state",
            },
            Detail::ErrorInfo { domain: "dapr.io", metadata: None, reason: "R" },
        ]);
        assert_eq!(
            text(&bad_key),
            r#"{"errorCode":"ERR_MALFORMED_REQUEST","message":"\u003ca\u003e \u0026 b","details":[{"@type":"type.googleapis.com/google.rpc.BadRequest","field_violations":[{"field":"a||b","description":"d"},{"description":"e"}]},{"@type":"type.googleapis.com/google.rpc.ResourceInfo","description":"","owner":"","resource_name":"foo","resource_type":"state"},{"@type":"type.googleapis.com/google.rpc.ErrorInfo","domain":"dapr.io","metadata":null,"reason":"R"}]}"#
        );
    }
}
