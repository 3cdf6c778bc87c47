//! What waits to be sent, and how it is sent.
//!
//! Every write waits here until a batch takes it. Whose caller was answered or left is taken out
//! and never sent; what a batch took was handed to the connection and may be carried out.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use tokio::{
    sync::{Notify, oneshot},
    time::{Instant, timeout_at},
};

use super::{reply::Verdict, watchdog::Pulse};
use crate::state_store::{Prepared, PreparedChange};

#[cfg(test)]
mod tests;

/// The most writes one batch takes: a script call keeps everybody else in Redis waiting.
const BATCH_ITEMS: usize = 128;
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
    waiting: BTreeMap<u64, Job>,
}

/// What one caller wants to be sent in one piece.
#[derive(Debug)]
enum Job {
    Write { write: Prepared, answer: oneshot::Sender<Verdict> },
    Transaction { writes: Vec<Prepared>, answer: oneshot::Sender<Vec<Verdict>> },
}

/// What goes in one script call.
#[derive(Debug)]
pub(super) enum Batch {
    /// Writes of several callers.
    Writes(Vec<(Prepared, oneshot::Sender<Verdict>)>),
    /// One transaction.
    Transaction {
        /// Its writes, in their order.
        writes: Vec<Prepared>,
        /// Who waits for it.
        answer: oneshot::Sender<Vec<Verdict>>,
    },
}

impl Batch {
    /// How many writes are in it.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Writes(writes) => writes.len(),
            Self::Transaction { writes, .. } => writes.len(),
        }
    }

    /// The batch as it has to be sent a second time, when the first was not carried out.
    pub(super) fn without_those_who_left(self) -> Self {
        match self {
            Self::Writes(mut writes) => {
                writes.retain(|(_, answer)| !answer.is_closed());
                Self::Writes(writes)
            }
            Self::Transaction { answer, .. } if answer.is_closed() => {
                Self::Transaction { writes: Vec::new(), answer }
            }
            Self::Transaction { .. } => self,
        }
    }
}

impl Queue {
    /// The signs of life of the connection this queue feeds.
    pub(super) fn pulse(&self) -> &Pulse {
        &self.pulse
    }

    /// Lets one write wait; `Err` says why nothing may.
    pub(super) fn push(&self, write: Prepared) -> Result<Ticket<'_, Verdict>, String> {
        let (answer, heard) = oneshot::channel();
        let number = self.push_job(Job::Write { write, answer })?;
        Ok(Ticket { queue: self, number, heard, settled: false })
    }

    /// Lets a transaction wait; `Err` says why nothing may.
    pub(super) fn push_transaction(
        &self,
        writes: Vec<Prepared>,
    ) -> Result<Ticket<'_, Vec<Verdict>>, String> {
        let (answer, heard) = oneshot::channel();
        let number = self.push_job(Job::Transaction { writes, answer })?;
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
        for job in jobs.into_values() {
            job.refuse(cause);
        }
    }

    /// Why nothing may wait now.
    pub(super) fn cause(&self) -> Option<String> {
        self.state().shut.clone()
    }

    /// How much waits.
    pub(super) fn depth(&self) -> usize {
        self.state().waiting.len()
    }

    /// Takes the next batch out.
    pub(super) fn take_batch(&self) -> Option<Batch> {
        let mut state = self.state();
        let (_, first) = state.waiting.pop_first()?;
        let (write, answer) = match first {
            Job::Transaction { writes, answer } => {
                return Some(Batch::Transaction { writes, answer });
            }
            Job::Write { write, answer } => (write, answer),
        };
        let mut bytes = size(&write);
        let mut writes = vec![(write, answer)];
        while writes.len() < BATCH_ITEMS
            && let Some(next) = state.waiting.first_entry()
        {
            let Job::Write { write, .. } = next.get() else { break };
            bytes += size(write);
            if bytes > BATCH_BYTES {
                break;
            }
            if let Job::Write { write, answer } = next.remove() {
                writes.push((write, answer));
            }
        }
        Some(Batch::Writes(writes))
    }

    /// Waits until something was pushed; may return early.
    pub(super) async fn arrived(&self) {
        self.arrived.notified().await;
    }

    fn push_job(&self, job: Job) -> Result<u64, String> {
        let number = {
            let mut state = self.state();
            if let Some(cause) = &state.shut {
                return Err(cause.clone());
            }
            let number = state.next;
            state.next += 1;
            state.waiting.insert(number, job);
            number
        };
        self.arrived.notify_one();
        Ok(number)
    }

    /// Takes a job out again; false if a batch or the end of the connection took it before.
    fn withdraw(&self, number: u64) -> bool {
        self.state().waiting.remove(&number).is_some()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Job {
    fn refuse(self, cause: &str) {
        match self {
            // A caller who is gone needs no answer.
            Self::Write { answer, .. } => {
                let _ = answer.send(Verdict::NotSent(cause.to_owned()));
            }
            Self::Transaction { writes, answer } => {
                let _ = answer.send(vec![Verdict::NotSent(cause.to_owned()); writes.len()]);
            }
        }
    }
}

/// One caller's place in the queue. Dropped, it takes back what still waits.
#[derive(Debug)]
pub(super) struct Ticket<'q, T> {
    queue: &'q Queue,
    number: u64,
    heard: oneshot::Receiver<T>,
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

impl<T> Ticket<'_, T> {
    /// Waits for the answer until `deadline`.
    pub(super) async fn answer(mut self, deadline: Option<Instant>) -> Result<T, Unheard> {
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

impl<T> Drop for Ticket<'_, T> {
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
