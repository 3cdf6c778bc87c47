//! One client's connection: which protocol it speaks, within which limits, and how it ends.

use std::{convert::Infallible, io, time::Duration};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use hyper::{
    body::Incoming,
    server::conn::{http1, http2},
    service::{Service, service_fn},
};
use hyper_util::{
    rt::{TokioExecutor, TokioTimer},
    server::graceful::GracefulConnection,
};
use tokio::io::AsyncReadExt as _;

use crate::edge::{
    drain::{Drain, Held},
    limits::head_limit,
    socket::{ClientSocket, Phase},
    stream::Stream,
};

/// How many calls one HTTP/2 connection may carry at once, and how many that its client took back
/// may wait to be noticed.
const MAX_STREAMS: u32 = 1000;

/// When a silent HTTP/2 client is asked whether it lives, and how long it may take to answer. As
/// Dapr's gRPC server.
const PING_INTERVAL: Duration = Duration::from_secs(10);
const PING_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a client may take to send a request's head. As Dapr's HTTP server.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// How many headers a request may have. daprd has no such limit, but the one on their bytes comes
/// first for all but the shortest; hyper's own is 100.
const MAX_HEADERS: usize = 1024;

/// How far a head may go past its limit and still be read, so that the handler can answer that it
/// is too large; hyper's own answer says nothing.
const HEAD_MARGIN: usize = 64 << 10;

/// What an HTTP/2 connection begins with.
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// What is spoken on a port.
#[derive(Clone, Debug)]
pub enum Wire {
    /// HTTP/1.1, and HTTP/2 by prior knowledge if it is on.
    Http {
        /// The largest head of a request in bytes that is read at all.
        head_bytes: usize,
        /// How long a client may take to send it.
        head_timeout: Duration,
        /// Whether HTTP/2 is spoken.
        http2: bool,
    },
    /// gRPC: HTTP/2 by prior knowledge.
    Grpc {
        /// The largest head of a request in bytes, uncompressed.
        head_bytes: u32,
    },
}

impl Wire {
    /// The HTTP port, with the value of `--read-buffer-size`, and with HTTP/2 if it is on.
    pub fn http(read_buffer_size: usize, http2: bool) -> Self {
        let head_bytes = head_limit(read_buffer_size).saturating_add(HEAD_MARGIN);
        Self::Http { head_bytes, head_timeout: HEAD_TIMEOUT, http2 }
    }

    /// The gRPC port, with the value of `--read-buffer-size`.
    pub fn grpc(read_buffer_size: usize) -> Self {
        // Dapr takes the bytes for kibibytes here, and what it lets through, we do.
        let head_bytes = u32::try_from(read_buffer_size.saturating_mul(1024)).unwrap_or(u32::MAX);
        Self::Grpc { head_bytes }
    }
}

/// Serves one connection until its client leaves, or until `drain` has begun and its calls are
/// answered.
pub async fn serve<S, B>(stream: Stream, wire: Wire, service: S, drain: Drain)
where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible>,
    S: Clone + Send + 'static,
    S::Future: Send + 'static,
    B: Body + Send + Unpin + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let _open = drain.enter_connection();
    if let Err(error) = stream.set_nodelay() {
        tracing::debug!(target: "dapr.runtime", "A connection was gone at once: {error}");
        return;
    }
    match wire {
        Wire::Grpc { head_bytes } => {
            let socket = ClientSocket::new(stream, Bytes::new());
            let connection = http2_builder(head_bytes).serve_connection(socket, service);
            drive(connection, &drain).await;
        }
        Wire::Http { head_bytes, head_timeout, http2 } => {
            let greeted = if http2 {
                greet(stream, head_timeout, &drain).await
            } else {
                Some(Greeting { http2, stream, head_start: Bytes::new() })
            };
            let Some(greeted) = greeted else { return };
            match greeted {
                Greeting { http2: true, stream, head_start } => {
                    let socket = ClientSocket::new(stream, head_start);
                    let head_bytes = u32::try_from(head_bytes).unwrap_or(u32::MAX);
                    let connection = http2_builder(head_bytes).serve_connection(socket, service);
                    drive(connection, &drain).await;
                }
                Greeting { http2: false, stream, head_start } => {
                    let phase = Phase::default();
                    let socket = ClientSocket::new(stream, head_start)
                        .with_head_limit(head_timeout, phase.clone());
                    let service = phased(service, phase);
                    let connection = http1_builder(head_bytes).serve_connection(socket, service);
                    drive(connection, &drain).await;
                }
            }
        }
    }
}

/// Tells `phase` when a request is being answered.
fn phased<S, B>(
    service: S,
    phase: Phase,
) -> impl Service<
    Request<Incoming>,
    Response = Response<impl Body<Data = B::Data, Error = B::Error> + Send + 'static>,
    Error = Infallible,
    Future: Send,
>
where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible>,
    S::Future: Send + 'static,
    B: Body + Send + Unpin + 'static,
{
    service_fn(move |request| {
        let answering = phase.answering();
        let answer = service.call(request);
        async move { Ok(answer.await?.map(|body| Held::new(body, Some(answering)))) }
    })
}

fn http1_builder(head_bytes: usize) -> http1::Builder {
    let mut builder = http1::Builder::new();
    // `ClientSocket` has the clock.
    builder.header_read_timeout(None).max_header_size(head_bytes).max_headers(MAX_HEADERS);
    builder
}

fn http2_builder(head_bytes: u32) -> http2::Builder<TokioExecutor> {
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        // A client that takes back many calls at once (a deadline they share) is no attacker.
        .max_pending_accept_reset_streams(MAX_STREAMS as usize)
        .max_header_list_size(head_bytes)
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT);
    builder
}

async fn drive<C>(connection: C, drain: &Drain)
where
    C: GracefulConnection<Error = hyper::Error>,
{
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = drain.begun() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(target: "dapr.runtime", "A connection ended early: {error}");
    }
}

/// A connection whose protocol is known.
struct Greeting {
    http2: bool,
    stream: Stream,
    head_start: Bytes,
}

/// Reads until it is clear what the client speaks; `None` if it left, said nothing in time, or
/// shutdown began.
async fn greet(mut stream: Stream, limit: Duration, drain: &Drain) -> Option<Greeting> {
    let greeted = tokio::select! {
        greeted = tokio::time::timeout(limit, read_greeting(&mut stream)) => greeted,
        () = drain.begun() => return None,
    };
    let (http2, head_start) = greeted.ok()?.ok()??;
    Some(Greeting { http2, stream, head_start })
}

async fn read_greeting(stream: &mut Stream) -> io::Result<Option<(bool, Bytes)>> {
    let mut bytes = [0; PREFACE.len()];
    let mut length = 0;
    loop {
        let read = stream.read(&mut bytes[length..]).await?;
        if read == 0 {
            return Ok(None);
        }
        length += read;
        let so_far = &bytes[..length];
        if !PREFACE.starts_with(so_far) {
            return Ok(Some((false, Bytes::copy_from_slice(so_far))));
        }
        if length == PREFACE.len() {
            return Ok(Some((true, Bytes::copy_from_slice(so_far))));
        }
    }
}
