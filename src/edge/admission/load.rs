//! What one call weighs. It is at hand wherever the call is worked at, so that a body is counted
//! where it is read, whatever stands between there and the edge.

use std::{
    cell::{Cell, RefCell},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    thread,
};

use super::{Gauges, Limit, Refusal};

thread_local! {
    /// Of the call that this thread works at.
    static CARRIED: RefCell<Option<Load>> = const { RefCell::new(None) };
}

/// What a call weighs, given back when it is dropped.
#[derive(Debug)]
pub struct Load {
    gauges: Arc<Gauges>,
    is_let_in: Cell<bool>,
    request: Cell<usize>,
    answer: Cell<usize>,
}

impl Load {
    pub(super) fn new(gauges: Arc<Gauges>) -> Self {
        let (is_let_in, request, answer) = Default::default();
        Self { gauges, is_let_in, request, answer }
    }

    /// Counts the call itself; `Err` if there are too many.
    pub fn enter(&self) -> Result<(), Refusal> {
        self.gauges.calls.take(1, 0).map_err(|most| Refusal { limit: Limit::Calls, most })?;
        self.is_let_in.set(true);
        Ok(())
    }

    /// Works at the call for a while: what is read and answered meanwhile is counted here. A panic
    /// of the work is caught.
    // No task-local value of tokio's: a future that has one, and has to give it back, takes up its
    // size in each of its layers.
    pub fn carry<T>(self, work: impl FnOnce() -> T) -> (thread::Result<T>, Self) {
        let before = CARRIED.replace(Some(self));
        let output = catch_unwind(AssertUnwindSafe(work));
        let load = CARRIED.replace(before);
        (output, load.expect("invariant: a load is there until it is taken"))
    }

    /// Forgets the request, which is nowhere any more; the answer stays.
    pub fn drop_request(&self) {
        self.gauges.bytes.give_back(self.request.take());
    }

    fn hold(&self, part: &Cell<usize>, bytes: usize) -> Result<(), Refusal> {
        let own = self.own();
        self.gauges.bytes.take(bytes, own).map_err(too_many_bytes)?;
        part.set(part.get() + bytes);
        Ok(())
    }

    fn own(&self) -> usize {
        self.request.get() + self.answer.get()
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.gauges.bytes.give_back(self.own());
        if self.is_let_in.get() {
            self.gauges.calls.give_back(1);
        }
    }
}

fn too_many_bytes(most: usize) -> Refusal {
    Refusal { limit: Limit::Bytes, most }
}

/// Whether a request of so many bytes has room now: asked before any of it is kept. Where no call is
/// worked at everything has room, here and below.
pub fn announce_request(bytes: usize) -> Result<(), Refusal> {
    of_carried(|load| load.gauges.bytes.has_room(bytes, load.own()).map_err(too_many_bytes))
}

/// Counts bytes of the request that were read; `Err` if there are too many.
pub fn hold_request(bytes: usize) -> Result<(), Refusal> {
    of_carried(|load| load.hold(&load.request, bytes))
}

/// Counts bytes of the answer; `Err` if there are too many.
pub fn hold_answer(bytes: usize) -> Result<(), Refusal> {
    of_carried(|load| load.hold(&load.answer, bytes))
}

fn of_carried(ask: impl FnOnce(&Load) -> Result<(), Refusal>) -> Result<(), Refusal> {
    CARRIED.with_borrow(|load| load.as_ref().map_or(Ok(()), ask))
}
