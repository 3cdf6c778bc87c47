//! Addresses of HTTP requests.

use std::borrow::Cow;

use http::Uri;

use super::text;
use crate::http::path;

/// The address that a request names.
pub fn http_path(input: &[u8]) {
    let Some(text) = text(input) else { return };
    check_query(text);
    // Requests name a path, or all of an address; CONNECT's form has no meaning here.
    let Some(uri) = text.parse::<Uri>().ok().filter(|uri| uri.path().starts_with('/')) else {
        return;
    };
    let path = uri.path();
    let Ok(cleaned) = path::cleaned(&uri) else {
        assert_eq!(decoded(path), None, "{path:?} has no bad escape");
        return;
    };
    let decoded = decoded(path);
    assert!(decoded.is_some(), "{path:?} has a bad escape");
    let Some(cleaned) = cleaned else {
        assert_eq!(segments(path).join("/"), path.trim_start_matches('/'), "{path:?} is not clean");
        return;
    };
    assert_eq!(path::cleaned(&cleaned), Ok(None), "{path:?} became {cleaned}");
    assert_eq!((cleaned.query(), cleaned.authority()), (uri.query(), uri.authority()));
    let expected = format!("/{}", segments(path).join("/")).replace('+', "%20");
    assert_eq!(cleaned.path(), expected, "{path:?}");
    assert!(!path::unescaped(cleaned.path()).contains('+') || path.to_uppercase().contains("%2B"));
}

/// What is left of a path's segments when it is walked.
fn segments(path: &str) -> Vec<&str> {
    let mut walked = Vec::new();
    for segment in path.split('/').filter(|segment| !matches!(*segment, "" | ".")) {
        if segment == ".." {
            walked.pop();
        } else {
            walked.push(segment);
        }
    }
    walked
}

/// A text without its escapes; `None` if one of them is bad.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut pieces = text.split('%');
    bytes.extend_from_slice(pieces.next()?.replace('+', " ").as_bytes());
    for piece in pieces {
        let digits = piece.get(..2).filter(|it| it.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        bytes.extend_from_slice(piece[2..].replace('+', " ").as_bytes());
    }
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

fn check_query(query: &str) {
    let pairs: Vec<(Cow<'_, str>, Cow<'_, str>)> = path::query_pairs(query).collect();
    let expected: Vec<(String, String)> = query
        .split('&')
        .filter(|pair| !pair.is_empty() && !pair.contains(';'))
        .filter_map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Some((decoded(name)?, decoded(value)?))
        })
        .collect();
    let own: Vec<(String, String)> =
        pairs.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
    assert_eq!(own, expected, "{query:?}");
    if let Some((name, value)) = expected.first() {
        assert_eq!(path::query_value(query, name).as_deref(), Some(value.as_str()));
    }
}
