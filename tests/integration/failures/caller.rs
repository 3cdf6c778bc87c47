//! The calls of the rows, over gRPC and over HTTP, and what came back.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
};

use outrigger::proto::{
    common::v1::{Etag, StateItem, StateOptions},
    runtime::v1::{GetStateRequest, SaveStateRequest},
};
use serde_json::{Value, json};
use tonic::{Request, Status};
use tonic_types::StatusExt as _;

use crate::harness::{
    canary,
    client::{Client, block_on, spawn},
    sidecar::Sidecar,
};

/// What is asked for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Asks {
    /// A read instead of a save.
    pub reads: bool,
    pub etag: Option<&'static str>,
    pub ttl: Option<&'static str>,
    /// Waits for replicas.
    pub strong: bool,
    /// Waits no longer than that, over gRPC.
    pub deadline: Option<&'static str>,
}

/// What came back, in the words of the table.
#[derive(Debug, PartialEq, Eq)]
pub struct Heard {
    /// The code over gRPC or the status over HTTP.
    pub code: String,
    /// The reason over gRPC or the error code over HTTP.
    pub word: Option<String>,
    pub message: String,
}

/// What every save stores.
pub const VALUE: &str = "1";

impl Asks {
    fn save_request(self, store: &str, key: &str) -> SaveStateRequest {
        let item = StateItem {
            key: key.to_owned(),
            value: VALUE.as_bytes().to_vec().into(),
            etag: self.etag.map(|value| Etag { value: value.to_owned() }),
            metadata: self
                .ttl
                .map(|ttl| ("ttlInSeconds".to_owned(), ttl.to_owned()))
                .into_iter()
                .collect(),
            options: self.strong.then_some(StateOptions { consistency: 2, concurrency: 0 }),
        };
        SaveStateRequest { store_name: store.to_owned(), states: vec![item] }
    }

    /// Over gRPC.
    pub fn over_grpc(self, client: &Client, store: &str, key: &str) -> Heard {
        let mut dapr = client.dapr.clone();
        let answer = if self.reads {
            let (store_name, key) = (store.to_owned(), key.to_owned());
            let request = GetStateRequest { store_name, key, ..Default::default() };
            block_on(dapr.get_state(request)).map(drop)
        } else {
            let mut request = Request::new(self.save_request(store, key));
            if let Some(deadline) = self.deadline {
                // The client's own clock would hide the answer: it goes by the first, the sidecar
                // by the last.
                for timeout in ["60S", deadline] {
                    request.metadata_mut().append("grpc-timeout", timeout.parse().expect("ASCII"));
                }
            }
            block_on(dapr.save_state(request)).map(drop)
        };
        match answer {
            Ok(()) => Heard { code: "OK".to_owned(), word: None, message: String::new() },
            Err(status) => heard(&status),
        }
    }

    /// Over HTTP.
    pub fn over_http(self, sidecar: &Sidecar, store: &str, key: &str) -> Heard {
        let path = format!("/v1.0/state/{store}");
        let answer = if self.reads {
            sidecar.http("GET", &format!("{path}/{key}"), b"")
        } else {
            sidecar.http("POST", &path, self.body(key).as_bytes())
        };
        let body: Value = serde_json::from_str(&answer.body).unwrap_or_default();
        let text = |name: &str| body[name].as_str().map(str::to_owned);
        Heard {
            code: answer.status.to_string(),
            word: text("errorCode"),
            message: text("message").unwrap_or_default(),
        }
    }

    /// Begins a save over gRPC; what is returned hangs up.
    pub fn begin_over_grpc(self, client: &Client, store: &str, key: &str) -> impl FnOnce() + use<> {
        let (mut dapr, request) = (client.dapr.clone(), self.save_request(store, key));
        let call = spawn(async move { dapr.save_state(request).await.map(drop) });
        move || {
            call.abort();
            let _ = block_on(call);
        }
    }

    /// Begins a save over HTTP, without reading the answer.
    pub fn begin_over_http(self, sidecar: &Sidecar, store: &str, key: &str) -> TcpStream {
        let body = self.body(key);
        let mut stream = TcpStream::connect(("127.0.0.1", sidecar.http_port)).expect("accepted");
        let head = format!(
            "POST /v1.0/state/{store} HTTP/1.1\r\nhost: x\r\ndapr-api-token: {}\r\n\
             content-length: {}\r\n\r\n{body}",
            canary::TOKEN,
            body.len()
        );
        stream.write_all(head.as_bytes()).expect("sent");
        stream
    }

    fn body(self, key: &str) -> String {
        let mut item = json!({ "key": key, "value": 1 });
        if let Some(etag) = self.etag {
            item["etag"] = etag.into();
        }
        if let Some(ttl) = self.ttl {
            item["metadata"] = json!({ "ttlInSeconds": ttl });
        }
        if self.strong {
            item["options"] = json!({ "consistency": "strong" });
        }
        json!([item]).to_string()
    }
}

/// What the sidecar still sends before it closes the connection.
pub fn rest(mut stream: TcpStream) -> String {
    let mut text = String::new();
    stream.read_to_string(&mut text).ok();
    text
}

/// A status in the words of the table.
pub fn heard(status: &Status) -> Heard {
    // `InvalidArgument` becomes `INVALID_ARGUMENT`.
    let mut code = String::new();
    for letter in format!("{:?}", status.code()).chars() {
        if letter.is_uppercase() && !code.is_empty() {
            code.push('_');
        }
        code.push(letter.to_ascii_uppercase());
    }
    let word = status.get_details_error_info().map(|info| info.reason);
    Heard { code, word, message: status.message().to_owned() }
}
