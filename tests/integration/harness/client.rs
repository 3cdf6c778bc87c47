//! A gRPC client of the sidecar for tests that are not async themselves.

use std::{
    future::Future,
    sync::{LazyLock, mpsc},
    thread,
    time::Duration,
};

use outrigger::proto::{
    common::v1::{Etag, StateItem, StateOptions},
    runtime::v1::{
        DeleteStateRequest, GetMetadataRequest, GetMetadataResponse, GetStateRequest,
        GetStateResponse, SaveStateRequest, ShutdownRequest, dapr_client::DaprClient,
    },
};
use tokio::{runtime::Handle, task::JoinHandle};
use tonic::{
    Request, Status,
    metadata::{Ascii, MetadataValue},
    service::{Interceptor, interceptor::InterceptedService},
    transport::{Channel, Endpoint},
};

use super::{PATIENCE, canary};

/// The store that the tests' resources define.
pub const STORE: &str = "statestore";

// One thread drives all clients; a test waits for it on its own thread.
static RUNTIME: LazyLock<Handle> = LazyLock::new(|| {
    let (tell, told) = mpsc::channel();
    thread::spawn(move || {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        let runtime = builder.enable_all().build().expect("a runtime");
        tell.send(runtime.handle().clone()).expect("somebody waits for it");
        runtime.block_on(std::future::pending::<()>());
    });
    told.recv().expect("the thread says so")
});

/// Waits for a future on the clients' runtime.
pub fn block_on<F: Future>(future: F) -> F::Output {
    RUNTIME.block_on(future)
}

/// Runs a future on the clients' runtime.
pub fn spawn<F: Future<Output: Send> + Send + 'static>(future: F) -> JoinHandle<F::Output> {
    RUNTIME.spawn(future)
}

/// A channel to a port of this machine, once it accepts.
pub fn channel(port: u16) -> Channel {
    let endpoint = Endpoint::from_shared(format!("http://127.0.0.1:{port}")).expect("an address");
    block_on(endpoint.connect_timeout(Duration::from_secs(5)).connect())
        .unwrap_or_else(|error| panic!("no gRPC on port {port}: {error:?}"))
}

/// Adds the API token to every request.
#[derive(Clone)]
pub struct Token(Option<MetadataValue<Ascii>>);

impl Interceptor for Token {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(token) = &self.0 {
            request.metadata_mut().insert("dapr-api-token", token.clone());
        }
        Ok(request)
    }
}

/// An application's client.
#[derive(Clone)]
pub struct Client {
    /// The generated client.
    pub dapr: DaprClient<InterceptedService<Channel, Token>>,
}

impl Client {
    /// One that shows the canary token.
    pub fn connect(port: u16) -> Self {
        Self::with_token(port, Some(canary::TOKEN))
    }

    /// One that shows this token or none.
    pub fn with_token(port: u16, token: Option<&str>) -> Self {
        let token = Token(token.map(|token| token.parse().expect("a header's value")));
        let dapr = DaprClient::with_interceptor(channel(port), token);
        Self { dapr: dapr.max_decoding_message_size(64 << 20) }
    }

    /// Saves a value.
    pub fn save(&self, key: &str, value: impl Into<Vec<u8>>) -> Result<(), Status> {
        self.save_item(item(key, value))
    }

    /// Saves a value if its version is the one given.
    pub fn save_version(&self, key: &str, value: &str, etag: &str) -> Result<(), Status> {
        let etag = Some(Etag { value: etag.to_owned() });
        self.save_item(StateItem { etag, ..item(key, value) })
    }

    /// Saves a value with options.
    pub fn save_with(&self, key: &str, value: &str, options: StateOptions) -> Result<(), Status> {
        self.save_item(StateItem { options: Some(options), ..item(key, value) })
    }

    /// Saves an item.
    pub fn save_item(&self, item: StateItem) -> Result<(), Status> {
        block_on(save(self.dapr.clone(), item))
    }

    /// Saves a value, for a task that saves several.
    pub async fn save_later(self, key: &str, value: impl Into<Vec<u8>>) -> Result<(), Status> {
        save(self.dapr, item(key, value)).await
    }

    /// Begins to save a value.
    pub fn start_save(&self, key: &str, value: impl Into<Vec<u8>>) -> Pending {
        self.start_save_item(item(key, value))
    }

    /// Begins to save an item.
    pub fn start_save_item(&self, item: StateItem) -> Pending {
        Pending { task: spawn(save(self.dapr.clone(), item)) }
    }

    /// Reads a key.
    pub fn get(&self, key: &str) -> Result<GetStateResponse, Status> {
        let request = GetStateRequest {
            store_name: STORE.into(),
            key: key.into(),
            ..GetStateRequest::default()
        };
        Ok(block_on(self.dapr.clone().get_state(request))?.into_inner())
    }

    /// Deletes a key.
    pub fn delete(&self, key: &str) -> Result<(), Status> {
        let request = DeleteStateRequest {
            store_name: STORE.into(),
            key: key.into(),
            ..DeleteStateRequest::default()
        };
        block_on(self.dapr.clone().delete_state(request)).map(drop)
    }

    /// What the sidecar says about itself.
    pub fn metadata(&self) -> GetMetadataResponse {
        block_on(self.dapr.clone().get_metadata(GetMetadataRequest {}))
            .expect("GetMetadata")
            .into_inner()
    }

    /// A word of the extended metadata; empty if it is not there.
    pub fn extended(&self, key: &str) -> String {
        self.metadata().extended_metadata.get(key).cloned().unwrap_or_default()
    }

    /// Asks the sidecar to end, in order or at once.
    pub fn shutdown(&self, forced: bool) -> Result<(), Status> {
        let mut request = Request::new(ShutdownRequest {});
        if forced {
            request
                .metadata_mut()
                .insert("dapr-force-shutdown", MetadataValue::from_static("true"));
        }
        block_on(self.dapr.clone().shutdown(request)).map(drop)
    }
}

/// An item without options.
pub fn item(key: &str, value: impl Into<Vec<u8>>) -> StateItem {
    StateItem { key: key.into(), value: value.into().into(), ..StateItem::default() }
}

async fn save(
    mut dapr: DaprClient<InterceptedService<Channel, Token>>,
    item: StateItem,
) -> Result<(), Status> {
    let request = SaveStateRequest { store_name: STORE.into(), states: vec![item] };
    dapr.save_state(request).await.map(drop)
}

/// A save under way.
pub struct Pending {
    task: JoinHandle<Result<(), Status>>,
}

impl Pending {
    /// Waits for its answer.
    #[track_caller]
    pub fn answer(self) -> Result<(), Status> {
        let answer = block_on(async { tokio::time::timeout(PATIENCE, self.task).await });
        answer.expect("an answer in time").expect("the call was not aborted")
    }

    /// Whether it was answered.
    pub fn is_answered(&self) -> bool {
        self.task.is_finished()
    }

    /// Lets go of the call: the sidecar sees its stream reset.
    pub fn hang_up(self) {
        self.task.abort();
        let _ = block_on(self.task);
    }
}
