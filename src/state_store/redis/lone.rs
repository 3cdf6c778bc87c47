//! The way past the queue, for a key that is read or written while nothing else is on its way: there
//! is nobody to share a batch with, and what the queue and its pump do would be in vain.

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    task::{Context, Poll, ready},
};

use tokio::time::{Instant, Sleep};

use super::attendant::Attendant;
use crate::timers;

#[cfg(test)]
mod tests;

/// So many batches of one item, with nothing else on its way, show that calls come one at a time. The
/// first call of a burst looks the same, but has to wait for the others: together they are cheaper.
const STREAK: u32 = 16;

/// A lane's way past one of its queues, for calls `C` that end like `T`. One at a time has it.
#[derive(Debug)]
pub(super) struct Lone<C, T> {
    make: fn() -> Attendant<'static, C, T>,
    streak: AtomicU32,
    /// `None` while a call has it.
    kept: Mutex<Option<Kept<C, T>>>,
}

/// What a call needs, kept for the next one.
#[derive(Debug)]
struct Kept<C, T> {
    attendant: Attendant<'static, C, T>,
    alarm: Option<Pin<Box<Sleep>>>,
}

impl<C: Send + 'static, T: Send + 'static> Lone<C, T> {
    /// One whose calls are carried out by what this makes.
    pub(super) fn new(make: fn() -> Attendant<'static, C, T>) -> Self {
        let kept = Mutex::new(Some(Kept::new(make)));
        Self { make, streak: AtomicU32::new(0), kept }
    }

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
    pub(super) fn begin(&self, call: C, deadline: Option<Instant>) -> Option<LoneCall<'_, C, T>> {
        let mut kept = self.kept().take()?;
        kept.attendant.give(call);
        Some(LoneCall { lone: self, kept: Some(kept), deadline })
    }

    fn streak(&self) -> u32 {
        self.streak.load(Ordering::Relaxed)
    }

    fn kept(&self) -> MutexGuard<'_, Option<Kept<C, T>>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<C, T> Kept<C, T> {
    fn new(make: fn() -> Attendant<'static, C, T>) -> Self {
        Self { attendant: make(), alarm: None }
    }

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
pub(super) struct LoneCall<'l, C: Send + 'static, T: Send + 'static> {
    lone: &'l Lone<C, T>,
    /// There until the call has ended.
    kept: Option<Kept<C, T>>,
    deadline: Option<Instant>,
}

/// A call was given up at its deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Late;

impl<C: Send, T: Send> Future for LoneCall<'_, C, T> {
    type Output = Result<T, Late>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<T, Late>> {
        let this = &mut *self;
        let kept = this.kept.as_mut().expect("invariant: not polled after its end");
        if let Poll::Ready(output) = kept.attendant.poll(cx) {
            *this.lone.kept() = this.kept.take();
            return Poll::Ready(Ok(output));
        }
        let Some(deadline) = this.deadline else { return Poll::Pending };
        ready!(kept.poll_late(deadline, cx));
        Poll::Ready(Err(Late))
    }
}

impl<C: Send, T: Send> Drop for LoneCall<'_, C, T> {
    fn drop(&mut self) {
        if self.kept.take().is_some() {
            *self.lone.kept() = Some(Kept::new(self.lone.make));
        }
    }
}
