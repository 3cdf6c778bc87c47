//! The rows that leave a half-open breaker as it was: their caller leaves or waits no longer.

use std::thread;

use super::{
    caller::Asks,
    play::{Play, Store, only},
    scripted::Does,
};
use crate::harness::eventually;

impl Play<'_> {
    /// A probe that ends like this gives its place back, and moves the breaker neither way. Says how
    /// many calls have reached the server then.
    pub fn check_probes(&self) -> usize {
        let server = self.scene.scripted_server();
        self.make_half_open();
        let (mark, name) = (self.sidecar.mark(), self.name(Store::Probes));
        // The first one lasts long enough for another call to come.
        let deadline = self.scene.asks.deadline;
        for (call, deadline) in [("probe-1", deadline.map(|_| "3S")), ("probe-2", deadline)] {
            self.wait_until_connected();
            let sent = server.scripts() + 1;
            let asks = Asks { deadline, ..self.scene.asks };
            let probe = asks.begin_over_grpc(&self.client, &name, &self.key(call));
            eventually("the probe is on the wire", || server.scripts() == sent);
            if call == "probe-1" {
                let other = Asks::default().over_grpc(&self.client, &name, &self.key("other"));
                assert!(other.message.contains("too many requests"), "the only probe: {other:?}");
            }
            if self.row.told().is_some() {
                self.compare_grpc(&probe.answer());
            } else {
                probe.hang_up();
            }
            assert_eq!(server.scripts(), sent, "only the probe was let through");
            assert_eq!(self.breaker(Store::Probes), "half-open");
        }
        let lines = self.sidecar.said(mark, "changed state from half-open");
        assert!(!lines.iter().any(|line| line.text.contains(&name)), "{lines:?}");
        server.scripts()
    }

    /// Has the breaker wait for its only probe; afterwards the server does as before.
    pub fn make_half_open(&self) {
        self.wait_until_connected();
        let server = self.scene.scripted_server();
        let does = server.does();
        server.on_script(Does::Closes);
        self.fail_once(Store::Probes);
        server.on_script(does);
        self.wait_until_connected();
        eventually("half-open", || self.breaker(Store::Probes) == "half-open");
    }

    /// The callers leave while the server thinks.
    pub fn leave(&self) {
        let (asks, begun) = (self.scene.asks, self.check_probes());
        self.wait_until_connected();
        let arrives = |so_many: usize| {
            eventually("the save is on the wire", || self.scripts() == begun + so_many);
        };
        let over_grpc = |store: Store, call: &str, so_many: usize| {
            let call = asks.begin_over_grpc(&self.client, &self.name(store), &self.key(call));
            arrives(so_many);
            call.hang_up();
        };
        over_grpc(Store::Retries, "1", 1);
        over_grpc(Store::Trips, "2", 2);
        let name = self.name(Store::Tallies);
        let call = asks.begin_over_http(self.sidecar, &name, &self.key("3"));
        arrives(3);
        drop(call);
        for store in [Store::Retries, Store::Trips, Store::Tallies] {
            let left = only(self.row.class, 1);
            eventually("it is counted", || self.classes(store) == left);
        }
        // Longer than the pauses between retries are.
        thread::sleep(std::time::Duration::from_millis(200));
        assert_eq!(self.scripts(), begun + 3, "nothing was sent again");
        self.count_logged(0);
        self.check_breakers();
    }
}
