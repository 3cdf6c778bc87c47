//! The gRPC edge: the service with everything that surrounds a call of it.
//!
//! From the outside in: what is no gRPC is turned away; the call is counted, its trace context noted,
//! the rules of access and its token looked at, its line logged; then its path leads to the service,
//! to reflection, or to an answer that says why neither serves it.

pub mod access;
mod call_log;
pub(crate) mod codec;
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
mod underway;

use std::{convert::Infallible, future::ready, sync::Arc};

use futures_util::{FutureExt as _, future::Either};
use http::{Request, Response};
use hyper::{
    body::Incoming,
    service::{Service, service_fn},
};
use tokio::time::Instant;
use tonic::{
    Status, body::Body, codec::CompressionEncoding, codegen::Service as _, service::Routes,
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
        underway::{Handled, Handling, Underway},
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

/// What a request begins.
enum Begun {
    Call(Underway),
    /// No gRPC at all, and its answer.
    NoGrpc(Response<Body>),
}

/// Generic over what calls the server that tonic generates, so that no call of it is boxed once more.
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
    let dapr = move |call: Call| dapr.clone().call(call);
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
    serving(Edge::<fn(Call) -> Handled> { dapr: None, reflection: None, surroundings })
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
    S: Fn(Call) -> Handled + Send + Sync + 'static,
{
    let edge = Arc::new(edge);
    service_fn(move |request| match edge.begin(request) {
        Begun::Call(underway) => Either::Left(underway.map(Ok)),
        Begun::NoGrpc(answer) => {
            edge.refuse(Reason::Protocol);
            let answer =
                answer.map(|body| Answer::new(Metered::new(body, None), Ending::default()));
            Either::Right(ready(Ok(answer)))
        }
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

impl<S: Fn(Call) -> Handled> Edge<S> {
    /// Does all that needs the request, up to calling a handler: a future that had it would have
    /// room for it in each of its layers, and is moved a few times before it is polled.
    fn begin(&self, mut request: Request<Incoming>) -> Begun {
        if let Some(answer) = refusal::not_grpc(&request) {
            return Begun::NoGrpc(answer);
        }
        match Deadline::from_headers(request.headers(), Instant::now()) {
            Ok(None) => {}
            Ok(Some(deadline)) => drop(request.extensions_mut().insert(deadline)),
            Err(error) => return Begun::NoGrpc(refusal::malformed_timeout(&error)),
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
        let (counted, entry, handling) = match self.admit(destination, &request, &load) {
            Ok(()) => {
                let counted = self.count(destination);
                let entry = around.call_log.then(|| Entry::begin(&request));
                let messages = counted.as_ref().map(Rpc::messages);
                (counted, entry, self.dispatch(destination, request, messages))
            }
            Err((reason, refusal)) => {
                self.refuse(reason);
                (None, None, Handling::of(ready(Ok(refusal.into_http()))))
            }
        };
        Begun::Call(Underway {
            handling,
            entry,
            trace,
            baggage: baggage.flatten(),
            counted,
            call,
            load: Some(load),
        })
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

    fn dispatch(
        &self,
        destination: Destination,
        request: Request<Incoming>,
        messages: Option<Messages>,
    ) -> Handling {
        match (destination, &self.dapr, &self.reflection) {
            (Destination::Dapr(method), Some(dapr), _) => {
                self.call(method, dapr, request, messages)
            }
            (Destination::Reflection, _, Some(reflection)) => {
                Handling::of(reflection.clone().call(request))
            }
            (destination, _, _) => {
                let tracing = self.surroundings.tracing;
                let refusal = refusal::not_served(destination, &request, tracing);
                Handling::of(ready(Ok(refusal.into_http())))
            }
        }
    }

    fn call(
        &self,
        method: &'static str,
        dapr: &S,
        request: Request<Incoming>,
        messages: Option<Messages>,
    ) -> Handling {
        let limit = self.surroundings.max_message_size;
        let compressed = request.headers().contains_key(refusal::ENCODING_HEADER);
        let deadline = request.extensions().get().copied();
        let request = request.map(|body| {
            LimitedMessages::new(Timely::new(body, deadline), limit).counted_by(messages)
        });
        Handling::new(method, dapr(request), compressed.then_some(limit))
    }
}

#[cfg(test)]
mod tests;
