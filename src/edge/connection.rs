//! One client's connection: which protocol it speaks, within which limits, and how it ends.

use std::{
    convert::Infallible,
    future::poll_fn,
    io,
    pin::pin,
    sync::Arc,
    task::{Poll, Waker},
    time::Duration,
};

use bytes::Bytes;
use futures_util::TryFutureExt as _;
use http::{Request, Response};
use http_body::Body;
use hyper::{
    body::Incoming,
    server::conn::{http1, http2},
    service::{Service, service_fn},
};
use hyper_util::{rt::TokioExecutor, server::graceful::GracefulConnection};
use tokio::{io::AsyncReadExt as _, sync::Notify, task::coop::unconstrained};

use crate::{
    edge::{
        admission::{Place, Surplus},
        drain::{Drain, Held},
        limits::head_limit,
        socket::{ClientSocket, Phase},
        stream::Stream,
        timer::KeptTimer,
    },
    timers,
};

/// How many calls one HTTP/2 connection may carry at once unless told otherwise.
pub const DEFAULT_STREAMS: u32 = 1000;

/// The largest head over gRPC unless told otherwise. Dapr takes the bytes of `--read-buffer-size` for
/// kibibytes, and so lets each connection keep 4 MiB of a head.
pub const DEFAULT_HEADER_LIST_SIZE: u32 = 64 << 10;

/// When a silent HTTP/2 client is asked whether it lives, and how long it may take to answer. As
/// Dapr's gRPC server.
const PING_INTERVAL: Duration = Duration::from_secs(10);
const PING_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a client may take to send a request's head. As Dapr's HTTP server.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

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
        /// How many calls an HTTP/2 connection may carry at once.
        streams: u32,
    },
    /// gRPC: HTTP/2 by prior knowledge.
    Grpc {
        /// The largest head of a request in bytes, uncompressed.
        head_bytes: u32,
        /// How many calls a connection may carry at once.
        streams: u32,
    },
}

impl Wire {
    /// The HTTP port, with the value of `--read-buffer-size`, and with HTTP/2 if it is on.
    pub fn http(read_buffer_size: usize, http2: bool) -> Self {
        let head_bytes = head_limit(read_buffer_size).saturating_add(HEAD_MARGIN);
        let (head_timeout, streams) = (HEAD_TIMEOUT, DEFAULT_STREAMS);
        Self::Http { head_bytes, head_timeout, http2, streams }
    }

    /// The gRPC port, with the largest head in bytes.
    pub fn grpc(head_bytes: u32) -> Self {
        Self::Grpc { head_bytes, streams: DEFAULT_STREAMS }
    }

    /// The same with another number of calls that an HTTP/2 connection may carry at once.
    pub fn with_streams(mut self, number: u32) -> Self {
        let (Self::Http { streams, .. } | Self::Grpc { streams, .. }) = &mut self;
        *streams = number;
        self
    }
}

/// Serves one connection until its client leaves, or until `drain` has begun and its calls are
/// answered. One whose `place` is beyond the limit ends after its first answer.
pub async fn serve<S, B>(stream: Stream, wire: Wire, service: S, drain: Drain, place: Place)
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
    let Some(surplus) = place.surplus() else {
        speak(stream, wire, service, &drain, Stay::Long).await;
        return;
    };
    let answered = Arc::new(Notify::new());
    let service = telling(service, surplus, answered.clone());
    // However the client behaves, others wait for this place.
    let most = 2 * Place::SURPLUS_TIME;
    let spoken = speak(stream, wire, service, &drain, Stay::UntilAnswered(&answered));
    let _ = timers::timeout(most, spoken).await;
}

/// When a connection ends by itself.
enum Stay<'a> {
    Long,
    /// When this was told, or soon.
    UntilAnswered(&'a Notify),
}

impl Stay<'_> {
    async fn is_over(&self) {
        match self {
            Self::Long => std::future::pending().await,
            Self::UntilAnswered(answered) => {
                let _ = timers::timeout(Place::SURPLUS_TIME, answered.notified()).await;
            }
        }
    }
}

async fn speak<S, B>(stream: Stream, wire: Wire, service: S, drain: &Drain, stay: Stay<'_>)
where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible>,
    S: Send + 'static,
    S::Future: Send + 'static,
    B: Body + Send + Unpin + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let (head_bytes, head_timeout, expects, streams) = match wire {
        Wire::Grpc { head_bytes, streams } => {
            (head_bytes as usize, HEAD_TIMEOUT, Expects::Http2, streams)
        }
        Wire::Http { head_bytes, head_timeout, http2, streams } => {
            let expects = if http2 { Expects::Either } else { Expects::Http1 };
            (head_bytes, head_timeout, expects, streams)
        }
    };
    let greeted = match expects {
        Expects::Http1 => Some(Greeting { http2: false, stream, head_start: Bytes::new() }),
        Expects::Http2 | Expects::Either => greet(stream, head_timeout, drain).await,
    };
    let Some(Greeting { http2, stream, head_start }) = greeted else { return };
    // Who speaks something else to the gRPC port hears so in HTTP/2.
    if http2 || expects == Expects::Http2 {
        let socket = ClientSocket::new(stream, head_start);
        let head_bytes = u32::try_from(head_bytes).unwrap_or(u32::MAX);
        // As Dapr's servers: grpc-go gives an answer no date, net/http does.
        let with_date = expects != Expects::Http2;
        let connection = http2_builder(head_bytes, streams)
            .auto_date_header(with_date)
            .serve_connection(socket, service);
        drive(connection, drain, stay).await;
    } else {
        let phase = Phase::default();
        let socket =
            ClientSocket::new(stream, head_start).with_head_limit(head_timeout, phase.clone());
        let service = phased(service, phase);
        let keep_alive = matches!(stay, Stay::Long);
        let connection =
            http1_builder(head_bytes).keep_alive(keep_alive).serve_connection(socket, service);
        drive(connection, drain, stay).await;
    }
}

/// What a connection can begin with.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Expects {
    Http1,
    Http2,
    Either,
}

/// Marks every request with `surplus`, and tells when one has its answer.
fn telling<S, B>(
    service: S,
    surplus: Surplus,
    answered: Arc<Notify>,
) -> impl Service<Request<Incoming>, Response = Response<B>, Error = Infallible, Future: Send + 'static>
+ Send
+ 'static
where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible>,
    S: Send + 'static,
    S::Future: Send + 'static,
    B: Body + 'static,
{
    service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(surplus);
        let answer = service.call(request);
        let answered = answered.clone();
        async move {
            let answer = answer.await;
            answered.notify_one();
            answer
        }
    })
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
        let held = |response: Response<B>| response.map(|body| Held::new(body, Some(answering)));
        service.call(request).map_ok(held)
    })
}

fn http1_builder(head_bytes: usize) -> http1::Builder {
    let mut builder = http1::Builder::new();
    // `ClientSocket` has the clock. How many headers a request may have is left to hyper: it takes
    // 100 with room on its stack, and allocates and clears room for more for each request anew.
    builder.header_read_timeout(None).max_header_size(head_bytes);
    builder
}

fn http2_builder(head_bytes: u32, streams: u32) -> http2::Builder<TokioExecutor> {
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(KeptTimer)
        .max_concurrent_streams(streams)
        // A client that takes back many calls at once (a deadline they share) is no attacker.
        .max_pending_accept_reset_streams(streams as usize)
        .max_header_list_size(head_bytes)
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT);
    builder
}

async fn drive<C>(connection: C, drain: &Drain, stay: Stay<'_>)
where
    C: GracefulConnection<Error = hyper::Error>,
{
    let mut connection = pin!(connection);
    // Unconstrained: once it was looked at it has to listen, however much the task has done before.
    let mut over = pin!(unconstrained(async {
        tokio::select! {
            () = drain.begun() => {}
            () = stay.is_over() => {}
        }
    }));
    let lasts = matches!(stay, Stay::Long);
    let mut listening: Option<Waker> = None;
    let ended = poll_fn(|cx| {
        if let Poll::Ready(ended) = connection.as_mut().poll(cx) {
            return Poll::Ready(Some(ended));
        }
        // Looked at with each call of the connection, shutdown would cost every one of them.
        let is_heard = listening.as_ref().is_some_and(|waker| waker.will_wake(cx.waker()));
        if lasts && is_heard && !drain.has_begun() {
            return Poll::Pending;
        }
        listening = Some(cx.waker().clone());
        over.as_mut().poll(cx).map(|()| None)
    })
    .await;
    let ended = match ended {
        Some(ended) => ended,
        None => {
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
        greeted = timers::timeout(limit, read_greeting(&mut stream)) => greeted,
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
