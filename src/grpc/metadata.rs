//! GetMetadata, SetMetadata and Shutdown as messages.

use tonic::metadata::MetadataMap;

use crate::{
    api::metadata::{Metadata, ShutdownRequest},
    proto::runtime::v1::{
        ActorRuntime, AppConnectionProperties, GetMetadataResponse, MetadataResiliency,
        MetadataWorkflows, RegisteredComponents, actor_runtime::ActorRuntimeStatus,
    },
};

/// The answer to GetMetadata. Actors and workflows are answered as by a Dapr without placement.
pub fn response(metadata: Metadata) -> GetMetadataResponse {
    let identity = &metadata.identity;
    let app = &identity.app_connection;
    let components = identity.components.iter().map(|component| RegisteredComponents {
        name: component.name.clone(),
        r#type: component.kind.clone(),
        version: component.version.clone(),
        capabilities: component.capabilities.clone(),
    });
    let resiliencies = identity.resiliencies.iter().cloned();
    GetMetadataResponse {
        id: identity.id.clone(),
        registered_components: components.collect(),
        extended_metadata: metadata.extended.into_iter().collect(),
        app_connection_properties: Some(AppConnectionProperties {
            port: i32::from(app.port),
            protocol: app.protocol.clone(),
            channel_address: app.channel_address.clone(),
            max_concurrency: app.max_concurrency,
            health: None,
        }),
        runtime_version: identity.runtime_version.clone(),
        enabled_features: identity.enabled_features.clone(),
        actor_runtime: Some(ActorRuntime {
            runtime_status: ActorRuntimeStatus::Disabled.into(),
            placement: "placement: disconnected".to_owned(),
            ..ActorRuntime::default()
        }),
        workflows: Some(MetadataWorkflows::default()),
        resiliencies: resiliencies.map(|name| MetadataResiliency { name }).collect(),
        ..GetMetadataResponse::default()
    }
}

/// How the caller of Shutdown wants the sidecar to end.
pub fn shutdown_request(metadata: &MetadataMap) -> ShutdownRequest {
    let forced = metadata
        .get("dapr-force-shutdown")
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| value.eq_ignore_ascii_case("true"));
    if forced { ShutdownRequest::Forced } else { ShutdownRequest::Graceful }
}
