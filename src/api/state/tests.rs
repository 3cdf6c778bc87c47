//! The API over a store that answers from a script, on the paused clock.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::time::Instant;

use super::*;
use crate::{
    resiliency::{
        backoff::Backoff,
        breaker::Breaker,
        circuit::{CircuitSettings, State},
        retry::RetryPolicy,
        trip::TripRule,
    },
    state_store::{Answers, Condition, Expected, Prepared, PreparedChange, SharedWrites, Ttl},
};

type Answer = Result<(), StoreError>;
type Read = Result<Option<Entry>, StoreError>;

/// Answers each attempt with the next line of its script, which may be too short and then leaves the
/// others unanswered, and notes the keys it was given.
#[derive(Clone, Default)]
struct ScriptedStore {
    writes: Arc<Mutex<VecDeque<Vec<Answer>>>>,
    reads: Arc<Mutex<VecDeque<Vec<Read>>>>,
    attempts: Arc<Mutex<Vec<Vec<String>>>>,
}

impl ScriptedStore {
    fn note<'a>(&self, keys: impl Iterator<Item = &'a StoredKey>) {
        let keys = keys.map(|key| key.as_str().to_owned()).collect();
        self.attempts.lock().unwrap().push(keys);
    }

    fn attempts(&self) -> Vec<Vec<String>> {
        self.attempts.lock().unwrap().clone()
    }
}

impl StateStore for ScriptedStore {
    fn prepare(&self, write: Write) -> Result<Prepared, StoreError> {
        if write.etag.as_deref() == Some("abc") {
            return Err(StoreError::EtagInvalid("abc".to_owned()));
        }
        let change = match write.change {
            Change::Set { ttl: Some(ttl), .. } => return Err(StoreError::TtlInvalid(ttl)),
            Change::Set { value, ttl: None } => PreparedChange::Set { value, ttl: Ttl::Unchanged },
            Change::Delete => PreparedChange::Delete,
        };
        Ok(Prepared {
            key: write.key,
            change,
            expected: Expected::Any,
            conditional: write.etag.is_some(),
            concurrency: write.concurrency,
            consistency: write.consistency,
        })
    }

    async fn get(&self, key: &StoredKey) -> Read {
        let mut found = Found::new(1);
        self.get_many(std::slice::from_ref(key), &mut found).await;
        found.into_iter().next().flatten().unwrap()
    }

    async fn get_many(&self, keys: &[StoredKey], found: &mut Found) {
        self.note(keys.iter());
        let script = self.reads.lock().unwrap().pop_front().unwrap_or_default();
        let is_whole = script.len() == keys.len();
        found.fill(0, script);
        if !is_whole {
            std::future::pending().await
        }
    }

    async fn write(&self, writes: &SharedWrites, answers: &mut Answers) {
        self.note(writes.iter().map(|write| &write.key));
        let script = self.writes.lock().unwrap().pop_front().unwrap_or_default();
        let is_whole = script.len() == writes.len();
        answers.fill(0, script);
        if !is_whole {
            std::future::pending().await
        }
    }

    async fn transact(&self, writes: &SharedWrites, answers: &mut Answers) {
        self.write(writes, answers).await;
    }

    fn condition(&self) -> Option<Condition> {
        None
    }

    fn query_refusal(&self) -> Option<&'static str> {
        None
    }

    fn transacts_json(&self) -> bool {
        true
    }
}

fn policy(max_retries: u32, breaker: Option<Arc<Breaker>>) -> Policy {
    let backoff = Backoff::Constant { duration: Duration::from_secs(5) };
    let retry = RetryPolicy { backoff, max_retries: Some(max_retries) };
    Policy::new("component[store] output", Some(Duration::from_secs(1)), breaker, Some(retry))
}

fn component(store: &ScriptedStore, outbound: Policy) -> StateComponent<ScriptedStore> {
    StateComponent {
        name: "store".to_owned(),
        store: store.clone(),
        key_prefix: KeyPrefix::parse(Some("none"), "app", "store", None).unwrap(),
        meters: Arc::default(),
        outbound,
    }
}

fn writing(script: Vec<Vec<Answer>>) -> ScriptedStore {
    ScriptedStore { writes: Arc::new(Mutex::new(script.into())), ..ScriptedStore::default() }
}

fn reading(script: Vec<Vec<Read>>) -> ScriptedStore {
    ScriptedStore { reads: Arc::new(Mutex::new(script.into())), ..ScriptedStore::default() }
}

fn item(key: &str) -> SaveItem {
    SaveItem {
        key: UserKey::parse(key.to_owned()).unwrap(),
        value: Bytes::from_static(b"v"),
        json: false,
        etag: None,
        ttl: None,
        concurrency: Concurrency::Unspecified,
        consistency: Consistency::Unspecified,
    }
}

fn lost() -> StoreError {
    StoreError::Lost("EOF".to_owned().into())
}

fn mismatch() -> StoreError {
    StoreError::EtagMismatch("refused".to_owned())
}

fn entry(data: &'static [u8]) -> Option<Entry> {
    Some(Entry { data: Bytes::from_static(data), etag: None, expires_at: None })
}

async fn save(
    store: &ScriptedStore,
    max_retries: u32,
    items: Vec<SaveItem>,
) -> Result<(), StateError> {
    component(store, policy(max_retries, None)).save(&Call::default(), items).await
}

fn keys<const N: usize>(texts: [&str; N]) -> Vec<UserKey> {
    texts.map(|text| UserKey::parse(text.to_owned()).unwrap()).to_vec()
}

fn save_class(result: Result<(), StateError>) -> Class {
    match result {
        Err(StateError::Save { cause, .. }) => cause.class(),
        other => panic!("not a failed save: {other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_retry_repeats_only_what_an_outage_left_open() {
    let store = writing(vec![vec![Ok(()), Err(lost())], vec![Ok(())]]);
    let saved = save(&store, 1, vec![item("a"), item("b")]);
    assert_eq!(saved.await, Ok(()));
    assert_eq!(store.attempts(), [vec!["a", "b"], vec!["b"]]);
}

#[tokio::test(start_paused = true)]
async fn a_conflict_is_kept_when_another_item_succeeds_on_retry() {
    let store = writing(vec![vec![Err(mismatch()), Err(lost())], vec![Ok(())]]);
    let saved = save(&store, 1, vec![item("a"), item("b")]);
    assert_eq!(save_class(saved.await), Class::Conflict);
    assert_eq!(store.attempts(), [vec!["a", "b"], vec!["b"]]);
}

#[tokio::test(start_paused = true)]
async fn a_conflict_beside_a_lasting_outage_is_an_outage() {
    let store = writing(vec![vec![Err(mismatch()), Err(lost())], vec![Err(lost())]]);
    let saved = save(&store, 1, vec![item("a"), item("b")]);
    assert_eq!(save_class(saved.await), Class::Lost);
}

#[tokio::test(start_paused = true)]
async fn what_the_store_answered_is_not_retried_and_is_a_success_of_the_store() {
    let rule = TripRule::parse("consecutiveFailures >= 1").unwrap();
    let breaker = Breaker::new("cb", CircuitSettings::new(1, None, None, rule));
    let store = writing(vec![vec![Err(mismatch())]]);
    let component = component(&store, policy(3, Some(breaker.clone())));
    let saved = component.save(&Call::default(), vec![item("a")]).await;
    assert_eq!(save_class(saved), Class::Conflict);
    assert_eq!(store.attempts().len(), 1);
    assert_eq!(breaker.state(), State::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_bad_ttl_refuses_the_whole_call_before_anything_is_written() {
    let store = writing(vec![]);
    let bad = SaveItem { ttl: Some("soon".to_owned()), ..item("b") };
    let saved = save(&store, 3, vec![item("a"), bad]).await;
    assert_eq!(saved.unwrap_err().to_string(), "failed saving state in state store store: soon");
    assert!(store.attempts().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_bad_etag_refuses_its_own_item_only() {
    let store = writing(vec![vec![Ok(())]]);
    let bad = SaveItem { etag: Some("abc".to_owned()), ..item("a") };
    let saved = save(&store, 3, vec![bad, item("b")]).await;
    assert_eq!(save_class(saved), Class::BadEtag);
    assert_eq!(store.attempts(), [vec!["b"]]);
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_times_out_is_retried_as_a_whole() {
    let store = writing(vec![]);
    let saved = save(&store, 1, vec![item("a"), item("b")]);
    assert_eq!(
        saved.await.unwrap_err().to_string(),
        "failed saving state in state store store: context deadline exceeded"
    );
    assert_eq!(store.attempts(), [vec!["a", "b"], vec!["a", "b"]]);
}

#[tokio::test(start_paused = true)]
async fn what_was_heard_before_a_timeout_is_kept() {
    let store = writing(vec![vec![Ok(()), Err(mismatch())], vec![Ok(())]]);
    let saved = save(&store, 1, vec![item("a"), item("b"), item("c")]).await;
    assert_eq!(save_class(saved), Class::Conflict);
    assert_eq!(store.attempts(), [vec!["a", "b", "c"], vec!["c"]]);
    let given_up = writing(vec![vec![Ok(()), Err(mismatch())]]);
    let saved = save(&given_up, 0, vec![item("a"), item("b"), item("c")]).await;
    assert_eq!(
        saved.as_ref().unwrap_err().to_string(),
        "failed saving state in state store store: \
         possible etag mismatch. error from state store: refused\ncontext deadline exceeded"
    );
    assert_eq!(save_class(saved), Class::Timeout);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_that_may_be_about_the_calls_own_write_is_no_conflict() {
    // Lost, and not answered at all: both may have been carried out.
    for first in [vec![Err(lost())], vec![]] {
        let store = writing(vec![first, vec![Err(mismatch())]]);
        let saved = save(&store, 1, vec![item("a")]).await;
        assert_eq!(
            saved.as_ref().unwrap_err().to_string(),
            "failed saving state in state store store: possible etag mismatch. error from state \
             store: refused: an earlier attempt may have been carried out, so read the key before \
             you decide"
        );
        assert_eq!(save_class(saved), Class::Unclear);
    }
    let never_sent = StoreError::Unreachable("refused".to_owned().into());
    let store = writing(vec![vec![Err(never_sent)], vec![Err(mismatch())]]);
    let saved = save(&store, 1, vec![item("a")]).await;
    assert_eq!(save_class(saved), Class::Conflict);
}

#[tokio::test(start_paused = true)]
async fn a_retry_keeps_the_order_of_the_writes_of_one_key() {
    let full = StoreError::Unavailable("OOM".to_owned().into());
    let store = writing(vec![
        vec![Err(full), Ok(()), Ok(()), Err(mismatch())],
        vec![Ok(()), Ok(()), Ok(())],
    ]);
    let operations = ["a", "a", "b", "a"].map(|key| Operation::Upsert(item(key)));
    let done =
        component(&store, policy(1, None)).transact(&Call::default(), operations.into()).await;
    assert_eq!(done, Ok(()));
    assert_eq!(store.attempts(), [vec!["a", "a", "b", "a"], vec!["a", "a", "a"]]);
}

#[tokio::test(start_paused = true)]
async fn a_conflict_is_told_beside_the_breaker_that_ended_the_call() {
    let rule = TripRule::parse("consecutiveFailures >= 1").unwrap();
    let breaker = Breaker::new("cb", CircuitSettings::new(1, None, None, rule));
    let store = writing(vec![vec![Err(mismatch()), Err(lost())]]);
    let component = component(&store, policy(3, Some(breaker)));
    let saved = component.save(&Call::default(), vec![item("a"), item("b")]).await;
    assert_eq!(
        saved.unwrap_err().to_string(),
        "failed saving state in state store store: \
         possible etag mismatch. error from state store: refused\ncircuit breaker is open"
    );
    assert_eq!(store.attempts().len(), 1);
}

/// A caller who waits for so long.
fn waits(seconds: u64) -> Call {
    Call { deadline: Some(Instant::now() + Duration::from_secs(seconds)) }
}

#[tokio::test(start_paused = true)]
async fn a_caller_without_time_for_a_retry_is_told_at_once_what_failed() {
    let begun = Instant::now();
    let store = writing(vec![vec![Err(lost())], vec![Err(mismatch()), Err(lost()), Ok(())]]);
    let component = component(&store, policy(3, None));
    let one = component.save(&waits(4), vec![item("a")]).await;
    assert_eq!(
        one.as_ref().unwrap_err().to_string(),
        "failed saving state in state store store: \
         context deadline exceeded: no time left to retry: EOF"
    );
    assert_eq!(save_class(one), Class::DeadlineExceeded);
    let several = component.save(&waits(4), ["a", "b", "c"].map(item).into()).await;
    assert_eq!(
        several.as_ref().unwrap_err().to_string(),
        "failed saving state in state store store: context deadline exceeded: \
         no time left to retry: possible etag mismatch. error from state store: refused\nEOF"
    );
    assert_eq!(save_class(several), Class::DeadlineExceeded);
    assert_eq!(store.attempts(), [vec!["a"], vec!["a", "b", "c"]]);
    assert_eq!(begun.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_write_cut_by_its_callers_deadline_is_no_timeout_of_the_policy() {
    let store = writing(vec![]);
    let component = component(&store, policy(3, None));
    // The policy gives an attempt a second and pauses for five.
    for (seconds, attempts, took) in [(1, 1, 1), (6, 1, 1), (7, 2, 7), (8, 2, 7)] {
        let begun = Instant::now();
        store.attempts.lock().unwrap().clear();
        let cut = component.save(&waits(seconds), vec![item("a")]).await;
        assert_eq!(
            cut.as_ref().unwrap_err().to_string(),
            "failed saving state in state store store: context deadline exceeded"
        );
        assert_eq!(save_class(cut), Class::DeadlineExceeded, "{seconds}");
        assert_eq!(store.attempts().len(), attempts, "{seconds}");
        assert_eq!(begun.elapsed(), Duration::from_secs(took), "{seconds}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_bulk_read_out_of_time_tells_what_it_has() {
    let store = reading(vec![vec![Ok(entry(b"1")), Err(lost())], vec![Err(lost()), Err(lost())]]);
    let component = component(&store, policy(3, None));
    let items = component.bulk_get(&waits(4), keys(["a", "b"])).await.unwrap();
    let found: Vec<_> = items.into_iter().map(|item| item.found).collect();
    assert_eq!(found, [Ok(entry(b"1")), Err(PolicyError::Operation(lost()))]);
    let nothing = component.bulk_get(&waits(4), keys(["a", "b"])).await;
    let expected = StateError::BulkGet(PolicyError::NoTimeToRetry(lost()));
    assert_eq!(nothing.err(), Some(expected));
}

#[tokio::test(start_paused = true)]
async fn a_bulk_read_refetches_only_the_keys_an_outage_hit() {
    let store = reading(vec![vec![Ok(entry(b"1")), Err(lost()), Ok(None)], vec![Ok(entry(b"2"))]]);
    let keys = keys(["a", "b", "c"]);
    let items = component(&store, policy(1, None)).bulk_get(&Call::default(), keys).await.unwrap();
    let found: Vec<_> = items.into_iter().map(|item| item.found.unwrap()).collect();
    assert_eq!(found, [entry(b"1"), entry(b"2"), None]);
    assert_eq!(store.attempts(), [vec!["a", "b", "c"], vec!["b"]]);
}

#[tokio::test(start_paused = true)]
async fn what_was_read_before_a_timeout_is_kept() {
    let store = reading(vec![vec![Ok(entry(b"1"))], vec![Ok(entry(b"2"))]]);
    let keys = keys(["a", "b", "c"]);
    let items = component(&store, policy(1, None)).bulk_get(&Call::default(), keys).await.unwrap();
    let found: Vec<_> = items.into_iter().map(|item| item.found).collect();
    assert_eq!(found, [Ok(entry(b"1")), Ok(entry(b"2")), Err(PolicyError::TimedOut)]);
    assert_eq!(store.attempts(), [vec!["a", "b", "c"], vec!["b", "c"]]);
}

#[tokio::test(start_paused = true)]
async fn a_bulk_read_given_up_answers_with_an_error_per_key() {
    let refused = StoreError::Refused("WRONGTYPE".to_owned());
    let store = reading(vec![vec![Ok(entry(b"1")), Err(lost()), Err(refused.clone())]]);
    let keys = keys(["a", "b", "c"]);
    let items = component(&store, policy(0, None)).bulk_get(&Call::default(), keys).await.unwrap();
    let found: Vec<_> = items.into_iter().map(|item| item.found).collect();
    assert_eq!(
        found,
        [
            Ok(entry(b"1")),
            Err(PolicyError::Operation(lost())),
            Err(PolicyError::Operation(refused))
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_bulk_read_that_never_reached_the_store_fails_as_a_whole() {
    let store = reading(vec![]);
    let keys = keys(["a"]);
    let items = component(&store, policy(0, None)).bulk_get(&Call::default(), keys).await;
    assert_eq!(items.err(), Some(StateError::BulkGet(PolicyError::TimedOut)));
}

#[tokio::test(start_paused = true)]
async fn a_transaction_tells_its_first_refusal_and_is_not_retried_for_it() {
    let store = writing(vec![vec![Ok(()), Err(mismatch()), Ok(())]]);
    let operations = ["a", "b", "c"].map(|key| Operation::Upsert(item(key)));
    let done =
        component(&store, policy(3, None)).transact(&Call::default(), operations.into()).await;
    assert_eq!(
        done.unwrap_err().to_string(),
        "error while executing state transaction: \
         possible etag mismatch. error from state store: refused"
    );
    assert_eq!(store.attempts().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn json_is_stored_compact_and_bad_json_is_refused_before_the_store() {
    let store = writing(vec![]);
    let bad = SaveItem { json: true, value: Bytes::from_static(b"{bad}"), ..item("a") };
    let saved = save(&store, 0, vec![bad]).await;
    let expected = "invalid character 'b' looking for beginning of object key string";
    assert_eq!(saved, Err(StateError::InvalidJson(expected.to_owned())));
    assert!(store.attempts().is_empty());
}

#[test]
fn a_missing_store_is_told_apart_from_having_none() {
    let none = StateApi::<ScriptedStore>::new(vec![]);
    assert!(matches!(none.component("x"), Err(StateError::NotConfigured { .. })));
    let some = StateApi::new(vec![component(
        &ScriptedStore::default(),
        Policy::none("component[store] output"),
    )]);
    assert!(matches!(some.component("x"), Err(StateError::NotFound { .. })));
    assert!(some.component("store").is_ok());
}
