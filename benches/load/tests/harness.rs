//! Servers in this process, and the generator as a process of its own.

use std::{
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    process::{Command, Output},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use axum::Router;
use outrigger_floors::{echo::Echo, http};
use serde_json::Value;

/// Runs a server on a thread of its own until the test process ends.
fn serve<F: Future<Output = ()>>(
    server: impl FnOnce(tokio::net::TcpListener) -> F + Send + 'static,
) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.set_nonblocking(true).expect("a listener");
    let address = listener.local_addr().expect("an address");
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime").block_on(async {
            server(tokio::net::TcpListener::from_std(listener).expect("a listener")).await;
        });
    });
    address
}

/// The floor `echo`.
pub fn echo(value_bytes: usize) -> SocketAddr {
    serve(move |listener| async move {
        let served =
            outrigger_floors::serve(Echo::new(value_bytes), listener, std::future::pending());
        served.await.expect("the floor serves");
    })
}

/// Routes over HTTP/1.1.
pub fn routes(router: Router) -> SocketAddr {
    serve(move |listener| async move {
        http::serve(router, listener, std::future::pending()).await.expect("the floor serves");
    })
}

/// The floor `http`.
pub fn http_echo(value_bytes: usize) -> SocketAddr {
    routes(http::router(value_bytes))
}

fn load(address: &str, words: &str) -> Output {
    let mut load = Command::new(env!("CARGO_BIN_EXE_outrigger-load"));
    load.args(["--address", address]).args(words.split_whitespace());
    load.output().expect("the generator runs")
}

/// What it reports.
pub fn report(address: SocketAddr, words: &str) -> Value {
    let output = load(&address.to_string(), words);
    assert!(output.status.success(), "{words}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("one JSON object")
}

/// What it complains of.
pub fn complaint(address: &str, words: &str) -> String {
    let output = load(address, words);
    assert!(!output.status.success(), "{words}: {}", String::from_utf8_lossy(&output.stdout));
    assert!(output.stdout.is_empty());
    String::from_utf8(output.stderr).expect("UTF-8")
}

/// No frame that a client sends besides its requests is as long.
const PART_OF_A_REQUEST: usize = 64;

/// A proxy that breaks its first connection off once so many bytes went to the server: in the
/// midst of a request, so that there is a call to notice.
pub struct Proxy {
    /// Where it listens.
    pub address: SocketAddr,
    accepted: Arc<AtomicUsize>,
}

impl Proxy {
    /// Before this server.
    pub fn new(server: SocketAddr, first_breaks_after: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let accepted = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&accepted);
        thread::spawn(move || {
            for client in listener.incoming() {
                let client = client.expect("a connection");
                let first = count.fetch_add(1, Ordering::SeqCst) == 0;
                let limit = if first { first_breaks_after } else { usize::MAX };
                let server = TcpStream::connect(server).expect("the server listens");
                let (up, down) = (pair(&client, &server), pair(&server, &client));
                thread::spawn(move || copy(up, limit));
                thread::spawn(move || copy(down, usize::MAX));
            }
        });
        Self { address, accepted }
    }

    /// How many connections it had.
    pub fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }
}

fn pair(from: &TcpStream, to: &TcpStream) -> (TcpStream, TcpStream) {
    from.set_nodelay(true).expect("a socket");
    (from.try_clone().expect("a socket"), to.try_clone().expect("a socket"))
}

fn copy((mut from, mut to): (TcpStream, TcpStream), limit: usize) {
    let (mut copied, mut buffer) = (0, [0; 4096]);
    while let Ok(read @ 1..) = from.read(&mut buffer) {
        if copied >= limit && read >= PART_OF_A_REQUEST {
            break;
        }
        if to.write_all(&buffer[..read]).is_err() {
            break;
        }
        copied += read;
    }
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}
