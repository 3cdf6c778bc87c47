//! What a retry repeats, what it keeps, and what is told in the end.

use std::thread;

use serde_json::{Value, json};

use crate::harness::{
    canary::key,
    eventually,
    redis::Redis,
    resources::resiliency,
    sidecar::{APP_ID, Setup, Sidecar},
};

const SAVE: &str = "/v1.0/state/statestore";
const TRANSACTION: &str = "/v1.0/state/statestore/transaction";
const RETRYING: &str = "Error processing operation component[statestore] output. Retrying";
const AGAIN: &str = "retries: {again: {policy: constant, duration: 100ms, maxRetries: -1}}";

fn stored(name: &str) -> String {
    format!("{APP_ID}||{}", key(name))
}

fn sidecar(redis: &Redis, policies: &str, outbound: &str) -> Sidecar {
    let resiliency = resiliency(policies, outbound);
    let sidecar = Setup::default().redis(redis).resource("resiliency.yaml", &resiliency).start();
    sidecar.wait_until_connected();
    sidecar
}

/// The status and the message of a call.
fn post(sidecar: &Sidecar, path: &str, body: &Value) -> (u16, String) {
    let answer = sidecar.http("POST", path, body.to_string().as_bytes());
    let body: Value = serde_json::from_str(&answer.body).unwrap_or_default();
    (answer.status, body["message"].as_str().unwrap_or_default().to_owned())
}

/// A key of ours in this version.
fn has_version(redis: &Redis, name: &str, version: &str) {
    redis.query::<()>(&["HSET", &stored(name), "data", "\"old\"", "version", version]);
}

fn set_memory(redis: &Redis, most: &str) {
    redis.query::<()>(&["CONFIG", "SET", "maxmemory", most]);
}

#[test]
fn a_transaction_that_is_retried_keeps_the_order_of_the_operations_on_one_key() {
    let redis = Redis::start();
    let sidecar = sidecar(&redis, AGAIN, "retry: again");
    has_version(&redis, "other", "1");
    // A delete needs no memory, a save does.
    set_memory(&redis, "1");
    let operations = json!({"operations": [
        {"operation": "upsert", "request": {"key": key("k"), "value": "first"}},
        {"operation": "delete", "request": {"key": key("k")}},
        {"operation": "delete", "request": {"key": key("other")}},
    ]});
    let answer = thread::scope(|scope| {
        let call = scope.spawn(|| post(&sidecar, TRANSACTION, &operations));
        sidecar.process.wait_for_line(0, RETRYING);
        assert_eq!(redis.field(&stored("other"), "data"), None, "the delete was carried out");
        set_memory(&redis, "0");
        call.join().expect("an answer")
    });
    assert_eq!(answer, (204, String::new()));
    assert_eq!(redis.query::<u64>(&["EXISTS", &stored("k")]), 0, "saved, then deleted");
    sidecar.finish();
}

#[test]
fn what_was_answered_before_a_timeout_is_not_sent_again() {
    let master = Redis::start();
    let replica = Redis::replica_of(&master);
    eventually("the replica is in step", || {
        master.query::<String>(&["INFO", "replication"]).contains("state=online")
    });
    let policies = "retries: {twice: {policy: constant, duration: 50ms, maxRetries: 2}}\n\
        timeouts: {short: 300ms}";
    let sidecar = sidecar(&master, policies, "retry: twice\ntimeout: short");
    has_version(&master, "plain", "1");
    // A strong save then waits for it, a second at most, and so longer than an attempt may take.
    replica.pause();
    let items = json!([
        {"key": key("plain"), "value": "new", "etag": "1"},
        {"key": key("strong"), "value": "new", "options": {"consistency": "strong"}},
    ]);
    let (status, message) = post(&sidecar, SAVE, &items);
    let expected = "failed saving state in state store statestore: context deadline exceeded";
    assert_eq!((status, message.as_str()), (500, expected));
    assert_eq!(master.field(&stored("plain"), "version").as_deref(), Some("2"), "written once");
    assert_eq!(master.field(&stored("plain"), "data").as_deref(), Some("\"new\""));
    sidecar.finish();
}

#[test]
fn a_conflict_is_told_although_the_breaker_ended_the_call() {
    let redis = Redis::start();
    let policies = format!("{AGAIN}\ncircuitBreakers: {{cb: {{trip: consecutiveFailures >= 1}}}}");
    let sidecar = sidecar(&redis, &policies, "retry: again\ncircuitBreaker: cb");
    has_version(&redis, "a", "5");
    set_memory(&redis, "1");
    let items = json!([
        {"key": key("a"), "value": "new", "etag": "9"},
        {"key": key("b"), "value": "new"},
    ]);
    let (status, message) = post(&sidecar, SAVE, &items);
    let expected = format!(
        "failed saving state in state store statestore: possible etag mismatch. error from state \
         store: failed to set key {}\ncircuit breaker is open",
        stored("a")
    );
    assert_eq!((status, message), (500, expected));
    sidecar.finish();
}
