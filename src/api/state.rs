//! The state API: finds the store, makes the keys, runs the policy around the store.

use std::{collections::BTreeMap, iter, pin::pin, sync::Arc};

use bytes::Bytes;

use crate::{
    api::{
        error::{StateError, WriteFailure},
        json,
        key::{KeyPrefix, UserKey},
        writing::{self, is_outage},
    },
    call::Call,
    metrics::component::{Class, ComponentMeters, Operation as Metered, Timer},
    resiliency::policy::{Policy, PolicyError},
    state_store::{
        Change, Concurrency, ConfiguredStore, Consistency, Entry, Found, StateStore, StoreError,
        StoredKey, Write,
    },
};

/// The loaded state stores, by name.
#[derive(Clone)]
pub struct StateApi<S = ConfiguredStore> {
    components: Arc<BTreeMap<String, StateComponent<S>>>,
}

/// One loaded state store with its keys' prefix and its policy.
#[derive(Clone)]
pub struct StateComponent<S = ConfiguredStore> {
    /// `metadata.name` of the component.
    pub name: String,
    /// Where the values are.
    pub store: S,
    /// What stands before its keys.
    pub key_prefix: KeyPrefix,
    /// What is run around every attempt.
    pub outbound: Policy,
    /// What is counted; the data-plane threads share it.
    pub meters: Arc<ComponentMeters>,
}

/// A value to save, as both edges hand it on.
pub struct SaveItem {
    /// The caller's key.
    pub key: UserKey,
    /// The value as received.
    pub value: Bytes,
    /// Whether the caller announced the value as JSON, which is stored compact.
    pub json: bool,
    /// The version the caller expects.
    pub etag: Option<String>,
    /// The text of `ttlInSeconds`.
    pub ttl: Option<String>,
    /// What happens when two writers meet.
    pub concurrency: Concurrency,
    /// When the write counts as done.
    pub consistency: Consistency,
}

/// A key to delete.
pub struct DeleteItem {
    /// The caller's key.
    pub key: UserKey,
    /// The version the caller expects.
    pub etag: Option<String>,
    /// What happens when two writers meet.
    pub concurrency: Concurrency,
    /// When the delete counts as done.
    pub consistency: Consistency,
}

/// One operation of a transaction.
pub enum Operation {
    /// Save this value.
    Upsert(SaveItem),
    /// Delete this key.
    Delete(DeleteItem),
}

/// What a bulk read found for one key.
pub struct BulkItem {
    /// The caller's key.
    pub key: UserKey,
    /// The value, nothing, or why it could not be read.
    pub found: Result<Option<Entry>, PolicyError<StoreError>>,
}

impl<S: StateStore> StateApi<S> {
    /// The API over these stores.
    pub fn new(components: Vec<StateComponent<S>>) -> Self {
        let by_name = components.into_iter().map(|component| (component.name.clone(), component));
        Self { components: Arc::new(by_name.collect()) }
    }

    /// The store of this name. Dapr answers differently where there is no store at all.
    pub fn component(&self, name: &str) -> Result<&StateComponent<S>, StateError> {
        match self.components.get(name) {
            Some(component) => Ok(component),
            None if self.components.is_empty() => {
                Err(StateError::NotConfigured { store: name.to_owned() })
            }
            None => Err(StateError::NotFound { store: name.to_owned() }),
        }
    }
}

impl<S: StateStore> StateComponent<S> {
    /// Reads the caller's text as a key of this store.
    pub fn key(&self, text: String) -> Result<UserKey, StateError> {
        UserKey::parse(text)
            .map_err(|invalid| StateError::InvalidKey { store: self.name.clone(), key: invalid.0 })
    }

    /// Reads the caller's text as the key of a save, which must not be empty.
    pub fn save_key(&self, text: String) -> Result<UserKey, StateError> {
        if text.is_empty() { Err(StateError::EmptyKey) } else { self.key(text) }
    }

    /// Reads one key.
    pub async fn get(&self, call: &Call, key: &UserKey) -> Result<Option<Entry>, StateError> {
        let timer = self.meters.begin(Metered::Get);
        let stored = self.key_prefix.stored(key);
        // By itself, a call's future stays below what an allocator keeps at hand.
        let found = self.outbound.run(call, || Box::pin(self.store.get(&stored))).await;
        told(timer, found.as_ref().err().map(Class::from));
        found.map_err(|cause| StateError::Get {
            store: self.name.clone(),
            key: key.as_str().to_owned(),
            cause,
        })
    }

    /// Reads several keys. An outage that hits only some keys is seen by the policy and retried for
    /// those alone; what is still missing when it gives up is said per key.
    pub async fn bulk_get(
        &self,
        call: &Call,
        keys: Vec<UserKey>,
    ) -> Result<Vec<BulkItem>, StateError> {
        let Some(timer) = self.begin(Metered::BulkGet, keys.len()) else { return Ok(Vec::new()) };
        let stored: Vec<StoredKey> = keys.iter().map(|key| self.key_prefix.stored(key)).collect();
        let found = self.fetch_all(call, &stored).await;
        match &found {
            // Its caller hears of a success even where keys failed; the class says that they did.
            Ok(found) => {
                let failed = found.iter().find_map(|item| item.as_ref().err());
                timer.end(true, failed.map_or(Class::Ok, Class::from));
            }
            Err(cause) => timer.end(false, Class::from(cause)),
        }
        let found = found.map_err(StateError::BulkGet)?;
        Ok(keys.into_iter().zip(found).map(|(key, found)| BulkItem { key, found }).collect())
    }

    /// Saves one or more values.
    pub async fn save(&self, call: &Call, mut items: Vec<SaveItem>) -> Result<(), StateError> {
        for item in items.iter_mut().filter(|item| item.json) {
            let compacted = json::compact(&item.value);
            let compacted =
                compacted.map_err(|error| StateError::InvalidJson(error.to_string()))?;
            item.value = compacted.into();
        }
        let Some(timer) = self.begin(Metered::Set, items.len()) else { return Ok(()) };
        let writes = items.into_iter().map(|item| self.set(item));
        let done = writing::write_each(&self.store, &self.outbound, call, writes).await;
        told(timer, done.as_ref().err().map(WriteFailure::class));
        done.map_err(|cause| StateError::Save { store: self.name.clone(), cause })
    }

    /// Deletes one key; a missing one is no error.
    pub async fn delete(&self, call: &Call, item: DeleteItem) -> Result<(), StateError> {
        let key = item.key.as_str().to_owned();
        let timer = self.meters.begin(Metered::Delete);
        let writes = iter::once(self.removal(item));
        let done = writing::write_each(&self.store, &self.outbound, call, writes).await;
        told(timer, done.as_ref().err().map(WriteFailure::class));
        done.map_err(|cause| StateError::Delete { key, cause })
    }

    /// Deletes several keys.
    pub async fn bulk_delete(&self, call: &Call, items: Vec<DeleteItem>) -> Result<(), StateError> {
        let Some(timer) = self.begin(Metered::BulkDelete, items.len()) else { return Ok(()) };
        let writes = items.into_iter().map(|item| self.removal(item));
        let done = writing::write_each(&self.store, &self.outbound, call, writes).await;
        told(timer, done.as_ref().err().map(WriteFailure::class));
        done.map_err(|cause| StateError::BulkDelete { store: self.name.clone(), cause })
    }

    /// Applies the operations in their order, each on its own, as Dapr does on Redis.
    pub async fn transact(
        &self,
        call: &Call,
        operations: Vec<Operation>,
    ) -> Result<(), StateError> {
        let mut refusal = None;
        let mut writes = Vec::with_capacity(operations.len());
        for operation in operations {
            match operation {
                Operation::Upsert(item) if item.json && !self.store.transacts_json() => {
                    refusal.get_or_insert(StoreError::Refused(format!(
                        "key {} is announced as application/json, which this store takes in a save \
                         but not in a transaction",
                        item.key.as_str()
                    )));
                }
                // The bytes of a transaction are stored as they are, also when announced as JSON.
                Operation::Upsert(item) => writes.push(self.set(item)),
                Operation::Delete(item) => writes.push(self.removal(item)),
            }
        }
        if writes.is_empty() && refusal.is_none() {
            return Ok(());
        }
        let timer = self.meters.begin(Metered::Transaction);
        let refused = refusal.map_or(Ok(()), |error| Err(WriteFailure::refused(error)));
        let done = writing::transact(&self.store, &self.outbound, call, writes).await.and(refused);
        told(timer, done.as_ref().err().map(WriteFailure::class));
        done.map_err(StateError::Transaction)
    }

    /// Refuses a query, in the words for this store.
    pub fn query(&self, query: &str) -> Result<(), StateError> {
        let store = self.name.clone();
        let Some(refusal) = self.store.query_refusal() else {
            return Err(StateError::QueryUnsupported { store });
        };
        told(self.meters.begin(Metered::Query), Some(Class::Refused));
        let detail = match json::compact(query.as_bytes()) {
            Ok(_) => refusal.to_owned(),
            Err(error) => format!("failed to parse JSON query body: {error}"),
        };
        Err(StateError::QueryFailed { store, detail })
    }

    /// Begins to count a call; `None` if there is nothing to do, which is no call for a store.
    fn begin(&self, operation: Metered, items: usize) -> Option<Timer<'_>> {
        (items > 0).then(|| self.meters.begin(operation))
    }

    async fn fetch_all(
        &self,
        call: &Call,
        keys: &[StoredKey],
    ) -> Result<Vec<Result<Option<Entry>, PolicyError<StoreError>>>, PolicyError<StoreError>> {
        let mut found: Vec<Option<Result<Option<Entry>, StoreError>>> = vec![None; keys.len()];
        let mut missing: Vec<usize> = (0..keys.len()).collect();
        let mut retries = self.outbound.start();
        while !missing.is_empty() {
            let wanted: Vec<StoredKey> = missing.iter().map(|&at| keys[at].clone()).collect();
            let mut answers = Found::new(wanted.len());
            let outcome = {
                let attempt = pin!(async {
                    self.store.get_many(&wanted, &mut answers).await;
                    let outage = answers.failures().find(|error| is_outage(error));
                    outage.map_or(Ok(()), |error| Err(error.clone()))
                });
                self.outbound.attempt(call, attempt).await
            };
            for (&position, answer) in missing.iter().zip(answers) {
                // What an earlier attempt met stays until something else is heard.
                found[position] = answer.or_else(|| found[position].take());
            }
            missing.retain(|&at| match &found[at] {
                None => true,
                Some(Ok(_)) => false,
                Some(Err(error)) => is_outage(error),
            });
            let Err(failure) = outcome else { break };
            let Err(last) = Box::pin(retries.pause_after(call, failure)).await else { continue };
            if missing.len() == keys.len() && !matches!(last, PolicyError::Operation(_)) {
                return Err(last);
            }
            return Ok(found
                .into_iter()
                .map(|found| match found {
                    Some(answer) => answer.map_err(PolicyError::Operation),
                    None => Err(last.clone()),
                })
                .collect());
        }
        retries.succeeded();
        let answered = "invariant: every key was answered when the loop ended";
        Ok(found
            .into_iter()
            .map(|found| found.expect(answered).map_err(PolicyError::Operation))
            .collect())
    }

    /// The value as it is; who takes it for JSON compacts it before.
    fn set(&self, item: SaveItem) -> Write {
        Write {
            key: self.key_prefix.stored(&item.key),
            change: Change::Set { value: item.value, ttl: item.ttl },
            etag: item.etag,
            concurrency: item.concurrency,
            consistency: item.consistency,
        }
    }

    fn removal(&self, item: DeleteItem) -> Write {
        Write {
            key: self.key_prefix.stored(&item.key),
            change: Change::Delete,
            etag: item.etag,
            concurrency: item.concurrency,
            consistency: item.consistency,
        }
    }
}

/// Notes how a call ended: well, or with a failure of this class.
fn told(timer: Timer<'_>, failure: Option<Class>) {
    timer.end(failure.is_none(), failure.unwrap_or(Class::Ok));
}

#[cfg(test)]
mod tests;
