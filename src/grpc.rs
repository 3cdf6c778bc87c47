//! The gRPC edge: the service with everything that surrounds a call of it.
//!
//! From the outside in: what is no gRPC is turned away; the call is counted, its trace context noted,
//! the rules of access and its token looked at, its line logged; then its path leads to the service, to reflection, or to an answer that says why neither serves it.

pub mod access;
mod call_log;
pub mod dapr;
mod deadline;
pub mod limits;
pub mod metadata;
mod meter;
pub mod names;
pub mod refusal;
pub mod state;
pub mod status;
pub mod trace;

use std::{convert::Infallible, panic::AssertUnwindSafe, pin::pin, sync::Arc};

use futures_util::FutureExt as _;
use http::{Request, Response};
use hyper::{
    body::Incoming,
    service::{Service, service_fn},
};
use tokio::time::Instant;
use tonic::{
    Status, body::Body, codec::CompressionEncoding, codegen::Service as TowerService,
    service::Routes,
};

use crate::{
    edge::{
        access::Access,
        admission::{Admission, Load, Surplus},
        answer::{Answer, Ending},
        baggage::{self, BAGGAGE_HEADER},
        drain::Drain,
        token::{ApiToken, TOKEN_HEADER},
    },
    grpc::{
        call_log::Entry,
        deadline::{Deadline, Timely},
        limits::LimitedMessages,
        meter::Metered,
        names::Destination,
    },
    metrics::{
        grpc::{GrpcMeters, Messages, Rpc},
        refusals::{Protocol, Reason, Refusals},
    },
    proto::{
        DESCRIPTORS,
        runtime::v1::dapr_server::{Dapr, DaprServer},
    },
};

/// What surrounds every call.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    /// The largest request message in bytes; `None` when unlimited.
    pub max_message_size: Option<usize>,
    /// What callers must present, if anything.
    pub token: Option<ApiToken>,
    /// Whether trace context is read and given back: false with a sampling rate of 0.
    pub tracing: bool,
    /// Which RPCs are open; `None` for all.
    pub access: Option<Arc<Access>>,
    /// Whether calls have a line in the log.
    pub call_log: bool,
    /// What shutdown waits for.
    pub drain: Drain,
    /// What counts the calls; `None` counts none.
    pub meters: Option<Meters>,
    /// How much is taken on at once.
    pub admission: Admission,
}

/// What counts the calls of the gRPC API.
#[derive(Clone, Debug)]
pub struct Meters {
    /// Those that a handler answers.
    pub calls: Arc<GrpcMeters>,
    /// Those that were turned away.
    pub refusals: Arc<Refusals>,
}

/// What counts the calls of Dapr's service, with these latency buckets in milliseconds.
pub fn call_meters(latencies: &[u64]) -> Arc<GrpcMeters> {
    GrpcMeters::new(names::DAPR, names::methods(), latencies)
}

/// Why a call is turned away, and what it is told.
type Refused = (Reason, Status);

/// A request whose messages are not larger than allowed and come while their sender waits.
type Call = Request<LimitedMessages<Timely<Incoming>>>;

/// Generic over the server that tonic generates, so that no call of it is boxed once more.
struct Edge<S> {
    dapr: Option<S>,
    reflection: Option<Routes>,
    surroundings: Surroundings,
}

/// Serves `dapr` and reflection within `surroundings`.
pub fn service<D: Dapr>(
    dapr: D,
    surroundings: Surroundings,
) -> impl Service<
    Request<Incoming>,
    Response = Response<Answer<Metered>>,
    Error = Infallible,
    Future: Send + 'static,
> + Clone
+ Send
+ 'static {
    let dapr = DaprServer::new(dapr)
        .accept_compressed(CompressionEncoding::Gzip)
        .max_decoding_message_size(surroundings.max_message_size.unwrap_or(usize::MAX));
    let reflection = Some(reflection());
    serving(Edge { dapr: Some(dapr), reflection, surroundings })
}

/// Serves nothing: accepts connections, as other sidecars expect of the internal port, and tells
/// every call that it is not served.
pub fn internal_service(
    surroundings: Surroundings,
) -> impl Service<
    Request<Incoming>,
    Response = Response<Answer<Metered>>,
    Error = Infallible,
    Future: Send + 'static,
> + Clone
+ Send
+ 'static {
    serving(Edge::<Routes> { dapr: None, reflection: None, surroundings })
}

fn serving<S>(
    edge: Edge<S>,
) -> impl Service<
    Request<Incoming>,
    Response = Response<Answer<Metered>>,
    Error = Infallible,
    Future: Send + 'static,
> + Clone
+ Send
+ 'static
where
    S: TowerService<Call, Response = Response<Body>, Error = Infallible>,
    S: Clone + Send + Sync + 'static,
    S::Future: Send + 'static,
{
    let edge = Arc::new(edge);
    service_fn(move |request| {
        let edge = edge.clone();
        async move { Ok(edge.answer(request).await) }
    })
}

/// Reflection of what is served, of the details of its errors, and of itself, in both versions of
/// its protocol.
fn reflection() -> Routes {
    let builder = || {
        tonic_reflection::server::Builder::configure()
            .include_reflection_service(false)
            .register_encoded_file_descriptor_set(DESCRIPTORS)
            // With these a client can show the details of a refusal.
            .register_encoded_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(
                tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET,
            )
    };
    const SOUND: &str = "invariant: descriptors made by the build are sound";
    Routes::new(builder().build_v1().expect(SOUND))
        .add_service(builder().build_v1alpha().expect(SOUND))
        .prepare()
}

impl<S> Edge<S>
where
    S: TowerService<Call, Response = Response<Body>, Error = Infallible>,
    S: Clone + Send + Sync + 'static,
    S::Future: Send + 'static,
{
    async fn answer(&self, mut request: Request<Incoming>) -> Response<Answer<Metered>> {
        if let Some(answer) = refusal::not_grpc(&request) {
            return self.refused_at_once(answer);
        }
        match Deadline::from_headers(request.headers(), Instant::now()) {
            Ok(None) => {}
            Ok(Some(deadline)) => drop(request.extensions_mut().insert(deadline)),
            Err(error) => {
                return self.refused_at_once(refusal::malformed_timeout(&error));
            }
        }
        let around = &self.surroundings;
        let trace = around.tracing.then(|| trace::answer(request.headers()));
        let baggage = around.tracing.then(|| request.headers().get(BAGGAGE_HEADER).cloned());
        // A stream of reflection stays open for as long as its client likes, and nothing is lost
        // when it ends: it is no call that shutdown waits for.
        let destination = self.destination(request.uri().path());
        let call =
            (!matches!(destination, Destination::Reflection)).then(|| around.drain.enter_call());
        let load = around.admission.begin();
        let admitted = self.admit(destination, &request, &load);
        let counted = if admitted.is_ok() { self.count(destination) } else { None };
        let messages = counted.as_ref().map(Rpc::messages);
        let (mut response, load) = match admitted {
            Ok(()) => load.carry(pin!(self.logged(destination, request, messages.clone()))).await,
            Err((reason, refusal)) => {
                self.refuse(reason);
                (refusal.into_http(), load)
            }
        };
        if let Some(value) = trace {
            response.headers_mut().insert(trace::HEADER, value);
        }
        if let Some(value) = baggage.flatten() {
            response.headers_mut().insert(BAGGAGE_HEADER, value);
        }
        if let Some(counted) = counted {
            counted.answer(call_log::code(&response));
        }
        let ending = Ending { call, load: Some(load) };
        response.map(|body| Answer::new(Metered::new(body, messages), ending))
    }

    /// Tells what is no gRPC at all.
    fn refused_at_once(&self, answer: Response<Body>) -> Response<Answer<Metered>> {
        self.refuse(Reason::Protocol);
        answer.map(|body| Answer::new(Metered::new(body, None), Ending::default()))
    }

    /// Where a path leads on this port.
    fn destination(&self, path: &str) -> Destination {
        match names::destination(path) {
            Destination::Dapr(method) if self.dapr.is_none() => Destination::Unserved(method),
            Destination::Reflection if self.reflection.is_none() => Destination::Foreign,
            destination => destination,
        }
    }

    fn admit<B>(
        &self,
        destination: Destination,
        request: &Request<B>,
        load: &Load,
    ) -> Result<(), Refused> {
        let headers = request.headers();
        if let Some(access) = &self.surroundings.access
            && !access::permits(access, destination)
        {
            return Err((Reason::Access, refusal::closed()));
        }
        if let Some(token) = &self.surroundings.token {
            let presented = headers.get(TOKEN_HEADER).map(|value| value.as_bytes());
            token
                .check(presented)
                .map_err(|error| (Reason::Token, refusal::unauthenticated(error, headers)))?;
        }
        if self.surroundings.tracing
            && let Some(header) = headers.get(BAGGAGE_HEADER)
        {
            baggage::check(header.as_bytes())
                .map_err(|error| (Reason::Baggage, refusal::bad_baggage(error)))?;
        }
        refusal::check_encoding(headers).map_err(|refusal| (Reason::Protocol, refusal))?;
        if destination.is_exempt_from_limits() {
            return Ok(());
        }
        let overloaded = |limit| (Reason::Overload, refusal::overloaded(limit));
        if let Some(Surplus(limit)) = request.extensions().get() {
            return Err(overloaded(*limit));
        }
        load.enter().map_err(overloaded)
    }

    fn refuse(&self, reason: Reason) {
        if let Some(meters) = &self.surroundings.meters {
            meters.refusals.count(Protocol::Grpc, reason);
        }
    }

    /// Begins to count a call of one of the service's methods; others are turned away.
    fn count(&self, destination: Destination) -> Option<Rpc> {
        let meters = self.surroundings.meters.as_ref()?;
        match destination {
            Destination::Dapr(method) | Destination::Unserved(method) => meters.calls.begin(method),
            Destination::Reflection => None,
            Destination::Unknown | Destination::Foreign | Destination::Malformed => {
                self.refuse(Reason::Unserved);
                None
            }
        }
    }

    async fn logged(
        &self,
        destination: Destination,
        request: Request<Incoming>,
        messages: Option<Messages>,
    ) -> Response<Body> {
        if !self.surroundings.call_log {
            return self.dispatch(destination, request, messages).await;
        }
        let entry = Entry::begin(&request);
        let response = self.dispatch(destination, request, messages).await;
        entry.end(&response);
        response
    }

    async fn dispatch(
        &self,
        destination: Destination,
        request: Request<Incoming>,
        messages: Option<Messages>,
    ) -> Response<Body> {
        match (destination, &self.dapr, &self.reflection) {
            (Destination::Dapr(method), Some(dapr), _) => {
                self.call(method, dapr.clone(), request, messages).await
            }
            (Destination::Reflection, _, Some(reflection)) => {
                match reflection.clone().call(request).await {
                    Ok(response) => response,
                    Err(never) => match never {},
                }
            }
            (destination, _, _) => {
                let tracing = self.surroundings.tracing;
                refusal::not_served(destination, &request, tracing).into_http()
            }
        }
    }

    /// Runs a handler. Its panic costs this call and nothing else.
    async fn call(
        &self,
        method: &'static str,
        mut dapr: S,
        request: Request<Incoming>,
        messages: Option<Messages>,
    ) -> Response<Body> {
        let limit = self.surroundings.max_message_size;
        let compressed = request.headers().contains_key(refusal::ENCODING_HEADER);
        let deadline = request.extensions().get().copied();
        let request = request.map(|body| {
            LimitedMessages::new(Timely::new(body, deadline), limit).counted_by(messages)
        });
        match AssertUnwindSafe(dapr.call(request)).catch_unwind().await {
            Ok(Ok(response)) if compressed => limits::reword_decompression(response, limit),
            Ok(Ok(response)) => response,
            Ok(Err(never)) => match never {},
            Err(_panic) => {
                // What the panic says may quote the request.
                tracing::error!(target: "dapr.runtime", method, "The handler of {method} panicked; its call is lost");
                refusal::panicked(method).into_http()
            }
        }
    }
}

#[cfg(test)]
mod tests;
