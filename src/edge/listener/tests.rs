use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use bytes::Bytes;
use http_body_util::Full;
use hyper::service::service_fn;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::*;

const FLAG: &str = "--dapr-http-port";

fn loopback() -> Vec<String> {
    vec!["127.0.0.1".to_owned()]
}

#[test]
fn a_taken_port_is_an_error_that_names_the_flag_and_the_port() {
    let first = Listener::bind(FLAG, &loopback(), 0).unwrap();
    let error = Listener::bind(FLAG, &loopback(), first.port()).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "port {} is already in use on 127.0.0.1: stop what uses it, or choose another port with --dapr-http-port",
            first.port()
        )
    );
    let everywhere = Listener::bind(FLAG, &[], first.port()).unwrap_err();
    assert!(matches!(everywhere, BindError::Taken { .. }), "{everywhere}");
}

#[test]
fn what_is_no_address_of_this_machine_is_named() {
    for address in ["192.0.2.1", "not a host", "[::g]"] {
        let error = Listener::bind(FLAG, &[address.to_owned()], 0).unwrap_err();
        assert!(matches!(error, BindError::Address { .. }), "{error:?}");
        assert!(error.to_string().contains(address), "{error}");
    }
}

#[test]
fn without_addresses_both_families_are_served() {
    let listener = Listener::bind(FLAG, &[], 0).unwrap();
    std::net::TcpStream::connect(("127.0.0.1", listener.port())).unwrap();
    if std::net::TcpListener::bind("[::1]:0").is_ok() {
        std::net::TcpStream::connect(("::1", listener.port())).unwrap();
    }
}

#[test]
fn several_addresses_get_the_same_port() {
    let both = ["127.0.0.1".to_owned(), "127.0.0.2".to_owned()];
    let listener = Listener::bind(FLAG, &both, 0).unwrap();
    for address in &both {
        std::net::TcpStream::connect((address.as_str(), listener.port())).unwrap();
    }
}

#[test]
fn names_and_brackets_are_resolved() {
    for (address, expected) in
        [("localhost", "127.0.0.1:7"), ("[::1]", "[::1]:7"), ("::1", "[::1]:7")]
    {
        assert_eq!(resolve(address, 7).unwrap().to_string(), expected, "{address}");
    }
}

/// Serves a clone of `listener` on an own thread, answering with `name`, until `drain` is idle.
fn serve_on_thread(
    listener: &Listener,
    drain: &Drain,
    answered: &Arc<AtomicUsize>,
) -> std::thread::JoinHandle<()> {
    let (listener, drain) = (listener.try_clone().unwrap(), drain.clone());
    let answered = answered.clone();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let service = service_fn(move |_request| {
            answered.fetch_add(1, Ordering::SeqCst);
            async { Ok(Response::new(Full::new(Bytes::from_static(b"hello")))) }
        });
        runtime.block_on(async {
            serve(listener, Wire::http(4096, true), service, drain.clone(), Admission::default())
                .await
                .unwrap();
            drain.idle().await;
        });
    })
}

#[tokio::test]
async fn threads_share_one_port_and_end_together() {
    let listener = Listener::bind(FLAG, &loopback(), 0).unwrap();
    let address = ("127.0.0.1", listener.port());
    let drain = Drain::default();
    let counters = [Arc::default(), Arc::default()];
    let threads: Vec<_> =
        counters.iter().map(|counter| serve_on_thread(&listener, &drain, counter)).collect();
    drop(listener);
    let mut connections = Vec::new();
    for _ in 0..20 {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        let mut answer = [0; 15];
        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"HTTP/1.1 200 OK");
        connections.push(stream);
    }
    assert_eq!(counters.iter().map(|counter| counter.load(Ordering::SeqCst)).sum::<usize>(), 20);
    drain.begin();
    for thread in threads {
        tokio::task::spawn_blocking(|| thread.join().unwrap()).await.unwrap();
    }
    assert!(TcpStream::connect(address).await.is_err());
    // The idle connections were closed, not left hanging.
    let mut rest = Vec::new();
    connections.remove(0).read_to_end(&mut rest).await.unwrap();
}

#[test]
fn a_socket_file_is_replaced_when_stale_and_goes_with_its_last_listener() {
    const FLAG: &str = "--unix-domain-socket";
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("dapr-a-http.socket");
    // A listener of the standard library leaves its file behind, as a killed sidecar does.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    let first = Listener::bind_file(FLAG, &path).unwrap();
    let second = first.try_clone().unwrap();
    let taken = Listener::bind_file(FLAG, &path).unwrap_err();
    assert!(taken.to_string().contains("in use"), "{taken}");
    drop(first);
    std::os::unix::net::UnixStream::connect(&path).unwrap();
    drop(second);
    assert!(!path.exists());
}

#[test]
fn a_socket_file_of_somebody_else_stays() {
    const FLAG: &str = "--unix-domain-socket";
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("plain");
    std::fs::write(&path, "text").unwrap();
    let error = Listener::bind_file(FLAG, &path).unwrap_err();
    assert!(error.to_string().contains("no socket"), "{error}");
    std::fs::remove_file(&path).unwrap();

    let ours = Listener::bind_file(FLAG, &path).unwrap();
    std::fs::rename(&path, folder.path().join("kept")).unwrap();
    let successor = Listener::bind_file(FLAG, &path).unwrap();
    drop(ours);
    assert!(path.exists());
    drop(successor);
    let missing = Listener::bind_file(FLAG, &folder.path().join("no/where")).unwrap_err();
    assert!(missing.to_string().contains("no/where"), "{missing}");
}
