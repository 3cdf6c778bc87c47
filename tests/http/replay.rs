//! Every recorded HTTP step, sent byte for byte, and what may differ from the recording.

use bytes::Bytes;
use outrigger::{
    api::state::SaveItem,
    call::Call,
    state_store::{Concurrency, Consistency},
};
use serde_json::{Map, Value, json};

use crate::{
    compare::{self, Headers, Kind},
    edge::{self, Answer, Edge},
    recording::{self, Difference, Do},
    redis::Server,
};

/// Replays a file; says how many HTTP answers were compared.
async fn replay(file: &str, edge: &Edge, server: Option<&Server>) -> usize {
    let mut compared = 0;
    let mut problems = Vec::new();
    let scenario = recording::read(file);
    for (at, step) in scenario.steps.into_iter().enumerate() {
        let problem = match step.r#do {
            Do::Http { http, path, headers, body } => {
                let headers: Vec<_> =
                    headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
                let body = body.unwrap_or_default();
                let answer = edge.send(&http, &path, &headers, body.as_bytes()).await;
                if step.expect.is_null() {
                    continue;
                }
                compared += 1;
                let result = match recording::difference(&scenario.name, at) {
                    None => compare(&step.expect, &answer),
                    Some(listed) => differs(listed, step.expect, &answer),
                };
                result.map_err(|what| format!("{http} {path}: {what}"))
            }
            Do::Redis { redis } => seen(server.unwrap(), &redis, &step.expect),
            Do::Grpc { grpc, request } => {
                if grpc == "SaveState" && step.expect["code"] == "OK" {
                    save(edge, &request["states"][0]).await;
                }
                Ok(())
            }
        };
        problems.extend(problem.err().map(|what| format!("{file} {at}: {what}")));
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    compared
}

/// A listed step must differ from the recording, and as it is listed.
fn differs(listed: &Difference, recorded: Value, answer: &Answer) -> Result<(), String> {
    if compare(&recorded, answer).is_ok() {
        return Err(format!("no longer shows row {}", listed.row));
    }
    compare(&listed.ours(recorded), answer)
}

fn compare(recorded: &Value, answer: &Answer) -> Result<(), String> {
    let mut headers = Map::new();
    for (name, value) in &answer.headers {
        let again = headers.insert(name.clone(), json!(value));
        assert!(again.is_none(), "{name} comes twice");
    }
    let found = json!({"status": answer.status, "headers": headers, "body": answer.text()});
    // The reads that were recorded without their headers are those with none at all.
    let bare = recorded["status"] == 200 && recorded["headers"] == json!({});
    let which = if bare { Headers::NotRecorded } else { Headers::Recorded };
    let mismatches = compare::compare(Kind::Http(which), recorded, &found);
    let told: Vec<_> = mismatches.iter().map(ToString::to_string).collect();
    if told.is_empty() { Ok(()) } else { Err(told.join("\n    ")) }
}

/// Compares what Redis holds.
fn seen(server: &Server, words: &[String], expected: &Value) -> Result<(), String> {
    let mut command = redis::cmd(&words[0]);
    command.arg(&words[1..]);
    let mut view = server.view();
    let found = match words[0].as_str() {
        "HGETALL" => {
            let fields: std::collections::BTreeMap<String, String> =
                command.query(&mut view).unwrap();
            serde_json::to_value(fields).unwrap()
        }
        "SET" => Value::from(command.query::<bool>(&mut view).unwrap()),
        _ => Value::from(command.query::<i64>(&mut view).unwrap()),
    };
    let same = match expected.as_str() {
        Some("ttl within 5 s of 100") => {
            found.as_i64().is_some_and(|ttl| (95..=100).contains(&ttl))
        }
        _ => found == *expected,
    };
    if same { Ok(()) } else { Err(format!("{words:?}: {found} instead of {expected}")) }
}

/// What a gRPC step left in the store.
async fn save(edge: &Edge, item: &Value) {
    assert_eq!(item["value"], "dg==", "the only value these recordings save over gRPC");
    let component = edge.api.component("statestore").unwrap();
    let item = SaveItem {
        key: component.key(item["key"].as_str().unwrap().to_owned()).unwrap(),
        value: Bytes::from_static(b"v"),
        json: false,
        etag: None,
        ttl: item["metadata"]["ttlInSeconds"].as_str().map(str::to_owned),
        concurrency: Concurrency::Unspecified,
        consistency: Consistency::Unspecified,
    };
    // Boxed, because the compiler does not follow futures much deeper than this one.
    Box::pin(component.save(&Call::default(), vec![item])).await.unwrap();
}

async fn replay_on_redis(file: &str, at_least: usize) {
    let server = Server::start();
    let edge = Edge::start(edge::redis(&server));
    let compared = replay(file, &edge, Some(&server)).await;
    assert!(compared >= at_least, "{file} was cut: {compared} answers");
}

#[tokio::test]
async fn basic_calls_are_answered_as_recorded() {
    replay_on_redis("http-basic", 30).await;
}

#[tokio::test]
async fn bulk_reads_and_transactions_are_answered_as_recorded() {
    replay_on_redis("http-bulk-transaction", 11).await;
}

#[tokio::test]
async fn errors_are_answered_as_recorded() {
    replay_on_redis("http-errors", 35).await;
}

#[tokio::test]
async fn etags_and_times_to_live_are_answered_as_recorded() {
    replay_on_redis("http-etag-ttl", 12).await;
}

#[tokio::test]
async fn values_are_answered_as_recorded() {
    replay_on_redis("http-json-values", 80).await;
}

#[tokio::test]
async fn paths_are_answered_as_recorded() {
    replay_on_redis("http-paths", 65).await;
}

#[tokio::test]
async fn headers_are_answered_as_recorded() {
    replay_on_redis("http-headers", 15).await;
}

#[tokio::test]
async fn the_embedded_store_is_answered_as_recorded() {
    let edge = Edge::start(edge::in_memory());
    assert_eq!(replay("memory", &edge, None).await, 2);
}
