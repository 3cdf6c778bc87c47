//! Whether the sidecar is ready. A store that is down does not make it unready.

use axum::{Router, body::Body, extract::State, response::IntoResponse as _, routing::get};
use http::{Response, StatusCode, Uri};

use crate::{
    api::metadata::Health,
    http::{error::ErrorBody, path},
};

/// Whether everything is ready.
pub const PATH: &str = "/v1.0/healthz";

/// Whether the stores can be called; SDKs ask this before their first call.
pub const OUTBOUND_PATH: &str = "/v1.0/healthz/outbound";

/// The routes.
pub fn routes(health: Health) -> Router {
    Router::new()
        .route(PATH, get(everything))
        .route(OUTBOUND_PATH, get(outbound))
        .with_state(health)
}

/// Whether nobody traces calls of this path.
pub fn is_health_path(path: &str) -> bool {
    path.starts_with(PATH)
}

async fn everything(State(health): State<Health>, uri: Uri) -> Response<Body> {
    let targets = health.not_ready_targets();
    if !targets.is_empty() {
        let message = format!("dapr is not ready: [{}]", targets.join(" "));
        return unhealthy("ERR_HEALTH_NOT_READY", &message);
    }
    // Asked by name, a sidecar that took over another one's port says so.
    match path::query_value(uri.query().unwrap_or_default(), "appid") {
        Some(asked) if asked != health.app_id() => {
            unhealthy("ERR_HEALTH_APPID_NOT_MATCH", "dapr app-id does not match")
        }
        _ => StatusCode::NO_CONTENT.into_response(),
    }
}

async fn outbound(State(health): State<Health>) -> Response<Body> {
    if health.outbound_ready() {
        StatusCode::NO_CONTENT.into_response()
    } else {
        unhealthy("ERR_OUTBOUND_HEALTH_NOT_READY", "dapr outbound is not ready")
    }
}

fn unhealthy(code: &'static str, message: &str) -> Response<Body> {
    ErrorBody::new(code, message).with_status(StatusCode::INTERNAL_SERVER_ERROR)
}
