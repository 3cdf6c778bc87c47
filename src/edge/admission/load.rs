//! What one call weighs. It goes with the call as a task-local value, so that a body is counted
//! where it is read, whatever stands between there and the edge.

use std::{
    cell::Cell,
    pin::{Pin, pin},
    sync::Arc,
};

use super::{Gauges, Limit, Refusal};

tokio::task_local! {
    static LOAD: Load;
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

    /// Runs `work`, and what it reads and answers is counted here. The request is forgotten with the
    /// work's end, the answer stays.
    // Pinned by who has it: moved in here, it would take its size in every call in flight twice.
    pub async fn carry<W: Future>(self, work: Pin<&mut W>) -> (W::Output, Self) {
        let mut carried = pin!(LOAD.scope(self, work));
        let output = carried.as_mut().await;
        let load = carried.take_value().expect("invariant: a load is there until it is taken");
        load.gauges.bytes.give_back(load.request.take());
        (output, load)
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

/// Whether a request of so many bytes has room now: asked before any of it is kept. Outside of a
/// call that is carried everything has room, here and below.
pub fn announce_request(bytes: usize) -> Result<(), Refusal> {
    let ask = |load: &Load| load.gauges.bytes.has_room(bytes, load.own()).map_err(too_many_bytes);
    LOAD.try_with(ask).unwrap_or(Ok(()))
}

/// Counts bytes of the request that were read; `Err` if there are too many.
pub fn hold_request(bytes: usize) -> Result<(), Refusal> {
    LOAD.try_with(|load| load.hold(&load.request, bytes)).unwrap_or(Ok(()))
}

/// Counts bytes of the answer; `Err` if there are too many.
pub fn hold_answer(bytes: usize) -> Result<(), Refusal> {
    LOAD.try_with(|load| load.hold(&load.answer, bytes)).unwrap_or(Ok(()))
}
