//! The smallest HTTP client: asks one path on a connection of its own, for probes that must not wait
//! for anything else.

use std::{
    io::{self, BufRead as _, BufReader, Write as _},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

/// How long an answer may take.
pub const LIMIT: Duration = Duration::from_secs(10);

/// The status a GET is answered with.
pub fn status_of(address: SocketAddr, path: &str) -> io::Result<u16> {
    let mut stream = TcpStream::connect_timeout(&address, LIMIT)?;
    stream.set_read_timeout(Some(LIMIT))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line)?;
    let status = line.split(' ').nth(1).and_then(|status| status.parse().ok());
    status.ok_or_else(|| io::Error::other(format!("no status in {line:?}")))
}

#[cfg(test)]
mod tests {
    use std::{io::Read as _, net::TcpListener, thread};

    use super::*;

    fn answering(answer: &'static str) -> SocketAddr {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
        let address = listener.local_addr().expect("an address");
        thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("a connection");
            // The whole of it: what is left unread would reset the connection.
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                stream.read_exact(&mut byte).expect("a request");
                request.extend(byte);
            }
            assert!(request.starts_with(b"GET /v1.0/healthz HTTP/1.1\r\n"));
            stream.write_all(answer.as_bytes()).expect("it reads");
        });
        address
    }

    #[test]
    fn the_status_is_read() {
        let address = answering("HTTP/1.1 204 No Content\r\n\r\n");
        assert_eq!(status_of(address, "/v1.0/healthz").expect("an answer"), 204);
        let address = answering("");
        assert!(status_of(address, "/v1.0/healthz").is_err());
    }
}
