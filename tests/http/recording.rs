//! Scenarios recorded from daprd, in `tests/data/conformance`.

use std::{collections::BTreeMap, sync::LazyLock};

use serde::Deserialize;
use serde_json::Value;

#[derive(Deserialize)]
pub struct Scenario {
    #[serde(rename = "scenario")]
    pub name: String,
    pub steps: Vec<Step>,
}

#[derive(Deserialize)]
pub struct Step {
    pub r#do: Do,
    #[serde(default)]
    pub expect: Value,
}

#[derive(Deserialize)]
#[serde(untagged)]
pub enum Do {
    Http { http: String, path: String, headers: Vec<(String, String)>, body: Option<String> },
    Redis { redis: Vec<String> },
    Grpc { grpc: String, request: Value },
}

pub fn read(file: &str) -> Scenario {
    let path = format!("{}/tests/data/conformance/{file}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// A step whose answer is not daprd's, as the conformance tests list it.
#[derive(Deserialize)]
pub struct Difference {
    scenario: String,
    place: String,
    /// Its number in `docs/compatibility.md`.
    pub row: u8,
    fields: BTreeMap<String, Values>,
}

#[derive(Deserialize)]
struct Values {
    #[serde(default)]
    outrigger: Value,
}

static DIFFERENCES: LazyLock<Vec<Difference>> = LazyLock::new(|| {
    serde_json::from_str(include_str!("../conformance/differences.json")).unwrap()
});

impl Difference {
    /// Our answer to a step of which this was recorded.
    pub fn ours(&self, mut recorded: Value) -> Value {
        for (field, values) in &self.fields {
            recorded[field] = values.outrigger.clone();
        }
        recorded
    }
}

/// The difference that is listed for a step.
pub fn difference(scenario: &str, step: usize) -> Option<&'static Difference> {
    let place = format!("step {step}");
    DIFFERENCES.iter().find(|listed| listed.scenario == scenario && listed.place == place)
}
