//! What is too much is refused at once, with its reason; the rest is done, and nothing is kept.

use std::{
    fs,
    io::{ErrorKind, Read as _, Write as _},
    net::TcpStream,
    thread,
    time::Duration,
};

use outrigger::proto::runtime::v1::GetStateRequest;
use tokio::time::Instant;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::harness::{
    canary::{self, key},
    client::{Client, STORE, block_on, spawn},
    eventually, eventually_some,
    proxy::{Mode, Proxy},
    redis::Redis,
    resources,
    sidecar::{APP_ID, Setup, Sidecar},
};

const MIB: usize = 1 << 20;

/// A sidecar whose store can be held up, for longer than a test takes.
fn start_behind(proxy: &Proxy, args: &[&str]) -> Sidecar {
    let host = format!("127.0.0.1:{}", proxy.port);
    let store = resources::component(&[
        ("redisHost", &host),
        ("redisPassword", canary::PASSWORD),
        ("readTimeout", "60s"),
        ("writeTimeout", "60s"),
    ]);
    let sidecar = Setup::default().resource("statestore.yaml", &store).args(args).start();
    sidecar.wait_until_connected();
    sidecar
}

/// What a raw HTTP/1.1 request is answered with, to the end of the connection or of the answer.
struct Raw {
    stream: TcpStream,
}

impl Raw {
    fn connect(port: u16) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).expect("a connection");
        stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a socket");
        Self { stream }
    }

    fn send(&mut self, method: &str, path: &str, length: usize, body: &[u8]) {
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: x\r\ndapr-api-token: {}\r\ncontent-length: {length}\r\n\r\n",
            canary::TOKEN
        );
        self.stream.write_all(head.as_bytes()).expect("it reads");
        // One that was refused may have closed.
        let _ = self.stream.write_all(body);
    }

    /// What has come until there is nothing more for now; empty if there was nothing.
    fn peek(&mut self) -> String {
        self.stream.set_nonblocking(true).expect("a socket");
        let mut bytes = vec![0; 4096];
        let length = match self.stream.peek(&mut bytes) {
            Ok(length) => length,
            Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
            Err(error) => panic!("{error}"),
        };
        self.stream.set_nonblocking(false).expect("a socket");
        String::from_utf8_lossy(&bytes[..length]).into_owned()
    }

    /// The head and what of the body came with it.
    #[track_caller]
    fn answer(&mut self) -> String {
        let mut text = String::new();
        let mut bytes = vec![0; 64 << 10];
        loop {
            let length = self.stream.read(&mut bytes).expect("an answer");
            text.push_str(&String::from_utf8_lossy(&bytes[..length]));
            let complete = text.split_once("\r\n\r\n").is_some_and(|(head, body)| {
                let announced = head.to_lowercase();
                let announced = announced.split("content-length: ").nth(1);
                let announced = announced.and_then(|rest| rest.lines().next()?.parse().ok());
                body.len() >= announced.unwrap_or(0)
            });
            if complete || length == 0 {
                return text;
            }
        }
    }
}

#[track_caller]
fn assert_refused_over_http(answer: &str, reason: &str, flag: &str) {
    assert!(answer.starts_with("HTTP/1.1 429 "), "{answer}");
    assert!(answer.contains("\r\nretry-after: 1\r\n"), "{answer}");
    assert!(answer.contains("\"errorCode\":\"ERR_OVERLOADED\""), "{answer}");
    assert!(answer.contains(&format!("\"reason\":\"{reason}\"")), "{answer}");
    assert!(answer.contains(flag), "{answer}");
    assert!(answer.contains("google.rpc.RetryInfo\",\"retry_delay\":\"1s\""), "{answer}");
}

#[track_caller]
fn assert_refused(status: &Status, reason: &str, flag: &str) {
    assert_eq!(status.code(), Code::ResourceExhausted, "{status:?}");
    assert!(status.message().contains(flag), "{status:?}");
    assert_eq!(status.metadata().get("retry-after").expect("retry-after"), "1");
    let info = status.get_details_error_info().expect("an ErrorInfo");
    assert_eq!((info.reason.as_str(), info.domain.as_str()), (reason, "dapr.io"));
    assert_eq!(info.metadata["flag"], flag);
    let retry = status.get_details_retry_info().expect("a RetryInfo");
    assert_eq!(retry.retry_delay, Some(Duration::from_secs(1)));
}

fn is_overload(status: &Status) -> bool {
    status.code() == Code::ResourceExhausted && status.message().contains("overloaded")
}

fn resident(sidecar: &Sidecar) -> usize {
    let status = fs::read_to_string(format!("/proc/{}/status", sidecar.process.pid()));
    let status = status.expect("a status");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("VmRSS");
    let kib = line.split_whitespace().nth(1).expect("a number");
    kib.parse::<usize>().expect("a number") << 10
}

const CALLS: &str = "OUTRIGGER_TOO_MANY_CALLS_IN_FLIGHT";
const BYTES: &str = "OUTRIGGER_TOO_MANY_BYTES_IN_FLIGHT";
const CONNECTIONS: &str = "OUTRIGGER_TOO_MANY_CONNECTIONS";

#[test]
fn calls_beyond_the_limit_are_refused_and_those_within_it_are_done() {
    let redis = Redis::start();
    let proxy = Proxy::to(redis.port);
    let sidecar = start_behind(&proxy, &["--max-calls-in-flight", "3"]);
    let client = sidecar.client();
    for round in 0..2 {
        proxy.set(Mode::Stall);
        let names: Vec<String> = (0..3).map(|number| key(&format!("{round}-{number}"))).collect();
        let saves: Vec<_> = names.iter().map(|name| client.start_save(name, "v")).collect();
        let status = eventually_some("three calls are in flight", || {
            let pending = client.start_save(&key("refused"), "v");
            // One that was let in stays; then it is taken back.
            for _ in 0..40 {
                if pending.is_answered() {
                    return pending.answer().err();
                }
                thread::sleep(Duration::from_millis(5));
            }
            pending.hang_up();
            None
        });
        assert_refused(&status, CALLS, "--max-calls-in-flight");
        let path = format!("/v1.0/state/{STORE}");
        let mut raw = Raw::connect(sidecar.http_port);
        raw.send("POST", &path, 2, b"[]");
        assert_refused_over_http(&raw.answer(), CALLS, "--max-calls-in-flight");
        raw.send("GET", &format!("{path}/x"), 0, b"");
        assert_refused_over_http(&raw.answer(), CALLS, "--max-calls-in-flight");
        for (path, status) in
            [("/v1.0/healthz", 204), ("/v1.0/healthz/outbound", 204), ("/v1.0/metadata", 200)]
        {
            assert_eq!(sidecar.http("GET", path, &[]).status, status, "{path} is exempt");
        }
        client.metadata();
        proxy.set(Mode::Pass(Duration::ZERO));
        for save in saves {
            save.answer().expect("it was let in");
        }
        for name in &names {
            assert_eq!(redis.field(&format!("{APP_ID}||{name}"), "data"), Some("v".to_owned()));
        }
        client.save(&key("after"), "v").expect("there is room again");
    }
    assert_eq!(redis.field(&format!("{APP_ID}||{}", key("refused")), "data"), None);
    sidecar.finish();
}

#[test]
fn half_sent_bodies_are_counted_and_refused_before_memory_grows() {
    const CLIENTS: usize = 150;
    let redis = Redis::start();
    let sidecar = Setup::default().redis(&redis).args(&["--max-bytes-in-flight", "16Mi"]).start();
    sidecar.wait_until_connected();
    let before = resident(&sidecar);
    let path = format!("/v1.0/state/{STORE}");
    let half = vec![b' '; MIB];
    let mut clients: Vec<Raw> = (0..CLIENTS).map(|_| Raw::connect(sidecar.http_port)).collect();
    for client in &mut clients {
        client.send("POST", &path, 2 * MIB, &half);
    }
    eventually("all but those that have room are refused", || {
        let refused = clients.iter_mut().filter_map(|client| {
            let text = client.peek();
            (!text.is_empty()).then(|| assert_refused_over_http(&text, BYTES, "--max-bytes"))
        });
        refused.count() >= CLIENTS - 16
    });
    let grown = resident(&sidecar).saturating_sub(before);
    // What is let in, and up to half a MiB that each connection has received: 91 MiB.
    assert!(grown < 100 * MIB, "{CLIENTS} MiB were sent, and {} MiB are kept", grown / MIB);
    assert_eq!(sidecar.http("GET", "/v1.0/healthz", &[]).status, 204);
    drop(clients);
    let client = sidecar.client();
    eventually("everything was given back", || {
        let saves: Vec<_> =
            (0..5).map(|_| client.start_save(&key("big"), vec![b'x'; 3 * MIB])).collect();
        saves.into_iter().filter_map(|save| save.answer().err()).all(|status| !is_overload(&status))
    });
    sidecar.finish();
}

#[test]
fn a_request_larger_than_all_the_room_passes_alone_and_is_refused_beside_another() {
    let redis = Redis::start();
    let sidecar = Setup::default().redis(&redis).args(&["--max-bytes-in-flight", "64Ki"]).start();
    sidecar.wait_until_connected();
    let client = sidecar.client();
    let value = vec![b'x'; 3 * MIB];
    client.save(&key("big"), value.clone()).expect("nothing else is in flight");
    assert_eq!(client.get(&key("big")).expect("the answer as well").data.len(), value.len());
    let path = format!("/v1.0/state/{STORE}");
    let mut other = Raw::connect(sidecar.http_port);
    other.send("POST", &path, 1000, b"[");
    let status = eventually_some("the other's byte is counted", || {
        client.save(&key("big"), value.clone()).err()
    });
    assert_refused(&status, BYTES, "--max-bytes-in-flight");
    let status = client.get(&key("big")).expect_err("there is no room for the answer");
    assert_refused(&status, BYTES, "--max-bytes-in-flight");
    client.save(&key("small"), "v").expect("there is room for small ones");
    other.stream.write_all(&[b' '; 998]).and_then(|()| other.stream.write_all(b"]")).expect("sent");
    assert!(other.answer().starts_with("HTTP/1.1 204 "));
    eventually("there is room for large ones again", || {
        client.save(&key("big"), value.clone()).is_ok()
    });
    sidecar.finish();
}

#[test]
fn answers_that_nobody_reads_are_counted_until_they_are_gone() {
    let redis = Redis::start();
    let sidecar = Setup::default().redis(&redis).args(&["--max-bytes-in-flight", "20Mi"]).start();
    sidecar.wait_until_connected();
    let stored = format!("{APP_ID}||{}", key("big"));
    let value = "x".repeat(8 * MIB);
    redis.query::<()>(&["HSET", &stored, "data", &value, "version", "1"]);
    let path = format!("/v1.0/state/{STORE}/{}", key("big"));
    let ask = || {
        let mut raw = Raw::connect(sidecar.http_port);
        raw.send("GET", &path, 0, b"");
        raw
    };
    let mut waiting: Vec<Raw> = Vec::new();
    let refused = eventually_some("the third is refused", || {
        let mut raw = ask();
        let text = eventually_some("an answer begins", || {
            Some(raw.peek()).filter(|text| text.contains("\r\n\r\n"))
        });
        if text.starts_with("HTTP/1.1 429") {
            return Some(text);
        }
        waiting.push(raw);
        None
    });
    assert_eq!(waiting.len(), 2, "two have room");
    assert_refused_over_http(&refused, BYTES, "--max-bytes-in-flight");
    drop(waiting);
    eventually("there is room again", || ask().answer().starts_with("HTTP/1.1 200"));
    sidecar.finish();
}

#[test]
fn connections_beyond_the_limit_are_answered_with_a_refusal_and_end() {
    let redis = Redis::start();
    let sidecar = Setup::default().redis(&redis).args(&["--max-connections", "3"]).start();
    let mut held: Vec<Client> = Vec::new();
    // Those that were opened to see whether it is ready are gone soon.
    let status = eventually_some("three are open", || {
        let client = sidecar.client();
        let answer = client.save(&key("k"), "v");
        held.push(client);
        answer.err().filter(is_overload)
    });
    assert_refused(&status, CONNECTIONS, "--max-connections");
    let mut raw = Raw::connect(sidecar.http_port);
    raw.send("GET", &format!("/v1.0/state/{STORE}/k"), 0, b"");
    let answer = raw.answer();
    assert_refused_over_http(&answer, CONNECTIONS, "--max-connections");
    assert!(answer.contains("\r\nconnection: close\r\n"), "{answer}");
    for path in ["/v1.0/healthz", "/v1.0/healthz/outbound"] {
        assert_eq!(sidecar.http("GET", path, &[]).status, 204, "{path} is exempt");
    }
    // Whoever says nothing does not keep others from being answered.
    let _silent: Vec<Raw> = (0..80).map(|_| Raw::connect(sidecar.http_port)).collect();
    eventually("health is answered beside silent connections", || {
        sidecar.http("GET", "/v1.0/healthz", &[]).status == 204
    });
    drop(held);
    eventually("there is room again", || sidecar.client().save(&key("k"), "v").is_ok());
    sidecar.finish();
}

/// The server's first SETTINGS, as numbers and values.
fn settings(port: u16) -> Vec<(u16, u32)> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("a connection");
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").expect("it reads");
    stream.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0]).expect("it reads");
    let mut head = [0; 9];
    stream.read_exact(&mut head).expect("a frame");
    assert_eq!(head[3], 4, "SETTINGS come first");
    let mut payload = vec![0; usize::from(u16::from_be_bytes([head[1], head[2]]))];
    stream.read_exact(&mut payload).expect("its payload");
    let setting = |bytes: &[u8]| {
        let number = u16::from_be_bytes([bytes[0], bytes[1]]);
        (number, u32::from_be_bytes([bytes[2], bytes[3], bytes[4], bytes[5]]))
    };
    payload.chunks_exact(6).map(setting).collect()
}

#[test]
fn clients_are_told_how_many_calls_and_how_large_heads_a_connection_takes() {
    const MAX_CONCURRENT_STREAMS: u16 = 3;
    const MAX_HEADER_LIST_SIZE: u16 = 6;
    let sidecar = Setup::default().start();
    let told = settings(sidecar.grpc_port);
    assert!(told.contains(&(MAX_CONCURRENT_STREAMS, 1000)), "{told:?}");
    assert!(told.contains(&(MAX_HEADER_LIST_SIZE, 64 << 10)), "{told:?}");
    assert!(settings(sidecar.http_port).contains(&(MAX_CONCURRENT_STREAMS, 1000)));
    sidecar.finish();
    let args = ["--max-streams-per-connection", "7", "--max-header-list-size", "12Ki"];
    let sidecar = Setup::default().args(&args).start();
    let told = settings(sidecar.grpc_port);
    assert!(told.contains(&(MAX_CONCURRENT_STREAMS, 7)), "{told:?}");
    assert!(told.contains(&(MAX_HEADER_LIST_SIZE, 12 << 10)), "{told:?}");
    assert!(settings(sidecar.http_port).contains(&(MAX_CONCURRENT_STREAMS, 7)));
    let client = sidecar.client();
    let ask = |length: usize| {
        let mut request = tonic::Request::new(GetStateRequest {
            store_name: "nope".into(),
            key: "k".into(),
            ..GetStateRequest::default()
        });
        let value = "x".repeat(length).parse().expect("a header's value");
        request.metadata_mut().insert("x-long", value);
        block_on(client.dapr.clone().get_state(request)).expect_err("no store").code()
    };
    assert_eq!(ask(9000), Code::FailedPrecondition, "it was let in");
    assert_ne!(ask(13_000), Code::FailedPrecondition, "it was not");
    assert_eq!(ask(9000), Code::FailedPrecondition, "nothing else came of it");
    sidecar.finish();
}

#[test]
fn more_than_the_store_can_do_is_refused_and_what_is_let_in_is_done() {
    const CALLERS: usize = 200;
    const EACH: usize = 10;
    let redis = Redis::start();
    let proxy = Proxy::to(redis.port);
    let sidecar = start_behind(&proxy, &["--max-calls-in-flight", "32"]);
    proxy.set(Mode::Pass(Duration::from_millis(20)));
    let client = sidecar.client();
    let callers: Vec<_> = (0..CALLERS)
        .map(|caller| {
            let client = client.clone();
            spawn(async move {
                let mut outcomes = Vec::new();
                for call in 0..EACH {
                    let name = key(&format!("{caller}-{call}"));
                    outcomes.push((name.clone(), client.clone().save_later(&name, "v").await));
                }
                outcomes
            })
        })
        .collect();
    let mut slowest = Duration::ZERO;
    while !callers.iter().all(tokio::task::JoinHandle::is_finished) {
        let asked = Instant::now();
        assert_eq!(sidecar.http("GET", "/v1.0/healthz", &[]).status, 204);
        slowest = slowest.max(asked.elapsed());
    }
    assert!(slowest < Duration::from_secs(5), "health took {slowest:?}");
    let (mut done, mut refused) = (0, 0);
    for caller in callers {
        for (name, outcome) in block_on(caller).expect("no panic") {
            let stored = redis.field(&format!("{APP_ID}||{name}"), "data");
            match outcome {
                Ok(()) => {
                    done += 1;
                    assert_eq!(stored.as_deref(), Some("v"), "{name} was answered as saved");
                }
                Err(status) => {
                    refused += 1;
                    assert_refused(&status, CALLS, "--max-calls-in-flight");
                    assert_eq!(stored, None, "{name} was refused");
                }
            }
        }
    }
    assert!(done >= 32 && refused > 0, "{done} done, {refused} refused");
    client.save(&key("after"), "v").expect("there is room again");
    sidecar.finish();
}

#[test]
fn as_many_calls_as_there_may_be_take_little_memory() {
    const MOST: usize = 1024;
    let redis = Redis::start();
    let proxy = Proxy::to(redis.port);
    let sidecar = start_behind(&proxy, &[]);
    let idle = resident(&sidecar);
    proxy.set(Mode::Stall);
    // Each carries 1000 calls.
    let clients: Vec<Client> = (0..2).map(|_| sidecar.client()).collect();
    let saves: Vec<_> = (0..MOST + 200)
        .map(|number| {
            clients[number % clients.len()].start_save(&key(&number.to_string()), vec![b'x'; 100])
        })
        .collect();
    eventually("those beyond the limit are refused", || {
        saves.iter().filter(|save| save.is_answered()).count() == 200
    });
    let grown = resident(&sidecar).saturating_sub(idle);
    assert!(grown < 72 * MIB, "{} KiB a call", (grown / MOST) >> 10);
    proxy.set(Mode::Pass(Duration::ZERO));
    let outcomes: Vec<_> = saves.into_iter().map(|save| save.answer()).collect();
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), MOST);
    assert!(outcomes.iter().filter_map(|outcome| outcome.as_ref().err()).all(is_overload));
    sidecar.finish();
}
