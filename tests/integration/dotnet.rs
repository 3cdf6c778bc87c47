//! What .NET programs send: no .NET is needed to send the same bytes.
//!
//! The messages are written out by hand, so that they are what .NET means by them, whatever our own
//! descriptions say.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpStream,
    os::unix::fs::symlink,
    process::Command,
};

use http_body_util::{BodyExt as _, Full};
use hyper::{
    HeaderMap, Request, body::Bytes, client::conn::http2::SendRequest, header::HeaderValue,
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tempfile::TempDir;

use crate::harness::{
    canary::{self, key, value},
    client::{block_on, spawn},
    http,
    ports::free_port,
    process::Process,
    redis::Redis,
    resources,
    sidecar::APP_ID,
};

/// A sidecar as the Testcontainers module of the .NET SDK starts it.
struct Sidecar {
    process: Process,
    http_port: u16,
    grpc_port: u16,
    _folder: TempDir,
}

fn start(redis: &Redis) -> Sidecar {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let components = folder.path().join("components");
    fs::create_dir(&components).expect("a folder");
    fs::write(components.join("statestore.yaml"), resources::statestore(redis)).expect("a file");
    let program = folder.path().join("daprd");
    symlink(env!("CARGO_BIN_EXE_outrigger"), &program).expect("a link");
    let (http_port, grpc_port) = (free_port(), free_port());
    let mut command = Command::new(program);
    command.env_clear().env("DAPR_API_TOKEN", canary::TOKEN);
    command.args(["-app-id", APP_ID, "-dapr-http-port", &http_port.to_string()]);
    command.args(["-dapr-grpc-port", &grpc_port.to_string(), "-log-level", "debug"]);
    command.args(["-metrics-port", "0"]);
    command.arg("-resources-path").arg(components);
    command.args(["-placement-host-address", "", "-scheduler-host-address", ""]);
    let process = Process::spawn("daprd", &mut command);
    process.wait_for_line(0, "Internal gRPC server is running");
    process.wait_for_line(0, "Connected to Redis at");
    Sidecar { process, http_port, grpc_port, _folder: folder }
}

/// The answer to a call over gRPC.
struct Answer {
    headers: HeaderMap,
    message: Vec<u8>,
    code: String,
    text: String,
}

/// A connection as .NET makes it: to the name, which may mean ::1, and in HTTP/2 from its first byte.
fn connect(port: u16) -> SendRequest<Full<Bytes>> {
    block_on(async {
        let stream = tokio::net::TcpStream::connect(("localhost", port)).await.expect("connected");
        let handshake =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream));
        let (sender, connection) = handshake.await.expect("HTTP/2");
        spawn(connection);
        sender
    })
}

const TRACEPARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
// The same in binary. .NET pads its base64.
const TRACE_BIN: &str = "AAAK92UZFs1D3YRI6yEcgDGcAbetaxaSAzMxAgE=";

/// Calls a method of Dapr with the headers of the .NET client.
#[track_caller]
fn call(sender: &SendRequest<Full<Bytes>>, method: &str, message: &[u8]) -> Answer {
    let length = u32::try_from(message.len()).expect("short").to_be_bytes();
    let body = [&[0][..], &length, message].concat();
    let request = Request::post(format!("http://localhost/dapr.proto.runtime.v1.Dapr/{method}"))
        .header(
            "user-agent",
            "dapr-sdk-dotnet/v1.17.0 grpc-dotnet/2.71.0 (.NET 8.0.14; linux; x64)",
        )
        .header("te", "trailers")
        .header("grpc-accept-encoding", "identity,gzip,deflate")
        .header("user-agent", "dapr-sdk-dotnet/v1.17.0")
        .header("dapr-api-token", canary::TOKEN)
        .header("traceparent", TRACEPARENT)
        .header("grpc-trace-bin", TRACE_BIN)
        .header("content-type", "application/grpc")
        .body(Full::new(Bytes::from(body)))
        .expect("a request");
    let response = block_on(sender.clone().send_request(request)).expect("an answer");
    assert_eq!(response.status(), 200);
    let headers = response.headers().clone();
    assert_eq!(headers["content-type"], "application/grpc");
    let body = block_on(response.into_body().collect()).expect("a body");
    // A refusal has no body, and its status among the headers.
    let ends = body.trailers().unwrap_or(&headers);
    let word = |name: &str| ends.get(name).map_or("", |value| value.to_str().expect("a word"));
    let (code, text) = (word("grpc-status").to_owned(), word("grpc-message").replace("%20", " "));
    let message = body.to_bytes().get(5..).unwrap_or_default().to_vec();
    Answer { headers, message, code, text }
}

/// A member of a message that has a length.
fn member(number: u8, bytes: &[u8]) -> Vec<u8> {
    let length = u8::try_from(bytes.len()).expect("short");
    assert!(length < 128 && number < 16);
    [&[number << 3 | 2, length], bytes].concat()
}

/// A `SaveStateRequest` of one item, with the version it is to replace.
fn save_request(key: &str, value: &str, etag: Option<&str>) -> Vec<u8> {
    let etag = etag.map(|etag| member(3, &member(1, etag.as_bytes()))).unwrap_or_default();
    let item = [member(1, key.as_bytes()), member(2, value.as_bytes()), etag].concat();
    [member(1, b"statestore"), member(2, &item)].concat()
}

#[test]
fn the_net_client_saves_gets_and_deletes_with_its_headers() {
    let redis = Redis::start();
    let sidecar = start(&redis);
    let sender = connect(sidecar.grpc_port);
    // System.Text.Json makes a JSON string of a string.
    let stored = format!("\"{}\"", value("net"));

    let saved = call(&sender, "SaveState", &save_request(&key("net"), &stored, None));
    assert_eq!((saved.code.as_str(), saved.message.len()), ("0", 0), "{}", saved.text);
    let trace = saved.headers.get("grpc-trace-bin").map(HeaderValue::as_bytes).expect("a trace");
    assert_eq!(trace, TRACE_BIN.trim_end_matches('=').as_bytes(), "the caller's own");
    assert_eq!(saved.headers.get("date"), None, "Dapr's gRPC server gives none");
    let redis_key = format!("{APP_ID}||{}", key("net"));
    assert_eq!(redis.field(&redis_key, "data"), Some(stored.clone()));

    let request = [member(1, b"statestore"), member(2, key("net").as_bytes())].concat();
    let found = call(&sender, "GetState", &request);
    assert_eq!(found.message, [member(1, stored.as_bytes()), member(2, b"1")].concat());
    assert_eq!(call(&sender, "DeleteState", &request).code, "0");
    let found = call(&sender, "GetState", &request);
    assert_eq!((found.code.as_str(), found.message.len()), ("0", 0), "no value is no error");
    sidecar.finish();
}

#[test]
fn the_net_client_is_told_by_aborted_that_its_version_is_not_the_latest() {
    let redis = Redis::start();
    let sidecar = start(&redis);
    let sender = connect(sidecar.grpc_port);
    let save =
        |value: &str, etag| call(&sender, "SaveState", &save_request(&key("try"), value, etag));
    assert_eq!(save("1", None).code, "0");
    assert_eq!(save("2", Some("1")).code, "0");
    // TrySaveStateAsync and TryDeleteStateAsync answer false to this code alone.
    let late = save("3", Some("1"));
    assert_eq!(late.code, "10", "{}", late.text);
    assert!(late.text.contains("possible etag mismatch"), "{}", late.text);
    assert!(late.headers.contains_key("grpc-status-details-bin"));

    let delete = |etag: &str| {
        let etag = member(3, &member(1, etag.as_bytes()));
        let request = [member(1, b"statestore"), member(2, key("try").as_bytes()), etag].concat();
        call(&sender, "DeleteState", &request).code
    };
    assert_eq!(delete("1"), "10");
    assert_eq!(delete("2"), "0");
    sidecar.finish();
}

#[test]
fn the_plain_http_client_of_net_is_served() {
    let redis = Redis::start();
    let sidecar = start(&redis);
    for path in ["/v1.0/healthz/outbound", "/v1.0/healthz"] {
        let answer = http::request("GET", sidecar.http_port, path, &[], &[]).expect("an answer");
        assert_eq!(answer.status, 204, "{path}");
    }
    // JsonContent does not know its length before it is sent.
    let body = format!("[{{\"key\":\"{}\",\"value\":{{\"orderId\":1}}}}]", key("http"));
    let request = format!(
        "POST /v1.0/state/statestore HTTP/1.1\r\nHost: localhost:{}\r\nTransfer-Encoding: chunked\r\n\
         Content-Type: application/json; charset=utf-8\r\ndapr-api-token: {}\r\n\
         traceparent: {TRACEPARENT}\r\nConnection: close\r\n\r\n{:X}\r\n{body}\r\n0\r\n\r\n",
        sidecar.http_port,
        canary::TOKEN,
        body.len()
    );
    let mut stream = TcpStream::connect(("localhost", sidecar.http_port)).expect("connected");
    stream.write_all(request.as_bytes()).expect("written");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 204 No Content\r\n"), "{answer}");
    assert!(answer.contains(&format!("traceparent: {TRACEPARENT}\r\n")), "{answer}");
    let stored = redis.field(&format!("{APP_ID}||{}", key("http")), "data");
    assert_eq!(stored.as_deref(), Some("{\"orderId\":1}"));
    sidecar.finish();
}

impl Sidecar {
    #[track_caller]
    fn finish(mut self) {
        self.process.signal(nix::sys::signal::Signal::SIGTERM);
        assert_eq!(self.process.exit_code(), 0, "{}", self.process.text());
    }
}
