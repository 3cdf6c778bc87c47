//! The published `grpcurl` with its default settings: what it needs to know about our messages, it
//! asks the sidecar.

use std::{
    path::PathBuf,
    process::{Command, Output},
};

use serde_json::{Value, json};

use crate::harness::{
    canary::{self, key},
    programs::built,
    redis::Redis,
    sidecar::{APP_ID, Setup},
};

const SERVICE: &str = "dapr.proto.runtime.v1.Dapr";
// `canary-value-90ab`, as JSON spells bytes.
const VALUE_IN_BASE64: &str = "Y2FuYXJ5LXZhbHVlLTkwYWI=";

/// grpcurl beside a sidecar on this port.
struct Grpcurl {
    program: PathBuf,
    port: u16,
}

impl Grpcurl {
    fn run(&self, flags: &[&str], words: &[&str]) -> Output {
        let mut command = Command::new(&self.program);
        command.arg("-plaintext").args(flags).arg(format!("localhost:{}", self.port)).args(words);
        command.output().expect("grpcurl runs")
    }

    /// What it prints.
    #[track_caller]
    fn told(&self, flags: &[&str], words: &[&str]) -> String {
        let output = self.run(flags, words);
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{flags:?} {words:?}: {error}");
        String::from_utf8(output.stdout).expect("UTF-8")
    }

    /// What a method answers.
    #[track_caller]
    fn answered(&self, method: &str, request: &Value) -> Value {
        let text = self.told(&["-d", &request.to_string()], &[&format!("{SERVICE}/{method}")]);
        serde_json::from_str(&text).expect("JSON")
    }
}

#[test]
fn grpcurl_lists_describes_saves_and_gets_by_reflection_alone() {
    let Some(program) = built("go/grpcurl", "go") else { return };
    let redis = Redis::start();
    let sidecar = Setup::default().redis(&redis).without_token().start();
    sidecar.wait_until_connected();
    let grpcurl = Grpcurl { program, port: sidecar.grpc_port };

    let services = grpcurl.told(&[], &["list"]);
    let reflection = "grpc.reflection.v1.ServerReflection";
    for service in [SERVICE, reflection, "grpc.reflection.v1alpha.ServerReflection"] {
        assert!(services.lines().any(|line| line == service), "{services}");
    }
    let methods = grpcurl.told(&[], &["list", SERVICE]);
    for method in ["SaveState", "GetState", "DeleteState", "GetMetadata", "Shutdown"] {
        let method = format!("{SERVICE}.{method}");
        assert!(methods.lines().any(|line| line == method), "{methods}");
    }
    let service = grpcurl.told(&[], &["describe"]);
    assert!(service.contains("rpc SaveState ( .dapr.proto.runtime.v1.SaveStateRequest )"));
    let request = grpcurl.told(&[], &["describe", "dapr.proto.runtime.v1.SaveStateRequest"]);
    assert!(request.contains("repeated .dapr.proto.common.v1.StateItem states = 2;"), "{request}");
    let item = grpcurl.told(&["-msg-template"], &["describe", "dapr.proto.common.v1.StateItem"]);
    assert!(item.contains("\"concurrency\": \"CONCURRENCY_UNSPECIFIED\""), "{item}");

    let item = json!({ "key": key("g"), "value": VALUE_IN_BASE64 });
    let save = json!({ "storeName": "statestore", "states": [item] });
    assert_eq!(grpcurl.answered("SaveState", &save), json!({}));
    let stored = format!("{APP_ID}||{}", key("g"));
    assert_eq!(redis.field(&stored, "data").as_deref(), Some(canary::VALUE));
    let found =
        grpcurl.answered("GetState", &json!({ "storeName": "statestore", "key": key("g") }));
    assert_eq!(found, json!({ "data": VALUE_IN_BASE64, "etag": "1" }));
    sidecar.finish();
}

#[test]
fn grpcurl_shows_a_refusal_with_its_details_and_can_send_the_token() {
    let Some(program) = built("go/grpcurl", "go") else { return };
    let sidecar = Setup::default().start();
    let grpcurl = Grpcurl { program, port: sidecar.grpc_port };
    let token = format!("dapr-api-token: {}", canary::TOKEN);
    let request = r#"{"storeName": "nope", "key": "1"}"#;
    let get = format!("{SERVICE}/GetState");
    let output = grpcurl.run(&["-H", &token, "-d", request], &[&get]);
    let error = String::from_utf8_lossy(&output.stderr);
    // grpcurl ends with 64 plus the code of the call.
    assert_eq!(output.status.code(), Some(64 + 9), "{error}");
    assert!(error.contains("Message: state store nope is not configured"), "{error}");
    assert!(error.contains("\"reason\": \"DAPR_STATE_NOT_CONFIGURED\""), "{error}");

    let output = grpcurl.run(&["-d", request], &[&get]);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && error.contains("Unauthorized"), "{error}");
    sidecar.finish();
}
