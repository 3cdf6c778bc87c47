//! Everything that is recorded or listed is changed in turn, and every change must be reported.

use std::{mem, slice};

use serde_json::{Map, Value, json};

use crate::{
    compare::{self, Headers, Kind},
    differences::{Difference, LISTED},
    numbers,
    play::Played,
    recording::Scenario,
    report::{self, checks},
};

/// An answer with one thing changed, left out or added, for each thing that can be.
fn mutants(kind: Kind, answer: &Value) -> Vec<Value> {
    let (Kind::Grpc | Kind::Http(_), Value::Object(fields)) = (kind, answer) else {
        return parts(answer);
    };
    let mut mutants = Vec::new();
    for (name, value) in fields {
        let changed = match (kind, name.as_str(), value) {
            (Kind::Http(_), "body", Value::String(body)) => bodies(body),
            (Kind::Http(which), "headers", Value::Object(given)) => headers(which, given),
            _ => parts(value),
        };
        for part in changed {
            let mut fields = fields.clone();
            fields[name] = part;
            mutants.push(fields.into());
        }
        if name != "headers" {
            mutants.push(without(fields, name));
        }
    }
    mutants
}

fn without(fields: &Map<String, Value>, name: &str) -> Value {
    let mut fewer = fields.clone();
    fewer.remove(name);
    fewer.into()
}

/// A value with one of its parts changed, left out or added.
fn parts(value: &Value) -> Vec<Value> {
    let mut changed: Vec<Value> = Vec::new();
    match value {
        Value::Null => changed.push(json!(1)),
        Value::Bool(value) => changed.push(json!(!value)),
        Value::Number(number) => {
            let number = number.as_i64().expect("only bodies have other numbers");
            changed.extend([json!(number ^ 1), json!(number.to_string())]);
        }
        Value::String(text) => {
            changed.extend([json!(format!("~{text}")), json!(format!("{text}~")), Value::Null]);
            changed.extend(text.char_indices().last().map(|(at, _)| json!(text[..at])));
        }
        Value::Array(items) => {
            for (at, item) in items.iter().enumerate() {
                for part in parts(item) {
                    let mut items = items.clone();
                    items[at] = part;
                    changed.push(items.into());
                }
            }
            changed.extend(items.split_last().map(|(_, fewer)| json!(fewer)));
            changed.push(items.iter().cloned().chain([json!(1)]).collect());
        }
        Value::Object(fields) => {
            if let Some(number) = numbers::spelling(value) {
                let other = numbers::read(&numbers::other_number(number));
                return other.into_iter().chain([json!(number), Value::Null]).collect();
            }
            for (name, field) in fields {
                for part in parts(field) {
                    let mut fields = fields.clone();
                    fields[name] = part;
                    changed.push(fields.into());
                }
                changed.push(without(fields, name));
            }
            let mut more = fields.clone();
            more.insert("~".to_owned(), Value::Null);
            changed.push(more.into());
        }
    }
    changed
}

/// Headers with one of them changed or added, and, where they are recorded, left out.
fn headers(which: Headers, given: &Map<String, Value>) -> Vec<Value> {
    let mut changed = Vec::new();
    for name in given.keys().map(String::as_str).chain(["~", "etag", "metadata.~", "content-type"])
    {
        for value in given.get(name).map_or_else(|| vec![json!("~")], parts) {
            let mut headers = given.clone();
            headers.insert(name.to_owned(), value);
            changed.push(headers.into());
        }
        if which == Headers::Recorded && compare::is_recorded(name) && given.contains_key(name) {
            changed.push(without(given, name));
        }
    }
    changed
}

/// A body with one part of its JSON changed, or its text, or the end of its line.
fn bodies(body: &str) -> Vec<Value> {
    let (inner, end) = body.strip_suffix('\n').map_or((body, ""), |inner| (inner, "\n"));
    let toggled = if end.is_empty() { format!("{body}\n") } else { inner.to_owned() };
    let changed = match numbers::read(inner) {
        Some(value) => {
            parts(&value).iter().map(|part| format!("{}{end}", numbers::write(part))).collect()
        }
        None => vec![format!("~{body}"), format!("{body}~")],
    };
    changed.into_iter().chain([toggled]).map(Value::from).collect()
}

/// A change of a recording. Made a second time, it is undone.
enum Change {
    Ready,
    ExitCode,
    Step(usize, Option<Value>),
    Line(usize, String),
}

impl Change {
    fn make(&mut self, scenario: &mut Scenario) {
        match self {
            Self::Ready => scenario.ready = !scenario.ready,
            Self::ExitCode => scenario.exit_code = scenario.exit_code.map(|code| code ^ 1),
            Self::Step(at, answer) => mem::swap(&mut scenario.steps[*at].expect, answer),
            Self::Line(at, line) => mem::swap(&mut scenario.log_lines[*at], line),
        }
    }
}

/// Every change of a scenario, with a word for the reader.
fn changes(scenario: &Scenario, played: &Played) -> Vec<(String, Change)> {
    let mut changes = vec![("ready".to_owned(), Change::Ready)];
    changes.extend(scenario.exit_code.map(|_| ("exit code".to_owned(), Change::ExitCode)));
    for check in checks(scenario, played) {
        let Some(at) = check.place.strip_prefix("step ") else { continue };
        let at: usize = at.parse().expect("a number");
        for mutant in mutants(check.kind, &check.recorded) {
            let what = format!("{}: {mutant}", check.place);
            changes.push((what, Change::Step(at, Some(mutant))));
        }
    }
    for (at, line) in scenario.log_lines.iter().enumerate() {
        for text in [format!("~{line}"), format!("{line}~")] {
            changes.push((format!("line {at}: {text}"), Change::Line(at, text)));
        }
    }
    changes
}

/// Our answers that the list has, with one thing changed.
fn changed_lists(scenario: &Scenario, played: &Played, listed: &[Difference]) -> Lists {
    let checks = checks(scenario, played);
    let mut changed = Vec::new();
    for (at, entry) in listed.iter().enumerate() {
        let check = checks.iter().find(|check| check.place == entry.place);
        let kind = check.expect("a place of the scenario").kind;
        for (field, values) in &entry.fields {
            let ours = values.outrigger.as_ref();
            let mutants = match (kind, field.as_str(), ours) {
                (Kind::Http(_), "body", Some(Value::String(body))) => bodies(body),
                (Kind::Lines, _, _) => vec![json!(["~~"])],
                (_, _, Some(value)) => parts(value),
                (_, _, None) => vec![json!("~")],
            };
            for mutant in mutants {
                let mut listed = listed.to_vec();
                let what = format!("{}, {field} of ours: {mutant}", entry.place);
                if let Some(values) = listed[at].fields.get_mut(field) {
                    values.outrigger = Some(mutant);
                }
                changed.push((what, listed));
            }
        }
    }
    changed
}

fn of_step(listed: &[Difference], at: usize) -> Vec<Difference> {
    let place = format!("step {at}");
    listed.iter().filter(|entry| entry.place == place).cloned().collect()
}

type Lists = Vec<(String, Vec<Difference>)>;

/// Changes all recordings and all of the list, one thing at a time, each undone before the next.
pub fn every_change_is_reported(all: &[(Scenario, Played)]) {
    let mut count = 0;
    let mut missed = Vec::new();
    for pair in all {
        let (scenario, played) = pair;
        let mine = LISTED.iter().filter(|entry| entry.scenario == scenario.name);
        let mine: Vec<Difference> = mine.cloned().collect();
        let report = report::judge(slice::from_ref(pair), &mine, true);
        assert!(report.is_clean(), "it is reported without a change:\n{report}");
        let mut judge = |what: String, pair: &(Scenario, Played), listed: &[Difference]| {
            count += 1;
            if report::judge(slice::from_ref(pair), listed, true).is_clean() {
                missed.push(format!("{}, {what}", scenario.name));
            }
        };
        // A step is judged alone, because there are many changes and many steps.
        let mut alone = (scenario.clone(), played.clone());
        alone.0.log_lines.clear();
        alone.0.steps.iter_mut().for_each(|step| step.expect = None);
        let mut whole = (scenario.clone(), played.clone());
        for (what, mut change) in changes(scenario, played) {
            let (changed, listed) = match change {
                Change::Step(at, _) => (&mut alone, of_step(&mine, at)),
                _ => (&mut whole, mine.clone()),
            };
            change.make(&mut changed.0);
            judge(what, changed, &listed);
            change.make(&mut changed.0);
        }
        for (what, listed) in changed_lists(scenario, played, &mine) {
            judge(what, pair, &listed);
        }
    }
    println!("{count} changes, {} not reported", missed.len());
    assert!(missed.is_empty(), "{} of {count}:\n{}", missed.len(), missed.join("\n"));
}
