//! Asking a sidecar once whether it is ready, for containers' health checks.

use std::time::Duration;

use super::{
    ExitCode, FAILED, SUCCESS, complain,
    http_client::{self, Request},
};

/// Long enough for a busy machine, shorter than the patience of container engines.
const PATIENCE: Duration = Duration::from_secs(3);

/// Succeeds if the sidecar says that it is ready.
pub(super) fn health(http_port: u16) -> ExitCode {
    let problem = match http_client::send(http_port, &Request::get("/v1.0/healthz"), PATIENCE) {
        Ok(answer) if answer.status == 204 => return SUCCESS,
        Ok(answer) => String::from_utf8_lossy(&answer.body).trim().to_owned(),
        Err(error) => error.to_string(),
    };
    complain(&format!("the sidecar on port {http_port} is not ready: {problem}"));
    FAILED
}
