//! One number with a limit. Relaxed throughout: it guards no memory, it counts.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

/// What a gauge shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// How much there is now.
    pub current: usize,
    /// The most there was at once since the start.
    pub peak: usize,
    /// How much there may be; `None` for any number.
    pub most: Option<usize>,
    /// How often something was refused.
    pub refused: u64,
}

#[derive(Debug)]
pub(super) struct Gauge {
    most: usize,
    current: AtomicUsize,
    peak: AtomicUsize,
    refused: AtomicU64,
}

impl Gauge {
    pub(super) fn new(most: Option<usize>) -> Self {
        let most = most.unwrap_or(usize::MAX);
        Self {
            most,
            current: AtomicUsize::new(0),
            peak: AtomicUsize::new(0),
            refused: AtomicU64::new(0),
        }
    }

    /// Counts `amount` for somebody who holds `own` already; `Err` is the limit it would pass.
    /// Whoever is alone may have any amount: a limit smaller than one request must not refuse it
    /// for ever.
    pub(super) fn take(&self, amount: usize, own: usize) -> Result<(), usize> {
        let before = self.current.fetch_add(amount, Relaxed);
        let after = before.saturating_add(amount);
        if after > self.most && before > own {
            self.give_back(amount);
            return self.refuse();
        }
        if after > self.peak.load(Relaxed) {
            self.peak.fetch_max(after, Relaxed);
        }
        Ok(())
    }

    /// Whether `amount` could be taken now.
    pub(super) fn has_room(&self, amount: usize, own: usize) -> Result<(), usize> {
        let current = self.current.load(Relaxed);
        if current.saturating_add(amount) > self.most && current > own {
            return self.refuse();
        }
        Ok(())
    }

    pub(super) fn give_back(&self, amount: usize) {
        self.current.fetch_sub(amount, Relaxed);
    }

    pub(super) fn reading(&self) -> Reading {
        Reading {
            current: self.current.load(Relaxed),
            peak: self.peak.load(Relaxed),
            most: (self.most != usize::MAX).then_some(self.most),
            refused: self.refused.load(Relaxed),
        }
    }

    fn refuse(&self) -> Result<(), usize> {
        self.refused.fetch_add(1, Relaxed);
        Err(self.most)
    }
}
