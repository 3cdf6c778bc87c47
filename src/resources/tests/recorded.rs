//! Sets of resources that were recorded with a real daprd: a lenient start goes as it went there.

use super::*;

/// The store of every recorded set.
const RECORDED: &str = "
apiVersion: dapr.io/v1alpha1
kind: Component
metadata:
  name: statestore
spec:
  type: state.redis
  version: v1
  metadata:
  - name: redisHost
    value: 127.0.0.1:6379
";

fn recorded(resource: &str) -> Case {
    Case::new().file("s.yaml", RECORDED).file("r.yaml", resource).app_id("probe")
}

/// A Resiliency whose retry `r` has these fields.
fn form(fields: &str) -> String {
    resiliency(&format!(
        "
  policies:
    retries:
      r:
        {fields}
        maxRetries: 2

  targets:
    components:
      statestore:
        outbound:
          retry: r
"
    ))
}

const PLAIN: &str = "policy: constant\n        duration: 300ms";

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
    let plain = form(PLAIN);
    let api_version = "apiVersion: dapr.io/v1alpha1\n";
    for (name, text, expected) in [
        ("plain", plain.clone(), Some((300, Some(2)))),
        ("caps-policy", plain.replace("constant", "Constant"), Some((300, Some(2)))),
        ("number-duration", plain.replace("300ms", "300"), Some((300, Some(2)))),
        ("no-retries", plain.replace("maxRetries: 2", "maxRetries: 0"), Some((300, Some(0)))),
        (
            "other-case",
            plain.replace("spec:", "Spec:").replace("maxRetries", "MAXRETRIES"),
            Some((300, Some(2))),
        ),
        ("unknown-field", form(&format!("{PLAIN}\n        jitter: full")), Some((300, Some(2)))),
        ("no-api-version", plain.replace(api_version, ""), Some((300, Some(2)))),
        (
            "in-scope",
            plain.replace("spec:", "scopes:\n- checkout\n- probe\nspec:"),
            Some((300, Some(2))),
        ),
        (
            "default-name",
            plain
                .replace("      r:", "      DefaultComponentOutboundRetryPolicy:")
                .replace("      statestore:", "      elsewhere:")
                .replace("          retry: r", "          "),
            Some((300, Some(2))),
        ),
        ("out-of-scope", plain.replace("spec:", "scopes:\n- other\nspec:"), None),
        ("lower-kind", plain.replace("kind: Resiliency", "kind: resiliency"), None),
        ("second-document", format!("kind: Nothing\n---{plain}"), None),
        ("bad-policy", plain.replace("constant", "linear"), None),
    ] {
        let case = recorded(&text);
        assert_eq!(retries(&case), expected, "{name}");
        let is_loaded = !matches!(name, "out-of-scope" | "lower-kind" | "second-document");
        let line = "info Loading Resiliency configuration: res";
        assert_eq!(case.lenient().contains(line), is_loaded, "{name}");
        let is_bad = case.lenient().contains("error Could not read resiliency policy ");
        assert_eq!(is_bad, name == "bad-policy", "{name}");
    }
}

#[test]
fn a_broken_file_beside_does_not_stop_a_lenient_start() {
    insta::assert_snapshot!(recorded("a: [\n").lenient(), @"
    store statestore (state.redis/v1)
    warning daprd load Component error when parsing manifests yaml resource in r.yaml: error converting YAML to JSON: yaml: line 2: while parsing a node, did not find expected node content
    error Could not determine resource type: error converting YAML to JSON: yaml: line 2: while parsing a node, did not find expected node content
    ");
}

#[test]
fn wrong_policy_names_stop_nothing_but_a_wrong_breaker_name_does() {
    let target = |names: &str| {
        resiliency(&format!(
            "
  policies:
    retries:
      r:
        policy: constant
        duration: 1s
        maxRetries: -1
    circuitBreakers:
      cb:
        maxRequests: 1
        timeout: 1s
        trip: consecutiveFailures >= 5

  targets:
    components:
      statestore:
        outbound:
          {names}
"
        ))
    };
    let case = recorded(&target("retry: typo\n          timeout: typo"));
    assert_eq!(retries(&case), None);
    // daprd starts and crashes at the first call.
    insta::assert_snapshot!(recorded(&target("circuitBreaker: typo")).lenient(), @r#"refused r.yaml:22:27: spec.targets.components.statestore.outbound.circuitBreaker: unknown circuit breaker "typo"; defined are: cb"#);
}

#[test]
fn other_kinds_and_other_files_beside_a_store_are_passed_over() {
    let case = Case::new()
        .file("s.yaml", RECORDED)
        .file(
            "x.yaml",
            "
apiVersion: dapr.io/v1alpha1
kind: Component
metadata:
  name: up
spec:
  type: middleware.http.uppercase
  version: v1
  metadata:
  - name: unused
    value: x
",
        )
        .file("y.txt", "not yaml")
        .file("z.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: z\n");
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
    let memory = RECORDED
        .replace("statestore", "mem")
        .replace("state.redis", "state.in-memory")
        .replace("redisHost", "unused")
        .replace("127.0.0.1:6379", "x");
    let case = Case::new()
        .file("s.yaml", &format!("{RECORDED}scopes:\n- other\n"))
        .file("m.yaml", &format!("{memory}scopes:\n- probe\n- other\n"))
        .app_id("probe");
    insta::assert_snapshot!(case.lenient(), @"
    store mem (state.in-memory/v1)
    warning component statestore (state.redis/v1) is not loaded: its scopes are other, and the app id is probe
    warning m.yaml:10:12: spec.metadata[0].value: unused is not known and has no effect
    ");
}

#[test]
fn settings_and_unknown_names_of_a_store_load() {
    for extra in [
        "  - name: redisDB\n    value: \"3\"\n  - name: ttlInSeconds\n    value: \"100\"\n",
        "  - name: redisPassword\n    value: pw\n",
        "  - name: noSuchOption\n    value: x\n",
    ] {
        let case = Case::new().file("s.yaml", &format!("{RECORDED}{extra}")).app_id("probe");
        assert_eq!(case.loaded(Strictness::Lenient).components.len(), 1, "{extra}");
        assert_eq!(case.loaded(Strictness::Strict).components.len(), 1, "{extra}");
    }
}

#[test]
fn every_recorded_prefix_is_the_one_daprd_stored_under() {
    for (written, prefix) in [
        ("appid", "probe||"),
        ("AppID", "probe||"),
        ("{appID}-Y", "probe-y||"),
        ("name", "statestore||"),
        ("{namespace}", "ns1.probe||"),
        ("none", ""),
        ("NONE", ""),
        ("MyPrefix", "myprefix||"),
        ("x|", "x|||"),
        ("", "||"),
    ] {
        let entry = format!("{RECORDED}  - name: keyPrefix\n    value: \"{written}\"\n");
        let case = Case::new().file("s.yaml", &entry).app_id("probe").namespace("ns1");
        let key = crate::api::key::UserKey::parse("k".to_owned()).unwrap();
        let component = &case.loaded(Strictness::Lenient).components[0];
        assert_eq!(component.key_prefix.stored(&key).as_str(), format!("{prefix}k"), "{written}");
    }
}
