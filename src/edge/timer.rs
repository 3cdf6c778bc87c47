//! hyper's timers, kept like our own.

use std::{pin::Pin, time::Duration};

use hyper::rt::{Sleep, Timer};
use hyper_util::rt::TokioTimer;

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
        timers::kept(|| TokioTimer::new().sleep(duration))
    }

    fn sleep_until(&self, deadline: std::time::Instant) -> Pin<Box<dyn Sleep>> {
        timers::kept(|| TokioTimer::new().sleep_until(deadline))
    }

    fn now(&self) -> std::time::Instant {
        TokioTimer::new().now()
    }

    fn reset(&self, sleep: &mut Pin<Box<dyn Sleep>>, deadline: std::time::Instant) {
        TokioTimer::new().reset(sleep, deadline);
    }
}
