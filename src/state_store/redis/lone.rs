//! The way past the queue, for a key that is read or written while nothing else is on its way: there
//! is nobody to share a batch with, and what the queue and its pump do would be in vain.

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

use crate::timers;

#[cfg(test)]
mod tests;

/// So many batches of one item, with nothing else on its way, show that calls come one at a time. The
/// first call of a burst looks the same, but has to wait for the others: together they are cheaper.
const STREAK: u32 = 16;

/// A lane's way past one of its queues. One call at a time has it.
#[derive(Debug)]
pub(super) struct Lone<T> {
    streak: AtomicU32,
    /// `None` while a call has it.
    kept: Mutex<Option<Kept<T>>>,
}

/// What a call needs, kept for the next one: fred's futures are large.
#[derive(Debug)]
struct Kept<T> {
    call: ReusableBoxFuture<'static, T>,
    alarm: Option<Pin<Box<Sleep>>>,
}

impl<T: 'static> Default for Lone<T> {
    fn default() -> Self {
        Self { streak: AtomicU32::new(0), kept: Mutex::new(Some(Kept::default())) }
    }
}

impl<T: 'static> Default for Kept<T> {
    fn default() -> Self {
        Self { call: ReusableBoxFuture::new(pending()), alarm: None }
    }
}

impl<T: 'static> Lone<T> {
    /// Notes a batch that goes through the queue: whether it has one item, and nothing else is on its
    /// way.
    pub(super) fn note(&self, is_alone: bool) {
        let streak = if is_alone { self.streak().saturating_add(1) } else { 0 };
        self.streak.store(streak, Ordering::Relaxed);
    }

    /// Whether calls come one at a time.
    pub(super) fn is_likely(&self) -> bool {
        self.streak() >= STREAK
    }

    /// Begins a call that is given up at the deadline; `None` while there is another.
    pub(super) fn begin(
        &self,
        call: impl Future<Output = T> + Send + 'static,
        deadline: Option<Instant>,
    ) -> Option<LoneCall<'_, T>> {
        let mut kept = self.kept().take()?;
        kept.call.set(call);
        Some(LoneCall { lone: self, kept: Some(kept), deadline })
    }

    fn streak(&self) -> u32 {
        self.streak.load(Ordering::Relaxed)
    }

    fn kept(&self) -> MutexGuard<'_, Option<Kept<T>>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Kept<T> {
    /// Ready when it is too late. The alarm of an earlier call, which goes off before, is not set anew
    /// until it does: most calls end long before.
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

/// A call that goes past the queue. Dropped before its end, it drops what is on the wire for it.
#[derive(Debug)]
pub(super) struct LoneCall<'l, T: 'static> {
    lone: &'l Lone<T>,
    /// There until the call has ended.
    kept: Option<Kept<T>>,
    deadline: Option<Instant>,
}

/// A call was given up at its deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Late;

impl<T: 'static> Future for LoneCall<'_, T> {
    type Output = Result<T, Late>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<T, Late>> {
        let this = &mut *self;
        let kept = this.kept.as_mut().expect("invariant: not polled after its end");
        if let Poll::Ready(output) = kept.call.poll(cx) {
            *this.lone.kept() = this.kept.take();
            return Poll::Ready(Ok(output));
        }
        let Some(deadline) = this.deadline else { return Poll::Pending };
        ready!(kept.poll_late(deadline, cx));
        Poll::Ready(Err(Late))
    }
}

impl<T: 'static> Drop for LoneCall<'_, T> {
    fn drop(&mut self) {
        if self.kept.take().is_some() {
            *self.lone.kept() = Some(Kept::default());
        }
    }
}
