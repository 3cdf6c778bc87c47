//! Reads: one key by a plain command, several by one script call.
//!
//! A plain command is the cheaper one for Redis and shares its write to the socket with others; a
//! script call is far cheaper for us per key.

use fred::{
    error::Error,
    interfaces::{HashesInterface, KeysInterface, LuaInterface},
    types::{Key, Value},
};
use futures_util::{
    future::join_all,
    stream::{FuturesOrdered, StreamExt},
};
use tokio::time::Instant;

use super::{
    RedisStore,
    connection::Turn,
    pump,
    reply::{self, Read, TIMED_OUT},
    scripts::READ,
    within,
};
use crate::state_store::{StoreError, StoredKey};

/// The most keys of one script call: it keeps everybody else in Redis waiting.
const CALL_KEYS: usize = 128;
/// How many script calls one caller may have on the wire.
const CALLS: usize = 4;

impl RedisStore {
    // What happens rarely is boxed: else every read would be as large as its rarest way.

    /// Reads one key.
    pub(super) async fn read_one(&self, key: &StoredKey) -> Read {
        match self.inner.main.turn_now() {
            Some(turn) => self.read(&turn, key).await,
            None => {
                let later = async |turn: &Turn| self.read(turn, key).await;
                Box::pin(self.later(later)).await.and_then(|read| read)
            }
        }
    }

    /// Reads several keys; one answer per key, in their order.
    pub(super) async fn read_many(&self, keys: &[StoredKey]) -> Vec<Read> {
        if let [key] = keys {
            return vec![self.read_one(key).await];
        }
        let mut reads = Vec::with_capacity(keys.len());
        let mut left = keys.chunks(CALL_KEYS);
        let mut calls = FuturesOrdered::new();
        loop {
            while calls.len() < CALLS
                && let Some(keys) = left.next()
            {
                calls.push_back(self.read_piece(keys));
            }
            match calls.next().await {
                Some(piece) => reads.extend(piece),
                None => return reads,
            }
        }
    }

    async fn read_piece(&self, keys: &[StoredKey]) -> Vec<Read> {
        let mut reads = Vec::with_capacity(keys.len());
        while let Some(left) = keys.get(reads.len()..)
            && !left.is_empty()
        {
            let called = match self.inner.main.turn_now() {
                Some(turn) => Ok(self.read_by_script(&turn, left).await),
                None => {
                    let later = async |turn: &Turn| self.read_by_script(turn, left).await;
                    Box::pin(self.later(later)).await
                }
            };
            match called {
                Ok(Ok(value)) => match reply::reads(value, left.len()) {
                    Ok(some) => reads.extend(some),
                    Err(error) => reads.resize(keys.len(), Err(error)),
                },
                Ok(Err(error)) if reply::refuses_scripts(&error) => {
                    let each = left.iter().map(|key| self.read_one(key));
                    reads.extend(Box::pin(join_all(each)).await);
                }
                Ok(Err(error)) => reads.resize(keys.len(), Err(reply::read_error(&error))),
                Err(error) => reads.resize(keys.len(), Err(error)),
            }
        }
        reads
    }

    async fn read(&self, turn: &Turn, key: &StoredKey) -> Read {
        let on_wire = self.inner.main.queue.pulse().hand_over();
        let reply = turn.client().hgetall::<Value, _>(key.as_str()).await;
        pump::settle(on_wire, &reply);
        match reply {
            Ok(Value::Map(fields)) => reply::entry(fields),
            Ok(_) => Err(StoreError::Refused("HGETALL gave no map".to_owned())),
            Err(error) if reply::is_wrong_type(&error) => {
                Box::pin(self.read_plain(turn, key)).await
            }
            Err(error) => Err(self.failed(&error)),
        }
    }

    async fn read_plain(&self, turn: &Turn, key: &StoredKey) -> Read {
        let on_wire = self.inner.main.queue.pulse().hand_over();
        let reply = turn.client().get::<Value, _>(key.as_str()).await;
        pump::settle(on_wire, &reply);
        reply.map(reply::plain_entry).map_err(|error| self.failed(&error))
    }

    async fn read_by_script(&self, turn: &Turn, keys: &[StoredKey]) -> Result<Value, Error> {
        let names = || keys.iter().map(|key| Key::from(key.as_str())).collect::<Vec<_>>();
        let on_wire = self.inner.main.queue.pulse().hand_over();
        let mut reply = turn.client().evalsha(READ.sha, names(), ()).await;
        if reply.as_ref().is_err_and(reply::is_unknown_script) {
            reply = turn.client().eval(READ.text, names(), ()).await;
        }
        pump::settle(on_wire, &reply);
        if let Err(error) = &reply {
            self.inner.main.heard(error.details());
        }
        reply
    }

    fn failed(&self, error: &Error) -> StoreError {
        self.inner.main.heard(error.details());
        reply::read_error(error)
    }

    /// Reads when there is no connection yet or too many reads are on the wire.
    async fn later<T>(&self, read: impl AsyncFnOnce(&Turn) -> T) -> Result<T, StoreError> {
        let deadline = self.inner.settings.read_timeout.map(|time| Instant::now() + time);
        let lane = &self.inner.main;
        let unreachable = |cause: String| StoreError::Unreachable(cause.into());
        let too_late = || Err(TIMED_OUT.to_owned());
        let connection = within(deadline, lane.connection()).await.unwrap_or_else(too_late);
        let connection = connection.map_err(unreachable)?;
        let turn = match within(deadline, connection.turn()).await {
            Some(Some(turn)) => turn,
            Some(None) => {
                let cause = lane.queue.cause().unwrap_or_else(|| "EOF".to_owned());
                return Err(unreachable(cause));
            }
            None => return Err(unreachable(TIMED_OUT.to_owned())),
        };
        let read = within(deadline, read(&turn)).await;
        read.ok_or_else(|| StoreError::Lost(TIMED_OUT.to_owned().into()))
    }
}
