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

/// The rows of the document's table: number and last column.
fn published() -> Vec<(u8, String)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/compatibility.md");
    let text = fs::read_to_string(path).unwrap();
    let rows = text.lines().filter_map(|line| {
        let mut cells = line.strip_prefix("| ")?.strip_suffix(" |")?.split(" | ");
        let number = cells.next()?.parse().ok()?;
        Some((number, cells.last()?.to_owned()))
    });
    rows.collect()
}

/// The scenarios in which a row shows, each with its places.
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
    match texts.collect::<Vec<_>>().join("; ").replace('|', "\\|") {
        none if none.is_empty() => "—".to_owned(),
        shown => shown,
    }
}

pub fn the_document_says_where_each_difference_shows() {
    let published = published();
    let numbers: Vec<u8> = published.iter().map(|(number, _)| *number).collect();
    let expected: Vec<u8> = (1..).take(numbers.len()).collect();
    assert_eq!(numbers, expected, "the rows are numbered one by one");
    for Difference { scenario, place, row, .. } in LISTED.iter() {
        assert!(numbers.contains(row), "{scenario}, {place}: there is no row {row}");
    }
    let wrong = published.iter().filter(|(number, steps)| *steps != shows(*number));
    let wrong: Vec<_> = wrong.map(|(number, _)| format!("{number}: {}", shows(*number))).collect();
    assert!(wrong.is_empty(), "the last column should be\n{}", wrong.join("\n"));
}

pub fn no_place_is_listed_twice() {
    let places: BTreeSet<_> = LISTED.iter().map(|one| (&one.scenario, &one.place)).collect();
    assert_eq!(places.len(), LISTED.len());
}
