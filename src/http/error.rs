//! Bodies of answers that say what went wrong, byte for byte as Dapr's.

use std::collections::BTreeMap;

use axum::{body::Body, response::IntoResponse as _};
use http::{HeaderValue, Response, StatusCode, header};
use serde::Serialize;

use crate::http::go_json;

/// The content type of everything that is JSON, exactly.
pub const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// The content type of what Go's own HTTP server answers.
pub const PLAIN_TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");

/// `{"errorCode":..,"message":..,"details":[..]}`.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ErrorBody<'a> {
    error_code: &'a str,
    message: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    details: Vec<Detail<'a>>,
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
    pub fn new(error_code: &'a str, message: &'a str) -> Self {
        Self { error_code, message, details: Vec::new() }
    }

    /// The same error with `details`, in this order.
    pub fn with_details(self, details: Vec<Detail<'a>>) -> Self {
        Self { details, ..self }
    }

    /// The answer.
    pub fn with_status(&self, status: StatusCode) -> Response<Body> {
        (status, [(header::CONTENT_TYPE, JSON)], go_json::to_vec(self)).into_response()
    }
}

/// An answer in plain text, as Go's HTTP library writes errors.
pub fn plain_text(status: StatusCode, text: String) -> Response<Body> {
    let no_sniffing = (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    (status, [(header::CONTENT_TYPE, PLAIN_TEXT), no_sniffing], text).into_response()
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
