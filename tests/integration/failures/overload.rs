//! The rows about too much to do: each on a sidecar of its own that may do one thing at a time.

use std::{io::Write as _, net::TcpStream, time::Duration};

use outrigger::api::failures::Row;

use super::{caller::Asks, play::classes, scene::stored};
use crate::harness::{
    canary::{self, key},
    client::STORE,
    eventually,
    redis::Redis,
    resources::resiliency,
    sidecar::{Setup, Sidecar},
};

/// A store behind a breaker that is open, for Redis has no memory left: nobody is let through who
/// asks it.
fn start(redis: &Redis, flag: &str) -> Sidecar {
    redis.query::<()>(&["CONFIG", "SET", "maxmemory", "1"]);
    let breaker = "circuitBreakers:\n  trips: {maxRequests: 1, timeout: 1h, trip: \
                   consecutiveFailures >= 1}";
    let policies = resiliency(breaker, "circuitBreaker: trips");
    let setup = Setup::default().redis(redis).resource("resiliency.yaml", &policies);
    let sidecar = setup.args(&[flag, "1"]).start();
    sidecar.wait_until_connected();
    eventually("the breaker is open", || {
        // Refused while an earlier connection is still going.
        let opens = Asks::default().over_http(&sidecar, STORE, &key("opens"));
        opens.message.contains("circuit breaker is open")
    });
    sidecar
}

/// Whether nothing is said to a connection for longer than a refusal takes.
fn is_unanswered(connection: &TcpStream) -> bool {
    connection.set_read_timeout(Some(Duration::from_millis(300))).expect("a timeout");
    connection.peek(&mut [0]).is_err()
}

pub fn be_overloaded(row: Row) {
    let flag = match row.id {
        "too-many-calls" => "--max-calls-in-flight",
        "too-many-bytes" => "--max-bytes-in-flight",
        "too-many-connections" => "--max-connections",
        other => panic!("nobody knows how to bring {other} about"),
    };
    let redis = Redis::start();
    let sidecar = start(&redis, flag);
    let head = format!(
        "POST /v1.0/state/{STORE} HTTP/1.1\r\nhost: x\r\ndapr-api-token: {}\r\n\
         content-length: 9\r\n\r\n[",
        canary::TOKEN
    );
    // A body that does not end: a connection, a call, and a byte.
    let begin = || {
        let other = TcpStream::connect(("127.0.0.1", sidecar.http_port));
        let mut other = other.expect("a connection");
        other.write_all(head.as_bytes()).expect("it reads");
        other
    };
    let mut others = Vec::new();
    let asks = Asks::default();
    eventually("another is there", || {
        // One that came while an earlier connection was still going is refused itself.
        let other = begin();
        let is_held = is_unanswered(&other);
        others.push(other);
        is_held && asks.over_http(&sidecar, STORE, &key("before")).code == "429"
    });
    let counted = || classes(&sidecar.metrics(), STORE, asks.operation);
    let (before, mark) = (counted(), sidecar.mark());
    let refused = key("refused");
    let over_http = asks.over_http(&sidecar, STORE, &refused);
    let over_grpc = asks.over_grpc(&sidecar.client(), STORE, &refused);
    let told = row.told().expect("an answer");
    let status = row.status().expect("a status").to_string();
    for (heard, code) in [(&over_http, status.as_str()), (&over_grpc, told.grpc.as_str())] {
        assert_eq!(heard.code, code, "{heard:?}");
        assert!(heard.message.contains(flag), "{heard:?}");
    }
    assert_eq!(over_http.word.as_deref(), row.error_code());
    assert_eq!(over_grpc.word.as_deref(), row.reason());
    assert_eq!(redis.field(&stored(&refused), "data"), None, "it was not carried out");
    let operation = format!("component[{STORE}] output");
    assert!(sidecar.said(mark, &operation).is_empty(), "no policy was asked");
    assert_eq!(counted(), before, "it is no call for the store");
    drop(others);
    sidecar.finish();
}
