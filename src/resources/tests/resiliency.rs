use std::time::Duration;

use super::*;
use crate::resiliency::{backoff::Backoff, retry::RetryPolicy};

fn with_store(spec: &str) -> Case {
    Case::of(&resiliency(spec)).file("s.yaml", STORE)
}

/// A retry `r` with these fields, for the store.
fn retry(fields: &str) -> Case {
    with_store(&format!(
        "
  policies:
    retries:
      r: {{{fields}}}
  targets:
    components:
      statestore:
        outbound: {{retry: r}}
"
    ))
}

#[track_caller]
fn policy(case: &Case, mode: Strictness) -> Option<RetryPolicy> {
    case.loaded(mode).policies.outbound("statestore").retry()
}

#[test]
fn every_policy_of_a_target_arrives() {
    let case = with_store(
        "
  policies:
    timeouts:
      short: 1500
      endless: 0s
    retries:
      r: {policy: Exponential, maxInterval: 10s, maxRetries: 3}
    circuitBreakers:
      cb: {maxRequests: 2, interval: 8s, timeout: 4s, trip: totalFailures > 2}
  targets:
    components:
      statestore:
        outbound: {timeout: short, retry: r, circuitBreaker: cb}
",
    );
    let resources = case.loaded(Strictness::Strict);
    assert_eq!(resources.resiliency_names, ["res"]);
    let policy = resources.policies.outbound("statestore");
    assert_eq!(policy.timeout(), Some(Duration::from_millis(1500)));
    let backoff = Backoff::Exponential { max_interval: Duration::from_secs(10) };
    assert_eq!(policy.retry(), Some(RetryPolicy { backoff, max_retries: Some(3) }));
    assert!(policy.breaker().is_some());
    insta::assert_snapshot!(case.strict(), @"
    store statestore (state.redis/v1)
    info Loading Resiliency configuration: res
    ");
}

#[test]
fn what_a_retry_leaves_out_has_daprds_defaults() {
    let constant = |seconds, max_retries| {
        let backoff = Backoff::Constant { duration: Duration::from_secs(seconds) };
        Some(RetryPolicy { backoff, max_retries })
    };
    assert_eq!(policy(&retry(""), Strictness::Strict), constant(5, None));
    assert_eq!(policy(&retry("maxRetries: -1"), Strictness::Strict), constant(5, None));
    assert_eq!(policy(&retry("maxRetries: 0"), Strictness::Strict), constant(5, Some(0)));
    assert_eq!(policy(&retry("duration: 2000"), Strictness::Strict), constant(2, None));
    let exponential = Backoff::Exponential { max_interval: Duration::from_secs(60) };
    let found = policy(&retry("policy: exponential"), Strictness::Strict);
    assert_eq!(found, Some(RetryPolicy { backoff: exponential, max_retries: None }));
}

#[test]
fn fields_without_effect_are_named() {
    insta::assert_snapshot!(retry("policy: constant, maxInterval: 5s").strict(), @"
    store statestore (state.redis/v1)
    info Loading Resiliency configuration: res
    warning r.yaml:8:42: spec.policies.retries.r.maxInterval: has no effect on a constant policy; its pause is 5s
    ");
    insta::assert_snapshot!(retry("policy: exponential, duration: 5s").strict(), @"
    store statestore (state.redis/v1)
    info Loading Resiliency configuration: res
    warning r.yaml:8:42: spec.policies.retries.r.duration: has no effect on an exponential policy; its pauses grow from 500ms up to maxInterval
    ");
}

#[test]
fn pauses_of_nothing_are_named() {
    insta::assert_snapshot!(retry("duration: 0s").strict(), @"
    store statestore (state.redis/v1)
    info Loading Resiliency configuration: res
    warning r.yaml:8:21: spec.policies.retries.r.duration: leaves no pause: a target that is down is called without rest
    ");
    insta::assert_snapshot!(retry("policy: exponential, maxInterval: -1s").strict(), @"
    store statestore (state.redis/v1)
    info Loading Resiliency configuration: res
    warning r.yaml:8:45: spec.policies.retries.r.maxInterval: leaves no pause: a target that is down is called without rest
    ");
}

#[test]
fn unknown_names_are_told_with_those_that_are_defined() {
    let case = with_store(
        "
  policies:
    timeouts:
      short: 1s
    retries:
      retryForever: {}
      important: {}
    circuitBreakers:
      simpleCB: {}
  targets:
    apps:
      shop:
        retry: imprtant
    components:
      statestore:
        inbound:
          circuitBreaker: simple
        outbound:
          timeout: shrt
          retry: retryForevr
          circuitBreaker: simpleBC
",
    );
    insta::assert_snapshot!(case.strict(), @r#"
    refused r.yaml:17:16: spec.targets.apps.shop.retry: unknown retry policy "imprtant"; defined are: important, retryForever; did you mean "important"?
    refused r.yaml:21:27: spec.targets.components.statestore.inbound.circuitBreaker: unknown circuit breaker "simple"; defined are: simpleCB; did you mean "simpleCB"?
    refused r.yaml:23:20: spec.targets.components.statestore.outbound.timeout: unknown timeout "shrt"; defined are: short; did you mean "short"?
    refused r.yaml:24:18: spec.targets.components.statestore.outbound.retry: unknown retry policy "retryForevr"; defined are: important, retryForever; did you mean "retryForever"?
    refused r.yaml:25:27: spec.targets.components.statestore.outbound.circuitBreaker: unknown circuit breaker "simpleBC"; defined are: simpleCB; did you mean "simpleCB"?
    "#);
    insta::assert_snapshot!(case.lenient(), @r#"refused r.yaml:25:27: spec.targets.components.statestore.outbound.circuitBreaker: unknown circuit breaker "simpleBC"; defined are: simpleCB; did you mean "simpleCB"?"#);
}

#[test]
fn an_unknown_timeout_or_retry_means_none_to_a_lenient_start() {
    let case = with_store(
        "
  targets:
    components:
      statestore:
        outbound: {timeout: typo, retry: typo}
",
    );
    insta::assert_snapshot!(case.strict(), @r#"
    refused r.yaml:9:29: spec.targets.components.statestore.outbound.timeout: unknown timeout "typo"; none is defined
    refused r.yaml:9:42: spec.targets.components.statestore.outbound.retry: unknown retry policy "typo"; none is defined
    "#);
    insta::assert_snapshot!(case.lenient(), @r#"
    store statestore (state.redis/v1)
    info Loading Resiliency configuration: res
    warning r.yaml:9:29: spec.targets.components.statestore.outbound.timeout: unknown timeout "typo"; none is defined
    warning r.yaml:9:42: spec.targets.components.statestore.outbound.retry: unknown retry policy "typo"; none is defined
    "#);
    assert_eq!(policy(&case, Strictness::Lenient), None);
}

#[test]
fn daprds_own_retries_can_be_named_and_raised() {
    let target = "
  targets:
    components:
      statestore:
        outbound: {retry: DaprBuiltInServiceRetries}
";
    let backoff = Backoff::Constant { duration: Duration::from_secs(1) };
    let found = policy(&with_store(target), Strictness::Strict);
    assert_eq!(found, Some(RetryPolicy { backoff, max_retries: Some(3) }));
    let raised = |number: &str| {
        with_store(&format!(
            "
  policies:
    retries:
      DaprBuiltInServiceRetries: {{duration: 1s, maxRetries: {number}}}{target}"
        ))
    };
    let found = policy(&raised("7"), Strictness::Strict);
    assert_eq!(found, Some(RetryPolicy { backoff, max_retries: Some(7) }));
    let found = policy(&raised("1"), Strictness::Strict);
    assert_eq!(found, Some(RetryPolicy { backoff, max_retries: Some(3) }));
    insta::assert_snapshot!(raised("1").strict(), @"
    store statestore (state.redis/v1)
    info Loading Resiliency configuration: res
    warning Attempted override of DaprBuiltInServiceRetries did not meet minimum retry count, resetting to 3.
    ");
}

#[test]
fn bad_policies_are_told_all_at_once_or_end_their_resource() {
    let case = with_store(
        "
  policies:
    timeouts:
      fine: 1s
      DefaultTimeoutPolicy: 2s
      bad: 5 seconds
    retries:
      linear: {policy: linear}
      soon: {duration: soon, maxInterval: later, matching: {httpStatusCodes: '5xx,700'}}
      codes: {matching: {gRPCStatusCodes: 17}}
    circuitBreakers:
      broken: {trip: consecutiveFailures >, maxRequests: -1, timeout: never}
  targets:
    actors:
      cart: {circuitBreakerScope: ids, circuitBreakerCacheSize: -5}
",
    );
    insta::assert_snapshot!(case.strict(), @r#"
    refused r.yaml:10:12: spec.policies.timeouts.bad: time: unknown unit " seconds" in duration "5 seconds"; valid is a time such as 5s
    refused r.yaml:12:24: spec.policies.retries.linear.policy: unknown back-off policy "linear"; valid are constant and exponential
    refused r.yaml:13:24: spec.policies.retries.soon.duration: time: invalid duration "soon"; valid is a time such as 5s
    refused r.yaml:13:43: spec.policies.retries.soon.maxInterval: time: invalid duration "later"; valid is a time such as 5s
    refused r.yaml:13:78: spec.policies.retries.soon.matching.httpStatusCodes: invalid pattern 5xx, failed to parse start code 5xx: strconv.Atoi: parsing "5xx": invalid syntax
    refused r.yaml:14:43: spec.policies.retries.codes.matching.gRPCStatusCodes: invalid pattern 17, start code 17 is not valid
    refused r.yaml:16:22: spec.policies.circuitBreakers.broken.trip: trip rule "consecutiveFailures >" has a syntax error at line 1, column 22: something is missing at the end
    refused r.yaml:16:58: spec.policies.circuitBreakers.broken.maxRequests: found -1; valid is a number from 0 to 4294967295
    refused r.yaml:16:71: spec.policies.circuitBreakers.broken.timeout: time: invalid duration "never"; valid is a time such as 5s
    refused r.yaml:19:35: spec.targets.actors.cart.circuitBreakerScope: unknown circuit breaker scope "ids"; valid are type, id and both; did you mean "id"?
    refused r.yaml:19:65: spec.targets.actors.cart.circuitBreakerCacheSize: found -5; valid is a number from 0 on
    "#);
    insta::assert_snapshot!(case.lenient(), @r#"
    store statestore (state.redis/v1)
    info Loading Resiliency configuration: res
    error Could not read resiliency policy res: invalid duration "bad", 5 seconds: time: unknown unit " seconds" in duration "5 seconds"
    "#);
    // What stood before the bad one stays.
    let timeout = case.loaded(Strictness::Lenient).policies.outbound("statestore").timeout();
    assert_eq!(timeout, Some(Duration::from_secs(2)));
}

#[test]
fn a_bad_policy_ends_a_lenient_resource_in_daprds_words() {
    let mut said = Vec::new();
    for spec in [
        "retries: {r: {policy: linear}}",
        "retries: {r: {duration: soon}}",
        "retries: {r: {matching: {httpStatusCodes: 11}}}",
        "circuitBreakers: {cb: {timeout: 1 m}}",
        "circuitBreakers: {cb: {trip: '>'}}",
    ] {
        let case = with_store(&format!("\n  policies: {{{spec}}}\n"));
        let lenient = case.lenient();
        said.extend(lenient.lines().filter(|line| line.starts_with("error")).map(str::to_owned));
    }
    insta::assert_snapshot!(said.join("\n"), @r#"
    error Could not read resiliency policy res: invalid retry configuration "r": invalid PolicyType "linear": unexpected back off policy type: linear
    error Could not read resiliency policy res: invalid retry configuration "r": time: invalid duration "soon"
    error Could not read resiliency policy res: invalid pattern 11, start code 11 is not valid
    error Could not read resiliency policy res: invalid retry configuration "cb": time: unknown unit " m" in duration "1 m"
    error Could not read resiliency policy res: invalid retry configuration "cb": trip rule ">" has a syntax error at line 1, column 1: unexpected '>'
    "#);
}

#[test]
fn trip_rules_that_cannot_work_are_refused() {
    let rule = |rule: &str| {
        with_store(&format!("\n  policies:\n    circuitBreakers:\n      cb: {{trip: '{rule}'}}\n"))
    };
    insta::assert_snapshot!(rule("consecutiveFailure >= 5").strict(), @r#"refused r.yaml:8:18: spec.policies.circuitBreakers.cb.trip: unknown variable "consecutiveFailure" in the trip rule "consecutiveFailure >= 5", where it is reached the circuit stays closed; valid are requests, totalSuccesses, totalFailures, consecutiveSuccesses and consecutiveFailures; did you mean "consecutiveFailures"?"#);
    insta::assert_snapshot!(rule("consecutiveFailure >= 5").lenient(), @r#"
    store statestore (state.redis/v1)
    info Loading Resiliency configuration: res
    warning r.yaml:8:18: spec.policies.circuitBreakers.cb.trip: unknown variable "consecutiveFailure" in the trip rule "consecutiveFailure >= 5", where it is reached the circuit stays closed; valid are requests, totalSuccesses, totalFailures, consecutiveSuccesses and consecutiveFailures; did you mean "consecutiveFailures"?
    "#);
    insta::assert_snapshot!(rule("totalFailures + 1").strict(), @r#"refused r.yaml:8:18: spec.policies.circuitBreakers.cb.trip: the trip rule "totalFailures + 1" can stay without effect: its result is of type int, not bool"#);
    insta::assert_snapshot!(rule("round(totalFailures) > 2").strict(), @r#"refused r.yaml:8:18: spec.policies.circuitBreakers.cb.trip: trip rule "round(totalFailures) > 2" calls the function "round", which does not exist"#);
    insta::assert_snapshot!(rule("round(totalFailures) > 2").lenient(), @r#"refused r.yaml:8:18: spec.policies.circuitBreakers.cb.trip: trip rule "round(totalFailures) > 2" calls the function "round", which does not exist"#);
    insta::assert_snapshot!(rule("").strict(), @"
    store statestore (state.redis/v1)
    info Loading Resiliency configuration: res
    ");
}

#[test]
fn wrong_shapes_cost_a_lenient_start_the_whole_resource() {
    let case = with_store(
        "
  policies:
    timeouts: [1s]
    retries:
      r: {maxRetries: \"2\", duration: {a: b}}
      s: forever
    circuitBreakers:
      cb: {maxRequests: many}
  targets:
    components:
      statestore: r
",
    );
    insta::assert_snapshot!(case.strict(), @r#"
    refused r.yaml:7:15: spec.policies.timeouts: expected a map, found a list
    refused r.yaml:9:23: spec.policies.retries.r.maxRetries: expected a whole number, found the text "2"
    refused r.yaml:9:38: spec.policies.retries.r.duration: expected a text, found a map
    refused r.yaml:10:10: spec.policies.retries.s: expected a map, found forever
    refused r.yaml:12:25: spec.policies.circuitBreakers.cb.maxRequests: expected a whole number, found many
    refused r.yaml:15:19: spec.targets.components.statestore: expected a map, found r
    "#);
    insta::assert_snapshot!(case.lenient(), @"
    store statestore (state.redis/v1)
    error Could not parse resiliency file r.yaml: r.yaml:7:15: spec.policies.timeouts: expected a map, found a list
    ");
    let case = Case::of(&resiliency("\n  policies: {}\nscopes: app1\n")).file("s.yaml", STORE);
    insta::assert_snapshot!(case.strict(), @"refused r.yaml:7:9: scopes: expected a list, found a text");
}

#[test]
fn unknown_fields_are_named_and_passed_over_by_a_lenient_start() {
    let case = with_store(
        "
  policy: {}
  policies:
    timeout: {}
    retries:
      r: {maxRetires: 3, jitter: full}
      r: {}
  targets:
    component: {}
    components:
      statestore:
        outbond: {}
        outbound: {retry: r, circuitbreaker: '', breaker: cb}
",
    );
    insta::assert_snapshot!(case.strict(), @r#"
    refused r.yaml:6:3: spec.policy: unknown field; valid are policies and targets
    refused r.yaml:8:5: spec.policies.timeout: unknown field; valid are timeouts, retries and circuitBreakers; did you mean "timeouts"?
    refused r.yaml:11:7: spec.policies.retries.r: stands twice; first in line 10
    refused r.yaml:13:5: spec.targets.component: unknown field; valid are apps, actors and components; did you mean "components"?
    refused r.yaml:16:9: spec.targets.components.statestore.outbond: unknown field; valid are outbound and inbound; did you mean "outbound"?
    refused r.yaml:17:50: spec.targets.components.statestore.outbound.breaker: unknown field; valid are timeout, retry and circuitBreaker
    "#);
    insta::assert_snapshot!(case.lenient(), @r#"
    store statestore (state.redis/v1)
    warning r.yaml:6:3: spec.policy: unknown field; valid are policies and targets
    warning r.yaml:8:5: spec.policies.timeout: unknown field; valid are timeouts, retries and circuitBreakers; did you mean "timeouts"?
    warning r.yaml:11:7: spec.policies.retries.r: stands twice; first in line 10
    warning r.yaml:13:5: spec.targets.component: unknown field; valid are apps, actors and components; did you mean "components"?
    warning r.yaml:16:9: spec.targets.components.statestore.outbond: unknown field; valid are outbound and inbound; did you mean "outbound"?
    warning r.yaml:17:50: spec.targets.components.statestore.outbound.breaker: unknown field; valid are timeout, retry and circuitBreaker
    info Loading Resiliency configuration: res
    "#);
}

#[test]
fn two_resources_that_fight_are_refused_and_the_later_wins_in_a_lenient_start() {
    let one = |duration: &str| {
        resiliency(&format!(
            "
  policies:
    timeouts: {{t: {duration}}}
    circuitBreakers: {{{duration}cb: {{}}}}
  targets:
    components:
      statestore:
        outbound: {{timeout: t}}
"
        ))
    };
    let case = Case::new()
        .file("a.yaml", &one("1s").replace("name: res", "name: first"))
        .file("b.yaml", &one("2s").replace("name: res", "name: second"))
        .file("s.yaml", STORE);
    insta::assert_snapshot!(case.strict(), @r#"
    refused b.yaml:7:19: spec.policies.timeouts.t: Resiliency "first" defines it too, in a.yaml:7; keep one of the two
    refused b.yaml:11:7: spec.targets.components.statestore: Resiliency "first" defines it too, in a.yaml:11; keep one of the two
    "#);
    insta::assert_snapshot!(case.lenient(), @r#"
    store statestore (state.redis/v1)
    info Loading Resiliency configuration: first
    info Loading Resiliency configuration: second
    warning b.yaml:7:19: spec.policies.timeouts.t: Resiliency "first" defines it too, in a.yaml:7; keep one of the two
    warning b.yaml:11:7: spec.targets.components.statestore: Resiliency "first" defines it too, in a.yaml:11; keep one of the two
    "#);
    let timeout = case.loaded(Strictness::Lenient).policies.outbound("statestore").timeout();
    assert_eq!(timeout, Some(Duration::from_secs(2)));
}

#[test]
fn a_policy_may_be_defined_in_another_resource() {
    let case = Case::new()
        .file(
            "a.yaml",
            &resiliency(
                "\n  targets:\n    components:\n      statestore:\n        outbound: {retry: r}\n",
            ),
        )
        .file("b.yaml", &resiliency("\n  policies:\n    retries:\n      r: {duration: 3s}\n"))
        .file("s.yaml", STORE);
    let backoff = Backoff::Constant { duration: Duration::from_secs(3) };
    let found = policy(&case, Strictness::Strict);
    assert_eq!(found, Some(RetryPolicy { backoff, max_retries: None }));
}

#[test]
fn a_resource_out_of_scope_is_named_and_not_judged() {
    let case = with_store(
        "\n  policies:\n    retries:\n      r: {policy: linear}\nscopes:\n- checkout\n- cart\n",
    );
    let case = case.app_id("order-processor");
    insta::assert_snapshot!(case.strict(), @r#"
    store statestore (state.redis/v1)
    warning Resiliency "res" in r.yaml is not loaded: its scopes are checkout and cart, and the app id is order-processor
    "#);
    assert!(case.loaded(Strictness::Strict).resiliency_names.is_empty());
}

#[test]
fn targets_that_reach_nothing_are_named() {
    let case = with_store(
        "
  policies:
    timeouts: {t: 1s}
  targets:
    components:
      statestroe:
        outbound: {timeout: t}
      elsewhere:
        outbound: {timeout: t}
",
    );
    insta::assert_snapshot!(case.strict(), @r#"
    store statestore (state.redis/v1)
    info Loading Resiliency configuration: res
    warning r.yaml:10:7: spec.targets.components.statestroe: no component of this name is loaded; did you mean "statestore"?
    warning r.yaml:12:7: spec.targets.components.elsewhere: no component of this name is loaded
    "#);
}

#[test]
fn a_store_that_a_resource_for_apps_leaves_bare_is_named() {
    let spec = "
  policies:
    timeouts: {t: 1s}
  targets:
    apps:
      order-processor: {timeout: t}
    actors:
      cart: {timeout: t, circuitBreakerScope: both}
";
    insta::assert_snapshot!(with_store(spec).strict(), @r#"
    store statestore (state.redis/v1)
    info Loading Resiliency configuration: res
    warning state store "statestore" runs without policies: Resiliency "res" has targets apps.order-processor, actors.cart, which say nothing about it; components.statestore would
    "#);
    let default = spec.replace("{t: 1s}", "{t: 1s, DefaultComponentTimeoutPolicy: 1s}");
    insta::assert_snapshot!(with_store(&default).strict(), @"
    store statestore (state.redis/v1)
    info Loading Resiliency configuration: res
    ");
}

#[test]
fn policies_for_inbound_only_leave_a_store_bare() {
    let case = with_store(
        "
  policies:
    timeouts: {t: 1s, DefaultTimeoutPolicy: 1s}
  targets:
    components:
      statestore:
        inbound: {timeout: t}
",
    );
    insta::assert_snapshot!(case.strict(), @"
    store statestore (state.redis/v1)
    info Loading Resiliency configuration: res
    warning r.yaml:10:7: spec.targets.components.statestore: has policies for inbound only: calls of this component run without policies, default policies included
    ");
    let policy = case.loaded(Strictness::Strict).policies.outbound("statestore");
    assert_eq!(policy.timeout(), None);
    let case = with_store("\n  targets:\n    components:\n      statestore:\n        outbound:\n");
    insta::assert_snapshot!(case.strict(), @"
    store statestore (state.redis/v1)
    info Loading Resiliency configuration: res
    warning r.yaml:8:7: spec.targets.components.statestore: has no policies: calls of this component run without policies, default policies included
    ");
}
