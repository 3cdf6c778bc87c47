//! The flags that have an effect, daprd's and ours, as clap sees them.

use clap::{ArgAction, Args};

use super::go_flag::{BOOL, parse_bool, parse_int};

/// What was typed. Ports and quantities are still text, because daprd reads them later and
/// complains about them in another way.
#[derive(Clone, Debug, Args)]
pub(super) struct Flags {
    /// The application's id; without dots.
    #[arg(long, default_value = "", hide_default_value = true)]
    pub(super) app_id: String,
    /// The application's port.
    #[arg(long, default_value = "", hide_default_value = true)]
    pub(super) app_port: String,
    /// What the application speaks: http, https, grpc, grpcs or h2c.
    #[arg(long, default_value = "http")]
    pub(super) app_protocol: String,
    /// Deprecated: the application speaks TLS.
    #[arg(long, value_name = BOOL, default_value = "false", value_parser = parse_bool, action = ArgAction::Set)]
    pub(super) app_ssl: bool,
    /// The application's host.
    #[arg(long, default_value = "127.0.0.1")]
    pub(super) app_channel_address: String,
    /// How many calls the application takes at once; -1 for any number.
    #[arg(long, default_value = "-1", value_parser = parse_int)]
    pub(super) app_max_concurrency: i64,
    /// The HTTP API's port.
    #[arg(long, default_value = "3500")]
    pub(super) dapr_http_port: String,
    /// The gRPC API's port.
    #[arg(long, default_value = "50001")]
    pub(super) dapr_grpc_port: String,
    /// The port for other sidecars.
    #[arg(long, default_value = "", hide_default_value = true)]
    pub(super) dapr_internal_grpc_port: String,
    /// The address for other sidecars.
    #[arg(long, default_value = "", hide_default_value = true)]
    pub(super) dapr_internal_grpc_listen_address: String,
    /// The addresses of both APIs, separated by commas; all interfaces when empty.
    #[arg(long, default_value = "", hide_default_value = true)]
    pub(super) dapr_listen_addresses: String,
    /// A further port with health and metadata only, for which no token is needed.
    #[arg(long, default_value = "", hide_default_value = true)]
    pub(super) dapr_public_port: String,
    /// The addresses of that port, separated by commas; all interfaces when empty.
    #[arg(long, default_value = "", hide_default_value = true)]
    pub(super) dapr_public_listen_address: String,
    /// The port for metrics.
    #[arg(long, default_value = "9090")]
    pub(super) metrics_port: String,
    /// The address of that port.
    #[arg(long, default_value = "0.0.0.0")]
    pub(super) metrics_listen_address: String,
    /// Serve metrics.
    #[arg(long, value_name = BOOL, default_value = "true", value_parser = parse_bool, action = ArgAction::Set)]
    pub(super) enable_metrics: bool,
    /// Listen on sockets in this folder instead of on ports.
    #[arg(long, default_value = "", hide_default_value = true)]
    pub(super) unix_domain_socket: String,
    /// The origins of web pages that may call the HTTP API, separated by commas; * for all.
    #[arg(long, default_value = "", hide_default_value = true)]
    pub(super) allowed_origins: String,
    /// Log every call; the Configuration says so if this does not.
    #[arg(long, value_name = BOOL, value_parser = parse_bool)]
    pub(super) enable_api_logging: Option<bool>,
    /// Deprecated: a folder with resources.
    #[arg(long, default_value = "", hide_default_value = true)]
    pub(super) components_path: String,
    /// A folder with resources; may be given several times.
    #[arg(long)]
    pub(super) resources_path: Vec<String>,
    /// A Configuration file; may be given several times.
    #[arg(long)]
    pub(super) config: Vec<String>,
    /// Where the sidecar runs; only standalone is served.
    #[arg(long, default_value = "standalone")]
    pub(super) mode: String,
    /// What is logged: debug, info, warn, error or fatal.
    #[arg(long, default_value = "info")]
    pub(super) log_level: String,
    /// Log JSON objects.
    #[arg(long, value_name = BOOL, default_value = "false", value_parser = parse_bool, action = ArgAction::Set)]
    pub(super) log_as_json: bool,
    /// Log to the end of this file instead of standard output.
    #[arg(long, default_value = "", hide_default_value = true)]
    pub(super) log_file: String,
    /// The greatest request or answer.
    #[arg(long, default_value = "4Mi")]
    pub(super) max_body_size: String,
    /// Deprecated: the greatest request in MiB.
    #[arg(long, default_value = "4", value_parser = parse_int)]
    pub(super) dapr_http_max_request_size: i64,
    /// The greatest request head.
    #[arg(long, default_value = "4Ki")]
    pub(super) read_buffer_size: String,
    /// Deprecated: the greatest request head in KiB.
    #[arg(long, default_value = "4", value_parser = parse_int)]
    pub(super) dapr_http_read_buffer_size: i64,
    /// How many calls may be in flight; 0 for any number.
    #[arg(long, default_value = "1024", value_parser = parse_int)]
    pub(super) max_calls_in_flight: i64,
    /// How many bytes the requests and answers in flight may take; 0 for any number.
    #[arg(long, default_value = "64Mi")]
    pub(super) max_bytes_in_flight: String,
    /// How many connections may be open; 0 for any number.
    #[arg(long, default_value = "2048", value_parser = parse_int)]
    pub(super) max_connections: i64,
    /// How many calls one HTTP/2 connection may carry at once.
    #[arg(long, default_value = "1000", value_parser = parse_int)]
    pub(super) max_streams_per_connection: i64,
    /// The greatest head of a gRPC request; 64Ki, or as --read-buffer-size if that is more.
    #[arg(long, default_value = "", hide_default_value = true)]
    pub(super) max_header_list_size: String,
    /// How many seconds calls in flight may take at the end; 0 for any time.
    #[arg(long, default_value = "5", value_parser = parse_int)]
    pub(super) dapr_graceful_shutdown_seconds: i64,
    /// Log wrong resources and go on without them; the default under the name daprd.
    #[arg(long, value_name = BOOL, value_parser = parse_bool)]
    pub(super) lenient: Option<bool>,
    /// Have an in-memory store named statestore when no store is loaded.
    #[arg(long, value_name = BOOL, default_value = "false", value_parser = parse_bool, action = ArgAction::Set)]
    pub(super) embedded: bool,
    /// How many threads serve calls.
    #[arg(long, default_value = "1", value_parser = parse_int)]
    pub(super) data_plane_threads: i64,
    /// Print the Dapr version that is served.
    #[arg(long, value_name = BOOL, default_value = "false", value_parser = parse_bool, action = ArgAction::Set)]
    pub(super) version: bool,
    /// Print all about this program's versions.
    #[arg(long, value_name = BOOL, default_value = "false", value_parser = parse_bool, action = ArgAction::Set)]
    pub(super) build_info: bool,
    /// Wait until a sidecar on this machine is ready for calls.
    #[arg(long, value_name = BOOL, default_value = "false", value_parser = parse_bool, action = ArgAction::Set)]
    pub(super) wait: bool,
}
