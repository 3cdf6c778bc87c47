//! The signals that end a sidecar, and the one that does not.

use std::io;

use nix::sys::signal::Signal;
use tokio::signal::unix::{self, SignalKind};

/// Caught signals.
pub(super) struct Signals {
    terminate: unix::Signal,
    interrupt: unix::Signal,
    hangup: unix::Signal,
}

impl Signals {
    /// Catches them from now on.
    pub(super) fn catch() -> io::Result<Self> {
        Ok(Self {
            terminate: unix::signal(SignalKind::terminate())?,
            interrupt: unix::signal(SignalKind::interrupt())?,
            hangup: unix::signal(SignalKind::hangup())?,
        })
    }

    /// The next signal that asks for the end.
    pub(super) async fn next(&mut self) -> Signal {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return Signal::SIGTERM,
                _ = self.interrupt.recv() => return Signal::SIGINT,
                _ = self.hangup.recv() => tracing::info!(
                    target: "dapr.signals",
                    "Received signal 'hangup'; resources are not read again yet"
                ),
            }
        }
    }
}

/// The name daprd's lines give a signal.
pub(super) fn name(signal: Signal) -> &'static str {
    match signal {
        Signal::SIGINT => "interrupt",
        Signal::SIGTERM => "terminated",
        other => other.as_str(),
    }
}
