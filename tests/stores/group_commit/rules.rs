//! The rules of one write, applied one after the other: what a store that sends many together has to
//! look like.

use std::collections::BTreeMap;

use bytes::Bytes;
use outrigger::state_store::{Change, Concurrency, Entry, Prepared, StateStore, StoreError, Write};

use crate::{
    redis::View,
    support::{delete, set},
};

/// What lies under a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Held {
    /// Another program's string.
    Text(Bytes),
    /// Another program's list.
    List,
    /// A hash; without a version, another program's.
    Hash { data: Bytes, version: Option<i64>, sticky: bool, ttl: Option<i64> },
}

/// All keys there are.
pub type Keys = BTreeMap<String, Held>;

/// One write as a caller words it.
#[derive(Clone, Debug)]
pub struct Item {
    pub key: String,
    /// `None` deletes.
    pub value: Option<Bytes>,
    pub etag: Option<&'static str>,
    pub concurrency: Concurrency,
    pub ttl: Option<&'static str>,
}

impl Item {
    pub fn write(&self) -> Write {
        let mut write = match &self.value {
            Some(value) => set(&self.key, value.clone()),
            None => delete(&self.key),
        };
        if let Change::Set { ttl, .. } = &mut write.change {
            *ttl = self.ttl.map(str::to_owned);
        }
        write.etag = self.etag.map(str::to_owned);
        write.concurrency = self.concurrency;
        write
    }

    /// Whether the item is refused before it is sent, as it has to be; else it is prepared.
    pub fn prepare(&self, store: &impl StateStore) -> Result<Prepared, String> {
        let prepared = store.prepare(self.write());
        let (bad_etag, bad_ttl) = match self.value {
            Some(_) => (self.version().is_err(), self.seconds().is_err()),
            None => (false, false),
        };
        match prepared {
            Ok(prepared) if !bad_etag && !bad_ttl => Ok(prepared),
            Err(StoreError::EtagInvalid(text)) if bad_etag => Err(text),
            Err(StoreError::TtlInvalid(text)) if bad_ttl && !bad_etag => Err(text),
            other => panic!("{self:?} was prepared as {other:?}"),
        }
    }

    /// The etag, unless it is as good as none.
    fn given(&self) -> Option<&'static str> {
        self.etag.filter(|etag| !etag.is_empty())
    }

    /// The version a save has to find; nought is any.
    fn version(&self) -> Result<i64, std::num::ParseIntError> {
        match self.given() {
            Some(etag) if self.concurrency != Concurrency::LastWrite => etag.parse(),
            _ => Ok(0),
        }
    }

    /// The new time to live: `None` leaves it, nought removes it.
    fn seconds(&self) -> Result<Option<i64>, ()> {
        const MOST: i64 = i64::MAX / 1000 - 100_000_000_000;
        match self.ttl.filter(|text| !text.is_empty()).map(str::parse::<i64>) {
            None => Ok(None),
            Some(Ok(seconds)) if seconds <= MOST => Ok(Some(seconds.max(0))),
            Some(_) => Err(()),
        }
    }

    /// Carries the item out; it was prepared before.
    pub fn apply(&self, keys: &mut Keys, transaction: bool) -> Result<(), StoreError> {
        match &self.value {
            Some(value) => self.save(value, keys, transaction),
            None => self.delete(keys, transaction),
        }
    }

    fn save(&self, value: &Bytes, keys: &mut Keys, transaction: bool) -> Result<(), StoreError> {
        let wanted = self.version().unwrap();
        let seconds = self.seconds().unwrap();
        let (version, sticky, ttl) = match keys.get(&self.key) {
            Some(Held::Hash { version: Some(version), sticky, ttl, .. }) => {
                if *version != wanted && (wanted != 0 || *sticky) {
                    return Err(self.conflict(transaction));
                }
                let Some(next) = version.checked_add(1) else {
                    return Err(self.overflow(transaction));
                };
                (next, *sticky, *ttl)
            }
            Some(Held::Hash { version: None, sticky, ttl, .. }) => (1, *sticky, *ttl),
            Some(Held::Text(_) | Held::List) | None => (1, false, None),
        };
        let after = Held::Hash {
            data: value.clone(),
            version: Some(version),
            sticky: sticky || (self.concurrency == Concurrency::FirstWrite && !transaction),
            ttl: match seconds {
                None => ttl,
                Some(0) => None,
                Some(seconds) => Some(seconds),
            },
        };
        keys.insert(self.key.clone(), after);
        Ok(())
    }

    fn delete(&self, keys: &mut Keys, transaction: bool) -> Result<(), StoreError> {
        if let Some(Held::Hash { version: Some(version), .. }) = keys.get(&self.key)
            && let Some(etag) = self.given()
            && etag != "0"
            && etag != version.to_string()
        {
            return Err(self.conflict(transaction));
        }
        keys.remove(&self.key);
        Ok(())
    }

    fn conflict(&self, transaction: bool) -> StoreError {
        let text = match self.value {
            Some(_) => format!("failed to set key {}", self.key),
            None => format!("failed to delete {}", self.key),
        };
        match (transaction, self.given()) {
            (true, _) => StoreError::Refused(text),
            (false, Some(_)) => StoreError::EtagMismatch(text),
            (false, None) => StoreError::Refused(format!(
                "{text}: it was written with first-write before, and this write names no matching \
                 etag"
            )),
        }
    }

    fn overflow(&self, transaction: bool) -> StoreError {
        let text = "ERR increment or decrement would overflow".to_owned();
        match transaction {
            true => StoreError::Refused(text),
            false => StoreError::Refused(format!("failed to set key {}: {text}", self.key)),
        }
    }
}

/// What a read says about this.
pub fn read_of(held: Option<&Held>) -> Result<Option<Entry>, StoreError> {
    let entry = |data: &Bytes, etag| Some(Entry { data: data.clone(), etag, expires_at: None });
    match held {
        None => Ok(None),
        Some(Held::Text(data)) => Ok(entry(data, None)),
        Some(Held::List) => Err(wrong_type()),
        Some(Held::Hash { version: None, .. }) => {
            let text = "required hash field 'data' or 'version' was not found";
            Err(StoreError::Refused(text.to_owned()))
        }
        Some(Held::Hash { data, version: Some(version), .. }) => {
            Ok(entry(data, Some(version.to_string())))
        }
    }
}

pub fn wrong_type() -> StoreError {
    let text = "WRONGTYPE Operation against a key holding the wrong kind of value";
    StoreError::Refused(text.to_owned())
}

/// Puts this under the key.
pub fn put(view: &mut View, key: &str, held: &Held) {
    match held {
        Held::Text(text) => view.tell(&["SET", key, std::str::from_utf8(text).unwrap()]),
        Held::List => view.tell(&["LPUSH", key, "item"]),
        Held::Hash { data, version, sticky, ttl } => {
            view.tell(&["HSET", key, "data", std::str::from_utf8(data).unwrap()]);
            if let Some(version) = version {
                view.tell(&["HSET", key, "version", &version.to_string()]);
            }
            if *sticky {
                view.tell(&["HSET", key, "first-write", "0"]);
            }
            if let Some(ttl) = ttl {
                view.tell(&["EXPIRE", key, &ttl.to_string()]);
            }
        }
    }
}

/// Asserts that exactly these keys are there, and under each exactly this.
pub fn assert_stored(view: &mut View, keys: &Keys) {
    let mut names: Vec<String> = view.ask(&["KEYS", "*"]);
    names.sort();
    assert!(names.iter().eq(keys.keys()), "{names:?} are there, not {:?}", keys.keys());
    for (name, held) in keys {
        let ttl = view.ask::<i64>(&["TTL", name]);
        match held {
            Held::Text(text) => assert_eq!(&view.ask::<Vec<u8>>(&["GET", name]), text),
            Held::List => assert_eq!(view.ask::<i64>(&["LLEN", name]), 1),
            Held::Hash { data, version, sticky, ttl: kept } => {
                let mut expected = BTreeMap::from([("data".to_owned(), data.to_vec())]);
                if let Some(version) = version {
                    expected.insert("version".to_owned(), version.to_string().into_bytes());
                }
                if *sticky {
                    expected.insert("first-write".to_owned(), b"0".to_vec());
                }
                let found: BTreeMap<String, Vec<u8>> = view.ask(&["HGETALL", name]);
                assert!(found == expected, "{name}: {:?}", found.keys());
                match kept {
                    None => assert_eq!(ttl, -1, "{name}"),
                    // A program takes far less than these 900 seconds.
                    Some(kept) => assert!((kept - 900..=*kept).contains(&ttl), "{name}: {ttl}"),
                }
            }
        }
    }
}
