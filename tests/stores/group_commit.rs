//! Group commit: what waits together is sent together, and nobody notices.
//!
//! Each item is judged and answered on its own, in the order in which callers asked; whoever leaves
//! before sending takes the item along.

mod apart;
mod chaos;
mod counts;
mod faults;
mod leaving;
mod programs;
pub mod proxy;
mod rules;

use std::future::Future;

use futures_util::future::{join_all, poll_immediate};
use outrigger::state_store::{StoreError, Write, redis::RedisStore};

use crate::{
    redis::Server,
    support::{read, store_at, store_with, write},
};

/// No test here is about deadlines, and the machine may be busy.
const PATIENT: [(&str, &str); 2] = [("readTimeout", "60000"), ("writeTimeout", "60000")];

/// A store on this server that waits long, and is connected.
async fn patient_store(server: &Server) -> RedisStore {
    connected(store_with(server, &PATIENT)).await
}

/// The same through a proxy.
async fn patient_store_at(port: u16) -> RedisStore {
    connected(store_at(port, &PATIENT)).await
}

async fn connected(store: RedisStore) -> RedisStore {
    assert_eq!(read(&store, "missing").await, None);
    store
}

/// Each write by a caller of its own, all at once.
async fn at_once(store: &RedisStore, writes: Vec<Write>) -> Vec<Result<(), StoreError>> {
    join_all(writes.into_iter().map(|one| write(store, one))).await
}

/// Lets a call begin: what it has to queue is queued afterwards.
async fn begin<F: Future + Unpin>(call: &mut F) {
    assert!(poll_immediate(call).await.is_none(), "the call ended at once");
}

/// How many batches the server has seen: calls of the write script, by name or by text.
fn batches(server: &Server) -> u64 {
    let calls = server.view().all_calls();
    ["evalsha", "eval"].iter().filter_map(|name| calls.get(*name)).sum()
}

fn lost(result: &Result<(), StoreError>) -> bool {
    matches!(result, Err(StoreError::Lost(_)))
}
