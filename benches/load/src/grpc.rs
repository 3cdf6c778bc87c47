//! gRPC on h2 itself: every layer above it would be paid for each call.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::{Buf as _, Bytes, BytesMut};
use h2::{Ping, RecvStream, client};
use http::HeaderMap;
use tokio::{net::TcpStream, time::timeout};

use crate::{
    failure::Failure,
    messages::{Expected, Request},
};

/// Wide enough that no answer ever waits for the client.
const WINDOW: u32 = 1 << 26;

/// How long a server may take to answer a new connection.
const PATIENCE: Duration = Duration::from_secs(10);
/// A byte that says whether the message is compressed, and its length.
const FRAME: usize = 5;

/// Starts calls on one connection.
#[derive(Clone, Debug)]
pub struct Sender {
    h2: client::SendRequest<Bytes>,
    open: Arc<AtomicBool>,
}

impl Sender {
    /// Whether the connection still lives.
    pub fn is_open(&self) -> bool {
        self.open.load(Ordering::Relaxed)
    }
}

/// Makes an HTTP/2 connection and waits until the server has answered on it.
pub async fn open(stream: TcpStream) -> Result<Sender, Failure> {
    let (h2, mut connection) = client::Builder::new()
        .initial_window_size(WINDOW)
        .initial_connection_window_size(WINDOW)
        .enable_push(false)
        .handshake(stream)
        .await
        .map_err(|_| Failure::NotConnected)?;
    let mut pings = connection.ping_pong().expect("invariant: it is asked for once");
    let open = Arc::new(AtomicBool::new(true));
    let lives = Arc::clone(&open);
    tokio::spawn(async move {
        let _ = connection.await;
        lives.store(false, Ordering::Relaxed);
    });
    let pong = timeout(PATIENCE, pings.ping(Ping::opaque())).await;
    pong.map_err(|_| Failure::NotConnected)?.map_err(|_| Failure::NotConnected)?;
    Ok(Sender { h2, open })
}

/// Makes one call and judges its answer.
pub async fn call(sender: Sender, expected: &Expected, request: Request) -> Result<(), Failure> {
    let broken = |_: h2::Error| Failure::BrokenOff;
    let (head, message) = request.into_parts();
    let mut h2 = sender.h2.ready().await.map_err(broken)?;
    let (answer, mut body) =
        h2.send_request(http::Request::from_parts(head, ()), false).map_err(broken)?;
    body.send_data(message, true).map_err(broken)?;
    let (head, mut body) = answer.await.map_err(broken)?.into_parts();
    if head.status != http::StatusCode::OK {
        return Err(Failure::Http(head.status.as_u16()));
    }
    let message = read(&mut body).await.map_err(broken)?;
    // An answer without a message has its trailers in its head.
    let status = match head.headers.get("grpc-status") {
        Some(_) => head.headers,
        None => body.trailers().await.map_err(broken)?.unwrap_or_default(),
    };
    judge(expected, &status, message)
}

/// The body as a whole, copied only if it came in pieces.
async fn read(body: &mut RecvStream) -> Result<Bytes, h2::Error> {
    let mut whole = Bytes::new();
    let mut pieces = BytesMut::new();
    while let Some(piece) = body.data().await {
        let piece = piece?;
        body.flow_control().release_capacity(piece.len())?;
        if whole.is_empty() && pieces.is_empty() {
            whole = piece;
        } else {
            pieces.extend_from_slice(&std::mem::take(&mut whole));
            pieces.extend_from_slice(&piece);
        }
    }
    Ok(if pieces.is_empty() { whole } else { pieces.freeze() })
}

fn judge(expected: &Expected, status: &HeaderMap, mut frame: Bytes) -> Result<(), Failure> {
    let code = status.get("grpc-status").and_then(|code| code.to_str().ok()?.parse().ok());
    match code {
        Some(0) => {}
        Some(code) => return Err(Failure::Grpc(code)),
        None => return Err(Failure::WrongContent),
    }
    if frame.len() < FRAME || frame.get_u8() != 0 || frame.get_u32() as usize != frame.len() {
        return Err(Failure::WrongContent);
    }
    if expected.is_met_by_message(frame) { Ok(()) } else { Err(Failure::WrongContent) }
}
