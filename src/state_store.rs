//! What a state store is: it tries once and says precisely what went wrong.
//!
//! Deliberately absent: retries, timeouts of policies, key prefixes, app ids.

use std::{future::Future, sync::Arc};

use bytes::Bytes;

use self::{in_memory::InMemoryStore, redis::RedisStore};

pub mod in_memory;
pub mod redis;

/// A key as it stands in the store, prefix included. Only `api/key.rs` makes one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
// Bytes, because a key is in several hands: the call's, the queue's, the connection's.
pub struct StoredKey(Bytes);

impl StoredKey {
    /// Takes the complete text of a stored key.
    pub fn new(text: String) -> Self {
        Self(text.into())
    }

    /// The key's text, prefix included.
    pub fn as_str(&self) -> &str {
        str::from_utf8(&self.0).expect("invariant: made of text")
    }

    /// The same as bytes, shared.
    pub fn bytes(&self) -> &Bytes {
        &self.0
    }
}

/// What is stored under a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The value's bytes.
    pub data: Bytes,
    /// The value's version; absent for a value that another program wrote without one.
    pub etag: Option<String>,
    /// When the value expires, as RFC 3339 text in UTC, where the store says so.
    pub expires_at: Option<String>,
}

/// What happens when two writers meet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Concurrency {
    /// The caller said nothing.
    #[default]
    Unspecified,
    /// The first writer wins.
    FirstWrite,
    /// The last writer wins.
    LastWrite,
}

/// When a write counts as done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Consistency {
    /// The caller said nothing.
    #[default]
    Unspecified,
    /// When the store has it.
    Eventual,
    /// When the store's replicas have it, too.
    Strong,
}

/// A write or delete as the caller asked for it; etag and TTL are still text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    /// Where.
    pub key: StoredKey,
    /// What.
    pub change: Change,
    /// The version the caller expects; empty means the same as absent.
    pub etag: Option<String>,
    /// What happens when two writers meet.
    pub concurrency: Concurrency,
    /// When the write counts as done.
    pub consistency: Consistency,
}

/// What is to happen to a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Store this value.
    Set {
        /// The bytes to store.
        value: Bytes,
        /// The text of `ttlInSeconds`, if the caller gave one.
        ttl: Option<String>,
    },
    /// Remove the key.
    Delete,
}

/// A write whose etag and TTL were read by the store's own rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prepared {
    /// Where.
    pub key: StoredKey,
    /// What.
    pub change: PreparedChange,
    /// The version that must be found.
    pub expected: Expected,
    /// Whether the caller gave an etag: a refusal is then reported as a mismatch of it.
    pub conditional: bool,
    /// What happens when two writers meet.
    pub concurrency: Concurrency,
    /// When the write counts as done.
    pub consistency: Consistency,
}

/// Writes of one call: whoever makes them, waits for them or carries them out has them together.
pub type SharedWrites = Arc<Vec<Prepared>>;

/// [`Change`] with its TTL read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PreparedChange {
    /// Store this value.
    Set {
        /// The bytes to store.
        value: Bytes,
        /// What becomes of the key's time to live.
        ttl: Ttl,
    },
    /// Remove the key.
    Delete,
}

/// What a write does to the key's time to live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ttl {
    /// It stays as it is.
    Unchanged,
    /// It is removed: the key stays until it is deleted.
    Persist,
    /// It starts anew with so many seconds.
    Seconds(u64),
}

/// The version a write expects to find.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expected {
    /// Any, or none.
    Any,
    /// This number.
    Version(i64),
    /// This text, compared as it stands.
    Text(String),
}

/// How one try ended when it did not succeed. The texts are what Dapr's clients see.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The key's version is not the one the caller expects. Nothing was changed.
    #[error("possible etag mismatch. error from state store: {0}")]
    EtagMismatch(String),
    /// The etag is not one that this store gives out. Nothing was sent.
    #[error("invalid etag value: {0}")]
    EtagInvalid(String),
    /// `ttlInSeconds` is not what this store takes. Nothing was sent.
    #[error("{0}")]
    TtlInvalid(String),
    /// The store answered "no" and would again. Nothing was changed.
    #[error("{0}")]
    Refused(String),
    /// The store answered that it cannot work now. Nothing was changed.
    #[error("{0}")]
    Unavailable(Outage),
    /// The command was never handed to a connection. Nothing was changed.
    #[error("{0}")]
    Unreachable(Outage),
    /// The command was handed to a connection and no answer came: it may have executed.
    #[error("{0}")]
    Lost(Outage),
    /// The store answered "no" to a retry whose call may have been carried out by an earlier attempt:
    /// it may have met that call's own write. Stores themselves never say so, they try once.
    #[error("{0}: an earlier attempt may have been carried out, so read the key before you decide")]
    Unclear(Box<StoreError>),
    /// The write was carried out, but the store refuses to say whether its replicas have it.
    #[error("{0}")]
    Unconfirmed(String),
}

/// Why a store did not do its work. Callers are told the key it was about, logs are not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outage {
    setting: Option<StoredKey>,
    cause: String,
}

impl Outage {
    /// An outage that hit the setting of this key.
    pub fn of_setting(key: &StoredKey, cause: String) -> Self {
        Self { setting: Some(key.clone()), cause }
    }

    /// The cause without the key.
    pub fn cause(&self) -> &str {
        &self.cause
    }
}

impl From<String> for Outage {
    fn from(cause: String) -> Self {
        Self { setting: None, cause }
    }
}

impl std::fmt::Display for Outage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(key) = &self.setting {
            write!(f, "failed to set key {}: ", key.as_str())?;
        }
        f.write_str(&self.cause)
    }
}

impl StoreError {
    /// Whether the store may have carried the command out although the try failed.
    pub fn may_have_executed(&self) -> bool {
        matches!(self, Self::Lost(_) | Self::Unconfirmed(_))
    }

    /// Whether an earlier attempt of the same write, if it was carried out, could be the reason.
    pub fn may_be_about_itself(&self) -> bool {
        matches!(self, Self::EtagMismatch(_) | Self::Refused(_))
    }
}

/// What came of each item of one try: of each write, if it is not said what was found. It is filled
/// in as it is heard, so that what was heard is kept when the try is given up.
#[derive(Debug)]
pub struct Answers<T = ()>(Vec<Option<Result<T, StoreError>>>);

/// What came of each key that was to be read.
pub type Found = Answers<Option<Entry>>;

impl<T: Clone> Answers<T> {
    /// Nothing is known yet of so many items.
    pub fn new(items: usize) -> Self {
        Self(vec![None; items])
    }

    /// This is what came of the items from the one at `first` on.
    pub fn fill(&mut self, first: usize, heard: impl IntoIterator<Item = Result<T, StoreError>>) {
        for (answer, heard) in self.0[first..].iter_mut().zip(heard) {
            *answer = Some(heard);
        }
    }

    /// The failures among what is known.
    pub fn failures(&self) -> impl Iterator<Item = &StoreError> {
        self.0.iter().filter_map(|answer| answer.as_ref()?.as_ref().err())
    }
}

impl<T> IntoIterator for Answers<T> {
    type Item = Option<Result<T, StoreError>>;
    type IntoIter = std::vec::IntoIter<Self::Item>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

/// What a store's connection is doing, for metadata.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// Whether calls reach the store at this moment.
    pub connected: bool,
    /// What went wrong last, if anything did.
    pub last_error: Option<String>,
}

/// One state store, as every data-plane thread has it.
pub trait StateStore: Send + Sync {
    /// Reads a write's etag and TTL; sends nothing.
    fn prepare(&self, write: Write) -> Result<Prepared, StoreError>;

    /// Reads one key.
    fn get(
        &self,
        key: &StoredKey,
    ) -> impl Future<Output = Result<Option<Entry>, StoreError>> + Send;

    /// Reads several keys, and fills in an answer for each.
    fn get_many(&self, keys: &[StoredKey], found: &mut Found) -> impl Future<Output = ()> + Send;

    /// Carries out each write on its own, and fills in an answer for each.
    fn write(
        &self,
        writes: &SharedWrites,
        answers: &mut Answers,
    ) -> impl Future<Output = ()> + Send;

    /// Carries out the writes of a transaction by this store's rules for transactions, and fills in
    /// an answer for each.
    fn transact(
        &self,
        writes: &SharedWrites,
        answers: &mut Answers,
    ) -> impl Future<Output = ()> + Send;

    /// What the store's connection is doing; `None` for a store without one.
    fn condition(&self) -> Option<Condition>;

    /// Why a query cannot be answered: a text for a store that could with a server that can,
    /// `None` for one that has no queries at all.
    fn query_refusal(&self) -> Option<&'static str>;

    /// Whether an operation of a transaction may announce its value as JSON.
    fn transacts_json(&self) -> bool;
}

/// A store of one of the kinds this program serves.
#[derive(Clone, Debug)]
pub enum ConfiguredStore {
    /// `state.redis`.
    Redis(RedisStore),
    /// `state.in-memory`.
    InMemory(InMemoryStore),
}

impl StateStore for ConfiguredStore {
    fn prepare(&self, write: Write) -> Result<Prepared, StoreError> {
        match self {
            Self::Redis(store) => store.prepare(write),
            Self::InMemory(store) => store.prepare(write),
        }
    }

    async fn get(&self, key: &StoredKey) -> Result<Option<Entry>, StoreError> {
        match self {
            Self::Redis(store) => store.get(key).await,
            Self::InMemory(store) => store.get(key).await,
        }
    }

    async fn get_many(&self, keys: &[StoredKey], found: &mut Found) {
        match self {
            Self::Redis(store) => store.get_many(keys, found).await,
            Self::InMemory(store) => store.get_many(keys, found).await,
        }
    }

    async fn write(&self, writes: &SharedWrites, answers: &mut Answers) {
        match self {
            Self::Redis(store) => store.write(writes, answers).await,
            Self::InMemory(store) => store.write(writes, answers).await,
        }
    }

    async fn transact(&self, writes: &SharedWrites, answers: &mut Answers) {
        match self {
            Self::Redis(store) => store.transact(writes, answers).await,
            Self::InMemory(store) => store.transact(writes, answers).await,
        }
    }

    fn condition(&self) -> Option<Condition> {
        match self {
            Self::Redis(store) => store.condition(),
            Self::InMemory(store) => store.condition(),
        }
    }

    fn query_refusal(&self) -> Option<&'static str> {
        match self {
            Self::Redis(store) => store.query_refusal(),
            Self::InMemory(store) => store.query_refusal(),
        }
    }

    fn transacts_json(&self) -> bool {
        match self {
            Self::Redis(store) => store.transacts_json(),
            Self::InMemory(store) => store.transacts_json(),
        }
    }
}
