//! What waits to be sent, and how it is sent.
//!
//! Everything waits here until a batch takes it. Whose caller was answered or left is taken out
//! and never sent; what a batch took was handed to the connection and may be carried out.

use std::{
    collections::VecDeque,
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
};

use tokio::{sync::oneshot, time::Instant};

use super::watchdog::Pulse;
use crate::timers;

#[cfg(test)]
mod tests;

/// The most items one batch takes: a script call keeps everybody else in Redis waiting. A single
/// piece with more goes alone.
pub(super) const BATCH_ITEMS: usize = 128;
/// The most bytes one batch takes; a single greater piece goes alone.
pub(super) const BATCH_BYTES: usize = 1 << 20;

/// What one caller wants to be sent in one piece.
pub(super) trait Piece {
    /// What the caller hears: one answer per item.
    type Answers: fmt::Debug;

    /// How many items it has.
    fn items(&self) -> usize;

    /// About how many bytes of a batch it takes.
    fn bytes(&self) -> usize;

    /// The answers when it was never sent, and why.
    fn not_sent(&self, cause: &str) -> Self::Answers;
}

/// The pieces of one lane that were not handed to its connection yet.
#[derive(Debug)]
pub(super) struct Queue<P: Piece> {
    state: Mutex<State<P>>,
}

#[derive(Debug)]
struct State<P: Piece> {
    /// Why nothing may wait now; `None` while a connection is there or about to be.
    shut: Option<String>,
    next: u64,
    /// In the order of their numbers.
    waiting: VecDeque<Job<P>>,
}

#[derive(Debug)]
struct Job<P: Piece> {
    number: u64,
    bytes: usize,
    parcel: Parcel<P>,
}

/// A piece and who waits for its answers.
#[derive(Debug)]
pub(super) struct Parcel<P: Piece> {
    pub(super) piece: P,
    pub(super) answer: oneshot::Sender<P::Answers>,
}

/// What is sent at once.
#[derive(Debug)]
pub(super) struct Batch<P: Piece>(pub(super) Vec<Parcel<P>>);

impl<P: Piece> Batch<P> {
    /// How many items there are.
    pub(super) fn len(&self) -> usize {
        self.pieces().map(P::items).sum()
    }

    /// The pieces, in their order.
    pub(super) fn pieces(&self) -> impl Iterator<Item = &P> {
        self.0.iter().map(|parcel| &parcel.piece)
    }

    /// The batch as it has to be sent a second time, when the first was not carried out.
    pub(super) fn without_those_who_left(mut self) -> Self {
        self.0.retain(|parcel| !parcel.answer.is_closed());
        self
    }
}

impl<P: Piece> Default for Queue<P> {
    fn default() -> Self {
        let state = State { shut: None, next: 0, waiting: VecDeque::new() };
        Self { state: Mutex::new(state) }
    }
}

impl<P: Piece> Queue<P> {
    /// Lets a piece wait; `Err` says why nothing may. The ticket's holder raises suspicion with
    /// `pulse` when it gives up what is on the wire.
    pub(super) fn push<'q>(&'q self, piece: P, pulse: &'q Pulse) -> Result<Ticket<'q, P>, String> {
        let (answer, heard) = oneshot::channel();
        let bytes = piece.bytes();
        let parcel = Parcel { piece, answer };
        let mut state = self.state();
        if let Some(cause) = &state.shut {
            return Err(cause.clone());
        }
        let number = state.next;
        state.next += 1;
        state.waiting.push_back(Job { number, bytes, parcel });
        Ok(Ticket { queue: self, pulse, number, heard, settled: false })
    }

    /// From now on pieces may wait.
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
            // A caller who is gone needs no answer.
            let _ = parcel.answer.send(parcel.piece.not_sent(cause));
        }
    }

    /// Why nothing may wait now.
    pub(super) fn cause(&self) -> Option<String> {
        self.state().shut.clone()
    }

    /// How many pieces wait.
    pub(super) fn depth(&self) -> usize {
        self.state().waiting.len()
    }

    /// Takes the next batch out: what waits, as far as a batch may hold it.
    pub(super) fn take_batch(&self) -> Option<Batch<P>> {
        let mut state = self.state();
        let (mut count, mut bytes, mut jobs) = (0, 0, 0);
        for job in &state.waiting {
            count += job.parcel.piece.items();
            bytes += job.bytes;
            if jobs > 0 && (count > BATCH_ITEMS || bytes > BATCH_BYTES) {
                break;
            }
            jobs += 1;
        }
        (jobs > 0).then(|| Batch(state.waiting.drain(..jobs).map(|job| job.parcel).collect()))
    }

    /// Takes a job out again; false if a batch or the end of the connection took it before.
    fn withdraw(&self, number: u64) -> bool {
        let mut state = self.state();
        match state.waiting.binary_search_by_key(&number, |job| job.number) {
            Ok(position) => state.waiting.remove(position).is_some(),
            Err(_) => false,
        }
    }

    fn state(&self) -> MutexGuard<'_, State<P>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One caller's place in the queue. Dropped, it takes back what still waits.
#[derive(Debug)]
pub(super) struct Ticket<'q, P: Piece> {
    queue: &'q Queue<P>,
    pulse: &'q Pulse,
    number: u64,
    heard: oneshot::Receiver<P::Answers>,
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

impl<P: Piece> Ticket<'_, P> {
    /// Waits for the answers until `deadline`.
    pub(super) async fn answer(mut self, deadline: Option<Instant>) -> Result<P::Answers, Unheard> {
        let heard = match deadline {
            Some(deadline) => timers::timeout_at(deadline, &mut self.heard).await,
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

impl<P: Piece> Drop for Ticket<'_, P> {
    fn drop(&mut self) {
        if self.settled || self.queue.withdraw(self.number) {
            return;
        }
        let unanswered = matches!(self.heard.try_recv(), Err(oneshot::error::TryRecvError::Empty));
        if unanswered {
            self.pulse.suspect();
        }
    }
}
