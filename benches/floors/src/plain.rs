//! tonic and fred with nothing between them: what anybody would write first.

use std::fmt::Display;

use bytes::Bytes;
use fred::{
    clients::Client,
    error::Error,
    interfaces::{ClientLike as _, HashesInterface as _, KeysInterface as _, LuaInterface as _},
    types::config::{Config, ConnectionConfig, ServerConfig, TcpConfig},
};
use futures_util::future::try_join_all;
use tonic::{Request, Response, Status};

use crate::{
    proto::{
        common::v1::StateItem,
        runtime::v1::{
            BulkStateItem, DeleteBulkStateRequest, DeleteStateRequest,
            ExecuteStateTransactionRequest, GetBulkStateRequest, GetBulkStateResponse,
            GetMetadataRequest, GetMetadataResponse, GetStateRequest, GetStateResponse,
            QueryStateRequest, QueryStateResponse, SaveStateRequest, SetMetadataRequest,
            ShutdownRequest, dapr_server::Dapr,
        },
    },
    unserved::unserved,
};

/// The layout of daprd: a hash with the fields `data` and `version`.
const SAVE: &str = "redis.call('HSET', KEYS[1], 'data', ARGV[1])
return redis.call('HINCRBY', KEYS[1], 'version', 1)";

/// The service, on one connection to Redis.
#[derive(Debug)]
pub struct Plain {
    redis: Client,
    /// The hash that Redis knows the script by.
    save: String,
}

impl Plain {
    /// Connects and loads the script.
    ///
    /// # Errors
    ///
    /// There is no Redis at that address.
    pub async fn connect(host: &str, port: u16) -> Result<Self, Error> {
        let config =
            Config { server: ServerConfig::new_centralized(host, port), ..Config::default() };
        let connection = ConnectionConfig {
            tcp: TcpConfig { nodelay: Some(true), ..TcpConfig::default() },
            ..ConnectionConfig::default()
        };
        let redis = Client::new(config, None, Some(connection), None);
        redis.init().await?;
        let save = redis.script_load(SAVE).await?;
        Ok(Self { redis, save })
    }

    async fn read(&self, key: &str) -> Result<(Bytes, String), Status> {
        let (data, version): (Option<Bytes>, Option<String>) =
            self.redis.hmget(key, ("data", "version")).await.map_err(internal)?;
        Ok((data.unwrap_or_default(), version.unwrap_or_default()))
    }

    async fn write(&self, item: StateItem) -> Result<(), Status> {
        self.redis.evalsha(self.save.as_str(), item.key, item.value).await.map_err(internal)
    }

    async fn remove(&self, key: String) -> Result<(), Status> {
        self.redis.del(key).await.map_err(internal)
    }
}

fn internal(error: impl Display) -> Status {
    Status::internal(error.to_string())
}

#[tonic::async_trait]
impl Dapr for Plain {
    async fn get_state(
        &self,
        request: Request<GetStateRequest>,
    ) -> Result<Response<GetStateResponse>, Status> {
        let (data, etag) = self.read(&request.get_ref().key).await?;
        Ok(Response::new(GetStateResponse { data, etag, ..GetStateResponse::default() }))
    }

    async fn get_bulk_state(
        &self,
        request: Request<GetBulkStateRequest>,
    ) -> Result<Response<GetBulkStateResponse>, Status> {
        let item = |key: String| async {
            let (data, etag) = self.read(&key).await?;
            Ok::<_, Status>(BulkStateItem { key, data, etag, ..BulkStateItem::default() })
        };
        let items = try_join_all(request.into_inner().keys.into_iter().map(item)).await?;
        Ok(Response::new(GetBulkStateResponse { items }))
    }

    async fn save_state(&self, request: Request<SaveStateRequest>) -> Result<Response<()>, Status> {
        let items = request.into_inner().states.into_iter();
        try_join_all(items.map(|item| self.write(item))).await?;
        Ok(Response::new(()))
    }

    async fn delete_state(
        &self,
        request: Request<DeleteStateRequest>,
    ) -> Result<Response<()>, Status> {
        self.remove(request.into_inner().key).await?;
        Ok(Response::new(()))
    }

    async fn delete_bulk_state(
        &self,
        request: Request<DeleteBulkStateRequest>,
    ) -> Result<Response<()>, Status> {
        let items = request.into_inner().states.into_iter();
        try_join_all(items.map(|item| self.remove(item.key))).await?;
        Ok(Response::new(()))
    }

    unserved! {
        execute_state_transaction(ExecuteStateTransactionRequest) -> ();
        query_state_alpha1(QueryStateRequest) -> QueryStateResponse;
        get_metadata(GetMetadataRequest) -> GetMetadataResponse;
        set_metadata(SetMetadataRequest) -> ();
        shutdown(ShutdownRequest) -> ();
    }
}
