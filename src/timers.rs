//! Timers of threads that serve calls.
//!
//! A runtime that has a timer of its own goes to sleep with a timeout, for which the kernel sets up
//! a timer and takes it back each time; and it wakes itself with a system call when a new timer is due
//! before all others. A thread that serves calls always has some (when the call has to be answered,
//! when to ask a client whether it lives), and most are taken back. So another thread keeps them,
//! which has to wake only when one is due, and twice a second besides.
//!
//! On a thread without a [`Keeper`] these are the timers of its runtime, whose clock a test can stop.

use std::{cell::OnceCell, future::Future, io, sync::mpsc, thread::JoinHandle, time::Duration};

use tokio::{
    runtime::{Builder, Handle},
    sync::oneshot,
    time::{self, Instant, Sleep, Timeout},
};

thread_local! {
    static KEPT_BY: OnceCell<Handle> = const { OnceCell::new() };
}

/// A thread that keeps the timers of another. It has to be dropped after the runtime whose timers it
/// keeps; that waits until the thread is gone.
#[derive(Debug)]
pub struct Keeper {
    handle: Handle,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Keeper {
    /// Starts a thread of this name.
    pub fn start(name: String) -> io::Result<Self> {
        let (stop, stopped) = oneshot::channel();
        let (made, is_made) = mpsc::channel();
        let thread = std::thread::Builder::new().name(name).spawn(move || {
            let runtime = match Builder::new_current_thread().enable_time().build() {
                Ok(runtime) => runtime,
                Err(error) => {
                    let _ = made.send(Err(error));
                    return;
                }
            };
            let _ = made.send(Ok(runtime.handle().clone()));
            runtime.block_on(async {
                tokio::select! {
                    // A dropped sender ends it as well.
                    _ = stopped => {}
                    () = tick() => {}
                }
            });
        })?;
        let ended = |_| io::Error::other("a thread for timers ended at its start");
        let handle = is_made.recv().map_err(ended)??;
        Ok(Self { handle, stop: Some(stop), thread: Some(thread) })
    }

    /// From now on the timers that this thread sets by this module are kept here.
    pub fn keep_for_this_thread(&self) {
        KEPT_BY.with(|kept_by| {
            kept_by.get_or_init(|| self.handle.clone());
        });
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has nothing more to end.
            let _ = thread.join();
        }
    }
}

/// Keeps the next time to look up near. For a timer that is due earlier the keeper has to be woken,
/// which is a system call of the thread that sets it; those of calls are most often due later.
async fn tick() {
    const TICK: Duration = Duration::from_millis(500);
    loop {
        time::sleep(TICK).await;
    }
}

/// Waits so long.
pub fn sleep(duration: Duration) -> Sleep {
    kept(|| time::sleep(duration))
}

/// Waits until then.
pub fn sleep_until(deadline: Instant) -> Sleep {
    kept(|| time::sleep_until(deadline))
}

/// Gives a future so long.
pub fn timeout<F: Future>(duration: Duration, future: F) -> Timeout<F> {
    kept(|| time::timeout(duration, future))
}

/// Gives a future until then.
pub fn timeout_at<F: Future>(deadline: Instant, future: F) -> Timeout<F> {
    kept(|| time::timeout_at(deadline, future))
}

/// Sets a timer where those of this thread are kept.
fn kept<T>(set: impl FnOnce() -> T) -> T {
    KEPT_BY.with(|kept_by| {
        let _entered = kept_by.get().map(Handle::enter);
        set()
    })
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::*;

    const SHORT: Duration = Duration::from_millis(2);
    const LONG: Duration = Duration::from_secs(3600);

    #[test]
    fn a_runtime_whose_timers_are_kept_needs_none() {
        let keeper = Keeper::start("timers-test".to_owned()).unwrap();
        keeper.keep_for_this_thread();
        let runtime = Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let begun = Instant::now();
            sleep(SHORT).await;
            sleep_until(begun + SHORT * 2).await;
            assert!(begun.elapsed() >= SHORT * 2);
            assert!(timeout(SHORT, pending::<()>()).await.is_err());
            assert!(timeout_at(Instant::now() + SHORT, pending::<()>()).await.is_err());
            assert_eq!(timeout(LONG, async { 7 }).await, Ok(7));
        });
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_keeper_they_go_by_the_runtimes_clock() {
        let begun = Instant::now();
        sleep(LONG).await;
        assert!(timeout_at(begun + LONG * 2, pending::<()>()).await.is_err());
        assert_eq!(begun.elapsed(), LONG * 2);
    }
}
