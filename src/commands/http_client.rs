//! One HTTP request to a sidecar of this machine.

use std::{
    io::{self, Read as _, Write as _},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream},
    time::Duration,
};

/// The longest answer that is read.
const LONGEST_ANSWER: u64 = 4 << 20;

/// What is asked.
pub(super) struct Request<'a> {
    pub(super) method: &'static str,
    pub(super) path: &'a str,
    /// The secret that the sidecar may want, if any.
    pub(super) token: Option<&'a str>,
    pub(super) body: &'a [u8],
}

impl<'a> Request<'a> {
    /// A GET without a token.
    pub(super) fn get(path: &'a str) -> Self {
        Self { method: "GET", path, token: None, body: &[] }
    }
}

/// What came back.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Vec<u8>,
}

/// Asks whoever listens on the port; each step may take as long as `patience`.
pub(super) fn send(port: u16, request: &Request<'_>, patience: Duration) -> io::Result<Answer> {
    let connect =
        |address: IpAddr| TcpStream::connect_timeout(&SocketAddr::new(address, port), patience);
    // Both by number: an image without a system has no names either.
    let stream = connect(Ipv4Addr::LOCALHOST.into())
        .or_else(|error| connect(Ipv6Addr::LOCALHOST.into()).map_err(|_| error))?;
    ask(stream, request, patience)
}

/// HTTP/1.0, so that the answer comes in one piece and ends with its connection.
fn ask(mut stream: TcpStream, request: &Request<'_>, patience: Duration) -> io::Result<Answer> {
    let Request { method, path, token, body } = request;
    stream.set_read_timeout(Some(patience))?;
    stream.set_write_timeout(Some(patience))?;
    let mut head = format!("{method} {path} HTTP/1.0\r\nHost: localhost\r\n");
    if let Some(token) = token {
        head.push_str(&format!("dapr-api-token: {token}\r\n"));
    }
    head.push_str(&format!("Content-Length: {}\r\n\r\n", body.len()));
    stream.write_all(&[head.as_bytes(), body].concat())?;
    let mut bytes = Vec::new();
    stream.take(LONGEST_ANSWER).read_to_end(&mut bytes)?;
    read(&bytes).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// `HTTP/1.1 204 No Content`, headers, an empty line, the body.
fn read(bytes: &[u8]) -> Option<Answer> {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    let status = std::str::from_utf8(bytes.get(9..12)?).ok()?.parse().ok()?;
    Some(Answer { status, body: bytes[end + 4..].to_vec() })
}
