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

/// The operations by their names. What they delete is there, what they write is not.
fn operations() -> Vec<(&'static str, Ask)> {
    let store_name = || STORE.to_owned();
    let (kept, new) = ([key("kept0"), key("kept1")], [key("new0"), key("new1")]);
    let saves = || new.iter().map(|key| item(key, value("1"))).collect::<Vec<_>>();
    let saves_as_json = json!([
        {"key": new[0], "value": value("1")}, {"key": new[1], "value": value("1")}
    ]);
    let bulk_get = GetBulkStateRequest {
        store_name: store_name(),
        keys: kept.to_vec(),
        ..GetBulkStateRequest::default()
    };
    let bulk_save = SaveStateRequest { store_name: store_name(), states: saves() };
    let strong = StateOptions {
        consistency: StateConsistency::ConsistencyStrong.into(),
        ..StateOptions::default()
    };
    let strong_save = SaveStateRequest {
        store_name: store_name(),
        states: vec![StateItem { options: Some(strong), ..item(&new[0], value("1")) }],
    };
    let strong_as_json = json!([
        {"key": new[0], "value": value("1"), "options": {"consistency": "strong"}}
    ]);
    let delete = DeleteStateRequest {
        store_name: store_name(),
        key: kept[0].clone(),
        ..DeleteStateRequest::default()
    };
    let bulk_delete = DeleteBulkStateRequest {
        store_name: store_name(),
        states: kept.iter().map(|key| item(key, "")).collect(),
    };
    let operation = |kind: &str, item| TransactionalStateOperation {
        operation_type: kind.to_owned(),
        request: Some(item),
    };
    let transaction = ExecuteStateTransactionRequest {
        store_name: store_name(),
        operations: vec![
            operation("upsert", item(&new[0], value("1"))),
            operation("delete", item(&kept[0], "")),
        ],
        ..ExecuteStateTransactionRequest::default()
    };
    let transaction_as_json = json!({"operations": [
        {"operation": "upsert", "request": {"key": new[0], "value": value("1")}},
        {"operation": "delete", "request": {"key": kept[0]}},
    ]});
    let one = format!("/{}", kept[0]);
    vec![
        ("bulk get", Ask::new("GetBulkState", &bulk_get, "POST", "/bulk", &json!({"keys": kept}))),
        ("bulk save", Ask::new("SaveState", &bulk_save, "POST", "", &saves_as_json)),
        ("strong save", Ask::new("SaveState", &strong_save, "POST", "", &strong_as_json)),
        ("delete", Ask::new("DeleteState", &delete, "DELETE", &one, &Value::Null)),
        // HTTP has no such operation: the same of one key.
        ("bulk delete", Ask::new("DeleteBulkState", &bulk_delete, "DELETE", &one, &Value::Null)),
        (
            "transaction",
            Ask::new(
                "ExecuteStateTransaction",
                &transaction,
                "POST",
                "/transaction",
                &transaction_as_json,
            ),
        ),
    ]
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
fn leave(
    sidecar: &Sidecar,
    (name, ask): &(&'static str, Ask),
    leaves: Leaves,
    under_way: impl Fn(usize),
) {
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

fn leave_a_paused_redis(operation: &(&'static str, Ask)) {
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
