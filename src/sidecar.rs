//! The composition root: loads, binds, starts the threads, and ends them in order.

mod announce;
mod app_port;
mod data_plane;
mod descriptors;
mod meters;
pub mod options;
mod ports;
mod stores;

use std::{io, sync::Arc, time::Duration};

use tokio::{task::JoinHandle, time::Instant};

use crate::{
    api::{
        key::KeyPrefix,
        metadata::{AppConnection, Health, Identity, MetadataApi, ShutdownHandle, ShutdownRequest},
    },
    edge::{
        admission::Admission,
        drain::Drain,
        listener::{BindError, Listener},
    },
    http::call_log::CallLog,
    metrics::Registry,
    resources::{
        self, ApiLogging, Component, Environment, LoadErrors, LoadOptions, Resources,
        StoreSettings, Strictness,
    },
    sidecar::{
        data_plane::{DataPlane, Listeners, Parts},
        meters::{Loaded, Meters},
        options::{AppChannel, SidecarOptions},
        ports::Ports,
        stores::Stores,
    },
    version::DAPR_VERSION,
};

/// A sidecar that serves.
pub struct Running {
    /// The gRPC API's port.
    pub grpc_port: u16,
    /// The HTTP API's port.
    pub http_port: u16,
    /// The port for metrics, if there is one.
    pub metrics_port: Option<u16>,
    listen_addresses: Vec<String>,
    grace: Option<Duration>,
    parts: Parts,
    planes: Vec<DataPlane>,
    /// Waits for the application to listen, if it is to.
    app_watch: Option<JoinHandle<()>>,
}

/// Why a sidecar did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The resources are wrong; every problem is told.
    #[error(transparent)]
    Resources(#[from] LoadErrors),
    /// A port could not be opened.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// A thread could not be started.
    #[error("failed to start a data-plane thread: {0}")]
    Thread(#[from] io::Error),
}

/// How a sidecar ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShutdownOutcome {
    /// Every call in flight was answered.
    Graceful,
    /// Calls were still in flight when the grace was over.
    GraceExceeded,
}

/// Loads the resources, opens the ports and serves. Nothing is opened when a resource is wrong; no
/// store needs to be there.
pub async fn start(
    options: &SidecarOptions,
    environment: &dyn Environment,
) -> Result<Running, StartError> {
    let began = Instant::now();
    announce::starting(options);
    let resources = load(options, environment)?;
    let configuration = resources.configuration;
    let settings = &configuration.metrics;
    let stores = Stores::new(resources.components, &resources.policies, settings.latencies());
    let meters = Meters::new(settings, &stores);
    let names = resources.resiliency_names.iter().cloned();
    let loaded = Loaded {
        resiliencies: names.zip(resources.resiliency_namespaces).collect(),
        failed_components: resources.failed_components,
    };
    let admission = admission(options);
    let registry = meters::registry(options, settings, &meters, &stores, admission.clone(), loaded);
    let Ports { apis: listeners, public, metrics } = Ports::open(options)?;
    let identity = identity(options, &stores, &resources.resiliency_names);
    let rules = configuration.api_rules;
    let parts = Parts {
        metadata: metadata(identity, stores.clone()),
        stores,
        health: Health::starting(&options.app_id),
        shutdown: ShutdownHandle::default(),
        drain: Drain::default(),
        admission,
        max_streams: options.max_streams,
        max_header_list_size: options.max_header_list_size,
        token: options.api_token.clone(),
        max_body_size: options.max_body_size,
        read_buffer_size: options.read_buffer_size,
        tracing: configuration.sampling_rate != 0.0,
        http2: options.http2,
        cors: options.cors.clone(),
        call_log: call_log(options, configuration.api_logging),
        http_access: Arc::new(rules.http),
        grpc_access: (!rules.grpc.is_unlimited()).then(|| Arc::new(rules.grpc)),
        meters,
    };
    let (grpc_port, http_port) = (listeners.grpc.port(), listeners.http.port());
    let internal_port = listeners.internal.port();
    announce::loaded(&parts.stores);
    let planes = start_planes(options.data_plane_threads, listeners, &parts).await?;
    serve_public(options, public, &parts);
    let metrics_port = metrics.map(|listener| serve_metrics(options, listener, registry));
    announce::listening(options, &parts, grpc_port, http_port);
    announce::listening_internally(options, internal_port);
    parts.health.set_outbound_ready();
    let app_watch = watch_app(&options.app, &parts.health);
    announce::running(began);
    Ok(Running {
        grpc_port,
        http_port,
        metrics_port,
        listen_addresses: options.listen_addresses.clone(),
        grace: options.graceful_shutdown,
        parts,
        planes,
        app_watch,
    })
}

impl Running {
    /// Remembers a word about this sidecar, as a PUT of metadata would.
    pub fn set_metadata(&self, key: &str, value: &str) {
        self.parts.metadata.set(key.to_owned(), value.to_owned());
    }

    /// Resolves when a caller of the Shutdown API wants the sidecar to end.
    pub async fn shutdown_requested(&self) -> ShutdownRequest {
        self.parts.shutdown.requested().await
    }

    /// Stops accepting, waits for the calls in flight as long as the grace allows, then ends.
    pub async fn shutdown(self) -> ShutdownOutcome {
        announce::ending();
        self.parts.health.set_draining();
        if let Some(watch) = &self.app_watch {
            watch.abort();
        }
        let idle = self.parts.drain.idle();
        match self.grace {
            None => idle.await,
            Some(grace) => {
                if tokio::time::timeout(grace, idle).await.is_err() {
                    return ShutdownOutcome::GraceExceeded;
                }
            }
        }
        announce::closing(&self.parts.stores, &self.listen_addresses, self.http_port);
        drop(self.planes);
        announce::ended();
        ShutdownOutcome::Graceful
    }
}

fn metadata(identity: Identity, stores: Stores) -> MetadataApi {
    MetadataApi::new(identity, Arc::new(move |extended| stores.report(extended)))
}

fn admission(options: &SidecarOptions) -> Admission {
    Admission::new(descriptors::within_descriptors(options.most, options.data_plane_threads))
}

/// Serves the public port, if there is one.
fn serve_public(options: &SidecarOptions, listener: Option<Listener>, parts: &Parts) {
    if let Some(listener) = listener {
        announce::listening_publicly(options, listener.port());
        data_plane::serve_public(listener, parts);
    }
}

/// Serves metrics, and tells on which port.
fn serve_metrics(options: &SidecarOptions, listener: Listener, registry: Registry) -> u16 {
    let port = listener.port();
    announce::listening_for_scrapes(options, port);
    data_plane::serve_metrics(listener, registry, options.read_buffer_size);
    port
}

fn load(options: &SidecarOptions, environment: &dyn Environment) -> Result<Resources, LoadErrors> {
    let mut resources = resources::load(&LoadOptions {
        resources_paths: &options.resources_paths,
        config_paths: &options.config_paths,
        app_id: &options.app_id,
        namespace: options.namespace.as_deref(),
        mode: if options.lenient { Strictness::Lenient } else { Strictness::Strict },
        environment,
    })?;
    for notice in &resources.notices {
        announce::notice(notice);
    }
    announce::metric_settings(&resources.configuration.metrics);
    if options.embedded && resources.components.is_empty() {
        resources.components.push(embedded_store(&options.app_id));
    }
    Ok(resources)
}

/// The store of a sidecar that was given none: in memory, under the quickstart's name.
fn embedded_store(app_id: &str) -> Component {
    let name = "statestore";
    Component {
        name: name.to_owned(),
        kind_type: "state.in-memory".to_owned(),
        version: "v1".to_owned(),
        store: StoreSettings::InMemory,
        key_prefix: KeyPrefix::by_app_id(app_id),
    }
}

/// Whether calls are logged: as the command line says, or else the Configuration.
fn call_log(options: &SidecarOptions, configured: ApiLogging) -> Option<CallLog> {
    let enabled = options.api_logging.or(configured.enabled).unwrap_or(false);
    let ApiLogging { obfuscate_urls, omit_health_checks, enabled: _ } = configured;
    enabled.then_some(CallLog { obfuscate_urls, omit_health_checks })
}

fn identity(options: &SidecarOptions, stores: &Stores, resiliencies: &[String]) -> Identity {
    Identity {
        id: options.app_id.clone(),
        runtime_version: DAPR_VERSION.to_owned(),
        enabled_features: vec![],
        components: stores.registered(),
        app_connection: AppConnection {
            port: options.app.port.unwrap_or_default(),
            protocol: options.app.protocol.as_str().to_owned(),
            channel_address: options.app.address.clone(),
            // Dapr reports "any number", which is -1 on its command line, as 0.
            max_concurrency: options.app.max_concurrency.max(0),
        },
        resiliencies: resiliencies.to_vec(),
    }
}

async fn start_planes(
    count: usize,
    listeners: Listeners,
    parts: &Parts,
) -> io::Result<Vec<DataPlane>> {
    let mut planes = Vec::with_capacity(count);
    for number in 1..count {
        planes.push(DataPlane::start(number, listeners.try_clone()?, parts.clone()).await?);
    }
    planes.push(DataPlane::start(0, listeners, parts.clone()).await?);
    Ok(planes)
}

/// The sidecar is ready in full when the application listens; without a port at once.
fn watch_app(app: &AppChannel, health: &Health) -> Option<JoinHandle<()>> {
    let Some(port) = app.port else {
        health.set_ready();
        return None;
    };
    let (app, health) = (app.clone(), health.clone());
    Some(tokio::spawn(async move {
        app_port::wait(app.protocol.as_str(), &app.address, port).await;
        health.set_ready();
    }))
}
