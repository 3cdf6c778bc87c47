//! What a call hears that never reaches a handler. The texts are those of Dapr and of Go's gRPC.

use std::{collections::HashMap, time::Duration};

use http::{HeaderMap, HeaderName, Method, Request, Response, StatusCode, header};
use tonic::{
    Code, Status,
    body::Body,
    metadata::{MetadataMap, MetadataValue},
};
use tonic_types::{ErrorDetails, StatusExt as _};

use crate::{
    edge::{
        admission::{RETRY_AFTER_SECONDS, Refusal},
        baggage::BaggageError,
        token::TokenError,
    },
    grpc::{deadline::TimeoutError, names::Destination},
};

/// The header that names how a request's messages are compressed.
pub const ENCODING_HEADER: HeaderName = HeaderName::from_static("grpc-encoding");

/// Metadata that asks Dapr to hand the call to another application.
const INVOCATION_HEADERS: [&str; 2] = ["dapr-callee-app-id", "dapr-app-id"];

/// What somebody hears who speaks HTTP/2 to this port but no gRPC: a browser, a probe, `curl`.
pub fn not_grpc<B>(request: &Request<B>) -> Option<Response<Body>> {
    if request.method() != Method::POST {
        let method = request.method();
        let status = Status::unimplemented(format!(
            "Received a HEADERS frame with :method {:?} which should be POST",
            method.as_str()
        ));
        return Some(with_status(StatusCode::METHOD_NOT_ALLOWED, status));
    }
    let content_type = request.headers().get(header::CONTENT_TYPE);
    let content_type = content_type.map_or(&b""[..], |value| value.as_bytes());
    let subtype = content_type.strip_prefix(b"application/grpc");
    if subtype.is_some_and(|subtype| matches!(subtype.first(), None | Some(b'+' | b';'))) {
        return None;
    }
    let status = Status::invalid_argument(format!(
        "Received unexpected content-type {:?}",
        String::from_utf8_lossy(content_type)
    ));
    Some(with_status(StatusCode::UNSUPPORTED_MEDIA_TYPE, status))
}

/// The caller says in no readable way how long it waits.
pub fn malformed_timeout(error: &TimeoutError) -> Response<Body> {
    let status = Status::internal(format!("malformed grpc-timeout: {error}"));
    with_status(StatusCode::BAD_REQUEST, status)
}

fn with_status(code: StatusCode, status: Status) -> Response<Body> {
    let mut response = status.into_http();
    *response.status_mut() = code;
    response
}

/// A rule closes the RPC.
pub fn closed() -> Status {
    let metadata = HashMap::from([
        ("http.code".to_owned(), "501".to_owned()),
        ("http.error_message".to_owned(), "requested endpoint is not available".to_owned()),
    ]);
    let details = ErrorDetails::with_error_info("Not Implemented", "dapr.io", metadata);
    Status::with_error_details(Code::Unimplemented, "Not Implemented", details)
}

/// The caller presented no token, or the wrong one.
pub fn unauthenticated(error: TokenError, headers: &HeaderMap) -> Status {
    let why = match error {
        TokenError::Missing if headers.is_empty() => "missing metadata in request",
        TokenError::Missing => "missing api token in request metadata",
        TokenError::Mismatch => "authentication error: api token mismatch",
    };
    let metadata = HashMap::from([
        ("http.code".to_owned(), "401".to_owned()),
        ("http.error_message".to_owned(), why.to_owned()),
    ]);
    let details = ErrorDetails::with_error_info("Unauthorized", "dapr.io", metadata);
    Status::with_error_details(Code::Unauthenticated, "Unauthorized", details)
}

/// The sidecar has too much to do; nothing of the call was done.
pub fn overloaded(refusal: Refusal) -> Status {
    let metadata = HashMap::from([
        ("limit".to_owned(), refusal.limit.label().to_owned()),
        ("flag".to_owned(), refusal.limit.flag().to_owned()),
        ("value".to_owned(), refusal.most.to_string()),
    ]);
    let mut details = ErrorDetails::with_error_info(refusal.limit.reason(), "dapr.io", metadata);
    details.set_retry_info(Some(Duration::from_secs(RETRY_AFTER_SECONDS.into())));
    let mut trailers = MetadataMap::new();
    trailers.insert("retry-after", MetadataValue::from(RETRY_AFTER_SECONDS));
    let (code, message) = (Code::ResourceExhausted, refusal.to_string());
    Status::with_error_details_and_metadata(code, message, details, trailers)
}

/// The caller's baggage is none.
pub fn bad_baggage(error: BaggageError) -> Status {
    Status::invalid_argument(format!("invalid baggage header: {error}"))
}

/// Refuses messages that are compressed in a way we do not read.
pub fn check_encoding(headers: &HeaderMap) -> Result<(), Status> {
    match headers.get(ENCODING_HEADER).map(|value| value.as_bytes()) {
        None | Some(b"" | b"identity" | b"gzip") => Ok(()),
        Some(other) => Err(Status::unimplemented(format!(
            "grpc: Decompressor is not installed for grpc-encoding {:?}",
            String::from_utf8_lossy(other)
        ))),
    }
}

/// The path leads to nothing that is served. With `tracing` Dapr looks at calls of other services
/// earlier, and says so in other words.
pub fn not_served<B>(destination: Destination, request: &Request<B>, tracing: bool) -> Status {
    let path = request.uri().path();
    let wants_invocation =
        || INVOCATION_HEADERS.iter().any(|name| request.headers().contains_key(*name));
    match destination {
        Destination::Malformed => Status::unimplemented(format!("malformed method name: {path:?}")),
        Destination::Dapr(method) | Destination::Unserved(method) => Status::unimplemented(
            format!("{method} is not served: Outrigger serves the state API of Dapr"),
        ),
        Destination::Unknown | Destination::Foreign | Destination::Reflection
            if wants_invocation() =>
        {
            Status::unimplemented(format!(
                "{path} is not served: Outrigger serves the state API of Dapr and invokes no services"
            ))
        }
        Destination::Foreign | Destination::Reflection if tracing => Status::unknown(
            "cannot proxy request: missing dapr-callee-app-id or dapr-app-id metadata",
        ),
        Destination::Unknown | Destination::Foreign | Destination::Reflection => Status::unknown(
            "failed to proxy request: required metadata dapr-callee-app-id or dapr-app-id not found",
        ),
    }
}

/// The handler panicked.
pub fn panicked(method: &str) -> Status {
    Status::internal(format!("the handler of {method} failed unexpectedly"))
}
