//! What each call says and what a right answer is, for both protocols.

use std::fmt::Write as _;

use bytes::{BufMut as _, Bytes};
use http::Method;
use prost::Message;

use crate::{
    args::{Args, Operation, Protocol},
    template::{PLACE, Template},
};

#[allow(clippy::all, clippy::too_many_lines, dead_code, unreachable_pub, reason = "generated")]
mod proto {
    pub mod common {
        pub mod v1 {
            include!(concat!(env!("OUT_DIR"), "/dapr.proto.common.v1.rs"));
        }
    }
    pub mod runtime {
        pub mod v1 {
            include!(concat!(env!("OUT_DIR"), "/dapr.proto.runtime.v1.rs"));
        }
    }
}

use proto::{
    common::v1::StateItem,
    runtime::v1::{
        DeleteStateRequest, ExecuteStateTransactionRequest, GetBulkStateRequest, GetStateRequest,
        SaveStateRequest, TransactionalStateOperation,
    },
};

/// How one kind of call is made and judged.
#[derive(Debug)]
pub struct Messages {
    /// The HTTP method; gRPC has only POST.
    pub method: Method,
    path: Template,
    body: Template,
    keys: u32,
    /// What a right answer says.
    pub expected: Expected,
}

/// What a right answer says.
#[derive(Debug)]
pub enum Expected {
    /// Nothing.
    Nothing,
    /// This value.
    Value(Bytes),
    /// This value so many times.
    Values(Bytes, usize),
}

/// One call's request.
#[derive(Clone, Debug)]
pub struct Request {
    /// The path, which the URL or the gRPC method is.
    pub path: Bytes,
    /// The body as it goes onto the wire, gRPC's frame included.
    pub body: Bytes,
}

impl Messages {
    /// The messages of `operation`, with `items` items if it has many.
    pub fn new(args: &Args, operation: Operation, items: u32) -> Self {
        let value = value(args.value_bytes as usize);
        let (method, path, body) = match args.protocol {
            Protocol::Grpc => {
                let (method, body) = grpc(args, operation, items as usize, &value);
                (Method::POST, format!("/dapr.proto.runtime.v1.Dapr/{method}"), framed(&body))
            }
            Protocol::Http => {
                let (method, path, body) = http(args, operation, items as usize, &value);
                (method, format!("/v1.0/state/{}{path}", args.store), body.into_bytes())
            }
        };
        let expected = match operation {
            Operation::Get => Expected::Value(value),
            Operation::BulkGet => Expected::Values(value, items as usize),
            _ => Expected::Nothing,
        };
        let (path, body) = (Template::new(path.into_bytes()), Template::new(body));
        Self { method, path, body, keys: args.keys, expected }
    }

    /// The request for the keys from this number on.
    pub fn request(&self, first: u32) -> Request {
        Request { path: self.path.fill(first, self.keys), body: self.body.fill(first, self.keys) }
    }

    /// The request for keys chosen by chance.
    pub fn any_request(&self, random: &mut fastrand::Rng) -> Request {
        self.request(random.u32(..self.keys))
    }
}

/// A JSON string of this many bytes, quotes included: a value for both protocols.
fn value(bytes: usize) -> Bytes {
    format!("\"{}\"", "x".repeat(bytes - 2)).into()
}

/// Puts gRPC's five bytes before a message.
fn framed(message: &[u8]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(message.len() + 5);
    frame.put_u8(0);
    frame.put_u32(u32::try_from(message.len()).expect("invariant: a request is below 4 GiB"));
    frame.put_slice(message);
    frame
}

fn grpc(args: &Args, operation: Operation, items: usize, value: &Bytes) -> (&'static str, Vec<u8>) {
    let key = || format!("{}{PLACE}", args.key_prefix);
    let store_name = args.store.clone();
    let item = || StateItem {
        key: key(),
        value: value.clone(),
        metadata: args
            .ttl
            .map(|ttl| ("ttlInSeconds".to_owned(), ttl.to_string()))
            .into_iter()
            .collect(),
        ..StateItem::default()
    };
    let save = |count: usize, store_name: String| SaveStateRequest {
        store_name,
        states: (0..count).map(|_| item()).collect(),
    };
    match operation {
        Operation::Get => {
            let get = GetStateRequest { store_name, key: key(), ..GetStateRequest::default() };
            ("GetState", get.encode_to_vec())
        }
        Operation::Delete => {
            let delete =
                DeleteStateRequest { store_name, key: key(), ..DeleteStateRequest::default() };
            ("DeleteState", delete.encode_to_vec())
        }
        Operation::Save => ("SaveState", save(1, store_name).encode_to_vec()),
        Operation::BulkSave => ("SaveState", save(items, store_name).encode_to_vec()),
        Operation::BulkGet => {
            let keys = (0..items).map(|_| key()).collect();
            let get = GetBulkStateRequest { store_name, keys, ..GetBulkStateRequest::default() };
            ("GetBulkState", get.encode_to_vec())
        }
        Operation::Transaction => {
            let upsert = |_| TransactionalStateOperation {
                operation_type: "upsert".to_owned(),
                request: Some(item()),
            };
            let transaction = ExecuteStateTransactionRequest {
                store_name,
                operations: (0..items).map(upsert).collect(),
                ..ExecuteStateTransactionRequest::default()
            };
            ("ExecuteStateTransaction", transaction.encode_to_vec())
        }
    }
}

/// The method, the path below the store, and the body.
fn http(
    args: &Args,
    operation: Operation,
    items: usize,
    value: &Bytes,
) -> (Method, String, String) {
    let key = format!("{}{PLACE}", args.key_prefix);
    let value = String::from_utf8_lossy(value);
    let mut item = format!("{{\"key\":\"{key}\",\"value\":{value}");
    if let Some(ttl) = args.ttl {
        let _ = write!(item, ",\"metadata\":{{\"ttlInSeconds\":\"{ttl}\"}}");
    }
    item.push('}');
    let list = |entry: &str, count| format!("[{}]", vec![entry; count].join(","));
    match operation {
        Operation::Get => (Method::GET, format!("/{key}"), String::new()),
        Operation::Delete => (Method::DELETE, format!("/{key}"), String::new()),
        Operation::Save => (Method::POST, String::new(), list(&item, 1)),
        Operation::BulkSave => (Method::POST, String::new(), list(&item, items)),
        Operation::BulkGet => {
            let keys = list(&format!("\"{key}\""), items);
            (Method::POST, "/bulk".to_owned(), format!("{{\"keys\":{keys}}}"))
        }
        Operation::Transaction => {
            let operation = format!("{{\"operation\":\"upsert\",\"request\":{item}}}");
            let body = format!("{{\"operations\":{}}}", list(&operation, items));
            (Method::POST, "/transaction".to_owned(), body)
        }
    }
}
