//! The JSON that is stored.

use serde_json::Value;

use super::oracle::{self, Judgement};
use crate::api::json::{self, JsonError, Kind};

/// Any bytes as the value to store.
pub fn json_compact(input: &[u8]) {
    let stored = json::compact(input);
    let checked = json::check(input);
    match &stored {
        Err(JsonError::NumberOutOfRange(_)) => assert_eq!(checked, Ok(())),
        Err(error) => assert_eq!(checked, Err(error.clone())),
        Ok(stored) => {
            assert_eq!(checked, Ok(()));
            assert_eq!(json::compact(stored).as_deref(), Ok(&stored[..]), "not compact");
            check_numbers(input, stored);
        }
    }
    match (oracle::whole(input), &stored) {
        (Judgement::Valid(sent), Ok(stored)) => {
            let Judgement::Valid(stored) = oracle::whole(stored) else {
                panic!("stored is no JSON")
            };
            assert_eq!(stored.value(), sent.value());
            assert!(!stored.has_twins(), "a member is stored twice");
        }
        // serde_json takes such a number for the greatest it knows, or for zero.
        (Judgement::Valid(_), Err(JsonError::NumberOutOfRange(_))) => {}
        (Judgement::Valid(_), Err(error)) => panic!("JSON is refused: {error}"),
        (Judgement::Invalid, Ok(_)) => panic!("what is no JSON is accepted"),
        (Judgement::Invalid, Err(_)) | (Judgement::Undecided, _) => {}
    }
    if let (Ok(first), Ok(())) = (json::Value::first_of(input), checked) {
        let sent = first.clone().into_stored();
        assert_eq!(sent.as_deref(), stored.as_deref(), "the first value is another one");
        if let Judgement::Valid(read) = oracle::first(input) {
            assert_eq!(rebuilt(&first), Some(read.value()));
        }
    }
}

/// Puts together again what [`json::Value`] takes apart; `None` for a number that is none to
/// `serde_json`.
fn rebuilt(value: &json::Value) -> Option<Value> {
    Some(match value.kind() {
        Kind::Null | Kind::Bool | Kind::Number => serde_json::from_slice(value.text()).ok()?,
        Kind::String => value.string()?.into(),
        Kind::Array => value.elements().map(|it| rebuilt(&it)).collect::<Option<_>>()?,
        Kind::Object => {
            let members =
                value.members().map(|(name, it)| Some((name.into_owned(), rebuilt(&it)?)));
            Value::Object(members.collect::<Option<_>>()?)
        }
    })
}

/// Every number that is stored was sent in this spelling, in this order.
fn check_numbers(sent: &[u8], stored: &[u8]) {
    let mut sent = numbers(sent).into_iter();
    for number in numbers(stored) {
        assert!(sent.any(|it| it == number), "{number:?} was never sent");
    }
}

/// The numbers that stand outside of strings.
fn numbers(json: &[u8]) -> Vec<&[u8]> {
    let is_part = |byte: &u8| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E');
    let (mut found, mut at) = (Vec::new(), 0);
    while let Some(byte) = json.get(at) {
        let rest = &json[at..];
        at += match byte {
            b'"' => {
                let mut escaped = false;
                let end = rest.iter().skip(1).position(|byte| {
                    let ends = *byte == b'"' && !escaped;
                    escaped = *byte == b'\\' && !escaped;
                    ends
                });
                end.map_or(rest.len(), |end| end + 2)
            }
            b'-' | b'0'..=b'9' => {
                let length = rest.iter().take_while(|byte| is_part(byte)).count();
                found.push(&rest[..length]);
                length
            }
            _ => 1,
        };
    }
    found
}
