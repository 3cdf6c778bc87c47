//! What the connections of one component are doing, told once however many threads have one.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::{metrics::store::StoreMeters, state_store::Condition};

/// How many different causes of one outage are logged.
const CAUSES: usize = 8;

/// The connections of one component over all data-plane threads. Logs each change once.
#[derive(Debug)]
pub struct RedisHealth {
    component: String,
    state: Mutex<State>,
    meters: Arc<StoreMeters>,
}

#[derive(Debug, Default)]
struct State {
    next: u64,
    lines: BTreeMap<u64, Line>,
    told: Told,
    last_error: Option<String>,
}

/// One thread's connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Line {
    Pending,
    Up,
    Down,
}

/// What the log says so far.
#[derive(Debug, Default)]
enum Told {
    #[default]
    Nothing,
    Up,
    Down {
        causes: Vec<String>,
    },
}

/// What a change means for the log.
#[derive(Debug, PartialEq, Eq)]
enum News {
    Connected,
    Lost,
    Unreachable,
}

impl RedisHealth {
    /// Starts with no connection; `component` is the name logs give it: `NAME (TYPE/VERSION)`.
    pub fn new(component: impl Into<String>) -> Self {
        Self { component: component.into(), state: Mutex::default(), meters: Arc::default() }
    }

    /// What is counted about the store and its connections.
    pub fn meters(&self) -> &Arc<StoreMeters> {
        &self.meters
    }

    /// Whether every connection is up, and the last error of any.
    pub fn condition(&self) -> Condition {
        let state = self.state();
        Condition { connected: state.all_up(), last_error: state.last_error.clone() }
    }

    /// Adds a thread's connection, which is not up yet.
    pub(super) fn join(self: &Arc<Self>) -> Reporter {
        let mut state = self.state();
        let id = state.next;
        state.next += 1;
        state.lines.insert(id, Line::Pending);
        Reporter { health: self.clone(), id }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn log(&self, news: Option<News>, address: &str, cause: &str) {
        let component = self.component.as_str();
        match news {
            Some(News::Connected) => {
                tracing::info!(target: "dapr.contrib", component, "Connected to Redis at {address}");
            }
            Some(News::Lost) => tracing::warn!(
                target: "dapr.contrib", component, "Lost connection to Redis at {address}: {cause}"
            ),
            Some(News::Unreachable) => tracing::warn!(
                target: "dapr.contrib",
                component,
                "Cannot connect to Redis at {address}, trying again: {cause}"
            ),
            None => {}
        }
    }
}

/// One thread's voice in a [`RedisHealth`]; leaves it when dropped.
#[derive(Debug)]
pub(super) struct Reporter {
    health: Arc<RedisHealth>,
    id: u64,
}

impl Reporter {
    /// The connection is there.
    pub(super) fn up(&self, address: &str) {
        self.health.meters.connected();
        let news = self.health.state().up(self.id);
        self.health.log(news, address, "");
    }

    /// The connection is gone, or could not be made.
    pub(super) fn down(&self, address: &str, cause: &str) {
        self.health.meters.failed_to_connect();
        let news = self.health.state().down(self.id, cause);
        self.health.log(news, address, cause);
    }
}

impl Drop for Reporter {
    fn drop(&mut self) {
        self.health.state().lines.remove(&self.id);
    }
}

impl State {
    fn all_up(&self) -> bool {
        !self.lines.is_empty() && self.lines.values().all(|line| *line == Line::Up)
    }

    fn up(&mut self, id: u64) -> Option<News> {
        self.lines.insert(id, Line::Up);
        let any_down = self.lines.values().any(|line| *line == Line::Down);
        if any_down || matches!(self.told, Told::Up) {
            return None;
        }
        self.told = Told::Up;
        Some(News::Connected)
    }

    fn down(&mut self, id: u64, cause: &str) -> Option<News> {
        self.lines.insert(id, Line::Down);
        self.last_error = Some(cause.to_owned());
        match &mut self.told {
            Told::Down { causes } => {
                // The threads lose their connections for one reason, in words that may differ, and
                // each goes on trying: only a cause not yet told is news.
                if causes.len() >= CAUSES || causes.iter().any(|told| told == cause) {
                    return None;
                }
                causes.push(cause.to_owned());
                Some(News::Unreachable)
            }
            Told::Up => {
                self.told = Told::Down { causes: vec![cause.to_owned()] };
                Some(News::Lost)
            }
            Told::Nothing => {
                self.told = Told::Down { causes: vec![cause.to_owned()] };
                Some(News::Unreachable)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tracing::{
        Event, Subscriber,
        field::{Field, Visit},
    };
    use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

    use super::*;

    /// Keeps every event's level, target and fields.
    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<String>>>);

    impl<S: Subscriber> Layer<S> for Lines {
        fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
            struct Fields(String);
            impl Visit for Fields {
                fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
                    self.0 += &format!(" {field}={value:?}");
                }
            }
            let metadata = event.metadata();
            let mut fields = Fields(format!("{} {}", metadata.level(), metadata.target()));
            event.record(&mut fields);
            self.0.lock().unwrap().push(fields.0);
        }
    }

    #[test]
    fn two_threads_connections_are_logged_as_one() {
        let lines = Lines::default();
        let subscriber = tracing_subscriber::registry().with(lines.clone());
        tracing::subscriber::with_default(subscriber, || {
            let health = Arc::new(RedisHealth::new("store (state.redis/v1)"));
            let (one, other) = (health.join(), health.join());
            one.up("h:1");
            assert!(!health.condition().connected);
            other.up("h:1");
            assert!(health.condition().connected);
            one.down("h:1", "EOF");
            other.down("h:1", "EOF");
            other.down("h:1", "WRONGPASS no");
            one.down("h:1", "WRONGPASS no");
            one.up("h:1");
            other.up("h:1");
            drop((one, other));
            assert!(!health.condition().connected);
        });
        let component = "component=\"store (state.redis/v1)\"";
        assert_eq!(
            *lines.0.lock().unwrap(),
            [
                format!("INFO dapr.contrib message=Connected to Redis at h:1 {component}"),
                format!(
                    "WARN dapr.contrib message=Lost connection to Redis at h:1: EOF {component}"
                ),
                format!(
                    "WARN dapr.contrib message=Cannot connect to Redis at h:1, trying again: \
                     WRONGPASS no {component}"
                ),
                format!("INFO dapr.contrib message=Connected to Redis at h:1 {component}"),
            ]
        );
    }

    fn two_lines() -> State {
        let lines = BTreeMap::from([(0, Line::Pending), (1, Line::Pending)]);
        State { lines, ..State::default() }
    }

    #[test]
    fn each_change_is_news_once_over_all_threads() {
        let mut state = two_lines();
        assert_eq!(state.up(0), Some(News::Connected));
        assert_eq!(state.up(1), None);
        assert!(state.all_up());

        assert_eq!(state.down(0, "EOF"), Some(News::Lost));
        assert_eq!(state.down(1, "EOF"), None);
        assert_eq!(state.down(0, "refused"), Some(News::Unreachable));
        assert_eq!(state.down(1, "refused"), None);
        assert!(!state.all_up());

        assert_eq!(state.up(0), None);
        assert_eq!(state.up(1), Some(News::Connected));
        assert_eq!(state.last_error.as_deref(), Some("refused"));
    }

    #[test]
    fn an_outage_with_ever_new_causes_does_not_flood_the_log() {
        let mut state = two_lines();
        let news = (0..100).filter(|n| state.down(0, &format!("cause {n}")).is_some()).count();
        assert_eq!(news, CAUSES);
    }
}
