//! What each call says and what a right answer is, for both protocols.

use std::fmt::Write as _;

use bytes::{BufMut as _, Bytes};
use http::{Method, Uri, header};
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
    /// The head of every request, but for the path if keys stand in it.
    head: http::Request<()>,
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

/// One call's request: the head, and the body as it goes onto the wire, gRPC's frame included.
pub type Request = http::Request<Bytes>;

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
        let mut head = head(args, &path, !body.is_empty());
        *head.method_mut() = method;
        let (path, body) = (Template::new(path.into_bytes()), Template::new(body));
        Self { head, path, body, keys: args.keys, expected }
    }

    /// The request for the keys from this number on.
    pub fn request(&self, first: u32) -> Request {
        let mut head = self.head.clone();
        if self.path.has_places() {
            *head.uri_mut() = Uri::from_maybe_shared(self.path.fill(first, self.keys))
                .expect("invariant: plain names make a path");
        }
        head.map(|()| self.body.fill(first, self.keys))
    }

    /// The request for keys chosen by chance.
    pub fn any_request(&self, random: &mut fastrand::Rng) -> Request {
        self.request(random.u32(..self.keys))
    }
}

/// What stands at the head of every request.
fn head(args: &Args, path: &str, has_body: bool) -> http::Request<()> {
    let address = args.address.to_string();
    let mut head = http::Request::builder().header(header::USER_AGENT, "outrigger-load");
    head = match args.protocol {
        Protocol::Grpc => head
            .uri(format!("http://{address}{path}"))
            .header(header::TE, "trailers")
            .header(header::CONTENT_TYPE, "application/grpc"),
        Protocol::Http if has_body => head
            .uri(path)
            .header(header::HOST, address)
            .header(header::CONTENT_TYPE, "application/json"),
        Protocol::Http => head.uri(path).header(header::HOST, address),
    };
    head.body(()).expect("invariant: addresses and plain names are right in a head")
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

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    fn message<M: Message + Default>(operation: Operation, first: u32) -> (String, M) {
        let words = "load --address 127.0.0.1:1 --store s --keys 12 --value-bytes 4 --ttl 9";
        let args = Args::parse_from(words.split(' '));
        let request = Messages::new(&args, operation, 3).request(first);
        let (frame, message) = request.body().split_at(5);
        assert_eq!(frame[0], 0);
        assert_eq!(frame[1..], u32::try_from(message.len()).expect("short").to_be_bytes());
        (request.uri().path().to_owned(), M::decode(message).expect("a message"))
    }

    fn saved(number: u32) -> StateItem {
        StateItem {
            key: format!("load-{number:09}"),
            value: "\"xx\"".into(),
            metadata: [("ttlInSeconds".to_owned(), "9".to_owned())].into(),
            ..StateItem::default()
        }
    }

    #[test]
    fn a_call_for_one_key_names_the_store_and_the_key() {
        let (path, get) = message::<GetStateRequest>(Operation::Get, 7);
        assert_eq!(path, "/dapr.proto.runtime.v1.Dapr/GetState");
        assert_eq!((&*get.store_name, &*get.key), ("s", "load-000000007"));
        let (path, save) = message::<SaveStateRequest>(Operation::Save, 7);
        assert_eq!(path, "/dapr.proto.runtime.v1.Dapr/SaveState");
        assert_eq!((&*save.store_name, save.states), ("s", vec![saved(7)]));
        let (path, delete) = message::<DeleteStateRequest>(Operation::Delete, 7);
        assert_eq!(path, "/dapr.proto.runtime.v1.Dapr/DeleteState");
        assert_eq!((&*delete.store_name, &*delete.key), ("s", "load-000000007"));
    }

    #[test]
    fn a_call_for_many_keys_names_those_that_follow_and_begins_again_after_the_last() {
        let (_, save) = message::<SaveStateRequest>(Operation::BulkSave, 10);
        assert_eq!(save.states, [10, 11, 0].map(saved));
        let (path, get) = message::<GetBulkStateRequest>(Operation::BulkGet, 0);
        assert_eq!(path, "/dapr.proto.runtime.v1.Dapr/GetBulkState");
        assert_eq!(get.keys, [0, 1, 2].map(|number| saved(number).key));
        let (path, transaction) =
            message::<ExecuteStateTransactionRequest>(Operation::Transaction, 11);
        assert_eq!(path, "/dapr.proto.runtime.v1.Dapr/ExecuteStateTransaction");
        let operations = transaction.operations.into_iter();
        let upserts: Vec<_> =
            operations.map(|it| (it.operation_type, it.request.expect("an item"))).collect();
        assert_eq!(upserts, [11, 0, 1].map(|number| ("upsert".to_owned(), saved(number))));
    }
}
