//! Callers that leave: gRPC frames and HTTP bytes written by hand, because a client library would
//! end a call by its own clock and hide what the sidecar answers.

use std::{
    io::Write as _,
    net::{Shutdown, TcpStream},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::{body::Incoming, client::conn::http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use outrigger::proto::runtime::v1::{GetStateRequest, SaveStateRequest};
use prost::Message;
use serde_json::Value;
use tokio::task::JoinHandle;
use tonic::{Code, Status};

use crate::harness::{
    PATIENCE, canary,
    client::{STORE, block_on, item, spawn},
    sidecar::Sidecar,
};

/// How a caller stops waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leaves {
    /// By the deadline it gave.
    GrpcDeadline,
    /// It takes the call back.
    GrpcCancel,
    /// Its process is gone, and its connection with it.
    GrpcGone,
    /// It closes its connection.
    HttpDisconnect,
    /// Its connection ends without a word, as when its process is killed with bytes unread.
    HttpReset,
    /// It takes the call back over HTTP/2, on the HTTP port.
    Http2Cancel,
}

impl Leaves {
    pub const ALL: [Self; 6] = [
        Self::GrpcDeadline,
        Self::GrpcCancel,
        Self::GrpcGone,
        Self::HttpDisconnect,
        Self::HttpReset,
        Self::Http2Cancel,
    ];
}

/// The end of a gRPC call.
#[derive(Debug)]
pub struct Told {
    pub code: Code,
    pub message: String,
}

/// Who calls a sidecar.
pub struct Caller {
    grpc_port: u16,
    http_port: u16,
}

/// A call under way.
pub enum Call {
    Deadline(JoinHandle<Told>),
    Grpc(JoinHandle<Told>),
    GrpcGone(JoinHandle<Told>, TcpStream),
    Http(TcpStream),
    HttpReset(TcpStream),
    Http2(JoinHandle<()>),
}

/// What is asked of the sidecar, in both of its languages.
#[derive(Clone)]
pub struct Ask {
    /// The gRPC method and its framed message.
    method: &'static str,
    message: Bytes,
    /// The HTTP verb, what follows the store in the path, and the body.
    http: (&'static str, String, String),
}

impl Ask {
    pub fn new(
        method: &'static str,
        message: &impl Message,
        verb: &'static str,
        path: &str,
        body: &Value,
    ) -> Self {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        Self { method, message: framed(message), http: (verb, path.to_owned(), body) }
    }

    pub fn save(key: &str, value: &str) -> Self {
        let request = SaveStateRequest { store_name: STORE.into(), states: vec![item(key, value)] };
        Self::new("SaveState", &request, "POST", "", &save_body(key, value))
    }
}

impl Call {
    /// Leaves now.
    pub fn leave(self) {
        match self {
            Self::Deadline(task) | Self::Grpc(task) => {
                task.abort();
                let _ = block_on(task);
            }
            Self::GrpcGone(task, stream) => {
                // Before the client can say anything.
                stream.shutdown(Shutdown::Both).expect("an open connection");
                task.abort();
            }
            Self::Http(stream) => drop(stream),
            Self::HttpReset(stream) => {
                stream.set_nonblocking(true).expect("a socket");
                block_on(async {
                    let stream = tokio::net::TcpStream::from_std(stream).expect("a connection");
                    stream.set_zero_linger().expect("a socket");
                });
            }
            Self::Http2(task) => {
                task.abort();
                let _ = block_on(task);
            }
        }
    }

    /// Leaves after some time; who gave a deadline waits for the answer.
    #[track_caller]
    pub fn leave_after(self, time: Duration) -> Option<Told> {
        if let Self::Deadline(task) = self {
            let answer = block_on(async { tokio::time::timeout(PATIENCE, task).await });
            return Some(answer.expect("an answer in time").expect("the call was not aborted"));
        }
        std::thread::sleep(time);
        self.leave();
        None
    }
}

impl Caller {
    pub fn to(sidecar: &Sidecar) -> Self {
        Self { grpc_port: sidecar.grpc_port, http_port: sidecar.http_port }
    }

    /// Saves a value within `timeout`, as `grpc-timeout` writes it.
    pub fn save(&self, key: &str, value: &str, timeout: &str) -> Told {
        self.ask(Ask::save(key, value), timeout)
    }

    /// Reads a key within `timeout`.
    pub fn get(&self, key: &str, timeout: &str) -> Told {
        let request =
            GetStateRequest { store_name: STORE.into(), key: key.into(), ..Default::default() };
        let ask = Ask::new("GetState", &request, "GET", &format!("/{key}"), &Value::Null);
        self.ask(ask, timeout)
    }

    /// A sidecar that reads a deadline wrongly may answer after hours.
    #[track_caller]
    fn ask(&self, ask: Ask, timeout: &str) -> Told {
        let answer = call(connect(self.grpc_port), ask, timeout.to_owned());
        block_on(async { tokio::time::timeout(PATIENCE, answer).await }).expect("an answer in time")
    }

    /// Begins to save a value; `timeout` is for who leaves by it.
    pub fn begin(&self, leaves: Leaves, key: &str, value: &str, timeout: &str) -> Call {
        self.begin_to(leaves, Ask::save(key, value), timeout)
    }

    /// Begins to ask for something.
    pub fn begin_to(&self, leaves: Leaves, ask: Ask, timeout: &str) -> Call {
        let grpc = |ask, timeout: &str| {
            let stream = connect(self.grpc_port);
            let end = stream.try_clone().expect("a second handle of the connection");
            (spawn(call(stream, ask, timeout.to_owned())), end)
        };
        match leaves {
            Leaves::GrpcDeadline => Call::Deadline(grpc(ask, timeout).0),
            Leaves::GrpcCancel => Call::Grpc(grpc(ask, "").0),
            Leaves::GrpcGone => {
                let (task, end) = grpc(ask, "");
                Call::GrpcGone(task, end)
            }
            Leaves::HttpDisconnect => Call::Http(self.request(&ask.http, ask.http.2.len())),
            Leaves::HttpReset => Call::HttpReset(self.request(&ask.http, ask.http.2.len())),
            Leaves::Http2Cancel => Call::Http2(spawn(call_http2(connect(self.http_port), ask))),
        }
    }

    /// Sends half of the body of a save.
    pub fn begin_half_a_body(&self, key: &str, value: &str) -> TcpStream {
        let body = save_body(key, value).to_string();
        let half = body[..body.len() / 2].to_owned();
        self.request(&("POST", String::new(), half), body.len())
    }

    /// Sends a request whose body is announced to be of this length.
    fn request(&self, ask: &(&str, String, String), length: usize) -> TcpStream {
        let (verb, path, body) = ask;
        let mut stream = TcpStream::connect(("127.0.0.1", self.http_port)).expect("the HTTP port");
        let head = format!(
            "{verb} /v1.0/state/{STORE}{path} HTTP/1.1\r\nhost: x\r\ndapr-api-token: {}\r\n\
             content-type: application/json\r\ncontent-length: {length}\r\n\r\n",
            canary::TOKEN
        );
        stream.write_all(format!("{head}{body}").as_bytes()).expect("a connection");
        stream
    }
}

fn save_body(key: &str, value: &str) -> Value {
    serde_json::json!([{ "key": key, "value": value }])
}

fn framed(message: &impl Message) -> Bytes {
    let mut frame = vec![0];
    frame.extend(u32::try_from(message.encoded_len()).expect("a short message").to_be_bytes());
    message.encode(&mut frame).expect("a message");
    frame.into()
}

fn connect(port: u16) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", port)).expect("the gRPC port");
    stream.set_nonblocking(true).expect("a socket");
    stream
}

/// One call on a connection of its own. Dropped, it takes the call back.
async fn call(stream: TcpStream, ask: Ask, timeout: String) -> Told {
    let Ask { method, message, .. } = ask;
    let uri = format!("http://localhost/dapr.proto.runtime.v1.Dapr/{method}");
    let mut request = Request::post(uri)
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("dapr-api-token", canary::TOKEN);
    if !timeout.is_empty() {
        request = request.header("grpc-timeout", timeout);
    }
    let answer = send(stream, request.body(Full::new(message)).expect("a request")).await;
    let (head, body) = answer.into_parts();
    let body = body.collect().await.expect("a whole answer");
    let trailers = body.trailers();
    let status = Status::from_header_map(&head.headers)
        .or_else(|| trailers.and_then(Status::from_header_map))
        .expect("a status");
    Told { code: status.code(), message: status.message().to_owned() }
}

/// The same over HTTP/2 on the HTTP port; nobody waits for the answer.
async fn call_http2(stream: TcpStream, ask: Ask) {
    let (verb, path, body) = ask.http;
    let request = Request::builder()
        .method(verb)
        .uri(format!("http://localhost/v1.0/state/{STORE}{path}"))
        .header("content-type", "application/json")
        .header("dapr-api-token", canary::TOKEN);
    send(stream, request.body(Full::new(body.into())).expect("a request")).await;
}

/// Sends a request on a connection of its own, which speaks HTTP/2 from the start.
async fn send(stream: TcpStream, request: Request<Full<Bytes>>) -> Response<Incoming> {
    let stream = tokio::net::TcpStream::from_std(stream).expect("a connection");
    let (mut sender, connection) =
        http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.expect("HTTP/2");
    spawn(connection);
    sender.send_request(request).await.expect("answered")
}
