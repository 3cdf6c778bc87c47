//! `state.in-memory`: a map that lives as long as the process. The embedded store.

use std::{
    collections::{BTreeSet, HashMap},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use tokio::time::Instant;
use uuid::Uuid;

use super::{
    Answers, Change, Concurrency, Condition, Entry, Expected, Found, Prepared, PreparedChange,
    SharedWrites, StateStore, StoreError, StoredKey, Ttl, Write,
};
use crate::go_text;

#[cfg(test)]
mod tests;

/// A store in this process's memory; its clones share one content.
#[derive(Clone, Default)]
pub struct InMemoryStore {
    content: Arc<Mutex<Content>>,
}

#[derive(Default)]
struct Content {
    records: HashMap<StoredKey, Record>,
    // Ordered by time, so that removing what expired costs nothing while nothing expired.
    expiries: BTreeSet<(Instant, StoredKey)>,
}

struct Record {
    data: Bytes,
    etag: String,
    expiry: Option<Expiry>,
}

struct Expiry {
    at: Instant,
    text: String,
}

impl InMemoryStore {
    /// What such a store can do, in the words and the order of Dapr's metadata.
    pub const CAPABILITIES: &[&'static str] =
        &["ETAG", "TRANSACTIONAL", "TTL", "DELETE_WITH_PREFIX", "KEYS_LIKE"];

    /// Makes an empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// The content as it is now: what expired is gone.
    fn content(&self) -> MutexGuard<'_, Content> {
        // Nothing panics while it holds the lock with a half-made change.
        let mut content = self.content.lock().unwrap_or_else(PoisonError::into_inner);
        content.remove_expired(Instant::now());
        content
    }
}

impl fmt::Debug for InMemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InMemoryStore")
    }
}

impl StateStore for InMemoryStore {
    fn prepare(&self, write: Write) -> Result<Prepared, StoreError> {
        let Write { key, change, etag, concurrency, consistency } = write;
        let change = match change {
            Change::Set { value, ttl } => {
                PreparedChange::Set { value, ttl: read_ttl(ttl.as_deref())? }
            }
            Change::Delete => PreparedChange::Delete,
        };
        let etag = etag.filter(|etag| !etag.is_empty());
        let conditional = etag.is_some();
        let expected = etag.map_or(Expected::Any, Expected::Text);
        Ok(Prepared { key, change, expected, conditional, concurrency, consistency })
    }

    async fn get(&self, key: &StoredKey) -> Result<Option<Entry>, StoreError> {
        Ok(self.content().records.get(key).map(Record::entry))
    }

    async fn get_many(&self, keys: &[StoredKey], found: &mut Found) {
        let content = self.content();
        found.fill(0, keys.iter().map(|key| Ok(content.records.get(key).map(Record::entry))));
    }

    async fn write(&self, writes: &SharedWrites, answers: &mut Answers) {
        let mut content = self.content();
        let written = writes.iter().map(|write| {
            content.check(write)?;
            content.apply(write)
        });
        answers.fill(0, written);
    }

    async fn transact(&self, writes: &SharedWrites, answers: &mut Answers) {
        let mut content = self.content();
        // One refusal refuses all of them, and each is told why.
        match writes.iter().find_map(|write| content.check(write).err()) {
            Some(refusal) => answers.fill(0, writes.iter().map(|_| Err(refusal.clone()))),
            None => answers.fill(0, writes.iter().map(|write| content.apply(write))),
        }
    }

    fn query_refusal(&self) -> Option<&'static str> {
        None
    }

    fn transacts_json(&self) -> bool {
        true
    }

    fn condition(&self) -> Option<Condition> {
        None
    }
}

impl Content {
    fn remove_expired(&mut self, now: Instant) {
        while self.expiries.first().is_some_and(|(at, _)| *at < now) {
            if let Some((_, key)) = self.expiries.pop_first() {
                self.records.remove(&key);
            }
        }
    }

    /// Whether the write's etag and concurrency let it pass.
    fn check(&self, write: &Prepared) -> Result<(), StoreError> {
        let found = self.records.get(&write.key);
        let Some(expected) = write.expected_text() else {
            let first_write = write.concurrency == Concurrency::FirstWrite;
            if first_write && found.is_some() {
                let text = "item already exists and no etag was passed";
                return Err(StoreError::EtagMismatch(text.to_owned()));
            }
            return Ok(());
        };
        let key = write.key.as_str();
        let Some(found) = found else {
            let text = format!("state not exist or expired for key={key}");
            return Err(StoreError::EtagMismatch(text));
        };
        if found.etag != expected {
            let current = &found.etag;
            let text =
                format!("state etag not match for key={key}: current={current}, expect={expected}");
            return Err(StoreError::EtagMismatch(text));
        }
        Ok(())
    }

    fn apply(&mut self, write: &Prepared) -> Result<(), StoreError> {
        let key = &write.key;
        let record = match &write.change {
            PreparedChange::Set { value, ttl } => Some(Record::new(value, *ttl)?),
            PreparedChange::Delete => None,
        };
        if let Some(Record { expiry: Some(expiry), .. }) = self.records.remove(key) {
            self.expiries.remove(&(expiry.at, key.clone()));
        }
        if let Some(record) = record {
            if let Some(expiry) = &record.expiry {
                self.expiries.insert((expiry.at, key.clone()));
            }
            self.records.insert(key.clone(), record);
        }
        Ok(())
    }
}

impl Record {
    fn new(value: &Bytes, ttl: Ttl) -> Result<Self, StoreError> {
        let expiry = match ttl {
            Ttl::Unchanged | Ttl::Persist => None,
            Ttl::Seconds(seconds) => Some(Expiry::after(seconds)?),
        };
        // The caller's bytes are a part of the buffer they were read into: kept as they are, a
        // small value would hold all of it.
        let data = Bytes::copy_from_slice(value);
        Ok(Self { data, etag: Uuid::new_v4().to_string(), expiry })
    }

    fn entry(&self) -> Entry {
        Entry {
            data: self.data.clone(),
            etag: Some(self.etag.clone()),
            expires_at: self.expiry.as_ref().map(|expiry| expiry.text.clone()),
        }
    }
}

impl Expiry {
    fn after(seconds: u64) -> Result<Self, StoreError> {
        let too_far =
            || StoreError::TtlInvalid(format!("ttlInSeconds {seconds} is past the end of time"));
        let ttl = Duration::from_secs(seconds);
        let at = Instant::now().checked_add(ttl).ok_or_else(too_far)?;
        let moment = jiff::Timestamp::now().checked_add(ttl).map_err(|_| too_far())?;
        let moment = jiff::Timestamp::from_second(moment.as_second()).map_err(|_| too_far())?;
        Ok(Self { at, text: moment.to_string() })
    }
}

impl Prepared {
    /// The etag this write expects, as text.
    fn expected_text(&self) -> Option<&str> {
        match &self.expected {
            Expected::Text(text) => Some(text),
            // This store's own `prepare` gives no numbers: its etags are opaque.
            Expected::Any | Expected::Version(_) => None,
        }
    }
}

fn read_ttl(text: Option<&str>) -> Result<Ttl, StoreError> {
    let Some(text) = text.filter(|text| !text.is_empty()) else {
        return Ok(Ttl::Persist);
    };
    let seconds = go_text::atoi(text).map_err(StoreError::TtlInvalid)?;
    let Some(seconds) = u64::try_from(seconds).ok().filter(|&seconds| seconds > 0) else {
        return Ok(Ttl::Persist);
    };
    // A TTL that cannot be kept is refused before anything is written.
    Expiry::after(seconds).map(|_| Ttl::Seconds(seconds))
}
