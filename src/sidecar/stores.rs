//! The loaded stores: what all threads share of them, and what each thread gets of its own.

use std::{collections::BTreeMap, sync::Arc};

use crate::{
    api::{
        key::KeyPrefix,
        metadata::RegisteredComponent,
        state::{StateApi, StateComponent},
    },
    metrics::{component::ComponentMeters, families, resiliency::Target, text::Scrape},
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

/// What the series of all stores have in common.
#[derive(Clone, Debug)]
pub struct StoreLabels {
    /// The app.
    pub app_id: String,
    /// `NAMESPACE` as it stands in the environment.
    pub namespace: String,
    /// The name of the Resiliency resource that was loaded last.
    pub resiliency: String,
    /// That resource's namespace.
    pub resiliency_namespace: String,
}

struct SharedStore {
    name: String,
    kind: String,
    version: String,
    log_name: String,
    key_prefix: KeyPrefix,
    outbound: Policy,
    meters: Arc<ComponentMeters>,
    backend: Backend,
}

enum Backend {
    Redis { settings: Arc<RedisSettings>, health: Arc<RedisHealth> },
    InMemory(InMemoryStore),
}

impl Stores {
    /// Takes what was loaded; connects nothing.
    pub fn new(components: Vec<Component>, policies: &PolicyCatalog, latencies: &[u64]) -> Self {
        let shared = components.into_iter().map(|component| SharedStore {
            log_name: component.log_name(),
            outbound: policies.outbound(&component.name),
            meters: Arc::new(ComponentMeters::new(latencies)),
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
            meters: shared.meters.clone(),
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

    /// The stores' names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|shared| shared.name.as_str())
    }

    /// Puts what is counted about the stores and their policies into a scrape.
    pub fn collect(&self, scrape: &mut Scrape, labels: &StoreLabels) {
        let StoreLabels { app_id, namespace, resiliency, resiliency_namespace } = labels;
        for shared in self.0.iter() {
            let by_type = [("app_id", app_id.as_str()), ("component", shared.kind.as_str())];
            scrape.counter(&families::COMPONENT_INIT, by_type, 1);
            shared.meters.collect(scrape, app_id, namespace, &shared.name);
            let policy = &shared.outbound;
            Target {
                app_id,
                name: resiliency,
                namespace: resiliency_namespace,
                target: &format!("Statestore_{}", shared.name),
                meters: policy.meters(),
                has_timeout: policy.timeout().is_some(),
                has_retry: policy.retry().is_some(),
                // Read, and not moved on: a scrape changes nothing.
                breaker: policy
                    .breaker()
                    .map(|breaker| (breaker.meters(), breaker.peek().number())),
            }
            .collect(scrape);
            if let Backend::Redis { health, .. } = &shared.backend {
                let connected = health.condition().connected;
                health.meters().collect(scrape, app_id, &shared.name, connected);
            }
        }
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
