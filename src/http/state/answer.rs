//! How what was found is written.

use axum::{body::Body, response::IntoResponse as _};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};

use crate::{
    api::{names::EXPIRY, state::BulkItem},
    http::{error::JSON, go_json},
    state_store::Entry,
};

/// [`EXPIRY`] as a header: Dapr writes each entry of the metadata as one.
const EXPIRY_HEADER: HeaderName = HeaderName::from_static("metadata.ttlexpiretime");

/// No content, with these headers: what is done, or not there.
pub fn nothing(headers: HeaderMap) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    *response.headers_mut() = headers;
    response
}

/// One value, as it is stored, or nothing; with these headers besides.
pub fn found(found: Option<Entry>, mut headers: HeaderMap) -> Response<Body> {
    let Some(entry) = found else { return nothing(headers) };
    headers.insert(header::CONTENT_TYPE, JSON);
    for (name, text) in [(header::ETAG, entry.etag), (EXPIRY_HEADER, entry.expires_at)] {
        // What another program wrote as a version may be no text that a header can hold.
        if let Some(text) = text
            && let Ok(value) = HeaderValue::from_maybe_shared(bytes::Bytes::from(text))
        {
            headers.insert(name, value);
        }
    }
    let mut response = Response::new(Body::from(entry.data));
    *response.headers_mut() = headers;
    response
}

/// An array with an object for each key: key, data, etag, metadata, error, as far as there is one.
pub fn items(items: Vec<BulkItem>) -> Response<Body> {
    let mut body = vec![b'['];
    for (position, item) in items.into_iter().enumerate() {
        if position > 0 {
            body.push(b',');
        }
        write_item(&mut body, &item);
    }
    body.extend_from_slice(b"]\n");
    ([(header::CONTENT_TYPE, JSON)], body).into_response()
}

fn write_item(body: &mut Vec<u8>, item: &BulkItem) {
    body.extend_from_slice(b"{\"key\":");
    write_text(body, item.key.as_str());
    match &item.found {
        Ok(None) => {}
        Ok(Some(entry)) => write_entry(body, entry),
        Err(error) => write_error(body, &error.to_string()),
    }
    body.push(b'}');
}

/// Dapr's answer becomes empty as a whole where one value is not JSON; here that item alone says
/// so, and the others arrive.
fn write_entry(body: &mut Vec<u8>, entry: &Entry) {
    if !entry.data.is_empty() {
        match go_json::embedded(&entry.data) {
            Ok(data) => {
                body.extend_from_slice(b",\"data\":");
                body.extend_from_slice(&data);
            }
            Err(error) => return write_error(body, &format!("the value is not JSON: {error}")),
        }
    }
    if let Some(etag) = entry.etag.as_deref().filter(|etag| !etag.is_empty()) {
        body.extend_from_slice(b",\"etag\":");
        write_text(body, etag);
    }
    if let Some(expiry) = &entry.expires_at {
        body.extend_from_slice(b",\"metadata\":{");
        write_text(body, EXPIRY);
        body.push(b':');
        write_text(body, expiry);
        body.push(b'}');
    }
}

fn write_error(body: &mut Vec<u8>, text: &str) {
    body.extend_from_slice(b",\"error\":");
    write_text(body, text);
}

fn write_text(body: &mut Vec<u8>, text: &str) {
    body.extend_from_slice(&go_json::to_vec(&text));
}
