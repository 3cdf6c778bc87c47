//! A line of the log for each call, where somebody asked for it. The path is in it, and so are the
//! keys that paths hold, unless URLs are to be obfuscated; never a query, a header's secret or a
//! body.

use axum::body::Body;
use http::{Method, Request, Response, header};
use http_body::Body as _;
use tokio::time::Instant;

use crate::http::{health, path, state::route::Route};

/// Which calls are told about, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallLog {
    /// Whether the route is named instead of the path.
    pub obfuscate_urls: bool,
    /// Whether calls of the health routes are left out.
    pub omit_health_checks: bool,
}

/// What stands in the place of a status where the caller left before there was one. No answer
/// carries it; readers of other servers' logs know it.
const CALLER_LEFT: u16 = 499;

/// A call under way that is told about at its end. Dropped before it was answered, it says that
/// the caller left.
pub(super) struct Entry {
    method: String,
    user_agent: Option<String>,
    begun: Instant,
    code: u16,
    size: u64,
}

impl CallLog {
    pub(super) fn begin<B>(self, request: &Request<B>) -> Option<Entry> {
        let (verb, path) = (request.method(), request.uri().path());
        if self.omit_health_checks && health::is_health_path(path) {
            return None;
        }
        let method = if self.obfuscate_urls {
            route_name(verb, path).to_owned()
        } else {
            format!("{verb} {}", path::unescaped(path))
        };
        let user_agent = request.headers().get(header::USER_AGENT);
        let user_agent =
            user_agent.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
        Some(Entry { method, user_agent, begun: Instant::now(), code: CALLER_LEFT, size: 0 })
    }
}

impl Entry {
    pub(super) fn end(mut self, response: &Response<Body>) {
        self.code = response.status().as_u16();
        self.size = response.body().size_hint().lower();
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let elapsed = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        tracing::info!(
            target: "dapr.runtime.http-info",
            method = self.method,
            code = self.code,
            duration = elapsed,
            size = self.size,
            useragent = self.user_agent,
            "HTTP API Called"
        );
    }
}

/// What Dapr calls the route of a path.
fn route_name(verb: &Method, path: &str) -> &'static str {
    if let Some(route) = Route::of(verb, path) {
        return route.dapr_name();
    }
    let segments: Vec<&str> = path.split('/').skip(1).collect();
    match segments.as_slice() {
        ["v1.0", "healthz"] if verb == Method::GET => "Healthz",
        ["v1.0", "healthz", "outbound"] if verb == Method::GET => "HealthzOutbound",
        ["v1.0", "metadata"] if verb == Method::GET => "GetMetadata",
        ["v1.0", "metadata", _] if verb == Method::PUT => "SetMetadata",
        ["v1.0", "shutdown"] if verb == Method::POST => "Shutdown",
        // Everything else belongs to service invocation.
        _ => "InvokeService",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_is_named_whatever_its_path_holds() {
        for (verb, path, expected) in [
            (Method::GET, "/v1.0/healthz", "Healthz"),
            (Method::GET, "/v1.0/healthz/outbound", "HealthzOutbound"),
            (Method::GET, "/v1.0/metadata", "GetMetadata"),
            (Method::PUT, "/v1.0/metadata/k", "SetMetadata"),
            (Method::POST, "/v1.0/shutdown", "Shutdown"),
            (Method::PUT, "/v1.0/state/s", "SaveState"),
            (Method::GET, "/v1.0/state/s/bulk", "GetState"),
            (Method::POST, "/v1.0/state/s/bulk", "GetBulkState"),
            (Method::POST, "/v1.0/state/s/transaction", "ExecuteStateTransaction"),
            (Method::DELETE, "/v1.0/state/s/k%2Fx", "DeleteState"),
            (Method::POST, "/v1.0-alpha1/state/s/query", "QueryStateAlpha1"),
            (Method::GET, "/v1.0/state/s", "InvokeService"),
            (Method::GET, "/", "InvokeService"),
        ] {
            assert_eq!(route_name(&verb, path), expected, "{verb} {path}");
        }
    }
}
