//! The floors as processes: what they say, what they answer, what stands in Redis then.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    process::{Child, ChildStdout, Command, Stdio},
    thread,
    time::Duration,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use outrigger_floors::proto::{
    common::v1::StateItem,
    runtime::v1::{
        DeleteBulkStateRequest, DeleteStateRequest, ExecuteStateTransactionRequest,
        GetBulkStateRequest, GetMetadataRequest, GetStateRequest, SaveStateRequest,
        dapr_client::DaprClient,
    },
};
use redis::Commands as _;
use tonic::{Code, transport::Channel};

/// A child that does not outlive its test.
struct Process(Child);

impl Process {
    fn start(command: &mut Command) -> Self {
        Self(command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("it starts"))
    }

    fn output(&mut self) -> BufReader<ChildStdout> {
        BufReader::new(self.0.stdout.take().expect("its output"))
    }

    fn ends_well_on(&mut self, signal: Signal) {
        let id = i32::try_from(self.0.id()).expect("a process id");
        kill(Pid::from_raw(id), signal).expect("it lives");
        assert!(self.0.wait().expect("it ends").success());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts a floor and reads where it listens.
fn floor(words: &[&str]) -> (Process, String) {
    let mut floor = Process::start(Command::new(env!("CARGO_BIN_EXE_outrigger-floor")).args(words));
    let mut line = String::new();
    floor.output().read_line(&mut line).expect("a line");
    let address = line.trim_end().strip_prefix("listening on ").expect("where it listens");
    assert!(address.starts_with("127.0.0.1:"), "{address}");
    (floor, address.to_owned())
}

/// Starts a Redis that keeps nothing.
fn redis() -> (Process, String) {
    let free = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = free.local_addr().expect("an address").port().to_string();
    drop(free);
    let mut command = Command::new("redis-server");
    let mut server =
        Process::start(command.args(["--port", &port, "--save", "", "--bind", "127.0.0.1"]));
    let mut log = server.output().lines();
    assert!(
        log.any(|line| line.expect("a line").contains("Ready to accept connections")),
        "redis-server ended"
    );
    // Its log must be read, or it would stop to wait for that.
    thread::spawn(move || log.for_each(drop));
    (server, format!("127.0.0.1:{port}"))
}

async fn client(address: &str) -> DaprClient<Channel> {
    DaprClient::connect(format!("http://{address}")).await.expect("a floor")
}

fn item(key: &str, value: &'static str) -> StateItem {
    StateItem { key: key.to_owned(), value: value.into(), ..StateItem::default() }
}

fn save(states: Vec<StateItem>) -> SaveStateRequest {
    SaveStateRequest { states, ..SaveStateRequest::default() }
}

fn get(key: &str) -> GetStateRequest {
    GetStateRequest { key: key.to_owned(), ..GetStateRequest::default() }
}

fn get_all(keys: &[&str]) -> GetBulkStateRequest {
    let keys = keys.iter().map(|&key| key.to_owned()).collect();
    GetBulkStateRequest { keys, ..GetBulkStateRequest::default() }
}

#[tokio::test]
async fn plain_keeps_in_redis_what_is_saved_and_counts_its_versions() {
    let (_redis, redis) = redis();
    let (_floor, address) = floor(&["plain", "--redis", &redis]);
    let mut client = client(&address).await;
    let mut look = redis::Client::open(format!("redis://{redis}")).expect("a client");

    client.save_state(save(vec![item("a", "1"), item("b", "2")])).await.expect("saved");
    client.save_state(save(vec![item("a", "3")])).await.expect("saved");
    let stored: Vec<(String, String)> = look.hgetall("a").expect("a hash");
    assert_eq!(stored, [("data".into(), "3".into()), ("version".into(), "2".into())]);
    let scripts: String = redis::cmd("INFO").arg("commandstats").query(&mut look).expect("INFO");
    assert!(scripts.contains("cmdstat_evalsha:calls=3,"), "one for each item: {scripts}");

    let got = client.get_state(get("a")).await.expect("got").into_inner();
    assert_eq!((&got.data[..], &*got.etag), (&b"3"[..], "2"));
    let missing = client.get_state(get("none")).await.expect("got").into_inner();
    assert_eq!((missing.data.len(), missing.etag.len()), (0, 0));
    let got = client.get_bulk_state(get_all(&["b", "none", "a"])).await.expect("got").into_inner();
    let items: Vec<_> = got.items.iter().map(|it| (&*it.key, &it.data[..], &*it.etag)).collect();
    assert_eq!(items, [("b", &b"2"[..], "1"), ("none", b"", ""), ("a", b"3", "2")]);

    let delete = DeleteStateRequest { key: "a".to_owned(), ..DeleteStateRequest::default() };
    client.delete_state(delete).await.expect("deleted");
    let delete = DeleteBulkStateRequest { states: vec![item("b", "")], ..Default::default() };
    client.delete_bulk_state(delete).await.expect("deleted");
    assert_eq!(redis::cmd("DBSIZE").query::<u64>(&mut look).expect("DBSIZE"), 0);
}

#[tokio::test]
async fn what_redis_refuses_is_an_internal_error() {
    let (_redis, redis) = redis();
    let (_floor, address) = floor(&["plain", "--redis", &redis]);
    let mut client = client(&address).await;
    let mut look = redis::Client::open(format!("redis://{redis}")).expect("a client");
    let () = look.set("text", "no hash").expect("set");
    let refused = client.get_state(get("text")).await.expect_err("a wrong type");
    assert_eq!(refused.code(), Code::Internal);
    assert!(refused.message().contains("WRONGTYPE"), "{refused}");
    let refused = client.save_state(save(vec![item("text", "1")])).await.expect_err("the same");
    assert_eq!(refused.code(), Code::Internal);
    let transaction = ExecuteStateTransactionRequest::default();
    let refused = client.execute_state_transaction(transaction).await.expect_err("not served");
    assert_eq!(refused.code(), Code::Unimplemented);
}

#[tokio::test]
async fn echo_answers_values_of_the_size_asked_for() {
    let (mut floor, address) = floor(&["echo", "--value-bytes", "7"]);
    let mut client = client(&address).await;
    let got = client.get_state(get("a")).await.expect("got").into_inner();
    assert_eq!((&got.data[..], &*got.etag), (&b"\"xxxxx\""[..], "1"));
    let got = client.get_bulk_state(get_all(&["b", "a"])).await.expect("got").into_inner();
    let items: Vec<_> = got.items.iter().map(|it| (&*it.key, it.data.len())).collect();
    assert_eq!(items, [("b", 7), ("a", 7)]);
    client.save_state(save(vec![item("a", "1")])).await.expect("saved");
    client
        .execute_state_transaction(ExecuteStateTransactionRequest::default())
        .await
        .expect("done");
    let refused = client.get_metadata(GetMetadataRequest {}).await.expect_err("not served");
    assert_eq!(refused.code(), Code::Unimplemented);
    drop(client);
    floor.ends_well_on(Signal::SIGTERM);
}

/// What the server answers to this request, on a connection that ends with it.
fn exchange(address: &str, head: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("a floor");
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a socket");
    write!(
        stream,
        "{head} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it answers");
    answer
}

#[test]
fn http_answers_on_the_paths_of_the_api() {
    let (mut floor, address) = floor(&["http", "--value-bytes", "4"]);
    let got = exchange(&address, "GET /v1.0/state/any/key", "");
    assert!(got.starts_with("HTTP/1.1 200") && got.ends_with("\r\n\r\n\"xx\""), "{got}");
    assert!(got.contains("etag: \"1\"\r\n"), "{got}");
    // Longer than axum takes unless told to.
    let saved = exchange(&address, "POST /v1.0/state/any", &"x".repeat(3 << 20));
    assert!(saved.starts_with("HTTP/1.1 204"), "{saved}");
    let got = exchange(&address, "POST /v1.0/state/any/bulk", r#"{"keys":["a","b"]}"#);
    let items = r#"[{"key":"a","data":"xx","etag":"1"},{"key":"b","data":"xx","etag":"1"}]"#;
    assert!(got.ends_with(items), "{got}");
    let refused = exchange(&address, "POST /v1.0/state/any/bulk", "[]");
    assert!(refused.starts_with("HTTP/1.1 400"), "{refused}");
    for call in ["POST /v1.0/state/any/transaction", "DELETE /v1.0/state/any/key"] {
        let answer = exchange(&address, call, "");
        assert!(answer.starts_with("HTTP/1.1 204"), "{call}: {answer}");
    }
    floor.ends_well_on(Signal::SIGINT);
}

#[test]
fn without_a_redis_plain_says_so() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_outrigger-floor"));
    let output = command.args(["plain", "--redis", "127.0.0.1:1"]).output().expect("it runs");
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && output.stdout.is_empty());
    assert!(message.contains("127.0.0.1:1") && message.contains("refused"), "{message}");
}
