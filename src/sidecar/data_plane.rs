//! One data-plane thread: a runtime, its own connections to the stores, both edges.

use std::{convert::Infallible, io, sync::Arc, thread::JoinHandle};

use ::http::{Request, Response};
use http_body::Body;
use hyper::{body::Incoming, service::Service};
use tokio::{
    runtime::Builder,
    sync::{oneshot, watch},
};

use crate::{
    api::{
        metadata::{Health, MetadataApi, ShutdownHandle},
        state::StateApi,
    },
    edge::{
        access::Access,
        admission::Admission,
        connection::Wire,
        drain::Drain,
        listener::{self, Listener},
        token::ApiToken,
    },
    grpc::{self, dapr::DaprService},
    http::{self, Unrouted, call_log::CallLog, cors::Cors, state::StateRoutes},
    metrics::Registry,
    sidecar::{announce::RUNTIME, meters::Meters, stores::Stores},
    timers::Keeper,
};

/// What every thread is given.
#[derive(Clone)]
pub struct Parts {
    /// The loaded stores.
    pub stores: Stores,
    /// What the sidecar says about itself.
    pub metadata: MetadataApi,
    /// Whether it is ready.
    pub health: Health,
    /// Where callers ask it to end.
    pub shutdown: ShutdownHandle,
    /// What shutdown waits for.
    pub drain: Drain,
    /// How much is taken on at once.
    pub admission: Admission,
    /// How many calls an HTTP/2 connection may carry at once.
    pub max_streams: u32,
    /// The largest head over gRPC in bytes.
    pub max_header_list_size: u32,
    /// The token that callers must present.
    pub token: Option<ApiToken>,
    /// The largest body and message in bytes.
    pub max_body_size: Option<usize>,
    /// How much of a request's head is read.
    pub read_buffer_size: usize,
    /// Whether trace context is echoed.
    pub tracing: bool,
    /// Whether HTTP/2 is spoken on the HTTP port.
    pub http2: bool,
    /// Which origins are let in.
    pub cors: Option<Cors>,
    /// Which calls have a line in the log; `None` for none.
    pub call_log: Option<CallLog>,
    /// Which routes are open.
    pub http_access: Arc<Access>,
    /// Which RPCs are; `None` for all.
    pub grpc_access: Option<Arc<Access>>,
    /// What is counted.
    pub meters: Meters,
}

/// The ports that are open, in one thread's hands.
pub struct Listeners {
    /// The gRPC API.
    pub grpc: Listener,
    /// The HTTP API.
    pub http: Listener,
    /// The port other sidecars would call.
    pub internal: Listener,
}

impl Listeners {
    /// The same ports for another thread.
    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(Self {
            grpc: self.grpc.try_clone()?,
            http: self.http.try_clone()?,
            internal: self.internal.try_clone()?,
        })
    }
}

/// A running thread. It ends when it is stopped or dropped, with whatever it still carries.
pub struct DataPlane {
    stop: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

impl DataPlane {
    /// Starts a thread that accepts from these ports; resolves once it does.
    pub async fn start(number: usize, listeners: Listeners, parts: Parts) -> io::Result<Self> {
        let (stop, stopped) = watch::channel(false);
        let (started, has_started) = oneshot::channel();
        let thread = std::thread::Builder::new()
            .name(format!("data-plane-{number}"))
            .spawn(move || run(number, listeners, &parts, stopped, started))?;
        let plane = Self { stop, thread: Some(thread) };
        has_started
            .await
            .map_err(|_| io::Error::other("a data-plane thread ended at its start"))??;
        Ok(plane)
    }
}

/// Serves on this thread until it is stopped.
fn run(
    number: usize,
    listeners: Listeners,
    parts: &Parts,
    mut stopped: watch::Receiver<bool>,
    started: oneshot::Sender<io::Result<()>>,
) {
    let made = Keeper::start(format!("timers-{number}"))
        .and_then(|timers| Ok((timers, Builder::new_current_thread().enable_all().build()?)));
    // The runtime is dropped before what keeps its timers, whatever happens.
    let (timers, runtime) = match made {
        Ok(made) => made,
        Err(error) => {
            let _ = started.send(Err(error));
            return;
        }
    };
    timers.keep_for_this_thread();
    runtime.block_on(async {
        serve(listeners, parts);
        let _ = started.send(Ok(()));
        // A dropped sender stops the thread as well.
        let _ = stopped.wait_for(|stopped| *stopped).await;
    });
}

impl Drop for DataPlane {
    fn drop(&mut self) {
        self.stop.send_replace(true);
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has nothing more to end.
            let _ = thread.join();
        }
    }
}

/// Begins to accept on every port; the tasks live as long as the runtime.
fn serve(listeners: Listeners, parts: &Parts) {
    let around = grpc::Surroundings {
        max_message_size: parts.max_body_size,
        token: parts.token.clone(),
        tracing: parts.tracing,
        access: parts.grpc_access.clone(),
        call_log: parts.call_log.is_some(),
        drain: parts.drain.clone(),
        admission: parts.admission.clone(),
        meters: Some(parts.meters.grpc()),
    };
    let state = parts.stores.connect();
    let dapr = DaprService::new(
        state.clone(),
        parts.metadata.clone(),
        parts.shutdown.clone(),
        parts.max_body_size,
    )
    .counting_errors(parts.meters.error_codes.clone());
    let wire = Wire::grpc(parts.max_header_list_size).with_streams(parts.max_streams);
    // Other sidecars know nothing of the application's token, and the rules are about the API.
    let internal = grpc::internal_service(grpc::Surroundings {
        token: None,
        access: None,
        call_log: false,
        meters: None,
        ..around.clone()
    });
    accept(listeners.internal, wire.clone(), internal, parts);
    accept(listeners.grpc, wire, grpc::service(dapr, around), parts);
    serve_http(listeners.http, state, parts);
}

fn serve_http(listener: Listener, state: StateApi, parts: &Parts) {
    let access = &parts.http_access;
    let app_id = parts.health.app_id().to_owned();
    let state = StateRoutes::new(state, app_id, parts.max_body_size, access);
    let others = http::sidecar_routes(sidecar(parts), access);
    let around = http::Surroundings {
        token: parts.token.clone(),
        cors: parts.cors.clone(),
        call_log: parts.call_log,
        unrouted: if http::access::permits_invocation(access) {
            Unrouted::Invocation
        } else {
            Unrouted::Nothing
        },
        ..surroundings(parts)
    };
    accept(listener, http_wire(parts), http::service(Some(state), others, around), parts);
}

/// Serves health and metadata on this thread, to everybody.
pub fn serve_public(listener: Listener, parts: &Parts) {
    let routes = http::public_routes(sidecar(parts), &parts.http_access);
    let around = http::Surroundings { unrouted: Unrouted::Nothing, ..surroundings(parts) };
    accept(listener, http_wire(parts), http::service(None, routes, around), parts);
}

/// Serves metrics on this thread, until its runtime ends: what happens while calls in flight are
/// waited for can still be read.
pub fn serve_metrics(listener: Listener, registry: Registry, read_buffer_size: usize) {
    let service = http::admin::metrics_service(Arc::new(registry));
    let wire = Wire::http(read_buffer_size, true);
    // Whoever watches is let in however much there is to do.
    serve_within(listener, wire, service, Drain::default(), Admission::default());
}

fn sidecar(parts: &Parts) -> http::Sidecar {
    http::Sidecar {
        metadata: parts.metadata.clone(),
        health: parts.health.clone(),
        shutdown: parts.shutdown.clone(),
        max_body_size: parts.max_body_size,
    }
}

/// What surrounds every HTTP call, on whichever port.
fn surroundings(parts: &Parts) -> http::Surroundings {
    http::Surroundings {
        read_buffer_size: parts.read_buffer_size,
        tracing: parts.tracing,
        drain: parts.drain.clone(),
        admission: parts.admission.clone(),
        meters: Some(parts.meters.http()),
        ..http::Surroundings::default()
    }
}

fn http_wire(parts: &Parts) -> Wire {
    Wire::http(parts.read_buffer_size, parts.http2).with_streams(parts.max_streams)
}

/// Runs an accept loop as a task.
fn accept<S, B>(listener: Listener, wire: Wire, service: S, parts: &Parts)
where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible>,
    S: Clone + Send + Sync + 'static,
    S::Future: Send + 'static,
    B: Body + Send + Unpin + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    serve_within(listener, wire, service, parts.drain.clone(), parts.admission.clone());
}

fn serve_within<S, B>(
    listener: Listener,
    wire: Wire,
    service: S,
    drain: Drain,
    admission: Admission,
) where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible>,
    S: Clone + Send + Sync + 'static,
    S::Future: Send + 'static,
    B: Body + Send + Unpin + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    tokio::spawn(async move {
        let served = listener::serve(listener, wire, service, drain, admission);
        if let Err(error) = served.await {
            tracing::error!(target: RUNTIME, "a port is not served by one of its threads: {error}");
        }
    });
}
