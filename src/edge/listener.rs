//! Binding a port or a socket once, and accepting from it on every data-plane thread.

mod unix;

use std::{
    convert::Infallible,
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, ToSocketAddrs as _},
    os::unix::net::UnixListener,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use futures_util::future::join_all;
use http::{Request, Response};
use http_body::Body;
use hyper::{body::Incoming, service::Service};
use socket2::{Domain, Protocol, TcpKeepalive, Type};
use unix::SocketFile;

use crate::{
    edge::{
        admission::Admission,
        connection::{self, Wire},
        drain::Drain,
        stream::Stream,
    },
    timers,
};

/// How many connections may wait to be accepted.
const BACKLOG: i32 = 1024;

/// When a silent client's machine is asked whether it is there, and how often again. As Go does.
const KEEPALIVE: Duration = Duration::from_secs(15);

/// How long accepting rests after an error such as "too many open files": first, and at most.
const FIRST_REST: Duration = Duration::from_millis(10);
const LONGEST_REST: Duration = Duration::from_secs(1);

/// Why a port could not be opened. `flag` is the one that chose the port.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Another process has it.
    #[error(
        "port {port} is already in use on {address}: stop what uses it, or choose another port with {flag}"
    )]
    Taken {
        /// The flag that chose the port.
        flag: &'static str,
        /// The port.
        port: u16,
        /// The address it was asked for on.
        address: String,
    },
    /// The address is not one, or not one of this machine.
    #[error("cannot listen on address {address:?} for {flag}: {source}")]
    Address {
        /// The flag that chose the port.
        flag: &'static str,
        /// The address as it was written.
        address: String,
        /// What the system said.
        source: io::Error,
    },
    /// A socket in the file system cannot be opened.
    #[error("cannot listen on socket {} ({flag}): {source}", path.display())]
    Socket {
        /// The flag that chose the socket.
        flag: &'static str,
        /// The socket's file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Anything else.
    #[error("cannot listen on port {port} of {address} ({flag}): {source}")]
    Other {
        /// The flag that chose the port.
        flag: &'static str,
        /// The port.
        port: u16,
        /// The address it was asked for on.
        address: String,
        /// What the system said.
        source: io::Error,
    },
}

/// A port that is open on one or more addresses, or a socket in the file system. Connections wait
/// in it until it is served.
#[derive(Debug)]
pub struct Listener {
    sockets: Vec<Socket>,
    port: u16,
    /// Goes with the last clone.
    file: Option<Arc<SocketFile>>,
}

#[derive(Debug)]
enum Socket {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Socket {
    fn try_clone(&self) -> io::Result<Self> {
        match self {
            Self::Tcp(socket) => socket.try_clone().map(Self::Tcp),
            Self::Unix(socket) => socket.try_clone().map(Self::Unix),
        }
    }
}

impl Listener {
    /// Opens `port` (0: any free one) on each of `addresses`; without addresses on all interfaces,
    /// IPv6 and IPv4. `flag` is named in errors.
    pub fn bind(flag: &'static str, addresses: &[String], port: u16) -> Result<Self, BindError> {
        if addresses.is_empty() {
            return bind_everywhere(flag, port);
        }
        let mut listener = Self { sockets: Vec::new(), port, file: None };
        for address in addresses {
            let to = resolve(address, listener.port).map_err(|source| BindError::Address {
                flag,
                address: address.clone(),
                source,
            })?;
            listener.add(flag, address, to)?;
        }
        Ok(listener)
    }

    /// Opens a socket in the file system, in place of one that nobody listens on. `flag` is named
    /// in errors.
    pub fn bind_file(flag: &'static str, path: &Path) -> Result<Self, BindError> {
        let (socket, file) = unix::open(path).map_err(|source| BindError::Socket {
            flag,
            path: path.to_owned(),
            source,
        })?;
        Ok(Self { sockets: vec![Socket::Unix(socket)], port: 0, file: Some(Arc::new(file)) })
    }

    /// The port, also where 0 was asked for; 0 for a socket in the file system.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The same open port for another thread.
    pub fn try_clone(&self) -> io::Result<Self> {
        let sockets = self.sockets.iter().map(Socket::try_clone).collect::<io::Result<_>>()?;
        Ok(Self { sockets, port: self.port, file: self.file.clone() })
    }

    fn add(&mut self, flag: &'static str, address: &str, to: SocketAddr) -> Result<(), BindError> {
        let socket = open(to).map_err(|source| describe(flag, address, to.port(), source))?;
        if self.port == 0 {
            // Further addresses get the port that the first one was given.
            self.port = socket
                .local_addr()
                .map_err(|source| describe(flag, address, to.port(), source))?
                .port();
        }
        self.sockets.push(Socket::Tcp(socket));
        Ok(())
    }
}

/// Accepts connections and serves them on this thread's runtime until `drain` begins. The
/// connections then go on as tasks of the runtime: see [`Drain::idle`].
pub async fn serve<S, B>(
    listener: Listener,
    wire: Wire,
    service: S,
    drain: Drain,
    admission: Admission,
) -> io::Result<()>
where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible>,
    S: Clone + Send + 'static,
    S::Future: Send + 'static,
    B: Body + Send + Unpin + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let Listener { sockets, file, port: _ } = listener;
    let sockets: Vec<_> = sockets.into_iter().map(Acceptor::new).collect::<io::Result<_>>()?;
    let accepting =
        sockets.into_iter().map(|socket| accept(socket, &wire, &service, &drain, &admission));
    join_all(accepting).await;
    drop(file);
    Ok(())
}

/// An open socket on a thread's runtime.
enum Acceptor {
    Tcp(tokio::net::TcpListener),
    Unix(tokio::net::UnixListener),
}

impl Acceptor {
    fn new(socket: Socket) -> io::Result<Self> {
        match socket {
            Socket::Tcp(socket) => tokio::net::TcpListener::from_std(socket).map(Self::Tcp),
            Socket::Unix(socket) => tokio::net::UnixListener::from_std(socket).map(Self::Unix),
        }
    }

    async fn accept(&self) -> io::Result<Stream> {
        match self {
            Self::Tcp(socket) => Ok(Stream::Tcp(socket.accept().await?.0)),
            Self::Unix(socket) => Ok(Stream::Unix(socket.accept().await?.0)),
        }
    }
}

async fn accept<S, B>(
    socket: Acceptor,
    wire: &Wire,
    service: &S,
    drain: &Drain,
    admission: &Admission,
) where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible>,
    S: Clone + Send + 'static,
    S::Future: Send + 'static,
    B: Body + Send + Unpin + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let mut rest = FIRST_REST;
    loop {
        let accepted = tokio::select! {
            accepted = socket.accept() => accepted,
            () = drain.begun() => return,
        };
        let error = match accepted {
            Ok(stream) => {
                rest = FIRST_REST;
                let place = tokio::select! {
                    place = admission.enter_connection() => place,
                    () = drain.begun() => return,
                };
                let (wire, service, drain) = (wire.clone(), service.clone(), drain.clone());
                tokio::spawn(connection::serve(stream, wire, service, drain, place));
                continue;
            }
            Err(error) => error,
        };
        if is_of_one_connection(&error) {
            continue;
        }
        if rest == FIRST_REST {
            tracing::warn!(target: "dapr.runtime", "Accepting connections failed, trying again: {error}");
        }
        tokio::select! {
            () = timers::sleep(rest) => {}
            () = drain.begun() => return,
        }
        rest = (rest * 2).min(LONGEST_REST);
    }
}

/// Whether the peer was gone before it was accepted, which says nothing about the next one.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::Interrupted
    )
}

fn bind_everywhere(flag: &'static str, port: u16) -> Result<Listener, BindError> {
    let mut listener = Listener { sockets: Vec::new(), port, file: None };
    match open(SocketAddr::from((Ipv6Addr::UNSPECIFIED, port))) {
        // A machine without IPv6.
        Err(error)
            if error.raw_os_error() == Some(nix::errno::Errno::EAFNOSUPPORT as i32)
                || error.kind() == io::ErrorKind::AddrNotAvailable =>
        {
            let to = SocketAddr::from((Ipv4Addr::UNSPECIFIED, port));
            listener.add(flag, "all interfaces", to)?;
        }
        Err(source) => return Err(describe(flag, "all interfaces", port, source)),
        Ok(socket) => {
            listener.port = socket
                .local_addr()
                .map_err(|source| describe(flag, "all interfaces", port, source))?
                .port();
            listener.sockets.push(Socket::Tcp(socket));
        }
    }
    Ok(listener)
}

/// Takes an IP address, with or without the brackets Dapr wants around IPv6, or a host's name; of
/// a name's addresses the first IPv4 one, as Go does.
fn resolve(address: &str, port: u16) -> io::Result<SocketAddr> {
    let bare = address.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    if let Ok(ip) = bare.unwrap_or(address).parse::<IpAddr>() {
        return Ok(SocketAddr::new(ip, port));
    }
    let all: Vec<SocketAddr> = (address, port).to_socket_addrs()?.collect();
    all.iter()
        .find(|one| one.is_ipv4())
        .or(all.first())
        .copied()
        .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "the name has no address"))
}

fn open(to: SocketAddr) -> io::Result<TcpListener> {
    let socket = socket2::Socket::new(Domain::for_address(to), Type::STREAM, Some(Protocol::TCP))?;
    // A restart must not wait for its predecessor's connections to be forgotten.
    socket.set_reuse_address(true)?;
    if to.ip() == Ipv6Addr::UNSPECIFIED {
        socket.set_only_v6(false)?;
    }
    // What is accepted inherits it: a client whose machine is gone does not keep its place.
    let keepalive = TcpKeepalive::new().with_time(KEEPALIVE).with_interval(KEEPALIVE);
    socket.set_tcp_keepalive(&keepalive)?;
    socket.set_nonblocking(true)?;
    socket.bind(&to.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

fn describe(flag: &'static str, address: &str, port: u16, source: io::Error) -> BindError {
    let address = address.to_owned();
    match source.kind() {
        io::ErrorKind::AddrInUse => BindError::Taken { flag, port, address },
        io::ErrorKind::AddrNotAvailable => BindError::Address { flag, address, source },
        _ => BindError::Other { flag, port, address, source },
    }
}

#[cfg(test)]
#[path = "listener/tests.rs"]
mod tests;
