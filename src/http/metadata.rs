//! What the sidecar says about itself, what callers let it remember, and the wish to end it.

use std::{collections::BTreeMap, error::Error};

use axum::{
    Router,
    body::Body,
    extract::{Path, State, rejection::PathRejection},
    response::IntoResponse as _,
    routing::{get, post, put},
};
use http::{HeaderMap, Response, StatusCode, header};
use serde::Serialize;

use crate::{
    api::metadata::{AppConnection, Metadata, RegisteredComponent, ShutdownRequest},
    edge::{
        access::Access,
        limits::{BodyError, read_body},
    },
    http::{
        Sidecar,
        access::{METADATA, SHUTDOWN, add_open},
        error::{self, ErrorBody, JSON},
        go_json,
    },
};

/// What the sidecar says about itself.
pub const PATH: &str = "/v1.0/metadata";

/// Where it is asked to end.
pub const SHUTDOWN_PATH: &str = "/v1.0/shutdown";

/// The routes that `access` leaves open.
pub fn routes(sidecar: Sidecar, access: &Access) -> Router {
    let shutdown = [(SHUTDOWN, SHUTDOWN_PATH, post(shutdown))];
    add_open(metadata_routes(access), access, shutdown).with_state(sidecar)
}

/// Those of them that everybody may call who reaches the public port.
pub fn public_routes(sidecar: Sidecar, access: &Access) -> Router {
    metadata_routes(access).with_state(sidecar)
}

fn metadata_routes(access: &Access) -> Router<Sidecar> {
    let routes = [(METADATA, PATH, get(read)), (METADATA, "/v1.0/metadata/{key}", put(write))];
    add_open(Router::new(), access, routes)
}

async fn read(State(sidecar): State<Sidecar>) -> Response<Body> {
    let metadata = sidecar.metadata.snapshot();
    let mut body = go_json::to_vec(&Answer::from(&metadata));
    body.push(b'\n');
    ([(header::CONTENT_TYPE, JSON)], body).into_response()
}

async fn write(
    State(sidecar): State<Sidecar>,
    key: Result<Path<String>, PathRejection>,
    body: Body,
) -> Response<Body> {
    let Ok(Path(key)) = key else {
        return ErrorBody::new("ERR_MALFORMED_REQUEST", "the metadata key is not UTF-8")
            .with_status(StatusCode::BAD_REQUEST);
    };
    match read_body(body, sidecar.max_body_size).await {
        Ok(value) => {
            sidecar.metadata.set(key, String::from_utf8_lossy(&value).into_owned());
            StatusCode::NO_CONTENT.into_response()
        }
        Err(error) => unreadable(&error),
    }
}

/// The body could not be read, for its size or because its sender left.
fn unreadable<E: Error>(error: &BodyError<E>) -> Response<Body> {
    let why = match error {
        BodyError::Refused(refusal) => return error::overloaded(*refusal),
        BodyError::TooLarge | BodyError::Silent => error.to_string(),
        // As Go calls a body that ends too early, and as the state routes do.
        BodyError::Broken(_) => "unexpected EOF".to_owned(),
    };
    let message = format!("failed to read request body: {why}");
    ErrorBody::new("ERR_BODY_READ", &message).with_status(StatusCode::BAD_REQUEST)
}

async fn shutdown(State(sidecar): State<Sidecar>, headers: HeaderMap) -> Response<Body> {
    let forced = headers
        .get("dapr-force-shutdown")
        .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"true"));
    let wish = if forced { ShutdownRequest::Forced } else { ShutdownRequest::Graceful };
    sidecar.shutdown.request(wish);
    StatusCode::NO_CONTENT.into_response()
}

/// The body of `GET /v1.0/metadata`: members in Dapr's order, empty ones left out.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    id: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    runtime_version: &'a str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    enabled_features: &'a [String],
    #[serde(skip_serializing_if = "Vec::is_empty")]
    components: Vec<Component<'a>>,
    extended: &'a BTreeMap<String, String>,
    app_connection_properties: AppConnectionProperties<'a>,
    actor_runtime: ActorRuntime,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    resiliencies: Vec<Named<'a>>,
}

#[derive(Serialize)]
struct Component<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    name: &'a str,
    #[serde(rename = "type", skip_serializing_if = "str::is_empty")]
    kind: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    version: &'a str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    capabilities: &'a [String],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AppConnectionProperties<'a> {
    #[serde(skip_serializing_if = "is_zero")]
    port: u32,
    #[serde(skip_serializing_if = "str::is_empty")]
    protocol: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    channel_address: &'a str,
    #[serde(skip_serializing_if = "is_zero")]
    max_concurrency: u32,
}

/// There are no actors; this says so in the words of Dapr.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ActorRuntime {
    runtime_status: &'static str,
    host_ready: bool,
    placement: &'static str,
}

#[derive(Serialize)]
struct Named<'a> {
    name: &'a str,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands out references")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

impl<'a> From<&'a Metadata> for Answer<'a> {
    fn from(metadata: &'a Metadata) -> Self {
        let identity = &*metadata.identity;
        Self {
            id: &identity.id,
            runtime_version: &identity.runtime_version,
            enabled_features: &identity.enabled_features,
            components: identity.components.iter().map(Component::from).collect(),
            extended: &metadata.extended,
            app_connection_properties: (&identity.app_connection).into(),
            actor_runtime: ActorRuntime {
                runtime_status: "DISABLED",
                host_ready: false,
                placement: "placement: disconnected",
            },
            resiliencies: identity.resiliencies.iter().map(|name| Named { name }).collect(),
        }
    }
}

impl<'a> From<&'a RegisteredComponent> for Component<'a> {
    fn from(component: &'a RegisteredComponent) -> Self {
        Self {
            name: &component.name,
            kind: &component.kind,
            version: &component.version,
            capabilities: &component.capabilities,
        }
    }
}

impl<'a> From<&'a AppConnection> for AppConnectionProperties<'a> {
    fn from(connection: &'a AppConnection) -> Self {
        Self {
            port: connection.port.into(),
            protocol: &connection.protocol,
            channel_address: &connection.channel_address,
            max_concurrency: u32::try_from(connection.max_concurrency).unwrap_or(0),
        }
    }
}
