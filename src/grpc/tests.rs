//! The gRPC edge over real sockets, with a service of the test's own. Texts are those of
//! sidecar-surface 3.8 to 3.11.

use std::{collections::BTreeSet, time::Duration};

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http::StatusCode;
use http_body_util::{BodyExt as _, Full, StreamBody, combinators::BoxBody};
use prost::Message as _;
use tokio::{net::TcpStream, sync::Notify};
use tonic::{Code, Status, transport::Channel};
use tonic_reflection::pb;
use tonic_types::StatusExt as _;

use super::{limits::within_limit, *};
use crate::{
    edge::{connection::Wire, listener},
    proto::runtime::v1::{self as wire, dapr_client::DaprClient},
};

const LIMIT: usize = 4_194_304;

/// Answers by key: `panic` panics, `wait` waits to be released, `left` tells how many milliseconds
/// the caller still waits, a number is how many bytes to answer with.
#[derive(Clone, Default)]
struct Scripted {
    entered: Arc<Notify>,
    release: Arc<Notify>,
    limit: Option<usize>,
}

fn empty() -> Result<tonic::Response<()>, Status> {
    Ok(tonic::Response::new(()))
}

#[tonic::async_trait]
impl Dapr for Scripted {
    async fn get_state(
        &self,
        request: tonic::Request<wire::GetStateRequest>,
    ) -> Result<tonic::Response<wire::GetStateResponse>, Status> {
        let left =
            request.extensions().get::<Deadline>().map(|Deadline(end)| *end - Instant::now());
        let key = request.into_inner().key;
        match key.as_str() {
            "left" => {
                let data = left.map_or("for ever".into(), |left| left.as_millis().to_string());
                return Ok(tonic::Response::new(wire::GetStateResponse {
                    data: data.into_bytes().into(),
                    ..Default::default()
                }));
            }
            "panic" => panic!("on purpose"),
            "wait" => {
                self.entered.notify_one();
                self.release.notified().await;
            }
            _ => {}
        }
        let data = vec![b'x'; key.parse().unwrap_or(0)].into();
        let answer = wire::GetStateResponse { data, ..Default::default() };
        within_limit(answer, self.limit).map(tonic::Response::new)
    }

    async fn get_bulk_state(
        &self,
        _: tonic::Request<wire::GetBulkStateRequest>,
    ) -> Result<tonic::Response<wire::GetBulkStateResponse>, Status> {
        Err(Status::aborted("no"))
    }

    async fn save_state(
        &self,
        _: tonic::Request<wire::SaveStateRequest>,
    ) -> Result<tonic::Response<()>, Status> {
        empty()
    }

    async fn query_state_alpha1(
        &self,
        _: tonic::Request<wire::QueryStateRequest>,
    ) -> Result<tonic::Response<wire::QueryStateResponse>, Status> {
        Ok(tonic::Response::new(wire::QueryStateResponse::default()))
    }

    async fn delete_state(
        &self,
        _: tonic::Request<wire::DeleteStateRequest>,
    ) -> Result<tonic::Response<()>, Status> {
        empty()
    }

    async fn delete_bulk_state(
        &self,
        _: tonic::Request<wire::DeleteBulkStateRequest>,
    ) -> Result<tonic::Response<()>, Status> {
        empty()
    }

    async fn execute_state_transaction(
        &self,
        _: tonic::Request<wire::ExecuteStateTransactionRequest>,
    ) -> Result<tonic::Response<()>, Status> {
        empty()
    }

    async fn get_metadata(
        &self,
        _: tonic::Request<wire::GetMetadataRequest>,
    ) -> Result<tonic::Response<wire::GetMetadataResponse>, Status> {
        Ok(tonic::Response::new(wire::GetMetadataResponse::default()))
    }

    async fn set_metadata(
        &self,
        _: tonic::Request<wire::SetMetadataRequest>,
    ) -> Result<tonic::Response<()>, Status> {
        empty()
    }

    async fn shutdown(
        &self,
        _: tonic::Request<wire::ShutdownRequest>,
    ) -> Result<tonic::Response<()>, Status> {
        empty()
    }
}

struct TestEdge {
    port: u16,
    scripted: Scripted,
    drain: Drain,
}

fn surroundings() -> Surroundings {
    let drain = Drain::default();
    Surroundings { max_message_size: Some(LIMIT), tracing: true, drain, ..Surroundings::default() }
}

fn bind() -> listener::Listener {
    listener::Listener::bind("--dapr-grpc-port", &["127.0.0.1".to_owned()], 0).unwrap()
}

impl TestEdge {
    async fn start() -> Self {
        Self::within(surroundings()).await
    }

    async fn within(surroundings: Surroundings) -> Self {
        let scripted = Scripted { limit: surroundings.max_message_size, ..Scripted::default() };
        let drain = surroundings.drain.clone();
        let listener = bind();
        let port = listener.port();
        let service = service(scripted.clone(), surroundings);
        tokio::spawn(listener::serve(
            listener,
            Wire::grpc(64 << 10),
            service,
            drain.clone(),
            Admission::default(),
        ));
        Self { port, scripted, drain }
    }

    async fn with_token(token: &str) -> Self {
        Self::within(Surroundings { token: ApiToken::new(token), ..surroundings() }).await
    }

    async fn channel(&self) -> Channel {
        connect(self.port).await
    }

    async fn client(&self) -> DaprClient<Channel> {
        DaprClient::new(self.channel().await).max_decoding_message_size(usize::MAX)
    }
}

async fn connect(port: u16) -> Channel {
    Channel::from_shared(format!("http://127.0.0.1:{port}")).unwrap().connect().await.unwrap()
}

fn get(key: &str) -> wire::GetStateRequest {
    wire::GetStateRequest { key: key.to_owned(), ..Default::default() }
}

/// A request that is exactly `length` bytes long.
fn request_of(length: usize) -> wire::SetMetadataRequest {
    let mut request = wire::SetMetadataRequest { key: "k".to_owned(), value: String::new() };
    request.value = "v".repeat(length);
    let over = request.encoded_len() - length;
    request.value.truncate(request.value.len() - over);
    assert_eq!(request.encoded_len(), length);
    request
}

/// A client of HTTP/2 that knows nothing of gRPC.
async fn http2_client(
    port: u16,
) -> hyper::client::conn::http2::SendRequest<BoxBody<Bytes, Infallible>> {
    let stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let io = hyper_util::rt::TokioIo::new(stream);
    let executor = hyper_util::rt::TokioExecutor::new();
    let (sender, connection) = hyper::client::conn::http2::handshake(executor, io).await.unwrap();
    tokio::spawn(connection);
    sender
}

/// Calls `path` as no generated client would.
async fn call_raw(
    port: u16,
    path: &str,
    headers: &[(&str, &str)],
    body: BoxBody<Bytes, Infallible>,
) -> Response<Incoming> {
    let mut request = Request::post(format!("http://localhost{path}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    http2_client(port).await.send_request(request.body(body).unwrap()).await.unwrap()
}

async fn status_of(port: u16, path: &str, headers: &[(&str, &str)]) -> (Code, String) {
    let message = Full::new(Bytes::from_static(&[0; 5])).boxed();
    let answer = call_raw(port, path, headers, message).await;
    let status = Status::from_header_map(answer.headers()).unwrap();
    (status.code(), status.message().to_owned())
}

#[tokio::test]
async fn a_request_of_exactly_the_limit_passes_and_one_byte_more_does_not() {
    let edge = TestEdge::start().await;
    let mut plain = edge.client().await;
    plain.set_metadata(request_of(LIMIT)).await.unwrap();
    let refused = plain.set_metadata(request_of(LIMIT + 1)).await.unwrap_err();
    assert_eq!(refused.code(), Code::ResourceExhausted);
    let text = "grpc: received message larger than max (4194305 vs. 4194304)";
    assert_eq!(refused.message(), text);

    let mut gzip = edge.client().await.send_compressed(CompressionEncoding::Gzip);
    gzip.set_metadata(request_of(LIMIT)).await.unwrap();
    let refused = gzip.set_metadata(request_of(LIMIT + 1)).await.unwrap_err();
    assert_eq!(refused.code(), Code::ResourceExhausted);
    let text = "grpc: received message after decompression larger than max 4194304";
    assert_eq!(refused.message(), text);
    gzip.set_metadata(request_of(100)).await.unwrap();
}

#[tokio::test]
async fn a_message_that_announces_too_much_is_refused_before_it_comes() {
    let edge = TestEdge::start().await;
    let prefix = http_body::Frame::data(Bytes::from_static(&[0, 0xff, 0xff, 0xff, 0xff]));
    let never_ending = StreamBody::new(stream::iter([Ok(prefix)]).chain(stream::pending()));
    let path = "/dapr.proto.runtime.v1.Dapr/SaveState";
    let answer = call_raw(edge.port, path, &[], BoxBody::new(never_ending)).await;
    let status = Status::from_header_map(answer.headers()).unwrap();
    let text = "grpc: received message larger than max (4294967295 vs. 4194304)";
    assert_eq!((status.code(), status.message()), (Code::ResourceExhausted, text));
}

/// A message of GetState in its frame.
fn framed(message: &wire::GetStateRequest) -> Bytes {
    let mut bytes = vec![0, 0, 0, 0];
    bytes.push(u8::try_from(message.encoded_len()).unwrap());
    message.encode(&mut bytes).unwrap();
    bytes.into()
}

const GET_STATE: &str = "/dapr.proto.runtime.v1.Dapr/GetState";

#[tokio::test]
async fn a_message_is_waited_for_as_long_as_its_sender_waits() {
    let edge = TestEdge::start().await;
    let whole = framed(&get("1"));
    for arrived in 0..whole.len() {
        let part = http_body::Frame::data(whole.slice(..arrived));
        let slow = StreamBody::new(stream::iter([Ok(part)]).chain(stream::pending()));
        let timeout = [("grpc-timeout", "20m")];
        let answer = call_raw(edge.port, GET_STATE, &timeout, BoxBody::new(slow)).await;
        let status = Status::from_header_map(answer.headers()).unwrap();
        let expected = (Code::DeadlineExceeded, "context deadline exceeded");
        assert_eq!((status.code(), status.message()), expected, "{arrived} bytes");
    }
    edge.drain.idle().await;
}

#[tokio::test]
async fn a_callers_time_runs_from_its_headers_on() {
    let edge = TestEdge::start().await;
    let left = async |headers: &[(&str, &str)]| {
        let late = async {
            tokio::time::sleep(Duration::from_millis(300)).await;
            Ok(http_body::Frame::data(framed(&get("left"))))
        };
        let body = BoxBody::new(StreamBody::new(stream::once(Box::pin(late)).map(|frame| frame)));
        let answer = call_raw(edge.port, GET_STATE, headers, body).await;
        let bytes = answer.into_body().collect().await.unwrap().to_bytes();
        let message = wire::GetStateResponse::decode(&bytes[5..]).unwrap();
        String::from_utf8(message.data.to_vec()).unwrap()
    };
    assert_eq!(left(&[]).await, "for ever");
    let millis: u64 = left(&[("grpc-timeout", "30S")]).await.parse().unwrap();
    assert!((1000..=29_700).contains(&millis), "{millis}");
}

#[tokio::test]
async fn a_malformed_timeout_is_refused_as_by_gos_grpc() {
    let edge = TestEdge::start().await;
    let message = Full::new(framed(&get("1"))).boxed();
    let answer = call_raw(edge.port, GET_STATE, &[("grpc-timeout", "later")], message).await;
    assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
    let status = Status::from_header_map(answer.headers()).unwrap();
    let text = r#"malformed grpc-timeout: transport: timeout unit is not recognized: "later""#;
    assert_eq!((status.code(), status.message()), (Code::Internal, text));
    edge.client().await.get_state(get("1")).await.unwrap();
}

#[tokio::test]
async fn an_answer_of_exactly_the_limit_passes_and_one_byte_more_does_not() {
    let edge = TestEdge::start().await;
    let mut client = edge.client().await;
    // A tag and a length of four bytes stand before the data.
    let most = LIMIT - 5;
    let answer = client.get_state(get(&most.to_string())).await.unwrap().into_inner();
    assert_eq!(answer.encoded_len(), LIMIT);
    let refused = client.get_state(get(&(most + 1).to_string())).await.unwrap_err();
    assert_eq!(refused.code(), Code::ResourceExhausted);
    let text = "trying to send message larger than max (4194305 vs. 4194304)";
    assert_eq!(refused.message(), text);
}

#[tokio::test]
async fn limits_of_none_and_of_zero_mean_what_they_say() {
    let unlimited =
        TestEdge::within(Surroundings { max_message_size: None, ..surroundings() }).await;
    let mut client = unlimited.client().await;
    client.set_metadata(request_of(LIMIT * 2)).await.unwrap();
    client.get_state(get(&(LIMIT * 2).to_string())).await.unwrap();

    let zero = TestEdge::within(Surroundings { max_message_size: Some(0), ..surroundings() }).await;
    let mut client = zero.client().await;
    client.get_metadata(wire::GetMetadataRequest {}).await.unwrap();
    let refused = client.get_state(get("1")).await.unwrap_err();
    assert_eq!(refused.message(), "grpc: received message larger than max (3 vs. 0)");
}

#[tokio::test]
async fn a_panic_loses_one_call_of_a_connection() {
    let edge = TestEdge::start().await;
    let client = edge.client().await;
    let waiting = tokio::spawn({
        let mut client = client.clone();
        async move { client.get_state(get("wait")).await }
    });
    edge.scripted.entered.notified().await;
    let lost = client.clone().get_state(get("panic")).await.unwrap_err();
    let text = "the handler of GetState failed unexpectedly";
    assert_eq!((lost.code(), lost.message()), (Code::Internal, text));
    edge.scripted.release.notify_one();
    waiting.await.unwrap().unwrap();
    client.clone().get_state(get("1")).await.unwrap();
}

#[tokio::test]
async fn nothing_answers_without_the_token() {
    // conformance/token.json
    let edge = TestEdge::with_token("s3cret").await;
    let mut client = edge.client().await;
    for (presented, why) in [
        (None, "missing api token in request metadata"),
        (Some("no"), "authentication error: api token mismatch"),
    ] {
        let mut request = tonic::Request::new(get("1"));
        if let Some(token) = presented {
            request.metadata_mut().insert("dapr-api-token", token.parse().unwrap());
        }
        let refused = client.get_state(request).await.unwrap_err();
        assert_eq!((refused.code(), refused.message()), (Code::Unauthenticated, "Unauthorized"));
        let info = refused.get_details_error_info().unwrap();
        assert_eq!((info.reason.as_str(), info.domain.as_str()), ("Unauthorized", "dapr.io"));
        assert_eq!(info.metadata["http.code"], "401");
        assert_eq!(info.metadata["http.error_message"], why);
        assert_eq!(info.metadata.len(), 2);
    }
    for path in ["/nomethod", "/a.B/C", "/dapr.proto.runtime.v1.Dapr/PublishEvent"] {
        assert_eq!(status_of(edge.port, path, &[]).await.0, Code::Unauthenticated, "{path}");
    }
    let refused = services_v1(&edge, None).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated);
    assert!(services_v1(&edge, Some("s3cret")).await.is_ok());
    let mut request = tonic::Request::new(get("1"));
    request.metadata_mut().insert("dapr-api-token", "s3cret".parse().unwrap());
    client.get_state(request).await.unwrap();
}

#[tokio::test]
async fn what_is_not_served_says_why() {
    let edge = TestEdge::start().await;
    let untraced = TestEdge::within(Surroundings { tracing: false, ..surroundings() }).await;
    let failed =
        "failed to proxy request: required metadata dapr-callee-app-id or dapr-app-id not found";
    let cannot = "cannot proxy request: missing dapr-callee-app-id or dapr-app-id metadata";
    let unserved = "PublishEvent is not served: Outrigger serves the state API of Dapr";
    for (path, code, traced_text, untraced_text) in [
        ("/dapr.proto.runtime.v1.Dapr/PublishEvent", Code::Unimplemented, unserved, unserved),
        ("/dapr.proto.runtime.v1.Dapr/Nope", Code::Unknown, failed, failed),
        ("/dapr.proto.runtime.v1.AppCallback/OnInvoke", Code::Unknown, failed, failed),
        ("/grpc.health.v1.Health/Check", Code::Unknown, cannot, failed),
        (
            "/nomethod",
            Code::Unimplemented,
            "malformed method name: \"/nomethod\"",
            "malformed method name: \"/nomethod\"",
        ),
    ] {
        let expected = (code, traced_text.to_owned());
        assert_eq!(status_of(edge.port, path, &[]).await, expected, "{path}");
        let expected = (code, untraced_text.to_owned());
        assert_eq!(status_of(untraced.port, path, &[]).await, expected, "{path}");
    }
    let (code, text) = status_of(edge.port, "/a.B/C", &[("dapr-app-id", "other")]).await;
    assert_eq!(code, Code::Unimplemented);
    assert!(text.starts_with("/a.B/C is not served"), "{text}");
}

#[tokio::test]
async fn the_internal_port_serves_nothing() {
    let listener = bind();
    let (port, around) = (listener.port(), surroundings());
    let drain = around.drain.clone();
    tokio::spawn(listener::serve(
        listener,
        Wire::grpc(64 << 10),
        internal_service(around),
        drain,
        Admission::default(),
    ));
    let mut client = DaprClient::new(connect(port).await);
    let refused = client.get_state(get("1")).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unimplemented);
    let path = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
    assert_eq!(status_of(port, path, &[]).await.0, Code::Unknown);
}

#[tokio::test]
async fn messages_in_an_unknown_compression_are_refused() {
    let edge = TestEdge::start().await;
    let path = "/dapr.proto.runtime.v1.Dapr/SaveState";
    let text = "grpc: Decompressor is not installed for grpc-encoding \"deflate\"";
    let expected = (Code::Unimplemented, text.to_owned());
    assert_eq!(status_of(edge.port, path, &[("grpc-encoding", "deflate")]).await, expected);
    for known in ["identity", "gzip"] {
        let message = Full::new(Bytes::from_static(&[0; 5])).boxed();
        let answer = call_raw(edge.port, path, &[("grpc-encoding", known)], message).await;
        let trailers = answer.into_body().collect().await.unwrap();
        assert_eq!(trailers.trailers().unwrap()["grpc-status"], "0", "{known}");
    }
}

#[tokio::test]
async fn every_answer_carries_a_trace_context() {
    let edge = TestEdge::start().await;
    let mut client = edge.client().await;
    let untraced = vec![0, 0].into_iter().chain([0; 16]).chain([1]).chain([0; 8]).chain([2, 0]);
    let untraced: Vec<u8> = untraced.collect();
    let sent = [&[0, 0][..], &[7; 16], &[1], &[8; 8], &[2, 1]].concat();
    let parent = format!("00-{}-{}-01", "07".repeat(16), "08".repeat(8));
    for (binary, text, expected) in [
        (None, None, &untraced),
        (Some(&sent), None, &sent),
        (None, Some(parent.as_str()), &sent),
        (None, Some("junk"), &untraced),
    ] {
        let mut metadata = tonic::metadata::MetadataMap::new();
        if let Some(bytes) = binary {
            let value = tonic::metadata::MetadataValue::from_bytes(bytes);
            metadata.insert_bin("grpc-trace-bin", value);
        }
        if let Some(text) = text {
            metadata.insert("traceparent", text.parse().unwrap());
        }
        let extensions = http::Extensions::default;
        let request = tonic::Request::from_parts(metadata.clone(), extensions(), get("1"));
        let answer = client.get_state(request).await.unwrap();
        let seen = answer.metadata().get_bin("grpc-trace-bin").unwrap().to_bytes().unwrap();
        assert_eq!(&seen[..], expected);
        let failing = wire::GetBulkStateRequest::default();
        let request = tonic::Request::from_parts(metadata, extensions(), failing);
        let error = client.get_bulk_state(request).await.unwrap_err();
        let seen = error.metadata().get_bin("grpc-trace-bin").unwrap().to_bytes().unwrap();
        assert_eq!(&seen[..], expected);
    }
    let off = TestEdge::within(Surroundings { tracing: false, ..surroundings() }).await;
    let answer = off.client().await.get_state(get("1")).await.unwrap();
    assert!(answer.metadata().get_bin("grpc-trace-bin").is_none());
}

#[tokio::test]
async fn baggage_is_checked_and_given_back() {
    let edge = TestEdge::start().await;
    let mut client = edge.client().await;
    let with_baggage = |text: &str| {
        let mut request = tonic::Request::new(get("1"));
        request.metadata_mut().insert("baggage", text.parse().unwrap());
        request
    };
    let answer = client.get_state(with_baggage("a=b")).await.unwrap();
    assert_eq!(answer.metadata().get("baggage").unwrap(), "a=b");
    let refused = client.get_state(with_baggage("=")).await.unwrap_err();
    let text = "invalid baggage header: invalid key: \"\"";
    assert_eq!((refused.code(), refused.message()), (Code::InvalidArgument, text));
}

async fn services_v1(edge: &TestEdge, token: Option<&str>) -> Result<BTreeSet<String>, Status> {
    use pb::v1::{
        ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
        server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
    };
    let question = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let mut request = tonic::Request::new(stream::iter([question]));
    if let Some(token) = token {
        request.metadata_mut().insert("dapr-api-token", token.parse().unwrap());
    }
    let mut client = ServerReflectionClient::new(edge.channel().await);
    let mut answers = client.server_reflection_info(request).await?.into_inner();
    match answers.message().await?.unwrap().message_response.unwrap() {
        MessageResponse::ListServicesResponse(list) => {
            Ok(list.service.into_iter().map(|service| service.name).collect())
        }
        other => panic!("{other:?}"),
    }
}

async fn services_v1alpha(edge: &TestEdge) -> BTreeSet<String> {
    use pb::v1alpha::{
        ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
        server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
    };
    let question = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let mut client = ServerReflectionClient::new(edge.channel().await);
    let questions = stream::iter([question]);
    let mut answers = client.server_reflection_info(questions).await.unwrap().into_inner();
    match answers.message().await.unwrap().unwrap().message_response.unwrap() {
        MessageResponse::ListServicesResponse(list) => {
            list.service.into_iter().map(|service| service.name).collect()
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn reflection_lists_what_is_served() {
    let edge = TestEdge::start().await;
    let expected = [
        "dapr.proto.runtime.v1.Dapr",
        "grpc.reflection.v1.ServerReflection",
        "grpc.reflection.v1alpha.ServerReflection",
    ];
    let expected: BTreeSet<_> = expected.map(str::to_owned).into();
    assert_eq!(services_v1(&edge, None).await.unwrap(), expected);
    assert_eq!(services_v1alpha(&edge).await, expected);
}

#[tokio::test]
async fn drain_waits_for_a_call_and_not_for_idle_connections_or_reflection() {
    use pb::v1::server_reflection_client::ServerReflectionClient;
    let edge = TestEdge::start().await;
    let mut idle = edge.client().await;
    idle.get_state(get("1")).await.unwrap();
    let mut reflecting = ServerReflectionClient::new(edge.channel().await);
    let endless = stream::pending();
    let _open = reflecting.server_reflection_info(endless).await.unwrap();
    let busy = tokio::spawn({
        let mut client = edge.client().await;
        async move { client.get_state(get("wait")).await }
    });
    edge.scripted.entered.notified().await;
    assert_eq!(edge.drain.calls_in_flight(), 1);
    let drained = tokio::spawn({
        let drain = edge.drain.clone();
        async move { drain.idle().await }
    });
    while TcpStream::connect(("127.0.0.1", edge.port)).await.is_ok() {
        tokio::task::yield_now().await;
    }
    assert!(!drained.is_finished());
    edge.scripted.release.notify_one();
    busy.await.unwrap().unwrap();
    tokio::time::timeout(Duration::from_secs(5), drained).await.unwrap().unwrap();
    assert!(idle.get_state(get("1")).await.is_err());
}

#[tokio::test]
async fn a_caller_who_hangs_up_is_no_call_in_flight() {
    let edge = TestEdge::start().await;
    let waiting = tokio::spawn({
        let mut client = edge.client().await;
        async move { client.get_state(get("wait")).await }
    });
    edge.scripted.entered.notified().await;
    waiting.abort();
    edge.drain.idle().await;
    assert_eq!(edge.drain.calls_in_flight(), 0);
}

#[tokio::test]
async fn many_calls_taken_back_at_once_do_not_end_the_connection() {
    let edge = TestEdge::start().await;
    let mut client = edge.client().await;
    for _ in 0..5 {
        let calls = (0..200).map(|_| {
            let mut client = client.clone();
            tokio::spawn(async move { client.get_state(get("wait")).await })
        });
        let calls: Vec<_> = calls.collect();
        tokio::task::yield_now().await;
        calls.iter().for_each(tokio::task::JoinHandle::abort);
    }
    client.get_state(get("1")).await.unwrap();
}

#[tokio::test]
async fn a_long_head_passes_as_in_dapr() {
    let edge = TestEdge::start().await;
    let mut client = edge.client().await;
    let mut request = tonic::Request::new(get("1"));
    request.metadata_mut().insert("x-long", "x".repeat(9000).parse().unwrap());
    client.get_state(request).await.unwrap();
}

/// A bare request over HTTP/2; status, `grpc-status` and `grpc-message`.
async fn bare(port: u16, method: &str, content_type: Option<&str>) -> (u16, String, String) {
    let mut request = Request::builder()
        .method(method)
        .uri("http://localhost/dapr.proto.runtime.v1.Dapr/GetState");
    if let Some(content_type) = content_type {
        request = request.header("content-type", content_type);
    }
    let body = Full::new(Bytes::from_static(b"{\"key\":1}")).boxed();
    let answer = http2_client(port).await.send_request(request.body(body).unwrap()).await.unwrap();
    let header = |name| {
        let value = answer.headers().get(name).map_or("", |value| value.to_str().unwrap());
        value.replace("%20", " ").replace("%22", "\"")
    };
    (answer.status().as_u16(), header("grpc-status"), header("grpc-message"))
}

#[tokio::test]
async fn what_is_no_grpc_is_told_so() {
    let edge = TestEdge::start().await;
    for (method, content_type, expected) in [
        (
            "POST",
            Some("application/json"),
            (415, "3", "Received unexpected content-type \"application/json\""),
        ),
        ("POST", None, (415, "3", "Received unexpected content-type \"\"")),
        (
            "POST",
            Some("application/grpcish"),
            (415, "3", "Received unexpected content-type \"application/grpcish\""),
        ),
        (
            "GET",
            Some("application/grpc"),
            (405, "12", "Received a HEADERS frame with :method \"GET\" which should be POST"),
        ),
    ] {
        let (status, code, message) = bare(edge.port, method, content_type).await;
        assert_eq!((status, code.as_str(), message.as_str()), expected);
    }
    // A body that is no frame is an error of the call and of nothing else.
    let (status, code, _) = bare(edge.port, "POST", Some("application/grpc+proto")).await;
    assert_eq!(status, 200);
    assert_ne!(code, "0");
    assert_eq!(edge.drain.calls_in_flight(), 0);
}

#[tokio::test]
async fn a_rule_closes_rpcs_before_the_token_is_asked_for() {
    let rule = |name: &str| crate::edge::access::ApiName {
        name: name.to_owned(),
        version: "v1".to_owned(),
    };
    let access = Access { allowed: vec![], denied: vec![rule("metadata")] };
    let edge = TestEdge::within(Surroundings {
        access: Some(Arc::new(access)),
        token: ApiToken::new("s3cret"),
        ..surroundings()
    })
    .await;
    let mut client = edge.client().await;
    let closed = client.get_metadata(wire::GetMetadataRequest {}).await.unwrap_err();
    assert_eq!((closed.code(), closed.message()), (Code::Unimplemented, "Not Implemented"));
    let info = closed.get_details_error_info().unwrap();
    assert_eq!((info.reason.as_str(), info.domain.as_str()), ("Not Implemented", "dapr.io"));
    assert_eq!(info.metadata["http.code"], "501");
    assert_eq!(info.metadata["http.error_message"], "requested endpoint is not available");
    let open = client.shutdown(wire::ShutdownRequest {}).await.unwrap_err();
    assert_eq!(open.code(), Code::Unauthenticated);
}
