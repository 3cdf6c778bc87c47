//! Which resource said what first: two that say the same thing differently fight over it.

use std::collections::BTreeMap;

use crate::resources::{error::Place, report::Report};

/// Every name given so far, and by whom.
#[derive(Default)]
pub struct Ledger {
    entries: BTreeMap<(Subject, String), (String, Place)>,
}

/// What a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    Timeout,
    Retry,
    CircuitBreaker,
    Component,
    App,
    Actor,
}

impl Ledger {
    /// Notes a name. The later one wins in daprd, in an order nobody chose: a strict start refuses.
    pub fn note(
        &mut self,
        subject: Subject,
        name: &str,
        resource: &str,
        place: &Place,
        report: &mut Report,
    ) {
        let entry = (resource.to_owned(), place.clone());
        let Some((first, earlier)) = self.entries.insert((subject, name.to_owned()), entry) else {
            return;
        };
        let (file, line) = (earlier.file.display(), earlier.at.line);
        let message =
            format!("Resiliency {first:?} defines it too, in {file}:{line}; keep one of the two");
        report.refuse_if_strict(place.clone(), message);
    }
}
