//! How long it takes from the start of the process until it says that it is ready, with Redis there
//! and with nobody at its address.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    time::{Duration, Instant},
};

use super::Section;
use crate::{
    lab::{DAPRD, Lab, OUTRIGGER},
    process::free_port,
    samples::Samples,
    subjects::Sidecar,
    verdict::{Finding, Target},
};

/// Far below what is measured.
const POLL: Duration = Duration::from_micros(100);
const TARGET: Target = Target::at_most(30.0).aiming_at(10.0);
const UP: &str = "Redis up";
const DOWN: &str = "Redis down";

struct Start(Samples);

pub fn open(_: &mut Lab) -> anyhow::Result<Box<dyn Section>> {
    Ok(Box::new(Start(Samples::default())))
}

impl Section for Start {
    fn round(&mut self, lab: &mut Lab, _round: usize) -> anyhow::Result<()> {
        let up = lab.redis.address();
        let down = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()?));
        let ours = lab.programs.outrigger.clone();
        self.0.push(OUTRIGGER, UP, once(lab, &ours, up)?);
        self.0.push(OUTRIGGER, DOWN, once(lab, &ours, down)?);
        // With Redis down it ends.
        if let Some(daprd) = lab.programs.daprd.clone() {
            self.0.push(DAPRD, UP, once(lab, &daprd, up)?);
        }
        Ok(())
    }

    fn findings(&self) -> Vec<Finding> {
        let ours = |what| {
            let samples = self.0.of(OUTRIGGER, what).to_vec();
            Finding::new(format!("start to ready, {what}"), "ms", samples, TARGET)
        };
        let mut found = vec![ours(UP), ours(DOWN)];
        let daprd = self.0.of(DAPRD, UP).to_vec();
        if !daprd.is_empty() {
            found.push(Finding::told("start to ready, Redis up, daprd", "ms", daprd));
        }
        found
    }
}

/// Milliseconds from before the process is started until healthz says 204.
fn once(lab: &Lab, executable: &Path, redis: SocketAddr) -> anyhow::Result<f64> {
    let sidecar = Sidecar::new(executable, redis, lab.folder())?;
    let begin = Instant::now();
    let server = sidecar.start("starting", lab.place(), POLL)?;
    let took = begin.elapsed();
    server.program.end()?;
    Ok(took.as_secs_f64() * 1e3)
}
