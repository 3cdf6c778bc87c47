//! The HTTP edge: the routes with everything that surrounds a call of them.
//!
//! From the outside in: the call is counted, its path cleaned, its trace context and baggage
//! noted, it is counted for metrics, its origin looked at, its token checked, its line logged, its
//! panic contained; then the handler is found: of the state API here, of everything else by axum's
//! router. What no route matches is one and the same 404, whatever the method: in Dapr the rest of
//! the paths and methods belong to service invocation.

pub mod access;
pub mod admin;
pub mod call_log;
pub mod cors;
pub mod error;
pub mod go_json;
pub mod health;
pub mod metadata;
pub mod path;
pub mod state;
pub mod trace;
mod underway;

use std::{convert::Infallible, sync::Arc};

use axum::{Router, body::Body, response::IntoResponse as _};
use futures_util::FutureExt as _;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Version, header};
use http_body::Body as _;
use hyper::{
    body::Incoming,
    service::{Service, service_fn},
};
use tower::Service as _;

use crate::{
    api::metadata::{Health, MetadataApi, ShutdownHandle},
    edge::{
        access::Access,
        admission::{Admission, Load, Refusal, Surplus},
        answer::Answer,
        baggage::{self, BAGGAGE_HEADER, BaggageError},
        drain::Drain,
        limits::{head_limit, head_size},
        token::{ApiToken, TOKEN_HEADER},
        unread::{self, Lent},
    },
    http::{
        call_log::CallLog,
        cors::Cors,
        error::ErrorBody,
        state::StateRoutes,
        underway::{CLOSE, Handling, Noted, Underway},
    },
    metrics::{
        error_codes::{ErrorCode, ErrorCodes},
        http::{HttpMeters, InFlight},
        refusals::{Protocol, Reason, Refusals},
    },
};

/// The body of a request.
type Sent = Lent<Incoming>;

/// What the routes that every sidecar has are about.
#[derive(Clone)]
pub struct Sidecar {
    /// What the sidecar says about itself.
    pub metadata: MetadataApi,
    /// Whether it is ready.
    pub health: Health,
    /// Where a caller asks it to end.
    pub shutdown: ShutdownHandle,
    /// The largest body of a request in bytes; `None` when unlimited.
    pub max_body_size: Option<usize>,
}

/// What surrounds every call.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    /// What callers must present, if anything.
    pub token: Option<ApiToken>,
    /// The value of `--read-buffer-size`, which limits the head of a request.
    pub read_buffer_size: usize,
    /// Whether trace context is read and given back: false with a sampling rate of 0.
    pub tracing: bool,
    /// Which origins are let in; `None` says nothing about them.
    pub cors: Option<Cors>,
    /// Which calls have a line in the log; `None` for none.
    pub call_log: Option<CallLog>,
    /// What belongs to no route.
    pub unrouted: Unrouted,
    /// What shutdown waits for.
    pub drain: Drain,
    /// How much is taken on at once.
    pub admission: Admission,
    /// What counts the calls; `None` counts none.
    pub meters: Option<Meters>,
}

/// What counts the calls of the HTTP API.
#[derive(Clone, Debug)]
pub struct Meters {
    /// All of them.
    pub requests: Arc<HttpMeters>,
    /// Those that failed, where they are to be told by their codes.
    pub error_codes: Option<Arc<ErrorCodes>>,
    /// Those that were turned away.
    pub refusals: Arc<Refusals>,
}

/// What a path or a method belongs to that has no route.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unrouted {
    /// Service invocation, which misses the name of an application.
    #[default]
    Invocation,
    /// Nothing.
    Nothing,
}

struct Edge {
    state: Option<StateRoutes>,
    /// The rest of the routes.
    router: Router,
    surroundings: Surroundings,
}

/// The routes that every sidecar has, as far as `access` leaves them open; health always is.
pub fn sidecar_routes(sidecar: Sidecar, access: &Access) -> Router {
    health::routes(sidecar.health.clone()).merge(metadata::routes(sidecar, access))
}

/// Those of them that the public port has.
pub fn public_routes(sidecar: Sidecar, access: &Access) -> Router {
    health::routes(sidecar.health.clone()).merge(metadata::public_routes(sidecar, access))
}

/// Serves the routes of `state` and of `others`, and the 404 for everything else, within
/// `surroundings`.
pub fn service(
    state: Option<StateRoutes>,
    others: Router,
    surroundings: Surroundings,
) -> impl Service<
    Request<Incoming>,
    Response = Response<Answer<Body>>,
    Error = Infallible,
    Future: Send + 'static,
> + Clone
+ Send
+ 'static {
    let router = match surroundings.unrouted {
        Unrouted::Invocation => {
            others.method_not_allowed_fallback(async || no_app()).fallback(async || no_app())
        }
        Unrouted::Nothing => {
            let not_allowed = async || StatusCode::METHOD_NOT_ALLOWED;
            others.method_not_allowed_fallback(not_allowed).fallback(async || no_page())
        }
    };
    let edge = Arc::new(Edge { state, router, surroundings });
    service_fn(move |request| edge.begin(request).map(Ok))
}

/// What an answer repeats of its request.
#[derive(Default)]
struct Echoed {
    trace: Option<trace::Answer>,
    baggage: Option<HeaderValue>,
}

impl Echoed {
    fn write(self, headers: &mut HeaderMap) {
        if let Some(trace) = self.trace {
            trace.write(headers);
        }
        if let Some(baggage) = self.baggage {
            headers.insert(BAGGAGE_HEADER, baggage);
        }
    }
}

impl Edge {
    /// Does all that needs the request, up to calling a handler: a future that had it would have
    /// room for it in each of its layers, and is moved a few times before it is polled.
    fn begin(self: &Arc<Self>, request: Request<Incoming>) -> Underway {
        let call = self.surroundings.drain.enter_call();
        let load = self.surroundings.admission.begin();
        let (request, rest) = unread::lend(request);
        let mut noted = Noted::default();
        let handling = self.handle(request, &load, &mut noted);
        let edge = self.clone();
        Underway { edge, handling, noted, rest, call: Some(call), load: Some(load) }
    }

    fn handle(&self, mut request: Request<Sent>, load: &Load, noted: &mut Noted) -> Handling {
        if let Some(refusal) = self.clean(&mut request) {
            return Handling::Answered(Some(refusal));
        }
        noted.echoed = match self.echoed(&request) {
            Ok(echoed) => echoed,
            Err(error) => {
                self.refuse(Reason::Baggage);
                let text = format!("invalid baggage header: {error}\n");
                let refusal = error::plain_text(StatusCode::BAD_REQUEST, text);
                return Handling::Answered(Some(refusal));
            }
        };
        noted.counted = self.count(&request);
        noted.origin = self.origin(&request);
        let at_once = self.at_once(&request, load);
        if at_once.is_some() {
            return Handling::Answered(at_once);
        }
        noted.entry = self.surroundings.call_log.and_then(|log| log.begin(&request));
        self.route(request)
    }

    fn count(&self, request: &Request<Sent>) -> Option<InFlight> {
        let meters = self.surroundings.meters.as_ref()?;
        let bytes = request.body().size_hint().exact().unwrap_or(0);
        Some(meters.requests.begin(request.method().as_str(), request.uri().path(), bytes))
    }

    /// Counts the answer to what was begun to be counted.
    fn end(&self, counted: InFlight, response: &Response<Body>) {
        let Some(meters) = &self.surroundings.meters else { return };
        let bytes = response.body().size_hint().lower();
        meters.requests.answer(counted, response.status().as_u16(), bytes);
        if let (Some(codes), Some(code)) =
            (&meters.error_codes, response.extensions().get::<ErrorCode>())
        {
            codes.record(*code);
        }
    }

    /// Cleans the path, or answers a request that is none.
    fn clean(&self, request: &mut Request<Sent>) -> Option<Response<Body>> {
        let (reason, status) =
            if head_size(request) > head_limit(self.surroundings.read_buffer_size) {
                (Reason::Head, StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE)
            } else {
                match path::cleaned(request.uri()) {
                    Ok(None) => return None,
                    Ok(Some(uri)) => {
                        *request.uri_mut() = uri;
                        return None;
                    }
                    Err(path::BadEscape) => (Reason::Protocol, StatusCode::BAD_REQUEST),
                }
            };
        self.refuse(reason);
        Some(refused_by_server(status, request))
    }

    fn refuse(&self, reason: Reason) {
        if let Some(meters) = &self.surroundings.meters {
            meters.refusals.count(Protocol::Http, reason);
        }
    }

    fn echoed(&self, request: &Request<Sent>) -> Result<Echoed, BaggageError> {
        if !self.surroundings.tracing || health::is_health_path(request.uri().path()) {
            return Ok(Echoed::default());
        }
        let baggage = request.headers().get(BAGGAGE_HEADER).cloned();
        if let Some(header) = &baggage {
            baggage::check(header.as_bytes())?;
        }
        Ok(Echoed { trace: Some(trace::Answer::to(request.headers())), baggage })
    }

    fn origin(&self, request: &Request<Sent>) -> Option<Option<HeaderValue>> {
        let cors = self.surroundings.cors.as_ref().filter(|_| !Cors::is_preflight(request))?;
        Some(cors.let_in(request.headers()))
    }

    /// The answer to what no handler is asked.
    fn at_once(&self, request: &Request<Sent>, load: &Load) -> Option<Response<Body>> {
        if let Some(cors) = &self.surroundings.cors
            && Cors::is_preflight(request)
        {
            return Some(cors.preflight(request.headers()));
        }
        if !self.is_authenticated(request) {
            self.refuse(Reason::Token);
            let text = "invalid api token\n".to_owned();
            return Some(error::plain_text(StatusCode::UNAUTHORIZED, text));
        }
        if is_exempt_from_limits(request) {
            return None;
        }
        let_in(request, load).err().map(error::overloaded)
    }

    fn is_authenticated(&self, request: &Request<Sent>) -> bool {
        let Some(token) = &self.surroundings.token else { return true };
        let needs_none = request.method() == Method::GET
            && (request.uri().path() == health::PATH
                || request.uri().path() == health::OUTBOUND_PATH);
        let presented = request.headers().get(TOKEN_HEADER).map(HeaderValue::as_bytes);
        needs_none || token.check(presented).is_ok()
    }

    /// Calls the handler of the route that is meant.
    fn route(&self, request: Request<Sent>) -> Handling {
        if let Some(state) = &self.state
            && let Some(route) = state.find(&request)
        {
            return Handling::Handler(state.answer(route, request));
        }
        // The router would answer HEAD with the handlers of GET.
        if request.method() == Method::HEAD {
            return Handling::Answered(Some(match self.surroundings.unrouted {
                Unrouted::Invocation => no_app(),
                Unrouted::Nothing => no_page(),
            }));
        }
        // A router is always ready.
        let handler = self.router.clone().call(request.map(Body::new)).map(|answered| {
            let Ok(mut response) = answered;
            // The router lists a path's methods where the answer says that there is no path.
            response.headers_mut().remove(header::ALLOW);
            response
        });
        Handling::Handler(handler.boxed())
    }
}

/// Whether a call is let in however much there is to do: it waits for nothing, and whoever looks
/// after the sidecar needs it most then.
fn is_exempt_from_limits(request: &Request<Sent>) -> bool {
    let path = request.uri().path();
    match *request.method() {
        Method::GET => matches!(path, health::PATH | health::OUTBOUND_PATH | metadata::PATH),
        Method::POST => path == metadata::SHUTDOWN_PATH,
        _ => false,
    }
}

fn let_in(request: &Request<Sent>, load: &Load) -> Result<(), Refusal> {
    match request.extensions().get() {
        Some(Surplus(refusal)) => Err(*refusal),
        None => load.enter(),
    }
}

/// What every path and method hears that belongs to nothing.
fn no_page() -> Response<Body> {
    error::plain_text(StatusCode::NOT_FOUND, "404 page not found\n".to_owned())
}

/// What every path and method hears that belongs to service invocation.
fn no_app() -> Response<Body> {
    let message = "failed getting app id either from the URL path or the header dapr-app-id";
    ErrorBody::new("ERR_DIRECT_INVOKE", message).with_status(StatusCode::NOT_FOUND)
}

/// As Go's HTTP server answers, before anything else looks at the request.
fn refused_by_server(status: StatusCode, request: &Request<Sent>) -> Response<Body> {
    let text = [(header::CONTENT_TYPE, error::PLAIN_TEXT)];
    let mut response = (status, text, status.to_string()).into_response();
    if request.version() < Version::HTTP_2 {
        response.headers_mut().insert(header::CONNECTION, CLOSE);
    }
    response
}

#[cfg(test)]
mod tests;
