//! What is counted and timed, and how a scrape reads it: Prometheus metrics with daprd's names,
//! labels and buckets, so that dashboards and alerts go on working, and our own with the prefix
//! `outrigger_`.
//!
//! A call costs a few relaxed additions. Whoever records holds its meters from the start on, one for
//! each store, method or route, and picks a number in them; labels are put together when somebody
//! scrapes. What is known elsewhere (a breaker's state, a queue's length) is not copied on the way:
//! a collector asks for it at the scrape.
//!
//! The text is written by our own [`text`] and not by the crate prometheus-client: that one writes
//! OpenMetrics, where a counter has to end in `_total`. `dapr_component_state_count` and most of
//! daprd's other names do not, and daprd's labels come in alphabetical order. What is recorded here
//! never changes what is done.

pub mod component;
pub mod error_codes;
pub mod families;
pub mod grpc;
pub mod http;
pub mod instrument;
pub mod path;
pub mod process;
pub mod refusals;
pub mod resiliency;
pub mod store;
pub mod text;

use std::{
    fmt,
    sync::{Mutex, PoisonError},
};

use self::text::Scrape;

/// Puts what it knows into a scrape.
pub type Collector = Box<dyn Fn(&mut Scrape) + Send + Sync>;

/// Who is asked at a scrape.
#[derive(Default)]
pub struct Registry {
    collectors: Mutex<Vec<Collector>>,
    rules: Vec<text::Rule>,
}

impl Registry {
    /// Nobody yet; a scrape's labels will be rewritten by these rules.
    pub fn new(rules: Vec<text::Rule>) -> Self {
        Self { collectors: Mutex::default(), rules }
    }

    /// Asks `collector`, too, from the next scrape on.
    pub fn register(&self, collector: impl Fn(&mut Scrape) + Send + Sync + 'static) {
        self.collectors.lock().unwrap_or_else(PoisonError::into_inner).push(Box::new(collector));
    }

    /// Everything there is at this moment, in Prometheus' text format 0.0.4.
    pub fn render(&self) -> String {
        let mut scrape = Scrape::default();
        let collectors = self.collectors.lock().unwrap_or_else(PoisonError::into_inner);
        for collect in collectors.iter() {
            collect(&mut scrape);
        }
        drop(collectors);
        scrape.rewrite(&self.rules);
        scrape.into_text()
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry").finish_non_exhaustive()
    }
}
