//! An answer against a recorded one, in three classes: exact; up to where another's wording
//! begins; and, where a text is another's from its first letter, no more than that there is one.

use std::fmt;

use serde_json::{Map, Value, json};

/// What is compared, which says how.
#[derive(Clone, Copy)]
pub enum Kind {
    /// The fields of a gRPC answer that the recording gives.
    Grpc,
    /// The same of an HTTP answer, whose body is a text.
    Http,
    /// A whole value: what Redis holds, an exit code.
    Whole,
    /// Texts that lines contain, in this order.
    Lines,
}

/// A field that is not as recorded.
pub struct Mismatch {
    field: String,
    expected: Value,
    found: Value,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { field, expected, found } = self;
        write!(f, "{field}\n      recorded {expected}\n      found    {found}")
    }
}

/// Where texts begin whose wording belongs to Go, its YAML reader, or Redis' script engine. Behind
/// its own words on a key daprd repeats those of its script, which are nobody's to match on. The
/// list of differences says `<cause>` where ours depends on the moment.
const WORDING_OF_OTHERS: &[(&str, &str)] = &[
    ("", "dial tcp "),
    ("", "<cause>"),
    ("", "ERR Unknown Redis command"),
    ("", "yaml: line "),
    (": failed to set key ", "ERR user_script:<n>: failed to set key "),
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
    match (kind, expected) {
        (Kind::Lines, expected) => lines(expected, found, &mut mismatches),
        (Kind::Http, Value::Object(fields)) => {
            let mut rest = fields.clone();
            if let Some(body) = rest.remove("body") {
                let found = body_meaning(&found["body"]);
                values("body", &body_meaning(&body), &found, &mut mismatches);
            }
            if let Some(Value::Object(headers)) = rest.remove("headers") {
                given(&headers, &found["headers"], &mut mismatches);
                // The one header whose absence the recordings tell.
                if rest["status"] == 204 && !headers.contains_key("content-type") {
                    let found = &found["headers"]["content-type"];
                    values("content-type", &Value::Null, found, &mut mismatches);
                }
            }
            given(&rest, found, &mut mismatches);
        }
        (Kind::Grpc, Value::Object(fields)) => given(fields, found, &mut mismatches),
        (_, expected) => values("answer", expected, found, &mut mismatches),
    }
    mismatches
}

fn given(fields: &Map<String, Value>, found: &Value, mismatches: &mut Vec<Mismatch>) {
    for (name, expected) in fields {
        values(name, expected, &found[name], mismatches);
    }
}

fn values(at: &str, expected: &Value, found: &Value, mismatches: &mut Vec<Mismatch>) {
    let same = match (expected, found) {
        (Value::Object(one), Value::Object(other)) => {
            let added = other.keys().filter(|name| !one.contains_key(*name));
            for name in one.keys().chain(added) {
                values(&format!("{at}.{name}"), &expected[name], &found[name], mismatches);
            }
            true
        }
        (Value::Array(one), Value::Array(other)) if one.len() == other.len() => {
            for (index, (one, other)) in one.iter().zip(other).enumerate() {
                values(&format!("{at}[{index}]"), one, other, mismatches);
            }
            true
        }
        (Value::String(expected), Value::String(found)) => text(expected, found),
        (Value::String(expected), Value::Number(number)) => {
            // The time a key still has is recorded in words.
            let most = expected.strip_prefix("ttl within 5 s of ").and_then(|n| n.parse().ok());
            most.zip(number.as_i64())
                .is_some_and(|(most, ttl): (i64, i64)| (most - 5..=most).contains(&ttl))
        }
        _ => expected == found,
    };
    if !same {
        let (expected, found) = (expected.clone(), found.clone());
        mismatches.push(Mismatch { field: at.to_owned(), expected, found });
    }
}

/// A body as JSON if it is, else as text; a line's end counts in either.
fn body_meaning(body: &Value) -> Value {
    let Some(text) = body.as_str() else { return body.clone() };
    let known = long_text(text);
    let text = known.as_deref().unwrap_or(text);
    let value = serde_json::from_str(text).unwrap_or_else(|_| json!(text));
    json!({"is": value, "ends a line": text.ends_with('\n')})
}

/// Whether a text is the recorded one, in the class that the recorded one belongs to.
fn text(expected: &str, found: &str) -> bool {
    if long_text(expected).is_some_and(|known| known == found) || pattern(expected, found) {
        return true;
    }
    match wording_of_others(expected) {
        Some(at) => found.starts_with(&expected[..at]) && found.len() > at,
        None => pattern(&without_redis_words(expected), found),
    }
}

/// Where the wording of others begins in a text.
pub fn wording_of_others(text: &str) -> Option<usize> {
    let starts = WORDING_OF_OTHERS.iter().filter_map(|(before, words)| {
        let skipped = text.find(before)? + before.len();
        Some(skipped + text[skipped..].find(words)?)
    });
    starts.min()
}

/// The text without what Redis puts around the message of a script that fails, which ours do not
/// let out.
fn without_redis_words(text: &str) -> String {
    text.replace("ERR user_script:<n>: ", "").replace(" script: <sha>, on @user_script:<n>.", "")
}

/// Whether a text is the expected one, in which some words stand for what is never the same.
fn pattern(expected: &str, found: &str) -> bool {
    let words = ["<uuid>", "<time>", "<sha>", "<n>"];
    let first = words.iter().filter_map(|word| Some((expected.find(word)?, *word))).min();
    let Some((at, word)) = first else { return expected == found };
    let Some(rest) = found.strip_prefix(&expected[..at]) else { return false };
    let length = match word {
        "<uuid>" => 36,
        "<time>" => 20,
        "<sha>" => 40,
        _ => rest.bytes().take_while(u8::is_ascii_digit).count(),
    };
    let Some((stands, rest)) = rest.split_at_checked(length) else { return false };
    let fits = match word {
        "<uuid>" => stands.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-'),
        "<time>" => stands.as_bytes()[10] == b'T' && stands.ends_with('Z'),
        "<sha>" => stands.bytes().all(|byte| byte.is_ascii_hexdigit()),
        _ => length > 0,
    };
    fits && pattern(&expected[at + word.len()..], rest)
}

/// The expected texts are parts of lines, in this order; null expects nothing.
fn lines(expected: &Value, found: &Value, mismatches: &mut Vec<Mismatch>) {
    let mut rest = found.as_array().into_iter().flatten().filter_map(Value::as_str);
    for text in expected.as_array().into_iter().flatten() {
        let part = text.as_str().unwrap_or_default();
        let part = &part[..wording_of_others(part).unwrap_or(part.len())];
        if !rest.any(|line| has(line, part)) {
            let (expected, found) = (text.clone(), json!("no such line, or not in this order"));
            mismatches.push(Mismatch { field: "line".to_owned(), expected, found });
        }
    }
}

/// Whether a line has a part, in which the folder of the resources has another name.
fn has(line: &str, part: &str) -> bool {
    match part.split_once("<dir>/res/") {
        None => line.contains(part),
        Some((before, after)) => {
            let rest = line.find(before).map(|at| &line[at + before.len()..]);
            let path = rest.and_then(|rest| rest.split_once('/')).map(|(_, path)| path);
            path.is_some_and(|path| path.contains(after))
        }
    }
}

#[test]
fn the_words_for_what_is_never_the_same_fit_nothing_else() {
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
    let twice = "a: failed to set key k: ERR user_script:<n>: failed to set key k";
    assert!(text(twice, "a: failed to set key k: refused"));
    assert!(!text(twice, "a: failed to set key j: refused"));
    let told = json!(["an error in /tmp/x/bad.yaml: yaml: line 2: no", "other"]);
    let tells = |line: &str| compare(Kind::Lines, &json!([line]), &told).is_empty();
    assert!(tells("error in <dir>/res/bad.yaml: yaml: line 1: none"));
    assert!(!tells("error in <dir>/res/good.yaml: yaml: line 1: none"));
    assert!(compare(Kind::Lines, &json!(["an", "other"]), &told).is_empty());
    assert!(!compare(Kind::Lines, &json!(["other", "an"]), &told).is_empty());
    assert!(!compare(Kind::Lines, &json!(["an", "an"]), &told).is_empty());
    assert!(text("k: dial tcp <addr>: refused", "k: refused"));
    assert!(!text("k: dial tcp <addr>: refused", "k: "));
    assert!(!text("k: dial tcp <addr>: refused", "refused"));
}
