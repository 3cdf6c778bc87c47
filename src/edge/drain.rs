//! What shutdown waits for: the calls in flight, on however many threads they run.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use http_body::{Body, Frame, SizeHint};
use tokio::sync::{Notify, watch};

use crate::timers;

/// How long a connection without calls may take to say goodbye. A client that does not answer
/// (its process is stopped, its cable is out) delays the exit by no more than this.
const FAREWELL: Duration = Duration::from_millis(200);

/// The end of accepting and the count of what is still going on; clones share both.
#[derive(Clone, Debug, Default)]
pub struct Drain(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    begun: watch::Sender<bool>,
    /// The same as `begun`, where a finished call can ask without a lock.
    draining: AtomicBool,
    calls: AtomicUsize,
    connections: AtomicUsize,
    changed: Notify,
}

impl Drain {
    /// Stops the accept loops, and asks every connection to end after the calls it carries.
    pub fn begin(&self) {
        self.0.draining.store(true, Ordering::SeqCst);
        self.0.begun.send_replace(true);
    }

    /// Whether [`Drain::begin`] was called.
    pub fn has_begun(&self) -> bool {
        self.0.draining.load(Ordering::SeqCst)
    }

    /// Resolves once [`Drain::begin`] was called.
    pub async fn begun(&self) {
        // An error would mean that the sender is gone, and `self` holds it.
        let _ = self.0.begun.subscribe().wait_for(|begun| *begun).await;
    }

    /// Begins, then resolves when no call is in flight. Idle connections that their clients leave
    /// open do not hold it up.
    pub async fn idle(&self) {
        self.begin();
        loop {
            self.until_zero(&self.0.calls).await;
            // An answer counts as given when its body has ended, which is before its last bytes
            // are on the wire: connections get a moment to send them and close.
            let _ = timers::timeout(FAREWELL, self.until_zero(&self.0.connections)).await;
            if self.calls_in_flight() == 0 {
                return;
            }
        }
    }

    /// How many calls are in flight.
    pub fn calls_in_flight(&self) -> usize {
        self.0.calls.load(Ordering::SeqCst)
    }

    /// Counts a call until what is returned is dropped.
    pub fn enter_call(&self) -> CallGuard {
        self.0.calls.fetch_add(1, Ordering::SeqCst);
        CallGuard(self.0.clone())
    }

    /// Counts a connection until what is returned is dropped.
    pub fn enter_connection(&self) -> ConnectionGuard {
        self.0.connections.fetch_add(1, Ordering::SeqCst);
        ConnectionGuard(self.0.clone())
    }

    async fn until_zero(&self, counter: &AtomicUsize) {
        loop {
            let mut changed = std::pin::pin!(self.0.changed.notified());
            // Listens before it looks, so that no change falls between the two.
            changed.as_mut().enable();
            if counter.load(Ordering::SeqCst) == 0 {
                return;
            }
            changed.await;
        }
    }
}

impl Shared {
    fn leave(&self, counter: &AtomicUsize) {
        let last = counter.fetch_sub(1, Ordering::SeqCst) == 1;
        if last && self.draining.load(Ordering::SeqCst) {
            self.changed.notify_waiters();
        }
    }
}

/// A call in flight.
#[derive(Debug)]
pub struct CallGuard(Arc<Shared>);

impl Drop for CallGuard {
    fn drop(&mut self) {
        self.0.leave(&self.0.calls);
    }
}

/// An open connection.
#[derive(Debug)]
pub struct ConnectionGuard(Arc<Shared>);

impl Drop for ConnectionGuard {
    fn drop(&mut self) {
        self.0.leave(&self.0.connections);
    }
}

/// An answer's body that holds `guard` until it has ended or was dropped.
#[derive(Debug)]
pub struct Held<B, G> {
    body: B,
    guard: Option<G>,
}

impl<B, G> Held<B, G> {
    /// `body`, holding `guard`; `None` holds nothing.
    pub fn new(body: B, guard: Option<G>) -> Self {
        Self { body, guard }
    }
}

impl<B: Body + Unpin, G: Unpin> Body for Held<B, G> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let this = self.get_mut();
        let frame = std::task::ready!(Pin::new(&mut this.body).poll_frame(cx));
        if frame.is_none() {
            this.guard = None;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http_body_util::{BodyExt as _, Full};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn idle_waits_for_the_last_call_on_any_thread() {
        let drain = Drain::default();
        let (first, second) = (drain.enter_call(), drain.enter_call());
        let waiting = tokio::spawn({
            let drain = drain.clone();
            async move { drain.idle().await }
        });
        tokio::task::yield_now().await;
        std::thread::spawn(move || drop(first)).join().unwrap();
        tokio::time::sleep(Duration::from_secs(3600)).await;
        assert!(!waiting.is_finished());
        std::thread::spawn(move || drop(second)).join().unwrap();
        waiting.await.unwrap();
        assert_eq!(drain.calls_in_flight(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn an_idle_connection_costs_a_moment_and_no_more() {
        let drain = Drain::default();
        let _open = drain.enter_connection();
        let start = tokio::time::Instant::now();
        drain.idle().await;
        assert_eq!(start.elapsed().as_millis() / 10, FAREWELL.as_millis() / 10);
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_began_during_the_farewell_is_waited_for() {
        let drain = Drain::default();
        let _open = drain.enter_connection();
        let waiting = tokio::spawn({
            let drain = drain.clone();
            async move { drain.idle().await }
        });
        tokio::time::sleep(FAREWELL / 2).await;
        let late = drain.enter_call();
        tokio::time::sleep(FAREWELL * 10).await;
        assert!(!waiting.is_finished());
        drop(late);
        waiting.await.unwrap();
    }

    #[tokio::test]
    async fn begun_resolves_for_who_asks_before_and_after() {
        let drain = Drain::default();
        let before = tokio::spawn({
            let drain = drain.clone();
            async move { drain.begun().await }
        });
        tokio::task::yield_now().await;
        assert!(!before.is_finished());
        drain.begin();
        before.await.unwrap();
        drain.begun().await;
    }

    #[tokio::test]
    async fn a_body_lets_go_when_it_ended_or_was_dropped() {
        let drain = Drain::default();
        let mut read = Held::new(Full::new(Bytes::from("x")), Some(drain.enter_call()));
        let dropped = Held::new(Full::new(Bytes::from("x")), Some(drain.enter_call()));
        assert_eq!(drain.calls_in_flight(), 2);
        drop(dropped);
        assert_eq!(drain.calls_in_flight(), 1);
        read.frame().await.unwrap().unwrap();
        assert!(read.frame().await.is_none());
        assert_eq!(drain.calls_in_flight(), 0);
    }
}
