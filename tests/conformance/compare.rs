//! An answer against a recorded one: every field, every header that recordings give, every number
//! by its spelling. Some words of a recorded text stand for what is never the same.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::LazyLock,
};

use regex::Regex;
use serde_json::{Map, Value, json};

use crate::numbers;

/// What is compared, which says how.
#[derive(Clone, Copy, PartialEq)]
pub enum Kind {
    /// A gRPC answer.
    Grpc,
    /// An HTTP answer, whose body is a text.
    Http(Headers),
    /// A whole value: what Redis holds, an exit code.
    Whole,
    /// Texts that lines contain, in this order.
    Lines,
}

/// Whether a recording has the headers of its answer.
#[derive(Clone, Copy, PartialEq)]
pub enum Headers {
    Recorded,
    NotRecorded,
}

/// A field that is not as recorded; `None` is one that is not there.
pub struct Mismatch {
    field: String,
    expected: Option<Value>,
    found: Option<Value>,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let told = |value: &Option<Value>| {
            value.as_ref().map_or_else(|| "nothing".to_owned(), numbers::write)
        };
        let (expected, found) = (told(&self.expected), told(&self.found));
        write!(f, "{}\n      expected {expected}\n      found    {found}", self.field)
    }
}

/// What stands for a text of a recording in ours: the wording of Go, of its YAML reader and of
/// Redis' script engine, with ours.
static WORDING: LazyLock<Vec<(String, String)>> = LazyLock::new(|| {
    let texts: BTreeMap<String, Vec<String>> =
        serde_json::from_str(include_str!("wording.json")).expect("texts with ours for each");
    let patterns = texts.into_iter().map(|(theirs, ours)| {
        let theirs = regex::escape(&theirs);
        let ours: Vec<_> = ours.iter().map(|text| regex::escape(text)).collect();
        (theirs.clone(), format!("(?:{theirs}|{})", ours.join("|")))
    });
    patterns.collect()
});

/// Words of recorded texts, as a pattern has them, that stand for what is never the same. What Redis puts around the
/// message of a script that fails, ours do not let out.
const NEVER_THE_SAME: &[(&str, &str)] = &[
    ("ERR user_script:<n>: ", r"(?:ERR user_script:\d+: )?"),
    (
        r" script: <sha>, on @user_script:<n>\.",
        r"(?: script: [0-9a-f]{40}, on @user_script:\d+\.)?",
    ),
    ("<addr>", r"127\.0\.0\.1:\d+"),
    ("<uuid>", "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"),
    ("<time>", r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"),
    ("<sha>", "[0-9a-f]{40}"),
    ("<n>", r"\d+"),
    // The folder of the resources.
    ("<dir>/res/", "[^ ]*/"),
];

/// Long texts, which the recordings give by length and hash.
fn long_text(form: &str) -> Option<String> {
    match form {
        "<5000 characters, c59d3c04>" => Some("x".repeat(5000)),
        "<602 characters, 8774fdec>" => Some(include_str!("illegal_key.json").to_owned()),
        _ => None,
    }
}

/// How an answer differs from a recorded one; empty if it does not.
pub fn compare(kind: Kind, expected: &Value, found: &Value) -> Vec<Mismatch> {
    let mut mismatches = Vec::new();
    match (kind, expected, found) {
        (Kind::Lines, expected, found) => lines(expected, found, &mut mismatches),
        (Kind::Http(headers), Value::Object(one), Value::Object(other)) => {
            http(headers, one, other, &mut mismatches);
        }
        (Kind::Grpc, Value::Object(one), Value::Object(other)) => {
            for name in names(one, other) {
                // Of an answer that a client made up on its own only the code is recorded.
                let made_up =
                    one.len() == 1 && one.get("code").is_some_and(|code| code == "UNAVAILABLE");
                if !made_up || one.contains_key(name) {
                    values(name, one.get(name), other.get(name), &mut mismatches);
                }
            }
        }
        (_, expected, found) => values("answer", Some(expected), Some(found), &mut mismatches),
    }
    mismatches
}

fn names<'a>(one: &'a Map<String, Value>, other: &'a Map<String, Value>) -> BTreeSet<&'a String> {
    one.keys().chain(other.keys()).collect()
}

fn http(
    headers: Headers,
    expected: &Map<String, Value>,
    found: &Map<String, Value>,
    mismatches: &mut Vec<Mismatch>,
) {
    for name in names(expected, found).into_iter().filter(|name| *name != "headers") {
        let meaning = |answer: &Map<String, Value>| {
            let value = answer.get(name)?;
            Some(if name == "body" { body_meaning(value) } else { value.clone() })
        };
        values(name, meaning(expected).as_ref(), meaning(found).as_ref(), mismatches);
    }
    let none = Map::new();
    let given = |answer: &Map<String, Value>| {
        let headers = answer.get("headers").and_then(Value::as_object);
        headers.unwrap_or(&none).clone()
    };
    let (expected, found) = (given(expected), given(found));
    for name in names(&expected, &found) {
        let compared = headers == Headers::Recorded && is_recorded(name);
        if compared || expected.contains_key(name) {
            values(name, expected.get(name), found.get(name), mismatches);
        }
    }
}

/// Whether recordings give this header wherever it was there, so that its absence says something.
pub fn is_recorded(header: &str) -> bool {
    matches!(header, "etag" | "content-type") || header.starts_with("metadata.")
}

fn values(
    at: &str,
    expected: Option<&Value>,
    found: Option<&Value>,
    mismatches: &mut Vec<Mismatch>,
) {
    let same = match (expected, found) {
        (Some(Value::Object(one)), Some(Value::Object(other))) => {
            for name in names(one, other) {
                values(&format!("{at}.{name}"), one.get(name), other.get(name), mismatches);
            }
            true
        }
        (Some(Value::Array(one)), Some(Value::Array(other))) if one.len() == other.len() => {
            for (index, (one, other)) in one.iter().zip(other).enumerate() {
                values(&format!("{at}[{index}]"), Some(one), Some(other), mismatches);
            }
            true
        }
        (Some(Value::String(expected)), Some(Value::String(found))) => text(expected, found),
        (Some(Value::String(expected)), Some(Value::Number(number))) => {
            // The time a key still has is recorded in words.
            let most = expected.strip_prefix("ttl within 5 s of ").and_then(|n| n.parse().ok());
            most.zip(number.as_i64())
                .is_some_and(|(most, ttl): (i64, i64)| (most - 5..=most).contains(&ttl))
        }
        _ => expected == found,
    };
    if !same {
        let (expected, found) = (expected.cloned(), found.cloned());
        mismatches.push(Mismatch { field: at.to_owned(), expected, found });
    }
}

/// A body as JSON if it is, else as text; a line's end counts in either.
fn body_meaning(body: &Value) -> Value {
    let Some(text) = body.as_str() else { return body.clone() };
    let known = long_text(text);
    let text = known.as_deref().unwrap_or(text);
    let value = numbers::read(text).unwrap_or_else(|| json!(text));
    json!({"is": value, "ends a line": text.ends_with('\n')})
}

/// Whether a text is the recorded one.
fn text(expected: &str, found: &str) -> bool {
    match long_text(expected) {
        Some(known) => known == found,
        None if expected == found => true,
        None => pattern(expected).is_some_and(|pattern| {
            Regex::new(&format!("(?s)^{pattern}$")).is_ok_and(|pattern| pattern.is_match(found))
        }),
    }
}

/// A recorded text as a regular expression, if it does not stand for itself alone.
fn pattern(expected: &str) -> Option<String> {
    let itself = regex::escape(expected);
    let mut pattern = itself.clone();
    for (theirs, either) in WORDING.iter() {
        pattern = pattern.replace(theirs, either);
    }
    for (words, stands) in NEVER_THE_SAME {
        pattern = pattern.replace(words, stands);
    }
    (pattern != itself).then_some(pattern)
}

/// The expected texts are parts of lines, in this order; null expects nothing.
fn lines(expected: &Value, found: &Value, mismatches: &mut Vec<Mismatch>) {
    let mut rest = found.as_array().into_iter().flatten().filter_map(Value::as_str);
    for text in expected.as_array().into_iter().flatten() {
        let part = text.as_str().unwrap_or_default();
        let pattern = pattern(part).and_then(|pattern| Regex::new(&pattern).ok());
        let has = |line: &str| match &pattern {
            Some(pattern) => pattern.is_match(line),
            None => line.contains(part),
        };
        if !rest.any(has) {
            let found = json!("no such line, or not in this order");
            let (field, expected) = ("line".to_owned(), Some(text.clone()));
            mismatches.push(Mismatch { field, expected, found: Some(found) });
        }
    }
}

pub fn the_words_for_what_is_never_the_same_fit_nothing_else() {
    assert!(text("at <time>.", "at 2026-01-02T03:04:05Z."));
    assert!(!text("at <time>.", "at 2026-01-02 03:04:05Z."));
    assert!(text("a <uuid>", "a 0f8fad5b-d9cb-469f-a165-70867728950e"));
    assert!(!text("a <uuid>", "a 0f8fad5b-d9cb-469f-a165-70867728950"));
    let recorded = "k: ERR user_script:<n>: no script: <sha>, on @user_script:<n>.";
    let sha = "0123456789".repeat(4);
    assert!(text(
        recorded,
        &format!("k: ERR user_script:7: no script: {sha}, on @user_script:12.")
    ));
    assert!(text(recorded, "k: no") && !text(recorded, "k: yes"));
    let told = json!(["an error in /tmp/x/bad.yaml: no", "other"]);
    let tells = |line: &str| compare(Kind::Lines, &json!([line]), &told).is_empty();
    assert!(tells("error in <dir>/res/bad.yaml: no"));
    assert!(!tells("error in <dir>/res/good.yaml: no"));
    assert!(!tells("error in <dir>/res/bad.yaml: yes"));
    assert!(compare(Kind::Lines, &json!(["an", "other"]), &told).is_empty());
    assert!(!compare(Kind::Lines, &json!(["other", "an"]), &told).is_empty());
    assert!(!compare(Kind::Lines, &json!(["an", "an"]), &told).is_empty());
}

pub fn an_outage_is_one_of_a_few_texts() {
    let recorded = "k: dial tcp <addr>: connect: connection refused";
    for cause in ["dial tcp 127.0.0.1:1: connect: connection refused", "EOF"] {
        assert!(text(recorded, &format!("k: {cause}")), "{cause}");
        let conflict = format!("k: possible etag mismatch. error from state store: {cause}");
        assert!(!text(recorded, &conflict), "{conflict}");
        assert!(!text(recorded, &format!("k: {cause}; try again")));
    }
    assert!(!text(recorded, "k: ") && !text(recorded, "EOF"));
}

pub fn what_is_not_there_is_not_null_and_a_header_too_many_is_one() {
    let answer =
        |headers: Value, body: &str| json!({"status": 200, "headers": headers, "body": body});
    let same = |kind, one: &Value, other: &Value| compare(kind, one, other).is_empty();
    let recorded = Kind::Http(Headers::Recorded);
    let (null, absent) = (r#"{"metadata":null}"#, "{}");
    assert!(!same(recorded, &answer(json!({}), null), &answer(json!({}), absent)));
    assert!(!same(recorded, &answer(json!({}), "1e3"), &answer(json!({}), "1000")));
    for header in ["etag", "metadata.a", "content-type"] {
        let (without, with) = (answer(json!({}), ""), answer(json!({header: "1"}), ""));
        assert!(!same(recorded, &without, &with) && !same(recorded, &with, &without));
        assert!(same(Kind::Http(Headers::NotRecorded), &without, &with));
        assert!(!same(recorded, &with, &answer(json!({header: ["1", "1"]}), "")));
    }
    assert!(same(recorded, &answer(json!({}), ""), &answer(json!({"date": "now"}), "")));
    let made_up = json!({"code": "UNAVAILABLE", "message": "gone", "details": []});
    assert!(same(Kind::Grpc, &json!({"code": "UNAVAILABLE"}), &made_up));
    assert!(!same(Kind::Grpc, &json!({"code": "OK"}), &json!({"code": "OK", "body": {}})));
    let whole = json!({"code": "OK", "body": {"a": null}});
    assert!(!same(Kind::Grpc, &whole, &json!({"code": "OK", "body": {}})));
    let broken = compare(recorded, &answer(json!({}), ""), &json!("no answer: reset"));
    assert_eq!(broken.len(), 1);
    assert!(broken[0].to_string().ends_with("found    \"no answer: reset\""));
}
