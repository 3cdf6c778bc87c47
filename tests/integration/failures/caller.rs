//! The calls of the rows, over gRPC and over HTTP, and what came back.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
};

use outrigger::{
    api::failures::Operation,
    proto::{
        common::v1::{Etag, StateItem, StateOptions},
        runtime::v1::{
            DeleteBulkStateRequest, DeleteStateRequest, ExecuteStateTransactionRequest,
            GetBulkStateRequest, GetStateRequest, SaveStateRequest, TransactionalStateOperation,
        },
    },
};
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tonic::{Request, Status};
use tonic_types::StatusExt as _;

use crate::harness::{
    canary,
    client::{Client, block_on, spawn},
    http::{self, Answer},
    sidecar::Sidecar,
};

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Asks {
    pub operation: Operation,
    /// Two items in one save; other calls for several keys have two anyway.
    pub several: bool,
    pub etag: Option<&'static str>,
    pub ttl: Option<&'static str>,
    /// Waits for replicas.
    pub strong: bool,
    /// Waits no longer than that, over gRPC.
    pub deadline: Option<&'static str>,
}

impl Default for Asks {
    fn default() -> Self {
        let (etag, ttl, deadline) = (None, None, None);
        let operation = Operation::Save;
        Self { operation, several: false, etag, ttl, strong: false, deadline }
    }
}

/// What came back, in the words of the table.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Heard {
    /// The code over gRPC or the status over HTTP.
    pub code: String,
    /// The reason over gRPC or the error code over HTTP.
    pub word: Option<String>,
    pub message: String,
    /// What a bulk read said of each key that it could not read.
    pub unread: Vec<String>,
}

/// What every save stores.
pub const VALUE: &str = "1";

/// Both keys of a call for several.
fn keys(key: &str) -> [String; 2] {
    [key.to_owned(), format!("{key}-2")]
}

impl Asks {
    fn items(self, key: &str) -> Vec<StateItem> {
        let has_one = self.operation == Operation::Save && !self.several;
        let keys = keys(key).into_iter().take(if has_one { 1 } else { 2 });
        let ttl = self.ttl.map(|ttl| ("ttlInSeconds".to_owned(), ttl.to_owned()));
        let item = |key| StateItem {
            key,
            value: VALUE.as_bytes().to_vec().into(),
            etag: self.etag(),
            metadata: ttl.clone().into_iter().collect(),
            options: self.strong.then_some(StateOptions { consistency: 2, concurrency: 0 }),
        };
        keys.map(item).collect()
    }

    fn etag(self) -> Option<Etag> {
        self.etag.map(|value| Etag { value: value.to_owned() })
    }

    fn request<T>(self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        // The client's own clock would hide the answer: it goes by the first, the sidecar by the
        // last.
        for timeout in self.deadline.iter().flat_map(|deadline| ["60S", deadline]) {
            request.metadata_mut().append("grpc-timeout", timeout.parse().expect("ASCII"));
        }
        request
    }

    /// Over gRPC.
    pub fn over_grpc(self, client: &Client, store: &str, key: &str) -> Heard {
        block_on(self.call(client.clone(), store.to_owned(), key.to_owned()))
    }

    async fn call(self, client: Client, store_name: String, key: String) -> Heard {
        let mut dapr = client.dapr;
        let answer = match self.operation {
            Operation::Save => {
                let request = SaveStateRequest { store_name, states: self.items(&key) };
                dapr.save_state(self.request(request)).await.map(drop)
            }
            Operation::Get => {
                let request = GetStateRequest { store_name, key, ..Default::default() };
                dapr.get_state(self.request(request)).await.map(drop)
            }
            Operation::Delete => {
                let etag = self.etag();
                let request = DeleteStateRequest { store_name, key, etag, ..Default::default() };
                dapr.delete_state(self.request(request)).await.map(drop)
            }
            Operation::BulkDelete => {
                let request = DeleteBulkStateRequest { store_name, states: self.items(&key) };
                dapr.delete_bulk_state(self.request(request)).await.map(drop)
            }
            Operation::Transaction => {
                let upsert = |item| TransactionalStateOperation {
                    operation_type: "upsert".to_owned(),
                    request: Some(item),
                };
                let operations = self.items(&key).into_iter().map(upsert).collect();
                let metadata = Default::default();
                let request = ExecuteStateTransactionRequest { store_name, operations, metadata };
                dapr.execute_state_transaction(self.request(request)).await.map(drop)
            }
            Operation::BulkGet => {
                let keys = keys(&key).to_vec();
                let request = GetBulkStateRequest { store_name, keys, ..Default::default() };
                let found = dapr.get_bulk_state(self.request(request)).await;
                return match found {
                    Err(status) => heard(&status),
                    Ok(found) => {
                        let items = found.into_inner().items.into_iter().map(|item| item.error);
                        well("OK", items.filter(|error| !error.is_empty()).collect())
                    }
                };
            }
        };
        answer.map_or_else(|status| heard(&status), |()| well("OK", Vec::new()))
    }

    /// Over HTTP, which has no call to delete several keys.
    pub fn over_http(self, sidecar: &Sidecar, store: &str, key: &str) -> Heard {
        let path = format!("/v1.0/state/{store}");
        let of_key = format!("{path}/{key}");
        let items: Vec<Value> = self.items(key).iter().map(|item| self.json(&item.key)).collect();
        let answer = match self.operation {
            Operation::Save => sidecar.http("POST", &path, json!(items).to_string().as_bytes()),
            Operation::Get => sidecar.http("GET", &of_key, b""),
            Operation::Delete => {
                let mut headers = vec![("dapr-api-token", canary::TOKEN)];
                headers.extend(self.etag.map(|etag| ("if-match", etag)));
                http::request("DELETE", sidecar.http_port, &of_key, &headers, b"")
                    .expect("an answer")
            }
            Operation::BulkDelete => panic!("HTTP has no such call"),
            Operation::Transaction => {
                let upsert = |item| json!({ "operation": "upsert", "request": item });
                let operations: Vec<Value> = items.into_iter().map(upsert).collect();
                let body = json!({ "operations": operations }).to_string();
                sidecar.http("POST", &format!("{path}/transaction"), body.as_bytes())
            }
            Operation::BulkGet => {
                let body = json!({ "keys": keys(key) }).to_string();
                sidecar.http("POST", &format!("{path}/bulk"), body.as_bytes())
            }
        };
        heard_over_http(&answer)
    }

    /// Begins a call over gRPC.
    pub fn begin_over_grpc(self, client: &Client, store: &str, key: &str) -> Begun {
        Begun(spawn(self.call(client.clone(), store.to_owned(), key.to_owned())))
    }

    /// Begins a save over HTTP, without reading the answer.
    pub fn begin_over_http(self, sidecar: &Sidecar, store: &str, key: &str) -> TcpStream {
        let body = json!([self.json(key)]).to_string();
        let mut stream = TcpStream::connect(("127.0.0.1", sidecar.http_port)).expect("accepted");
        let head = format!(
            "POST /v1.0/state/{store} HTTP/1.1\r\nhost: x\r\ndapr-api-token: {}\r\n\
             connection: close\r\ncontent-length: {}\r\n\r\n{body}",
            canary::TOKEN,
            body.len()
        );
        stream.write_all(head.as_bytes()).expect("sent");
        stream
    }

    fn json(self, key: &str) -> Value {
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
        item
    }
}

/// A call over gRPC that is under way.
pub struct Begun(JoinHandle<Heard>);

impl Begun {
    /// Waits for what comes back.
    pub fn answer(self) -> Heard {
        block_on(self.0).expect("the call was not aborted")
    }

    pub fn hang_up(self) {
        self.0.abort();
        let _ = block_on(self.0);
    }
}

/// What the sidecar still sends before it closes the connection.
pub fn rest(mut stream: TcpStream) -> String {
    let mut text = String::new();
    stream.read_to_string(&mut text).ok();
    text
}

/// What such a rest says, if it is a whole answer.
pub fn heard_in_rest(rest: &str) -> Heard {
    let (head, body) = rest.split_once("\r\n\r\n").expect("an answer");
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    let (content_type, body) = (String::new(), body.to_owned());
    heard_over_http(&Answer { status: status.expect("a status"), content_type, body })
}

fn heard_over_http(answer: &Answer) -> Heard {
    let body: Value = serde_json::from_str(&answer.body).unwrap_or_default();
    let text = |of: &Value, name: &str| of[name].as_str().map(str::to_owned);
    let items = body.as_array().into_iter().flatten();
    Heard {
        code: answer.status.to_string(),
        word: text(&body, "errorCode"),
        message: text(&body, "message").unwrap_or_default(),
        unread: items.filter_map(|item| text(item, "error")).collect(),
    }
}

fn well(code: &str, unread: Vec<String>) -> Heard {
    Heard { code: code.to_owned(), unread, ..Heard::default() }
}

/// A status in the words of the table.
fn heard(status: &Status) -> Heard {
    // `InvalidArgument` becomes `INVALID_ARGUMENT`.
    let mut code = String::new();
    for letter in format!("{:?}", status.code()).chars() {
        if letter.is_uppercase() && !code.is_empty() {
            code.push('_');
        }
        code.push(letter.to_ascii_uppercase());
    }
    let word = status.get_details_error_info().map(|info| info.reason);
    Heard { code, word, message: status.message().to_owned(), unread: Vec::new() }
}
