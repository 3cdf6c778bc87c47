//! Every operation that waits for Redis, left in every way: answered in time, nothing written
//! afterwards, and nothing of it counted as in flight.

use std::{thread, time::Duration};

use outrigger::proto::{
    common::v1::{StateItem, StateOptions, state_options::StateConsistency},
    runtime::v1::{
        DeleteBulkStateRequest, DeleteStateRequest, ExecuteStateTransactionRequest,
        GetBulkStateRequest, SaveStateRequest, TransactionalStateOperation,
    },
};
use serde_json::{Value, json};
use tokio::time::Instant;
use tonic::Code;

use super::{
    UNDER_WAY,
    caller::{Ask, Call, Caller, Leaves},
    finish_at_once, retry, without_timeouts,
};
use crate::harness::{
    canary::{key, value},
    client::{STORE, item},
    eventually,
    redis::Redis,
    sidecar::{APP_ID, Setup, Sidecar},
};

/// Far more than the callers' deadline, and far less than a retry or a paused Redis would take.
const IN_TIME: Duration = Duration::from_secs(8);
const DEADLINE: &str = "400m";
const LIMITS: [&str; 2] = ["calls_in_flight", "bytes_in_flight"];

/// An operation's name, and how it is asked for.
type Operation = (&'static str, Ask);

/// All of them. What they delete is there, what they write is not.
fn operations() -> Vec<Operation> {
    let (kept, new) = ([key("kept0"), key("kept1")], [key("new0"), key("new1")]);
    let mut all = Vec::from(saves(&new));
    all.extend(deletes(&kept));
    all.push(bulk_get(&kept));
    all.push(transaction(&new[0], &kept[0]));
    all
}

fn bulk_get(keys: &[String]) -> Operation {
    let request = GetBulkStateRequest {
        store_name: STORE.into(),
        keys: keys.to_vec(),
        ..GetBulkStateRequest::default()
    };
    ("bulk get", Ask::new("GetBulkState", &request, "POST", "/bulk", &json!({"keys": keys})))
}

fn saves(keys: &[String]) -> [Operation; 2] {
    let save = |states| SaveStateRequest { store_name: STORE.into(), states };
    let bulk = save(keys.iter().map(|key| item(key, value("1"))).collect());
    let items: Vec<Value> =
        keys.iter().map(|key| json!({"key": key, "value": value("1")})).collect();
    let options = StateOptions {
        consistency: StateConsistency::ConsistencyStrong.into(),
        ..StateOptions::default()
    };
    let strong = save(vec![StateItem { options: Some(options), ..item(&keys[0], value("1")) }]);
    let strong_item =
        json!([{"key": keys[0], "value": value("1"), "options": {"consistency": "strong"}}]);
    [
        ("bulk save", Ask::new("SaveState", &bulk, "POST", "", &items.into())),
        ("strong save", Ask::new("SaveState", &strong, "POST", "", &strong_item)),
    ]
}

/// HTTP deletes no more than one key at once.
fn deletes(keys: &[String]) -> [Operation; 2] {
    let path = format!("/{}", keys[0]);
    let one = DeleteStateRequest {
        store_name: STORE.into(),
        key: keys[0].clone(),
        ..DeleteStateRequest::default()
    };
    let bulk = DeleteBulkStateRequest {
        store_name: STORE.into(),
        states: keys.iter().map(|key| item(key, "")).collect(),
    };
    [
        ("delete", Ask::new("DeleteState", &one, "DELETE", &path, &Value::Null)),
        ("bulk delete", Ask::new("DeleteBulkState", &bulk, "DELETE", &path, &Value::Null)),
    ]
}

fn transaction(new: &str, kept: &str) -> Operation {
    let operation = |kind: &str, item| TransactionalStateOperation {
        operation_type: kind.to_owned(),
        request: Some(item),
    };
    let request = ExecuteStateTransactionRequest {
        store_name: STORE.into(),
        operations: vec![
            operation("upsert", item(new, value("1"))),
            operation("delete", item(kept, "")),
        ],
        ..ExecuteStateTransactionRequest::default()
    };
    let body = json!({"operations": [
        {"operation": "upsert", "request": {"key": new, "value": value("1")}},
        {"operation": "delete", "request": {"key": kept}},
    ]});
    let ask = Ask::new("ExecuteStateTransaction", &request, "POST", "/transaction", &body);
    ("transaction", ask)
}

const WAYS: [Leaves; 4] =
    [Leaves::GrpcDeadline, Leaves::GrpcCancel, Leaves::HttpDisconnect, Leaves::Http2Cancel];

/// How much of a limit is in use, or with `_peak` how much was.
fn in_use(sidecar: &Sidecar, limit: &str, peak: &str) -> f64 {
    let metrics = sidecar.metrics();
    let series = format!("outrigger_limit_use{peak}{{app_id=\"{APP_ID}\",limit=\"{limit}\"}} ");
    let line = metrics.lines().find_map(|line| line.strip_prefix(&series));
    line.unwrap_or_else(|| panic!("no {series}")).parse().expect("a number")
}

/// Asks, leaves when it is `under_way`, and looks at what is left.
fn leave(sidecar: &Sidecar, (name, ask): &Operation, leaves: Leaves, under_way: impl Fn(usize)) {
    let (mark, begun) = (sidecar.mark(), Instant::now());
    let call = Caller::to(sidecar).begin_to(leaves, ask.clone(), DEADLINE);
    if matches!(call, Call::Deadline(_)) {
        let told = call.leave_after(Duration::ZERO).expect("who gave a deadline is told");
        assert_eq!(told.code, Code::DeadlineExceeded, "{name}: {}", told.message);
    } else {
        under_way(mark);
        assert_eq!(in_use(sidecar, LIMITS[0], ""), 1.0, "{name}, {leaves:?}: it waits");
        call.leave();
    }
    for limit in LIMITS {
        eventually(&format!("{name}, {leaves:?}: none of {limit} in use"), || {
            in_use(sidecar, limit, "") == 0.0
        });
    }
    assert!(begun.elapsed() < IN_TIME, "{name}, {leaves:?}: {:?}", begun.elapsed());
}

/// The keys are those from before, unchanged, though there was something to count.
fn assert_untouched(redis: &Redis, sidecar: &Sidecar) {
    assert!(LIMITS.iter().all(|limit| in_use(sidecar, limit, "_peak") > 0.0));
    assert_eq!(redis.query::<u64>(&["DBSIZE"]), 3, "what was there, and the next key");
    for name in ["kept0", "kept1"] {
        let version = redis.field(&format!("{APP_ID}||{}", key(name)), "version");
        assert_eq!(version.as_deref(), Some("1"), "{name}");
    }
}

fn with_keys(redis: &Redis, pause: &str) -> Sidecar {
    // Lines about calls would name the keys.
    let sidecar = Setup::default()
        .resource("statestore.yaml", &without_timeouts(redis))
        .resource("resiliency.yaml", &retry(pause))
        .start();
    sidecar.wait_until_connected();
    for name in ["kept0", "kept1"] {
        sidecar.client().save(&key(name), value("1")).expect("saved");
    }
    sidecar
}

#[test]
fn whatever_waits_for_a_paused_redis_ends_with_its_caller() {
    // A connection on which nothing is answered is given up after a while, which is most of the time.
    thread::scope(|scope| {
        for operation in operations() {
            scope.spawn(move || leave_a_paused_redis(&operation));
        }
    });
}

fn leave_a_paused_redis(operation: &Operation) {
    let redis = Redis::start();
    let sidecar = with_keys(&redis, "100ms");
    // Commands wait in Redis, and those of a connection that ends meanwhile are dropped. What
    // connects is answered.
    redis.query::<()>(&["CLIENT", "PAUSE", "600000", "WRITE"]);
    let on_the_wire = || redis.query::<String>(&["CLIENT", "LIST"]).contains("cmd=eval");
    for leaves in WAYS {
        let mark = sidecar.mark();
        leave(&sidecar, operation, leaves, |_| eventually("it is on the wire", on_the_wire));
        // The next call begins on another connection.
        sidecar.process.wait_for_line(mark, "Connected to Redis at");
    }
    assert!(sidecar.said(0, "Retrying in").is_empty(), "{}: who left is no failure", operation.0);
    redis.query::<()>(&["CLIENT", "UNPAUSE"]);
    sidecar.client().save(&key("next"), value("1")).expect("the next call is served");
    thread::sleep(UNDER_WAY);
    assert_untouched(&redis, &sidecar);
    finish_at_once(sidecar);
}

#[test]
fn whatever_waits_for_a_redis_that_is_down_ends_with_its_caller() {
    let mut redis = Redis::start();
    let sidecar = with_keys(&redis, "300ms");
    redis.kill();
    for operation in operations() {
        for leaves in WAYS {
            leave(&sidecar, &operation, leaves, |mark| {
                sidecar.process.wait_for_line(mark, "Retrying in 300ms");
            });
        }
    }
    redis.restart();
    eventually("the next call is served", || {
        sidecar.client().save(&key("next"), value("1")).is_ok()
    });
    // A retry of any of them would have come by now.
    thread::sleep(UNDER_WAY);
    assert_untouched(&redis, &sidecar);
    finish_at_once(sidecar);
}
