//! The lines of a start and an end, as daprd says them and where they are true of us.

use tokio::time::Instant;

use crate::{
    go_text,
    resources::{Level, MetricSettings, Notice},
    sidecar::{data_plane::Parts, options::SidecarOptions, ports, stores::Stores},
    version::{DAPR_VERSION, OUTRIGGER_VERSION},
};

/// The scope of most of these lines.
pub const RUNTIME: &str = "dapr.runtime";

const LOADER: &str = "dapr.runtime.processor.loops.root";
const GRPC: &str = "dapr.runtime.grpc.api";
const DIAGNOSTICS: &str = "dapr.runtime.diagnostics";
const HTTP: &str = "dapr.runtime.http";
const INTERNAL: &str = "dapr.runtime.grpc.internal";

macro_rules! emit {
    ($scope:ident, $notice:ident) => {
        match $notice.level {
            Level::Debug => tracing::debug!(target: $scope, "{}", $notice.text),
            Level::Info => tracing::info!(target: $scope, "{}", $notice.text),
            Level::Warning => tracing::warn!(target: $scope, "{}", $notice.text),
            Level::Error => tracing::error!(target: $scope, "{}", $notice.text),
        }
    };
}

/// The first lines.
pub fn starting(options: &SidecarOptions) {
    tracing::info!(
        target: RUNTIME,
        "Starting Dapr Runtime -- version {DAPR_VERSION} -- commit outrigger-{OUTRIGGER_VERSION}"
    );
    tracing::info!(target: RUNTIME, "Log level set to: {}", options.log_level.flag_text());
    match options.graceful_shutdown {
        Some(grace) => {
            tracing::debug!(target: RUNTIME, "Graceful shutdown timeout: {}", go_text::duration(grace))
        }
        None => tracing::warn!(
            target: RUNTIME,
            "Graceful shutdown timeout is infinite, will wait indefinitely to shutdown"
        ),
    }
}

/// What loading the resources had to say.
pub fn notice(notice: &Notice) {
    // A line's scope is its event's target, which has to be a constant.
    if notice.scope == LOADER {
        emit!(LOADER, notice);
    } else {
        emit!(RUNTIME, notice);
    }
}

/// What the Configuration says about metrics.
pub fn metric_settings(settings: &MetricSettings) {
    tracing::info!(target: DIAGNOSTICS, "metric spec: {}", settings.text());
    if settings.latencies.is_none() {
        let bounds: Vec<_> = settings.latencies().iter().map(u64::to_string).collect();
        tracing::info!(
            target: DIAGNOSTICS,
            "Using default latency distribution buckets: [{}]", bounds.join(" ")
        );
    }
}

/// The port for metrics accepts.
pub fn listening_for_scrapes(options: &SidecarOptions, port: u16) {
    let address = options.metrics.as_ref().map_or("", |metrics| metrics.address.as_str());
    tracing::info!(target: RUNTIME, "metrics server started on {address}:{port}/");
}

/// The stores are known; none of them needs to be reachable.
pub fn loaded(stores: &Stores) {
    tracing::info!(target: RUNTIME, "Loading components…");
    for name in stores.log_names() {
        tracing::info!(target: LOADER, "Component loaded: {name}");
    }
    tracing::info!(target: RUNTIME, "Waiting for all outstanding components to be processed…");
    tracing::info!(target: RUNTIME, "All outstanding components processed");
}

/// Both edges accept.
pub fn listening(options: &SidecarOptions, parts: &Parts, grpc_port: u16, http_port: u16) {
    let with_token = options.api_token.is_some();
    for place in places(options, "grpc", grpc_port) {
        tracing::info!(target: GRPC, "gRPC server listening on {place}");
    }
    if parts.grpc_access.is_some() {
        tracing::info!(target: GRPC, "Enabled API access list on gRPC server");
    }
    if with_token {
        tracing::info!(target: GRPC, "Enabled token authentication on gRPC server");
    }
    tracing::info!(target: RUNTIME, "API gRPC server is running on {}", door(options, grpc_port));

    let limit = options.max_body_size;
    if let Some(limit) = limit {
        tracing::info!(target: HTTP, "Enabled max body size HTTP middleware with size {limit} bytes");
    }
    if options.cors.is_some() {
        tracing::info!(target: HTTP, "Enabled CORS HTTP middleware");
    }
    if with_token {
        tracing::info!(target: HTTP, "Enabled token authentication on HTTP server");
    }
    for place in places(options, "http", http_port) {
        tracing::info!(target: HTTP, "HTTP server listening on {place}");
    }
    tracing::info!(target: RUNTIME, "HTTP server is running on {}", door(options, http_port));
    let limit = limit.unwrap_or_default();
    tracing::info!(target: RUNTIME, "The request body size parameter is: {limit} bytes");
}

/// The public port accepts.
pub fn listening_publicly(options: &SidecarOptions, port: u16) {
    for address in hosts(&options.public_listen_addresses) {
        tracing::info!(
            target: HTTP,
            "HTTP server listening on TCP address: {address}:{port} (health and metadata for everybody)"
        );
    }
}

/// The port for other sidecars accepts. The Testcontainers of the .NET SDK wait for the second line.
pub fn listening_internally(options: &SidecarOptions, port: u16) {
    let address = ports::internal_address(options);
    tracing::info!(
        target: INTERNAL,
        "gRPC server listening on pre-bound TCP address: {address}:{port}"
    );
    tracing::info!(target: RUNTIME, "Internal gRPC server is running on {address}:{port}");
}

/// The line that harnesses wait for.
pub fn running(began: Instant) {
    let elapsed = began.elapsed().as_millis();
    tracing::info!(
        target: RUNTIME,
        "dapr initialized. Status: Running. Init Elapsed {elapsed}ms"
    );
}

/// The end begins.
pub fn ending() {
    tracing::info!(target: RUNTIME, "Dapr is shutting down");
}

/// No call is in flight any more.
pub fn closing(stores: &Stores, addresses: &[String], http_port: u16) {
    for name in stores.log_names() {
        tracing::info!(target: RUNTIME, "Shutting down component {name}");
    }
    let all_interfaces = addresses.is_empty().then_some("[::]");
    for address in addresses.iter().map(String::as_str).chain(all_interfaces) {
        tracing::info!(target: HTTP, "Closing HTTP server {address}:{http_port}…");
    }
}

/// The last lines.
pub fn ended() {
    tracing::info!(target: RUNTIME, "Dapr runtime stopped");
    tracing::info!(target: RUNTIME, "Daprd shutdown gracefully");
}

/// Where an API listens.
fn places(options: &SidecarOptions, protocol: &str, port: u16) -> Vec<String> {
    if let Some(folder) = &options.socket_folder {
        let path = ports::socket(folder, &options.app_id, protocol);
        return vec![format!("UNIX socket: {}", path.display())];
    }
    let hosts = hosts(&options.listen_addresses).into_iter();
    hosts.map(|host| format!("TCP address: {host}:{port}")).collect()
}

/// What an API is reached by.
fn door(options: &SidecarOptions, port: u16) -> String {
    match options.socket_folder {
        Some(_) => "a Unix Domain Socket".to_owned(),
        None => format!("port {port}"),
    }
}

/// What stands before the port where a listener is named; nothing for all interfaces, as in Dapr.
fn hosts(addresses: &[String]) -> Vec<&str> {
    match addresses {
        [] => vec![""],
        some => some.iter().map(String::as_str).collect(),
    }
}
