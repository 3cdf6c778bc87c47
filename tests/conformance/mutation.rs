//! Every recorded field is changed in turn, and every change must be seen.

use serde_json::{Map, Value, json};

use crate::{
    PLAYED, compare,
    compare::Kind,
    differences::{Difference, LISTED},
    report::{Check, checks},
};

/// A recorded answer with one thing changed, for each thing that can be.
fn mutants(kind: Kind, recorded: &Value) -> Vec<Value> {
    match (kind, recorded) {
        (Kind::Lines, Value::Array(texts)) => {
            let changed = (0..texts.len()).map(|at| {
                let mut texts = texts.clone();
                texts[at] = json!(format!("~{}", texts[at].as_str().unwrap_or_default()));
                Value::Array(texts)
            });
            changed.collect()
        }
        (Kind::Lines, _) => Vec::new(),
        (Kind::Grpc | Kind::Http, Value::Object(fields)) => {
            // A whole field that is not there is not compared, so its parts are changed only.
            let fields = fields.iter().flat_map(|(name, value)| {
                let parts = match (kind, name.as_str(), value) {
                    (Kind::Http, "body", Value::String(body)) => bodies(body),
                    (Kind::Http, "headers", Value::Object(given)) => headers(given),
                    _ => parts(value),
                };
                parts.into_iter().map(move |part| {
                    let mut changed = recorded.clone();
                    changed[name] = part;
                    changed
                })
            });
            fields.collect()
        }
        (Kind::Grpc | Kind::Http | Kind::Whole, value) => parts(value),
    }
}

/// A value with one of its parts changed, left out or added.
fn parts(value: &Value) -> Vec<Value> {
    match value {
        Value::Null => vec![json!(1)],
        Value::Bool(value) => vec![json!(!value)],
        Value::Number(number) => match number.as_i64() {
            Some(number) => vec![json!(number ^ 1)],
            None => vec![json!(-number.as_f64().unwrap_or_default() - 1.0)],
        },
        Value::String(text) => {
            let mut changed = vec![json!(format!("~{text}"))];
            // Behind the beginning of others' wording nothing is compared.
            if compare::wording_of_others(text).is_none() {
                changed.push(json!(format!("{text}~")));
            }
            changed
        }
        Value::Array(items) => {
            let mut changed: Vec<Value> = Vec::new();
            for (at, item) in items.iter().enumerate() {
                for part in parts(item) {
                    let mut items = items.clone();
                    items[at] = part;
                    changed.push(items.into());
                }
            }
            changed.extend(items.split_last().map(|(_, fewer)| json!(fewer)));
            changed.push(items.iter().cloned().chain([json!(1)]).collect());
            changed
        }
        Value::Object(fields) => {
            let mut changed: Vec<Value> = Vec::new();
            for (name, field) in fields {
                for part in parts(field) {
                    let mut fields = fields.clone();
                    fields[name] = part;
                    changed.push(fields.into());
                }
                let mut fewer = fields.clone();
                // Null is how a field that is not there reads.
                if fewer.remove(name).is_some_and(|field| !field.is_null()) {
                    changed.push(fewer.into());
                }
            }
            let mut more = fields.clone();
            more.insert("~".to_owned(), json!(1));
            changed.push(more.into());
            changed
        }
    }
}

/// Headers with one of them changed or added; one that is not given is not compared.
fn headers(given: &Map<String, Value>) -> Vec<Value> {
    let names = given.keys().map(String::as_str).chain(["~"]);
    let changed = names.flat_map(|name| {
        let parts = given.get(name).map_or_else(|| vec![json!("~")], parts);
        parts.into_iter().map(move |part| {
            let mut headers = given.clone();
            headers.insert(name.to_owned(), part);
            headers.into()
        })
    });
    changed.collect()
}

/// A body with one part of its JSON changed, or its text, or the end of its line.
fn bodies(body: &str) -> Vec<Value> {
    let (inner, end) = body.strip_suffix('\n').map_or((body, ""), |inner| (inner, "\n"));
    let toggled = if end.is_empty() { format!("{body}\n") } else { inner.to_owned() };
    let changed = match serde_json::from_str::<Value>(inner) {
        Ok(value) => parts(&value).iter().map(|part| format!("{part}{end}")).collect(),
        Err(_) => vec![format!("~{body}")],
    };
    changed.into_iter().chain([toggled]).map(Value::from).collect()
}

fn expected<'a>(scenario: &str, check: &'a Check) -> &'a Value {
    let mine = |entry: &&Difference| entry.scenario == scenario && entry.place == check.place;
    LISTED.iter().find(mine).map_or(&check.recorded, |entry| &entry.ours)
}

#[test]
fn every_change_of_a_recording_is_reported() {
    let mut changes = 0;
    let mut missed = Vec::new();
    for (scenario, played) in PLAYED.iter() {
        for check in checks(scenario, played) {
            let expected = expected(&scenario.name, &check);
            let mutants = mutants(check.kind, expected);
            // Only a line that we leave out on purpose has nothing to change.
            let nothing = matches!(check.kind, Kind::Lines) && expected.is_null();
            assert!(nothing || !mutants.is_empty(), "{}, {}", scenario.name, check.place);
            changes += mutants.len();
            for mutant in mutants {
                if compare::compare(check.kind, &mutant, &check.found).is_empty() {
                    missed.push(format!("{}, {}: {mutant}", scenario.name, check.place));
                }
            }
        }
    }
    println!("{changes} changes, {} not reported", missed.len());
    assert!(missed.is_empty(), "{}", missed.join("\n"));
}
