//! JSON whose numbers keep their spelling, which a `Value` does not let them.

use std::ops::Range;

use serde_json::{Value, json};

/// The only member of an object that stands for a number.
const SPELLED: &str = "a number, as it is spelled";

/// Where the numbers of a JSON text are.
fn numbers(text: &str) -> Vec<Range<usize>> {
    let bytes = text.as_bytes();
    let mut found = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let start = at;
        match bytes[at] {
            b'"' => at = end_of_string(bytes, at),
            b'-' | b'0'..=b'9' => {
                let more =
                    |byte: &&u8| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E');
                at += bytes[at..].iter().take_while(more).count();
                found.push(start..at);
            }
            _ => at += 1,
        }
    }
    found
}

fn end_of_string(bytes: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while at < bytes.len() && bytes[at] != b'"' {
        at += if bytes[at] == b'\\' { 2 } else { 1 };
    }
    at + 1
}

/// A text's JSON, every number in it as an object of its spelling; `None` if it is no JSON.
pub fn read(text: &str) -> Option<Value> {
    serde_json::from_str::<Value>(text).ok()?;
    let mut wrapped = String::new();
    let mut rest = 0;
    for number in numbers(text) {
        wrapped.push_str(&text[rest..number.start]);
        wrapped.push_str(&json!({SPELLED: text[number.clone()]}).to_string());
        rest = number.end;
    }
    wrapped.push_str(&text[rest..]);
    serde_json::from_str(&wrapped).ok()
}

/// The spelling of a number that [`read`] has read.
pub fn spelling(value: &Value) -> Option<&str> {
    value.get(SPELLED)?.as_str()
}

/// The text of what [`read`] has read.
pub fn write(value: &Value) -> String {
    if let Some(number) = spelling(value) {
        return number.to_owned();
    }
    match value {
        Value::Array(items) => {
            let items: Vec<_> = items.iter().map(write).collect();
            format!("[{}]", items.join(","))
        }
        Value::Object(fields) => {
            let field = |(name, value)| format!("{}:{}", json!(name), write(value));
            let fields: Vec<_> = fields.iter().map(field).collect();
            format!("{{{}}}", fields.join(","))
        }
        other => other.to_string(),
    }
}

/// A number with another last digit.
pub fn other_number(spelling: &str) -> String {
    let (before, last) = spelling.split_at(spelling.len() - 1);
    format!("{before}{}", if last == "1" { "2" } else { "1" })
}

pub fn numbers_keep_their_spelling_and_texts_are_none() {
    let text = r#"{"a":[1.50,-0,"1 \" 2"],"b":{"c":1E+21},"d":null}"#;
    let value = read(text).unwrap();
    assert_eq!(write(&value), text);
    assert_eq!(spelling(&value["a"][0]), Some("1.50"));
    assert_eq!(value["a"][2], json!("1 \" 2"));
    assert_ne!(read("1e20"), read("100000000000000000000"));
    assert_eq!(read("{\"a\":1, \"b\":2}"), read("{\"b\":2,\"a\":1}"));
    assert_eq!(read("01"), None);
    assert_eq!(other_number("1.50"), "1.51");
}
