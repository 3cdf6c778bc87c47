//! Sets of resources that were recorded with a real daprd: a lenient start goes as it went there.

use std::path::Path;

use serde_json::Value;

use super::*;
use crate::api::key::UserKey;

fn recording(name: &str) -> Value {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/conformance");
    let path = folder.join(format!("{name}.json"));
    let text = fs::read_to_string(&path);
    let text = text.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap()
}

/// The names of the recordings that begin so, without that beginning.
fn recorded_as(beginning: &str) -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/conformance");
    let files = fs::read_dir(folder).unwrap().map(|file| file.unwrap().file_name());
    let mut names: Vec<String> = files
        .filter_map(|file| {
            let name = file.to_str()?.strip_suffix(".json")?;
            Some(name.strip_prefix(beginning)?.to_owned())
        })
        .collect();
    names.sort();
    names
}

/// The files that daprd was started with.
fn case(recording: &Value) -> Case {
    assert_eq!(recording["app_id"], "probe");
    let mut case = Case::new().app_id("probe");
    match recording["env"]["NAMESPACE"].as_str() {
        Some("ns1") => case = case.namespace("ns1"),
        other => assert_eq!(other, None),
    }
    for (name, text) in recording["resources"].as_object().unwrap() {
        let text = text.as_str().unwrap().replace("{redis}", "127.0.0.1:6379");
        case = case.file(name, &text);
    }
    case
}

fn recorded(name: &str) -> Case {
    case(&recording(name))
}

/// The pause in milliseconds and the number of retries of the store's policy.
fn retries(case: &Case) -> Option<(u128, Option<u32>)> {
    let retry = case.loaded(Strictness::Lenient).policies.outbound("statestore").retry()?;
    let crate::resiliency::backoff::Backoff::Constant { duration } = retry.backoff else {
        panic!("constant")
    };
    Some((duration.as_millis(), retry.max_retries))
}

#[test]
fn every_recorded_form_of_a_resiliency_means_what_it_meant_to_daprd() {
    let expected = [
        ("bad-policy", None),
        ("caps-policy", Some((300, Some(2)))),
        ("default-name", Some((300, Some(2)))),
        ("in-scope", Some((300, Some(2)))),
        ("lower-kind", None),
        ("no-api-version", Some((300, Some(2)))),
        ("no-retries", Some((300, Some(0)))),
        ("number-duration", Some((300, Some(2)))),
        ("other-case", Some((300, Some(2)))),
        ("plain", Some((300, Some(2)))),
        ("second-document", None),
        ("unknown-field", Some((300, Some(2)))),
    ];
    assert_eq!(recorded_as("resiliency-form-"), expected.map(|(name, _)| name));
    let expected = expected.map(|(name, policy)| (format!("resiliency-form-{name}"), policy));
    for (name, policy) in expected.into_iter().chain([("resiliency-out-of-scope".to_owned(), None)])
    {
        let case = recorded(&name);
        assert_eq!(retries(&case), policy, "{name}");
        let is_loaded =
            !["out-of-scope", "lower-kind", "second-document"].iter().any(|it| name.ends_with(it));
        let line = "info Loading Resiliency configuration: res";
        assert_eq!(case.lenient().contains(line), is_loaded, "{name}");
        let is_bad = case.lenient().contains("error Could not read resiliency policy ");
        assert_eq!(is_bad, name.ends_with("bad-policy"), "{name}");
    }
}

#[test]
fn a_broken_file_beside_does_not_stop_a_lenient_start() {
    insta::assert_snapshot!(recorded("start-bad-yaml").lenient(), @"
    store statestore (state.redis/v1)
    warning daprd load Component error when parsing manifests yaml resource in bad.yaml: error converting YAML to JSON: yaml: line 2: while parsing a node, did not find expected node content
    error Could not determine resource type: error converting YAML to JSON: yaml: line 2: while parsing a node, did not find expected node content
    ");
}

#[test]
fn wrong_policy_names_stop_nothing_but_a_wrong_breaker_name_does() {
    assert_eq!(retries(&recorded("start-wrong-policy-name")), None);
    // daprd starts and crashes at the first call.
    insta::assert_snapshot!(recorded("start-wrong-breaker-name").lenient(), @r#"refused r.yaml:22:27: spec.targets.components.statestore.outbound.circuitBreaker: unknown circuit breaker "typo"; defined are: cb"#);
    let over_http = recorded("start-wrong-breaker-name-http").lenient();
    assert_eq!(over_http, recorded("start-wrong-breaker-name").lenient());
}

#[test]
fn other_kinds_and_other_files_beside_a_store_are_passed_over() {
    let case = recorded("start-other-kind-beside");
    insta::assert_snapshot!(case.lenient(), @"
    store statestore (state.redis/v1)
    warning A non-YAML Component file y.txt was detected, it will not be loaded
    warning z.yaml:2:7: kind: ConfigMap (v1) is not Dapr's; the document is skipped
    warning component up (middleware.http.uppercase/v1) is skipped: middleware is not served
    ");
    assert_eq!(case.strict(), case.lenient());
}

#[test]
fn a_store_of_another_app_is_left_out() {
    insta::assert_snapshot!(recorded("start-out-of-scope-component").lenient(), @"
    store mem (state.in-memory/v1)
    warning component statestore (state.redis/v1) is not loaded: its scopes are other, and the app id is probe
    warning m.yaml:10:12: spec.metadata[0].value: unused is not known and has no effect
    ");
}

#[test]
fn settings_and_unknown_names_of_a_store_load() {
    for name in ["db-and-ttl-default", "metadata-unknown-name", "password"] {
        let case = recorded(&format!("start-{name}"));
        for mode in [Strictness::Lenient, Strictness::Strict] {
            assert_eq!(case.loaded(mode).components.len(), 1, "{name}");
        }
    }
}

#[test]
fn no_recorded_start_is_left_out() {
    let looked_at = [
        "bad-yaml",
        "db-and-ttl-default",
        "metadata-unknown-name",
        "other-kind-beside",
        "out-of-scope-component",
        "password",
        "wrong-breaker-name",
        "wrong-breaker-name-http",
        "wrong-policy-name",
    ];
    assert_eq!(recorded_as("start-"), looked_at);
}

#[test]
fn every_recorded_prefix_is_the_one_daprd_stored_under() {
    let names = recorded_as("prefix-");
    assert_eq!(names.len(), 10, "{names:?}");
    for name in names {
        let recording = recording(&format!("prefix-{name}"));
        let steps = recording["steps"].as_array().unwrap();
        let mut steps = steps.iter().filter(|step| step["do"]["redis"][0] == "KEYS");
        let seen = steps.next().expect("daprd's keys")["expect"][0].as_str().unwrap();
        let key = UserKey::parse("k".to_owned()).unwrap();
        let component = &case(&recording).loaded(Strictness::Lenient).components[0];
        assert_eq!(component.key_prefix.stored(&key).as_str(), seen, "{name}");
    }
}
