//! Resource files as texts.

use super::{canary, redis::Redis};

/// A state store on a Redis, with its password.
pub fn statestore(redis: &Redis) -> String {
    component(&[
        ("redisHost", &format!("127.0.0.1:{}", redis.port)),
        ("redisPassword", canary::PASSWORD),
    ])
}

/// A state store on a Redis, with its password and more settings.
pub fn statestore_with(redis: &Redis, more: &[(&str, &str)]) -> String {
    let host = format!("127.0.0.1:{}", redis.port);
    let mut metadata = vec![("redisHost", host.as_str()), ("redisPassword", canary::PASSWORD)];
    metadata.extend(more);
    component(&metadata)
}

/// The component `statestore` of type `state.redis` with these settings.
pub fn component(metadata: &[(&str, &str)]) -> String {
    let mut text = "apiVersion: dapr.io/v1alpha1\nkind: Component\nmetadata:\n  name: statestore\n\
        spec:\n  type: state.redis\n  version: v1\n  metadata:\n"
        .to_owned();
    for (name, value) in metadata {
        let value = serde_json::to_string(value).expect("a text");
        text.push_str(&format!("  - name: {name}\n    value: {value}\n"));
    }
    text
}

/// A Resiliency resource: its policies, and those of them that stand before `statestore`.
pub fn resiliency(policies: &str, outbound: &str) -> String {
    let indent = |text: &str, depth: usize| -> String {
        text.lines().map(|line| format!("{:depth$}{line}\n", "")).collect()
    };
    format!(
        "apiVersion: dapr.io/v1alpha1\nkind: Resiliency\nmetadata:\n  name: myresiliency\n\
         scopes:\n  - order-processor\nspec:\n  policies:\n{}  targets:\n    components:\n      \
         statestore:\n        outbound:\n{}",
        indent(policies, 4),
        indent(outbound, 10),
    )
}

/// How many failures in a row open the breaker of [`quickstart_in_a_hurry`].
pub const FAILURES_TO_OPEN: usize = 3;

/// The policies of the quickstart, their waits shortened: retry for ever, behind a breaker that
/// stays open as long as a retry waits.
pub fn quickstart_in_a_hurry() -> String {
    resiliency(
        "retries:\n  retryForever:\n    policy: constant\n    duration: 300ms\n    maxRetries: -1\n\
         circuitBreakers:\n  simpleCB:\n    maxRequests: 1\n    timeout: 300ms\n    \
         trip: consecutiveFailures >= 3",
        "retry: retryForever\ncircuitBreaker: simpleCB",
    )
}

/// The same, with a bound on every attempt.
pub fn quickstart_in_a_hurry_with_timeout() -> String {
    resiliency(
        "timeouts:\n  quick: 200ms\n\
         retries:\n  retryForever:\n    policy: constant\n    duration: 300ms\n    maxRetries: -1\n\
         circuitBreakers:\n  simpleCB:\n    maxRequests: 1\n    timeout: 300ms\n    \
         trip: consecutiveFailures >= 3",
        "timeout: quick\nretry: retryForever\ncircuitBreaker: simpleCB",
    )
}
