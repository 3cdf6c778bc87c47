//! What daprd does to a Redis, with commands instead of its scripts: the rules its users see, and
//! nothing of how it keeps them.

use std::collections::BTreeMap;

use redis::{Connection, Value};

/// A hash as it lies in Redis.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hash {
    pub data: Vec<u8>,
    pub version: i64,
    /// Whether the field `first-write` is there.
    pub flagged: bool,
    /// When it ends by itself, if it does.
    pub expires: Option<Hundreds>,
}

/// A time to live in hundreds of seconds, rounded up: no test runs so long that one goes by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hundreds(i64);

impl Hundreds {
    /// Nothing for what is no time to live, in Redis' answers as in requests.
    pub fn of_seconds(seconds: i64) -> Option<Self> {
        (seconds > 0).then_some(Self((seconds + 99) / 100))
    }
}

/// A write as an application asks for it.
#[derive(Clone, Debug, Default)]
pub struct Write {
    /// What to store; `None` deletes.
    pub value: Option<Vec<u8>>,
    pub etag: Option<i64>,
    pub first_write: bool,
    pub ttl: Option<i64>,
}

/// How a write ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Done,
    /// The etag is another one.
    Conflict,
    /// The first writer holds the key, and no etag was given.
    Held,
}

impl Write {
    /// What becomes of a key by this write.
    pub fn applied_to(&self, before: Option<&Hash>) -> (End, Option<Hash>) {
        let version = before.map(|hash| hash.version);
        let flagged = before.is_some_and(|hash| hash.flagged);
        let allowed = match (version, self.etag, &self.value) {
            (None, ..) => true,
            (Some(version), Some(etag), _) => version == etag,
            (Some(_), None, value) => value.is_none() || !flagged,
        };
        if !allowed {
            let end = if self.etag.is_some() { End::Conflict } else { End::Held };
            return (end, before.cloned());
        }
        let after = self.value.clone().map(|data| Hash {
            data,
            version: version.unwrap_or(0) + 1,
            flagged: flagged || self.first_write,
            expires: match self.ttl {
                Some(ttl) => Hundreds::of_seconds(ttl),
                None => before.and_then(|hash| hash.expires),
            },
        });
        (End::Done, after)
    }
}

/// Another sidecar on the same Redis.
pub struct Daprd {
    connection: Connection,
}

impl Daprd {
    /// One on the Redis of this address.
    pub fn on(url: &str) -> Self {
        let client = redis::Client::open(url).expect("an address");
        Self { connection: client.get_connection().expect("redis-server accepts a connection") }
    }

    fn ask<T: redis::FromRedisValue>(&mut self, words: &[impl AsRef<[u8]>]) -> T {
        let mut command = redis::Cmd::new();
        for word in words {
            command.arg(word.as_ref());
        }
        let answer = command.query(&mut self.connection);
        answer.unwrap_or_else(|error| panic!("{command:?}: {error}"))
    }

    /// Reads a key as daprd does, and refuses what daprd could not read.
    pub fn read(&mut self, key: &str) -> Option<Hash> {
        let mut fields: BTreeMap<String, Vec<u8>> = self.ask(&["HGETALL", key]);
        if fields.is_empty() {
            return None;
        }
        let mut field = |name| fields.remove(name);
        let data = field("data").expect("daprd needs the field data");
        let version = field("version").expect("daprd needs the field version");
        let flag = field("first-write");
        assert!(flag.as_deref().is_none_or(|flag| flag == b"0"), "{flag:?}");
        assert!(fields.is_empty(), "daprd writes no such fields: {fields:?}");
        Some(Hash {
            data,
            version: std::str::from_utf8(&version)
                .ok()
                .and_then(|text| text.parse().ok())
                .expect("daprd counts"),
            flagged: flag.is_some(),
            expires: Hundreds::of_seconds(self.ask(&["TTL", key])),
        })
    }

    /// Writes or deletes a key. Value and version change at once; what becomes of the TTL is a
    /// command of its own, as with daprd.
    pub fn write(&mut self, key: &str, write: &Write) -> End {
        loop {
            self.ask::<()>(&["WATCH", key]);
            let before = self.read(key);
            let (end, _) = write.applied_to(before.as_ref());
            if end != End::Done {
                self.ask::<()>(&["UNWATCH"]);
                return end;
            }
            self.ask::<()>(&["MULTI"]);
            match &write.value {
                Some(value) => {
                    let words: [&[u8]; 4] = [b"HSET", key.as_bytes(), b"data", value];
                    self.ask::<Value>(&words);
                    if write.first_write {
                        self.ask::<Value>(&["HSET", key, "first-write", "0"]);
                    }
                    self.ask::<Value>(&["HINCRBY", key, "version", "1"]);
                }
                None => drop(self.ask::<Value>(&["DEL", key])),
            }
            // Nothing came back: somebody else changed the key meanwhile.
            if self.ask::<Option<Vec<i64>>>(&["EXEC"]).is_none() {
                continue;
            }
            match write.ttl.filter(|_| write.value.is_some()) {
                Some(ttl) if ttl > 0 => self.ask(&["EXPIRE", key, &ttl.to_string()]),
                Some(_) => self.ask(&["PERSIST", key]),
                None => {}
            }
            return End::Done;
        }
    }
}
