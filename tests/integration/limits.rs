//! What is refused at the door: messages that are too large, wrong tokens, methods we do not have.

use std::{ffi::OsStr, os::unix::ffi::OsStrExt as _};

use outrigger::proto::runtime::v1::{GetMetadataRequest, GetStateResponse, SaveStateRequest};
use prost::Message as _;
use tonic::{Code, Status, codegen::http::uri::PathAndQuery};
use tonic_types::StatusExt as _;

use crate::harness::{
    canary::{self, key},
    client::{Client, STORE, block_on, channel, item},
    http,
    redis::Redis,
    sidecar::{APP_ID, Setup},
};

const LIMIT: usize = 4_194_304;

/// A value that makes a request to save it exactly so many bytes long.
fn value_for_request_of(length: usize) -> Vec<u8> {
    let request = |value: Vec<u8>| SaveStateRequest {
        store_name: STORE.into(),
        states: vec![item(&key("big"), value)],
    };
    let value = vec![b'x'; 2 * length - request(vec![b'x'; length]).encoded_len()];
    assert_eq!(request(value.clone()).encoded_len(), length);
    value
}

#[test]
fn a_request_of_exactly_the_limit_passes_and_one_byte_more_does_not() {
    let redis = Redis::start();
    let sidecar = Setup::default().redis(&redis).start();
    sidecar.wait_until_connected();
    let client = sidecar.client();
    let value = value_for_request_of(LIMIT);
    client.save(&key("big"), value.clone()).expect("it fits");
    assert_eq!(
        redis.query::<usize>(&["HSTRLEN", &format!("{APP_ID}||{}", key("big")), "data"]),
        value.len()
    );
    let status = client.save(&key("big"), value_for_request_of(LIMIT + 1)).expect_err("too large");
    let message = "grpc: received message larger than max (4194305 vs. 4194304)";
    assert_eq!((status.code(), status.message()), (Code::ResourceExhausted, message));
    client.save(&key("small"), "1").expect("the connection is as good as before");
    sidecar.finish();
}

#[test]
fn an_answer_of_exactly_the_limit_passes_and_one_byte_more_does_not() {
    let redis = Redis::start();
    let sidecar = Setup::default().redis(&redis).start();
    sidecar.wait_until_connected();
    let client = sidecar.client();
    let answer = |data: Vec<u8>| GetStateResponse {
        data: data.into(),
        etag: "1".into(),
        ..GetStateResponse::default()
    };
    let fitting = 2 * LIMIT - answer(vec![b'x'; LIMIT]).encoded_len();
    for (name, length) in [("fits", fitting), ("does-not", fitting + 1)] {
        let stored = format!("{APP_ID}||{}", key(name));
        redis.query::<()>(&["HSET", &stored, "data", &"x".repeat(length), "version", "1"]);
    }
    let found = client.get(&key("fits")).expect("it fits");
    assert_eq!(found.encoded_len(), LIMIT);
    let status = client.get(&key("does-not")).expect_err("too large");
    let message = "trying to send message larger than max (4194305 vs. 4194304)";
    assert_eq!((status.code(), status.message()), (Code::ResourceExhausted, message));
    sidecar.finish();
}

#[test]
fn a_larger_limit_is_kept_to() {
    let redis = Redis::start();
    let setup = Setup::default().redis(&redis);
    let sidecar = setup.args(&["--max-body-size", "5Mi"]).start();
    sidecar.wait_until_connected();
    let client = sidecar.client();
    client.save(&key("big"), value_for_request_of(5 << 20)).expect("it fits");
    let status = client.save(&key("big"), value_for_request_of((5 << 20) + 1)).expect_err("no");
    let message = "grpc: received message larger than max (5242881 vs. 5242880)";
    assert_eq!((status.code(), status.message()), (Code::ResourceExhausted, message));
    sidecar.finish();
}

#[test]
fn a_body_over_http_ends_at_the_limit() {
    let sidecar = Setup::default().args(&["--max-body-size", "1Ki"]).start();
    let put = |length: usize| sidecar.http("PUT", "/v1.0/metadata/word", &vec![b'x'; length]);
    assert_eq!(put(1024).status, 204);
    assert_eq!(sidecar.client().extended("word").len(), 1024);
    let refused = put(3000);
    assert_eq!(refused.status, 400);
    let body = "{\"errorCode\":\"ERR_BODY_READ\",\
        \"message\":\"failed to read request body: stream too large\"}";
    assert_eq!(refused.body, body);
    sidecar.finish();
}

#[track_caller]
fn assert_unauthorized(status: &Status, reason: &str) {
    assert_eq!((status.code(), status.message()), (Code::Unauthenticated, "Unauthorized"));
    let info = status.get_details_error_info().expect("an ErrorInfo");
    assert_eq!((info.reason.as_str(), info.domain.as_str()), ("Unauthorized", "dapr.io"));
    assert_eq!(info.metadata["http.code"], "401");
    assert_eq!(info.metadata["http.error_message"], reason);
}

#[test]
fn only_the_right_token_opens_grpc() {
    let redis = Redis::start();
    let sidecar = Setup::default().redis(&redis).start();
    sidecar.wait_until_connected();
    let missing = Client::with_token(sidecar.grpc_port, None);
    let status = missing.save(&key("k"), "v").expect_err("no token");
    assert_unauthorized(&status, "missing api token in request metadata");
    let request = block_on(missing.dapr.clone().get_metadata(GetMetadataRequest {}));
    let status = request.expect_err("no token");
    assert_unauthorized(&status, "missing api token in request metadata");
    for wrong in ["no", "canary-token-18d", "canary-token-18d44", "Bearer canary-token-18d4"] {
        let client = Client::with_token(sidecar.grpc_port, Some(wrong));
        let status = client.save(&key("k"), "v").expect_err("a wrong token");
        assert_unauthorized(&status, "authentication error: api token mismatch");
    }
    assert_eq!(redis.query::<u64>(&["DBSIZE"]), 0, "nothing was written");
    sidecar.client().save(&key("k"), "v").expect("the right token");
    sidecar.finish();
}

#[test]
fn only_the_right_token_opens_http() {
    let sidecar = Setup::default().start();
    let get = |path: &str, headers: &[(&str, &str)]| {
        http::request("GET", sidecar.http_port, path, headers, &[]).expect("an answer")
    };
    for headers in
        [&[][..], &[("dapr-api-token", "no")], &[("authorization", "Bearer canary-token-18d4")]]
    {
        for path in ["/v1.0/metadata", "/nope"] {
            let answer = get(path, headers);
            assert_eq!((answer.status, answer.body.as_str()), (401, "invalid api token\n"));
            assert_eq!(answer.content_type, "text/plain; charset=utf-8");
        }
    }
    let shutdown = http::request("POST", sidecar.http_port, "/v1.0/shutdown", &[], &[]);
    assert_eq!(shutdown.expect("an answer").status, 401);
    for path in ["/v1.0/healthz", "/v1.0/healthz/outbound"] {
        assert_eq!(get(path, &[]).status, 204, "health is open to everybody");
    }
    assert_eq!(get("/v1.0/metadata", &[("Dapr-Api-Token", canary::TOKEN)]).status, 200);
    sidecar.finish();
}

#[test]
fn a_token_that_is_no_text_locks_everybody_out() {
    let token = OsStr::from_bytes(b"canary\xff");
    let sidecar = Setup::default().env("DAPR_API_TOKEN", token).start();
    for presented in [&[][..], &[("dapr-api-token", "canary")]] {
        let answer = http::request("GET", sidecar.http_port, "/v1.0/metadata", presented, &[]);
        assert_eq!(answer.expect("an answer").status, 401);
    }
    sidecar.finish();
}

#[test]
fn without_a_token_everybody_is_let_in() {
    let sidecar = Setup::default().without_token().start();
    Client::with_token(sidecar.grpc_port, None).metadata();
    Client::with_token(sidecar.grpc_port, Some("any")).metadata();
    sidecar.finish();
}

fn call(port: u16, path: &'static str) -> Status {
    let mut grpc = tonic::client::Grpc::new(channel(port));
    block_on(async {
        grpc.ready().await.expect("a connection");
        let codec = tonic_prost::ProstCodec::<(), ()>::default();
        let path = PathAndQuery::from_static(path);
        grpc.unary(tonic::Request::new(()), path, codec).await.expect_err("nobody serves it")
    })
}

#[test]
fn methods_that_are_not_served_say_so() {
    let sidecar = Setup::default().without_token().start();
    let status = call(sidecar.grpc_port, "/dapr.proto.runtime.v1.Dapr/PublishEvent");
    assert_eq!(status.code(), Code::Unimplemented);
    assert!(status.message().contains("PublishEvent"), "{status:?}");

    let status = call(sidecar.grpc_port, "/dapr.proto.runtime.v1.Dapr/Novel");
    let message = "failed to proxy request: required metadata dapr-callee-app-id or dapr-app-id \
        not found";
    assert_eq!((status.code(), status.message()), (Code::Unknown, message));

    let status = call(sidecar.grpc_port, "/some.other.Service/Method");
    let message = "cannot proxy request: missing dapr-callee-app-id or dapr-app-id metadata";
    assert_eq!((status.code(), status.message()), (Code::Unknown, message));
    sidecar.finish();
}

/// The services that a version of the reflection service lists.
macro_rules! listed_by {
    ($version:ident, $port:expr) => {{
        use tonic_reflection::pb::$version::{
            ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
            server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
        };
        let mut client = ServerReflectionClient::new(channel($port));
        let request = ServerReflectionRequest {
            host: String::new(),
            message_request: Some(MessageRequest::ListServices(String::new())),
        };
        let answer = block_on(async {
            let stream = futures_util::stream::iter([request]);
            let answers = client.server_reflection_info(stream).await.expect("reflection");
            answers.into_inner().message().await.expect("an answer").expect("one answer")
        });
        let Some(MessageResponse::ListServicesResponse(list)) = answer.message_response else {
            panic!("no list of services: {answer:?}");
        };
        list.service.into_iter().map(|service| service.name).collect::<Vec<String>>()
    }};
}

#[test]
fn reflection_lists_the_service_in_both_versions() {
    let sidecar = Setup::default().without_token().start();
    let name = "dapr.proto.runtime.v1.Dapr".to_owned();
    assert!(listed_by!(v1, sidecar.grpc_port).contains(&name));
    assert!(listed_by!(v1alpha, sidecar.grpc_port).contains(&name));
    sidecar.finish();
}
