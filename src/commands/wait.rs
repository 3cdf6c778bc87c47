//! Waiting for a sidecar on this machine to be ready for calls.

use std::{io, thread, time::Duration};

use tokio::time::Instant;

use super::{
    complain,
    http_client::{self, Request},
};

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
    let request = Request::get("/v1.0/healthz/outbound");
    http_client::send(port, &request, ANSWER_PATIENCE).map(|answer| answer.status)
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
                assert!(request[..length].starts_with(b"GET /v1.0/healthz/outbound HTTP/1.0\r\n"));
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
