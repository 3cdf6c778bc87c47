//! Bodies of HTTP requests.

use bytes::Bytes;
use serde_json::Value;

use super::oracle::{self, Json, Judgement};
use crate::{
    api::json,
    http::state::{
        decode::{self, ItemRequest, Malformed, Metadata, OperationRequest, same_name},
        loose::LooseError,
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
                Expected::all_agree(expected, items)
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
    }
    match oracle::first(input) {
        Judgement::Valid(json) => {
            check_verdict(&operations, expected_operations(&json), |expected, operations| {
                expected.len() == operations.len()
                    && expected.iter().zip(operations).all(|(expected, it)| expected.agrees(it))
            });
        }
        Judgement::Invalid => assert!(matches!(operations, Err(Malformed::Json(_)))),
        Judgement::Undecided => {}
    }
}

/// A text that a caller is told names no more of the body than the digits of a number that cannot
/// be what it is for.
fn check_text(told: &Malformed) {
    if let Malformed::Type { found, wanted, .. } = told
        && let Some(digits) = found.strip_prefix("number ")
    {
        let is_right = match *wanted {
            "int" => digits.parse::<i64>().is_err(),
            "float64" => is_too_large(digits),
            _ => false,
        };
        assert!(is_right, "{digits} is no {wanted}");
    }
    // A transaction's text has the names of metadata as they were sent, as Dapr's has.
    let has_names = matches!(told, Malformed::Loose(_));
    let told = told.to_string();
    assert!(!told.is_empty());
    assert!(has_names || !told.contains(char::is_control), "{told:?}");
}

/// Whether no float64 holds the number. Of a long one only the beginning is told.
fn is_too_large(digits: &str) -> bool {
    digits.len() >= 256 || digits.parse::<f64>().is_ok_and(f64::is_infinite)
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
        // A number that no float64 holds, which serde_json may read as zero.
        (Err(Malformed::Type { found, wanted: "float64", .. }), _)
            if found.strip_prefix("number ").is_some_and(is_too_large) => {}
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
    fn agrees(&self, item: &ItemRequest) -> bool {
        let stored = |bytes: &Bytes| serde_json::from_slice::<Value>(bytes).ok();
        item.value.as_ref().map(stored) == self.value.clone().map(Some)
            && ItemRequest { value: None, ..item.clone() } == self.item
    }

    fn all_agree(expected: &[Self], items: &[ItemRequest]) -> bool {
        expected.len() == items.len()
            && expected.iter().zip(items).all(|(expected, item)| expected.agrees(item))
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

/// An operation of a transaction; no request is one that is `null` or not there.
#[derive(Default)]
struct ExpectedOperation<'a> {
    name: String,
    request: Option<&'a Json>,
}

impl ExpectedOperation<'_> {
    fn agrees(&self, operation: &OperationRequest) -> bool {
        let reads = [(true, operation.upsert()), (false, operation.delete())];
        self.name == operation.operation
            && reads.iter().all(|(upsert, read)| {
                match (expected_request(self.request, *upsert), read) {
                    (Ok(expected), Ok(item)) => expected.agrees(item),
                    (Err(expected), Err(Malformed::Loose(told))) => expected.agrees(told),
                    _ => false,
                }
            })
    }
}

/// The operations of a transaction; `None` if the body has another shape.
fn expected_operations(body: &Json) -> Option<Vec<ExpectedOperation<'_>>> {
    let mut operations = Vec::new();
    for (name, value) in members(body)? {
        if same_name(name, "operations") {
            operations.clear();
            for element in list(value)? {
                let mut operation = ExpectedOperation::default();
                for (name, value) in members(element)? {
                    if same_name(name, "operation") {
                        set(&mut operation.name, value)?;
                    } else if same_name(name, "request") {
                        operation.request = (!is_null(value)).then_some(value);
                    }
                }
                operations.push(operation);
            }
        } else if same_name(name, "metadata") {
            texts(&mut Metadata::new(), value)?;
        }
    }
    Some(operations)
}

/// What is wrong with the request of an operation.
enum Wrong {
    /// It is this instead of an object.
    NoObject(&'static str),
    /// How each problem's text begins, in the order of the members.
    Members(Vec<String>),
}

impl Wrong {
    fn agrees(&self, told: &LooseError) -> bool {
        match (self, told) {
            (Self::NoObject(expected), LooseError::NoObject(kind)) => expected == kind,
            (Self::Members(expected), LooseError::Members(told)) => {
                expected.len() == told.len()
                    && expected.iter().zip(told).all(|(start, told)| told.starts_with(start))
            }
            _ => false,
        }
    }
}

/// The request of an upsert or a delete. Other than in a save the last of equal members says all:
/// `null` leaves nothing of what an earlier one said, and maps are not added up.
fn expected_request(request: Option<&Json>, upsert: bool) -> Result<Expected, Wrong> {
    let mut expected = Expected::default();
    let members = match request {
        None => return Ok(expected),
        Some(Json::Map(members)) => members,
        Some(other) => return Err(Wrong::NoObject(kinds(other).0)),
    };
    let mut wrong = Vec::new();
    let item = &mut expected.item;
    for (name, value) in members {
        let is = |field| same_name(name, field);
        if is("key") {
            item.key = word("Key", value, &mut wrong).unwrap_or_default();
        } else if is("etag") {
            item.etag = word("ETag", value, &mut wrong);
        } else if is("metadata") {
            let texts = map("Metadata", value, &mut wrong).iter().map(|(name, text)| {
                let place = format!("Metadata[{name}]");
                (name.clone(), word(&place, text, &mut wrong).unwrap_or_default())
            });
            item.metadata = texts.collect();
        } else if is("options") {
            for (name, value) in map("Options", value, &mut wrong) {
                if same_name(name, "concurrency") {
                    let said = word("Options.Concurrency", value, &mut wrong);
                    item.concurrency = said.unwrap_or_default();
                } else if same_name(name, "consistency") {
                    let said = word("Options.Consistency", value, &mut wrong);
                    item.consistency = said.unwrap_or_default();
                }
            }
        } else if upsert && is("value") {
            expected.value = Some(value.value());
        } else if upsert && is("contentType") {
            word("ContentType", value, &mut wrong);
        }
    }
    if wrong.is_empty() { Ok(expected) } else { Err(Wrong::Members(wrong)) }
}

fn word(place: &str, json: &Json, wrong: &mut Vec<String>) -> Option<String> {
    said(json).unwrap_or_else(|| {
        let kind = kinds(json).1;
        wrong.push(format!(
            "'{place}' expected type 'string', got unconvertible type '{kind}', value: '"
        ));
        None
    })
}

fn map<'a>(place: &str, json: &'a Json, wrong: &mut Vec<String>) -> &'a [(String, Json)] {
    members(json).unwrap_or_else(|| {
        wrong.push(format!("'{place}' expected a map, got '{}'", kinds(json).0));
        &[]
    })
}

/// Go's names of a value's kind and of its type.
fn kinds(json: &Json) -> (&'static str, &'static str) {
    match json {
        Json::Plain(Value::Null) => ("nil", "nil"),
        Json::Plain(Value::Bool(_)) => ("bool", "bool"),
        Json::Plain(_) => ("float64", "float64"),
        Json::Text(_) => ("string", "string"),
        Json::List(_) => ("slice", "[]interface {}"),
        Json::Map(_) => ("map", "map[string]interface {}"),
    }
}

fn is_null(json: &Json) -> bool {
    matches!(json, Json::Plain(Value::Null))
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
    if is_null(json) {
        into.clear();
    }
    for (name, value) in members(json)? {
        into.insert(name.clone(), said(value)?.unwrap_or_default());
    }
    Some(())
}
