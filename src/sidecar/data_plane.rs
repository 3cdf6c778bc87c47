//! One data-plane thread: a runtime, its own connections to the stores, both edges.

use std::{io, thread::JoinHandle};

use tokio::sync::{oneshot, watch};

use crate::{
    api::metadata::{Health, MetadataApi, ShutdownHandle},
    edge::{
        connection::Wire,
        drain::Drain,
        listener::{self, Listener},
        token::ApiToken,
    },
    grpc::{self, dapr::DaprService},
    http,
    sidecar::{announce::RUNTIME, stores::Stores},
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
    /// The token that callers must present.
    pub token: Option<ApiToken>,
    /// The largest body and message in bytes.
    pub max_body_size: Option<usize>,
    /// How much of a request's head is read.
    pub read_buffer_size: usize,
    /// Whether trace context is echoed.
    pub tracing: bool,
}

/// The ports that are open, in one thread's hands.
pub struct Listeners {
    /// The gRPC API.
    pub grpc: Listener,
    /// The HTTP API.
    pub http: Listener,
    /// The port other sidecars would call, if one was asked for.
    pub internal: Option<Listener>,
}

impl Listeners {
    /// The same ports for another thread.
    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(Self {
            grpc: self.grpc.try_clone()?,
            http: self.http.try_clone()?,
            internal: self.internal.as_ref().map(Listener::try_clone).transpose()?,
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
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (stop, mut stopped) = watch::channel(false);
        let (started, has_started) = oneshot::channel();
        let thread =
            std::thread::Builder::new().name(format!("data-plane-{number}")).spawn(move || {
                runtime.block_on(async {
                    serve(listeners, &parts);
                    let _ = started.send(());
                    // A dropped sender stops the thread as well.
                    let _ = stopped.wait_for(|stopped| *stopped).await;
                });
            })?;
        let plane = Self { stop, thread: Some(thread) };
        has_started
            .await
            .map_err(|_| io::Error::other("a data-plane thread ended at its start"))?;
        Ok(plane)
    }
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
        drain: parts.drain.clone(),
    };
    let state = parts.stores.connect();
    let dapr = DaprService::new(
        state.clone(),
        parts.metadata.clone(),
        parts.shutdown.clone(),
        parts.max_body_size,
    );
    let wire = Wire::grpc(parts.read_buffer_size);
    if let Some(internal) = listeners.internal {
        // Other sidecars know nothing of the application's token.
        let service = grpc::internal_service(grpc::Surroundings { token: None, ..around.clone() });
        keep(listener::serve(internal, wire.clone(), service, parts.drain.clone()));
    }
    keep(listener::serve(listeners.grpc, wire, grpc::service(dapr, around), parts.drain.clone()));

    let sidecar = http::sidecar_routes(http::Sidecar {
        metadata: parts.metadata.clone(),
        health: parts.health.clone(),
        shutdown: parts.shutdown.clone(),
        max_body_size: parts.max_body_size,
    });
    let app_id = parts.health.app_id().to_owned();
    let routes = sidecar.merge(http::state::routes(state, app_id, parts.max_body_size));
    let around = http::Surroundings {
        token: parts.token.clone(),
        read_buffer_size: parts.read_buffer_size,
        tracing: parts.tracing,
        drain: parts.drain.clone(),
    };
    let wire = Wire::http(parts.read_buffer_size);
    keep(listener::serve(listeners.http, wire, http::service(routes, around), parts.drain.clone()));
}

/// Runs an accept loop as a task.
fn keep(serving: impl Future<Output = io::Result<()>> + Send + 'static) {
    tokio::spawn(async move {
        if let Err(error) = serving.await {
            tracing::error!(target: RUNTIME, "a port is not served by one of its threads: {error}");
        }
    });
}
