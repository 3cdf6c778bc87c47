//! A future that is made once and does one job after another where it is: those of fred are some
//! 7 KB large, and one for each job would be moved several times until it can be pinned.

use std::{
    convert::Infallible,
    fmt,
    future::{Future, poll_fn},
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
};

/// Does one job at a time. Dropped, it drops what it is at.
pub(super) struct Attendant<'a, J, T> {
    desk: Arc<Desk<J, T>>,
    work: Pin<Box<dyn Future<Output = Infallible> + Send + 'a>>,
}

/// Where a job is taken from and its output is put.
struct Desk<J, T>(Mutex<(Option<J>, Option<T>)>);

impl<'a, J: Send + 'a, T: Send + 'a> Attendant<'a, J, T> {
    /// One that does its jobs like this.
    pub(super) fn new<F>(mut work: impl FnMut(J) -> F + Send + 'a) -> Self
    where
        F: Future<Output = T> + Send + 'a,
    {
        let desk = Arc::new(Desk(Mutex::new((None, None))));
        let own = desk.clone();
        let work = async move {
            loop {
                let job = poll_fn(|_| match own.lock().0.take() {
                    Some(job) => Poll::Ready(job),
                    None => Poll::Pending,
                });
                let job = job.await;
                let output = work(job).await;
                own.lock().1 = Some(output);
            }
        };
        Self { desk, work: Box::pin(work) }
    }

    /// Gives it a job, not before the last one is done.
    pub(super) fn give(&mut self, job: J) {
        self.desk.lock().0 = Some(job);
    }

    /// Ready with what came of the job when it is done.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<T> {
        let Poll::Pending = self.work.as_mut().poll(cx);
        self.desk.lock().1.take().map_or(Poll::Pending, Poll::Ready)
    }
}

impl<J, T> fmt::Debug for Attendant<'_, J, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attendant").finish_non_exhaustive()
    }
}

impl<J, T> Desk<J, T> {
    fn lock(&self) -> MutexGuard<'_, (Option<J>, Option<T>)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use futures_util::FutureExt as _;
    use tokio::sync::oneshot;

    use super::*;

    type Told = oneshot::Receiver<u8>;

    /// One whose jobs are to hear a number and to double it.
    fn attendant() -> Attendant<'static, Told, u8> {
        Attendant::new(|told: Told| async move { 2 * told.await.expect("told") })
    }

    async fn done<'a, J: Send + 'a, T: Send + 'a>(attendant: &mut Attendant<'a, J, T>) -> T {
        poll_fn(|cx| attendant.poll(cx)).await
    }

    #[tokio::test]
    async fn jobs_are_done_one_after_the_other() {
        let mut attendant = attendant();
        for number in 0..3 {
            let (tell, told) = oneshot::channel();
            attendant.give(told);
            assert_eq!(done(&mut attendant).now_or_never(), None);
            tell.send(number).expect("it listens");
            assert_eq!(done(&mut attendant).await, 2 * number);
        }
        assert_eq!(done(&mut attendant).now_or_never(), None, "there is no job");
    }

    #[tokio::test]
    async fn who_waits_is_woken() {
        let mut attendant = attendant();
        let (tell, told) = oneshot::channel();
        attendant.give(told);
        let telling = async {
            tokio::task::yield_now().await;
            tell.send(4).expect("it listens");
        };
        assert_eq!(tokio::join!(done(&mut attendant), telling), (8, ()));
    }

    #[test]
    fn what_it_is_at_goes_with_it() {
        let mut attendant = Attendant::new(|job: Arc<()>| async move {
            pending::<()>().await;
            drop(job);
        });
        let job = Arc::new(());
        attendant.give(job.clone());
        assert_eq!(done(&mut attendant).now_or_never(), None);
        assert_eq!(Arc::strong_count(&job), 2);
        drop(attendant);
        assert_eq!(Arc::strong_count(&job), 1);
    }
}
