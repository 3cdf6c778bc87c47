//! What a sidecar says about itself: metadata, health, and the wish to end it.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio::sync::watch;

/// What does not change while the sidecar runs.
#[derive(Clone, Debug, Default)]
pub struct Identity {
    /// The app id.
    pub id: String,
    /// The Dapr version whose behaviour is served.
    pub runtime_version: String,
    /// Names of enabled features, as clients know them.
    pub enabled_features: Vec<String>,
    /// Every loaded component.
    pub components: Vec<RegisteredComponent>,
    /// How the application would be reached.
    pub app_connection: AppConnection,
    /// Names of the loaded Resiliency resources.
    pub resiliencies: Vec<String>,
}

/// One loaded component.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RegisteredComponent {
    /// `metadata.name`.
    pub name: String,
    /// `spec.type` as written.
    pub kind: String,
    /// `spec.version` as written.
    pub version: String,
    /// What it can do.
    pub capabilities: Vec<String>,
}

/// How the application would be reached.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AppConnection {
    /// Its port; 0 when it has none.
    pub port: u16,
    /// `http`, `grpc` and the like.
    pub protocol: String,
    /// Its host.
    pub channel_address: String,
    /// How many calls it takes at once; 0 when unlimited.
    pub max_concurrency: i32,
}

/// Everything metadata answers at one moment.
#[derive(Clone, Debug, Default)]
pub struct Metadata {
    /// What does not change.
    pub identity: Arc<Identity>,
    /// What callers set, and what is true right now, in the order of the keys.
    pub extended: BTreeMap<String, String>,
}

/// Adds what is true right now to the extended map.
pub type Report = Arc<dyn Fn(&mut BTreeMap<String, String>) + Send + Sync>;

/// What a sidecar says about itself.
#[derive(Clone)]
pub struct MetadataApi {
    identity: Arc<Identity>,
    extended: Arc<Mutex<BTreeMap<String, String>>>,
    report: Report,
}

impl MetadataApi {
    /// Metadata that is `identity`, what callers set, and what `report` adds when asked.
    pub fn new(identity: Identity, report: Report) -> Self {
        Self { identity: Arc::new(identity), extended: Arc::default(), report }
    }

    /// Everything as it is now. The runtime's version wins over one that a caller set, as in Dapr.
    pub fn snapshot(&self) -> Metadata {
        let mut extended = self.lock().clone();
        (self.report)(&mut extended);
        extended.insert("daprRuntimeVersion".to_owned(), self.identity.runtime_version.clone());
        Metadata { identity: self.identity.clone(), extended }
    }

    /// Remembers `value` under `key` until the sidecar ends; an empty key is ignored.
    pub fn set(&self, key: String, value: String) {
        if !key.is_empty() {
            self.lock().insert(key, value);
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, String>> {
        self.extended.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether the sidecar is ready. It never asks the stores: an outage of Redis is not one of ours.
#[derive(Clone, Debug)]
pub struct Health {
    app_id: Arc<str>,
    outbound: Arc<AtomicBool>,
    runtime: Arc<AtomicBool>,
    draining: Arc<AtomicBool>,
}

impl Health {
    /// The health of a sidecar that is still starting.
    pub fn starting(app_id: &str) -> Self {
        Self {
            app_id: app_id.into(),
            outbound: Arc::default(),
            runtime: Arc::default(),
            draining: Arc::default(),
        }
    }

    /// Components are loaded and both API servers listen.
    pub fn set_outbound_ready(&self) {
        self.outbound.store(true, Ordering::Release);
    }

    /// The application, if one was announced, listens as well.
    pub fn set_ready(&self) {
        self.runtime.store(true, Ordering::Release);
    }

    /// Shutdown has begun.
    pub fn set_draining(&self) {
        self.draining.store(true, Ordering::Release);
    }

    /// Whether calls to the stores can be made.
    pub fn outbound_ready(&self) -> bool {
        self.outbound.load(Ordering::Acquire)
    }

    /// Whether the sidecar is ready in full.
    pub fn is_ready(&self) -> bool {
        self.not_ready_targets().is_empty()
    }

    /// What is not ready, in Dapr's words.
    pub fn not_ready_targets(&self) -> Vec<&'static str> {
        let mut targets = Vec::new();
        if !self.outbound_ready() || self.draining.load(Ordering::Acquire) {
            targets.push("grpc-api-server");
        }
        if !self.runtime.load(Ordering::Acquire) {
            targets.push("runtime");
        }
        targets
    }

    /// The app id.
    pub fn app_id(&self) -> &str {
        &self.app_id
    }
}

/// How a caller asked the sidecar to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShutdownRequest {
    /// After the calls in flight.
    Graceful,
    /// At once.
    Forced,
}

/// Where callers ask the sidecar to end.
#[derive(Clone, Debug)]
pub struct ShutdownHandle(Arc<watch::Sender<Option<ShutdownRequest>>>);

impl Default for ShutdownHandle {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(None)))
    }
}

impl ShutdownHandle {
    /// Asks the sidecar to end; a forced wish outranks a graceful one.
    pub fn request(&self, wish: ShutdownRequest) {
        match wish {
            ShutdownRequest::Graceful => {
                tracing::info!(target: "dapr.api", "Shutdown requested via API");
            }
            ShutdownRequest::Forced => tracing::warn!(
                target: "dapr.api",
                "Force shutdown requested, exiting immediately without graceful shutdown"
            ),
        }
        self.0.send_if_modified(|current| {
            let changed = *current != Some(ShutdownRequest::Forced) && *current != Some(wish);
            if changed {
                *current = Some(wish);
            }
            changed
        });
    }

    /// Resolves when somebody asked.
    pub async fn requested(&self) -> ShutdownRequest {
        let mut receiver = self.0.subscribe();
        loop {
            if let Some(wish) = *receiver.borrow_and_update() {
                return wish;
            }
            if receiver.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }
}
