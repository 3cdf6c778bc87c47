//! Each row of the table is brought about, over gRPC and over HTTP, and is as the table says.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    thread,
    time::Duration,
};

use nix::sys::signal::Signal;
use outrigger::{
    api::failures::{Class, Executed, Row, TABLE},
    resiliency::fault::{Outcome, Retry},
};

use super::{
    caller::{Asks, Heard, VALUE, rest},
    overload::be_overloaded,
    scene::{self, Scene, Servers, stored},
    scripted::Does,
};
use crate::harness::{
    canary::key,
    client::Client,
    eventually,
    redis::Redis,
    sidecar::{Setup, Sidecar},
};

/// How often a policy with retries tries.
const ATTEMPTS: usize = 3;

/// The stores of a row by what stands before them.
#[derive(Clone, Copy)]
enum Store {
    /// Retries.
    Retries,
    /// A breaker that opens at the first failure.
    Trips,
    /// A breaker that opens at a failure if there was a success.
    Tallies,
}

impl Store {
    fn of(self, row: &Row) -> String {
        let role = match self {
            Self::Retries => "retries",
            Self::Trips => "trips",
            Self::Tallies => "tallies",
        };
        format!("{}-{role}", row.id.to_lowercase())
    }

    fn outbound(self, row: &Row, scene: &Scene) -> String {
        let policies = match (self, row.id) {
            (Self::Retries, "breaker-open") => "retry: twice, circuitBreaker: trips",
            (Self::Retries, "breaker-half-open") => "retry: twice, circuitBreaker: probes",
            (Self::Retries, _) => "retry: twice",
            (Self::Trips, _) => "circuitBreaker: trips",
            (Self::Tallies, _) => "circuitBreaker: tallies",
        };
        let timeout = if scene.timeout { ", timeout: short" } else { "" };
        format!("      {}:\n        outbound: {{{policies}{timeout}}}\n", self.of(row))
    }
}

const STORES: [Store; 3] = [Store::Retries, Store::Trips, Store::Tallies];

const POLICIES: &str = "apiVersion: dapr.io/v1alpha1\nkind: Resiliency\nmetadata:\n  name: rows\n\
    spec:\n  policies:\n    timeouts:\n      short: 200ms\n    retries:\n      \
    twice: {policy: constant, duration: 10ms, maxRetries: 2}\n    circuitBreakers:\n      \
    trips: {maxRequests: 1, timeout: 1h, trip: consecutiveFailures >= 1}\n      \
    probes: {maxRequests: 1, timeout: 1s, trip: consecutiveFailures >= 1}\n      \
    tallies: {maxRequests: 1, timeout: 1h, trip: totalSuccesses >= 1 && totalFailures >= 1}\n  \
    targets:\n    components:\n";

fn component(name: &str, scene: &Scene) -> String {
    let mut text = format!(
        "apiVersion: dapr.io/v1alpha1\nkind: Component\nmetadata:\n  name: {name}\nspec:\n  \
         type: state.redis\n  version: v1\n  metadata:\n"
    );
    for (name, value) in &scene.metadata {
        text.push_str(&format!("  - {{name: {name}, value: \"{value}\"}}\n"));
    }
    text
}

fn start(scenes: &[(Row, Scene)]) -> Sidecar {
    let mut policies = POLICIES.to_owned();
    let mut setup = Setup::default();
    for (row, scene) in scenes {
        for store in STORES {
            policies.push_str(&store.outbound(row, scene));
            let name = store.of(row);
            setup = setup.resource(&format!("{name}.yaml"), &component(&name, scene));
        }
    }
    setup
        .resource("policies.yaml", &policies)
        .args(&["--dapr-graceful-shutdown-seconds", "1"])
        .start()
}

/// A row on its scene, before a sidecar.
struct Play<'s> {
    row: Row,
    scene: Scene,
    sidecar: &'s Sidecar,
    client: Client,
}

impl Play<'_> {
    /// The key of one call.
    fn key(&self, call: &str) -> String {
        key(&format!("{}-{call}", self.row.id))
    }

    fn redis(&self) -> &[Redis] {
        match &self.scene.servers {
            Servers::Redis(servers) => servers,
            Servers::Scripted(_) | Servers::Crowded { .. } | Servers::None => &[],
        }
    }

    fn scripts(&self) -> usize {
        match &self.scene.servers {
            Servers::Scripted(server) => server.scripts(),
            Servers::Redis(_) | Servers::Crowded { .. } | Servers::None => 0,
        }
    }

    fn extended(&self, store: Store, what: &str) -> String {
        self.client.extended(&format!("outrigger.store.{}.{what}", store.of(&self.row)))
    }

    fn wait_until_connected(&self) {
        for store in STORES {
            eventually("the store is connected", || self.extended(store, "connected") == "true");
        }
    }

    /// How many attempts on a store have failed.
    fn failed_attempts(&self, store: Store) -> usize {
        let operation = format!("component[{}] output", store.of(&self.row));
        self.sidecar.said(0, &format!("Error for operation {operation} was: ")).len()
    }

    /// The attempts of one call that are logged as failed.
    fn expected_attempts(&self) -> usize {
        match (self.row.class, self.row.class.retry()) {
            // Never attempted, never failed, or nobody there to see it fail.
            (Class::InvalidEtag | Class::InvalidTtl | Class::Done | Class::CallerLeft, _) => 0,
            // A write that Redis refused is set aside, and the attempt goes well.
            (Class::Conflict | Class::Refused, _) if !self.scene.asks.reads => 0,
            (_, Retry::Worthwhile) => ATTEMPTS,
            (_, Retry::Pointless) => 1,
        }
    }

    fn over_grpc(&self, store: Store, call: &str) {
        let key = self.key(call);
        (self.scene.breaks)(self.redis(), &key);
        let heard = self.scene.asks.over_grpc(&self.client, &store.of(&self.row), &key);
        let told = self.row.class.told().expect("an answer");
        self.compare(&heard, told.grpc.as_str(), self.row.reason());
    }

    fn over_http(&self, store: Store, call: &str) {
        let Some(status) = self.row.class.told().expect("an answer").http else {
            return self.over_grpc(store, call);
        };
        let key = self.key(call);
        (self.scene.breaks)(self.redis(), &key);
        let heard = self.scene.asks.over_http(self.sidecar, &store.of(&self.row), &key);
        self.compare(&heard, &status.to_string(), self.row.error_code());
    }

    fn compare(&self, heard: &Heard, code: &str, word: Option<&str>) {
        assert_eq!((heard.code.as_str(), heard.word.as_deref()), (code, word), "{heard:?}");
        let is_reply = self.row.id.chars().all(|letter| letter.is_ascii_uppercase());
        if is_reply && !matches!(self.row.id, "NOSCRIPT" | "MOVED") {
            assert!(heard.message.contains(&format!("{} ", self.row.id)), "{heard:?}");
        }
        assert!(heard.message.contains(self.scene.says), "{heard:?}");
    }

    /// The row as it is with retries, then what the breakers make of it.
    fn run(&self) {
        if self.scene.connects {
            self.wait_until_connected();
        }
        self.over_grpc(Store::Retries, "1");
        self.count(self.expected_attempts());
        self.over_http(Store::Retries, "2");
        self.count(2 * self.expected_attempts());
        self.check_sent();
        self.over_grpc(Store::Trips, "3");
        self.over_http(Store::Tallies, "4");
        self.check_executed(&["1", "2", "3", "4"]);
        self.check_breakers();
    }

    fn count(&self, expected: usize) {
        eventually("every attempt is logged", || self.failed_attempts(Store::Retries) >= expected);
        assert_eq!(self.failed_attempts(Store::Retries), expected, "attempts on {}", self.row.id);
    }

    /// What Redis answered for good reaches it once a call: each attempt begins with the script's
    /// name, whatever becomes of it.
    fn check_sent(&self) {
        let Some(redis) = self.redis().first() else { return };
        if self.row.class.breaker() != Some(Outcome::Success) || self.scene.asks.reads {
            return;
        }
        let stats: String = redis.query(&["INFO", "commandstats"]);
        let line = stats.lines().find_map(|line| line.strip_prefix("cmdstat_evalsha:"));
        let numbers = line.unwrap_or_default().split(',').filter_map(|part| {
            let (name, number) = part.split_once('=')?;
            matches!(name, "calls" | "rejected_calls").then(|| number.parse::<u64>().ok())?
        });
        assert_eq!(numbers.sum::<u64>(), 2, "{line:?}");
    }

    /// Whether the calls were carried out, by what is stored or what the server was asked.
    fn check_executed(&self, calls: &[&str]) {
        let Some(redis) = self.redis().first() else {
            let asked = self.scripts() > 0;
            let refused = matches!(self.row.class, Class::Unavailable | Class::Refused);
            assert_eq!(asked, refused || self.row.executed == Executed::Perhaps);
            return;
        };
        (self.scene.repairs)(redis);
        for call in calls {
            let name = stored(&self.key(call));
            // A cluster answers about the keys of the server itself only, and only if asked so.
            let there = redis.query::<Vec<String>>(&["KEYS", &name]) == [name.clone()]
                && redis.query::<String>(&["TYPE", &name]) == "hash"
                && redis.field(&name, "data").as_deref() == Some(VALUE);
            assert_eq!(there, self.row.executed == Executed::Yes, "{name}");
        }
        if self.row.id == "NOSCRIPT" {
            assert!(redis.calls(&["eval"]) >= calls.len() as u64, "the text was sent each time");
        }
    }

    /// What the breakers counted: one tells failures, the other tells successes once its store fails.
    fn check_breakers(&self) {
        let outcome = self.row.class.breaker();
        let open = |is_open: bool| if is_open { "open" } else { "closed" };
        assert_eq!(
            self.extended(Store::Trips, "breaker"),
            open(outcome == Some(Outcome::Failure)),
            "one call, {outcome:?}"
        );
        assert_eq!(self.extended(Store::Tallies, "breaker"), "closed");
        match &self.scene.servers {
            Servers::Scripted(server) => server.end(),
            Servers::Redis(servers) => servers[0].pause(),
            Servers::Crowded { .. } | Servers::None => {}
        }
        self.fail_once();
        assert_eq!(
            self.extended(Store::Tallies, "breaker"),
            open(outcome == Some(Outcome::Success)),
            "one call, {outcome:?}, and a failure"
        );
    }

    /// A save on a server that is gone: a failure, whatever came before.
    fn fail_once(&self) {
        let before = self.failed_attempts(Store::Tallies);
        let name = Store::Tallies.of(&self.row);
        let heard = Asks::default().over_grpc(&self.client, &name, &self.key("last"));
        assert_eq!(heard.code, "INTERNAL", "{heard:?}");
        eventually("it failed", || self.failed_attempts(Store::Tallies) == before + 1);
    }

    /// The callers leave while the server thinks.
    fn leave(&self) {
        self.wait_until_connected();
        let asks = self.scene.asks;
        let arrives = |so_many: usize| {
            eventually("the save is on the wire", || self.scripts() == so_many);
        };
        let over_grpc = |store: Store, call: &str, so_many: usize| {
            let hang_up = asks.begin_over_grpc(&self.client, &store.of(&self.row), &self.key(call));
            arrives(so_many);
            hang_up();
        };
        over_grpc(Store::Retries, "1", 1);
        over_grpc(Store::Trips, "2", 2);
        let name = Store::Tallies.of(&self.row);
        let call = asks.begin_over_http(self.sidecar, &name, &self.key("3"));
        arrives(3);
        drop(call);
        // Longer than the pauses between retries are.
        thread::sleep(Duration::from_millis(200));
        assert_eq!(self.scripts(), 3, "nothing was sent again");
        self.count(0);
        self.check_executed(&[]);
        self.check_breakers();
    }

    /// The breaker is open, and lets nobody through however often a policy would retry.
    fn be_rejected_when_open(&self) {
        let opens = Asks::default().over_grpc(
            &self.client,
            &Store::Retries.of(&self.row),
            &self.key("opens"),
        );
        assert_eq!(opens.code, "INTERNAL");
        // The attempt that failed, and the one that was rejected.
        self.count(2);
        self.reject(2);
        assert_eq!(self.extended(Store::Retries, "breaker"), "open");
    }

    /// The breaker waits for its only probe.
    fn be_rejected_when_half_open(&self) {
        let Servers::Scripted(server) = &self.scene.servers else { panic!("a scripted server") };
        self.wait_until_connected();
        let name = Store::Retries.of(&self.row);
        let opens = Asks::default().over_grpc(&self.client, &name, &self.key("opens"));
        assert_eq!(opens.code, "INTERNAL");
        server.on_script(Does::Nothing);
        self.wait_until_connected();
        eventually("half-open", || self.extended(Store::Retries, "breaker") == "half-open");
        let sent = self.scripts() + 1;
        let hang_up = Asks::default().begin_over_grpc(&self.client, &name, &self.key("probe"));
        eventually("the probe is on the wire", || self.scripts() == sent);
        self.reject(self.failed_attempts(Store::Retries));
        assert_eq!(self.scripts(), sent, "only the probe was let through");
        assert_eq!(self.extended(Store::Retries, "breaker"), "half-open");
        hang_up();
    }

    /// Calls that the breaker rejects, when so many attempts failed before.
    fn reject(&self, before: usize) {
        self.over_grpc(Store::Retries, "1");
        self.count(before + 1);
        self.over_http(Store::Retries, "2");
        self.count(before + 2);
    }
}

/// Its own sidecar: calls are in flight when it is to end, and longer than its grace.
fn be_cut_off(row: Row, scene: Scene) {
    let scenes = [(row, scene)];
    let mut sidecar = start(&scenes);
    let [(row, scene)] = scenes;
    let client = sidecar.client();
    let play = Play { row, scene, sidecar: &sidecar, client: client.clone() };
    play.wait_until_connected();
    let _over_grpc =
        play.scene.asks.begin_over_grpc(&client, &Store::Retries.of(&row), &play.key("1"));
    let over_http =
        play.scene.asks.begin_over_http(&sidecar, &Store::Trips.of(&row), &play.key("2"));
    eventually("both are on the wire", || play.scripts() == 2);
    sidecar.process.signal(Signal::SIGTERM);
    assert_eq!(rest(over_http), "", "nobody is told anything");
    assert_eq!(play.scripts(), 2, "nothing was sent again");
    play.count(0);
    drop(play);
    assert_eq!(sidecar.process.exit_code(), 1, "the grace was over");
}

fn play(play: &Play<'_>) {
    match play.row.class {
        Class::CallerLeft => play.leave(),
        Class::Rejected if play.row.id == "breaker-open" => play.be_rejected_when_open(),
        Class::Rejected => play.be_rejected_when_half_open(),
        _ => play.run(),
    }
}

/// Does it for each on a thread of its own; every failure is told by the row's name.
fn for_each<T: Send, U: Send>(
    all: Vec<(Row, T)>,
    act: impl Fn(Row, T) -> U + Sync,
) -> Vec<(Row, U)> {
    let act = &act;
    let ended: Vec<_> = thread::scope(|scope| {
        let started = all.into_iter().map(|(row, with)| {
            let run = move || catch_unwind(AssertUnwindSafe(|| act(row, with)));
            (row, scope.spawn(run))
        });
        let started: Vec<_> = started.collect();
        started.into_iter().map(|(row, thread)| (row, thread.join().expect("caught"))).collect()
    });
    let mut failed = Vec::new();
    let mut done = Vec::new();
    for (row, result) in ended {
        match result {
            Ok(value) => done.push((row, value)),
            Err(_) => failed.push(row.id),
        }
    }
    assert!(failed.is_empty(), "these rows are not as the table says, see above: {failed:?}");
    done
}

#[test]
fn every_row_is_produced_for_real() {
    let (overloads, rows): (Vec<Row>, Vec<Row>) =
        TABLE.iter().partition(|row| row.class == Class::Overloaded);
    let rows = rows.into_iter().map(|row| (row, ())).collect();
    let mut scenes = for_each(rows, |row, ()| {
        scene::of(row.id).unwrap_or_else(|| panic!("nobody knows how to bring {} about", row.id))
    });
    let own = scenes.iter().position(|(row, _)| row.class == Class::CutOff).expect("its row");
    let (row, scene) = scenes.remove(own);
    thread::scope(|scope| {
        scope.spawn(move || be_cut_off(row, scene));
        for row in overloads {
            scope.spawn(move || be_overloaded(row));
        }
        let sidecar = start(&scenes);
        for_each(scenes, |row, scene| {
            play(&Play { row, scene, sidecar: &sidecar, client: sidecar.client() });
        });
        sidecar.finish();
    });
}
