//! Opens every port and socket that is to be served, before any of them is.

use std::path::{Path, PathBuf};

use crate::{
    edge::listener::{BindError, Listener},
    sidecar::{
        data_plane::Listeners,
        options::{MetricsPort, SidecarOptions},
    },
};

/// All that is open.
pub struct Ports {
    /// What the data-plane threads accept from.
    pub apis: Listeners,
    /// The public port, if one was asked for.
    pub public: Option<Listener>,
    /// The port for metrics, unless there is none.
    pub metrics: Option<Listener>,
}

impl Ports {
    /// Opens them.
    pub fn open(options: &SidecarOptions) -> Result<Self, BindError> {
        let apis = Listeners {
            internal: internal(options)?,
            grpc: api(options, "grpc", "--dapr-grpc-port", options.grpc_port)?,
            http: api(options, "http", "--dapr-http-port", options.http_port)?,
        };
        let public = match options.public_port {
            None => None,
            Some(port) => {
                let addresses = &options.public_listen_addresses;
                Some(Listener::bind("--dapr-public-port", addresses, port)?)
            }
        };
        let metrics = match &options.metrics {
            None => None,
            Some(MetricsPort { address, port }) => {
                let address: Vec<String> =
                    (!address.is_empty()).then(|| address.clone()).into_iter().collect();
                Some(Listener::bind("--metrics-port", &address, *port)?)
            }
        };
        Ok(Self { apis, public, metrics })
    }
}

/// Where an API's socket is, in the folder for sockets.
pub fn socket(folder: &Path, app_id: &str, protocol: &str) -> PathBuf {
    folder.join(format!("dapr-{app_id}-{protocol}.socket"))
}

fn api(
    options: &SidecarOptions,
    protocol: &str,
    flag: &'static str,
    port: u16,
) -> Result<Listener, BindError> {
    match &options.socket_folder {
        None => Listener::bind(flag, &options.listen_addresses, port),
        Some(folder) => {
            let path = socket(folder, &options.app_id, protocol);
            Listener::bind_file("--unix-domain-socket", &path)
        }
    }
}

/// Where this sidecar listens for others; nothing for all interfaces.
pub fn internal_address(options: &SidecarOptions) -> &str {
    let given = options.internal_grpc_listen_address.as_str();
    match options.internal_grpc_port {
        // Nobody can call a port that nobody chose, so that it need not be seen from outside.
        None if given.is_empty() => "127.0.0.1",
        None | Some(_) => given,
    }
}

fn internal(options: &SidecarOptions) -> Result<Listener, BindError> {
    let addresses = match internal_address(options) {
        "" => vec![],
        address => vec![address.to_owned()],
    };
    let port = options.internal_grpc_port.unwrap_or_default();
    Listener::bind("--dapr-internal-grpc-port", &addresses, port)
}
