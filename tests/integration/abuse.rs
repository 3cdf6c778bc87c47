//! Whatever is thrown at the ports of a real sidecar, it answers, stays up and keeps nothing.

use std::{
    cell::RefCell,
    fs,
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    net::{Shutdown, TcpStream},
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use ::http::Request;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use outrigger::proto::runtime::v1::SaveStateRequest;
use proptest::{
    collection::vec,
    prelude::{Just, Strategy, any, prop_oneof},
    sample::{Index, select},
    test_runner::{Config, TestCaseError, TestRunner},
};
use prost::Message as _;
use serde_json::Value;

use crate::harness::{
    PATIENCE, canary,
    client::{self, STORE, block_on, item},
    redis::Redis,
    resources,
    sidecar::{Setup, Sidecar},
};

const CALLERS: u32 = 4;
const CASES_EACH: u32 = 2_600;
const MOST_GROWTH: usize = 20 << 20;

/// Methods and paths of every route, and some that lead nowhere. The one that ends the sidecar is
/// asked with another method only.
const ROUTES: &[(&str, &str)] = &[
    ("POST", "/v1.0/state/statestore"),
    ("PUT", "/v1.0/state/statestore"),
    ("POST", "/v1.0/state/nope"),
    ("GET", "/v1.0/state/statestore/a"),
    ("GET", "/v1.0/state/statestore/%ff%00"),
    ("GET", "/v1.0/state/statestore/a%7C%7Cb"),
    ("DELETE", "/v1.0/state/statestore/a"),
    ("DELETE", "/v1.0/state/statestore/a?concurrency=weird&consistency=%zz"),
    ("DELETE", "/v1.0/state/%fe/b"),
    ("POST", "/v1.0/state/statestore/bulk"),
    ("PUT", "/v1.0/state/statestore/bulk?metadata.a=%zz"),
    ("POST", "/v1.0/state/statestore/transaction"),
    ("PUT", "/v1.0/state/statestore/transaction?metadata.ttlInSeconds=x"),
    ("POST", "/v1.0-alpha1/state/statestore/query"),
    ("PUT", "/v1.0-alpha1/state/nope/query"),
    ("GET", "/v1.0/healthz"),
    ("GET", "/v1.0/healthz/outbound?appid=%ff"),
    ("GET", "/v1.0/metadata"),
    ("PUT", "/v1.0/metadata/x"),
    ("PUT", "/v1.0/metadata/%ff"),
    ("PUT", "/v1.0/shutdown"),
    ("PATCH", "/v1.0/state/statestore"),
    ("OPTIONS", "/v1.0/state/statestore/a"),
    ("HEAD", "/v1.0/state/statestore/a"),
    ("POST", "/"),
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
    "\"",
    "\"a\"",
    "\\",
    "\u{feff}",
    "\"key\":",
    "\"keys\":",
    "\"value\":",
    "\"etag\":",
    "\"metadata\":",
    "\"options\":",
    "\"operations\":",
    "\"operation\":",
    "\"request\":",
    "\"parallelism\":",
    "\"\\ud800\"",
    "\"a||b\"",
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

const HEADERS: &[&str] = &[
    "",
    "if-match: 99999999999999999999\r\n",
    "if-match: \u{ff}\r\n",
    "traceparent: junk\r\n",
    "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n",
    "content-type: image/png\r\n",
    "expect: 100-continue\r\n",
];

fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "[a-z|\\PC]{0,5}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        let member = (select(NAMES), inner.clone());
        let members = vec(member, 0..4);
        prop_oneof![
            vec(inner, 0..4).prop_map(Value::from),
            members.prop_map(|members| {
                Value::Object(
                    members.into_iter().map(|(name, value)| (name.into(), value)).collect(),
                )
            }),
        ]
    })
}

fn body() -> impl Strategy<Value = Vec<u8>> {
    let pieces = vec(select(PIECES), 0..12);
    let nested = (1..20_000_usize, select(&["[", "{\"value\":", "[{\"value\":"][..]));
    let huge = (1..2_000_usize, any::<bool>());
    prop_oneof![
        4 => pieces.prop_map(|pieces| pieces.concat().into_bytes()),
        4 => json().prop_map(|value| value.to_string().into_bytes()),
        2 => (json(), any::<Index>()).prop_map(|(value, cut)| {
            let mut text = value.to_string().into_bytes();
            text.truncate(cut.index(text.len()));
            text
        }),
        1 => vec(any::<u8>(), 0..64),
        1 => nested.prop_map(|(depth, opening)| opening.repeat(depth).into_bytes()),
        1 => huge.prop_map(|(digits, exponent)| {
            let tail = if exponent { "e99999999" } else { "" };
            format!("[{{\"key\":\"a\",\"value\":{}{tail}}}]", "9".repeat(digits)).into_bytes()
        }),
        1 => vec(0x80_u8.., 1..9)
            .prop_map(|junk| [&b"[{\"key\":\""[..], &junk[..], &b"\",\"value\":1}]"[..]].concat()),
    ]
}

/// How a body is sent.
#[derive(Clone, Copy, Debug)]
enum Sending {
    /// Whole, on a connection that stays open.
    Whole,
    /// With so many bytes missing of those that were announced.
    Cut(usize),
    /// In one chunk, of which so many bytes are missing.
    CutChunk(usize),
}

fn sending() -> impl Strategy<Value = Sending> {
    prop_oneof![
        6 => Just(Sending::Whole),
        1 => (1..100_usize).prop_map(Sending::Cut),
        1 => (1..100_usize).prop_map(Sending::CutChunk),
    ]
}

#[derive(Debug)]
struct Answer {
    status: u16,
    content_type: String,
    body: Vec<u8>,
}

/// A client with a connection that it keeps as long as it can.
struct Caller {
    port: u16,
    kept: Option<BufReader<TcpStream>>,
}

impl Caller {
    fn call(
        &mut self,
        (method, path): (&str, &str),
        header: &str,
        body: &[u8],
        sending: Sending,
    ) -> io::Result<Answer> {
        let length = match sending {
            Sending::Whole => format!("content-length: {}\r\n\r\n", body.len()),
            Sending::Cut(missing) => format!("content-length: {}\r\n\r\n", body.len() + missing),
            Sending::CutChunk(missing) => {
                format!("transfer-encoding: chunked\r\n\r\n{:x}\r\n", body.len() + missing)
            }
        };
        let token = canary::TOKEN;
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: x\r\ndapr-api-token: {token}\r\n{header}{length}"
        );
        let sent = [head.as_bytes(), body].concat();
        let mut stream = match self.kept.take() {
            Some(stream) => stream,
            None => connect(self.port)?,
        };
        // It may answer, and close, before it has read everything.
        let written = stream.get_mut().write_all(&sent);
        let whole = matches!(sending, Sending::Whole);
        if !whole {
            stream.get_mut().shutdown(Shutdown::Write).ok();
        }
        let (answer, stays_open) = read_answer(&mut stream, method == "HEAD")?;
        if whole && stays_open && written.is_ok() {
            self.kept = Some(stream);
        }
        Ok(answer)
    }
}

fn connect(port: u16) -> io::Result<BufReader<TcpStream>> {
    let stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.set_nodelay(true)?;
    Ok(BufReader::new(stream))
}

/// The answer, and whether the connection stays open.
fn read_answer(stream: &mut BufReader<TcpStream>, is_head: bool) -> io::Result<(Answer, bool)> {
    loop {
        let mut answer = Answer { status: 0, content_type: String::new(), body: Vec::new() };
        let (mut length, mut stays_open) = (0, true);
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let line = line.trim_end();
            if answer.status == 0 {
                let status = line.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3));
                answer.status = status.and_then(|text| text.parse().ok()).unwrap_or(1);
                continue;
            }
            let Some((name, value)) = line.split_once(": ") else { break };
            match name {
                "content-length" => length = value.parse().unwrap_or(0),
                "content-type" => value.clone_into(&mut answer.content_type),
                "connection" => stays_open = value != "close",
                _ => {}
            }
        }
        if answer.status == 100 {
            continue;
        }
        if !is_head {
            answer.body.resize(length, 0);
            stream.read_exact(&mut answer.body)?;
        }
        return Ok((answer, stays_open));
    }
}

/// Whether the answer has the form of one of daprd's.
fn check(answer: &Answer, is_head: bool) -> Result<(), TestCaseError> {
    let fail = |why: &str| Err(TestCaseError::fail(format!("{why}: {answer:?}")));
    match answer.status {
        200 => Ok(()),
        204 if answer.body.is_empty() => Ok(()),
        404 if is_head => Ok(()),
        400 | 404 | 409 | 500 => {
            let Ok(body) = serde_json::from_slice::<Value>(&answer.body) else {
                return fail("not JSON");
            };
            let filled = |name: &str| body[name].as_str().is_some_and(|text| !text.is_empty());
            if !filled("errorCode") || !filled("message") || body["errorCode"] == "ERROR" {
                return fail("no code or message, or those of a panic");
            }
            if answer.content_type != "application/json" {
                return fail("another content type");
            }
            Ok(())
        }
        _ => fail("an unexpected status"),
    }
}

fn abuse(port: u16, cases: u32, answered: &AtomicUsize) {
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let request = (select(ROUTES), select(HEADERS), body(), sending());
    let caller = RefCell::new(Caller { port, kept: None });
    let outcome = TestRunner::new(config).run(&request, |(route, header, body, sending)| {
        let answer = caller.borrow_mut().call(route, header, &body, sending);
        let answer = answer.map_err(|error| TestCaseError::fail(format!("no answer: {error}")))?;
        check(&answer, route.0 == "HEAD")?;
        answered.fetch_add(1, Ordering::Relaxed);
        Ok(())
    });
    outcome.unwrap_or_else(|failure| panic!("{failure}"));
}

/// What the process keeps in memory, in bytes.
fn resident(sidecar: &Sidecar) -> usize {
    let status = fs::read_to_string(format!("/proc/{}/status", sidecar.process.pid()));
    let status = status.expect("the process runs");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("VmRSS");
    let kibibytes = line.split_whitespace().nth(1).expect("a number");
    kibibytes.parse::<usize>().expect("a number") << 10
}

#[test]
fn ten_thousand_abuses_are_answered_and_leave_nothing_behind() {
    let redis = Redis::start();
    let policies = resources::resiliency(
        "timeouts:\n  general: 5s\nretries:\n  twice:\n    policy: constant\n    duration: 1ms\n    \
         maxRetries: 2",
        "timeout: general\nretry: twice",
    );
    let sidecar = Setup::default()
        .redis(&redis)
        .resource("resiliency.yaml", &policies)
        .args(&["--log-level", "info"])
        .start();
    sidecar.wait_until_connected();
    let answered = AtomicUsize::new(0);
    // What is set up once, such as a connection's buffers, is no growth.
    abuse(sidecar.http_port, 100, &answered);
    let before = resident(&sidecar);
    thread::scope(|scope| {
        for _ in 0..CALLERS {
            scope.spawn(|| abuse(sidecar.http_port, CASES_EACH, &answered));
        }
    });
    assert!(answered.into_inner() > 10_000);
    let grown = || resident(&sidecar).saturating_sub(before);
    crate::harness::eventually("memory is given back", || grown() < MOST_GROWTH);
    println!("grown by {} KiB from {} KiB", grown() >> 10, before >> 10);
    assert_eq!(sidecar.http("GET", "/v1.0/healthz", &[]).status, 204);
    sidecar.client().save("after", "all").expect("it works as before");
    sidecar.finish();
}

#[test]
fn bytes_that_are_no_protocol_end_their_connection_only() {
    let sidecar = Setup::default().args(&["--embedded"]).start();
    let config = Config { cases: 300, failure_persistence: None, ..Config::default() };
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    let begin = select(vec![
        &b""[..],
        preface,
        b"GET / HTTP/1.1\r\n",
        b"GET /v1.0/metadata HTTP/9.9\r\n\r\n",
        b"POST /v1.0/state/statestore HTTP/1.1\r\ncontent-length: -1\r\n\r\n",
        b"POST /v1.0/state/statestore HTTP/1.1\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n",
        b"POST /v1.0/state/\xff HTTP/1.1\r\n\r\n",
    ]);
    let bytes = (begin, vec(any::<u8>(), 0..200), any::<bool>());
    let outcome = TestRunner::new(config).run(&bytes, |(begin, rest, over_grpc)| {
        let port = if over_grpc { sidecar.grpc_port } else { sidecar.http_port };
        let mut stream = connect(port).expect("a connection");
        stream.get_mut().write_all(&[begin, &rest].concat()).ok();
        stream.get_mut().shutdown(Shutdown::Write).ok();
        let end = stream.read_to_end(&mut Vec::new());
        match end {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                Err(TestCaseError::fail("it neither answers nor closes"))
            }
            Ok(_) | Err(_) => Ok(()),
        }
    });
    outcome.unwrap_or_else(|failure| panic!("{failure}"));
    assert_eq!(sidecar.http("GET", "/v1.0/healthz", &[]).status, 204);
    sidecar.client().metadata();
    sidecar.finish();
}

/// Every RPC, some that are not served, and reflection.
const RPCS: &[&str] = &[
    "dapr.proto.runtime.v1.Dapr/SaveState",
    "dapr.proto.runtime.v1.Dapr/GetState",
    "dapr.proto.runtime.v1.Dapr/GetBulkState",
    "dapr.proto.runtime.v1.Dapr/DeleteState",
    "dapr.proto.runtime.v1.Dapr/DeleteBulkState",
    "dapr.proto.runtime.v1.Dapr/ExecuteStateTransaction",
    "dapr.proto.runtime.v1.Dapr/QueryStateAlpha1",
    "dapr.proto.runtime.v1.Dapr/GetMetadata",
    "dapr.proto.runtime.v1.Dapr/SetMetadata",
    "dapr.proto.runtime.v1.Dapr/PublishEvent",
    "grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    "no.such.Service/Method",
];

/// A message that begins like a good one and is then cut, lengthened or spoilt.
fn message() -> impl Strategy<Value = Vec<u8>> {
    let good = SaveStateRequest {
        store_name: STORE.to_owned(),
        states: vec![item("a", "1"), item("b", "2")],
    }
    .encode_to_vec();
    let spoilt = (any::<Index>(), any::<u8>());
    prop_oneof![
        vec(any::<u8>(), 0..64),
        (Just(good.clone()), any::<Index>()).prop_map(|(mut bytes, cut)| {
            bytes.truncate(cut.index(bytes.len()));
            bytes
        }),
        (Just(good), vec(spoilt, 1..6)).prop_map(|(mut bytes, spoilt)| {
            for (place, byte) in spoilt {
                let place = place.index(bytes.len());
                bytes[place] = byte;
            }
            bytes
        }),
    ]
}

/// The status of a call as gRPC tells it, among the headers or behind the body.
async fn grpc_status(
    sender: &mut SendRequest<Full<Bytes>>,
    request: Request<Full<Bytes>>,
) -> Option<String> {
    let answer = sender.send_request(request).await.ok()?;
    let in_headers = answer.headers().get("grpc-status").cloned();
    let trailers = answer.into_body().collect().await.ok()?;
    let in_trailers = trailers.trailers().and_then(|trailers| trailers.get("grpc-status"));
    Some(in_headers.as_ref().or(in_trailers)?.to_str().ok()?.to_owned())
}

#[test]
fn messages_that_are_none_are_answered_with_a_status() {
    let sidecar = Setup::default().args(&["--embedded"]).start();
    let mut sender = block_on(async {
        let stream = tokio::net::TcpStream::connect(("127.0.0.1", sidecar.grpc_port)).await;
        let stream = stream.expect("a connection");
        stream.set_nodelay(true).expect("a socket");
        let io = TokioIo::new(stream);
        let (sender, connection) =
            http2::handshake(TokioExecutor::new(), io).await.expect("HTTP/2");
        client::spawn(connection);
        sender
    });
    block_on(sender.ready()).expect("a connection");
    let config = Config { cases: 1_500, failure_persistence: None, ..Config::default() };
    // The flag says whether the message is compressed; the length may lie.
    let frame = (select(RPCS), 0..3_u8, message(), prop_oneof![4 => Just(0), 1 => -9..9_i64]);
    let outcome = TestRunner::new(config).run(&frame, |(rpc, flag, message, lie)| {
        let length = i64::try_from(message.len()).unwrap_or(0) + lie;
        let length = u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes();
        let body = [&[flag][..], &length, &message].concat();
        let request = Request::post(format!("http://localhost/{rpc}"))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .header("dapr-api-token", canary::TOKEN)
            .body(Full::new(Bytes::from(body)))
            .expect("a request");
        let status = block_on(async {
            tokio::time::timeout(PATIENCE, grpc_status(&mut sender.clone(), request)).await
        });
        let status = status.map_err(|_| TestCaseError::fail(format!("{rpc}: no answer")))?;
        let status = status.ok_or_else(|| TestCaseError::fail(format!("{rpc}: no status")))?;
        let code: u32 = status.parse().map_err(|_| TestCaseError::fail("no number"))?;
        if code > 16 { Err(TestCaseError::fail(format!("{rpc}: {code}"))) } else { Ok(()) }
    });
    outcome.unwrap_or_else(|failure| panic!("{failure}"));
    assert!(sidecar.said(0, "panicked").is_empty());
    sidecar.client().metadata();
    sidecar.finish();
}
