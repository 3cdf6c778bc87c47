//! One lane to Redis: a supervisor that owns reconnecting, and the connection calls see meanwhile.
//!
//! A fred client lives exactly as long as one connection. fred's own retries, queue and reconnects
//! are off: they would send a command whose caller was told that it failed.

use std::{sync::Arc, time::Duration};

use fred::{clients::Client, error::Error, interfaces::ClientLike, types::Value};
use tokio::{
    sync::{Notify, watch},
    task::{AbortHandle, JoinHandle},
    time::Instant,
};

use super::{
    config,
    health::Reporter,
    lone::Lone,
    pump::{Confirm, pump},
    queue::{Queue, Ticket},
    reads::{self, Keys, LoneRead},
    replicas::Replicas,
    reply::{self, Read, Verdict},
    settings::RedisSettings,
    watchdog::Pulse,
    writes::{self, LoneWrite, Writes},
};
use crate::{metrics::store::StoreMeters, timers};

#[cfg(test)]
mod tests;

/// How long a suspected connection has to answer.
const GRACE: Duration = Duration::from_millis(800);
/// The least time between two tries to connect, whoever asks.
const MIN_GAP: Duration = Duration::from_millis(50);
/// A connection that lived so long shows that the server is well: the back-off starts anew. A
/// younger one is not replaced for what the server said: the next would hear the same.
const SETTLED: Duration = Duration::from_secs(2);

/// Commands of one kind on their way to Redis, with a connection of their own.
#[derive(Debug)]
pub(super) struct Lane {
    pub(super) writes: Queue<Writes>,
    pub(super) reads: Queue<Keys>,
    pub(super) pulse: Pulse,
    door: watch::Sender<Door>,
    wanted: Notify,
    pub(super) lone_reads: Lone<LoneRead, Read>,
    pub(super) lone_writes: Lone<LoneWrite, Verdict>,
    pub(super) meters: Arc<StoreMeters>,
}

/// Whether there is a connection.
#[derive(Clone, Debug)]
enum Door {
    /// Not yet: the first try is under way, or a connection is being replaced.
    Opening,
    Open(Arc<Connection>),
    /// No: the last try failed for this reason.
    Shut(String),
}

/// One connection, as long as it lives.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) client: Client,
    pub(super) replicas: Replicas,
    /// fred's task, without which its client takes commands all the same, and answers none.
    life: AbortHandle,
    retired: Notify,
}

impl Connection {
    fn new(client: Client, life: AbortHandle) -> Self {
        Self { client, replicas: Replicas::default(), life, retired: Notify::new() }
    }

    /// Whether it ended, though perhaps its lane did not hear of it yet.
    pub(super) fn is_over(&self) -> bool {
        self.life.is_finished()
    }
}

/// A task that ends when its handle is dropped.
#[derive(Debug)]
pub(super) struct Task<T>(JoinHandle<T>);

impl<T> Task<T> {
    /// Takes over the task.
    pub(super) fn new(handle: JoinHandle<T>) -> Self {
        Self(handle)
    }
}

impl<T> Drop for Task<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// How a connection ended.
enum End {
    Broken(String),
    Stalled,
    Retired,
}

impl Lane {
    /// A lane whose supervisor has not connected yet.
    pub(super) fn new(meters: Arc<StoreMeters>) -> Arc<Self> {
        let lane = Arc::new(Self {
            writes: Queue::default(),
            reads: Queue::default(),
            pulse: Pulse::default(),
            door: watch::Sender::new(Door::Opening),
            wanted: Notify::new(),
            lone_reads: Lone::new(reads::attendant),
            lone_writes: Lone::new(writes::attendant),
            meters,
        });
        let watched = Arc::downgrade(&lane);
        lane.meters.watch_queue(move || watched.upgrade().map(|lane| lane.depth()));
        lane
    }

    /// Lets writes wait to be sent; `Err` says why they may not.
    pub(super) fn write(&self, writes: Writes) -> Result<Ticket<'_, Writes>, String> {
        self.announced(self.writes.push(writes, &self.pulse))
    }

    /// Lets keys wait to be read; `Err` says why they may not.
    pub(super) fn read(&self, keys: Keys) -> Result<Ticket<'_, Keys>, String> {
        self.announced(self.reads.push(keys, &self.pulse))
    }

    fn announced<T>(&self, pushed: Result<T, String>) -> Result<T, String> {
        match pushed {
            Ok(_) => self.pulse.wake_pump(),
            Err(_) => self.wanted.notify_one(),
        }
        pushed
    }

    /// Whether what waits may be handed to the connection: it answers and is not being replaced.
    pub(super) fn may_send(&self) -> bool {
        !self.pulse.is_suspected()
            && !self.pulse.has_ended()
            && !matches!(&*self.door.borrow(), Door::Opening)
    }

    /// The connection, if nothing is on the wire and something may be.
    pub(super) fn idle_connection(&self) -> Option<Arc<Connection>> {
        if self.pulse.is_busy() || self.pulse.is_suspected() {
            return None;
        }
        match &*self.door.borrow() {
            Door::Open(connection) if !connection.is_over() => Some(connection.clone()),
            Door::Open(_) | Door::Opening | Door::Shut(_) => None,
        }
    }

    /// How much waits to be sent.
    fn depth(&self) -> usize {
        self.writes.depth() + self.reads.depth()
    }

    /// Why the last connection ended.
    pub(super) fn cause(&self) -> String {
        self.writes.cause().unwrap_or_else(|| "EOF".to_owned())
    }

    /// The connection, waiting while one is about to be there; or why there is none.
    pub(super) async fn connection(&self) -> Result<Arc<Connection>, String> {
        let mut door = self.door.subscribe();
        let door = door.wait_for(|door| !matches!(door, Door::Opening)).await;
        match door.as_deref() {
            Ok(Door::Open(connection)) => Ok(connection.clone()),
            Ok(Door::Shut(cause)) => {
                self.wanted.notify_one();
                Err(cause.clone())
            }
            Ok(Door::Opening) | Err(_) => Err("no connection yet".to_owned()),
        }
    }

    /// Hears what the server said: some answers mean that another connection may do better.
    pub(super) fn heard(&self, text: &str) {
        if reply::wants_new_connection(text)
            && let Door::Open(connection) = &*self.door.borrow()
        {
            connection.retired.notify_one();
        }
    }

    /// Ends the lane: from now on everything fails for this reason.
    pub(super) fn shut(&self, cause: &str) {
        self.writes.shut(cause);
        self.reads.shut(cause);
        self.door.send_replace(Door::Shut(cause.to_owned()));
    }

    fn open(&self, connection: Arc<Connection>) {
        self.pulse.reset();
        self.writes.open();
        self.reads.open();
        self.door.send_replace(Door::Open(connection));
    }

    /// Lets calls wait for the next connection instead of failing.
    fn replace(&self) {
        self.door.send_replace(Door::Opening);
    }

    /// Keeps the lane connected for ever.
    pub(super) async fn supervise(
        self: Arc<Self>,
        settings: Arc<RedisSettings>,
        reporter: Option<Reporter>,
        confirm: Confirm,
    ) {
        let mut pauses = Pauses::default();
        let address = settings.address();
        loop {
            let tried = Instant::now();
            let cause = match connect(&settings).await {
                Ok((client, life)) => {
                    if let Some(reporter) = &reporter {
                        reporter.up(&address);
                    }
                    let end = self.serve(client, life, &confirm).await;
                    let settled = tried.elapsed() >= SETTLED;
                    if settled {
                        pauses = Pauses::default();
                    }
                    match end {
                        End::Retired => continue,
                        End::Broken(cause) if settled => {
                            // An idle connection that was closed is replaced before anyone needs
                            // it: who calls meanwhile waits for the outcome of one try.
                            if let Some(reporter) = &reporter {
                                reporter.down(&address, &cause);
                            }
                            self.replace();
                            continue;
                        }
                        End::Broken(cause) => cause,
                        End::Stalled => reply::TIMED_OUT.to_owned(),
                    }
                }
                Err(cause) => cause,
            };
            self.shut(&cause);
            if let Some(reporter) = &reporter {
                reporter.down(&address, &cause);
            }
            let asked = async {
                self.wanted.notified().await;
                timers::sleep_until(tried + MIN_GAP).await;
            };
            tokio::select! {
                () = timers::sleep(pauses.next()) => {}
                () = asked => {}
            }
        }
    }

    /// Serves one connection until it ends. On return nothing of it is left: dropping the task
    /// closes the socket and throws away what was not written.
    async fn serve(
        self: &Arc<Self>,
        client: Client,
        mut life: Task<Result<(), Error>>,
        confirm: &Confirm,
    ) -> End {
        let connection = Arc::new(Connection::new(client, life.0.abort_handle()));
        self.open(connection.clone());
        // A task of its own, and so woken for nothing that only its connection is about.
        let (lane, handed, confirmed) = (self.clone(), connection.clone(), confirm.clone());
        let pumping = async move { pump(&lane, &handed, &confirmed).await };
        let mut pumping = Task::new(tokio::spawn(pumping));
        let pulse = &self.pulse;
        let probe = || async { answers(connection.client.ping::<Value>(None).await) };
        tokio::select! {
            biased;
            Err(panicked) = &mut pumping.0 => End::Broken(lost_cause(Err(panicked))),
            ended = &mut life.0 => End::Broken(lost_cause(ended)),
            () = pulse.stalled(GRACE + confirm.patience(), probe) => End::Stalled,
            () = self.retire(&connection) => End::Retired,
        }
    }

    /// Returns when the connection should make way for another and nothing is on the wire.
    async fn retire(&self, connection: &Connection) {
        const DRAIN: Duration = Duration::from_millis(250);
        let settled = Instant::now() + SETTLED;
        connection.retired.notified().await;
        timers::sleep_until(settled).await;
        self.replace();
        // What is still on the wire then is lost with the connection.
        let _ = timers::timeout(DRAIN, self.pulse.drained()).await;
    }
}

/// One try to connect; the server has answered a command when it succeeds.
async fn connect(settings: &RedisSettings) -> Result<(Client, Task<Result<(), Error>>), String> {
    let address = settings.address();
    let client = config::client(settings)?;
    let life = Task::new(client.connect());
    let hello = async {
        client.wait_for_connect().await?;
        match client.ping::<Value>(None).await {
            // Who may not PING may still read and write.
            Err(error) if !reply::is_about_the_command(&error) => Err(error),
            _ => Ok(()),
        }
    };
    match timers::timeout(config::connect_budget(settings), hello).await {
        Ok(Ok(())) => Ok((client, life)),
        Ok(Err(error)) => Err(reply::connect_cause(&address, &error)),
        Err(_) => Err(format!("dial tcp {address}: i/o timeout")),
    }
}

/// Whether a reply shows that the server is there.
fn answers(reply: Result<Value, Error>) -> bool {
    reply.is_ok() || reply.is_err_and(|error| reply::is_server_text(error.details()))
}

fn lost_cause(ended: Result<Result<(), Error>, tokio::task::JoinError>) -> String {
    match ended {
        Ok(Err(error)) => reply::lost_cause(&error),
        Ok(Ok(())) => "EOF".to_owned(),
        Err(_) => "the connection's task ended".to_owned(),
    }
}

/// The pauses between tries to connect: growing, and never the same for two sidecars.
#[derive(Debug)]
struct Pauses {
    next: Duration,
}

impl Default for Pauses {
    fn default() -> Self {
        Self { next: Duration::from_millis(50) }
    }
}

impl Pauses {
    fn next(&mut self) -> Duration {
        const MOST: Duration = Duration::from_secs(3);
        let pause = self.next.mul_f64(0.5 + fastrand::f64() / 2.0);
        self.next = (self.next * 2).min(MOST);
        pause
    }
}
