//! `state.redis`: Dapr's hash layout, written by one script, over connections we supervise.
//!
//! Only this room names fred. Deliberately absent: retries. A try ends once, and says whether the
//! command may have been carried out.

use std::{
    fmt,
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::Duration,
};

use fred::{
    error::Error,
    interfaces::{HashesInterface, KeysInterface},
    types::Value,
};
use futures_util::stream::{FuturesOrdered, StreamExt};
use tokio::time::{Instant, timeout_at};

use self::{
    config::Dial,
    connection::{Connection, Lane, Task},
    health::RedisHealth,
    pump::Confirm,
    queue::{Ticket, Unheard},
    replicas::Count,
    reply::{Scope, TIMED_OUT, Verdict},
    settings::RedisSettings,
};
use super::{
    Change, Concurrency, Condition, Consistency, Entry, Expected, Prepared, PreparedChange,
    StateStore, StoreError, StoredKey, Ttl, Write,
};
use crate::go_text;

mod config;
mod connection;
pub mod health;
mod pump;
mod queue;
mod replicas;
mod reply;
mod scripts;
pub mod settings;
mod tls;
mod watchdog;

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
        let dial = Dial { settings: settings.clone(), patience: Duration::ZERO };
        let supervisor = main.clone().supervise(dial, Some(health.join()), Confirm::Never);
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
            let dial = Dial { settings, patience: confirm.patience() };
            let supervisor = lane.clone().supervise(dial, None, confirm);
            let mut tasks = self.inner.tasks.lock().unwrap_or_else(PoisonError::into_inner);
            tasks.push(Task::new(tokio::spawn(supervisor)));
            lane
        })
    }

    /// How many replicas strong writes wait for now.
    async fn replicas(&self, deadline: Option<Instant>) -> Result<i64, String> {
        let ask = async {
            let connection = self.inner.main.connection().await?;
            let pulse = self.inner.main.queue.pulse();
            let Connection { client, replicas, .. } = &*connection;
            let updated = replicas.update(client, pulse, &self.inner.replicas).await;
            updated.map_err(|error| reply::lost_cause(&error))
        };
        within(deadline, ask).await.unwrap_or_else(|| Err(TIMED_OUT.to_owned()))?;
        Ok(self.inner.replicas.get())
    }

    async fn read(
        &self,
        connection: &Connection,
        key: &StoredKey,
    ) -> Result<Option<Entry>, StoreError> {
        let client = &connection.client;
        let reply = self.ask(client.hgetall::<Value, _>(key.as_str())).await;
        match reply {
            Ok(Value::Map(fields)) => reply::entry(fields),
            Ok(_) => Err(StoreError::Refused("HGETALL gave no map".to_owned())),
            Err(error) if reply::is_wrong_type(&error) => {
                let reply = self.ask(client.get::<Value, _>(key.as_str())).await;
                reply.map(reply::plain_entry).map_err(|error| reply::read_error(&error))
            }
            Err(error) => Err(reply::read_error(&error)),
        }
    }

    /// Watches one command on the main lane's wire.
    async fn ask(
        &self,
        command: impl Future<Output = Result<Value, Error>>,
    ) -> Result<Value, Error> {
        let on_wire = self.inner.main.queue.pulse().hand_over();
        self.inner.main.meters.read();
        let reply = command.await;
        pump::settle(on_wire, &reply);
        if let Err(error) = &reply {
            self.inner.main.heard(error.details());
        }
        reply
    }

    /// Reads when there is no connection yet or too many reads are on the wire.
    async fn read_later(
        &self,
        key: &StoredKey,
        deadline: Option<Instant>,
    ) -> Result<Option<Entry>, StoreError> {
        let lane = &self.inner.main;
        let connection = match within(deadline, lane.connection()).await {
            Some(connection) => {
                connection.map_err(|cause| StoreError::Unreachable(cause.into()))?
            }
            None => return Err(StoreError::Unreachable(TIMED_OUT.to_owned().into())),
        };
        let _turn = match within(deadline, connection.turn()).await {
            Some(Some(turn)) => turn,
            Some(None) => {
                let cause = lane.queue.cause().unwrap_or_else(|| "EOF".to_owned());
                return Err(StoreError::Unreachable(cause.into()));
            }
            None => return Err(StoreError::Unreachable(TIMED_OUT.to_owned().into())),
        };
        let read = within(deadline, self.read(&connection, key)).await;
        read.unwrap_or_else(|| Err(StoreError::Lost(TIMED_OUT.to_owned().into())))
    }

    fn write_deadline(&self) -> Option<Instant> {
        self.inner.settings.write_timeout.map(|time| Instant::now() + time)
    }

    fn push<'s>(&'s self, lane: &'s Lane, write: &Prepared) -> Pending<'s> {
        match lane.queue.push(write.clone()) {
            Ok(ticket) => Pending::Waits(lane, ticket),
            Err(cause) => {
                lane.want();
                Pending::Ended(Verdict::NotSent(cause))
            }
        }
    }
}

/// One write on its way.
enum Pending<'s> {
    Waits(&'s Lane, Ticket<'s, Verdict>),
    Ended(Verdict),
}

impl Pending<'_> {
    async fn verdict(self, deadline: Option<Instant>) -> Verdict {
        match self {
            Self::Ended(verdict) => verdict,
            Self::Waits(lane, ticket) => {
                ticket.answer(deadline).await.unwrap_or_else(|why| unheard(lane, why))
            }
        }
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
        if let Some(connection) = self.inner.main.current()
            && let Some(_turn) = connection.try_turn()
        {
            return self.read(&connection, key).await;
        }
        let deadline = self.inner.settings.read_timeout.map(|time| Instant::now() + time);
        self.read_later(key, deadline).await
    }

    async fn get_many(&self, keys: &[StoredKey]) -> Vec<Result<Option<Entry>, StoreError>> {
        let mut answers = Vec::with_capacity(keys.len());
        let mut left = keys.iter();
        let mut reads = FuturesOrdered::new();
        loop {
            // Each read under way takes memory, so only those that could be on the wire are.
            while reads.len() < connection::READS
                && let Some(key) = left.next()
            {
                reads.push_back(self.get(key));
            }
            match reads.next().await {
                Some(answer) => answers.push(answer),
                None => return answers,
            }
        }
    }

    async fn write(&self, writes: &[Prepared]) -> Vec<Result<(), StoreError>> {
        let deadline = self.write_deadline();
        let strong =
            if writes.iter().any(is_strong) { Some(self.replicas(deadline).await) } else { None };
        let mut pending = Vec::with_capacity(writes.len());
        for write in writes {
            pending.push(match &strong {
                Some(Err(cause)) if is_strong(write) => {
                    Pending::Ended(Verdict::NotSent(cause.clone()))
                }
                Some(Ok(1..)) if is_strong(write) => self.push(self.strong_lane(), write),
                _ => self.push(&self.inner.main, write),
            });
        }
        let mut results = Vec::with_capacity(writes.len());
        for (pending, write) in pending.into_iter().zip(writes) {
            let deadline = match (&strong, is_strong(write)) {
                (Some(Ok(1..)), true) => deadline.map(|deadline| deadline + Confirm::WAIT),
                _ => deadline,
            };
            let verdict = pending.verdict(deadline).await;
            results.push(verdict.into_result(write, Scope::Single));
        }
        results
    }

    async fn transact(&self, writes: &[Prepared]) -> Vec<Result<(), StoreError>> {
        if writes.is_empty() {
            return Vec::new();
        }
        let lane = &self.inner.main;
        let deadline = self.write_deadline();
        let verdicts = match lane.queue.push_transaction(writes.to_vec()) {
            Ok(ticket) => ticket
                .answer(deadline)
                .await
                .unwrap_or_else(|why| vec![unheard(lane, why); writes.len()]),
            Err(cause) => {
                lane.want();
                vec![Verdict::NotSent(cause); writes.len()]
            }
        };
        let told = verdicts.into_iter().zip(writes);
        told.map(|(verdict, write)| verdict.into_result(write, Scope::Transaction)).collect()
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

/// As components-contrib state/redis: only sets wait for replicas.
fn is_strong(write: &Prepared) -> bool {
    write.consistency == Consistency::Strong && matches!(write.change, PreparedChange::Set { .. })
}

fn unheard(lane: &Lane, why: Unheard) -> Verdict {
    match why {
        Unheard::Withdrawn => Verdict::NotSent(TIMED_OUT.to_owned()),
        Unheard::TimedOut => Verdict::Unanswered(TIMED_OUT.to_owned()),
        Unheard::Lost => {
            Verdict::Unanswered(lane.queue.cause().unwrap_or_else(|| "EOF".to_owned()))
        }
    }
}

/// The future's output, or `None` when the deadline comes first.
async fn within<T>(deadline: Option<Instant>, future: impl Future<Output = T>) -> Option<T> {
    match deadline {
        Some(deadline) => timeout_at(deadline, future).await.ok(),
        None => Some(future.await),
    }
}
