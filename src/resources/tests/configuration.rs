use super::*;
use crate::{
    edge::access::{Access, ApiName},
    resources::{ApiLogging, Configuration},
};

fn of(texts: &[&str]) -> Case {
    texts.iter().fold(Case::new().file("s.yaml", STORE), |case, text| case.config(text))
}

#[track_caller]
fn configuration(texts: &[&str]) -> Configuration {
    of(texts).loaded(Strictness::Strict).configuration
}

#[test]
fn without_a_file_daprds_defaults_apply() {
    let resources = Case::new().loaded(Strictness::Strict);
    assert_eq!(resources.notices[0].text, "loading default configuration");
    let configuration = resources.configuration;
    assert_eq!(configuration.sampling_rate, 0.0001);
    let features = configuration.enabled_features();
    assert_eq!(features, ["HotReload", "WorkflowsRemoteActivityReminder"]);
    let said = of(&["spec: {}\n"]).loaded(Strictness::Strict).notices;
    assert!(said.iter().all(|notice| notice.text != "loading default configuration"));
}

#[test]
fn what_has_an_effect_arrives() {
    let configuration = configuration(&["
apiVersion: dapr.io/v1alpha1
kind: Configuration
metadata:
  name: appconfig
spec:
  tracing:
    samplingRate: 1
  features:
  - name: HotReload
    enabled: false
  - name: Mine
    enabled: true
  logging:
    apiLogging: {enabled: true, obfuscateURLs: true, omitHealthChecks: true}
  components:
    deny: [state.x]
"]);
    assert_eq!(configuration.sampling_rate, 1.0);
    assert_eq!(configuration.enabled_features(), ["WorkflowsRemoteActivityReminder", "Mine"]);
    let logging =
        ApiLogging { enabled: Some(true), obfuscate_urls: true, omit_health_checks: true };
    assert_eq!(configuration.api_logging, logging);
    assert_eq!(configuration.denied_components, ["state.x"]);
}

#[test]
fn later_files_override_scalars_and_replace_lists() {
    let configuration = configuration(&[
        "spec:\n  tracing: {samplingRate: \"0.5\"}\n  features: [{name: A, enabled: true}]\n",
        "spec:\n  features: [{name: B, enabled: true}]\n",
    ]);
    assert_eq!(configuration.sampling_rate, 0.5);
    let features: Vec<&str> =
        configuration.features.iter().map(|feature| feature.name.as_str()).collect();
    assert_eq!(features, ["B"]);
}

#[test]
fn a_sampling_rate_that_is_no_number_is_the_default() {
    let case = of(&["spec:\n  tracing: {samplingRate: often}\n"]);
    assert_eq!(case.loaded(Strictness::Strict).configuration.sampling_rate, 0.0001);
    insta::assert_snapshot!(case.strict(), @"
    store statestore (state.redis/v1)
    warning config0.yaml:2:27: spec.tracing.samplingRate: not a number; the default of 0.0001 applies
    ");
    assert_eq!(configuration(&["spec:\n  tracing: {samplingRate: \"0\"}\n"]).sampling_rate, 0.0);
}

#[test]
fn variables_are_filled_in_before_the_text_is_read() {
    let case = of(&["spec:\n  tracing: {samplingRate: \"$RATE\"}\n  features: $UNSET\n"]);
    let case = case.variable("RATE", "0.25");
    assert_eq!(case.loaded(Strictness::Strict).configuration.sampling_rate, 0.25);
    insta::assert_snapshot!(case.strict(), @"
    store statestore (state.redis/v1)
    warning config0.yaml: $UNSET is replaced by nothing, because no such variable is set
    ");
}

#[test]
fn unknown_and_unserved_keys_are_warned_about_and_letters_matter() {
    let case = of(&["
kind: Configuration
Spec: {}
spec:
  tracing:
    samplingrate: 1
    zipkin: {endpointAddress: http://localhost:9411/api/v2/spans}
  metric: {enabled: false}
  feature: []
  mtls: {enabled: true}
  secrets:
    scopes: [{storeName: local, defaultAccess: deny}]
---
spec: {}
"]);
    insta::assert_snapshot!(case.strict(), @r#"
    store statestore (state.redis/v1)
    warning config0.yaml:6:13: spec.tracing.zipkin: has no effect, because traces are not exported
    debug config0.yaml:11:13: spec.secrets.scopes: holds anyway, because the secrets API is not served
    warning config0.yaml:9:9: spec.mtls: has no effect, because sidecars do not call each other
    warning config0.yaml:2:1: Spec: unknown field; valid are apiVersion, kind, metadata, scopes and spec; did you mean "spec"?
    warning config0.yaml:5:5: spec.tracing.samplingrate: unknown field; valid are samplingRate, stdout, zipkin and otel; did you mean "samplingRate"?
    warning config0.yaml:8:3: spec.feature: unknown field; valid are tracing, features, logging, components, api, metric, metrics, secrets, httpPipeline, accessControl, appHttpPipeline, nameResolution, mtls, wasm and workflow; did you mean "features"?
    warning config0.yaml: only the first document of a Configuration file is read
    "#);
    assert_eq!(case.strict(), case.lenient());
}

#[test]
fn metrics_are_read_under_both_names_and_the_plural_wins() {
    let metrics = configuration(&["
spec:
  metric:
    enabled: false
    recordErrorCodes: true
    latencyDistributionBuckets: [1, 10, 100]
    http: {increasedCardinality: true, excludeVerbs: true}
  metrics:
    enabled: true
    http: {increasedCardinality: false, pathMatching: ['/a/{b}']}
    rules:
    - name: component/state/count
      labels:
      - {name: operation, regex: {write: set|delete}}
"])
    .metrics;
    assert!(metrics.enabled && metrics.record_error_codes);
    assert_eq!(metrics.latencies(), [1, 10, 100]);
    let crate::metrics::http::HttpSettings { increased_cardinality, exclude_verbs, path_matching } =
        &metrics.http;
    assert_eq!((*increased_cardinality, *exclude_verbs), (false, true));
    assert_eq!(path_matching, &["/a/{b}"]);
    assert_eq!(metrics.rules[0].metric, "dapr_component_state_count");
    assert_eq!(
        metrics.text(),
        "{\"enabled\":true,\"rules\":[{\"name\":\"dapr_component_state_count\",\"labels\":[{\"name\":\
         \"operation\",\"regex\":{\"write\":\"set|delete\"}}]}],\"http\":{\"excludeVerbs\":true,\
         \"increasedCardinality\":false,\"pathMatching\":[\"/a/{b}\"]},\
         \"latencyDistributionBuckets\":[1,10,100],\"recordErrorCodes\":true}"
    );
    assert_eq!(configuration(&["spec: {}\n"]).metrics.text(), "{\"enabled\":true}");
}

#[test]
fn metric_settings_that_cannot_be_meant_are_told() {
    let wrong = of(&["
spec:
  metrics:
    latencyDistributionBuckets: [1, 5, 5, x]
    rules:
    - name: dapr_component_state_count
      labels:
      - {name: operation, regex: {write: \"(\"}}
"]);
    insta::assert_snapshot!(wrong.strict(), @r#"
    refused config0.yaml:3:40: spec.metrics.latencyDistributionBuckets[2]: error loading configuration: "5" is no bucket: expected whole milliseconds, each greater than the one before
    refused config0.yaml:3:43: spec.metrics.latencyDistributionBuckets[3]: error loading configuration: "x" is no bucket: expected whole milliseconds, each greater than the one before
    refused config0.yaml:7:42: spec.metrics.rules[0].labels[0].regex.write: error loading configuration: the pattern is no regular expression
    "#);
    assert_eq!(wrong.strict(), wrong.lenient());
    let missed = of(&["
spec:
  metric:
    enabld: false
    workflow: {}
    rules:
    - name: dapr_component_state_counts
      labels: [{name: operation, regex: {a: b}}]
    - name: dapr_component_state_count
      labels: [{name: operations, regex: {a: b}}]
"]);
    insta::assert_snapshot!(missed.strict(), @r#"
    store statestore (state.redis/v1)
    warning config0.yaml:6:13: spec.metric.rules[0].name: no metric has this name; did you mean "dapr_component_state_count"?
    warning config0.yaml:9:23: spec.metric.rules[1].labels[0].name: dapr_component_state_count has no such label; did you mean "operation"?
    warning config0.yaml:4:15: spec.metric.workflow: has no effect, because workflows are not served
    warning config0.yaml:3:5: spec.metric.enabld: unknown field; valid are enabled, rules, http, latencyDistributionBuckets, recordErrorCodes and workflow; did you mean "enabled"?
    "#);
}

fn named(name: &str, version: &str) -> ApiName {
    ApiName { name: name.to_owned(), version: version.to_owned() }
}

#[test]
fn api_rules_are_sorted_by_protocol_and_later_lists_replace_earlier_ones() {
    let first = "
spec:
  api:
    allowed:
    - {name: state, version: v1, protocol: grpc}
    - {name: metadata, version: v1, protocol: HTTP}
    denied:
    - {name: shutdown, version: v1, protocol: http}
";
    let rules = configuration(&[first]).api_rules;
    let grpc = Access { allowed: vec![named("state", "v1")], denied: vec![] };
    assert_eq!(rules.grpc, grpc);
    let http =
        Access { allowed: vec![named("metadata", "v1")], denied: vec![named("shutdown", "v1")] };
    assert_eq!(rules.http, http);
    let second = "spec:\n  api:\n    allowed: [{name: state, version: v1.0, protocol: http}]\n";
    let rules = configuration(&[first, second]).api_rules;
    assert_eq!(rules.http, Access { allowed: vec![named("state", "v1.0")], ..http });
    assert!(rules.grpc.is_unlimited());
}

#[test]
fn an_api_rule_that_means_nothing_ends_a_strict_start() {
    let case = of(&["
spec:
  api:
    denied:
    - {name: state, version: v1, protocol: GRPC}
    - {name: state, protocol: http}
    - {name: state, version: v1, protocol: http, protocl: grpc}
"]);
    insta::assert_snapshot!(case.strict(), @"
    refused config0.yaml:4:44: spec.api.denied[0].protocol: the protocol means nothing; valid are http and grpc
    refused config0.yaml:5:7: spec.api.denied[1]: a rule without a name or a version means nothing
    ");
    insta::assert_snapshot!(case.lenient(), @r#"
    store statestore (state.redis/v1)
    warning config0.yaml:4:44: spec.api.denied[0].protocol: the protocol means nothing; valid are http and grpc
    warning config0.yaml:5:7: spec.api.denied[1]: a rule without a name or a version means nothing
    warning config0.yaml:6:50: spec.api.denied[2].protocl: unknown field; valid are name, version and protocol; did you mean "protocol"?
    "#);
}

#[test]
fn no_variable_that_stands_in_a_configuration_is_told() {
    let text =
        "spec:\n  $S: 1\n  api:\n    allowed:\n    - {name: $S, version: $S, protocol: $S}\n";
    let case = of(&[text]).variable("S", "hunter2");
    for (said, place) in [(case.strict(), "[0].protocol: "), (case.lenient(), "spec.$S: unknown")] {
        assert!(said.contains(place) && !said.contains("hunter2"), "{said}");
    }
    // A value that the file itself says is no secret.
    assert!(case.variable("S", "version").lenient().contains("spec.version: unknown field"));
}

#[test]
fn a_file_that_cannot_be_read_ends_the_start_in_both_modes() {
    let mut missing = Case::new();
    missing.configs.push("/no/such/config".into());
    insta::assert_snapshot!(missing.strict(), @"refused error loading configuration: stat /no/such/config: no such file or directory");
    assert_eq!(missing.strict(), missing.lenient());
    let broken = of(&["spec: [\n"]);
    insta::assert_snapshot!(broken.strict(), @"refused config0.yaml:2:1: error loading configuration: not YAML: while parsing a node, did not find expected node content");
    assert_eq!(broken.strict(), broken.lenient());
    let shape = of(&["spec:\n  features: [{name: A, enabled: \"yes\"}]\n  tracing: often\n"]);
    insta::assert_snapshot!(shape.strict(), @"
    refused config0.yaml:2:33: spec.features[0].enabled: error loading configuration: expected true or false, found a text
    refused config0.yaml:3:12: spec.tracing: error loading configuration: expected a map, found a text
    ");
    assert_eq!(shape.strict(), shape.lenient());
}

#[test]
fn problems_of_all_files_are_told_together() {
    let case = of(&["spec: [\n"])
        .file("a.yaml", "a: [\n")
        .file("b.yaml", &resiliency("\n  policies:\n    timeouts: {t: soon}\n"))
        .file("c.yaml", &STORE.replace("state.redis", "state.mysql").replace("statestore", "c"));
    insta::assert_snapshot!(case.strict(), @r#"
    refused config0.yaml:2:1: error loading configuration: not YAML: while parsing a node, did not find expected node content
    refused a.yaml:2:1: not YAML: while parsing a node, did not find expected node content
    refused b.yaml:7:19: spec.policies.timeouts.t: time: invalid duration "soon"; valid is a time such as 5s
    refused c.yaml:6:9: spec.type: couldn't find state store state.mysql/v1; served are state.redis and state.in-memory in version v1
    "#);
}

#[test]
fn a_pipeline_before_the_api_is_refused_in_both_modes_and_an_empty_one_is_not() {
    let pipeline = |handlers: &str| format!("spec:\n  httpPipeline:\n    handlers: {handlers}\n");
    let guarded = of(&[&pipeline("[{name: auth, type: middleware.http.bearer}]")]);
    insta::assert_snapshot!(guarded.strict(), @"refused config0.yaml:3:16: spec.httpPipeline.handlers[0]: middleware is not served, and it may guard the API: remove it if nothing depends on it");
    assert_eq!(guarded.strict(), guarded.lenient());
    configuration(&[&pipeline("[]")]);
}
