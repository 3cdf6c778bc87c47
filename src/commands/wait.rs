//! Waiting for a sidecar on this machine to be ready for calls.

use std::{
    io::{self, Read as _, Write as _},
    net::{TcpStream, ToSocketAddrs as _},
    thread,
    time::Duration,
};

use tokio::time::Instant;

use super::complain;

const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(100);
const ANSWER_PATIENCE: Duration = Duration::from_millis(500);

/// Asks until the sidecar says it is ready, or for a minute. Whoever started this with daprd gets
/// no failure from it either way; what happened is said on standard error.
pub(super) fn wait(http_port: &str) {
    let url = format!("http://localhost:{http_port}/v1.0/healthz/outbound");
    complain(&format!("waiting for a sidecar at {url}"));
    match poll(http_port, PATIENCE) {
        Ok(()) => complain("the sidecar is ready"),
        Err(problem) => {
            complain(&format!("the sidecar is not ready after {PATIENCE:?}: {problem}"))
        }
    }
}

fn poll(http_port: &str, patience: Duration) -> Result<(), String> {
    let port = http_port.parse().map_err(|_| format!("{http_port} is no port"))?;
    let end = Instant::now() + patience;
    loop {
        let problem = match status(port) {
            Ok(204) => return Ok(()),
            Ok(status) => format!("it answers with status {status}"),
            Err(error) => error.to_string(),
        };
        if Instant::now() >= end {
            return Err(problem);
        }
        thread::sleep(PAUSE);
    }
}

fn status(port: u16) -> io::Result<u16> {
    let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for address in ("localhost", port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, ANSWER_PATIENCE) {
            Ok(stream) => return ask(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn ask(mut stream: TcpStream) -> io::Result<u16> {
    stream.set_read_timeout(Some(ANSWER_PATIENCE))?;
    stream.write_all(
        b"GET /v1.0/healthz/outbound HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    )?;
    // `HTTP/1.1 204`
    let mut begin = [0; 12];
    stream.read_exact(&mut begin)?;
    let status = std::str::from_utf8(&begin[9..]).ok().and_then(|digits| digits.parse().ok());
    status.ok_or_else(|| io::ErrorKind::InvalidData.into())
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read as _, Write as _},
        net::TcpListener,
        thread,
        time::Duration,
    };

    use super::poll;

    #[test]
    fn it_waits_until_the_sidecar_answers_204() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let sidecar = thread::spawn(move || {
            for status in ["500 Internal Server Error", "204 No Content"] {
                let (mut stream, _) = listener.accept().unwrap();
                let mut request = [0; 1024];
                let length = stream.read(&mut request).unwrap();
                assert!(request[..length].starts_with(b"GET /v1.0/healthz/outbound HTTP/1.1\r\n"));
                stream.write_all(format!("HTTP/1.1 {status}\r\n\r\n").as_bytes()).unwrap();
            }
        });
        poll(&port.to_string(), Duration::from_secs(30)).unwrap();
        sidecar.join().unwrap();
    }

    #[test]
    fn what_went_wrong_last_is_told() {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let problem = poll(&port.to_string(), Duration::from_millis(1)).unwrap_err();
        assert!(problem.contains("refused"), "{problem}");
        assert_eq!(poll("x", Duration::ZERO).unwrap_err(), "x is no port");
    }
}
