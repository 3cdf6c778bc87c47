//! HTTP/1.1 on one kept connection.

use bytes::{Bytes, BytesMut};
use http::StatusCode;
use http_body_util::{BodyExt as _, Full};
use hyper::{body::Incoming, client::conn::http1};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::{
    failure::Failure,
    messages::{Expected, Request},
};

/// Sends one request after another.
pub type Sender = http1::SendRequest<Full<Bytes>>;

/// Makes a connection; nothing is written yet.
pub async fn open(stream: TcpStream) -> Result<Sender, Failure> {
    let (sender, connection) =
        http1::handshake(TokioIo::new(stream)).await.map_err(|_| Failure::NotConnected)?;
    tokio::spawn(connection);
    Ok(sender)
}

/// Makes one call and judges its answer.
pub async fn call(
    sender: &mut Sender,
    expected: &Expected,
    request: Request,
) -> Result<(), Failure> {
    let broken = |_: hyper::Error| Failure::BrokenOff;
    sender.ready().await.map_err(broken)?;
    let answer = sender.send_request(request.map(Full::new)).await.map_err(broken)?;
    let status = answer.status();
    let body = read(answer.into_body()).await.map_err(broken)?;
    let right = match expected {
        Expected::Nothing => StatusCode::NO_CONTENT,
        _ => StatusCode::OK,
    };
    if status != right {
        return Err(Failure::Http(status.as_u16()));
    }
    if expected.is_met_by_body(&body) { Ok(()) } else { Err(Failure::WrongContent) }
}

/// The body as a whole, copied only if it came in pieces.
async fn read(mut body: Incoming) -> Result<Bytes, hyper::Error> {
    let mut whole = Bytes::new();
    let mut pieces = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(piece) = frame?.into_data() else { continue };
        if whole.is_empty() && pieces.is_empty() {
            whole = piece;
        } else {
            pieces.extend_from_slice(&std::mem::take(&mut whole));
            pieces.extend_from_slice(&piece);
        }
    }
    Ok(if pieces.is_empty() { whole } else { pieces.freeze() })
}
