//! What we answer differently on purpose: `differences.json`, one entry a place.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    sync::LazyLock,
};

use serde::Deserialize;
use serde_json::Value;

use crate::recording::given;

/// A place where we answer something else than daprd.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Difference {
    /// The scenario's name.
    pub scenario: String,
    /// `ready`, `step N` (counted from 0), `lines N` or `exit code`.
    pub place: String,
    /// The row of `docs/compatibility.md` that says why.
    pub row: u8,
    /// The fields that differ; all others are as recorded. `answer` is the whole of it.
    pub fields: BTreeMap<String, Values>,
}

/// What is in a field; `None` where it is not there.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Values {
    #[serde(default, deserialize_with = "given")]
    pub daprd: Option<Value>,
    /// Compared like a recorded one. For lines of the log null says that they are not there.
    #[serde(default, deserialize_with = "given")]
    pub outrigger: Option<Value>,
}

impl Difference {
    /// A field that is recorded otherwise than the list has it.
    pub fn not_as_recorded(&self, recorded: &Value) -> Option<&str> {
        let wrong = self.fields.iter().find(|(field, values)| {
            let recorded = if *field == "answer" { Some(recorded) } else { recorded.get(field) };
            recorded != values.daprd.as_ref()
        });
        wrong.map(|(field, _)| field.as_str())
    }

    /// Our answer: the recorded one but for the listed fields.
    pub fn ours(&self, recorded: &Value) -> Value {
        let mut answer = recorded.clone();
        for (field, values) in &self.fields {
            let ours = values.outrigger.clone();
            match answer.as_object_mut() {
                Some(fields) if field != "answer" => match ours {
                    Some(ours) => drop(fields.insert(field.clone(), ours)),
                    None => drop(fields.remove(field)),
                },
                _ => answer = ours.unwrap_or_default(),
            }
        }
        answer
    }
}

/// The whole list.
pub static LISTED: LazyLock<Vec<Difference>> = LazyLock::new(|| {
    serde_json::from_str(include_str!("differences.json")).expect("a list of differences")
});

/// The rows that architecture.md began with: they stay.
const FIRST_ROWS: usize = 14;

/// The rows of the document's table: number and last column.
fn published() -> Vec<(u8, String)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/compatibility.md");
    let text = fs::read_to_string(path).unwrap();
    let rows = text.lines().filter_map(|line| {
        let cells: Vec<_> = line.strip_prefix("| ")?.strip_suffix(" |")?.split(" | ").collect();
        let number = cells[0].parse().ok()?;
        let full = cells.iter().all(|cell| !cell.trim().is_empty());
        assert!(cells.len() == 5 && full, "row {number} has no five cells");
        Some((number, cells[4].to_owned()))
    });
    rows.collect()
}

/// The scenarios in which a row shows, each with its places; empty if there is none.
fn shows(row: u8) -> String {
    let listed = LISTED.iter().filter(|listed| listed.row == row);
    let mut scenarios: Vec<(&str, Vec<&str>)> = Vec::new();
    for Difference { scenario, place, .. } in listed {
        let place = place.strip_prefix("step ").unwrap_or(place);
        match scenarios.last_mut().filter(|(name, _)| name == scenario) {
            Some((_, places)) => places.push(place),
            None => scenarios.push((scenario, vec![place])),
        }
    }
    let texts = scenarios.iter().map(|(name, places)| format!("{name}: {}", places.join(", ")));
    texts.collect::<Vec<_>>().join("; ").replace('|', "\\|")
}

/// What is wrong with a row's last column.
fn problem((row, told): &(u8, String)) -> Option<String> {
    let shown = shows(*row);
    if !shown.is_empty() {
        return (*told != shown).then(|| format!("row {row} should say: {shown}"));
    }
    let test = told.strip_prefix('`').and_then(|told| told.strip_suffix('`'));
    let named = test.and_then(|test| test.split_once("::"));
    let Some((file, name)) = named else {
        return Some(format!("row {row} should name a test: `FILE::FUNCTION`"));
    };
    (!is_test(file, name)).then(|| format!("row {row}: there is no test {name} in {file}"))
}

/// Whether a file has a test of this name.
fn is_test(file: &str, name: &str) -> bool {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    let source = fs::read_to_string(path).unwrap_or_default();
    let mut marked = false;
    source.lines().map(str::trim).any(|line| {
        let declared = line.strip_prefix("async ").unwrap_or(line).strip_prefix("fn ");
        let is_it = declared.and_then(|rest| rest.strip_prefix(name));
        let found = marked && is_it.is_some_and(|rest| rest.starts_with('('));
        let attribute = line.starts_with("#[");
        marked = attribute && (marked || line.starts_with("#[test") || line.contains("::test"));
        found
    })
}

pub fn the_document_says_where_each_difference_shows() {
    let published = published();
    let numbers: Vec<u8> = published.iter().map(|(number, _)| *number).collect();
    let expected: Vec<u8> = (1..).take(numbers.len()).collect();
    assert_eq!(numbers, expected, "the rows are numbered one by one");
    assert!(numbers.len() >= FIRST_ROWS, "rows are missing");
    for Difference { scenario, place, row, .. } in LISTED.iter() {
        assert!(numbers.contains(row), "{scenario}, {place}: there is no row {row}");
    }
    let wrong: Vec<_> = published.iter().filter_map(problem).collect();
    assert!(wrong.is_empty(), "docs/compatibility.md:\n{}", wrong.join("\n"));
}

pub fn a_row_without_its_recording_or_test_is_reported() {
    let told = |row: u8, text: &str| problem(&(row, text.to_owned())).unwrap_or_default();
    assert!(told(1, "—").contains("row 1 should say: down/no-policy: 4, 5, 6, 11"));
    assert!(told(5, "—").contains("should name a test"));
    let test = "`tests/integration/recovery.rs::the_sidecar_starts_never`";
    assert!(told(5, test).contains("there is no test"));
    assert!(told(5, "`tests/nowhere.rs::main`").contains("there is no test"));
    // A function that is no test shows nothing.
    assert!(told(5, "`tests/integration/harness.rs::eventually`").contains("there is no test"));
}

pub fn every_place_is_listed_once_and_differs() {
    let places: BTreeSet<_> = LISTED.iter().map(|one| (&one.scenario, &one.place)).collect();
    assert_eq!(places.len(), LISTED.len());
    for Difference { scenario, place, fields, .. } in LISTED.iter() {
        let equal = fields.values().any(|values| values.daprd == values.outrigger);
        assert!(!fields.is_empty() && !equal, "{scenario}, {place}: nothing differs");
    }
}
