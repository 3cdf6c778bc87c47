//! The lines of a start and an end, as daprd says them and where they are true of us.

use tokio::time::Instant;

use crate::{
    go_text,
    resources::{Level, Notice},
    sidecar::{options::SidecarOptions, stores::Stores},
    version::{DAPR_VERSION, OUTRIGGER_VERSION},
};

/// The scope of most of these lines.
pub const RUNTIME: &str = "dapr.runtime";

const LOADER: &str = "dapr.runtime.processor.loops.root";
const GRPC: &str = "dapr.runtime.grpc.api";
const HTTP: &str = "dapr.runtime.http";

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
pub fn listening(options: &SidecarOptions, grpc_port: u16, http_port: u16) {
    let with_token = options.api_token.is_some();
    for address in hosts(options) {
        tracing::info!(target: GRPC, "gRPC server listening on TCP address: {address}:{grpc_port}");
    }
    if with_token {
        tracing::info!(target: GRPC, "Enabled token authentication on gRPC server");
    }
    tracing::info!(target: RUNTIME, "API gRPC server is running on port {grpc_port}");

    let limit = options.max_body_size;
    if let Some(limit) = limit {
        tracing::info!(target: HTTP, "Enabled max body size HTTP middleware with size {limit} bytes");
    }
    if with_token {
        tracing::info!(target: HTTP, "Enabled token authentication on HTTP server");
    }
    for address in hosts(options) {
        tracing::info!(target: HTTP, "HTTP server listening on TCP address: {address}:{http_port}");
    }
    tracing::info!(target: RUNTIME, "HTTP server is running on port {http_port}");
    let limit = limit.unwrap_or_default();
    tracing::info!(target: RUNTIME, "The request body size parameter is: {limit} bytes");
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
pub fn closing(stores: &Stores, http_port: u16) {
    for name in stores.log_names() {
        tracing::info!(target: RUNTIME, "Shutting down component {name}");
    }
    tracing::info!(target: HTTP, "Closing HTTP server [::]:{http_port}…");
}

/// The last lines.
pub fn ended() {
    tracing::info!(target: RUNTIME, "Dapr runtime stopped");
    tracing::info!(target: RUNTIME, "Daprd shutdown gracefully");
}

/// What stands before the port where a listener is named; nothing for all interfaces, as in Dapr.
fn hosts(options: &SidecarOptions) -> Vec<&str> {
    match options.listen_addresses.as_slice() {
        [] => vec![""],
        some => some.iter().map(String::as_str).collect(),
    }
}
