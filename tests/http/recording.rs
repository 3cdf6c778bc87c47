//! Scenarios recorded from daprd, in `tests/data/conformance`.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

#[derive(Deserialize)]
pub struct Scenario {
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

/// What daprd answered over HTTP.
#[derive(Deserialize)]
pub struct Recorded {
    pub status: u16,
    pub headers: BTreeMap<String, String>,
    pub body: String,
}

pub fn read(file: &str) -> Scenario {
    let path = format!("{}/tests/data/conformance/{file}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}
