//! What the recordings do not reach: stores that fail, callers who leave, bodies that are too
//! large, values that are not JSON.

use std::time::Duration;

use outrigger::resiliency::{
    backoff::Backoff, breaker::Breaker, circuit::CircuitSettings, policy::Policy,
    retry::RetryPolicy, trip::TripRule,
};
use serde_json::{Value, json};

use crate::{
    edge::{self, Answer, Edge},
    redis::Server,
};

const STATE: &str = "/v1.0/state/statestore";
const ONE: &str = r#"[{"key":"a","value":1}]"#;

fn breaker(trip: &str, timeout: Duration) -> std::sync::Arc<Breaker> {
    let rule = TripRule::parse(trip).unwrap();
    Breaker::new("cb-statestore", CircuitSettings::new(1, None, Some(timeout), rule))
}

fn policy(breaker: Option<std::sync::Arc<Breaker>>, retry: Option<RetryPolicy>) -> Policy {
    Policy::new("component[statestore] output", Some(Duration::from_secs(5)), breaker, retry)
}

#[track_caller]
fn is(answer: &Answer, status: u16, code: &str, message: &str) {
    let body: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!((answer.status, &body["errorCode"]), (status, &json!(code)), "{body}");
    let text = body["message"].as_str().unwrap();
    assert!(text.starts_with(message), "{text}");
}

#[tokio::test]
async fn an_outage_is_an_error_of_the_server_and_never_a_conflict() {
    let mut server = Server::start();
    let fast = RetryPolicy {
        backoff: Backoff::Constant { duration: Duration::from_millis(1) },
        max_retries: Some(1),
    };
    let store = edge::redis(&server);
    let edge = Edge::with(Some((store, policy(None, Some(fast)))), None);
    assert_eq!(edge.post(STATE, ONE).await.status, 204);
    server.kill();
    let saved = "failed saving state in state store statestore: ";
    is(&edge.post(STATE, ONE).await, 500, "ERR_STATE_SAVE", saved);
    let with_etag = r#"[{"key":"a","value":1,"etag":"1"}]"#;
    is(&edge.post(STATE, with_etag).await, 500, "ERR_STATE_SAVE", saved);
    let deleted = edge.send("DELETE", &format!("{STATE}/a"), &[("if-match", "1")], b"").await;
    is(&deleted, 500, "ERR_STATE_DELETE", "failed deleting state with key a: ");
    let got = edge.get(&format!("{STATE}/a")).await;
    is(&got, 500, "ERR_STATE_GET", "fail to get a from state store statestore: ");
    let operations = r#"{"operations":[{"operation":"delete","request":{"key":"a"}}]}"#;
    let transaction = edge.post(&format!("{STATE}/transaction"), operations).await;
    let failed = "error while executing state transaction: ";
    is(&transaction, 500, "ERR_STATE_TRANSACTION", failed);
    // Difference 3: the engine sees the outage, the caller an error for each key.
    let found = edge.post(&format!("{STATE}/bulk"), r#"{"keys":["a","b"]}"#).await;
    assert_eq!(found.status, 200);
    let items: Value = serde_json::from_slice(&found.body).unwrap();
    for (item, key) in items.as_array().unwrap().iter().zip(["a", "b"]) {
        assert_eq!(item["key"], key);
        assert!(!item["error"].as_str().unwrap().is_empty());
        assert_eq!(item.as_object().unwrap().len(), 2);
    }
}

#[tokio::test]
async fn an_open_breaker_is_told_in_the_words_of_daprd() {
    let mut server = Server::start();
    let store = edge::redis(&server);
    let breaker = breaker("consecutiveFailures >= 1", Duration::from_secs(60));
    let edge = Edge::with(Some((store, policy(Some(breaker), None))), None);
    server.kill();
    let opens = edge.get(&format!("{STATE}/1")).await;
    is(&opens, 500, "ERR_STATE_GET", "fail to get 1 from state store statestore: ");
    let rejected = edge.get(&format!("{STATE}/1")).await;
    // sidecar-surface A5.
    assert_eq!(
        rejected.text(),
        r#"{"errorCode":"ERR_STATE_GET","message":"fail to get 1 from state store statestore: circuit breaker is open"}"#
    );
    let bulk = edge.post(&format!("{STATE}/bulk"), r#"{"keys":["a"]}"#).await;
    is(&bulk, 500, "ERR_STATE_BULK_GET", "circuit breaker is open");
}

#[tokio::test]
async fn a_caller_who_hangs_up_ends_the_call() {
    let mut server = Server::start();
    let patient = RetryPolicy {
        backoff: Backoff::Constant { duration: Duration::from_secs(3600) },
        max_retries: None,
    };
    let store = edge::redis(&server);
    let edge = Edge::with(Some((store, policy(None, Some(patient)))), None);
    assert_eq!(edge.post(STATE, ONE).await.status, 204);
    server.kill();
    let request = format!("GET {STATE}/a HTTP/1.1\r\nhost: x\r\n\r\n");
    let calling = edge.exchange(request.as_bytes());
    let left = tokio::time::timeout(Duration::from_millis(300), calling).await;
    assert!(left.is_err(), "the call was answered although nobody could: {left:?}");
    for _ in 0..1000 {
        if edge.drain.calls_in_flight() == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("the call outlived its caller");
}

#[tokio::test]
async fn a_conflict_is_told_for_the_call_it_happened_in() {
    let server = Server::start();
    let edge = Edge::start(edge::redis(&server));
    assert_eq!(edge.post(STATE, ONE).await.status, 204);
    let two = r#"[{"key":"a","value":2,"etag":"9"},{"key":"b","value":1}]"#;
    let conflict = "failed saving state in state store statestore: possible etag mismatch. ";
    is(&edge.post(STATE, two).await, 409, "ERR_STATE_SAVE", conflict);
    assert_eq!(edge.get(&format!("{STATE}/a")).await.text(), "1");
    assert_eq!(edge.get(&format!("{STATE}/b")).await.text(), "1");
    for etag in ["\"1\"", "W/1", "*"] {
        let answer = edge.send("DELETE", &format!("{STATE}/a"), &[("if-match", etag)], b"").await;
        assert_eq!(answer.status, 409, "{etag}");
    }
    let empty = edge.send("DELETE", &format!("{STATE}/a"), &[("If-Match", "")], b"").await;
    assert_eq!(empty.status, 204);
}

#[tokio::test]
async fn a_value_that_is_not_json_costs_a_bulk_read_that_item_only() {
    let server = Server::start();
    let edge = Edge::start(edge::redis(&server));
    let set: () =
        redis::cmd("SET").arg("probe||raw").arg("no json").query(&mut server.view()).unwrap();
    let html = "[{\"key\":\"h\",\"value\":\"<a>&\u{2028}\"},{\"key\":\"n\",\"value\":[1.00,1E2]}]";
    assert_eq!((set, edge.post(STATE, html).await.status), ((), 204));
    let empty: () = redis::cmd("HSET")
        .arg(&["probe||e", "data", "", "version", "1"])
        .query(&mut server.view())
        .unwrap();
    let body = r#"{"keys":["raw","h","n","e","none"],"parallelism":2}"#;
    let found = edge.post(&format!("{STATE}/bulk"), body).await;
    assert_eq!((empty, found.status), ((), 200));
    assert_eq!(
        found.text(),
        "[{\"key\":\"raw\",\"error\":\"the value is not JSON: invalid character 'o' in literal null \
         (expecting 'u')\"},{\"key\":\"h\",\"data\":\"\\u003ca\\u003e\\u0026\\u2028\",\"etag\":\"1\"},\
         {\"key\":\"n\",\"data\":[1.00,1E2],\"etag\":\"1\"},{\"key\":\"e\",\"etag\":\"1\"},\
         {\"key\":\"none\"}]\n"
    );
    assert_eq!(edge.get(&format!("{STATE}/e")).await.header("content-length"), Some("0"));
}

#[tokio::test]
async fn the_embedded_store_tells_when_a_value_expires() {
    let edge = Edge::start(edge::in_memory());
    let body = r#"[{"key":"a","value":1,"metadata":{"ttlInSeconds":"100"}}]"#;
    assert_eq!(edge.post(STATE, body).await.status, 204);
    let found = edge.get(&format!("{STATE}/a")).await;
    let expiry = found.header("metadata.ttlexpiretime").unwrap().to_owned();
    let bulk = edge.post(&format!("{STATE}/bulk"), r#"{"keys":["a"]}"#).await;
    let items: Value = serde_json::from_slice(&bulk.body).unwrap();
    assert_eq!(items[0]["metadata"], json!({ "ttlExpireTime": expiry }));
    let over = edge.post(&format!("{STATE}?metadata.ttlInSeconds=x"), body).await;
    is(&over, 500, "ERR_STATE_SAVE", "failed saving state in state store statestore: strconv.Atoi");
    let query = edge.post("/v1.0-alpha1/state/statestore/query", "{}").await;
    is(&query, 500, "ERR_STATE_STORE_NOT_SUPPORTED", "state store does not support querying");
}

#[tokio::test]
async fn bodies_are_refused_from_one_byte_over_the_limit_on() {
    let store = (edge::in_memory(), Policy::none("x"));
    let edge = Edge::with(Some(store), Some(64));
    let exactly = format!("{ONE:<64}");
    assert_eq!(edge.post(STATE, &exactly).await.status, 204);
    for over in [65, 66, 60_000] {
        let body = format!("{ONE:<over$}");
        let post = async |path: &str| edge.post(path, &body).await;
        is(&post(STATE).await, 400, "ERR_MALFORMED_REQUEST", "stream too large");
        for path in ["bulk", "transaction"] {
            let answer = post(&format!("{STATE}/{path}")).await;
            let message = "failed deserializing HTTP body: stream too large";
            is(&answer, 400, "ERR_MALFORMED_REQUEST", message);
        }
        let query = post("/v1.0-alpha1/state/statestore/query").await;
        is(&query, 400, "ERR_BODY_READ", "failed to read request body: stream too large");
        // The store is looked for first, though the body is read before.
        is(&post("/v1.0/state/nope").await, 400, "ERR_STATE_STORE_NOT_FOUND", "state store nope");
        let chunked = format!(
            "POST {STATE} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ntransfer-encoding: chunked\
             \r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n",
            body.len()
        );
        let answer = edge.exchange(chunked.as_bytes()).await.unwrap();
        is(&answer, 400, "ERR_MALFORMED_REQUEST", "stream too large");
    }
}

#[tokio::test]
async fn without_any_store_every_route_says_that_none_is_configured() {
    let edge = Edge::with(None, None);
    let expected = |metadata: &str| {
        format!(
            r#"{{"errorCode":"ERR_STATE_STORE_NOT_CONFIGURED","message":"state store s is not configured","details":[{{"@type":"type.googleapis.com/google.rpc.ErrorInfo","domain":"dapr.io","metadata":{metadata},"reason":"DAPR_STATE_NOT_CONFIGURED"}}]}}"#
        )
    };
    for (method, path) in [
        ("GET", "/v1.0/state/s/k"),
        ("DELETE", "/v1.0/state/s/a%7C%7Cb"),
        ("POST", "/v1.0/state/s"),
        ("PUT", "/v1.0/state/s/bulk"),
        ("POST", "/v1.0/state/s/transaction"),
    ] {
        let answer = edge.send(method, path, &[], b"junk").await;
        assert_eq!((answer.status, answer.text()), (500, expected(r#"{"appID":"probe"}"#)));
    }
    let query = edge.post("/v1.0-alpha1/state/s/query", "junk").await;
    assert_eq!((query.status, query.text()), (500, expected("null")));
}

#[tokio::test]
async fn an_operation_announced_as_json_is_refused_by_a_redis_without_documents() {
    let server = Server::start();
    let edge = Edge::start(edge::redis(&server));
    let body = r#"{"operations":[
        {"operation":"upsert","request":{"key":"a","value":1,"metadata":{"contentType":"application/json"}}},
        {"operation":"upsert","request":{"KEY":"b","Value":{"x" : 1.0}}},
        {"operation":"upsert","request":{"key":"c","options":{"concurrency":"weird"}}}],
        "metadata":{"contentType":"application/json"}}"#;
    let answer = edge.post(&format!("{STATE}/transaction"), body).await;
    is(&answer, 500, "ERR_STATE_TRANSACTION", "error while executing state transaction: ");
    assert_eq!(edge.get(&format!("{STATE}/a")).await.status, 204);
    assert_eq!(edge.get(&format!("{STATE}/b")).await.text(), r#"{"x":1.0}"#);
    assert_eq!(edge.get(&format!("{STATE}/c")).await.text(), "null");
}

#[tokio::test]
async fn a_save_with_an_unknown_word_writes_nothing() {
    let edge = Edge::start(edge::in_memory());
    let body = r#"[{"key":"a","value":1},
        {"key":"b","value":1,"options":{"concurrency":"x","consistency":"y"}}]"#;
    let message =
        "failed saving state in state store statestore: unrecognized consistency model 'y'";
    is(&edge.post(STATE, body).await, 500, "ERR_STATE_SAVE", message);
    assert_eq!(edge.get(&format!("{STATE}/a")).await.status, 204);
}
