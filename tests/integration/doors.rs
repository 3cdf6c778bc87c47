//! Further doors and who may use which: the public port, sockets, origins, rules, and the lines
//! about calls.

use std::{
    io::{Read as _, Write as _},
    os::unix::net::UnixStream,
    path::Path,
};

use nix::sys::signal::Signal;
use outrigger::proto::runtime::v1::{GetMetadataRequest, dapr_client::DaprClient};
use tempfile::NamedTempFile;
use tonic::{Code, transport::Endpoint};

use crate::harness::{
    canary::{self, key, value},
    client::{Client, block_on},
    http::{self, Answer},
    ports::free_port,
    sidecar::{APP_ID, Setup, Sidecar},
};

fn without_token(port: u16, method: &str, path: &str, body: &[u8]) -> Answer {
    http::request(method, port, path, &[], body).unwrap_or_else(|error| panic!("{path}: {error}"))
}

#[test]
fn the_public_port_has_health_and_metadata_for_everybody_and_nothing_else() {
    let port = free_port();
    let args =
        ["--dapr-public-port", &port.to_string(), "--dapr-public-listen-address", "127.0.0.1"];
    let sidecar = Setup::default().args(&args).args(&["--embedded"]).start();
    let call = |method: &str, path: &str| without_token(port, method, path, b"");
    for path in ["/v1.0/healthz", "/v1.0/healthz/outbound"] {
        assert_eq!(call("GET", path).status, 204, "{path}");
    }
    assert_eq!(without_token(port, "PUT", "/v1.0/metadata/word", b"told").status, 204);
    let metadata = call("GET", "/v1.0/metadata");
    assert_eq!((metadata.status, metadata.content_type.as_str()), (200, "application/json"));
    assert!(metadata.body.contains("\"word\":\"told\""), "{}", metadata.body);
    for (method, path) in [
        ("POST", "/v1.0/shutdown"),
        ("GET", "/v1.0/state/statestore/k"),
        ("POST", "/v1.0/state/statestore"),
        ("GET", "/"),
    ] {
        let answer = call(method, path);
        assert_eq!((answer.status, answer.body.as_str()), (404, "404 page not found\n"), "{path}");
        assert_eq!(answer.content_type, "text/plain; charset=utf-8");
    }
    assert_eq!(without_token(sidecar.http_port, "GET", "/v1.0/metadata", b"").status, 401);
    sidecar.finish();
}

/// A sidecar on sockets in `folder`, once it says that it runs.
fn on_sockets(folder: &Path) -> Sidecar {
    let folder = folder.to_str().expect("UTF-8");
    let args = ["--unix-domain-socket", folder, "--embedded", "--dapr-internal-grpc-port", "0"];
    let sidecar = Setup::default().args(&args).launch();
    sidecar.process.wait_for_line(0, "dapr initialized. Status: Running.");
    sidecar
}

fn over_socket(path: &Path) -> String {
    let mut stream = UnixStream::connect(path).expect("it listens");
    let head = "GET /v1.0/metadata HTTP/1.1\r\nhost: x\r\nconnection: close\r\ndapr-api-token: ";
    stream.write_all(format!("{head}{}\r\n\r\n", canary::TOKEN).as_bytes()).expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer
}

#[test]
fn both_apis_listen_on_sockets_instead_of_ports() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = |protocol: &str| folder.path().join(format!("dapr-{APP_ID}-{protocol}.socket"));
    let mut sidecar = on_sockets(folder.path());
    for line in [
        "API gRPC server is running on a Unix Domain Socket",
        "HTTP server is running on a Unix Domain Socket",
    ] {
        sidecar.process.wait_for_line(0, line);
    }
    let answer = over_socket(&file("http"));
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.contains("\r\ndate: "), "{answer}");
    let address = format!("unix://{}", file("grpc").display());
    let channel = Endpoint::from_shared(address).expect("an address");
    let channel = block_on(channel.connect()).expect("it listens");
    let mut request = tonic::Request::new(GetMetadataRequest {});
    request.metadata_mut().insert("dapr-api-token", canary::TOKEN.parse().expect("a value"));
    let metadata = block_on(DaprClient::new(channel).get_metadata(request)).expect("an answer");
    assert_eq!(metadata.into_inner().id, APP_ID);
    for port in [sidecar.http_port, sidecar.grpc_port] {
        assert!(std::net::TcpStream::connect(("127.0.0.1", port)).is_err(), "{port}");
    }
    // A second sidecar of the name does not push the first one aside.
    let args = ["--unix-domain-socket", folder.path().to_str().expect("UTF-8")];
    let mut second = Setup::default().args(&args).launch();
    assert_eq!(second.process.exit_code(), 1);
    assert!(second.process.text().contains("in use"), "{}", second.process.text());
    assert!(over_socket(&file("http")).starts_with("HTTP/1.1 200 OK\r\n"));

    sidecar.process.signal(Signal::SIGKILL);
    sidecar.process.wait();
    assert!(file("http").exists(), "a killed process cleans nothing up");
    let sidecar = on_sockets(folder.path());
    assert!(over_socket(&file("http")).starts_with("HTTP/1.1 200 OK\r\n"));
    sidecar.finish();
    assert!(!file("http").exists() && !file("grpc").exists());
}

fn configuration(spec: &str) -> NamedTempFile {
    let mut file = NamedTempFile::new().expect("a file");
    let head = "apiVersion: dapr.io/v1alpha1\nkind: Configuration\nmetadata:\n  name: appconfig\n";
    write!(file, "{head}spec:\n{spec}").expect("written");
    file
}

fn configured(spec: &str, args: &[&str]) -> Sidecar {
    let file = configuration(spec);
    let path = file.path().to_str().expect("UTF-8");
    Setup::default().args(&["--embedded", "--config", path]).args(args).start()
}

const NOT_FOUND: &str = "{\"errorCode\":\"ERR_DIRECT_INVOKE\",\"message\":\"failed getting app id either from the URL path or the header dapr-app-id\"}";

#[test]
fn rules_close_parts_of_both_apis_and_deny_wins() {
    let rules = "  api:
    allowed:
    - {name: state, version: v1, protocol: http}
    - {name: metadata, version: v1, protocol: http}
    - {name: invoke, version: v1, protocol: http}
    - {name: metadata, version: v1, protocol: grpc}
    - {name: state, version: v1, protocol: grpc}
    denied:
    - {name: metadata, version: v1, protocol: http}
    - {name: state, version: v1, protocol: grpc}
";
    let sidecar = configured(rules, &[]);
    let saved = sidecar.http("POST", "/v1.0/state/statestore", b"[{\"key\":\"k\",\"value\":1}]");
    assert_eq!(saved.status, 204);
    assert_eq!(sidecar.http("GET", "/v1.0/state/statestore/k", b"").body, "1");
    for (method, path) in [
        ("GET", "/v1.0/metadata"),
        ("PUT", "/v1.0/metadata/k"),
        ("POST", "/v1.0/shutdown"),
        ("POST", "/v1.0-alpha1/state/statestore/query"),
    ] {
        let answer = sidecar.http(method, path, b"{}");
        assert_eq!((answer.status, answer.body.as_str()), (404, NOT_FOUND), "{path}");
    }
    assert_eq!(sidecar.http("GET", "/v1.0/healthz", b"").status, 204);

    let client = sidecar.client();
    assert_eq!(client.metadata().id, APP_ID);
    for status in [client.save(&key("k"), value("v")), client.shutdown(false)] {
        let status = status.expect_err("closed");
        assert_eq!((status.code(), status.message()), (Code::Unimplemented, "Not Implemented"));
    }
    sidecar.process.wait_for_line(0, "Enabled API access list on gRPC server");
    sidecar.finish();
}

#[test]
fn without_invocation_among_the_allowed_unknown_paths_are_plain_text() {
    let rules = "  api:\n    allowed:\n    - {name: state, version: v1, protocol: http}\n";
    let sidecar = configured(rules, &[]);
    let answer = sidecar.http("GET", "/v1.0/metadata", b"");
    assert_eq!((answer.status, answer.body.as_str()), (404, "404 page not found\n"));
    assert_eq!(sidecar.http("POST", "/v1.0/healthz", b"").status, 405);
    // The rules are HTTP's.
    sidecar.client().save(&key("k"), value("v")).expect("open");
    sidecar.finish();
}

#[test]
fn calls_have_a_line_each_even_where_only_errors_are_logged() {
    // Paths are shown, and so are the keys in them: this one is no canary.
    let sidecar = configured("  {}\n", &["--enable-api-logging", "--log-level", "error"]);
    let body = format!("[{{\"key\":\"a b\",\"value\":\"{}\"}}]", value("v"));
    assert_eq!(sidecar.http("POST", "/v1.0/state/statestore", body.as_bytes()).status, 204);
    let found = sidecar.http("GET", "/v1.0/state/statestore/a%20b?metadata.x=y", b"");
    assert_eq!(found.status, 200);
    assert_eq!(without_token(sidecar.http_port, "GET", "/v1.0/metadata", b"").status, 401);
    sidecar.client().save(&key("k"), value("v")).expect("saved");
    let missing = Client::with_token(sidecar.grpc_port, Some(canary::TOKEN));
    let request = outrigger::proto::runtime::v1::GetStateRequest {
        store_name: "nope".into(),
        ..Default::default()
    };
    block_on(missing.dapr.clone().get_state(request)).expect_err("no such store");

    let line = |text: &str| sidecar.process.wait_for_line(0, text).text;
    let save = line("method=\"POST /v1.0/state/statestore\"");
    for field in [
        "level=info msg=\"HTTP API Called\"",
        " code=204 duration=",
        " scope=dapr.runtime.http-info size=0 type=log useragent=ureq/",
    ] {
        assert!(save.contains(field), "{field}: {save}");
    }
    let get = line("method=\"GET /v1.0/state/statestore/a b\"");
    let size = found.body.len();
    assert!(get.contains(" code=200 ") && get.contains(&format!(" size={size} ")), "{get}");
    let grpc = line("method=/dapr.proto.runtime.v1.Dapr/SaveState");
    for field in [
        "msg=\"gRPC API Called\"",
        " code=0 duration=",
        " useragent=",
        " scope=dapr.runtime.grpc.api-info ",
    ] {
        assert!(grpc.contains(field), "{field}: {grpc}");
    }
    assert!(line("method=/dapr.proto.runtime.v1.Dapr/GetState").contains(" code=3 "));
    let calls = sidecar.said(0, "API Called");
    assert_eq!(sidecar.process.lines().len(), calls.len(), "nothing but calls");
    assert!(calls.iter().all(|line| !line.text.contains("/v1.0/metadata")), "a 401 is no call");
    sidecar.finish();
}

#[test]
fn the_configuration_asks_for_lines_with_routes_for_paths_and_the_flag_wins() {
    let logging = "  logging:\n    apiLogging: {enabled: true, obfuscateURLs: true, omitHealthChecks: true}\n";
    let sidecar = configured(logging, &[]);
    let path = format!("/v1.0/state/statestore/{}", key("k"));
    assert_eq!(sidecar.http("GET", &path, b"").status, 204);
    assert_eq!(sidecar.http("GET", "/nope", b"").status, 404);
    sidecar.process.wait_for_line(0, "method=GetState ");
    sidecar.process.wait_for_line(0, "method=InvokeService ");
    assert!(sidecar.said(0, "ealthz").is_empty());
    sidecar.finish();

    let sidecar = configured(logging, &["--enable-api-logging=false"]);
    assert_eq!(sidecar.http("GET", &path, b"").status, 204);
    sidecar.client().metadata();
    assert!(sidecar.said(0, "API Called").is_empty());
    sidecar.finish();
}

#[test]
fn pages_of_allowed_origins_are_let_in() {
    let sidecar = Setup::default().args(&["--allowed-origins", "http://a.test"]).start();
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", sidecar.http_port)).expect("open");
    let head = "OPTIONS /v1.0/state/s HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\
        origin: http://a.test\r\naccess-control-request-method: PUT\r\n\r\n";
    stream.write_all(head.as_bytes()).expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.contains("\r\naccess-control-allow-origin: http://a.test\r\n"), "{answer}");
    sidecar.process.wait_for_line(0, "Enabled CORS HTTP middleware");
    sidecar.finish();
}
