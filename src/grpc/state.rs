//! State messages and what they mean to each other and to the API; the only file that knows their
//! fields.
//!
//! The two calls that matter most take from a message that their caller has: an `async fn` has room
//! for what it is given twice, and so their futures stay below what an allocator keeps at hand.

use std::{collections::HashMap, mem};

use crate::{
    api::{
        error::StateError,
        key::UserKey,
        names::{EXPIRY, ItemMetadata as _},
        state::{BulkItem, DeleteItem, Operation, SaveItem, StateApi},
    },
    call::Call,
    proto::{
        common::v1::{
            Etag, StateItem, StateOptions,
            state_options::{StateConcurrency, StateConsistency},
        },
        runtime::v1::{
            BulkStateItem, DeleteBulkStateRequest, DeleteStateRequest,
            ExecuteStateTransactionRequest, GetBulkStateRequest, GetBulkStateResponse,
            GetStateRequest, GetStateResponse, QueryStateRequest, SaveStateRequest,
        },
    },
    state_store::{Concurrency, Consistency, Entry},
};

/// GetState.
pub async fn get(
    api: &StateApi,
    call: &Call,
    request: &mut GetStateRequest,
) -> Result<GetStateResponse, StateError> {
    let component = api.component(&request.store_name)?;
    let key = component.key(mem::take(&mut request.key))?;
    let Some(entry) = component.get(call, &key).await? else {
        return Ok(GetStateResponse::default());
    };
    let metadata = expiry(&entry);
    Ok(GetStateResponse { data: entry.data, etag: entry.etag.unwrap_or_default(), metadata })
}

/// GetBulkState.
pub async fn bulk_get(
    api: &StateApi,
    call: &Call,
    request: GetBulkStateRequest,
) -> Result<GetBulkStateResponse, StateError> {
    let component = api.component(&request.store_name)?;
    let keys = request.keys.into_iter().map(|key| component.key(key)).collect::<Result<_, _>>()?;
    let items = component.bulk_get(call, keys).await?;
    Ok(GetBulkStateResponse { items: items.into_iter().map(bulk_item).collect() })
}

/// SaveState.
pub async fn save(
    api: &StateApi,
    call: &Call,
    request: &mut SaveStateRequest,
) -> Result<(), StateError> {
    let component = api.component(&request.store_name)?;
    let mut items = Vec::with_capacity(request.states.len());
    for mut item in mem::take(&mut request.states) {
        let key = component.save_key(mem::take(&mut item.key))?;
        items.push(save_item(key, item));
    }
    component.save(call, items).await
}

/// DeleteState.
pub async fn delete(
    api: &StateApi,
    call: &Call,
    request: DeleteStateRequest,
) -> Result<(), StateError> {
    let component = api.component(&request.store_name)?;
    let key = component.key(request.key)?;
    component.delete(call, delete_item(key, request.etag, request.options)).await
}

/// DeleteBulkState.
pub async fn bulk_delete(
    api: &StateApi,
    call: &Call,
    request: DeleteBulkStateRequest,
) -> Result<(), StateError> {
    let component = api.component(&request.store_name)?;
    let mut items = Vec::with_capacity(request.states.len());
    for item in request.states {
        items.push(delete_item(component.key(item.key)?, item.etag, item.options));
    }
    component.bulk_delete(call, items).await
}

/// ExecuteStateTransaction.
pub async fn transact(
    api: &StateApi,
    call: &Call,
    request: ExecuteStateTransactionRequest,
) -> Result<(), StateError> {
    let component = api.component(&request.store_name)?;
    let mut operations = Vec::with_capacity(request.operations.len());
    for operation in request.operations {
        let mut item = operation.request.unwrap_or_default();
        let key = component.key(mem::take(&mut item.key))?;
        operations.push(match operation.operation_type.as_str() {
            "upsert" => Operation::Upsert(save_item(key, item)),
            "delete" => Operation::Delete(delete_item(key, item.etag, item.options)),
            _ => return Err(StateError::UnsupportedOperation(operation.operation_type)),
        });
    }
    component.transact(call, operations).await
}

/// QueryStateAlpha1, which no store served here can answer.
pub fn query(api: &StateApi, request: &QueryStateRequest) -> Result<(), StateError> {
    api.component(&request.store_name)?.query(&request.query)
}

fn bulk_item(item: BulkItem) -> BulkStateItem {
    let key = item.key.as_str().to_owned();
    match item.found {
        Ok(None) => BulkStateItem { key, ..BulkStateItem::default() },
        Ok(Some(entry)) => BulkStateItem {
            key,
            metadata: expiry(&entry),
            data: entry.data,
            etag: entry.etag.unwrap_or_default(),
            error: String::new(),
        },
        Err(error) => BulkStateItem { key, error: error.to_string(), ..BulkStateItem::default() },
    }
}

fn save_item(key: UserKey, item: StateItem) -> SaveItem {
    let (concurrency, consistency) = options(item.options);
    SaveItem {
        key,
        value: item.value,
        json: item.metadata.announces_json(),
        etag: item.etag.map(|etag| etag.value),
        ttl: item.metadata.ttl(),
        concurrency,
        consistency,
    }
}

fn delete_item(key: UserKey, etag: Option<Etag>, given: Option<StateOptions>) -> DeleteItem {
    let (concurrency, consistency) = options(given);
    DeleteItem { key, etag: etag.map(|etag| etag.value), concurrency, consistency }
}

/// Numbers that no enum names mean the same as no word at all.
fn options(given: Option<StateOptions>) -> (Concurrency, Consistency) {
    let given = given.unwrap_or_default();
    let concurrency = match given.concurrency() {
        StateConcurrency::ConcurrencyUnspecified => Concurrency::Unspecified,
        StateConcurrency::ConcurrencyFirstWrite => Concurrency::FirstWrite,
        StateConcurrency::ConcurrencyLastWrite => Concurrency::LastWrite,
    };
    let consistency = match given.consistency() {
        StateConsistency::ConsistencyUnspecified => Consistency::Unspecified,
        StateConsistency::ConsistencyEventual => Consistency::Eventual,
        StateConsistency::ConsistencyStrong => Consistency::Strong,
    };
    (concurrency, consistency)
}

fn expiry(entry: &Entry) -> HashMap<String, String> {
    entry.expires_at.iter().map(|at| (EXPIRY.to_owned(), at.clone())).collect()
}
