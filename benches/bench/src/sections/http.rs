//! What reading and writing state over HTTP costs, each of 64 callers on a connection of its own.

use super::Section;
use crate::{
    lab::{DAPRD, HTTP_ECHO, Lab, OUTRIGGER},
    load::{Load, Operation},
    samples::Samples,
    verdict::{Finding, Target},
};

const CONNECTIONS: u32 = 64;
const OPERATIONS: [(Operation, &str); 2] = [(Operation::Get, "GET"), (Operation::Save, "POST")];
/// As a part of an echo of the same bodies.
const TARGET: Target = Target::at_most(1.8).aiming_at(1.5);

struct Http(Samples);

pub fn open(_: &mut Lab) -> anyhow::Result<Box<dyn Section>> {
    Ok(Box::new(Http(Samples::default())))
}

impl Section for Http {
    fn round(&mut self, lab: &mut Lab, round: usize) -> anyhow::Result<()> {
        for (operation, name) in OPERATIONS {
            for subject in lab.turn(&[HTTP_ECHO, OUTRIGGER, DAPRD], round) {
                let load = Load::usual(operation, lab.plan.span()).over_http(CONNECTIONS);
                let what = format!("HTTP {name}, {CONNECTIONS} connections");
                let outcome = lab.drive(subject, &load, &what)?;
                self.0.push(subject, name, outcome.cpu("server"));
            }
        }
        Ok(())
    }

    fn findings(&self) -> Vec<Finding> {
        let mut found = Vec::new();
        for (_, name) in OPERATIONS {
            let ratios = self.0.ratios((OUTRIGGER, name), (HTTP_ECHO, name));
            let what = format!("HTTP {name} CPU per call, 64 connections, / axum echo");
            found.push(Finding::new(what, "x", ratios, TARGET));
            if !self.0.of(DAPRD, name).is_empty() {
                let ratios = self.0.ratios((DAPRD, name), (OUTRIGGER, name));
                let what = format!("HTTP {name} CPU per call, daprd / outrigger");
                found.push(Finding::told(what, "x", ratios));
            }
        }
        found
    }
}
