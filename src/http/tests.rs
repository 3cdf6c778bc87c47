//! The HTTP edge over real sockets. Cases with a file name come from shared/conformance.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use axum::routing::get;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpStream,
    sync::Notify,
};

use super::*;
use crate::{
    api::metadata::{AppConnection, Identity, RegisteredComponent, ShutdownRequest},
    edge::{connection::Wire, listener},
};

const NOT_FOUND: &str = r#"{"errorCode":"ERR_DIRECT_INVOKE","message":"failed getting app id either from the URL path or the header dapr-app-id"}"#;

/// An edge on a free port, with two handlers of the test's own: `/panic` and `/wait`.
struct TestEdge {
    port: u16,
    sidecar: Sidecar,
    drain: Drain,
    /// A call of `/wait` sends a permit to `entered`, then waits for one of `release`.
    entered: Arc<Notify>,
    release: Arc<Notify>,
}

struct Options {
    token: Option<&'static str>,
    tracing: bool,
    max_body_size: Option<usize>,
    head_timeout: Duration,
    cors: Option<&'static str>,
    unrouted: Unrouted,
    access: Access,
    http2: bool,
}

impl Default for Options {
    fn default() -> Self {
        let head_timeout = Duration::from_secs(10);
        Self {
            token: None,
            tracing: true,
            max_body_size: Some(4 << 20),
            head_timeout,
            cors: None,
            unrouted: Unrouted::Invocation,
            access: Access::default(),
            http2: true,
        }
    }
}

fn sidecar(max_body_size: Option<usize>) -> Sidecar {
    let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
    let identity = Identity {
        id: "order-processor".to_owned(),
        runtime_version: "1.18.3".to_owned(),
        enabled_features: texts(&["HotReload", "WorkflowsRemoteActivityReminder"]),
        components: vec![RegisteredComponent {
            name: "statestore".to_owned(),
            kind: "state.redis".to_owned(),
            version: "v1".to_owned(),
            capabilities: texts(&["ETAG", "TRANSACTIONAL", "TTL", "KEYS_LIKE", "ACTOR"]),
        }],
        app_connection: AppConnection {
            protocol: "http".to_owned(),
            channel_address: "127.0.0.1".to_owned(),
            ..AppConnection::default()
        },
        resiliencies: texts(&["myresiliency"]),
    };
    Sidecar {
        metadata: MetadataApi::new(identity, Arc::new(|_| {})),
        health: Health::starting("order-processor"),
        shutdown: ShutdownHandle::default(),
        max_body_size,
    }
}

impl TestEdge {
    async fn start() -> Self {
        Self::with(Options::default()).await
    }

    async fn with(options: Options) -> Self {
        let sidecar = sidecar(options.max_body_size);
        let (drain, entered, release) = (Drain::default(), Arc::default(), Arc::default());
        let token = options.token.and_then(ApiToken::new);
        let surroundings = Surroundings {
            token,
            read_buffer_size: 4096,
            tracing: options.tracing,
            drain: drain.clone(),
            cors: options.cors.and_then(Cors::parse),
            unrouted: options.unrouted,
            ..Surroundings::default()
        };
        let routes = sidecar_routes(sidecar.clone(), &options.access)
            .route("/panic", get(panicking))
            .route("/wait", get(waiting(&entered, &release)));
        let listener =
            listener::Listener::bind("--dapr-http-port", &["127.0.0.1".to_owned()], 0).unwrap();
        let port = listener.port();
        let Wire::Http { head_bytes, streams, .. } = Wire::http(4096, true) else { unreachable!() };
        let wire = Wire::Http {
            head_bytes,
            head_timeout: options.head_timeout,
            http2: options.http2,
            streams,
        };
        let service = service(None, routes, surroundings);
        tokio::spawn(listener::serve(listener, wire, service, drain.clone(), Admission::default()));
        Self { port, sidecar, drain, entered, release }
    }

    fn ready(self) -> Self {
        self.sidecar.health.set_outbound_ready();
        self.sidecar.health.set_ready();
        self
    }

    async fn connect(&self) -> Client {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).await.unwrap();
        Client(BufReader::new(stream))
    }

    async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        self.connect().await.call(method, path, headers, body).await
    }

    async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], "").await
    }
}

async fn panicking() -> StatusCode {
    panic!("on purpose")
}

fn waiting(
    entered: &Arc<Notify>,
    release: &Arc<Notify>,
) -> impl Fn() -> futures_util::future::BoxFuture<'static, &'static str> + Clone + use<> {
    let (entered, release) = (entered.clone(), release.clone());
    move || {
        let (entered, release) = (entered.clone(), release.clone());
        Box::pin(async move {
            entered.notify_one();
            release.notified().await;
            "waited"
        })
    }
}

/// A client that sends bytes as they are.
struct Client(BufReader<TcpStream>);

#[derive(Debug, PartialEq)]
struct Answer {
    status: u16,
    headers: BTreeMap<String, String>,
    body: String,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    fn parts(&self) -> (u16, Option<&str>, &str) {
        (self.status, self.header("content-type"), &self.body)
    }
}

impl Client {
    async fn write(&mut self, bytes: &str) {
        self.0.get_mut().write_all(bytes.as_bytes()).await.unwrap();
    }

    async fn call(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        let mut request = format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\n");
        for (name, value) in headers {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        request.push_str(&format!("content-length: {}\r\n\r\n{body}", body.len()));
        self.write(&request).await;
        self.read(method != "HEAD").await
    }

    async fn read(&mut self, with_body: bool) -> Answer {
        let mut line = String::new();
        self.0.read_line(&mut line).await.unwrap();
        let status = line.split(' ').nth(1).unwrap_or_else(|| panic!("{line:?}")).parse().unwrap();
        let mut headers = BTreeMap::new();
        loop {
            line.clear();
            self.0.read_line(&mut line).await.unwrap();
            let Some((name, value)) = line.trim_end().split_once(": ") else { break };
            headers.insert(name.to_owned(), value.to_owned());
        }
        let length = headers.get("content-length").map_or(0, |text| text.parse().unwrap());
        let mut body = vec![0; if with_body { length } else { 0 }];
        self.0.read_exact(&mut body).await.unwrap();
        Answer { status, headers, body: String::from_utf8(body).unwrap() }
    }

    /// Reads until the server closes; false if that is with an error.
    async fn closed(&mut self) -> bool {
        let mut rest = Vec::new();
        matches!(self.0.read_to_end(&mut rest).await, Ok(0))
    }
}

#[tokio::test]
async fn health_says_what_is_not_ready() {
    let edge = TestEdge::start().await;
    let json = Some("application/json");
    assert_eq!(
        edge.get("/v1.0/healthz").await.parts(),
        (
            500,
            json,
            r#"{"errorCode":"ERR_HEALTH_NOT_READY","message":"dapr is not ready: [grpc-api-server runtime]"}"#
        )
    );
    assert_eq!(
        edge.get("/v1.0/healthz/outbound").await.parts(),
        (
            500,
            json,
            r#"{"errorCode":"ERR_OUTBOUND_HEALTH_NOT_READY","message":"dapr outbound is not ready"}"#
        )
    );
    edge.sidecar.health.set_outbound_ready();
    assert_eq!(edge.get("/v1.0/healthz/outbound").await.parts(), (204, None, ""));
    let not_yet =
        r#"{"errorCode":"ERR_HEALTH_NOT_READY","message":"dapr is not ready: [runtime]"}"#;
    assert_eq!(edge.get("/v1.0/healthz").await.body, not_yet);
    let edge = edge.ready();
    // conformance/metadata.json, http-paths.json
    for path in [
        "/v1.0/healthz",
        "/v1.0/healthz?appid=order-processor",
        "/v1.0/healthz/",
        "/v1.0//healthz",
        "/v1.0/healthz/outbound?appid=other",
    ] {
        assert_eq!(edge.get(path).await.parts(), (204, None, ""), "{path}");
    }
    assert_eq!(
        edge.get("/v1.0/healthz?appid=other").await.parts(),
        (
            500,
            json,
            r#"{"errorCode":"ERR_HEALTH_APPID_NOT_MATCH","message":"dapr app-id does not match"}"#
        )
    );
}

#[tokio::test]
async fn what_no_route_matches_is_one_404() {
    let edge = TestEdge::start().await.ready();
    // conformance/metadata.json, http-paths.json, http-headers.json
    for (method, path) in [
        ("PUT", "/v1.0/metadata"),
        ("POST", "/v1.0/metadata/a"),
        ("GET", "/v1.0/metadata/cliPID"),
        ("GET", "/v1.0/metadata/a/b"),
        ("GET", "/healthz"),
        ("POST", "/v1.0/healthz"),
        ("GET", "/v1.0/healthz/nope"),
        ("GET", "/v1.0/shutdown"),
        ("GET", "/nope"),
        ("GET", "/"),
        ("GET", "/V1.0/healthz"),
        ("OPTIONS", "/v1.0/metadata"),
        ("DELETE", "/v1.0/metadata/a"),
        ("PATCH", "/v1.0/metadata/a"),
    ] {
        let answer = edge.send(method, path, &[], "x").await;
        let expected = (404, Some("application/json"), NOT_FOUND);
        assert_eq!(answer.parts(), expected, "{method} {path}");
        assert_eq!(answer.header("allow"), None, "{method} {path}");
    }
    let head = edge.send("HEAD", "/v1.0/healthz", &[], "").await;
    assert_eq!(head.parts(), (404, Some("application/json"), ""));
}

#[tokio::test]
async fn a_bad_escape_is_refused_and_ends_the_connection() {
    let edge = TestEdge::start().await;
    for path in ["/v1.0/state/statestore/a%zz", "/v1.0/state/statestore/a%"] {
        let mut client = edge.connect().await;
        let answer = client.call("GET", path, &[], "").await;
        let expected = (400, Some("text/plain; charset=utf-8"), "400 Bad Request");
        assert_eq!(answer.parts(), expected);
        assert_eq!(answer.header("connection"), Some("close"));
        assert_eq!(answer.header("traceparent"), None);
        assert!(client.closed().await);
    }
}

#[tokio::test]
async fn metadata_is_byte_for_byte_that_of_dapr() {
    let edge = TestEdge::start().await;
    // sidecar-surface A1; conformance/metadata.json
    for (path, value) in [
        ("/v1.0/metadata/cliPID", "123"),
        ("/v1.0/metadata/appPID", "4242"),
        ("/v1.0/metadata/appCommand/", "python3 app.py"),
        ("/v1.0/metadata/daprRuntimeVersion", "mine"),
        ("/v1.0/metadata/cliPID", "4200"),
    ] {
        assert_eq!(edge.send("PUT", path, &[], value).await.parts(), (204, None, ""), "{path}");
    }
    let golden = concat!(
        r#"{"id":"order-processor","runtimeVersion":"1.18.3","enabledFeatures":["HotReload","WorkflowsRemoteActivityReminder"],"components":[{"name":"statestore","type":"state.redis","version":"v1","capabilities":["ETAG","TRANSACTIONAL","TTL","KEYS_LIKE","ACTOR"]}],"extended":{"appCommand":"python3 app.py","appPID":"4242","cliPID":"4200","daprRuntimeVersion":"1.18.3"},"appConnectionProperties":{"protocol":"http","channelAddress":"127.0.0.1"},"actorRuntime":{"runtimeStatus":"DISABLED","hostReady":false,"placement":"placement: disconnected"},"resiliencies":[{"name":"myresiliency"}]}"#,
        "\n"
    );
    let expected = (200, Some("application/json"), golden);
    assert_eq!(edge.get("/v1.0/metadata").await.parts(), expected);
    assert_eq!(edge.get("/v1.0/metadata/").await.parts(), expected);
    assert_eq!(edge.get("http://localhost/v1.0/metadata").await.parts(), expected);
}

#[tokio::test]
async fn metadata_keys_are_unescaped_like_queries() {
    let edge = TestEdge::start().await;
    for (path, key) in [("a%2Fb", "a/b"), ("c+d", "c d"), ("e%2Bf", "e+f"), ("%C3%A9", "é")] {
        edge.send("PUT", &format!("/v1.0/metadata/{path}"), &[], "<&>").await;
        let extended = edge.sidecar.metadata.snapshot().extended;
        assert_eq!(extended.get(key).map(String::as_str), Some("<&>"), "{path}");
    }
    let answer = edge.get("/v1.0/metadata").await;
    assert!(answer.body.contains(r#""a/b":"\u003c\u0026\u003e""#), "{}", answer.body);
    let answer = edge.send("PUT", "/v1.0/metadata/%ff", &[], "x").await;
    assert_eq!(answer.status, 400);
}

#[tokio::test]
async fn a_body_of_exactly_the_limit_passes_and_one_byte_more_is_refused() {
    let limit = 100_000;
    let options = Options { max_body_size: Some(limit), ..Options::default() };
    let edge = TestEdge::with(options).await;
    let mut client = edge.connect().await;
    let path = "/v1.0/metadata/big";
    let chunked = |length: usize| {
        let head = format!("PUT {path} HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n");
        format!("{head}{:x}\r\n{}\r\n0\r\n\r\n", length, "c".repeat(length))
    };
    let refused = r#"{"errorCode":"ERR_BODY_READ","message":"failed to read request body: stream too large"}"#;
    for _ in 0..2 {
        let answer = client.call("PUT", path, &[], &"x".repeat(limit)).await;
        assert_eq!(answer.status, 204);
        let answer = client.call("PUT", path, &[], &"y".repeat(limit + 1)).await;
        assert_eq!(answer.parts(), (400, Some("application/json"), refused));
        client.write(&chunked(limit)).await;
        assert_eq!(client.read(true).await.status, 204);
        client.write(&chunked(limit + 1)).await;
        assert_eq!(client.read(true).await.parts(), (400, Some("application/json"), refused));
        let stored = edge.sidecar.metadata.snapshot().extended.remove("big").unwrap();
        assert!(stored == "c".repeat(limit));
    }
    let unlimited = TestEdge::with(Options { max_body_size: None, ..Options::default() }).await;
    let answer = unlimited.send("PUT", path, &[], &"x".repeat(5 << 20)).await;
    assert_eq!(answer.status, 204);
}

#[tokio::test]
async fn only_health_answers_without_the_token() {
    let edge =
        TestEdge::with(Options { token: Some("s3cret"), ..Options::default() }).await.ready();
    // conformance/token.json
    for (method, path) in [
        ("GET", "/v1.0/state/statestore/k"),
        ("GET", "/v1.0/metadata"),
        ("PUT", "/v1.0/metadata/cliPID"),
        ("POST", "/v1.0/healthz"),
        ("GET", "/nope"),
        ("POST", "/v1.0/shutdown"),
    ] {
        for headers in [
            &[][..],
            &[("dapr-api-token", "no")],
            &[("dapr-api-token", "")],
            &[("authorization", "Bearer s3cret")],
        ] {
            let answer = edge.send(method, path, headers, "").await;
            let expected = (401, Some("text/plain; charset=utf-8"), "invalid api token\n");
            assert_eq!(answer.parts(), expected, "{method} {path} {headers:?}");
            assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
            assert_eq!(answer.header("traceparent").is_some(), !path.contains("healthz"));
        }
    }
    for path in ["/v1.0/healthz", "/v1.0/healthz/", "/v1.0/healthz/outbound"] {
        assert_eq!(edge.get(path).await.status, 204, "{path}");
    }
    let token = [("Dapr-Api-Token", "s3cret")];
    assert_eq!(edge.send("GET", "/v1.0/metadata", &token, "").await.status, 200);
    assert_eq!(edge.send("GET", "/nope", &token, "").await.status, 404);
}

#[tokio::test]
async fn trace_context_and_baggage_are_given_back() {
    // conformance/http-headers.json; sidecar-surface 3.11
    let edge = TestEdge::start().await.ready();
    let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let none = "00-00000000000000000000000000000000-0000000000000000-00";
    for (headers, expected) in [
        (&[][..], [Some(none), None, None]),
        (&[("traceparent", parent)], [Some(parent), None, None]),
        (&[("traceparent", parent), ("tracestate", "a=b")], [Some(parent), Some("a=b"), None]),
        (&[("traceparent", "junk")], [Some(none), None, None]),
        (&[("baggage", "a=b")], [Some(none), None, Some("a=b")]),
    ] {
        for path in ["/v1.0/metadata", "/nope"] {
            let answer = edge.send("GET", path, headers, "").await;
            let seen = ["traceparent", "tracestate", "baggage"].map(|name| answer.header(name));
            assert_eq!(seen, expected, "{headers:?}");
        }
    }
    let refused = edge.send("GET", "/v1.0/metadata", &[("baggage", "=")], "").await;
    let text = "invalid baggage header: invalid key: \"\"\n";
    assert_eq!(refused.parts(), (400, Some("text/plain; charset=utf-8"), text));
    assert_eq!(refused.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(refused.header("traceparent"), None);
    let health = edge.send("GET", "/v1.0/healthz", &[("traceparent", parent)], "").await;
    assert_eq!(health.header("traceparent"), None);

    let untraced = TestEdge::with(Options { tracing: false, ..Options::default() }).await;
    let sent = [("traceparent", parent), ("baggage", "=")];
    let answer = untraced.send("GET", "/v1.0/metadata", &sent, "").await;
    assert_eq!((answer.status, answer.header("traceparent")), (200, None));
}

#[tokio::test]
async fn shutdown_is_asked_for_gracefully_or_by_force() {
    for (headers, expected) in [
        (&[][..], ShutdownRequest::Graceful),
        (&[("dapr-force-shutdown", "TRUE")], ShutdownRequest::Forced),
        (&[("dapr-force-shutdown", "1")], ShutdownRequest::Graceful),
    ] {
        let edge = TestEdge::start().await;
        let answer = edge.send("POST", "/v1.0/shutdown", headers, "").await;
        assert_eq!(answer.parts(), (204, None, ""));
        assert_eq!(edge.sidecar.shutdown.requested().await, expected, "{headers:?}");
    }
}

#[tokio::test]
async fn connections_are_kept_and_requests_may_be_pipelined() {
    let edge = TestEdge::start().await.ready();
    let mut client = edge.connect().await;
    let one = "GET /v1.0/healthz HTTP/1.1\r\nhost: x\r\n\r\n";
    let two = "PUT /v1.0/metadata/k HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\n\r\nv";
    client.write(&format!("{one}{two}{one}")).await;
    for _ in 0..3 {
        assert_eq!(client.read(true).await.status, 204);
    }
    assert_eq!(client.call("GET", "/nope", &[], "").await.status, 404);
}

#[tokio::test]
async fn http2_is_spoken_by_prior_knowledge() {
    use http_body_util::{BodyExt as _, Empty};
    let edge = TestEdge::start().await.ready();
    let stream = TcpStream::connect(("127.0.0.1", edge.port)).await.unwrap();
    let (mut sender, connection) = hyper::client::conn::http2::handshake(
        hyper_util::rt::TokioExecutor::new(),
        hyper_util::rt::TokioIo::new(stream),
    )
    .await
    .unwrap();
    tokio::spawn(connection);
    for (path, status) in [("/v1.0/healthz", 204), ("/nope", 404), ("/a%zz", 400)] {
        let request = Request::get(format!("http://localhost{path}"))
            .body(Empty::<bytes::Bytes>::new())
            .unwrap();
        let answer = sender.send_request(request).await.unwrap();
        assert_eq!(answer.status(), status, "{path}");
        answer.into_body().collect().await.unwrap();
    }
}

#[tokio::test]
async fn an_upgrade_to_http2_is_ignored() {
    let edge = TestEdge::start().await.ready();
    let mut client = edge.connect().await;
    // What Java's HTTP client sends until it was upgraded.
    let headers = [
        ("connection", "Upgrade, HTTP2-Settings"),
        ("upgrade", "h2c"),
        ("http2-settings", "AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA"),
    ];
    assert_eq!(client.call("GET", "/v1.0/healthz", &headers, "").await.status, 204);
    assert_eq!(client.call("PUT", "/v1.0/metadata/k", &headers, "v").await.status, 204);
    assert_eq!(client.call("GET", "/nope", &headers, "").await.body, NOT_FOUND);
}

#[tokio::test]
async fn a_head_of_3000_bytes_passes_and_one_of_9000_does_not() {
    let edge = TestEdge::start().await.ready();
    let too_large = "431 Request Header Fields Too Large";
    // conformance/grpc-sizes.json
    for (length, status, body) in [(3000, 204, ""), (9000, 431, too_large)] {
        let long = "x".repeat(length);
        let content_type = (status == 431).then_some("text/plain; charset=utf-8");
        let answer = edge.send("GET", "/v1.0/healthz", &[("x-long", &long)], "").await;
        assert_eq!(answer.parts(), (status, content_type, body), "{length}");
        let path = format!("/v1.0/healthz?{long}");
        let answer = edge.send("GET", &path, &[], "").await;
        assert_eq!(answer.parts(), (status, content_type, body), "{length}");
    }
}

#[tokio::test]
async fn a_head_that_takes_too_long_ends_the_connection_and_idling_does_not() {
    let head_timeout = Duration::from_millis(300);
    let edge = TestEdge::with(Options { head_timeout, ..Options::default() }).await.ready();
    for first_bytes in ["", "PR", "GET /v1.0/healthz HTTP/1.1\r\nhost:"] {
        let mut client = edge.connect().await;
        client.write(first_bytes).await;
        assert!(client.closed().await, "{first_bytes:?}");
    }
    let mut client = edge.connect().await;
    assert_eq!(client.call("GET", "/v1.0/healthz", &[], "").await.status, 204);
    // As long as other connections, opened later, run out of time: this one only idles.
    for _ in 0..2 {
        assert!(edge.connect().await.closed().await);
    }
    assert_eq!(client.call("GET", "/v1.0/healthz", &[], "").await.status, 204);
    client.write("GET /v1.0").await;
    assert!(client.closed().await);
}

#[tokio::test]
async fn a_call_may_take_longer_than_its_head() {
    let head_timeout = Duration::from_millis(200);
    let edge = TestEdge::with(Options { head_timeout, ..Options::default() }).await;
    let mut client = edge.connect().await;
    client.write("GET /wait HTTP/1.1\r\nhost: x\r\n\r\n").await;
    edge.entered.notified().await;
    let mut upload = edge.connect().await;
    let head = "PUT /v1.0/metadata/k HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\nv";
    upload.write(head).await;
    for _ in 0..2 {
        assert!(edge.connect().await.closed().await);
    }
    edge.release.notify_one();
    assert_eq!(client.read(true).await.body, "waited");
    upload.write("w").await;
    assert_eq!(upload.read(true).await.status, 204);
}

#[tokio::test]
async fn a_panic_loses_one_call() {
    let edge = TestEdge::start().await.ready();
    let mut client = edge.connect().await;
    let answer = client.call("GET", "/panic", &[], "").await;
    let body = r#"{"errorCode":"ERROR","message":"the handler failed unexpectedly"}"#;
    assert_eq!(answer.parts(), (500, Some("application/json"), body));
    assert_eq!(client.call("GET", "/v1.0/healthz", &[], "").await.status, 204);
    assert_eq!(edge.drain.calls_in_flight(), 0);
}

#[tokio::test]
async fn drain_waits_for_a_call_in_flight_and_not_for_an_idle_connection() {
    let edge = TestEdge::start().await.ready();
    let mut idle = edge.connect().await;
    assert_eq!(idle.call("GET", "/v1.0/healthz", &[], "").await.status, 204);
    let mut fresh = edge.connect().await;
    let mut busy = edge.connect().await;
    busy.write("GET /wait HTTP/1.1\r\nhost: x\r\n\r\n").await;
    edge.entered.notified().await;
    let drained = tokio::spawn({
        let drain = edge.drain.clone();
        async move { drain.idle().await }
    });
    assert!(idle.closed().await);
    assert!(fresh.closed().await);
    assert!(TcpStream::connect(("127.0.0.1", edge.port)).await.is_err());
    assert!(!drained.is_finished());
    edge.release.notify_one();
    let answer = busy.read(true).await;
    assert_eq!((answer.body.as_str(), answer.header("connection")), ("waited", Some("close")));
    drained.await.unwrap();
}

#[tokio::test]
async fn a_caller_who_hangs_up_is_no_call_in_flight() {
    let edge = TestEdge::start().await;
    let mut client = edge.connect().await;
    client.write("GET /wait HTTP/1.1\r\nhost: x\r\n\r\n").await;
    edge.entered.notified().await;
    assert_eq!(edge.drain.calls_in_flight(), 1);
    drop(client);
    edge.drain.idle().await;
}

#[tokio::test]
async fn a_caller_who_hangs_up_behind_more_than_a_request_is_no_call_in_flight() {
    let wait = "GET /wait HTTP/1.1\r\nhost: x\r\n\r\n";
    for behind in ["\r\n", "GET /v1.0/healthz HTTP/1.1\r\nhost: x\r\n\r\n", wait] {
        for at_once in [true, false] {
            let edge = TestEdge::start().await;
            let mut client = edge.connect().await;
            let (first, later) = if at_once { (behind, "") } else { ("", behind) };
            client.write(&format!("{wait}{first}")).await;
            edge.entered.notified().await;
            client.write(later).await;
            assert_eq!(edge.drain.calls_in_flight(), 1);
            drop(client);
            edge.drain.idle().await;
        }
    }
}

#[tokio::test]
async fn what_a_client_sends_ahead_is_answered_in_its_turn() {
    let edge = TestEdge::start().await.ready();
    let mut client = edge.connect().await;
    client.write("GET /wait HTTP/1.1\r\nhost: x\r\n\r\n").await;
    edge.entered.notified().await;
    // More than is read ahead, so that the rest of it comes later.
    let long = "x".repeat(3000);
    let next = format!("GET /v1.0/healthz?{long} HTTP/1.1\r\nhost: x\r\n\r\n");
    for _ in 0..3 {
        client.write(&next).await;
    }
    edge.release.notify_one();
    assert_eq!(client.read(true).await.body, "waited");
    for _ in 0..3 {
        assert_eq!(client.read(false).await.status, 204);
    }
}

#[tokio::test]
async fn a_caller_who_closes_its_sending_half_is_taken_for_gone() {
    let edge = TestEdge::start().await;
    let mut client = edge.connect().await;
    client.write("GET /wait HTTP/1.1\r\nhost: x\r\n\r\n").await;
    edge.entered.notified().await;
    client.0.get_mut().shutdown().await.unwrap();
    assert!(client.closed().await, "without an answer and without an error");
    edge.drain.idle().await;
}

#[tokio::test]
async fn a_caller_who_takes_back_its_stream_is_no_call_in_flight() {
    let edge = TestEdge::start().await;
    let stream = TcpStream::connect(("127.0.0.1", edge.port)).await.unwrap();
    let io = hyper_util::rt::TokioIo::new(stream);
    let executor = hyper_util::rt::TokioExecutor::new();
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(executor, io).await.unwrap();
    let _connected = tokio::spawn(connection);
    let request = Request::get("http://localhost/wait").body(Body::empty()).unwrap();
    let waiting = tokio::spawn(sender.send_request(request));
    edge.entered.notified().await;
    assert_eq!(edge.drain.calls_in_flight(), 1);
    waiting.abort();
    while edge.drain.calls_in_flight() > 0 {
        tokio::task::yield_now().await;
    }
    let request = Request::get("http://localhost/nope").body(Body::empty()).unwrap();
    assert_eq!(sender.send_request(request).await.unwrap().status(), StatusCode::NOT_FOUND);
}

/// The CORS headers of an answer, in the order of their names.
fn cors_headers(answer: &Answer) -> Vec<(&str, &str)> {
    let headers = answer.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    headers.filter(|(name, _)| name.starts_with("access-control-") || *name == "vary").collect()
}

#[tokio::test]
async fn without_allowed_origins_nothing_is_said_about_them() {
    // conformance/http-headers.json
    let edge = TestEdge::start().await.ready();
    let origin = ("origin", "http://x.test");
    let asked = [origin, ("access-control-request-method", "POST")];
    let preflight = edge.send("OPTIONS", "/v1.0/metadata", &asked, "").await;
    assert_eq!(preflight.parts(), (404, Some("application/json"), NOT_FOUND));
    let answer = edge.send("GET", "/v1.0/metadata", &[origin], "").await;
    assert_eq!((answer.status, cors_headers(&answer)), (200, vec![]));
    assert_eq!(cors_headers(&preflight), []);
}

#[tokio::test]
async fn a_page_of_a_listed_origin_may_read_and_others_may_not() {
    let cors = Some("http://x.test,http://y.test");
    let edge = TestEdge::with(Options { cors, ..Options::default() }).await.ready();
    let (ours, foreign) = (("origin", "http://y.test"), ("origin", "http://z.test"));
    let allowed = ("access-control-allow-origin", "http://y.test");
    let vary = ("vary", "Origin");
    for (method, path, status) in [
        ("GET", "/v1.0/metadata", 200),
        ("GET", "/v1.0/healthz", 204),
        ("PUT", "/v1.0/metadata/k", 204),
        ("GET", "/nope", 404),
        ("OPTIONS", "/v1.0/metadata", 404),
    ] {
        for (headers, expected) in
            [(&[ours][..], vec![allowed, vary]), (&[foreign], vec![vary]), (&[], vec![vary])]
        {
            let answer = edge.send(method, path, headers, "").await;
            assert_eq!((answer.status, cors_headers(&answer)), (status, expected), "{path}");
        }
    }
}

#[tokio::test]
async fn a_preflight_is_answered_before_the_token_and_the_route() {
    let (token, cors) = (Some("s3cret"), Some("http://y.test"));
    let edge = TestEdge::with(Options { token, cors, ..Options::default() }).await.ready();
    let ours = ("origin", "http://y.test");
    let asked_method = ("access-control-request-method", "POST");
    let asked_headers = ("access-control-request-headers", "dapr-api-token,content-type");
    let last_vary = ("vary", "Access-Control-Request-Headers");
    for path in ["/v1.0/state/s", "/nope"] {
        let answer = edge.send("OPTIONS", path, &[ours, asked_method, asked_headers], "").await;
        assert_eq!((answer.status, answer.body.as_str()), (200, ""), "{path}");
        assert_eq!(answer.header("traceparent"), Some(crate::edge::trace::NO_TRACEPARENT));
        assert_eq!(
            cors_headers(&answer),
            [
                ("access-control-allow-headers", "dapr-api-token,content-type"),
                ("access-control-allow-methods", "POST"),
                ("access-control-allow-origin", "http://y.test"),
                last_vary,
            ]
        );
    }
    for headers in [
        &[("origin", "http://z.test"), asked_method][..],
        &[asked_method],
        &[ours, ("access-control-request-method", "TRACE")],
    ] {
        let answer = edge.send("OPTIONS", "/v1.0/state/s", headers, "").await;
        assert_eq!((answer.status, cors_headers(&answer)), (200, vec![last_vary]), "{headers:?}");
    }
    // Without a method it is none, and meets the token.
    for method in ["OPTIONS", "GET"] {
        let answer = edge.send(method, "/v1.0/metadata", &[ours], "").await;
        assert_eq!((answer.status, answer.body.as_str()), (401, "invalid api token\n"));
        assert_eq!(answer.header("access-control-allow-origin"), Some("http://y.test"));
    }
}

#[tokio::test]
async fn everybody_is_let_in_by_a_star() {
    let edge = TestEdge::with(Options { cors: Some("*"), ..Options::default() }).await.ready();
    let origin = ("origin", "http://z.test");
    let answer = edge.send("GET", "/v1.0/metadata", &[origin], "").await;
    assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
    let asked = [origin, ("access-control-request-method", "delete")];
    let answer = edge.send("OPTIONS", "/v1.0/metadata", &asked, "").await;
    assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
    assert_eq!(answer.header("access-control-allow-methods"), Some("DELETE"));
    assert_eq!(answer.header("access-control-allow-headers"), None);
}

#[tokio::test]
async fn what_belongs_to_nothing_is_plain_text() {
    let unrouted = Unrouted::Nothing;
    let edge = TestEdge::with(Options { unrouted, ..Options::default() }).await.ready();
    let plain = Some("text/plain; charset=utf-8");
    for path in ["/nope", "/", "/v1.0/metadata/a/b", "/v1.0/state/s/k"] {
        assert_eq!(edge.get(path).await.parts(), (404, plain, "404 page not found\n"), "{path}");
    }
    assert_eq!(edge.send("POST", "/v1.0/metadata", &[], "").await.parts(), (405, None, ""));
    assert_eq!(edge.get("/v1.0/healthz").await.status, 204);
}

#[tokio::test]
async fn rules_take_routes_away_and_never_health() {
    let rule = |name: &str| crate::edge::access::ApiName {
        name: name.to_owned(),
        version: "v1".to_owned(),
    };
    for (allowed, denied, metadata, shutdown) in [
        (vec![], vec![rule("metadata")], 404, 204),
        (vec![rule("metadata")], vec![], 200, 404),
        (vec![rule("state"), rule("metadata")], vec![rule("metadata"), rule("healthz")], 404, 404),
    ] {
        let access = Access { allowed, denied };
        let edge = TestEdge::with(Options { access, ..Options::default() }).await.ready();
        let answer = edge.get("/v1.0/metadata").await;
        assert_eq!(answer.status, metadata);
        assert!(metadata == 200 || answer.body == NOT_FOUND, "{answer:?}");
        assert_eq!(edge.send("POST", "/v1.0/shutdown", &[], "").await.status, shutdown);
        for path in ["/v1.0/healthz", "/v1.0/healthz/outbound"] {
            assert_eq!(edge.get(path).await.status, 204, "{path}");
        }
    }
}

#[tokio::test]
async fn a_head_may_have_a_hundred_headers() {
    let edge = TestEdge::start().await.ready();
    let names: Vec<String> = (0..110).map(|number| format!("x{number}")).collect();
    let headers: Vec<_> = names.iter().map(|name| (name.as_str(), "y")).collect();
    assert_eq!(edge.send("GET", "/v1.0/healthz", &headers[..90], "").await.status, 204);
    assert_eq!(edge.send("GET", "/v1.0/healthz", &headers, "").await.status, 431);
}

#[tokio::test]
async fn a_cut_body_of_metadata_is_answered_in_gos_words() {
    let edge = TestEdge::start().await.ready();
    let mut client = edge.connect().await;
    client.write("PUT /v1.0/metadata/x HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\nabc").await;
    client.0.get_mut().shutdown().await.unwrap();
    let answer = client.read(true).await;
    let body =
        r#"{"errorCode":"ERR_BODY_READ","message":"failed to read request body: unexpected EOF"}"#;
    assert_eq!(answer.parts(), (400, Some("application/json"), body));
    assert_eq!(edge.sidecar.metadata.snapshot().extended.get("x"), None);
}

#[tokio::test]
async fn http2_can_be_turned_off() {
    for http2 in [true, false] {
        let edge = TestEdge::with(Options { http2, ..Options::default() }).await.ready();
        let mut client = edge.connect().await;
        client.write("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await;
        let mut first = Vec::new();
        (&mut client.0).take(4).read_to_end(&mut first).await.unwrap();
        // A server of HTTP/2 begins with a frame of settings.
        assert_eq!(first.get(3) == Some(&4), http2, "{first:?}");
        assert_eq!(edge.get("/v1.0/healthz").await.status, 204);
    }
}

#[tokio::test]
async fn a_body_that_nobody_reads_is_passed_over_or_ends_its_connection_in_so_many_words() {
    let edge = TestEdge::start().await.ready();
    for path in ["/v1.0/healthz", "/nope", "/v1.0/metadata"] {
        let mut client = edge.connect().await;
        for _ in 0..2 {
            let answer = client.call("GET", path, &[], &"x".repeat(200 << 10)).await;
            assert_eq!(answer.header("connection"), None, "{path}");
        }
        client
            .write(&format!("GET {path} HTTP/1.1\r\nhost: x\r\ncontent-length: 300000\r\n\r\n"))
            .await;
        assert_eq!(client.read(true).await.header("connection"), Some("close"), "{path}");
        assert!(client.closed().await);
    }
    let mut client = edge.connect().await;
    let head = "GET /nope HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 5\r\n\r\n";
    client.write(head).await;
    assert_eq!(client.read(true).await.status, 100);
    client.write("hello").await;
    let answer = client.read(true).await;
    assert_eq!((answer.status, answer.header("connection")), (404, None));
}
