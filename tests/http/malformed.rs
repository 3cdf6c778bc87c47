//! Whatever is sent to whichever route, an answer comes in daprd's form.

use std::time::Duration;

use proptest::{
    prelude::{Just, Strategy, any, prop_oneof},
    test_runner::{Config, TestCaseError, TestRunner},
};
use serde_json::Value;
use tokio::runtime::{Builder, Runtime};

use crate::edge::{self, Answer, Edge};

/// Methods and paths of all routes, and some that lead nowhere.
const ROUTES: &[(&str, &str)] = &[
    ("POST", "/v1.0/state/statestore"),
    ("PUT", "/v1.0/state/statestore"),
    ("POST", "/v1.0/state/nope"),
    ("GET", "/v1.0/state/statestore/a"),
    ("DELETE", "/v1.0/state/statestore/a"),
    ("DELETE", "/v1.0/state/statestore/a?concurrency=weird"),
    ("GET", "/v1.0/state/statestore/%ff"),
    ("DELETE", "/v1.0/state/%fe/a%7C%7Cb"),
    ("GET", "/v1.0/state/statestore/bulk"),
    ("POST", "/v1.0/state/statestore/bulk"),
    ("PUT", "/v1.0/state/statestore/bulk?metadata.a=%zz"),
    ("POST", "/v1.0/state/statestore/transaction"),
    ("PUT", "/v1.0/state/statestore/transaction?metadata.ttlInSeconds=x"),
    ("DELETE", "/v1.0/state/statestore/transaction"),
    ("POST", "/v1.0-alpha1/state/statestore/query"),
    ("PUT", "/v1.0-alpha1/state/nope/query"),
    ("PUT", "/v1.0/metadata/x"),
    ("PATCH", "/v1.0/state/statestore"),
    ("POST", "/nope"),
];

/// Texts that bodies are made of.
const PIECES: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "null",
    "true",
    "1",
    "-",
    "1e400",
    "1.5",
    "\"",
    "\"a\"",
    "\"key\":",
    "\"keys\":",
    "\"value\":",
    "\"etag\":",
    "\"metadata\":",
    "\"options\":",
    "\"operations\":",
    "\"operation\":",
    "\"upsert\"",
    "\"delete\"",
    "\"request\":",
    "\"parallelism\":",
    "\"\\ud800\"",
    "\"\\u0000\"",
    "\"a||b\"",
    "\\",
    " ",
    "\n",
    "\u{feff}",
    "\u{212a}",
    "[{\"key\":\"a\",\"value\":1}]",
    "{\"keys\":[\"a\",\"b\"]}",
    "{\"operations\":[{\"operation\":\"upsert\",\"request\":{\"key\":\"a\",\"value\":1}}]}",
];

/// Names of members that the routes look at.
const NAMES: &[&str] = &[
    "key",
    "Keys",
    "value",
    "etag",
    "metadata",
    "options",
    "operations",
    "operation",
    "request",
    "parallelism",
    "concurrency",
    "consistency",
    "ttlInSeconds",
    "contentType",
];

fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        ".{0,5}".prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 40, 5, |inner| {
        let member = (proptest::sample::select(NAMES), inner.clone());
        prop_oneof![
            proptest::collection::vec(inner, 0..5).prop_map(Value::from),
            proptest::collection::vec(member, 0..5).prop_map(|members| {
                Value::Object(
                    members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
                )
            }),
        ]
    })
}

fn body() -> impl Strategy<Value = Vec<u8>> {
    let pieces = proptest::collection::vec(proptest::sample::select(PIECES), 0..12);
    let nested =
        (1..30_000_usize, proptest::sample::select(&["[", "{\"value\":", "[{\"value\":"][..]));
    let huge = (1..2_000_usize, any::<bool>());
    prop_oneof![
        4 => pieces.prop_map(|pieces| pieces.concat().into_bytes()),
        4 => json().prop_map(|value| value.to_string().into_bytes()),
        2 => (json(), any::<proptest::sample::Index>()).prop_map(|(value, cut)| {
            let mut text = value.to_string().into_bytes();
            text.truncate(cut.index(text.len()));
            text
        }),
        1 => proptest::collection::vec(any::<u8>(), 0..64),
        1 => nested.prop_map(|(depth, opening)| opening.repeat(depth).into_bytes()),
        1 => huge.prop_map(|(digits, exponent)| {
            let number = format!("{}{}", "9".repeat(digits), if exponent { "e99999999" } else { "" });
            format!("[{{\"key\":\"a\",\"value\":{number}}}]").into_bytes()
        }),
        1 => proptest::collection::vec(0x80_u8.., 1..9)
            .prop_map(|junk| [&b"[{\"key\":\""[..], &junk[..], &b"\",\"value\":1}]"[..]].concat()),
    ]
}

/// Whether the answer has the form of one of daprd's.
fn check(answer: &Answer) -> Result<(), TestCaseError> {
    let fail = |why: &str| Err(TestCaseError::fail(format!("{why}: {answer:?}")));
    match answer.status {
        200 => Ok(()),
        204 if answer.body.is_empty() => Ok(()),
        400 | 404 | 409 | 500 => {
            let Ok(body) = serde_json::from_slice::<Value>(&answer.body) else {
                return fail("not JSON");
            };
            let filled = |name: &str| body[name].as_str().is_some_and(|text| !text.is_empty());
            if !filled("errorCode") || !filled("message") {
                return fail("no code or no message");
            }
            // The answer of a handler that panicked.
            if body["errorCode"] == "ERROR" {
                return fail("a panic");
            }
            if answer.header("content-type") != Some("application/json") {
                return fail("another content type");
            }
            Ok(())
        }
        _ => fail("an unexpected status"),
    }
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

fn runner(cases: u32) -> TestRunner {
    TestRunner::new(Config { cases, failure_persistence: None, ..Config::default() })
}

#[test]
fn every_request_is_answered_in_daprs_form() {
    let runtime = runtime();
    let edge = runtime.block_on(async { Edge::start(edge::in_memory()) });
    let request = (proptest::sample::select(ROUTES), body());
    let outcome = runner(600).run(&request, |((method, path), body)| {
        check(&runtime.block_on(edge.send(method, path, &[], &body)))
    });
    outcome.unwrap();
}

#[test]
fn every_body_that_ends_too_early_is_answered_and_forgotten() {
    let runtime = runtime();
    let edge = runtime.block_on(async { Edge::start(edge::in_memory()) });
    let cut = (proptest::sample::select(ROUTES), body(), 1..100_usize, any::<bool>());
    let outcome = runner(200).run(&cut, |((method, path), body, missing, chunked)| {
        let announced = body.len() + missing;
        let head = if chunked {
            format!("transfer-encoding: chunked\r\n\r\n{announced:x}\r\n")
        } else {
            format!("content-length: {announced}\r\n\r\n")
        };
        let head = format!("{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{head}");
        let sent = [head.as_bytes(), &body[..]].concat();
        let answer = runtime.block_on(edge.hang_up_after(&sent));
        check(&answer.ok_or_else(|| TestCaseError::fail("no answer"))?)
    });
    outcome.unwrap();
    runtime.block_on(async {
        for _ in 0..1000 {
            if edge.drain.calls_in_flight() == 0 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert_eq!(edge.drain.calls_in_flight(), 0, "a call outlived its caller");
        assert_eq!(edge.get("/v1.0/healthz").await.status, 204);
    });
}
