//! `state.redis`: Dapr's hash layout, written by one script, over connections we supervise.
//!
//! Only this room names fred. Deliberately absent: retries. A try ends once, and says whether the
//! command may have been carried out.

use std::{
    fmt, iter,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use tokio::time::Instant;

use self::{
    connection::{Connection, Lane, Task},
    health::RedisHealth,
    pump::Confirm,
    replicas::Count,
    reply::{Scope, TIMED_OUT, Verdict},
    settings::RedisSettings,
    writes::{Sent, is_strong},
};
use super::{
    Answers, Change, Concurrency, Condition, Entry, Expected, Found, Prepared, PreparedChange,
    SharedWrites, StateStore, StoreError, StoredKey, Ttl, Write,
};
use crate::{go_text, timers};

pub mod answers;
mod apart;
mod attendant;
mod calls;
mod config;
mod connection;
pub mod health;
mod lone;
mod pump;
mod queue;
mod reads;
mod replicas;
mod reply;
mod scripts;
pub mod settings;
mod slots;
mod tls;
mod watchdog;
mod writes;

/// A Redis server, as one data-plane thread has it; its clones share its connections.
#[derive(Clone)]
pub struct RedisStore {
    inner: Arc<Inner>,
}

struct Inner {
    component: String,
    settings: Arc<RedisSettings>,
    health: Arc<RedisHealth>,
    main: Arc<Lane>,
    /// Where writes go that wait for replicas, so that nobody else waits with them.
    strong: OnceLock<Arc<Lane>>,
    replicas: Arc<Count>,
    tasks: Mutex<Vec<Task<()>>>,
}

impl RedisStore {
    /// What such a store can do, connected or not, in the words and the order of Dapr's metadata.
    pub const CAPABILITIES: &[&'static str] = &["ETAG", "TRANSACTIONAL", "TTL", "KEYS_LIKE"];

    /// Starts connecting in the background. Has to be called inside the `current_thread` runtime
    /// that will make the calls.
    pub fn new(component: &str, settings: Arc<RedisSettings>, health: Arc<RedisHealth>) -> Self {
        let main = Lane::new(health.meters().clone());
        let reporter = Some(health.join());
        let supervisor = main.clone().supervise(settings.clone(), reporter, Confirm::Never);
        let tasks = Mutex::new(vec![Task::new(tokio::spawn(supervisor))]);
        let component = component.to_owned();
        let (strong, replicas) = (OnceLock::new(), Arc::default());
        let inner = Inner { component, settings, health, main, strong, replicas, tasks };
        Self { inner: Arc::new(inner) }
    }

    /// Closes the connections at once; calls in flight end as lost, later ones as unreachable.
    pub fn close(&self) {
        let cause = "the store is closed";
        self.inner.tasks.lock().unwrap_or_else(PoisonError::into_inner).clear();
        self.inner.main.shut(cause);
        if let Some(strong) = self.inner.strong.get() {
            strong.shut(cause);
        }
    }

    /// The lane for writes that wait for replicas; its connection is opened when first needed.
    fn strong_lane(&self) -> &Arc<Lane> {
        self.inner.strong.get_or_init(|| {
            let lane = Lane::new(self.inner.health.meters().clone());
            let confirm = Confirm::Replicas(self.inner.replicas.clone());
            let settings = self.inner.settings.clone();
            let supervisor = lane.clone().supervise(settings, None, confirm);
            let mut tasks = self.inner.tasks.lock().unwrap_or_else(PoisonError::into_inner);
            tasks.push(Task::new(tokio::spawn(supervisor)));
            lane
        })
    }

    /// How many replicas strong writes wait for now; or how those end that cannot know.
    async fn replicas(&self, deadline: Option<Instant>) -> Result<i64, Verdict> {
        let ask = async {
            let connection = self.inner.main.connection().await.map_err(Verdict::NotSent)?;
            let pulse = &self.inner.main.pulse;
            let Connection { client, replicas, .. } = &*connection;
            let updated = replicas.update(client, pulse, &self.inner.replicas).await;
            updated.map_err(|error| {
                self.inner.main.heard(error.details());
                reply::verdict_before(&error)
            })
        };
        let late = || Err(Verdict::NotSent(TIMED_OUT.to_owned()));
        within(deadline, ask).await.unwrap_or_else(late)?;
        Ok(self.inner.replicas.get())
    }

    /// Sends writes in pieces, each by the lane that is its own; with the times at which they are given
    /// up.
    fn send<'a>(
        &'a self,
        writes: &'a SharedWrites,
        replicas: Option<&Result<i64, Verdict>>,
        deadline: Option<Instant>,
    ) -> impl Iterator<Item = (Sent<'a>, Option<Instant>)> {
        writes::pieces(writes).map(move |piece| {
            let (lane, deadline) = match replicas.filter(|_| is_strong(&writes[piece.start])) {
                Some(Err(verdict)) => {
                    let sent = Sent::never(&self.inner.main, writes, piece, verdict.clone());
                    return (sent, None);
                }
                Some(Ok(1..)) => {
                    (&**self.strong_lane(), deadline.map(|deadline| deadline + Confirm::WAIT))
                }
                Some(Ok(_)) | None => (&*self.inner.main, deadline),
            };
            (Sent::new(lane, writes, piece, Scope::Single), deadline)
        })
    }

    fn read_deadline(&self) -> Option<Instant> {
        self.inner.settings.read_timeout.map(|time| Instant::now() + time)
    }

    fn write_deadline(&self) -> Option<Instant> {
        self.inner.settings.write_timeout.map(|time| Instant::now() + time)
    }
}

impl StateStore for RedisStore {
    fn prepare(&self, write: Write) -> Result<Prepared, StoreError> {
        let Write { key, change, etag, concurrency, consistency } = write;
        let etag = etag.filter(|etag| !etag.is_empty());
        let conditional = etag.is_some();
        let (change, expected) = match change {
            Change::Set { value, ttl } => {
                let expected = expected_version(etag.as_deref(), concurrency)?;
                let ttl = read_ttl(&key, ttl.as_deref(), self.inner.settings.default_ttl)?;
                (PreparedChange::Set { value, ttl }, expected)
            }
            Change::Delete => (PreparedChange::Delete, etag.map_or(Expected::Any, Expected::Text)),
        };
        Ok(Prepared { key, change, expected, conditional, concurrency, consistency })
    }

    async fn get(&self, key: &StoredKey) -> Result<Option<Entry>, StoreError> {
        let deadline = self.read_deadline();
        if let Some(read) = reads::read_alone(&self.inner.main, key, deadline) {
            return read.await;
        }
        reads::read_one(&self.inner.main, key, deadline).await
    }

    async fn get_many(&self, keys: &[StoredKey], found: &mut Found) {
        reads::read(&self.inner.main, keys, self.read_deadline(), found).await;
    }

    async fn write(&self, writes: &SharedWrites, answers: &mut Answers) {
        let deadline = self.write_deadline();
        if let Some(write) = writes::write_alone(&self.inner.main, writes, deadline) {
            return answers.fill(0, [write.await]);
        }
        let replicas = if writes.iter().any(is_strong) {
            Some(Box::pin(self.replicas(deadline)).await)
        } else {
            None
        };
        // All are sent before one is listened to.
        let (first, others) = first_and_others(self.send(writes, replicas.as_ref(), deadline));
        match first {
            None => {}
            Some((only, deadline)) if others.is_empty() => only.hear(deadline, answers).await,
            Some(first) => {
                // Each is given up at its own time, so all are listened to at once.
                let sent = iter::once(first).chain(others);
                Box::pin(writes::hear_all(sent, answers)).await;
            }
        }
    }

    async fn transact(&self, writes: &SharedWrites, answers: &mut Answers) {
        if writes.is_empty() {
            return;
        }
        let sent = Sent::new(&self.inner.main, writes, 0..writes.len(), Scope::Transaction);
        sent.hear(self.write_deadline(), answers).await;
    }

    fn condition(&self) -> Option<Condition> {
        Some(self.inner.health.condition())
    }

    // As components-contrib state/redis on a server without RedisJSON, which is all we serve.
    fn query_refusal(&self) -> Option<&'static str> {
        Some("redis-json server support is required for query capability")
    }

    fn transacts_json(&self) -> bool {
        false
    }
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore")
            .field("component", &self.inner.component)
            .field("settings", &self.inner.settings)
            .finish_non_exhaustive()
    }
}

/// What the number of `ttlInSeconds` means; `None` if Redis cannot keep so long a time.
fn ttl(seconds: i64) -> Option<Ttl> {
    // Redis counts milliseconds since 1970 in 63 bits; the margin covers the next 3000 years.
    const MOST: u64 = i64::MAX as u64 / 1000 - 100_000_000_000;
    match u64::try_from(seconds) {
        Ok(0) | Err(_) => Some(Ttl::Persist),
        Ok(seconds) if seconds <= MOST => Some(Ttl::Seconds(seconds)),
        Ok(_) => None,
    }
}

/// Most often there is one item, which needs no list.
fn first_and_others<T>(mut items: impl Iterator<Item = T>) -> (Option<T>, Vec<T>) {
    (items.next(), items.collect())
}

fn read_ttl(key: &StoredKey, text: Option<&str>, default: Ttl) -> Result<Ttl, StoreError> {
    let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(default) };
    let seconds = go_text::parse_int(text).map_err(|error| {
        StoreError::TtlInvalid(format!("failed to parse ttl from metadata: {error}"))
    })?;
    ttl(seconds).ok_or_else(|| {
        let inner = "ERR invalid expire time in 'expire' command";
        StoreError::TtlInvalid(format!("failed to set key {} ttl: {inner}", key.as_str()))
    })
}

/// As components-contrib state/redis: last-write disarms an etag, else it has to be a number.
fn expected_version(etag: Option<&str>, concurrency: Concurrency) -> Result<Expected, StoreError> {
    let Some(etag) = etag.filter(|_| concurrency != Concurrency::LastWrite) else {
        return Ok(Expected::Any);
    };
    match go_text::atoi(etag).map_err(StoreError::EtagInvalid)? {
        0 => Ok(Expected::Any),
        version => Ok(Expected::Version(version)),
    }
}

/// The future's output, or `None` when the deadline comes first.
async fn within<T>(deadline: Option<Instant>, future: impl Future<Output = T>) -> Option<T> {
    match deadline {
        Some(deadline) => timers::timeout_at(deadline, future).await.ok(),
        None => Some(future.await),
    }
}
