//! The window in which calls count, and the processes watched in it.

use std::collections::BTreeMap;

use tokio::{task::JoinHandle, time::Instant};

use crate::{
    tally::Tally,
    watch::{Cpu, Usage, Watched},
};

/// Ready to measure.
#[derive(Debug)]
pub struct Meter {
    watched: Vec<Watched>,
}

/// Measuring.
#[derive(Debug)]
pub struct Running {
    watched: Vec<Watched>,
    followers: Vec<JoinHandle<()>>,
    own: Cpu,
    start: Instant,
}

/// What was measured.
#[derive(Debug)]
pub struct Measured {
    seconds: f64,
    watched: BTreeMap<String, Usage>,
    generator_busy: f64,
}

/// What was measured and what was counted.
#[derive(Debug)]
pub struct Counted {
    /// The length of the window.
    pub seconds: f64,
    /// What the processes used.
    pub watched: BTreeMap<String, Usage>,
    /// The generator's own CPU time as a part of the window.
    pub generator_busy: f64,
    /// What became of the calls.
    pub tally: Tally,
}

impl Meter {
    /// For processes already under watch.
    pub fn new(watched: Vec<Watched>) -> Self {
        Self { watched }
    }

    /// The window opens.
    pub fn begin(mut self) -> Result<Running, String> {
        let followers = self.watched.iter().map(|watched| tokio::spawn(watched.follow())).collect();
        let own = own_cpu()?;
        for watched in &mut self.watched {
            watched.begin()?;
        }
        Ok(Running { watched: self.watched, followers, own, start: Instant::now() })
    }
}

impl Running {
    /// The window closes on this many calls that ended in it.
    pub fn stop(self, ended: u64) -> Result<Measured, String> {
        let seconds = self.start.elapsed().as_secs_f64();
        let watched: Result<BTreeMap<_, _>, String> =
            self.watched.iter().map(|watched| watched.end(ended, seconds)).collect();
        let own = own_cpu()?.nanos_since(&self.own) as f64 / 1e9;
        self.followers.iter().for_each(JoinHandle::abort);
        Ok(Measured {
            seconds,
            watched: watched?,
            generator_busy: (own / seconds * 1000.0).round() / 1000.0,
        })
    }

    /// The window closes on these calls.
    pub fn end(self, tally: Tally) -> Result<Counted, String> {
        Ok(self.stop(tally.ended())?.with(tally))
    }
}

impl Measured {
    /// Adds what was counted.
    pub fn with(self, tally: Tally) -> Counted {
        let Self { seconds, watched, generator_busy } = self;
        Counted { seconds, watched, generator_busy, tally }
    }
}

fn own_cpu() -> Result<Cpu, String> {
    Cpu::of(std::process::id()).map_err(|error| format!("the generator's own CPU time: {error}"))
}
