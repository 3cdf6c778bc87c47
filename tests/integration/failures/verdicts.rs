//! The rows that need more than one call at a time: a breaker in a state, a full wire, an end.

use nix::sys::signal::Signal;
use outrigger::api::failures::{Class, Row};

use super::{
    caller::{Asks, Begun, heard_in_rest, rest},
    play::{Classes, Play, Store},
    rows::start,
    scene::Scene,
    scripted::Does,
};
use crate::harness::eventually;

/// How many batches may be on one connection's wire.
const ON_WIRE: usize = 4;

impl Play<'_> {
    /// The breaker is open, and lets nobody through however often a policy would retry.
    pub fn be_rejected_when_open(&self) {
        self.wait_until_connected();
        let name = self.name(Store::Retries);
        let opens = Asks::default().over_grpc(&self.client, &name, &self.key("opens"));
        assert_eq!(opens.code, "INTERNAL");
        // The attempt that failed, and the one that was rejected.
        self.count_logged(2);
        self.reject(2, "open");
        assert_eq!(self.scripts(), 1, "only what opened it was let through");
    }

    /// The breaker waits for its only probe.
    pub fn be_rejected_when_half_open(&self) {
        let server = self.scene.scripted_server();
        self.wait_until_connected();
        let name = self.name(Store::Retries);
        let opens = Asks::default().over_grpc(&self.client, &name, &self.key("opens"));
        assert_eq!(opens.code, "INTERNAL");
        server.on_script(Does::Nothing);
        self.wait_until_connected();
        eventually("half-open", || self.breaker(Store::Retries) == "half-open");
        let sent = self.scripts() + 1;
        let probe = Asks::default().begin_over_grpc(&self.client, &name, &self.key("probe"));
        eventually("the probe is on the wire", || self.scripts() == sent);
        self.reject(self.failed_attempts(Store::Retries), "half-open");
        assert_eq!(self.scripts(), sent, "only the probe was let through");
        probe.hang_up();
    }

    /// Calls that the breaker rejects, when so many attempts failed before.
    fn reject(&self, before: usize, state: &str) {
        let class = self.row.class.expect("a class").as_str();
        let rejected = || self.classes(Store::Retries).get(class).copied().unwrap_or_default();
        let rejected_before = rejected();
        let (name, asks) = (self.name(Store::Retries), self.scene.asks);
        self.compare_grpc(&asks.over_grpc(&self.client, &name, &self.key("1")));
        self.count_logged(before + 1);
        self.compare_http(&asks.over_http(self.sidecar, &name, &self.key("2")));
        self.count_logged(before + 2);
        assert_eq!(rejected(), rejected_before + 2);
        assert_eq!(self.breaker(Store::Retries), state);
    }

    /// The wire is full and a save waits for it when the connection ends: those on the wire are
    /// lost, the other was never sent.
    pub fn wait_in_vain(&self) {
        let server = self.scene.scripted_server();
        self.wait_until_connected();
        let wire = self.fill_wire(Store::Trips);
        let asks = self.scene.asks;
        let waits = asks.begin_over_grpc(&self.client, &self.name(Store::Trips), &self.key("1"));
        self.end_connection(Store::Trips, 0);
        self.compare_grpc(&waits.answer());
        self.check_lost(Store::Trips, wire);

        self.wait_until_connected();
        let wire = self.fill_wire(Store::Tallies);
        let name = self.name(Store::Tallies);
        let waits = asks.begin_over_http(self.sidecar, &name, &self.key("2"));
        self.end_connection(Store::Tallies, ON_WIRE);
        self.compare_http(&heard_in_rest(&rest(waits)));
        self.check_lost(Store::Tallies, wire);

        // With retries, all find a server that answers.
        self.wait_until_connected();
        let wire = self.fill_wire(Store::Retries);
        let waits = asks.begin_over_grpc(&self.client, &self.name(Store::Retries), &self.key("3"));
        server.on_script(Does::Says(":1"));
        self.end_connection(Store::Retries, 2 * ON_WIRE);
        self.count_logged(ON_WIRE + 1);
        server.refuse(false);
        for call in wire.into_iter().chain([waits]) {
            assert_eq!(call.answer().code, "OK");
        }
    }

    fn fill_wire(&self, store: Store) -> Vec<Begun> {
        let before = self.scripts();
        let begin = |number: usize| {
            let key = self.key(&format!("{store:?}-{number}"));
            let call = self.scene.asks.begin_over_grpc(&self.client, &self.name(store), &key);
            eventually("it is on the wire", || self.scripts() == before + number);
            call
        };
        (1..=ON_WIRE).map(begin).collect()
    }

    /// Once one save waits, and no more was sent than before and what is on the wire.
    fn end_connection(&self, store: Store, before: usize) {
        let waits = format!("component=\"{}\"}} 1", self.name(store));
        eventually("it waits", || {
            let metrics = self.sidecar.metrics();
            let mut depths = metrics.lines().filter(|line| line.contains("_store_queue_depth{"));
            depths.any(|line| line.ends_with(&waits))
        });
        assert_eq!(self.scripts(), before + ON_WIRE, "what waits was not sent");
        // A connection that was there for long is replaced, and what waits is sent on the next one.
        self.scene.scripted_server().refuse(true);
        self.scene.scripted_server().hang_up();
    }

    fn check_lost(&self, store: Store, wire: Vec<Begun>) {
        let so_many = self.scripts();
        for call in wire {
            let heard = call.answer();
            assert_eq!(heard.code, "INTERNAL", "{heard:?}");
        }
        let counts = [(self.row.class.expect("a class"), 1), (Class::Lost, ON_WIRE)];
        let counts = counts.map(|(class, calls)| (class.as_str().to_owned(), calls));
        assert_eq!(self.classes(store), Classes::from(counts));
        assert_eq!(self.scripts(), so_many);
        self.scene.scripted_server().refuse(false);
        // It needs one failure more than there were calls on the wire.
        assert_eq!(self.breaker(store), "open");
    }
}

/// Its own sidecar: calls are in flight when it is to end, and longer than its grace.
pub fn be_cut_off(row: Row, scene: Scene) {
    let scenes = [(row, scene)];
    let mut sidecar = start(&scenes);
    let [(row, scene)] = scenes;
    let client = sidecar.client();
    let play = Play { row, scene, sidecar: &sidecar, client: client.clone() };
    play.make_half_open();
    play.wait_until_connected();
    let (asks, before) = (play.scene.asks, play.scripts());
    let over_grpc = asks.begin_over_grpc(&client, &Store::Retries.of(&row), &play.key("1"));
    let over_http = asks.begin_over_http(&sidecar, &Store::Trips.of(&row), &play.key("2"));
    let probe = asks.begin_over_grpc(&client, &Store::Probes.of(&row), &play.key("3"));
    eventually("all are on the wire", || play.scripts() == before + 3);
    sidecar.process.signal(Signal::SIGTERM);
    assert_eq!(rest(over_http), "", "nobody is told anything");
    for call in [over_grpc, probe] {
        // What gRPC itself says of a stream that ends.
        let heard = call.answer();
        assert_ne!(heard.code, "OK");
        assert_eq!(heard.word, None, "{heard:?}");
        assert!(!heard.message.contains("failed saving state"), "{heard:?}");
    }
    assert_eq!(play.scripts(), before + 3, "nothing was sent again");
    play.count_logged(0);
    drop(play);
    assert_eq!(sidecar.process.exit_code(), 1, "the grace was over");
    let changes = sidecar.breaker_changes(0);
    assert_eq!(changes, ["closed to open", "open to half-open"], "the probe moved it neither way");
}
