//! The loaded stores: what all threads share of them, and what each thread gets of its own.

use std::{collections::BTreeMap, sync::Arc};

use crate::{
    api::{
        key::KeyPrefix,
        metadata::RegisteredComponent,
        state::{StateApi, StateComponent},
    },
    resiliency::{catalog::PolicyCatalog, policy::Policy},
    resources::{Component, StoreSettings},
    state_store::{
        ConfiguredStore,
        in_memory::InMemoryStore,
        redis::{RedisStore, health::RedisHealth, settings::RedisSettings},
    },
};

/// Every loaded store, as the threads share it.
#[derive(Clone)]
pub struct Stores(Arc<[SharedStore]>);

struct SharedStore {
    name: String,
    kind: String,
    version: String,
    log_name: String,
    key_prefix: KeyPrefix,
    outbound: Policy,
    backend: Backend,
}

enum Backend {
    Redis { settings: Arc<RedisSettings>, health: Arc<RedisHealth> },
    InMemory(InMemoryStore),
}

impl Stores {
    /// Takes what was loaded; connects nothing.
    pub fn new(components: Vec<Component>, policies: &PolicyCatalog) -> Self {
        let shared = components.into_iter().map(|component| SharedStore {
            log_name: component.log_name(),
            outbound: policies.outbound(&component.name),
            backend: match component.store {
                StoreSettings::Redis(ref settings) => Backend::Redis {
                    settings: Arc::new(settings.clone()),
                    health: Arc::new(RedisHealth::new(component.log_name())),
                },
                StoreSettings::InMemory => Backend::InMemory(InMemoryStore::new()),
            },
            name: component.name,
            kind: component.kind_type,
            version: component.version,
            key_prefix: component.key_prefix,
        });
        Self(shared.collect())
    }

    /// The state API of one data-plane thread: own connections, shared everything else. Must be
    /// called on the thread's runtime.
    pub fn connect(&self) -> StateApi {
        let components = self.0.iter().map(|shared| StateComponent {
            name: shared.name.clone(),
            store: match &shared.backend {
                Backend::Redis { settings, health } => ConfiguredStore::Redis(RedisStore::new(
                    &shared.name,
                    settings.clone(),
                    health.clone(),
                )),
                Backend::InMemory(store) => ConfiguredStore::InMemory(store.clone()),
            },
            key_prefix: shared.key_prefix.clone(),
            outbound: shared.outbound.clone(),
        });
        StateApi::new(components.collect())
    }

    /// The stores for the metadata. `ACTOR` follows where a store could keep actors' state, as in
    /// Dapr.
    pub fn registered(&self) -> Vec<RegisteredComponent> {
        let registered = self.0.iter().map(|shared| {
            let features = match &shared.backend {
                Backend::Redis { .. } => RedisStore::CAPABILITIES,
                Backend::InMemory(_) => InMemoryStore::CAPABILITIES,
            };
            let mut capabilities: Vec<String> =
                features.iter().map(|&feature| feature.to_owned()).collect();
            if features.contains(&"ETAG") && features.contains(&"TRANSACTIONAL") {
                capabilities.push("ACTOR".to_owned());
            }
            RegisteredComponent {
                name: shared.name.clone(),
                kind: shared.kind.clone(),
                version: shared.version.clone(),
                capabilities,
            }
        });
        registered.collect()
    }

    /// The names by which logs speak of the stores.
    pub fn log_names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|shared| shared.log_name.as_str())
    }

    /// Says of each store whether it is connected, what went wrong last, and its breaker's state.
    pub fn report(&self, extended: &mut BTreeMap<String, String>) {
        for shared in self.0.iter() {
            let mut say = |what: &str, text: String| {
                extended.insert(format!("outrigger.store.{}.{what}", shared.name), text);
            };
            if let Backend::Redis { health, .. } = &shared.backend {
                let condition = health.condition();
                say("connected", condition.connected.to_string());
                if let Some(error) = condition.last_error {
                    say("lastError", error);
                }
            }
            if let Some(breaker) = shared.outbound.breaker() {
                say("breaker", breaker.state().to_string());
            }
        }
    }
}
