//! The port for metrics: every path of it answers with all of them, as daprd's does.

use std::{convert::Infallible, sync::Arc};

use axum::{body::Body, response::IntoResponse as _};
use http::{HeaderValue, Request, Response, header};
use hyper::{
    body::Incoming,
    service::{Service, service_fn},
};

use crate::metrics::{Registry, text};

const TEXT: HeaderValue = HeaderValue::from_static(text::CONTENT_TYPE);

/// Answers with what `registry` has at that moment.
pub fn metrics_service(
    registry: Arc<Registry>,
) -> impl Service<
    Request<Incoming>,
    Response = Response<Body>,
    Error = Infallible,
    Future: Send + 'static,
> + Clone
+ Send
+ 'static {
    service_fn(move |_request| {
        let registry = registry.clone();
        async move { Ok(([(header::CONTENT_TYPE, TEXT)], registry.render()).into_response()) }
    })
}
