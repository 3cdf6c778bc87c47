//! axum with fixed answers on the paths of the HTTP API, over HTTP/1.1.

use std::{future::Future, io};

use axum::{
    Router,
    body::Body,
    extract::{DefaultBodyLimit, State},
    http::{Response, StatusCode, header},
    response::IntoResponse,
    routing::{get, post},
};
use bytes::Bytes;
use hyper::server::conn::http1;
use hyper_util::{rt::TokioIo, service::TowerToHyperService};
use serde::Deserialize;
use tokio::net::{TcpListener, TcpStream};

use crate::value;

const ETAG: &str = "\"1\"";

/// The keys of a bulk get.
#[derive(Deserialize)]
struct Keys<'a> {
    #[serde(borrow)]
    keys: Vec<&'a str>,
}

/// The routes, every key having a value of this many bytes.
pub fn router(value_bytes: usize) -> Router {
    Router::new()
        .route("/v1.0/state/{store}", post(save))
        .route("/v1.0/state/{store}/bulk", post(bulk))
        .route("/v1.0/state/{store}/transaction", post(save))
        .route("/v1.0/state/{store}/{key}", get(read).delete(save))
        .layer(DefaultBodyLimit::disable())
        .with_state(value(value_bytes))
}

async fn read(State(value): State<Bytes>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json"), (header::ETAG, ETAG)], value)
}

/// Takes the body as a whole and forgets it.
async fn save(_: Bytes) -> StatusCode {
    StatusCode::NO_CONTENT
}

async fn bulk(State(value): State<Bytes>, body: Bytes) -> Result<Response<Body>, StatusCode> {
    let Keys { keys } = serde_json::from_slice(&body).map_err(|_| StatusCode::BAD_REQUEST)?;
    let mut answer = Vec::with_capacity(keys.len() * (value.len() + 64));
    answer.push(b'[');
    for key in keys {
        if answer.len() > 1 {
            answer.push(b',');
        }
        answer.extend_from_slice(b"{\"key\":\"");
        answer.extend_from_slice(key.as_bytes());
        answer.extend_from_slice(b"\",\"data\":");
        answer.extend_from_slice(&value);
        answer.extend_from_slice(b",\"etag\":\"1\"}");
    }
    answer.push(b']');
    Ok(([(header::CONTENT_TYPE, "application/json")], answer).into_response())
}

/// Serves routes until `end` is there.
///
/// # Errors
///
/// The listener fails.
pub async fn serve(
    router: Router,
    listener: TcpListener,
    end: impl Future<Output = ()>,
) -> io::Result<()> {
    let mut end = std::pin::pin!(end);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = &mut end => return Ok(()),
        };
        let (stream, _) = accepted?;
        stream.set_nodelay(true)?;
        tokio::spawn(converse(stream, router.clone()));
    }
}

async fn converse(stream: TcpStream, router: Router) {
    let service = TowerToHyperService::new(router);
    // A client that breaks its connection off is no matter for a floor.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}
