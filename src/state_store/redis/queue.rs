//! What waits to be sent, and how it is sent.
//!
//! Every write waits here until a batch takes it. Whose caller was answered or left is taken out
//! and never sent; what a batch took was handed to the connection and may be carried out.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
};

use tokio::{
    sync::{Notify, oneshot},
    time::{Instant, timeout_at},
};

use super::{
    reply::{Scope, Verdict},
    watchdog::Pulse,
};
use crate::state_store::{Prepared, PreparedChange};

#[cfg(test)]
mod tests;

/// The most writes one batch takes: a script call keeps everybody else in Redis waiting. A single
/// transaction with more goes alone.
pub(super) const BATCH_ITEMS: usize = 128;
/// The most bytes one batch takes; a single greater write goes alone.
const BATCH_BYTES: usize = 1 << 20;

/// The writes of one lane that were not handed to its connection yet.
#[derive(Debug, Default)]
pub(super) struct Queue {
    state: Mutex<State>,
    arrived: Notify,
    pulse: Pulse,
}

#[derive(Debug, Default)]
struct State {
    /// Why nothing may wait now; `None` while a connection is there or about to be.
    shut: Option<String>,
    next: u64,
    /// In the order of their numbers.
    waiting: VecDeque<Job>,
}

/// What one caller wants to be sent in one piece.
#[derive(Debug)]
struct Job {
    number: u64,
    bytes: usize,
    parcel: Parcel,
}

/// The writes of one caller in a batch, in their order.
#[derive(Debug)]
pub(super) struct Parcel {
    /// What to write.
    pub(super) writes: Vec<Prepared>,
    /// What they are part of.
    pub(super) scope: Scope,
    /// Who waits for them; hears one verdict per write.
    pub(super) answer: oneshot::Sender<Vec<Verdict>>,
}

/// What goes in one script call.
#[derive(Debug)]
pub(super) struct Batch(pub(super) Vec<Parcel>);

impl Batch {
    /// How many writes there are.
    pub(super) fn len(&self) -> usize {
        self.0.iter().map(|parcel| parcel.writes.len()).sum()
    }

    /// The writes, and what each is part of.
    pub(super) fn writes(&self) -> impl Iterator<Item = (&Prepared, Scope)> {
        self.0.iter().flat_map(|parcel| parcel.writes.iter().map(|write| (write, parcel.scope)))
    }

    /// The batch as it has to be sent a second time, when the first was not carried out.
    pub(super) fn without_those_who_left(mut self) -> Self {
        self.0.retain(|parcel| !parcel.answer.is_closed());
        self
    }
}

impl Queue {
    /// The signs of life of the connection this queue feeds.
    pub(super) fn pulse(&self) -> &Pulse {
        &self.pulse
    }

    /// Lets writes wait that belong together: they are sent in one piece or not at all. `Err` says
    /// why nothing may wait.
    pub(super) fn push(&self, writes: Vec<Prepared>, scope: Scope) -> Result<Ticket<'_>, String> {
        let (answer, heard) = oneshot::channel();
        let bytes = writes.iter().map(size).sum();
        let parcel = Parcel { writes, scope, answer };
        let number = {
            let mut state = self.state();
            if let Some(cause) = &state.shut {
                return Err(cause.clone());
            }
            let number = state.next;
            state.next += 1;
            state.waiting.push_back(Job { number, bytes, parcel });
            number
        };
        self.arrived.notify_one();
        Ok(Ticket { queue: self, number, heard, settled: false })
    }

    /// From now on writes may wait.
    pub(super) fn open(&self) {
        self.state().shut = None;
    }

    /// From now on nothing may wait, and what waits is told why.
    pub(super) fn shut(&self, cause: &str) {
        let jobs = {
            let mut state = self.state();
            state.shut = Some(cause.to_owned());
            std::mem::take(&mut state.waiting)
        };
        for Job { parcel, .. } in jobs {
            let verdicts = vec![Verdict::NotSent(cause.to_owned()); parcel.writes.len()];
            // A caller who is gone needs no answer.
            let _ = parcel.answer.send(verdicts);
        }
    }

    /// Why nothing may wait now.
    pub(super) fn cause(&self) -> Option<String> {
        self.state().shut.clone()
    }

    /// Takes the next batch out: what waits, as far as a batch may hold it.
    pub(super) fn take_batch(&self) -> Option<Batch> {
        let mut state = self.state();
        let (mut count, mut bytes, mut jobs) = (0, 0, 0);
        for job in &state.waiting {
            count += job.parcel.writes.len();
            bytes += job.bytes;
            if jobs > 0 && (count > BATCH_ITEMS || bytes > BATCH_BYTES) {
                break;
            }
            jobs += 1;
        }
        (jobs > 0).then(|| Batch(state.waiting.drain(..jobs).map(|job| job.parcel).collect()))
    }

    /// Waits until something was pushed; may return early.
    pub(super) async fn arrived(&self) {
        self.arrived.notified().await;
    }

    /// Takes a job out again; false if a batch or the end of the connection took it before.
    fn withdraw(&self, number: u64) -> bool {
        let mut state = self.state();
        match state.waiting.binary_search_by_key(&number, |job| job.number) {
            Ok(position) => state.waiting.remove(position).is_some(),
            Err(_) => false,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The writes of one caller, cut so that each piece fits a batch.
pub(super) fn pieces(mut writes: &[Prepared]) -> impl Iterator<Item = &[Prepared]> {
    std::iter::from_fn(move || {
        let (mut count, mut bytes) = (0, 0);
        for write in writes.iter().take(BATCH_ITEMS) {
            bytes += size(write);
            if count > 0 && bytes > BATCH_BYTES {
                break;
            }
            count += 1;
        }
        let (piece, rest) = writes.split_at(count);
        writes = rest;
        (!piece.is_empty()).then_some(piece)
    })
}

/// One caller's place in the queue. Dropped, it takes back what still waits.
#[derive(Debug)]
pub(super) struct Ticket<'q> {
    queue: &'q Queue,
    number: u64,
    heard: oneshot::Receiver<Vec<Verdict>>,
    settled: bool,
}

/// Why a ticket brought no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unheard {
    /// Its time was over while it waited here: it was taken out and is never sent.
    Withdrawn,
    /// Its time was over while it was on the wire.
    TimedOut,
    /// The connection ended while it was on the wire.
    Lost,
}

impl Ticket<'_> {
    /// Waits for the answer until `deadline`.
    pub(super) async fn answer(
        mut self,
        deadline: Option<Instant>,
    ) -> Result<Vec<Verdict>, Unheard> {
        let heard = match deadline {
            Some(deadline) => timeout_at(deadline, &mut self.heard).await,
            None => Ok((&mut self.heard).await),
        };
        match heard {
            Ok(answer) => {
                self.settled = true;
                answer.map_err(|_| Unheard::Lost)
            }
            Err(_) if self.queue.withdraw(self.number) => {
                self.settled = true;
                Err(Unheard::Withdrawn)
            }
            Err(_) => Err(Unheard::TimedOut),
        }
    }
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        if self.settled || self.queue.withdraw(self.number) {
            return;
        }
        let unanswered = matches!(self.heard.try_recv(), Err(oneshot::error::TryRecvError::Empty));
        if unanswered {
            self.queue.pulse.suspect();
        }
    }
}

/// About how many bytes of a batch a write takes.
fn size(write: &Prepared) -> usize {
    const ARGUMENTS: usize = 64;
    let value = match &write.change {
        PreparedChange::Set { value, .. } => value.len(),
        PreparedChange::Delete => 0,
    };
    ARGUMENTS + write.key.as_str().len() + value
}
