//! The request of a transaction's operation, which Dapr decodes with a library of its own; the
//! texts are that library's.

use crate::{
    api::json::{Kind, Value},
    http::state::decode::{ItemRequest, Metadata, same_name},
};

/// Why an operation's request is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LooseError {
    /// It is no object.
    #[error("'' expected a map, got '{0}'")]
    NoObject(&'static str),
    /// Some of its members are of the wrong type.
    #[error("{} error(s) decoding:\n\n{}", .0.len(), bulleted(.0))]
    Members(Vec<String>),
}

fn bulleted(problems: &[String]) -> String {
    let mut sorted: Vec<&String> = problems.iter().collect();
    sorted.sort_unstable();
    let lines: Vec<String> = sorted.into_iter().map(|problem| format!("* {problem}")).collect();
    lines.join("\n")
}

/// Reads the request of an upsert or a delete; only the first has a value and a content type.
pub fn item(request: Option<&Value>, upsert: bool) -> Result<ItemRequest, LooseError> {
    let mut item = ItemRequest::default();
    let Some(request) = request else { return Ok(item) };
    if request.kind() != Kind::Object {
        return Err(LooseError::NoObject(kind_name(request.kind())));
    }
    let mut problems = Vec::new();
    for (name, value) in request.members() {
        if same_name(&name, "Key") {
            item.key = text(&value, "Key", &mut problems).unwrap_or_default();
        } else if same_name(&name, "ETag") {
            item.etag = text(&value, "ETag", &mut problems);
        } else if same_name(&name, "Metadata") {
            item.metadata = texts(&value, &mut problems);
        } else if same_name(&name, "Options") {
            options(&value, &mut item, &mut problems);
        } else if upsert && same_name(&name, "Value") {
            // The whole request was found to be storable when it was read.
            item.value = value.into_stored().ok();
        } else if upsert && same_name(&name, "ContentType") {
            text(&value, "ContentType", &mut problems);
        }
    }
    if problems.is_empty() { Ok(item) } else { Err(LooseError::Members(problems)) }
}

fn options(value: &Value, item: &mut ItemRequest, problems: &mut Vec<String>) {
    if !is_object(value, "Options", problems) {
        return;
    }
    for (name, word) in value.members() {
        if same_name(&name, "Concurrency") {
            let word = text(&word, "Options.Concurrency", problems);
            item.concurrency = word.unwrap_or_default();
        } else if same_name(&name, "Consistency") {
            let word = text(&word, "Options.Consistency", problems);
            item.consistency = word.unwrap_or_default();
        }
    }
}

fn texts(value: &Value, problems: &mut Vec<String>) -> Metadata {
    if !is_object(value, "Metadata", problems) {
        return Metadata::new();
    }
    let mut metadata = Metadata::new();
    for (name, value) in value.members() {
        let place = format!("Metadata[{name}]");
        metadata.insert(name.into_owned(), text(&value, &place, problems).unwrap_or_default());
    }
    metadata
}

/// Whether members can be read from the value; `null` is nothing, and no problem.
fn is_object(value: &Value, place: &str, problems: &mut Vec<String>) -> bool {
    match value.kind() {
        Kind::Object => true,
        Kind::Null => false,
        other => {
            problems.push(format!("'{place}' expected a map, got '{}'", kind_name(other)));
            false
        }
    }
}

fn text(value: &Value, place: &str, problems: &mut Vec<String>) -> Option<String> {
    let (kind, shown) = match value.kind() {
        Kind::String => return value.string(),
        Kind::Null => return None,
        Kind::Bool => ("bool", String::from_utf8_lossy(value.text()).into_owned()),
        Kind::Number => ("float64", float(&String::from_utf8_lossy(value.text()))),
        // What they hold may be as large as the body.
        Kind::Array => ("[]interface {}", "[...]".to_owned()),
        Kind::Object => ("map[string]interface {}", "map[...]".to_owned()),
    };
    problems.push(format!(
        "'{place}' expected type 'string', got unconvertible type '{kind}', value: '{shown}'"
    ));
    None
}

fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Null => "nil",
        Kind::Bool => "bool",
        Kind::Number => "float64",
        Kind::String => "string",
        Kind::Array => "slice",
        Kind::Object => "map",
    }
}

/// A number as Go prints a float64: with an exponent from a million on and below 0.0001.
fn float(digits: &str) -> String {
    let Ok(number) = digits.parse::<f64>() else { return digits.to_owned() };
    let scientific = format!("{number:e}");
    let Some((mantissa, exponent)) = scientific.split_once('e') else { return scientific };
    match exponent.parse::<i32>() {
        Ok(exponent) if !(-4..6).contains(&exponent) => {
            let sign = if exponent < 0 { '-' } else { '+' };
            format!("{mantissa}e{sign}{:02}", exponent.abs())
        }
        _ => number.to_string(),
    }
}
