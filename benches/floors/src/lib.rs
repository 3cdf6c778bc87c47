//! The floors: what the same messages cost without anything that makes a sidecar.
//!
//! | floor | what it is |
//! |---|---|
//! | [`echo`] | a bare tonic server with fixed answers |
//! | [`plain`] | tonic and fred, what anybody would write first: no policy, no metric, no limit |
//! | [`http`] | axum with fixed answers on the paths of the HTTP API |
//!
//! They run as the sidecar does: one thread, the same settings of the connections, the same
//! allocator and, in `make bench`, the same profile. Whoever gives the sidecar another allocator
//! gives it to `main.rs` here.

pub mod echo;
pub mod http;
pub mod plain;
pub mod proto;
mod unserved;

use std::{future::Future, net::SocketAddr};

use tokio::net::TcpListener;
use tonic::transport::server::TcpIncoming;

use proto::runtime::v1::dapr_server::{Dapr, DaprServer};

/// As many as the sidecar allows.
const MAX_STREAMS: u32 = 1000;

/// A listener on this port of 127.0.0.1, 0 being any, and where it listens.
///
/// # Errors
///
/// The port is taken or not allowed.
pub async fn listen(port: u16) -> std::io::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}

/// Serves the API until `end` is there; nobody's calls are waited for then.
///
/// # Errors
///
/// What tonic says about the listener.
pub async fn serve<D: Dapr>(
    service: D,
    listener: TcpListener,
    end: impl Future<Output = ()>,
) -> Result<(), tonic::transport::Error> {
    // The server's own setting of `tcp_nodelay` does not count for a listener that is handed in.
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    let server = tonic::transport::Server::builder()
        .max_concurrent_streams(MAX_STREAMS)
        .add_service(DaprServer::new(service))
        .serve_with_incoming(incoming);
    tokio::select! {
        served = server => served,
        () = end => Ok(()),
    }
}

/// What `echo` and `http` answer: a JSON string of this many bytes, quotes included, so that it is
/// a value for both protocols. The load generator saves the same.
#[must_use]
pub fn value(bytes: usize) -> bytes::Bytes {
    let mut value = vec![b'x'; bytes];
    if let [first, .., last] = value.as_mut_slice() {
        (*first, *last) = (b'"', b'"');
    }
    value.into()
}
