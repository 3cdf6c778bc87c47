//! Bodies and addresses of HTTP requests.

use std::borrow::Cow;

use bytes::Bytes;
use http::Uri;
use serde_json::Value;

use super::{
    oracle::{self, Json, Judgement},
    text,
};
use crate::{
    api::json,
    http::{
        path,
        state::decode::{self, ItemRequest, Malformed, Metadata, same_name},
    },
};

/// The body of a save and, because the same bytes may be sent there, of a bulk read.
pub fn http_body_save(input: &[u8]) {
    let items = decode::save(input);
    let keys = decode::bulk_get(input);
    for told in [items.as_ref().err(), keys.as_ref().err()].into_iter().flatten() {
        check_text(told);
    }
    items.iter().flatten().for_each(check_item);
    match oracle::first(input) {
        Judgement::Valid(json) => {
            check_verdict(&items, expected_items(&json), |expected, items| {
                Expected::agrees(expected, items)
            });
            // To serde_json a negative zero is a float, to Go it is an int like any other.
            if !input.windows(2).any(|pair| pair == b"-0") {
                check_verdict(&keys, expected_keys(&json), |expected, keys| expected == keys);
            }
        }
        Judgement::Invalid => {
            assert!(matches!(items, Err(Malformed::Json(_))), "what is no JSON is accepted");
            assert!(matches!(keys, Err(Malformed::Json(_))), "what is no JSON is accepted");
        }
        Judgement::Undecided => {}
    }
}

/// The body of a transaction, with the requests of its operations.
pub fn http_body_transaction(input: &[u8]) {
    let operations = decode::transaction(input);
    if let Err(told) = &operations {
        check_text(told);
    }
    for operation in operations.iter().flatten() {
        let (upsert, delete) = (operation.upsert(), operation.delete());
        for told in [upsert.as_ref().err(), delete.as_ref().err()].into_iter().flatten() {
            check_text(told);
        }
        upsert.iter().for_each(check_item);
        if let Ok(item) = &delete {
            assert_eq!(item.value, None);
        }
        if let (Ok(upsert), Ok(delete)) = (upsert, delete) {
            assert!(ItemRequest { value: None, ..upsert } == delete, "two readings of one request");
        }
    }
    match oracle::first(input) {
        Judgement::Valid(json) => {
            let names = operations.map(|operations| {
                operations.into_iter().map(|operation| operation.operation).collect::<Vec<_>>()
            });
            check_verdict(&names, expected_names(&json), |expected, names| expected == names);
        }
        Judgement::Invalid => assert!(matches!(operations, Err(Malformed::Json(_)))),
        Judgement::Undecided => {}
    }
}

/// A text that a caller is told names no more of the body than a number's digits.
fn check_text(told: &Malformed) {
    let told = told.to_string();
    assert!(!told.is_empty());
    assert!(!told.contains(|c: char| c.is_control() && c != '\n'), "{told:?}");
}

/// What is stored of an item is one compact value.
fn check_item(item: &ItemRequest) {
    if let Some(value) = &item.value {
        assert_eq!(json::compact(value).as_deref(), Ok(&value[..]), "not compact");
    }
}

fn check_verdict<T, E>(
    read: &Result<T, Malformed>,
    expected: Option<E>,
    agrees: impl Fn(&E, &T) -> bool,
) {
    match (read, expected) {
        (Ok(read), Some(expected)) => assert!(agrees(&expected, read), "another reading"),
        (Ok(_), None) => panic!("what has another shape is accepted"),
        // A number that no float64 holds, which serde_json may read as zero, and one that is no
        // int where one is wanted.
        (Err(Malformed::Type { found, .. }), _) if found.starts_with("number ") => {}
        (Err(told), Some(_)) => panic!("refused: {told}"),
        (Err(_), None) => {}
    }
}

/// An item, its value by what it means.
#[derive(Default)]
struct Expected {
    item: ItemRequest,
    value: Option<Value>,
}

impl Expected {
    fn agrees(expected: &[Self], items: &[ItemRequest]) -> bool {
        expected.len() == items.len()
            && expected.iter().zip(items).all(|(expected, item)| {
                let stored = |bytes: &Bytes| serde_json::from_slice::<Value>(bytes).ok();
                item.value.as_ref().map(stored) == expected.value.clone().map(Some)
                    && ItemRequest { value: None, ..item.clone() } == expected.item
            })
    }
}

/// The items of a save; `None` if the body has another shape.
fn expected_items(body: &Json) -> Option<Vec<Expected>> {
    list(body)?.iter().map(expected_item).collect()
}

fn expected_item(element: &Json) -> Option<Expected> {
    let mut expected = Expected::default();
    let item = &mut expected.item;
    for (name, value) in members(element)? {
        let is = |field| same_name(name, field);
        if is("key") {
            set(&mut item.key, value)?;
        } else if is("value") {
            expected.value = Some(value.value());
        } else if is("etag") {
            item.etag = said(value)?;
        } else if is("metadata") {
            texts(&mut item.metadata, value)?;
        } else if is("options") {
            for (name, word) in members(value)? {
                if same_name(name, "concurrency") {
                    set(&mut item.concurrency, word)?;
                } else if same_name(name, "consistency") {
                    set(&mut item.consistency, word)?;
                }
            }
        } else if is("contentType") {
            said(value)?;
        }
    }
    Some(expected)
}

/// The keys of a bulk read.
fn expected_keys(body: &Json) -> Option<Vec<String>> {
    let mut keys = Vec::new();
    for (name, value) in members(body)? {
        if same_name(name, "keys") {
            let texts = list(value)?.iter().map(|key| Some(said(key)?.unwrap_or_default()));
            keys = texts.collect::<Option<_>>()?;
        } else if same_name(name, "parallelism") {
            let Json::Plain(number) = value else { return None };
            (number.is_null() || number.is_i64()).then_some(())?;
        } else if same_name(name, "metadata") {
            texts(&mut Metadata::new(), value)?;
        }
    }
    Some(keys)
}

/// The names of a transaction's operations.
fn expected_names(body: &Json) -> Option<Vec<String>> {
    let mut names = Vec::new();
    for (name, value) in members(body)? {
        if same_name(name, "operations") {
            names.clear();
            for element in list(value)? {
                let mut operation = String::new();
                for (name, value) in members(element)? {
                    if same_name(name, "operation") {
                        set(&mut operation, value)?;
                    }
                }
                names.push(operation);
            }
        } else if same_name(name, "metadata") {
            texts(&mut Metadata::new(), value)?;
        }
    }
    Some(names)
}

fn list(json: &Json) -> Option<&[Json]> {
    match json {
        Json::List(items) => Some(items),
        Json::Plain(Value::Null) => Some(&[]),
        _ => None,
    }
}

fn members(json: &Json) -> Option<&[(String, Json)]> {
    match json {
        Json::Map(members) => Some(members),
        Json::Plain(Value::Null) => Some(&[]),
        _ => None,
    }
}

/// A text, or nothing for `null`.
fn said(json: &Json) -> Option<Option<String>> {
    match json {
        Json::Text(text) => Some(Some(text.clone())),
        Json::Plain(Value::Null) => Some(None),
        _ => None,
    }
}

fn set(field: &mut String, json: &Json) -> Option<()> {
    if let Some(text) = said(json)? {
        *field = text;
    }
    Some(())
}

fn texts(into: &mut Metadata, json: &Json) -> Option<()> {
    if matches!(json, Json::Plain(Value::Null)) {
        into.clear();
    }
    for (name, value) in members(json)? {
        into.insert(name.clone(), said(value)?.unwrap_or_default());
    }
    Some(())
}

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
