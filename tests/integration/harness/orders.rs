//! An application that processes orders as the quickstart's does, and stops nowhere: an error ends
//! it, and the test with it.

use std::{
    sync::{Arc, Condvar, Mutex, PoisonError},
    thread::{self, JoinHandle},
    time::Duration,
};

use super::{PATIENCE, canary, client::Client, redis::Redis, sidecar::APP_ID};

/// The calls of one order, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The order is saved.
    Save,
    /// It is read back.
    Get,
    /// A draft of the order, saved before, is deleted.
    Delete,
}

#[derive(Default)]
struct State {
    done: u64,
    hold_before: Option<Step>,
    held: bool,
    finishing: bool,
    failed: bool,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

impl Shared {
    #[track_caller]
    fn wait_until(&self, what: &str, mut reached: impl FnMut(&State) -> bool) {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (state, waited) = self
            .changed
            .wait_timeout_while(state, PATIENCE, |state| !reached(state) && !state.failed)
            .unwrap_or_else(PoisonError::into_inner);
        assert!(!state.failed, "the app saw an error, see above");
        assert!(!waited.timed_out(), "{what}: not within {PATIENCE:?}");
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner));
        self.changed.notify_all();
    }

    fn pass(&self, step: Step) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        while state.hold_before == Some(step) {
            state.held = true;
            self.changed.notify_all();
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.held = false;
    }
}

/// The running app.
pub struct Orders {
    shared: Arc<Shared>,
    thread: JoinHandle<()>,
}

impl Orders {
    /// Starts with order 1.
    pub fn start(client: Client) -> Self {
        let shared = Arc::new(Shared::default());
        let seen = shared.clone();
        let thread = thread::spawn(move || {
            if let Err(error) = process_orders(&client, &seen) {
                eprintln!("the app saw {error}");
                seen.change(|state| state.failed = true);
            }
        });
        Self { shared, thread }
    }

    /// Waits until so many orders more are done.
    #[track_caller]
    pub fn wait_for(&self, more: u64) {
        let state = self.shared.state.lock().unwrap_or_else(PoisonError::into_inner);
        let goal = state.done + more;
        drop(state);
        self.shared.wait_until("more orders", |state| state.done >= goal);
    }

    /// Lets the app come to rest before a call of this kind.
    #[track_caller]
    pub fn hold_before(&self, step: Step) {
        self.shared.change(|state| state.hold_before = Some(step));
        self.shared.wait_until("the app rests", |state| state.held);
    }

    /// Lets it go on.
    pub fn release(&self) {
        self.shared.change(|state| state.hold_before = None);
    }

    /// The order that the app is at.
    pub fn current(&self) -> u64 {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner).done + 1
    }

    /// Lets it finish its order and end; the number of orders.
    #[track_caller]
    pub fn finish(self) -> u64 {
        self.shared.change(|state| state.finishing = true);
        self.thread.join().expect("the app does not panic");
        let state = self.shared.state.lock().unwrap_or_else(PoisonError::into_inner);
        assert!(!state.failed, "the app saw an error, see above");
        state.done
    }
}

fn process_orders(client: &Client, shared: &Shared) -> Result<(), String> {
    for number in 1.. {
        let told = |status: tonic::Status| format!("{status:?} at order {number}");
        let draft = canary::key(&format!("draft-{number}"));
        client.save(&draft, value(number)).map_err(told)?;
        shared.pass(Step::Save);
        client.save(&key(number), value(number)).map_err(told)?;
        shared.pass(Step::Get);
        let found = client.get(&key(number)).map_err(told)?;
        if found.data != value(number) {
            return Err(format!("{found:?} at order {number}"));
        }
        shared.pass(Step::Delete);
        client.delete(&draft).map_err(told)?;
        shared.change(|state| state.done = number);
        if shared.state.lock().unwrap_or_else(PoisonError::into_inner).finishing {
            break;
        }
        thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}

fn key(number: u64) -> String {
    canary::key(&format!("order-{number}"))
}

fn value(number: u64) -> String {
    canary::value(&format!("order-{number}"))
}

/// Asserts that Redis holds orders 1 to `count` and nothing else, each written once and one after
/// the other; of an order in `repeated` the server may have carried out several attempts.
#[track_caller]
pub fn assert_complete(redis: &Redis, count: u64, repeated: &[u64]) {
    for number in 1..=count {
        let stored = format!("{APP_ID}||{}", key(number));
        assert_eq!(redis.field(&stored, "data"), Some(value(number)), "order {number}");
        let version = redis.field(&stored, "version");
        let once = version.as_deref() == Some("1");
        assert!(once || repeated.contains(&number), "order {number} has version {version:?}");
    }
    assert_eq!(redis.query::<u64>(&["DBSIZE"]), count, "only the orders are left");
    let mut written = redis.written_keys();
    written.retain(|written| written.contains(&canary::key("order-")));
    written.dedup();
    let expected: Vec<_> = (1..=count).map(|number| format!("{APP_ID}||{}", key(number))).collect();
    assert_eq!(written, expected, "the sequence in which the server wrote the orders");
}
