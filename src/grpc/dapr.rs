//! The service: one delegating line for each RPC served.

use std::sync::Arc;

use tonic::{Request, Response, Status};

use crate::{
    api::{
        error::StateError,
        metadata::{MetadataApi, ShutdownHandle},
        state::StateApi,
    },
    call::Call,
    grpc::{deadline::Deadline, limits::within_limit, metadata, state},
    metrics::error_codes::ErrorCodes,
    proto::runtime::v1::{
        DeleteBulkStateRequest, DeleteStateRequest, ExecuteStateTransactionRequest,
        GetBulkStateRequest, GetBulkStateResponse, GetMetadataRequest, GetMetadataResponse,
        GetStateRequest, GetStateResponse, QueryStateRequest, QueryStateResponse, SaveStateRequest,
        SetMetadataRequest, ShutdownRequest, dapr_server::Dapr,
    },
};

/// The sidecar's service on one data-plane thread.
pub struct DaprService {
    state: StateApi,
    metadata: MetadataApi,
    shutdown: ShutdownHandle,
    /// The largest answer in bytes; `None` when unlimited.
    max_message_size: Option<usize>,
    /// What counts failed calls by their codes, if somebody wants that.
    error_codes: Option<Arc<ErrorCodes>>,
}

impl DaprService {
    /// The service over these parts; answers above `max_message_size` bytes are refused.
    pub fn new(
        state: StateApi,
        metadata: MetadataApi,
        shutdown: ShutdownHandle,
        max_message_size: Option<usize>,
    ) -> Self {
        Self { state, metadata, shutdown, max_message_size, error_codes: None }
    }

    /// The same, counting failed calls by their codes.
    pub fn counting_errors(self, error_codes: Option<Arc<ErrorCodes>>) -> Self {
        Self { error_codes, ..self }
    }

    fn refused(&self, error: StateError) -> Status {
        if let Some(codes) = &self.error_codes {
            codes.record(error.counted());
        }
        error.into()
    }
}

#[tonic::async_trait]
impl Dapr for DaprService {
    async fn get_state(
        &self,
        request: Request<GetStateRequest>,
    ) -> Result<Response<GetStateResponse>, Status> {
        let (call, mut message) = open(request);
        let answer = state::get(&self.state, &call, &mut message)
            .await
            .map_err(|error| self.refused(error))?;
        within_limit(answer, self.max_message_size).map(Response::new)
    }

    async fn get_bulk_state(
        &self,
        request: Request<GetBulkStateRequest>,
    ) -> Result<Response<GetBulkStateResponse>, Status> {
        let (call, message) = open(request);
        let answer = state::bulk_get(&self.state, &call, message)
            .await
            .map_err(|error| self.refused(error))?;
        within_limit(answer, self.max_message_size).map(Response::new)
    }

    async fn save_state(&self, request: Request<SaveStateRequest>) -> Result<Response<()>, Status> {
        let (call, mut message) = open(request);
        state::save(&self.state, &call, &mut message)
            .await
            .map(Response::new)
            .map_err(|error| self.refused(error))
    }

    async fn query_state_alpha1(
        &self,
        request: Request<QueryStateRequest>,
    ) -> Result<Response<QueryStateResponse>, Status> {
        state::query(&self.state, request.get_ref()).map_err(|error| self.refused(error))?;
        Ok(Response::new(QueryStateResponse::default()))
    }

    async fn delete_state(
        &self,
        request: Request<DeleteStateRequest>,
    ) -> Result<Response<()>, Status> {
        let (call, message) = open(request);
        state::delete(&self.state, &call, message)
            .await
            .map(Response::new)
            .map_err(|error| self.refused(error))
    }

    async fn delete_bulk_state(
        &self,
        request: Request<DeleteBulkStateRequest>,
    ) -> Result<Response<()>, Status> {
        let (call, message) = open(request);
        state::bulk_delete(&self.state, &call, message)
            .await
            .map(Response::new)
            .map_err(|error| self.refused(error))
    }

    async fn execute_state_transaction(
        &self,
        request: Request<ExecuteStateTransactionRequest>,
    ) -> Result<Response<()>, Status> {
        let (call, message) = open(request);
        state::transact(&self.state, &call, message)
            .await
            .map(Response::new)
            .map_err(|error| self.refused(error))
    }

    async fn get_metadata(
        &self,
        _: Request<GetMetadataRequest>,
    ) -> Result<Response<GetMetadataResponse>, Status> {
        Ok(Response::new(metadata::response(self.metadata.snapshot())))
    }

    async fn set_metadata(
        &self,
        request: Request<SetMetadataRequest>,
    ) -> Result<Response<()>, Status> {
        let message = request.into_inner();
        self.metadata.set(message.key, message.value);
        Ok(Response::new(()))
    }

    async fn shutdown(&self, request: Request<ShutdownRequest>) -> Result<Response<()>, Status> {
        self.shutdown.request(metadata::shutdown_request(request.metadata()));
        Ok(Response::new(()))
    }
}

/// Separates a request into what every layer is handed and its message.
fn open<T>(request: Request<T>) -> (Call, T) {
    let deadline = request.extensions().get::<Deadline>().map(|Deadline(deadline)| *deadline);
    (Call { deadline }, request.into_inner())
}
