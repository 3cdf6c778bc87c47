//! hyper's timers, kept like our own.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, Waker},
    time::Duration,
};

use hyper::rt::{Sleep, Timer};
use tokio::time::{self, Instant};

use crate::timers;

/// What hyper asks for them.
#[derive(Clone, Copy, Debug)]
pub struct KeptTimer;

#[expect(
    clippy::disallowed_types,
    reason = "hyper speaks of it, and lets its timer say what time it is"
)]
impl Timer for KeptTimer {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Sleep>> {
        Box::pin(KeptSleep::new(timers::sleep(duration)))
    }

    fn sleep_until(&self, deadline: std::time::Instant) -> Pin<Box<dyn Sleep>> {
        Box::pin(KeptSleep::new(timers::sleep_until(deadline.into())))
    }

    fn now(&self) -> std::time::Instant {
        Instant::now().into()
    }

    fn reset(&self, sleep: &mut Pin<Box<dyn Sleep>>, deadline: std::time::Instant) {
        match sleep.as_mut().downcast_mut_pin::<KeptSleep>() {
            Some(sleep) => sleep.get_mut().reset(deadline.into()),
            None => *sleep = self.sleep_until(deadline),
        }
    }
}

/// hyper looks at it whenever its connection is woken. The timer keeps a waker until it goes off, and
/// so is given one only when that is a new one, or the time is over.
struct KeptSleep {
    sleep: Pin<Box<time::Sleep>>,
    /// Who is woken when the time is over.
    woken: Option<Waker>,
}

impl KeptSleep {
    fn new(sleep: time::Sleep) -> Self {
        Self { sleep: Box::pin(sleep), woken: None }
    }

    fn reset(&mut self, deadline: Instant) {
        self.woken = None;
        self.sleep.as_mut().reset(deadline);
    }
}

impl Future for KeptSleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let is_woken = self.woken.as_ref().is_some_and(|waker| waker.will_wake(cx.waker()));
        if is_woken && !self.sleep.is_elapsed() {
            return Poll::Pending;
        }
        self.woken = None;
        if self.sleep.as_mut().poll(cx).is_pending() {
            self.woken = Some(cx.waker().clone());
            return Poll::Pending;
        }
        Poll::Ready(())
    }
}

impl Sleep for KeptSleep {}

#[cfg(test)]
mod tests {
    #![expect(clippy::disallowed_types, reason = "hyper speaks of it")]

    use tokio::{sync::oneshot, time::advance};

    use super::*;

    const SHORT: Duration = Duration::from_secs(1);

    fn later(duration: Duration) -> std::time::Instant {
        KeptTimer.now() + duration
    }

    #[tokio::test(start_paused = true)]
    async fn it_ends_at_its_time_however_often_it_is_looked_at() {
        let begun = Instant::now();
        let mut sleep = KeptTimer.sleep(SHORT);
        let (told, mut hears) = oneshot::channel();
        tokio::spawn(async move {
            time::sleep(SHORT / 2).await;
            let _ = told.send(());
        });
        tokio::select! {
            biased;
            () = &mut sleep => panic!("too early"),
            _ = &mut hears => {}
        }
        assert_eq!(begun.elapsed(), SHORT / 2);
        sleep.await;
        assert_eq!(begun.elapsed(), SHORT);
    }

    #[tokio::test(start_paused = true)]
    async fn who_looked_last_is_woken() {
        let begun = Instant::now();
        let mut sleep = KeptTimer.sleep(SHORT);
        assert!(futures_util::poll!(&mut sleep).is_pending());
        tokio::spawn(sleep).await.expect("it ends in another task");
        assert_eq!(begun.elapsed(), SHORT);
    }

    #[tokio::test(start_paused = true)]
    async fn it_can_be_put_off_and_brought_forward() {
        let begun = Instant::now();
        let mut sleep = KeptTimer.sleep_until(later(SHORT));
        assert!(futures_util::poll!(&mut sleep).is_pending());
        KeptTimer.reset(&mut sleep, later(SHORT * 3));
        assert!(futures_util::poll!(&mut sleep).is_pending());
        advance(SHORT * 2).await;
        assert!(futures_util::poll!(&mut sleep).is_pending());
        KeptTimer.reset(&mut sleep, later(SHORT / 2));
        sleep.await;
        assert_eq!(begun.elapsed(), SHORT * 5 / 2);
    }
}
