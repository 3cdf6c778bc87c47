//! Reads: what waits together is read together.
//!
//! A key alone is read by a plain command, which is the cheapest there is for Redis. Several are
//! read by one script call, which costs Redis little more and us far less per key than as many
//! commands.

use std::{collections::VecDeque, pin::pin, slice, sync::Arc};

use fred::{
    error::{Error, ErrorKind},
    interfaces::{ClientLike, KeysInterface, LuaInterface},
    types::{ClusterHash, CustomCommand, Key, Value},
};
use futures_util::{
    future::{FutureExt as _, join_all},
    stream::{FuturesUnordered, StreamExt},
};
use smallvec::SmallVec;
use tokio::time::Instant;

use super::{
    attendant::Attendant,
    connection::{Connection, Lane},
    queue::{BATCH_ITEMS, Batch, Parcel, Piece, Unheard},
    reply::{self, Read, TIMED_OUT},
    scripts::READ,
};
use crate::state_store::{Found, StoreError, StoredKey};

/// Keys that one caller wants to read: most often one.
#[derive(Debug)]
pub(super) struct Keys(SmallVec<[StoredKey; 1]>);

impl Piece for Keys {
    type Answers = Vec<Read>;

    fn items(&self) -> usize {
        self.0.len()
    }

    fn bytes(&self) -> usize {
        self.0.iter().map(|key| key.bytes().len()).sum()
    }

    fn not_sent(&self, cause: &str) -> Vec<Read> {
        vec![Err(StoreError::Unreachable(cause.to_owned().into())); self.0.len()]
    }
}

/// A key that is read past the queue.
#[derive(Debug)]
pub(super) struct LoneRead {
    lane: Arc<Lane>,
    connection: Arc<Connection>,
    key: StoredKey,
}

/// Reads one key after another.
pub(super) fn attendant() -> Attendant<'static, LoneRead, Read> {
    Attendant::new(|LoneRead { lane, connection, key }| async move {
        Reads { lane: &lane, connection: &connection }.one(&key).await
    })
}

/// Reads a key past the lane's queue, if calls come one at a time and nothing is on the wire.
pub(super) fn read_alone<'l>(
    lane: &'l Arc<Lane>,
    key: &StoredKey,
    deadline: Option<Instant>,
) -> Option<impl Future<Output = Read> + use<'l>> {
    if !lane.lone_reads.is_likely() {
        return None;
    }
    let connection = lane.idle_connection()?;
    let read = LoneRead { lane: lane.clone(), connection, key: key.clone() };
    let read = lane.lone_reads.begin(read, deadline)?;
    let late = |_| Err(StoreError::Lost(TIMED_OUT.to_owned().into()));
    Some(read.map(move |read| read.unwrap_or_else(late)))
}

/// Reads a key through the lane's queue.
pub(super) async fn read_one(lane: &Lane, key: &StoredKey, deadline: Option<Instant>) -> Read {
    let mut reads = read_piece(lane, slice::from_ref(key), deadline).await;
    reads.pop().expect("invariant: one key has one answer")
}

/// Reads the keys through the lane's queue, and fills in what is found as it is heard.
pub(super) async fn read(
    lane: &Lane,
    keys: &[StoredKey],
    deadline: Option<Instant>,
    found: &mut Found,
) {
    /// How many pieces one caller may have in the queue: their answers wait for each other.
    const PIECES: usize = 4;
    if keys.len() <= BATCH_ITEMS {
        return found.fill(0, read_piece(lane, keys, deadline).await);
    }
    let mut left = (0..keys.len()).step_by(BATCH_ITEMS).zip(keys.chunks(BATCH_ITEMS));
    let mut pieces = FuturesUnordered::new();
    loop {
        while pieces.len() < PIECES
            && let Some((first, keys)) = left.next()
        {
            pieces.push(read_piece(lane, keys, deadline).map(move |reads| (first, reads)));
        }
        match pieces.next().await {
            Some((first, reads)) => found.fill(first, reads),
            None => return,
        }
    }
}

async fn read_piece(lane: &Lane, keys: &[StoredKey], deadline: Option<Instant>) -> Vec<Read> {
    let piece = Keys(keys.into());
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

/// Reads a batch, and tells everybody what was found as soon as it was.
pub(super) async fn serve(lane: &Lane, connection: &Connection, batch: Batch<Keys>) {
    let reads = Reads { lane, connection };
    let mut parcels = VecDeque::from(batch.0);
    // Of the first parcel, if not all its keys were read yet.
    let mut found = VecDeque::new();
    while !parcels.is_empty() {
        let keys = parcels.iter().flat_map(|parcel| &parcel.piece.0);
        let left: Vec<&StoredKey> = keys.skip(found.len()).collect();
        found.extend(match &left[..] {
            [key] => vec![reads.one(key).await],
            left => reads.several(left).await,
        });
        while let Some(parcel) = parcels.pop_front_if(|parcel| parcel.piece.0.len() <= found.len())
        {
            // A caller who is gone needs no answer.
            let _ = parcel.answer.send(found.drain(..parcel.piece.0.len()).collect());
        }
        leave_out_those_who_left(&mut parcels, &mut found);
    }
}

/// Takes out the parcels nobody waits for any more, and what was found for the first one.
fn leave_out_those_who_left(parcels: &mut VecDeque<Parcel<Keys>>, found: &mut VecDeque<Read>) {
    if parcels.front().is_some_and(|parcel| parcel.answer.is_closed()) {
        found.clear();
    }
    parcels.retain(|parcel| !parcel.answer.is_closed());
}

/// Reads on one connection.
struct Reads<'c> {
    lane: &'c Lane,
    connection: &'c Connection,
}

impl Reads<'_> {
    /// What is found under the first of the keys: at least one, fewer than all if they are large.
    async fn several(&self, keys: &[&StoredKey]) -> Vec<Read> {
        match self.call(keys).await {
            Ok(value) => {
                reply::reads(value, keys.len()).unwrap_or_else(|error| vec![Err(error); keys.len()])
            }
            Err(error) if reply::refuses_scripts(&error) => {
                Box::pin(join_all(keys.iter().map(|key| self.one(key)))).await
            }
            Err(error) => vec![Err(reply::read_error(&error)); keys.len()],
        }
    }

    async fn call(&self, keys: &[&StoredKey]) -> Result<Value, Error> {
        let names = || keys.iter().map(|key| Key::from(key.bytes().clone())).collect::<Vec<_>>();
        let count = keys.len();
        let command = pin!(self.connection.client.evalsha(READ.sha, names(), ()));
        let reply = self.watched(count, command).await;
        if reply.as_ref().is_err_and(reply::is_unknown_script) {
            let command = Box::pin(self.connection.client.eval(READ.text, names(), ()));
            return self.watched(count, command).await;
        }
        reply
    }

    async fn one(&self, key: &StoredKey) -> Read {
        let client = &self.connection.client;
        let hash = || async {
            // Not fred's own HGETALL, which would put the fields into a hash map; and raw, because
            // fred would look whether each field is text.
            let command = CustomCommand::new_static("HGETALL", ClusterHash::FirstKey, false);
            let arguments = vec![Value::Bytes(key.bytes().clone())];
            let command = pin!(async {
                client.custom_raw(command, arguments).await.and_then(reply::unless_refused)
            });
            self.watched(1, command).await.map(reply::entry)
        };
        let plain = || async {
            let command = pin!(client.get(key.bytes().clone()));
            self.watched(1, command).await.map(|value| Ok(reply::plain_entry(value)))
        };
        let mut found = hash().await;
        if found.as_ref().is_err_and(reply::is_wrong_type) {
            found = Box::pin(plain()).await;
        }
        // It became one of ours between the two.
        if found.as_ref().is_err_and(reply::is_wrong_type) {
            found = Box::pin(hash()).await;
        }
        found.unwrap_or_else(|error| {
            Err(if reply::is_without_cause(&error) {
                StoreError::Lost(self.lane.cause().into())
            } else {
                reply::read_error(&error)
            })
        })
    }

    /// Watches one command over so many keys on the wire. Give it pinned: fred's futures are large.
    async fn watched<T>(
        &self,
        keys: usize,
        command: impl Future<Output = Result<T, Error>> + Unpin,
    ) -> Result<T, Error> {
        if self.connection.is_over() {
            return Err(Error::new(ErrorKind::Canceled, "the connection is over"));
        }
        let on_wire = self.lane.pulse.hand_over();
        self.lane.meters.read(keys);
        let reply = command.await;
        on_wire.settle(&reply);
        if let Err(error) = &reply {
            self.lane.heard(error.details());
        }
        reply
    }
}
