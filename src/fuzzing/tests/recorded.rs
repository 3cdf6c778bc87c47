//! What daprd answered where a parser alone decides, against the same parser here.

use std::{collections::BTreeMap, fs, path::Path};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use bytes::Bytes;
use serde_json::Value;

use crate::{
    api::{
        json,
        key::{KeyPrefix, UserKey},
    },
    fuzzing::texts,
    http::{
        path,
        state::{decode, options},
    },
    resiliency::fault::Outcome,
    resources::{LoadOptions, Strictness, load},
    state_store::{Change, Concurrency, Consistency, StateStore as _, StoreError, Write},
};

/// A recorded scenario, as far as it is looked at here.
pub struct Scenario {
    name: String,
    /// The texts of the resources.
    pub resources: Vec<String>,
    steps: Vec<(Value, Value)>,
}

pub fn scenarios() -> Vec<Scenario> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/conformance");
    let mut scenarios: Vec<Scenario> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| {
            let text = fs::read_to_string(entry.unwrap().path()).unwrap();
            let read: Value = serde_json::from_str(&text).unwrap();
            let resources = read["resources"].as_object().unwrap().values();
            let resources = resources.map(|text| {
                text.as_str()
                    .unwrap()
                    .replace("{redis}", "127.0.0.1:6379")
                    .replace("{redis_port}", "6379")
            });
            let steps = read["steps"].as_array().unwrap().iter();
            Scenario {
                name: read["scenario"].as_str().unwrap().to_owned(),
                resources: resources.collect(),
                steps: steps.map(|step| (step["do"].clone(), step["expect"].clone())).collect(),
            }
        })
        .collect();
    scenarios.sort_by(|one, other| one.name.cmp(&other.name));
    scenarios
}

/// Why a request is refused by what it says alone.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Refusal {
    Key(String),
    EmptyKey,
    Etag(String),
    Ttl(String),
    Body(String),
    Words(String),
}

impl Refusal {
    /// What daprd's answer says; it wraps these texts in others.
    fn text(&self) -> String {
        match self {
            Self::Key(text) | Self::Ttl(text) | Self::Body(text) | Self::Words(text) => {
                text.clone()
            }
            Self::EmptyKey => "state key cannot be empty".to_owned(),
            Self::Etag(text) => format!("invalid etag value: {text}"),
        }
    }
}

/// What every refusal has in it that no parser decided: Redis did, or the policies, or what stands
/// before the state API.
const DECIDED_ELSEWHERE: [&str; 14] = [
    "@user_script",
    "dial tcp",
    "OOM command not allowed",
    "WRONGTYPE",
    "'data' or 'version' was not found",
    "context deadline exceeded",
    "circuit breaker is open",
    "not supported",
    "state store statestore query failed",
    "failed getting app id",
    "Request Header Fields Too Large",
    "invalid baggage header",
    "invalid api token",
    "Unauthorized",
];

fn key(text: &str) -> Result<UserKey, Refusal> {
    UserKey::parse(text.to_owned()).map_err(|error| Refusal::Key(error.to_string()))
}

fn save_key(text: &str) -> Result<UserKey, Refusal> {
    if text.is_empty() { Err(Refusal::EmptyKey) } else { key(text) }
}

/// Reads an item as the Redis store does.
fn prepare(
    key: &UserKey,
    etag: Option<String>,
    ttl: Option<String>,
    concurrency: Concurrency,
) -> Result<(), Refusal> {
    let value = Bytes::from_static(b"1");
    let write = Write {
        key: KeyPrefix::by_app_id("probe").stored(key),
        change: Change::Set { value, ttl },
        etag,
        concurrency,
        consistency: Consistency::Unspecified,
    };
    match texts::with_redis(|store| store.prepare(write)) {
        Ok(_) => Ok(()),
        Err(StoreError::EtagInvalid(text)) => Err(Refusal::Etag(text)),
        Err(StoreError::TtlInvalid(text)) => Err(Refusal::Ttl(text)),
        Err(other) => panic!("{other}"),
    }
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

fn grpc_item(item: &Value) -> Result<(), Refusal> {
    let concurrency = match item["options"]["concurrency"].as_str() {
        Some("CONCURRENCY_LAST_WRITE") => Concurrency::LastWrite,
        Some("CONCURRENCY_FIRST_WRITE") => Concurrency::FirstWrite,
        _ => Concurrency::Unspecified,
    };
    let ttl = text(&item["metadata"]["ttlInSeconds"]);
    let key = key(item["key"].as_str().unwrap_or_default())?;
    prepare(&key, text(&item["etag"]["value"]), ttl, concurrency)
}

/// A value that is announced as JSON is read as JSON, in a save.
fn announced_json(item: &Value) -> Result<(), Refusal> {
    let announced = text(&item["metadata"]["contentType"]);
    if announced.as_deref() != Some("application/json") {
        return Ok(());
    }
    let value = BASE64_STANDARD.decode(item["value"].as_str().unwrap_or_default()).unwrap();
    json::compact(&value).map(drop).map_err(|error| Refusal::Body(error.to_string()))
}

fn each(list: &Value, check: impl Fn(&Value) -> Result<(), Refusal>) -> Result<(), Refusal> {
    list.as_array().into_iter().flatten().try_for_each(check)
}

/// What a call over gRPC is refused for.
fn grpc(method: &str, request: &Value) -> Result<(), Refusal> {
    let one = |item: &Value| key(item["key"].as_str().unwrap_or_default()).map(drop);
    match method {
        "SaveState" => each(&request["states"], |item| {
            save_key(item["key"].as_str().unwrap_or_default()).map(drop)
        })
        .and_then(|()| each(&request["states"], announced_json))
        .and_then(|()| each(&request["states"], grpc_item)),
        "GetState" | "DeleteState" => one(request),
        "DeleteBulkState" => each(&request["states"], one),
        "GetBulkState" => {
            each(&request["keys"], |text| key(text.as_str().unwrap_or_default()).map(drop))
        }
        "ExecuteStateTransaction" => each(&request["operations"], |operation| {
            one(&operation["request"])
        })
        .and_then(|()| {
            each(&request["operations"], |operation| match operation["operationType"].as_str() {
                Some("upsert") => grpc_item(&operation["request"]),
                _ => Ok(()),
            })
        }),
        _ => Ok(()),
    }
}

fn words(concurrency: &str, consistency: &str) -> Result<Concurrency, Refusal> {
    match options::read(concurrency, consistency) {
        Ok((concurrency, _)) => Ok(concurrency),
        Err(error) => Err(Refusal::Words(error.to_string())),
    }
}

/// What a query says wins over the item's own metadata.
fn http_item(
    item: &decode::ItemRequest,
    concurrency: Concurrency,
    query: &str,
) -> Result<(), Refusal> {
    let given = path::query_value(query, "metadata.ttlInSeconds").map(String::from);
    let ttl = given.or_else(|| item.metadata.get("ttlInSeconds").cloned());
    prepare(&key(&item.key)?, item.etag.clone(), ttl, concurrency)
}

/// What a request over HTTP is refused for; `None` if it is not one of the state API's.
fn http(verb: &str, address: &str, body: &str) -> Option<Result<(), Refusal>> {
    let uri = address.parse::<http::Uri>().ok()?;
    let uri = path::cleaned(&uri).ok()?.unwrap_or(uri);
    let rest = uri.path().strip_prefix("/v1.0/state/statestore")?;
    let malformed = |error: decode::Malformed| Refusal::Body(error.to_string());
    let body = body.as_bytes();
    let query = uri.query().unwrap_or_default();
    Some(match (verb, rest) {
        ("POST" | "PUT", "") => decode::save(body).map_err(malformed).and_then(|items| {
            items.iter().try_for_each(|item| {
                if item.key.is_empty() {
                    return Err(Refusal::Body("\"key\" is a required field".to_owned()));
                }
                key(&item.key).map(drop)
            })?;
            items.iter().try_for_each(|item| {
                http_item(item, words(&item.concurrency, &item.consistency)?, query)
            })
        }),
        ("POST" | "PUT", "/bulk") => decode::bulk_get(body)
            .map_err(malformed)
            .and_then(|keys| keys.iter().try_for_each(|text| key(text).map(drop))),
        ("POST" | "PUT", "/transaction") => {
            decode::transaction(body).map_err(malformed).and_then(|operations| {
                let items = operations.iter().filter(|it| it.operation == "upsert");
                let items = items.map(|it| it.upsert().map_err(malformed));
                let items = items.collect::<Result<Vec<_>, _>>()?;
                items.iter().try_for_each(|item| {
                    let (concurrency, _) =
                        options::read_leniently(&item.concurrency, &item.consistency);
                    http_item(item, concurrency, query)
                })
            })
        }
        ("GET", key_of) => key(&path::unescaped(key_of.strip_prefix('/')?)).map(drop),
        ("DELETE", key_of) => {
            let word = |name| path::query_value(query, name).unwrap_or_default();
            key(&path::unescaped(key_of.strip_prefix('/')?))
                .and_then(|_| words(&word("concurrency"), &word("consistency")).map(drop))
        }
        _ => return None,
    })
}

/// Compares a verdict with an answer; texts that were shortened when they were recorded say nothing.
fn compare(place: &str, ours: &Result<(), Refusal>, accepted: bool, told: &str) -> bool {
    let body = serde_json::from_str::<Value>(told).ok();
    let told = body.as_ref().and_then(|body| body["message"].as_str()).unwrap_or(told);
    let shortened = told.starts_with('<');
    match ours {
        Ok(()) => {
            let elsewhere = DECIDED_ELSEWHERE.iter().any(|mark| told.contains(mark));
            assert!(accepted || elsewhere, "{place}: accepted, not: {told}");
        }
        Err(refusal) => {
            assert!(!accepted, "{place}: refused: {}", refusal.text());
            let says = told.contains(&refusal.text());
            assert!(says || shortened, "{place}: {told} without {}", refusal.text());
        }
    }
    ours.is_err()
}

#[test]
fn what_daprd_refused_unread_is_refused_here_and_nothing_else() {
    let (mut compared, mut refused) = (0, 0);
    for scenario in scenarios() {
        let is_usual = scenario.resources.iter().all(|text| !text.contains("state.in-memory"));
        for (index, (request, answer)) in scenario.steps.iter().enumerate() {
            let place = format!("{} step {index}", scenario.name);
            let (ours, accepted, told) = if let Some(method) = request["grpc"].as_str() {
                if request["request"]["storeName"] != "statestore" {
                    continue;
                }
                let ours = grpc(method, &request["request"]);
                (ours, answer["code"] == "OK", answer["message"].as_str().unwrap_or_default())
            } else if let Some(verb) = request["http"].as_str() {
                let body = request["body"].as_str().unwrap_or_default();
                let Some(ours) = http(verb, request["path"].as_str().unwrap(), body) else {
                    continue;
                };
                let accepted = answer["status"].as_u64().is_some_and(|status| status < 300);
                (ours, accepted, answer["body"].as_str().unwrap_or_default())
            } else {
                continue;
            };
            // A call that no store saw was refused for something else, and one that ended daprd says
            // nothing.
            let says_nothing = told.is_empty() && !accepted;
            if !is_usual || answer.is_null() || says_nothing || told.contains("is not found") {
                continue;
            }
            compared += 1;
            refused += usize::from(compare(&place, &ours, accepted, told));
        }
    }
    assert!(compared > 300 && refused > 20, "{compared} compared, {refused} refused");
}

#[test]
fn a_recorded_rule_opens_the_circuit_where_daprds_did() {
    let mut replayed = 0;
    for scenario in scenarios().iter().filter(|scenario| scenario.name.starts_with("trip/")) {
        let folder = tempfile::tempdir().unwrap();
        for (index, text) in scenario.resources.iter().enumerate() {
            fs::write(folder.path().join(format!("{index}.yaml")), text).unwrap();
        }
        let resources = load(&LoadOptions {
            resources_paths: &[folder.path().to_owned()],
            config_paths: &[],
            app_id: "probe",
            namespace: None,
            mode: Strictness::Lenient,
            environment: &BTreeMap::new(),
        });
        let resources = resources.unwrap_or_else(|errors| panic!("{}: {errors}", scenario.name));
        let policy = resources.policies.outbound("statestore");
        // A rule that is none leaves the circuit breaker out.
        let breaker = policy.breaker();
        for (index, (request, answer)) in scenario.steps.iter().enumerate() {
            if request["grpc"].is_null() {
                continue;
            }
            let told = answer["message"].as_str().unwrap_or_default();
            let rejected = told.contains("circuit breaker is open");
            let admitted = breaker.map(|breaker| breaker.admit()).transpose();
            assert_eq!(admitted.is_err(), rejected, "{} step {index}", scenario.name);
            let outcome = if answer["code"] == "OK" { Outcome::Success } else { Outcome::Failure };
            if let Ok(Some(permit)) = admitted {
                permit.finish(outcome);
            }
            replayed += 1;
        }
    }
    assert!(replayed > 100, "{replayed} replayed");
}
