//! A row on its scene, before a sidecar: what is asked, and what is seen of it.

use std::collections::BTreeMap;

use outrigger::{
    api::failures::{Class, Executed, Operation, Row},
    resiliency::fault::{Outcome, Retry},
};

use super::{
    caller::{Asks, Heard, VALUE},
    scene::{Scene, Servers, connection, stored},
};
use crate::harness::{canary::key, client::Client, eventually, redis::Redis, sidecar::Sidecar};

/// How often a policy with retries tries.
const ATTEMPTS: usize = 3;

/// The stores of a row by what stands before them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Store {
    /// Retries.
    Retries,
    /// A breaker that opens at the first failure.
    Trips,
    /// A breaker that opens at a failure if there was a success.
    Tallies,
    /// A breaker that is half-open soon after it opened.
    Probes,
}

impl Store {
    /// Those of a row.
    pub fn all(row: &Row) -> &'static [Self] {
        match row.breaker() {
            Some(Outcome::Abandoned) => &[Self::Retries, Self::Trips, Self::Tallies, Self::Probes],
            _ => &[Self::Retries, Self::Trips, Self::Tallies],
        }
    }

    /// Its name for this row.
    pub fn of(self, row: &Row) -> String {
        format!("{}-{self:?}", row.id.replace(' ', "-")).to_lowercase()
    }

    /// The policies before it.
    pub fn policies(self, scene: &Scene) -> &'static str {
        match self {
            Self::Retries => scene.policies.retries,
            Self::Trips => scene.policies.trips,
            Self::Tallies => scene.policies.tallies,
            Self::Probes => "circuitBreaker: probes",
        }
    }
}

/// A row on its scene, before a sidecar.
pub struct Play<'s> {
    pub row: Row,
    pub scene: Scene,
    pub sidecar: &'s Sidecar,
    pub client: Client,
}

/// How many calls ended with which class.
pub type Classes = BTreeMap<String, usize>;

/// The calls of an operation on a store, by their classes.
pub fn classes(metrics: &str, store: &str, operation: Operation) -> Classes {
    let operation = match operation {
        Operation::Get => "get",
        Operation::BulkGet => "bulk_get",
        Operation::Save => "set",
        Operation::Delete => "delete",
        Operation::BulkDelete => "bulk_delete",
        Operation::Transaction => "transaction",
    };
    let labels = format!("component=\"{store}\",operation=\"{operation}\"}} ");
    let lines = metrics.lines().filter_map(|line| {
        let line = line.strip_prefix("outrigger_state_outcomes_total{")?;
        let (before, count) = line.split_once(&labels)?;
        let class = before.split("class=\"").nth(1)?.split('"').next()?;
        Some((class.to_owned(), count.parse().expect("a count")))
    });
    lines.collect()
}

/// So many calls of one class; none if there is no class.
pub fn only(class: Option<Class>, calls: usize) -> Classes {
    class.into_iter().map(|class| (class.as_str().to_owned(), calls)).collect()
}

impl Play<'_> {
    /// The key of one call.
    pub fn key(&self, call: &str) -> String {
        key(&format!("{}-{call}", self.row.id.replace(' ', "-")))
    }

    pub fn redis(&self) -> Option<&Redis> {
        self.scene.redis_servers().first()
    }

    pub fn scripts(&self) -> usize {
        self.scene.scripted_server().scripts()
    }

    pub fn name(&self, store: Store) -> String {
        store.of(&self.row)
    }

    pub fn breaker(&self, store: Store) -> String {
        self.extended(store, "breaker")
    }

    fn extended(&self, store: Store, what: &str) -> String {
        self.client.extended(&format!("outrigger.store.{}.{what}", self.name(store)))
    }

    /// Waits until a call on any of the stores is sent at once.
    pub fn wait_until_connected(&self) {
        let stores = Store::all(&self.row);
        if let Servers::Scripted(server) = &self.scene.servers {
            eventually("all are answered", || server.answered() >= stores.len());
        }
        for &store in stores {
            eventually("the store is connected", || self.extended(store, "connected") == "true");
        }
    }

    /// How many attempts on a store have failed.
    pub fn failed_attempts(&self, store: Store) -> usize {
        let operation = format!("component[{}] output", self.name(store));
        self.sidecar.said(0, &format!("Error for operation {operation} was: ")).len()
    }

    pub fn classes(&self, store: Store) -> Classes {
        classes(&self.sidecar.metrics(), &self.name(store), self.row.operation)
    }

    /// The attempts of one call on a store.
    fn attempts(&self, store: Store) -> usize {
        match (self.scene.attempts, self.row.retry()) {
            _ if !store.policies(&self.scene).contains("retry") => 1,
            (Some(attempts), _) => attempts,
            (None, Retry::Worthwhile) => ATTEMPTS,
            (None, Retry::Pointless) => 1,
        }
    }

    /// The attempts of one call that are logged as failed.
    fn logged_attempts(&self) -> usize {
        let attempts = self.attempts(Store::Retries);
        let reads = matches!(self.row.operation, Operation::Get | Operation::BulkGet);
        match self.row.class {
            // Never attempted, never failed, or nobody there to see it fail.
            Some(Class::BadEtag | Class::BadTtl | Class::Ok | Class::Abandoned) | None => 0,
            // A write that Redis refused is set aside, and the attempt goes well.
            Some(Class::Conflict | Class::Refused | Class::Unconfirmed) if !reads => 0,
            Some(Class::Unclear) => attempts - 1,
            Some(_) => attempts,
        }
    }

    /// Whether an attempt of the row is sent.
    fn is_sent(&self) -> bool {
        match self.row.class {
            Some(Class::Unreachable | Class::BadEtag | Class::BadTtl) | None => false,
            Some(Class::BreakerOpen | Class::ProbesExhausted) => false,
            Some(Class::Timeout | Class::DeadlineExceeded) => self.row.executed != Executed::No,
            Some(_) => true,
        }
    }

    /// Brings the condition about, and waits until it can be met.
    fn prepare(&self, key: &str) {
        (self.scene.breaks)(&self.scene, key);
        if self.scene.connects {
            self.wait_until_connected();
        }
    }

    pub fn over_grpc(&self, store: Store, call: &str) {
        let key = self.key(call);
        self.prepare(&key);
        self.ask_over_grpc(store, &key);
    }

    fn ask_over_grpc(&self, store: Store, key: &str) {
        let ask = || self.scene.asks.over_grpc(&self.client, &self.name(store), key);
        // A deadline that is over at once is noticed before the API is asked, and told without a reason,
        // if the request is not all there yet.
        let came_too_late = |heard: &Heard| {
            self.row.id == "deadline-at-once"
                && (heard.code.as_str(), &heard.word) == ("DEADLINE_EXCEEDED", &None)
        };
        let mut heard = (0..100).map(|_| ask()).skip_while(came_too_late);
        self.compare_grpc(&heard.next().expect("a request that was there in time"));
    }

    pub fn compare_grpc(&self, heard: &Heard) {
        let told = self.row.told().expect("an answer");
        self.compare(heard, told.grpc.as_str(), self.row.reason());
    }

    pub fn over_http(&self, store: Store, call: &str) {
        let key = self.key(call);
        self.prepare(&key);
        self.ask_over_http(store, &key);
    }

    /// Over HTTP, if that is possible.
    fn ask_over_http(&self, store: Store, key: &str) {
        if self.row.status().is_none() {
            return self.ask_over_grpc(store, key);
        }
        self.compare_http(&self.scene.asks.over_http(self.sidecar, &self.name(store), key));
    }

    pub fn compare_http(&self, heard: &Heard) {
        let status = self.row.status().expect("a status").to_string();
        self.compare(heard, &status, self.row.error_code());
    }

    fn compare(&self, heard: &Heard, code: &str, word: Option<&str>) {
        assert_eq!((heard.code.as_str(), heard.word.as_deref()), (code, word), "{heard:?}");
        if self.row.class == Some(Class::Ok) {
            return;
        }
        if self.row.id.starts_with(|letter: char| letter.is_ascii_uppercase()) {
            assert!(heard.message.contains(&format!("{} ", self.row.id)), "{heard:?}");
        } else {
            assert_ne!(self.scene.says, "", "every failure has a text");
        }
        assert!(heard.message.contains(self.scene.says), "{heard:?}");
    }

    /// The row as it is with retries, then what the breakers make of it.
    pub fn run(&self) {
        let before = match self.row.breaker() {
            Some(Outcome::Abandoned) => self.check_probes(),
            _ => 0,
        };
        if self.scene.connects {
            self.wait_until_connected();
        }
        self.over_grpc(Store::Retries, "1");
        self.count_logged(self.logged_attempts());
        self.over_http(Store::Retries, "2");
        self.count_logged(2 * self.logged_attempts());
        assert_eq!(self.classes(Store::Retries), only(self.row.class, 2));
        self.over_grpc(Store::Trips, "3");
        self.over_http(Store::Tallies, "4");
        if let Some(redis) = self.redis() {
            (self.scene.repairs)(redis);
        }
        self.check_sent(before);
        self.check_executed(&["1", "2", "3", "4"]);
        for store in [Store::Trips, Store::Tallies] {
            assert_eq!(self.classes(store), only(self.row.class, 1), "{store:?}");
        }
        self.check_breakers();
        if self.row.breaker().is_none() {
            self.check_not_asked();
        }
    }

    pub fn count_logged(&self, expected: usize) {
        eventually("every attempt is logged", || self.failed_attempts(Store::Retries) >= expected);
        assert_eq!(self.failed_attempts(Store::Retries), expected, "attempts on {}", self.row.id);
    }

    /// How many attempts have reached the server, let through by it or not.
    fn came(&self) -> usize {
        match &self.scene.servers {
            Servers::Scripted(server) => server.scripts(),
            Servers::Redis(servers) => came(&servers[0], self.scene.command),
            // Nobody is there whom it could reach.
            Servers::Crowded { .. } | Servers::Reserved { .. } | Servers::None => 0,
        }
    }

    /// What reached the server: two calls with retries, two without.
    fn check_sent(&self, before: usize) {
        let stores = [Store::Retries, Store::Retries, Store::Trips, Store::Tallies];
        let attempts: usize = stores.iter().map(|&store| self.attempts(store)).sum();
        let sent = if self.is_sent() { attempts } else { 0 };
        assert_eq!(self.came() - before, sent, "attempts at the server");
        let Some(redis) = self.redis() else { return };
        let waits = if self.scene.asks.strong { sent } else { 0 };
        assert_eq!(came(redis, "wait"), waits);
        if self.row.id == "NOSCRIPT" {
            assert_eq!(came(redis, "eval"), sent, "the text was sent each time");
        }
    }

    /// Whether the calls were carried out, by what is stored.
    fn check_executed(&self, calls: &[&str]) {
        let Some(redis) = self.redis() else { return };
        let expected = self.scene.executed.unwrap_or(self.row.executed == Executed::Yes);
        assert!(self.scene.executed.is_none() || self.row.executed == Executed::Perhaps);
        for call in calls {
            let name = stored(&self.key(call));
            // A cluster answers about the keys of the server itself only, and only if asked so.
            let is_there = redis.query::<Vec<String>>(&["KEYS", &name]) == [name.clone()];
            let is_written = is_there
                && redis.query::<String>(&["TYPE", &name]) == "hash"
                && redis.field(&name, "data").as_deref() == Some(VALUE);
            let executed = match self.row.operation {
                Operation::Delete | Operation::BulkDelete => !is_there,
                _ => is_written,
            };
            assert_eq!(executed, expected, "{name}");
        }
    }

    /// What the breakers counted: one tells failures, the other tells successes once its store fails.
    pub fn check_breakers(&self) {
        let outcome = self.row.breaker();
        let open = |is_open: bool| if is_open { "open" } else { "closed" };
        assert_eq!(
            self.breaker(Store::Trips),
            open(outcome == Some(Outcome::Failure)),
            "one call, {outcome:?}"
        );
        assert_eq!(self.breaker(Store::Tallies), "closed");
        self.end_server();
        self.fail_once(Store::Tallies);
        assert_eq!(
            self.breaker(Store::Tallies),
            open(outcome == Some(Outcome::Success)),
            "one call, {outcome:?}, and a failure"
        );
    }

    fn end_server(&self) {
        match &self.scene.servers {
            Servers::Scripted(server) => server.end(),
            Servers::Redis(servers) => {
                let mut connection = connection(&servers[0]);
                // There is nobody left to answer.
                let _ = redis::cmd("SHUTDOWN").arg("NOSAVE").exec(&mut connection);
            }
            Servers::Crowded { .. } | Servers::Reserved { .. } | Servers::None => {}
        }
    }

    /// A save on a server that is gone: a failure, whatever came before.
    pub fn fail_once(&self, store: Store) {
        let before = self.failed_attempts(store);
        // Nobody waits an hour for a retry.
        let hourly = store.policies(&self.scene).contains("hourly");
        let asks = Asks { deadline: hourly.then_some("50S"), ..Asks::default() };
        let heard = asks.over_grpc(&self.client, &self.name(store), &self.key("last"));
        assert_ne!(heard.code, "OK", "{heard:?}");
        eventually("it failed", || self.failed_attempts(store) > before);
    }

    /// The row stays what it is when the breaker is open.
    fn check_not_asked(&self) {
        self.fail_once(Store::Trips);
        assert_eq!(self.breaker(Store::Trips), "open");
        self.ask_over_grpc(Store::Trips, &self.key("5"));
        self.ask_over_http(Store::Trips, &self.key("6"));
    }
}

/// How many calls of a command have reached the server, let through or not.
fn came(redis: &Redis, command: &str) -> usize {
    let stats: String = redis.query(&["INFO", "commandstats"]);
    let line = stats.lines().find_map(|line| line.strip_prefix(&format!("cmdstat_{command}:")));
    let numbers = line.unwrap_or_default().split(',').filter_map(|part| {
        let (name, number) = part.split_once('=')?;
        matches!(name, "calls" | "rejected_calls").then(|| number.parse::<usize>().ok())?
    });
    numbers.sum()
}
