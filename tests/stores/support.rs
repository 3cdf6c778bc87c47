//! Short ways to say what the tests say often.

use std::{future::Future, sync::Arc, time::Duration};

use bytes::Bytes;
use outrigger::state_store::{
    Answers, Change, Concurrency, Consistency, Entry, Found, SharedWrites, StateStore, StoreError,
    StoredKey, Write,
    redis::{RedisStore, health::RedisHealth, settings::RedisSettings},
};

use crate::redis::Server;

/// A store on this server.
pub fn store_on(server: &Server) -> RedisStore {
    store_with(server, &[])
}

/// A store on this server with these settings more.
pub fn store_with(server: &Server, metadata: &[(&str, &str)]) -> RedisStore {
    store_at(server.port, metadata)
}

/// A store on whatever listens on this port.
pub fn store_at(port: u16, metadata: &[(&str, &str)]) -> RedisStore {
    let host = format!("localhost:{port}");
    let all = [("redisHost", host.as_str())].into_iter().chain(metadata.iter().copied());
    let all: Vec<_> = all.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let (settings, _) = RedisSettings::parse(&all).unwrap();
    let health = Arc::new(RedisHealth::new("statestore (state.redis/v1)"));
    RedisStore::new("statestore", Arc::new(settings), health)
}

pub fn key(text: &str) -> StoredKey {
    StoredKey::new(text.to_owned())
}

pub fn set(name: &str, value: impl Into<Bytes>) -> Write {
    Write {
        key: key(name),
        change: Change::Set { value: value.into(), ttl: None },
        etag: None,
        concurrency: Concurrency::Unspecified,
        consistency: Consistency::Unspecified,
    }
}

pub fn delete(name: &str) -> Write {
    Write { change: Change::Delete, ..set(name, "") }
}

/// What the tests add to a write.
pub trait WriteWith: Sized {
    fn etag(self, etag: &str) -> Self;
    fn ttl(self, text: &str) -> Self;
    fn first_write(self) -> Self;
    fn last_write(self) -> Self;
    fn strong(self) -> Self;
}

impl WriteWith for Write {
    fn etag(mut self, etag: &str) -> Self {
        self.etag = Some(etag.to_owned());
        self
    }

    fn ttl(mut self, text: &str) -> Self {
        if let Change::Set { ttl, .. } = &mut self.change {
            *ttl = Some(text.to_owned());
        }
        self
    }

    fn first_write(mut self) -> Self {
        self.concurrency = Concurrency::FirstWrite;
        self
    }

    fn last_write(mut self) -> Self {
        self.concurrency = Concurrency::LastWrite;
        self
    }

    fn strong(mut self) -> Self {
        self.consistency = Consistency::Strong;
        self
    }
}

/// Prepares and carries out one write.
pub async fn write(store: &impl StateStore, write: Write) -> Result<(), StoreError> {
    let prepared = store.prepare(write)?;
    store.written(&SharedWrites::new(vec![prepared])).await.pop().unwrap()
}

/// What a try that is waited for to its end tells: every write's answer.
pub trait InFull: StateStore {
    /// As `write`.
    async fn written(&self, writes: &SharedWrites) -> Vec<Result<(), StoreError>> {
        let mut answers = Answers::new(writes.len());
        self.write(writes, &mut answers).await;
        answers.into_iter().map(|answer| answer.expect("an answer for each write")).collect()
    }

    /// As `get_many`.
    async fn found(&self, keys: &[StoredKey]) -> Vec<Result<Option<Entry>, StoreError>> {
        let mut found = Found::new(keys.len());
        self.get_many(keys, &mut found).await;
        found.into_iter().map(|answer| answer.expect("an answer for each key")).collect()
    }

    /// As `transact`.
    async fn transacted(&self, writes: &SharedWrites) -> Vec<Result<(), StoreError>> {
        let mut answers = Answers::new(writes.len());
        self.transact(writes, &mut answers).await;
        answers.into_iter().map(|answer| answer.expect("an answer for each write")).collect()
    }
}

impl<S: StateStore> InFull for S {}

/// Prepares several writes that are well-formed.
pub fn prepare(store: &impl StateStore, writes: Vec<Write>) -> SharedWrites {
    let prepared = writes.into_iter().map(|write| store.prepare(write).unwrap());
    SharedWrites::new(prepared.collect())
}

pub async fn read(store: &impl StateStore, name: &str) -> Option<Entry> {
    store.get(&key(name)).await.unwrap()
}

pub async fn etag(store: &impl StateStore, name: &str) -> String {
    read(store, name).await.unwrap().etag.unwrap()
}

/// Tries until the condition is met; fails after ten seconds.
pub async fn eventually<F: Future<Output = bool>>(what: &str, mut condition: impl FnMut() -> F) {
    for _ in 0..2000 {
        if condition().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("never: {what}");
}

/// Whether the error says that a version did not match.
pub fn is_mismatch(result: &Result<(), StoreError>) -> bool {
    matches!(result, Err(StoreError::EtagMismatch(_)))
}
