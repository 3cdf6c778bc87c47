//! What a sidecar is started with: every value parsed and checked, none of them raw.

use std::{path::PathBuf, time::Duration};

use crate::{
    edge::{admission::Most, token::ApiToken},
    http::cors::Cors,
    log::Level,
};

/// What a sidecar is started with.
#[derive(Clone, Debug)]
pub struct SidecarOptions {
    /// The id of the application it serves.
    pub app_id: String,
    /// The HTTP API's port; 0 for a free one.
    pub http_port: u16,
    /// The gRPC API's port; 0 for a free one.
    pub grpc_port: u16,
    /// The port for other sidecars, if one was asked for.
    pub internal_grpc_port: Option<u16>,
    /// The address for other sidecars; empty for all interfaces.
    pub internal_grpc_listen_address: String,
    /// The addresses of both APIs; empty for all interfaces, IPv4 and IPv6.
    pub listen_addresses: Vec<String>,
    /// The folder of the sockets on which both APIs listen instead of on their ports.
    pub socket_folder: Option<PathBuf>,
    /// The port of health and metadata without a token, if one was asked for.
    pub public_port: Option<u16>,
    /// The addresses of that port; empty for all interfaces.
    pub public_listen_addresses: Vec<String>,
    /// Where metrics are served; `None` for nowhere.
    pub metrics: Option<MetricsPort>,
    /// Whether HTTP/2 is spoken on the HTTP API's port.
    pub http2: bool,
    /// Which origins are let in; `None` says nothing about them.
    pub cors: Option<Cors>,
    /// Whether calls have a line in the log; `None` leaves it to the Configuration.
    pub api_logging: Option<bool>,
    /// Folders with resources.
    pub resources_paths: Vec<PathBuf>,
    /// Configuration files.
    pub config_paths: Vec<PathBuf>,
    /// How the application is reached.
    pub app: AppChannel,
    /// The greatest request or answer in bytes; `None` without a limit.
    pub max_body_size: Option<usize>,
    /// The greatest request head in bytes.
    pub read_buffer_size: usize,
    /// The most calls, bytes and connections at once.
    pub most: Most,
    /// How many calls an HTTP/2 connection may carry at once.
    pub max_streams: u32,
    /// The greatest head of a gRPC request in bytes.
    pub max_header_list_size: u32,
    /// How long calls in flight may take at the end; `None` without a limit.
    pub graceful_shutdown: Option<Duration>,
    /// The secret that callers must present, if any.
    pub api_token: Option<ApiToken>,
    /// Whether wrong resources are logged and left out instead of refused.
    pub lenient: bool,
    /// Whether there is an in-memory store named `statestore` when no store was loaded.
    pub embedded: bool,
    /// How many threads serve calls; at least one.
    pub data_plane_threads: usize,
    /// The least important level that is logged; the start says so.
    pub log_level: Level,
    /// `NAMESPACE` as it stands in the environment.
    pub namespace: Option<String>,
}

/// Where metrics are served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetricsPort {
    /// The address; empty for all interfaces.
    pub address: String,
    /// The port; 0 for a free one.
    pub port: u16,
}

/// How the application is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppChannel {
    /// Its port, if it has one.
    pub port: Option<u16>,
    /// Its protocol.
    pub protocol: AppProtocol,
    /// Its host.
    pub address: String,
    /// How many calls it takes at once; -1 for any number.
    pub max_concurrency: i32,
}

/// What an application speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AppProtocol {
    /// HTTP/1.1 in clear.
    #[default]
    Http,
    /// HTTP over TLS.
    Https,
    /// gRPC in clear.
    Grpc,
    /// gRPC over TLS.
    Grpcs,
    /// HTTP/2 in clear.
    H2c,
}

impl AppProtocol {
    /// Dapr's word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
            Self::Grpc => "grpc",
            Self::Grpcs => "grpcs",
            Self::H2c => "h2c",
        }
    }
}
