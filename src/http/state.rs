//! The state API over HTTP: which request means what to the API, and how its answers are written.

mod answer;
pub(crate) mod decode;
pub(crate) mod loose;
pub(crate) mod options;
pub(super) mod route;

use std::{error::Error, sync::Arc};

use axum::body::Body;
use bytes::Bytes;
use futures_util::{FutureExt as _, future::BoxFuture};
use http::{HeaderMap, Request, Response, StatusCode, header, uri::PathAndQuery};

use crate::{
    api::{
        error::{StateError, WriteFailure},
        json::JsonError,
        key::UserKey,
        names::ItemMetadata as _,
        state::{DeleteItem, Operation, SaveItem, StateApi, StateComponent},
    },
    call::Call,
    edge::{
        access::Access,
        admission::Refusal,
        limits::{BodyError, read_body},
    },
    http::{
        Sent,
        access::permits,
        error::{self, Asked, ErrorBody},
        path,
        state::{
            decode::{ItemRequest, Malformed, Metadata},
            route::{Names, NotText, Route},
        },
    },
    state_store::{Concurrency, Consistency, Entry, StoreError},
};

/// What Dapr stores for a value that was not given.
const NO_VALUE: Bytes = Bytes::from_static(b"null");

/// The routes of the state API; clones share what they need.
#[derive(Clone)]
pub struct StateRoutes(Arc<StateEdge>);

struct StateEdge {
    api: StateApi,
    app_id: String,
    max_body_size: Option<usize>,
    /// Which of [`Route::ALL`] rules leave open.
    open: [bool; Route::ALL.len()],
}

impl StateRoutes {
    /// Those that `access` leaves open. A body larger than `max_body_size` bytes is refused; `None`
    /// means any length.
    pub fn new(
        api: StateApi,
        app_id: String,
        max_body_size: Option<usize>,
        access: &Access,
    ) -> Self {
        let open = Route::ALL.map(|route| {
            let (part, path) = route.names();
            permits(access, part, path)
        });
        Self(Arc::new(StateEdge { api, app_id, max_body_size, open }))
    }

    /// The route that is meant by a request with a clean path, if it is open.
    pub(super) fn find<B>(&self, request: &Request<B>) -> Option<Route> {
        let route = Route::of(request.method(), request.uri().path())?;
        self.0.open[route as usize].then_some(route)
    }

    /// What `route` answers to a request of its own.
    pub(super) fn answer(
        &self,
        route: Route,
        request: Request<Sent>,
    ) -> BoxFuture<'static, Response<Body>> {
        let edge = self.0.clone();
        let (parts, body) = request.into_parts();
        let mut headers = parts.headers;
        let target = parts.uri.into_parts().path_and_query;
        let target = target.unwrap_or_else(|| PathAndQuery::from_static("/"));
        let etag = match route {
            Route::Delete => headers.get(header::IF_MATCH).map(|etag| lossy(etag.as_bytes())),
            _ => None,
        };
        // What they said is not needed any more; their table becomes that of the answer.
        headers.clear();
        // Each of its own size.
        match route {
            Route::Save => {
                async move { done(edge.save(&target, body).await, &edge.asked(), headers) }.boxed()
            }
            Route::Get => async move {
                match edge.get(&target).await {
                    Ok(found) => answer::found(found, headers),
                    Err(failure) => failure.answer(&edge.asked()),
                }
            }
            .boxed(),
            Route::Delete => {
                async move { done(edge.delete(&target, etag).await, &edge.asked(), headers) }
                    .boxed()
            }
            Route::BulkGet => async move {
                let found = edge.bulk_get(&target, body).await;
                found.unwrap_or_else(|failure| failure.answer(&edge.asked()))
            }
            .boxed(),
            Route::Transact => async move {
                let result = edge.transact(&target, body).await;
                done(result, &edge.asked().for_an_operation(), headers)
            }
            .boxed(),
            Route::Query => {
                async move { done(edge.query(&target, body).await, &Asked::anonymously(), headers) }
                    .boxed()
            }
        }
    }
}

/// Why a request is not done.
enum Failure {
    State(StateError),
    /// The request is none; the text is the answer's whole message.
    Malformed(String),
    /// The body of a query could not be read.
    Unreadable(String),
    /// There was no room for the body.
    Refused(Refusal),
}

impl From<StateError> for Failure {
    fn from(error: StateError) -> Self {
        Self::State(error)
    }
}

impl From<NotText> for Failure {
    fn from(_: NotText) -> Self {
        Self::Malformed("the name of the store or the key is not UTF-8".to_owned())
    }
}

impl Failure {
    /// A body that the save cannot read; the other routes say more.
    fn bare(error: Malformed) -> Self {
        match error {
            Malformed::Refused(refusal) => Self::Refused(refusal),
            error => Self::Malformed(error.to_string()),
        }
    }

    fn body(error: Malformed) -> Self {
        match error {
            Malformed::Refused(refusal) => Self::Refused(refusal),
            error => Self::Malformed(format!("failed deserializing HTTP body: {error}")),
        }
    }

    /// The body of a query, which is read for nothing but its text.
    fn query(error: Malformed) -> Self {
        match error {
            Malformed::Refused(refusal) => Self::Refused(refusal),
            error => Self::Unreadable(format!("failed to read request body: {error}")),
        }
    }

    fn answer(&self, asked: &Asked<'_>) -> Response<Body> {
        let (code, message) = match self {
            Self::State(error) => return asked.refused(error),
            Self::Refused(refusal) => return error::overloaded(*refusal),
            Self::Malformed(message) => ("ERR_MALFORMED_REQUEST", message),
            Self::Unreadable(message) => ("ERR_BODY_READ", message),
        };
        ErrorBody::new(code, message).with_status(StatusCode::BAD_REQUEST)
    }
}

fn done(result: Result<(), Failure>, asked: &Asked<'_>, headers: HeaderMap) -> Response<Body> {
    match result {
        Ok(()) => answer::nothing(headers),
        Err(failure) => failure.answer(asked),
    }
}

impl StateEdge {
    fn asked(&self) -> Asked<'_> {
        Asked::of(&self.app_id)
    }

    async fn get(&self, target: &PathAndQuery) -> Result<Option<Entry>, Failure> {
        let named = Names::of(target.path())?;
        let component = self.api.component(&named.store)?;
        let key = component.key(named.key.into_owned())?;
        Ok(component.get(&Call::default(), &key).await?)
    }

    async fn delete(&self, target: &PathAndQuery, etag: Option<String>) -> Result<(), Failure> {
        let named = Names::of(target.path())?;
        let component = self.api.component(&named.store)?;
        let key = component.key(named.key.into_owned())?;
        let word =
            |name| path::query_value(target.query().unwrap_or_default(), name).unwrap_or_default();
        let (concurrency, consistency) =
            options::read(&word("concurrency"), &word("consistency")).map_err(|refusal| {
                StateError::Delete { key: key.as_str().to_owned(), cause: at_once(refusal) }
            })?;
        let item = DeleteItem { key, etag, concurrency, consistency };
        Ok(component.delete(&Call::default(), item).await?)
    }

    async fn save(&self, target: &PathAndQuery, body: Sent) -> Result<(), Failure> {
        let body = self.read(body).await;
        let component = self.api.component(&Names::of(target.path())?.store)?;
        let items = items_to_save(component, target, body)?;
        Ok(component.save(&Call::default(), items).await?)
    }

    async fn bulk_get(&self, target: &PathAndQuery, body: Sent) -> Result<Response<Body>, Failure> {
        let body = self.read(body).await;
        let component = self.api.component(&Names::of(target.path())?.store)?;
        let keys = body.and_then(|body| decode::bulk_get(&body)).map_err(Failure::body)?;
        let keys = keys.into_iter().map(|key| component.key(key)).collect::<Result<Vec<_>, _>>()?;
        Ok(answer::items(component.bulk_get(&Call::default(), keys).await?))
    }

    async fn transact(&self, target: &PathAndQuery, body: Sent) -> Result<(), Failure> {
        let body = self.read(body).await;
        let component = self.api.component(&Names::of(target.path())?.store)?;
        let requests = body.and_then(|body| decode::transaction(&body)).map_err(Failure::body)?;
        let given = query_metadata(target);
        let operations = requests
            .iter()
            .map(|request| operation(component, request, &given))
            .collect::<Result<_, _>>()?;
        Ok(component.transact(&Call::default(), operations).await?)
    }

    /// A query's body is read before its store is looked for, unlike any other's.
    async fn query(&self, target: &PathAndQuery, body: Sent) -> Result<(), Failure> {
        let body = self.read(body).await.map_err(Failure::query)?;
        Ok(self.api.component(&Names::of(target.path())?.store)?.query(&lossy(&body))?)
    }

    /// Reads the body, which is done before the store is looked for so that its sender gets to
    /// hear that there is no such store.
    async fn read(&self, body: Sent) -> Result<Bytes, Malformed> {
        read_body(body, self.max_body_size).await.map_err(unreadable)
    }
}

fn items_to_save(
    component: &StateComponent,
    target: &PathAndQuery,
    body: Result<Bytes, Malformed>,
) -> Result<Vec<SaveItem>, Failure> {
    let requests = body.and_then(|body| decode::save(&body)).map_err(Failure::bare)?;
    let given = query_metadata(target);
    let mut items = Vec::with_capacity(requests.len());
    let mut refusal = None;
    for mut request in requests {
        let key = component.save_key(std::mem::take(&mut request.key))?;
        request.metadata.extend(given.clone());
        match options::read(&request.concurrency, &request.consistency) {
            Ok(options) => items.push(save_item(key, request, options)),
            Err(error) => drop(refusal.get_or_insert(error)),
        }
    }
    // Every key is looked at before the words, and nothing is written where one is unknown.
    match refusal {
        Some(error) => {
            let store = component.name.clone();
            Err(StateError::Save { store, cause: at_once(error) }.into())
        }
        None => Ok(items),
    }
}

fn unreadable<E: Error>(error: BodyError<E>) -> Malformed {
    match error {
        BodyError::TooLarge => Malformed::TooLarge,
        BodyError::Silent => Malformed::Silent(error.to_string()),
        BodyError::Refused(refusal) => Malformed::Refused(refusal),
        // Its sender left, or what it sends is not HTTP: Go says the same of both.
        BodyError::Broken(_) => Malformed::Json(JsonError::UnexpectedEof),
    }
}

fn operation(
    component: &StateComponent,
    request: &decode::OperationRequest,
    given: &Metadata,
) -> Result<Operation, Failure> {
    let is_upsert = match request.operation.as_str() {
        "upsert" => true,
        "delete" => false,
        other => return Err(StateError::UnsupportedOperation(other.to_owned()).into()),
    };
    let item = if is_upsert { request.upsert() } else { request.delete() };
    let mut item = item.map_err(Failure::body)?;
    let key = component.key(std::mem::take(&mut item.key))?;
    let (concurrency, consistency) = options::read_leniently(&item.concurrency, &item.consistency);
    if !is_upsert {
        return Ok(Operation::Delete(DeleteItem {
            key,
            etag: item.etag,
            concurrency,
            consistency,
        }));
    }
    item.metadata.extend(given.clone());
    let json = item.metadata.announces_json();
    let saved = save_item(key, item, (concurrency, consistency));
    Ok(Operation::Upsert(SaveItem { json, ..saved }))
}

/// The value is JSON in its stored form already.
fn save_item(
    key: UserKey,
    item: ItemRequest,
    (concurrency, consistency): (Concurrency, Consistency),
) -> SaveItem {
    SaveItem {
        key,
        ttl: item.metadata.ttl(),
        value: item.value.unwrap_or(NO_VALUE),
        json: false,
        etag: item.etag,
        concurrency,
        consistency,
    }
}

/// What the query says as `metadata.NAME`; the first of several counts.
fn query_metadata(target: &PathAndQuery) -> Metadata {
    let mut metadata = Metadata::new();
    for (name, value) in path::query_pairs(target.query().unwrap_or_default()) {
        if let Some(name) = name.strip_prefix("metadata.") {
            metadata.entry(name.to_owned()).or_insert_with(|| value.into_owned());
        }
    }
    metadata
}

/// A write that was refused before any store saw it.
fn at_once(refusal: StoreError) -> WriteFailure {
    WriteFailure::refused(refusal)
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests;
