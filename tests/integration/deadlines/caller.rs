//! Callers that leave: gRPC frames and HTTP bytes written by hand, because a client library would
//! end a call by its own clock and hide what the sidecar answers.

use std::{
    io::Write as _,
    net::{Shutdown, TcpStream},
    time::Duration,
};

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use outrigger::proto::runtime::v1::{GetStateRequest, SaveStateRequest};
use prost::Message;
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
}

impl Leaves {
    pub const ALL: [Self; 4] =
        [Self::GrpcDeadline, Self::GrpcCancel, Self::GrpcGone, Self::HttpDisconnect];
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
        block_on(call(
            connect(self.grpc_port),
            "SaveState",
            framed(&save_request(key, value)),
            timeout.to_owned(),
        ))
    }

    /// Reads a key within `timeout`.
    pub fn get(&self, key: &str, timeout: &str) -> Told {
        let request =
            GetStateRequest { store_name: STORE.into(), key: key.into(), ..Default::default() };
        block_on(call(connect(self.grpc_port), "GetState", framed(&request), timeout.to_owned()))
    }

    /// Begins to save a value; `timeout` is for who leaves by it.
    pub fn begin(&self, leaves: Leaves, key: &str, value: &str, timeout: &str) -> Call {
        let message = framed(&save_request(key, value));
        let stream = connect(self.grpc_port);
        let end = stream.try_clone().expect("a second handle of the connection");
        let save = |timeout| call(stream, "SaveState", message, timeout);
        match leaves {
            Leaves::GrpcDeadline => Call::Deadline(spawn(save(timeout.to_owned()))),
            Leaves::GrpcCancel => Call::Grpc(spawn(save(String::new()))),
            Leaves::GrpcGone => Call::GrpcGone(spawn(save(String::new())), end),
            Leaves::HttpDisconnect => {
                let body = save_body(key, value);
                Call::Http(self.post(&body, body.len()))
            }
        }
    }

    /// Sends half of the body of a save.
    pub fn begin_half_a_body(&self, key: &str, value: &str) -> TcpStream {
        let body = save_body(key, value);
        self.post(&body[..body.len() / 2], body.len())
    }

    fn post(&self, body: &str, length: usize) -> TcpStream {
        let mut stream = TcpStream::connect(("127.0.0.1", self.http_port)).expect("the HTTP port");
        let head = format!(
            "POST /v1.0/state/{STORE} HTTP/1.1\r\nhost: x\r\ndapr-api-token: {}\r\n\
             content-type: application/json\r\ncontent-length: {length}\r\n\r\n",
            canary::TOKEN
        );
        stream.write_all(format!("{head}{body}").as_bytes()).expect("a connection");
        stream
    }
}

fn save_request(key: &str, value: &str) -> SaveStateRequest {
    SaveStateRequest { store_name: STORE.into(), states: vec![item(key, value)] }
}

fn save_body(key: &str, value: &str) -> String {
    serde_json::json!([{ "key": key, "value": value }]).to_string()
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
async fn call(stream: TcpStream, method: &'static str, message: Bytes, timeout: String) -> Told {
    let uri = format!("http://localhost/dapr.proto.runtime.v1.Dapr/{method}");
    let mut request = Request::post(uri)
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("dapr-api-token", canary::TOKEN);
    if !timeout.is_empty() {
        request = request.header("grpc-timeout", timeout);
    }
    let stream = tokio::net::TcpStream::from_std(stream).expect("a connection");
    let (mut sender, connection) =
        http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.expect("HTTP/2");
    spawn(connection);
    let body = Full::new(message);
    let answer =
        sender.send_request(request.body(body).expect("a request")).await.expect("answered");
    let (head, body) = answer.into_parts();
    let body = body.collect().await.expect("a whole answer");
    let trailers = body.trailers();
    let status = Status::from_header_map(&head.headers)
        .or_else(|| trailers.and_then(Status::from_header_map))
        .expect("a status");
    Told { code: status.code(), message: status.message().to_owned() }
}
