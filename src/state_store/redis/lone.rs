//! The way past the queue, for a key that is read while nothing else is on its way: there is nobody
//! to share a batch with, and what the queue and its pump do would be in vain.

use std::{
    future::{Future, pending},
    pin::Pin,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    task::{Context, Poll, ready},
};

use tokio::time::{Instant, Sleep};
use tokio_util::sync::ReusableBoxFuture;

use super::reply::{Read, TIMED_OUT};
use crate::{state_store::StoreError, timers};

#[cfg(test)]
mod tests;

/// So many batches of one key, with nothing else on its way, show that calls come one at a time. The
/// first call of a burst looks the same, but has to wait for the others: together they are cheaper.
const STREAK: u32 = 16;

/// A lane's way past its queue. One read at a time has it.
#[derive(Debug)]
pub(super) struct Lone {
    streak: AtomicU32,
    /// `None` while a read has it.
    kept: Mutex<Option<Kept>>,
}

/// What a read needs, kept for the next one: fred's futures are large.
#[derive(Debug)]
struct Kept {
    read: ReusableBoxFuture<'static, Read>,
    alarm: Option<Pin<Box<Sleep>>>,
}

impl Default for Lone {
    fn default() -> Self {
        Self { streak: AtomicU32::new(0), kept: Mutex::new(Some(Kept::default())) }
    }
}

impl Default for Kept {
    fn default() -> Self {
        Self { read: ReusableBoxFuture::new(pending()), alarm: None }
    }
}

impl Lone {
    /// Notes a batch that goes through the queue: whether it has one key, and nothing else is on its
    /// way.
    pub(super) fn note(&self, is_alone: bool) {
        let streak = if is_alone { self.streak().saturating_add(1) } else { 0 };
        self.streak.store(streak, Ordering::Relaxed);
    }

    /// Whether calls come one at a time.
    pub(super) fn is_likely(&self) -> bool {
        self.streak() >= STREAK
    }

    /// Begins a read that is given up at the deadline; `None` while there is another.
    pub(super) fn begin(
        &self,
        read: impl Future<Output = Read> + Send + 'static,
        deadline: Option<Instant>,
    ) -> Option<LoneRead<'_>> {
        let mut kept = self.kept().take()?;
        kept.read.set(read);
        Some(LoneRead { lone: self, kept: Some(kept), deadline })
    }

    fn streak(&self) -> u32 {
        self.streak.load(Ordering::Relaxed)
    }

    fn kept(&self) -> MutexGuard<'_, Option<Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    /// Ready when it is too late. The alarm of an earlier read, which goes off before, is not set anew
    /// until it does: most reads end long before.
    fn poll_late(&mut self, deadline: Instant, cx: &mut Context<'_>) -> Poll<()> {
        let alarm = self.alarm.get_or_insert_with(|| Box::pin(timers::sleep_until(deadline)));
        if alarm.deadline() > deadline {
            alarm.as_mut().reset(deadline);
        }
        loop {
            ready!(alarm.as_mut().poll(cx));
            if alarm.deadline() == deadline {
                return Poll::Ready(());
            }
            alarm.as_mut().reset(deadline);
        }
    }
}

/// A read that goes past the queue. Dropped before its end, it drops what is on the wire for it.
#[derive(Debug)]
pub(super) struct LoneRead<'l> {
    lone: &'l Lone,
    /// There until the read has ended.
    kept: Option<Kept>,
    deadline: Option<Instant>,
}

impl Future for LoneRead<'_> {
    type Output = Read;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Read> {
        let this = &mut *self;
        let kept = this.kept.as_mut().expect("invariant: not polled after its end");
        if let Poll::Ready(read) = kept.read.poll(cx) {
            *this.lone.kept() = this.kept.take();
            return Poll::Ready(read);
        }
        let Some(deadline) = this.deadline else { return Poll::Pending };
        ready!(kept.poll_late(deadline, cx));
        Poll::Ready(Err(StoreError::Lost(TIMED_OUT.to_owned().into())))
    }
}

impl Drop for LoneRead<'_> {
    fn drop(&mut self) {
        if self.kept.take().is_some() {
            *self.lone.kept() = Some(Kept::default());
        }
    }
}
