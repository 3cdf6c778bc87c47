//! What goes to a store and how its connections live; shared by all data-plane threads.

use std::{
    fmt,
    sync::{Mutex, PoisonError},
};

use super::{
    families,
    instrument::{Buckets, Counter, Histogram},
    text::Scrape,
};

/// The length of a queue; `None` when the queue is gone.
type Depth = Box<dyn Fn() -> Option<usize> + Send + Sync>;

/// What is counted for one store.
pub struct StoreMeters {
    reads: Histogram,
    writes: Histogram,
    connections: Counter,
    failures: Counter,
    queues: Mutex<Vec<Depth>>,
}

impl Default for StoreMeters {
    fn default() -> Self {
        let items = Buckets::whole(&[1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024]);
        Self {
            reads: Histogram::new(&items),
            writes: Histogram::new(&items),
            connections: Counter::default(),
            failures: Counter::default(),
            queues: Mutex::default(),
        }
    }
}

impl StoreMeters {
    /// A command that reads so many keys is handed to a connection.
    pub fn read(&self, items: usize) {
        self.reads.record(items as u64);
    }

    /// A script call over so many writes is handed to a connection.
    pub fn write(&self, items: usize) {
        self.writes.record(items as u64);
    }

    /// A connection was made.
    pub fn connected(&self) {
        self.connections.add_one();
    }

    /// A connection was lost or could not be made.
    pub fn failed_to_connect(&self) {
        self.failures.add_one();
    }

    /// Asks `depth` how much waits, whenever somebody scrapes.
    pub fn watch_queue(&self, depth: impl Fn() -> Option<usize> + Send + Sync + 'static) {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner).push(Box::new(depth));
    }

    /// Puts the store's series into a scrape.
    pub fn collect(&self, scrape: &mut Scrape, app_id: &str, component: &str, connected: bool) {
        let labels = [("app_id", app_id), ("component", component)];
        for (command, batches) in [("read", &self.reads), ("write", &self.writes)] {
            let labels = [("app_id", app_id), ("command", command), ("component", component)];
            let batches = batches.snapshot();
            scrape.counter(&families::ATTEMPTS, labels, batches.count);
            scrape.histogram(&families::BATCH_ITEMS, labels, batches);
        }
        scrape.counter(&families::CONNECTIONS, labels, self.connections.get());
        scrape.counter(&families::CONNECTION_FAILURES, labels, self.failures.get());
        scrape.number(&families::CONNECTED, labels, if connected { 1.0 } else { 0.0 });
        scrape.number(&families::QUEUE_DEPTH, labels, self.depth() as f64);
    }

    fn depth(&self) -> usize {
        let mut total = 0;
        let mut queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        queues.retain(|depth| match depth() {
            Some(depth) => {
                total += depth;
                true
            }
            None => false,
        });
        total
    }
}

impl fmt::Debug for StoreMeters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreMeters").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn queues_are_added_up_and_forgotten_when_they_are_gone() {
        let meters = StoreMeters::default();
        let queues = [Arc::new(3_usize), Arc::new(4)];
        for queue in &queues {
            let queue = Arc::downgrade(queue);
            meters.watch_queue(move || queue.upgrade().map(|queue| *queue));
        }
        assert_eq!(meters.depth(), 7);
        let [first, second] = queues;
        drop(first);
        assert_eq!(meters.depth(), 4);
        drop(second);
        assert_eq!(meters.depth(), 0);
        assert!(meters.queues.lock().unwrap().is_empty());
    }
}
