//! What the tests are played on: a Redis of one's own, the sidecar as a process, clients, a proxy.

pub mod canary;
pub mod client;
pub mod http;
pub mod orders;
pub mod ports;
pub mod process;
pub mod programs;
pub mod proxy;
pub mod redis;
pub mod resources;
pub mod sidecar;

use std::{thread, time::Duration};

use tokio::time::Instant;

/// How long a test waits for what must happen; far longer than it takes.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Waits until `happened` says yes.
#[track_caller]
pub fn eventually(what: &str, mut happened: impl FnMut() -> bool) {
    eventually_some(what, || happened().then_some(()));
}

/// Waits until `find` finds something.
#[track_caller]
pub fn eventually_some<T>(what: &str, mut find: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = find() {
            return found;
        }
        assert!(Instant::now() < end, "{what}: not within {PATIENCE:?}");
        thread::sleep(Duration::from_millis(5));
    }
}
