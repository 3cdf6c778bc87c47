//! The scenarios recorded from daprd, in `tests/data/conformance`.

use std::{collections::BTreeMap, fs, path::Path, time::Duration};

use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// One scenario: what was started, what was sent, what came back.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    #[serde(rename = "scenario")]
    pub name: String,
    pub redis_args: Vec<String>,
    pub app_id: String,
    pub args: Vec<String>,
    pub env: BTreeMap<String, String>,
    /// Always null: no scenario has a Configuration.
    #[serde(rename = "config")]
    _config: (),
    pub resources: BTreeMap<String, String>,
    pub ready: bool,
    #[serde(rename = "steps_left_out")]
    _steps_left_out: u32,
    pub exit_code: Option<i32>,
    #[serde(default)]
    pub log_lines: Vec<String>,
    pub steps: Vec<Step>,
}

/// What was done and what came back.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    pub r#do: Do,
    /// `None` where nothing is compared.
    #[serde(default, deserialize_with = "given")]
    pub expect: Option<Value>,
}

/// What a step does.
#[derive(Clone, Deserialize)]
#[serde(untagged)]
pub enum Do {
    Grpc(Grpc),
    Http(Http),
    Redis { redis: Vec<String> },
    Server { redis_server: Fault },
    Sleep { sleep_s: f64 },
}

/// A call of the service `Dapr`.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grpc {
    #[serde(rename = "grpc")]
    pub method: String,
    pub request: Value,
    #[serde(default)]
    pub metadata: Vec<(String, String)>,
    pub deadline_s: Option<f64>,
}

/// An HTTP request.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Http {
    #[serde(rename = "http")]
    pub verb: String,
    pub path: String,
    pub headers: Vec<(String, String)>,
    pub body: Option<String>,
}

/// What happens to the Redis.
#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Fault {
    Stop,
    Start,
    Pause,
    Resume,
}

impl Scenario {
    /// How long its waits are at least.
    pub fn patience(&self) -> Duration {
        let waits = self.steps.iter().map(|step| match &step.r#do {
            Do::Sleep { sleep_s } => *sleep_s,
            _ => 0.02,
        });
        Duration::from_secs_f64(waits.sum())
    }
}

/// A field that is there is given, even if it is null.
pub fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

/// All scenarios, in the order of their names.
pub fn all() -> Vec<Scenario> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/conformance");
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let read = |path: std::path::PathBuf| -> Scenario {
        let text = fs::read_to_string(&path).unwrap();
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    };
    let mut scenarios: Vec<_> = files.map(read).collect();
    scenarios.sort_by(|one, other| one.name.cmp(&other.name));
    scenarios
}

pub fn none_was_left_out() {
    let scenarios = all();
    let compared = scenarios.iter().flat_map(|scenario| &scenario.steps);
    let compared = compared.filter(|step| step.expect.is_some()).count();
    assert_eq!((scenarios.len(), compared), (74, 852));
}
