use super::*;
use crate::resiliency::{backoff::Backoff, trip::TripRule};

fn seconds(seconds: u64) -> Option<Duration> {
    Some(Duration::from_secs(seconds))
}

fn retries(max_retries: u32) -> RetryPolicy {
    let backoff = Backoff::Constant { duration: Backoff::DEFAULT_DURATION };
    RetryPolicy { backoff, max_retries: Some(max_retries) }
}

fn circuit() -> CircuitSettings {
    CircuitSettings::new(1, None, None, TripRule::default_rule())
}

fn named<T>(entries: impl IntoIterator<Item = (&'static str, T)>) -> BTreeMap<String, T> {
    entries.into_iter().map(|(name, entry)| (name.to_owned(), entry)).collect()
}

fn target(timeout: &str, retry: &str, circuit_breaker: &str) -> OutboundTarget {
    let name = |name: &str| (!name.is_empty()).then(|| name.to_owned());
    OutboundTarget {
        timeout: name(timeout),
        retry: name(retry),
        circuit_breaker: name(circuit_breaker),
    }
}

fn definitions() -> Definitions {
    Definitions {
        timeouts: named([("fast", seconds(1)), ("DefaultTimeoutPolicy", seconds(9))]),
        retries: named([
            ("thrice", retries(3)),
            ("DefaultRetryPolicy", retries(1)),
            ("DefaultComponentOutboundRetryPolicy", retries(2)),
        ]),
        circuit_breakers: named([
            ("simpleCB", circuit()),
            ("DefaultComponentCircuitBreakerPolicy", circuit()),
        ]),
        components: named([
            ("statestore", target("fast", "thrice", "simpleCB")),
            ("bare", target("", "", "")),
            ("partly", target("", "thrice", "")),
        ]),
    }
}

/// A policy's timeout, its retries, and its breaker's name.
fn parts(policy: &Policy) -> (Option<Duration>, Option<RetryPolicy>, Option<&str>) {
    (policy.timeout(), policy.retry(), policy.breaker().map(|breaker| breaker.name()))
}

#[tokio::test(start_paused = true)]
async fn a_target_has_the_policies_it_names() {
    let catalog = PolicyCatalog::new(definitions()).unwrap();
    let policy = catalog.outbound("statestore");
    assert_eq!(policy.operation(), "component[statestore] output");
    let expected = (seconds(1), Some(retries(3)), Some("simpleCB-statestore"));
    assert_eq!(parts(&policy), expected);
}

#[tokio::test(start_paused = true)]
async fn an_entry_keeps_the_defaults_away_even_from_what_it_leaves_out() {
    let catalog = PolicyCatalog::new(definitions()).unwrap();
    assert_eq!(parts(&catalog.outbound("bare")), (None, None, None));
    assert_eq!(parts(&catalog.outbound("partly")), (None, Some(retries(3)), None));
}

#[tokio::test(start_paused = true)]
async fn without_an_entry_each_kind_has_its_own_first_default() {
    let catalog = PolicyCatalog::new(definitions()).unwrap();
    let expected =
        (seconds(9), Some(retries(2)), Some("DefaultComponentCircuitBreakerPolicy-other"));
    assert_eq!(parts(&catalog.outbound("other")), expected);
}

#[tokio::test(start_paused = true)]
async fn the_narrowest_default_wins() {
    let names = [
        "DefaultStatestoreComponentOutboundRetryPolicy",
        "DefaultComponentOutboundRetryPolicy",
        "DefaultComponentRetryPolicy",
        "DefaultRetryPolicy",
    ];
    let mut all = Definitions::default();
    for (max_retries, name) in (0..4).zip(names).rev() {
        all.retries.insert(name.to_owned(), retries(max_retries));
        let catalog = PolicyCatalog::new(all.clone()).unwrap();
        assert_eq!(catalog.outbound("any").retry(), Some(retries(max_retries)), "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_default_timeout_of_nothing_hides_the_wider_ones() {
    let mut definitions = definitions();
    definitions.timeouts.insert("DefaultComponentTimeoutPolicy".to_owned(), None);
    let catalog = PolicyCatalog::new(definitions).unwrap();
    assert_eq!(catalog.outbound("other").timeout(), None);
}

#[tokio::test(start_paused = true)]
async fn a_component_has_one_breaker_however_often_it_is_asked_for() {
    let catalog = PolicyCatalog::new(definitions()).unwrap();
    assert_eq!(catalog.breakers().len(), 0);
    let (first, second) = (catalog.outbound("statestore"), catalog.outbound("statestore"));
    assert!(Arc::ptr_eq(first.breaker().unwrap(), second.breaker().unwrap()));
    let other = catalog.outbound("other");
    assert!(!Arc::ptr_eq(first.breaker().unwrap(), other.breaker().unwrap()));
    let breakers = catalog.breakers();
    let names: Vec<&str> = breakers.iter().map(|breaker| breaker.name()).collect();
    assert_eq!(names, ["DefaultComponentCircuitBreakerPolicy-other", "simpleCB-statestore"]);
}

#[test]
fn names_that_are_not_defined_are_all_told_with_what_may_have_been_meant() {
    let mut definitions = definitions();
    definitions.components =
        named([("a", target("fasst", "tryce", "simpleCb")), ("b", target("fast", "never", ""))]);
    let unknown = PolicyCatalog::new(definitions).unwrap_err();
    let messages: Vec<String> = unknown.iter().map(UnknownName::to_string).collect();
    let expected = [
        r#"component "a" names the timeout "fasst", which is not defined; did you mean "fast""#,
        r#"component "a" names the retry "tryce", which is not defined"#,
        r#"component "a" names the circuit breaker "simpleCb", which is not defined; did you mean "simpleCB""#,
        r#"component "b" names the retry "never", which is not defined"#,
    ];
    assert_eq!(messages, expected);
}

#[tokio::test(start_paused = true)]
async fn leniently_a_name_that_is_not_defined_is_no_policy() {
    let mut definitions = definitions();
    definitions.components = named([("a", target("fast", "never", "nowhere"))]);
    let (catalog, unknown) = PolicyCatalog::new_lenient(definitions);
    let kinds: Vec<PolicyKind> = unknown.iter().map(|unknown| unknown.kind).collect();
    assert_eq!(kinds, [PolicyKind::Retry, PolicyKind::CircuitBreaker]);
    assert_eq!(parts(&catalog.outbound("a")), (seconds(1), None, None));
    assert_eq!(catalog.targets().collect::<Vec<_>>(), ["a"]);
}

#[test]
fn a_later_resource_replaces_whole_entries_of_an_earlier_one() {
    let mut merged = definitions();
    merged.merge(Definitions {
        timeouts: named([("fast", seconds(2)), ("slow", seconds(60))]),
        retries: named([("thrice", retries(4))]),
        circuit_breakers: BTreeMap::new(),
        components: named([("statestore", target("slow", "", ""))]),
    });
    assert_eq!(merged.timeouts["fast"], seconds(2));
    assert_eq!(merged.retries["thrice"], retries(4));
    assert_eq!(merged.components["statestore"], target("slow", "", ""));
    assert_eq!(merged.components["partly"], target("", "thrice", ""));
    assert_eq!(merged.circuit_breakers, definitions().circuit_breakers);
}
