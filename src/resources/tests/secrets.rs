use super::*;
use crate::resources::StoreSettings;

const ENVS: &str = "
apiVersion: dapr.io/v1alpha1
kind: Component
metadata:
  name: envs
spec:
  type: secretstores.local.env
  version: v1
";

fn with_secret(name: &str, key: &str) -> String {
    let entry = format!(
        "  - name: redisPassword
    secretKeyRef:
      name: {name}
      key: {key}
auth:
  secretStore: envs
"
    );
    store(&entry)
}

fn file_store(extra: &str, case: Case, json: &str) -> Case {
    fs::write(case.beside("secrets.json"), json).unwrap();
    let text = format!(
        "{}  metadata:\n  - name: secretsFile\n    value: {}\n{extra}",
        ENVS.replace("local.env", "local.file"),
        case.beside("secrets.json").display()
    );
    case.file("z.yaml", &text)
}

/// Whether the store of the case asks for a password at all.
#[track_caller]
fn has_password(case: &Case, mode: Strictness) -> bool {
    let resources = case.loaded(mode);
    let StoreSettings::Redis(settings) = &resources.components[0].store else { panic!("Redis") };
    format!("{settings:?}").contains("has_password: true")
}

/// The prefix of the case's store, which shows what a value became.
#[track_caller]
fn prefix(case: &Case) -> String {
    format!("{:?}", case.loaded(Strictness::Strict).components[0].key_prefix)
}

#[test]
fn a_secret_comes_from_the_environment_whatever_file_comes_first() {
    let case = Case::new()
        .file("a.yaml", &with_secret("PASSWORD", ""))
        .file("z.yaml", ENVS)
        .variable("PASSWORD", "hunter2");
    assert!(has_password(&case, Strictness::Strict));
    assert!(!format!("{:?}", case.loaded(Strictness::Strict)).contains("hunter2"));
    insta::assert_snapshot!(case.strict(), @"store statestore (state.redis/v1)");
}

#[test]
fn a_prefix_of_the_environment_store_is_put_before_names() {
    let envs = format!("{ENVS}  metadata:\n  - name: prefix\n    value: MY_\n");
    let case = Case::new()
        .file("a.yaml", &with_secret("PASSWORD", "PASSWORD"))
        .file("z.yaml", &envs)
        .variable("MY_PASSWORD", "hunter2");
    assert!(has_password(&case, Strictness::Strict));
}

#[test]
fn a_secret_that_is_not_there_ends_a_strict_start_only() {
    let case = Case::new().file("a.yaml", &with_secret("PASWORD", "")).file("z.yaml", ENVS);
    insta::assert_snapshot!(case.strict(), @r#"refused a.yaml:9:5: spec.metadata[0]: secret store "envs": the variable PASWORD is not set"#);
    insta::assert_snapshot!(case.lenient(), @"
    store statestore (state.redis/v1)
    error Error getting secret: the variable PASWORD is not set
    ");
    assert!(!has_password(&case, Strictness::Lenient));
}

#[test]
fn the_sidecars_own_tokens_are_no_secrets_for_components() {
    for name in ["DAPR_API_TOKEN", "dapr_api_token", "APP_API_TOKEN"] {
        let case = Case::new()
            .file("a.yaml", &with_secret(name, ""))
            .file("z.yaml", ENVS)
            .variable(name, "hunter2");
        let said = case.strict();
        assert!(said.ends_with(&format!("{name} is not open to components")), "{said}");
        assert!(!has_password(&case, Strictness::Lenient));
    }
}

#[test]
fn secrets_come_from_a_file() {
    let json = r#"{"a": {"b": ["x", "hunter2"]}, "n": 5}"#;
    let file = |extra: &str, name: &str, key: &str| {
        let case = Case::new().file("a.yaml", &with_secret(name, key));
        file_store(extra, case, json)
    };
    assert!(has_password(&file("", "a:b:1", ""), Strictness::Strict));
    assert!(has_password(&file("", "n", "n"), Strictness::Strict));
    let dots = "  - name: nestedSeparator\n    value: .\n";
    assert!(has_password(&file(dots, "a.b.0", ""), Strictness::Strict));
    let several = "  - name: multiValued\n    value: true\n";
    assert!(has_password(&file(several, "a", "b:1"), Strictness::Strict));
    insta::assert_snapshot!(file(several, "a", "c").strict(), @r#"refused a.yaml:9:5: spec.metadata[0]: secret store "envs": secret "a" has no key "c""#);
    insta::assert_snapshot!(file("", "b", "").strict(), @r#"refused a.yaml:9:5: spec.metadata[0]: secret store "envs": secret b not found"#);
    insta::assert_snapshot!(file("", "b", "").lenient(), @"
    store statestore (state.redis/v1)
    error Error getting secret: secret b not found
    ");
}

#[test]
fn a_secrets_file_that_is_wrong_ends_the_start_without_showing_it() {
    let case = || Case::new().file("a.yaml", &with_secret("a", ""));
    let broken = file_store("", case(), "{\"a\": \"hunter2");
    insta::assert_snapshot!(broken.strict(), @"refused z.yaml:6:9: spec.type: the secrets file secrets.json holds no JSON object");
    let no_object = file_store("", case(), "\"hunter2\"");
    insta::assert_snapshot!(no_object.lenient(), @"refused z.yaml:6:9: spec.type: process component envs error: [INIT_COMPONENT_FAILURE]: initialization error occurred for envs (secretstores.local.file/v1): [INIT_COMPONENT_FAILURE]: initialization error occurred for envs (secretstores.local.file/v1): the secrets file secrets.json holds no JSON object");
    let missing = file_store("", case(), "{}");
    fs::remove_file(missing.beside("secrets.json")).unwrap();
    insta::assert_snapshot!(missing.strict(), @"refused z.yaml:6:9: spec.type: the secrets file secrets.json cannot be read: no such file or directory");
    let unnamed = case().file("z.yaml", &ENVS.replace("local.env", "local.file"));
    insta::assert_snapshot!(unnamed.strict(), @"refused z.yaml:6:9: spec.type: the metadata entry secretsFile is missing");
}

#[test]
fn a_store_whose_secret_store_is_not_defined_is_refused_or_parked() {
    let envs = ENVS.replace("envs", "enves");
    let case = Case::new().file("a.yaml", &with_secret("A", "")).file("z.yaml", &envs);
    insta::assert_snapshot!(case.strict(), @r#"refused a.yaml:14:16: auth.secretStore: unknown secret store "envs"; loaded are: enves; did you mean "enves"?"#);
    insta::assert_snapshot!(case.lenient(), @"warning Component statestore references a secret store that isn't loaded: envs");
    let unnamed = with_secret("A", "").replace("auth:\n  secretStore: envs\n", "");
    insta::assert_snapshot!(Case::of(&unnamed).strict(), @"refused r.yaml:9:5: spec.metadata[0]: a secretKeyRef needs auth.secretStore; loaded secret stores: none");
}

#[test]
fn a_store_whose_secret_store_is_not_served_is_parked_in_both_modes() {
    let kubernetes = ENVS.replace("local.env", "kubernetes");
    let case = Case::new().file("a.yaml", &with_secret("A", "")).file("z.yaml", &kubernetes);
    insta::assert_snapshot!(case.strict(), @"
    warning component envs (secretstores.kubernetes/v1) is skipped: this secret store is not served
    warning Component statestore references a secret store that isn't loaded: envs
    ");
    assert_eq!(case.strict(), case.lenient());
}

#[test]
fn a_value_from_the_environment_is_used_unless_there_is_one_in_the_file() {
    let entry = |rest: &str| store(&format!("  - name: keyPrefix\n    envRef: PREFIX\n{rest}"));
    let case = Case::of(&entry("")).variable("PREFIX", "mine");
    assert_eq!(prefix(&case), "KeyPrefix(\"mine||\")");
    let case = Case::of(&entry("    value: theirs\n")).variable("PREFIX", "mine");
    let loaded = case.loaded(Strictness::Lenient);
    assert_eq!(format!("{:?}", loaded.components[0].key_prefix), "KeyPrefix(\"theirs||\")");
    insta::assert_snapshot!(Case::of(&entry("")).strict(), @"
    store statestore (state.redis/v1)
    warning r.yaml:9:5: spec.metadata[0]: the variable PREFIX is not set; the value is empty
    ");
}

#[test]
fn variables_that_components_may_not_read_are_named() {
    let entry = |name: &str| store(&format!("  - name: redisPassword\n    envRef: {name}\n"));
    for name in ["DAPR_API_TOKEN", "APP_API_TOKEN", "TWO WORDS"] {
        let case = Case::of(&entry(name)).variable(name, "hunter2");
        assert!(!has_password(&case, Strictness::Strict), "{name}");
        insta::allow_duplicates! {
            insta::assert_snapshot!(case.strict().replace(name, "NAME"), @"
            store statestore (state.redis/v1)
            warning Component statestore references an env variable that isn't allowed: NAME
            ");
        }
    }
    let listed = |keys: &str| {
        Case::of(&entry("PW")).variable("PW", "hunter2").variable("DAPR_ENV_KEYS", keys)
    };
    assert!(has_password(&listed("A PW"), Strictness::Strict));
    assert!(has_password(&listed(""), Strictness::Strict));
    assert!(!has_password(&listed("A PWD"), Strictness::Strict));
}

#[test]
fn placeholders_are_filled_in() {
    let entry = |text: &str| store(&format!("  - name: keyPrefix\n    value: \"{text}\"\n"));
    let filled = |text: &str| {
        let case = Case::of(&entry(text)).namespace("prod").variable("POD_NAME", "pod-1");
        prefix(&case)
    };
    assert_eq!(filled("{appID}-y"), "KeyPrefix(\"app1-y||\")");
    assert_eq!(filled("{namespace}"), "KeyPrefix(\"prod.app1||\")");
    assert_eq!(filled("{podName}/{appID}"), "KeyPrefix(\"pod-1/app1||\")");
    assert_eq!(filled("{other}"), "KeyPrefix(\"{other}||\")");
    assert_eq!(prefix(&Case::of(&entry("{namespace}"))), "KeyPrefix(\"default.app1||\")");
    let two = filled("{uuid}{uuid}");
    let (first, second) = two["KeyPrefix(\"".len()..].split_at(36);
    assert_ne!(first, &second[..36]);
    insta::assert_snapshot!(Case::of(&entry("{podName}")).strict(), @"refused r.yaml:10:12: spec.metadata[0].value: keyPrefix: {podName} needs the variable POD_NAME, which is empty");
    insta::assert_snapshot!(Case::of(&entry("{podName}")).lenient(), @"refused r.yaml:10:12: spec.metadata[0].value: process component statestore error: [INIT_COMPONENT_FAILURE]: initialization error occurred for statestore (state.redis/v1): [INIT_COMPONENT_FAILURE]: initialization error occurred for statestore (state.redis/v1): keyPrefix: {podName} needs the variable POD_NAME, which is empty");
}

#[test]
fn a_secret_in_the_wrong_field_is_not_shown() {
    let case = Case::of(&store("  - name: enableTLS\n    envRef: PW\n"));
    let case = case.variable("PW", "hunter2");
    insta::assert_snapshot!(case.strict(), @r#"refused r.yaml:9:5: spec.metadata[0]: redis store: enableTLS: invalid bool "<hidden>""#);
    insta::assert_snapshot!(case.lenient(), @r#"refused r.yaml:9:5: spec.metadata[0]: process component statestore error: [INIT_COMPONENT_FAILURE]: initialization error occurred for statestore (state.redis/v1): [INIT_COMPONENT_FAILURE]: initialization error occurred for statestore (state.redis/v1): redis store: enableTLS: invalid bool "<hidden>""#);
    let case = Case::of(&store("  - name: keyPrefix\n    envRef: PW\n"));
    insta::assert_snapshot!(case.variable("PW", "Hunter||2").strict(), @"refused r.yaml:9:5: spec.metadata[0]: failed to save lock keyprefix: api error: code = InvalidArgument desc = input key/keyPrefix '<hidden>' can't contain '||'");
}
