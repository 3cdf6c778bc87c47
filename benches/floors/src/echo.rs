//! A bare tonic server: it reads each message and gives a fixed answer.

use bytes::Bytes;
use tonic::{Request, Response, Status};

use crate::{
    proto::runtime::v1::{
        BulkStateItem, DeleteBulkStateRequest, DeleteStateRequest, ExecuteStateTransactionRequest,
        GetBulkStateRequest, GetBulkStateResponse, GetMetadataRequest, GetMetadataResponse,
        GetStateRequest, GetStateResponse, QueryStateRequest, QueryStateResponse, SaveStateRequest,
        SetMetadataRequest, ShutdownRequest, dapr_server::Dapr,
    },
    unserved::unserved,
    value,
};

const ETAG: &str = "1";

/// The service, with the value that every key has.
#[derive(Debug)]
pub struct Echo {
    value: Bytes,
}

impl Echo {
    /// Every value it answers has this many bytes.
    #[must_use]
    pub fn new(value_bytes: usize) -> Self {
        Self { value: value(value_bytes) }
    }
}

#[tonic::async_trait]
impl Dapr for Echo {
    async fn get_state(
        &self,
        _: Request<GetStateRequest>,
    ) -> Result<Response<GetStateResponse>, Status> {
        Ok(Response::new(GetStateResponse {
            data: self.value.clone(),
            etag: ETAG.to_owned(),
            ..GetStateResponse::default()
        }))
    }

    async fn get_bulk_state(
        &self,
        request: Request<GetBulkStateRequest>,
    ) -> Result<Response<GetBulkStateResponse>, Status> {
        let item = |key| BulkStateItem {
            key,
            data: self.value.clone(),
            etag: ETAG.to_owned(),
            ..BulkStateItem::default()
        };
        let items = request.into_inner().keys.into_iter().map(item).collect();
        Ok(Response::new(GetBulkStateResponse { items }))
    }

    async fn save_state(&self, _: Request<SaveStateRequest>) -> Result<Response<()>, Status> {
        Ok(Response::new(()))
    }

    async fn delete_state(&self, _: Request<DeleteStateRequest>) -> Result<Response<()>, Status> {
        Ok(Response::new(()))
    }

    async fn delete_bulk_state(
        &self,
        _: Request<DeleteBulkStateRequest>,
    ) -> Result<Response<()>, Status> {
        Ok(Response::new(()))
    }

    async fn execute_state_transaction(
        &self,
        _: Request<ExecuteStateTransactionRequest>,
    ) -> Result<Response<()>, Status> {
        Ok(Response::new(()))
    }

    unserved! {
        query_state_alpha1(QueryStateRequest) -> QueryStateResponse;
        get_metadata(GetMetadataRequest) -> GetMetadataResponse;
        set_metadata(SetMetadataRequest) -> ();
        shutdown(ShutdownRequest) -> ();
    }
}
