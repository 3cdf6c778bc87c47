//! The generator against servers that do right, that do wrong, that stall and that hang up.

mod harness;

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    body::Bytes,
    http::StatusCode,
    middleware::from_fn,
    response::IntoResponse,
    routing::{get, post},
};
use harness::{Proxy, complaint, echo, http_echo, report, routes};
use serde_json::{Value, json};

const OPERATIONS: [&str; 6] = ["get", "save", "bulk-get", "bulk-save", "transaction", "delete"];

/// The floor `http` with something done at each call, told its number.
fn watched(each: impl Fn(u64) + Clone + Send + Sync + 'static) -> Router {
    let calls = Arc::new(AtomicU64::new(0));
    outrigger_floors::http::router(100).layer(from_fn(
        move |request, next: axum::middleware::Next| {
            each(calls.fetch_add(1, Ordering::SeqCst) + 1);
            next.run(request)
        },
    ))
}

#[test]
fn every_operation_is_answered_right_over_both_protocols() {
    for (address, flags) in [
        (echo(64), "--protocol grpc --in-flight 16"),
        (http_echo(64), "--protocol http --in-flight 3"),
    ] {
        for operation in OPERATIONS {
            let words = format!(
                "{flags} --operation {operation} --calls 300 --warm-up 0.01 --items 7 --value-bytes 64"
            );
            let report = report(address, &words);
            assert_eq!(report["errors"], json!({}), "{words}");
            assert_eq!(report["calls"], 300, "{words}");
            assert!(report["latency_us"]["p50"].as_f64() > Some(0.0), "{words}: {report}");
            assert_eq!(report["refused_latency_us"], Value::Null);
        }
    }
}

#[test]
fn exactly_as_many_calls_are_made_as_were_asked_for() {
    let seen = Arc::new(AtomicU64::new(0));
    let last = Arc::clone(&seen);
    let address = routes(watched(move |number| last.store(number, Ordering::SeqCst)));
    report(address, "--protocol http --connections 5 --calls 123 --warm-up 0");
    assert_eq!(seen.load(Ordering::SeqCst), 123);
}

#[test]
fn wrong_content_is_an_error() {
    let (grpc, http) = (echo(99), http_echo(99));
    for operation in ["get", "bulk-get"] {
        let words = format!("--operation {operation} --calls 50 --warm-up 0");
        let expected = json!({"wrong_content": 50});
        assert_eq!(report(grpc, &words)["errors"], expected);
        assert_eq!(report(http, &format!("{words} --protocol http"))["errors"], expected);
    }
    // An item too few.
    let short = Router::new().route(
        "/v1.0/state/{store}/bulk",
        post(|| async { r#"[{"key":"a","data":"xx"},{"key":"b","error":"gone"}]"# }),
    );
    let words =
        "--protocol http --operation bulk-get --items 2 --value-bytes 4 --calls 9 --warm-up 0";
    assert_eq!(report(routes(short), words)["errors"], json!({"wrong_content": 9}));
}

#[test]
fn refusals_are_counted_by_their_status_and_timed_apart() {
    let calls = Arc::new(AtomicU64::new(0));
    let busy = Router::new().route(
        "/v1.0/state/{store}/{key}",
        get(move || {
            let refused = calls.fetch_add(1, Ordering::SeqCst) % 2 == 1;
            std::future::ready(if refused {
                StatusCode::TOO_MANY_REQUESTS.into_response()
            } else {
                "\"xx\"".into_response()
            })
        }),
    );
    let report = report(routes(busy), "--protocol http --value-bytes 4 --calls 100 --warm-up 0");
    assert_eq!(report["errors"], json!({"429": 50}));
    assert_eq!(report["calls"], 50);
    assert!(report["refused_latency_us"]["p99"].as_f64() > Some(0.0), "{report}");
    // HTTP/1.1 is no gRPC, and gRPC no HTTP/1.1.
    let message = complaint(&http_echo(4).to_string(), "--calls 1 --warm-up 0");
    assert!(message.contains("nothing that speaks gRPC answers at 127.0.0.1:"), "{message}");
}

#[test]
fn an_open_loop_times_calls_from_when_they_should_have_started() {
    // 1,000 calls, of which 500 fall into the second that the server does nothing in.
    let address = routes(watched(|number| {
        if number == 200 {
            std::thread::sleep(Duration::from_secs(1));
        }
    }));
    let report = report(address, "--protocol http --rate 500 --seconds 2 --warm-up 0");
    assert_eq!(report["calls"], 1000, "{report}");
    assert_eq!(report["errors"], json!({}));
    // A caller that waited for answers would have seen 64 slow calls, one on each connection.
    assert!(report["latency_us"]["p90"].as_f64() > Some(500_000.0), "{report}");
    assert!(report["late"]["calls"].as_u64() > Some(300), "{report}");
    assert!(report["late"]["greatest_lag_us"].as_f64() > Some(500_000.0), "{report}");
}

#[test]
fn a_connection_that_breaks_is_made_anew() {
    for (server, protocol) in [(echo(100), "grpc"), (http_echo(100), "http")] {
        let proxy = Proxy::new(server, 10_000);
        let words = format!(
            "--protocol {protocol} --connections 1 --in-flight 1 --operation save --calls 200 --warm-up 0"
        );
        let report = report(proxy.address, &words);
        let calls = report["calls"].as_u64().expect("a number");
        assert_eq!(report["errors"], json!({"broken_off": 200 - calls}), "{protocol}");
        assert!((150..200).contains(&calls), "{protocol}: {calls}");
        assert_eq!(proxy.accepted(), 2, "{protocol}");
    }
}

#[test]
fn idle_connections_are_opened_besides() {
    for (server, protocol) in [(echo(100), "grpc"), (http_echo(100), "http")] {
        let proxy = Proxy::new(server, usize::MAX);
        let words = format!(
            "--protocol {protocol} --connections 2 --in-flight 2 --idle-connections 20 --calls 10"
        );
        assert_eq!(report(proxy.address, &words)["errors"], json!({}));
        assert_eq!(proxy.accepted(), 22, "{protocol}");
    }
}

#[test]
fn what_is_saved_has_its_key_value_and_time_to_live() {
    let bodies = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&bodies);
    let record = post(move |body: Bytes| {
        seen.lock().expect("bodies").push(body);
        std::future::ready(StatusCode::NO_CONTENT)
    });
    let address = routes(Router::new().route("/v1.0/state/other", record));
    let words = "--protocol http --store other --operation save --prefill --keys 150 --value-bytes 12 \
                 --ttl 60 --key-prefix p. --calls 1 --connections 1 --warm-up 0";
    report(address, words);
    let mut bodies = bodies.lock().expect("bodies").clone();
    let one: Value = serde_json::from_slice(&bodies.pop().expect("a save")).expect("JSON");
    assert_eq!(one.as_array().map(Vec::len), Some(1));
    let mut keys: Vec<String> = Vec::new();
    for body in &bodies {
        for item in serde_json::from_slice::<Vec<Value>>(body).expect("JSON") {
            assert_eq!(item["value"], "xxxxxxxxxx");
            assert_eq!(item["metadata"], json!({"ttlInSeconds": "60"}));
            keys.push(item["key"].as_str().expect("a key").to_owned());
        }
    }
    keys.sort_unstable();
    keys.dedup();
    let all: Vec<String> = (0..150).map(|number| format!("p.{number:09}")).collect();
    assert_eq!(keys, all);
}

#[test]
fn a_watched_process_is_measured() {
    let id = std::process::id();
    let report = report(echo(100), &format!("--seconds 0.5 --warm-up 0.1 --watch server={id}"));
    let server = &report["watched"]["server"];
    for name in ["cpu_us_per_call", "cpu_fraction", "rss_bytes_before", "rss_bytes_after"] {
        assert!(server[name].as_f64() > Some(0.0), "{name}: {report}");
    }
    assert!(server["rss_bytes_peak"].as_u64() >= server["rss_bytes_after"].as_u64(), "{report}");
    assert!(report["generator_busy"].as_f64() > Some(0.0), "{report}");
    assert!(report["calls_per_second"].as_f64() > Some(0.0), "{report}");
}

#[test]
fn what_cannot_be_done_is_said() {
    let cases = [
        ("192.0.2.1:80", "", "192.0.2.1 is not a loopback address"),
        ("example.com:80", "", "expected HOST:PORT with an IP address or localhost"),
        ("127.0.0.1:1", "--calls 1", "nothing that speaks gRPC answers at 127.0.0.1:1"),
        ("127.0.0.1:1", "--watch a", "expected NAME=PID"),
        ("127.0.0.1:1", "--watch a=4294967294", "--watch a=4294967294: "),
        ("127.0.0.1:1", "--store a/b", "expected letters, digits"),
        ("127.0.0.1:1", "--rate 5 --calls 5", "cannot be used with"),
        ("127.0.0.1:1", "--items 9 --keys 8 --operation bulk-get", "--items 9 needs"),
        ("127.0.0.1:1", "--protocol http --connections 2 --in-flight 3", "--in-flight 3 needs"),
        ("127.0.0.1:1", "--seconds 0", "expected"),
    ];
    for (address, words, expected) in cases {
        let message = complaint(address, words);
        assert!(message.contains(expected), "{words}: {message}");
    }
}
