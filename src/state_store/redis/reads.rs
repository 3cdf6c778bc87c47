//! Reads: what waits together is read together.
//!
//! A key alone is read by a plain command, which is the cheapest there is for Redis. Several are
//! read by one script call, which costs Redis little more and us far less per key than as many
//! commands.

use fred::{
    clients::Client,
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
    connection::Lane,
    pump,
    queue::{BATCH_ITEMS, Batch, Piece, Unheard},
    reply::{self, Read, TIMED_OUT},
    scripts::READ,
};
use crate::state_store::{StoreError, StoredKey};

/// Keys that one caller wants to read.
#[derive(Debug)]
pub(super) struct Keys(Vec<StoredKey>);

impl Piece for Keys {
    type Answers = Vec<Read>;

    fn items(&self) -> usize {
        self.0.len()
    }

    fn bytes(&self) -> usize {
        self.0.iter().map(|key| key.as_str().len()).sum()
    }

    fn not_sent(&self, cause: &str) -> Vec<Read> {
        vec![Err(StoreError::Unreachable(cause.to_owned().into())); self.0.len()]
    }
}

/// Reads the keys through the lane's queue; one answer per key, in their order.
pub(super) async fn read(lane: &Lane, keys: &[StoredKey], deadline: Option<Instant>) -> Vec<Read> {
    /// How many pieces one caller may have in the queue: their answers wait for each other.
    const PIECES: usize = 4;
    if keys.len() <= BATCH_ITEMS {
        return read_piece(lane, keys, deadline).await;
    }
    let mut reads = Vec::with_capacity(keys.len());
    let mut left = keys.chunks(BATCH_ITEMS);
    let mut pieces = FuturesOrdered::new();
    loop {
        while pieces.len() < PIECES
            && let Some(keys) = left.next()
        {
            pieces.push_back(read_piece(lane, keys, deadline));
        }
        match pieces.next().await {
            Some(piece) => reads.extend(piece),
            None => return reads,
        }
    }
}

async fn read_piece(lane: &Lane, keys: &[StoredKey], deadline: Option<Instant>) -> Vec<Read> {
    let piece = Keys(keys.to_vec());
    let error = match lane.read(piece) {
        Ok(ticket) => match ticket.answer(deadline).await {
            Ok(reads) => return reads,
            Err(Unheard::Withdrawn) => StoreError::Unreachable(TIMED_OUT.to_owned().into()),
            Err(Unheard::TimedOut) => StoreError::Lost(TIMED_OUT.to_owned().into()),
            Err(Unheard::Lost) => StoreError::Lost(lane.cause().into()),
        },
        Err(cause) => StoreError::Unreachable(cause.into()),
    };
    vec![Err(error); keys.len()]
}

/// Reads a batch and tells everybody what was found.
pub(super) async fn serve(lane: &Lane, client: &Client, batch: Batch<Keys>) {
    let keys: Vec<&StoredKey> = batch.pieces().flat_map(|piece| &piece.0).collect();
    let reads = Reads { lane, client };
    let found = match &keys[..] {
        [key] => vec![reads.one(key).await],
        keys => reads.several(keys).await,
    };
    let mut found = found.into_iter();
    for parcel in batch.0 {
        // A caller who is gone needs no answer.
        let _ = parcel.answer.send(found.by_ref().take(parcel.piece.0.len()).collect());
    }
}

/// Reads on one connection.
struct Reads<'c> {
    lane: &'c Lane,
    client: &'c Client,
}

impl Reads<'_> {
    async fn several(&self, keys: &[&StoredKey]) -> Vec<Read> {
        let mut found = Vec::with_capacity(keys.len());
        while let Some(left) = keys.get(found.len()..)
            && !left.is_empty()
        {
            match self.call(left).await {
                Ok(value) => match reply::reads(value, left.len()) {
                    Ok(some) => found.extend(some),
                    Err(error) => found.resize(keys.len(), Err(error)),
                },
                Err(error) if reply::refuses_scripts(&error) => {
                    found.extend(join_all(left.iter().map(|key| self.one(key))).await);
                }
                Err(error) => found.resize(keys.len(), Err(reply::read_error(&error))),
            }
        }
        found
    }

    async fn call(&self, keys: &[&StoredKey]) -> Result<Value, Error> {
        let names = || keys.iter().map(|key| Key::from(key.as_str())).collect::<Vec<_>>();
        let reply = self.watched(self.client.evalsha(READ.sha, names(), ())).await;
        if reply.as_ref().is_err_and(reply::is_unknown_script) {
            return self.watched(self.client.eval(READ.text, names(), ())).await;
        }
        reply
    }

    async fn one(&self, key: &StoredKey) -> Read {
        match self.watched(self.client.hgetall(key.as_str())).await {
            Ok(Value::Map(fields)) => reply::entry(fields),
            Ok(_) => Err(StoreError::Refused("HGETALL gave no map".to_owned())),
            Err(error) if reply::is_wrong_type(&error) => {
                let reply = self.watched(self.client.get(key.as_str())).await;
                reply.map(reply::plain_entry).map_err(|error| reply::read_error(&error))
            }
            Err(error) => Err(reply::read_error(&error)),
        }
    }

    /// Watches one command on the wire.
    async fn watched(
        &self,
        command: impl Future<Output = Result<Value, Error>>,
    ) -> Result<Value, Error> {
        let on_wire = self.lane.pulse.hand_over();
        let reply = command.await;
        pump::settle(on_wire, &reply);
        if let Err(error) = &reply {
            self.lane.heard(error.details());
        }
        reply
    }
}
