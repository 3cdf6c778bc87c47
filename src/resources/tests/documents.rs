use super::*;

#[test]
fn files_are_read_in_name_order_and_every_document_counts() {
    let named = |name: &str| STORE.replace("statestore", name);
    let case = Case::new()
        .file("b.YML", &named("two"))
        .file("c.yaml", &format!("{}\n---\n# nothing\n---\n{}", named("three"), named("four")))
        .file("a.yaml", &format!("---{}", named("one")));
    fs::create_dir(case.path("d.yaml")).unwrap();
    fs::write(case.path("d.yaml").join("e.yaml"), "a: [").unwrap();
    let names: Vec<String> =
        case.loaded(Strictness::Strict).components.into_iter().map(|it| it.name).collect();
    assert_eq!(names, ["one", "two", "three", "four"]);
}

#[test]
fn three_hundred_files_load() {
    let mut case = Case::new();
    for number in 0..300 {
        let text = STORE.replace("statestore", &format!("store{number}"));
        case = case.file(&format!("{number}.yaml"), &text);
    }
    assert_eq!(case.loaded(Strictness::Strict).components.len(), 300);
    assert_eq!(case.loaded(Strictness::Lenient).components.len(), 300);
}

#[test]
fn a_document_of_more_than_64_kib_loads() {
    let long = format!("{STORE}  - name: redisPassword\n    value: {}\n", "x".repeat(100_000));
    assert_eq!(Case::of(&long).loaded(Strictness::Lenient).components.len(), 1);
    let many = format!("{STORE}{}", "# line after line\n".repeat(10_000));
    assert_eq!(Case::of(&many).loaded(Strictness::Strict).components.len(), 1);
}

#[test]
fn an_empty_folder_and_comments_alone_are_no_problem() {
    insta::assert_snapshot!(Case::new().strict(), @"");
    insta::assert_snapshot!(Case::of("# nothing\n---\n---\n").strict(), @"");
}

#[test]
fn a_missing_folder_ends_the_start() {
    let missing = PathBuf::from("/no/such/folder");
    let environment = BTreeMap::new();
    for mode in [Strictness::Strict, Strictness::Lenient] {
        let errors = load(&LoadOptions {
            resources_paths: std::slice::from_ref(&missing),
            config_paths: &[],
            app_id: "app1",
            namespace: None,
            mode,
            environment: &environment,
        });
        assert_eq!(
            errors.unwrap_err().to_string(),
            "failed to load components: open /no/such/folder: no such file or directory"
        );
    }
}

#[test]
fn other_files_are_named_and_passed_over() {
    let case = Case::of(STORE).file("notes.txt", "a: [");
    insta::assert_snapshot!(case.strict(), @"
    store statestore (state.redis/v1)
    warning A non-YAML Component file notes.txt was detected, it will not be loaded
    ");
}

#[test]
fn broken_yaml_is_told_with_its_line_and_the_rest_of_the_file_is_read() {
    let case = Case::of(&format!("{STORE}---\na: [\n---\n\tb: 1\n"));
    insta::assert_snapshot!(case.strict(), @"
    refused r.yaml:13:1: not YAML: while parsing a node, did not find expected node content
    refused r.yaml:14:2: kind: is missing; served are Component and Resiliency
    ");
    insta::assert_snapshot!(case.lenient(), @"
    store statestore (state.redis/v1)
    warning daprd load Component error when parsing manifests yaml resource in r.yaml: error converting YAML to JSON: yaml: line 13: while parsing a node, did not find expected node content
    error Could not determine resource type: error converting YAML to JSON: yaml: line 13: while parsing a node, did not find expected node content
    warning r.yaml:14:2: kind: is missing; served are Component and Resiliency
    ");
}

#[test]
fn text_that_is_not_utf_8_is_told() {
    let case = Case::of(STORE);
    fs::write(case.path("x.yaml"), b"a: \xff").unwrap();
    insta::assert_snapshot!(case.strict(), @"refused x.yaml:1:1: cannot be read: not UTF-8 text");
    insta::assert_snapshot!(case.lenient(), @"
    store statestore (state.redis/v1)
    error Could not read resiliency file x.yaml: not UTF-8 text
    ");
}

#[test]
fn kinds_are_told_apart() {
    let case = Case::of(
        "
apiVersion: dapr.io/v1alpha1
kind: component
---
kind: Resilience
---
apiVersion: dapr.io/v1alpha1
kind: Widget
---
apiVersion: dapr.io/v1alpha1
metadata: {name: x}
---
apiVersion: v2
kind: Component
metadata: {name: y}
---
just text
---
apiVersion: dapr.io/v1alpha1
kind: [Component]
",
    );
    insta::assert_snapshot!(case.strict(), @r#"
    refused r.yaml:2:7: kind: unknown kind "component"; served are Component and Resiliency; did you mean "Component"?
    refused r.yaml:4:7: kind: unknown kind "Resilience"; served are Component and Resiliency; did you mean "Resiliency"?
    refused r.yaml:7:7: kind: unknown kind "Widget"; served are Component and Resiliency
    refused r.yaml:9:1: kind: is missing; served are Component and Resiliency
    refused r.yaml:12:13: apiVersion: found "v2"; valid is dapr.io/v1alpha1
    refused r.yaml:16:1: expected a map, found a text
    refused r.yaml:19:7: kind: expected a text, found a list
    "#);
    insta::assert_snapshot!(case.lenient(), @r#"
    warning r.yaml:2:7: kind: unknown kind "component"; served are Component and Resiliency; did you mean "Component"?
    warning r.yaml:4:7: kind: unknown kind "Resilience"; served are Component and Resiliency; did you mean "Resiliency"?
    warning r.yaml:7:7: kind: unknown kind "Widget"; served are Component and Resiliency
    warning r.yaml:9:1: kind: is missing; served are Component and Resiliency
    warning r.yaml:12:13: apiVersion: found "v2"; valid is dapr.io/v1alpha1
    warning r.yaml:16:1: expected a map, found a text
    warning r.yaml:19:7: kind: expected a text, found a list
    "#);
}

#[test]
fn kinds_of_others_are_skipped_with_a_warning() {
    let case = Case::of(
        "
apiVersion: v1
kind: ConfigMap
---
apiVersion: dapr.io/v2alpha1
kind: Subscription
metadata: {name: sub}
---
apiVersion: dapr.io/v1alpha1
kind: HTTPEndpoint
---
apiVersion: dapr.io/v1alpha1
kind: Configuration
metadata: {name: appconfig}
",
    );
    insta::assert_snapshot!(case.strict(), @"
    warning r.yaml:2:7: kind: ConfigMap (v1) is not Dapr's; the document is skipped
    warning r.yaml:5:7: kind: Subscription is not served; the document is skipped
    warning r.yaml:9:7: kind: HTTPEndpoint is not served; the document is skipped
    warning r.yaml:12:7: kind: has no effect in a resources folder; pass it with --config
    ");
    assert_eq!(case.strict(), case.lenient());
}

#[test]
fn a_configuration_that_is_in_use_may_lie_in_a_resources_folder() {
    let text = "apiVersion: dapr.io/v1alpha1\nkind: Configuration\nmetadata: {name: x}\n";
    let mut case = Case::of(text);
    case.configs.push(case.path("r.yaml"));
    insta::assert_snapshot!(case.strict(), @"");
}

#[test]
fn names_that_cannot_stand_in_a_path_are_refused() {
    let case = Case::new()
        .file("a.yaml", &STORE.replace("statestore", "a/b"))
        .file("b.yaml", &STORE.replace("statestore", ".."))
        .file("c.yaml", &STORE.replace("statestore", "50%"))
        .file("d.yaml", &STORE.replace("statestore", "\"\""));
    insta::assert_snapshot!(case.strict(), @r#"
    refused a.yaml:4:9: metadata.name: invalid name "a/b" for Component: it may not contain '/'
    refused b.yaml:4:9: metadata.name: invalid name ".." for Component: it may not be '.' or '..'
    refused c.yaml:4:9: metadata.name: invalid name "50%" for Component: it may not contain '%'
    refused d.yaml:4:9: metadata.name: is missing
    "#);
    insta::assert_snapshot!(case.lenient(), @r#"
    store  (state.redis/v1)
    warning daprd load Component error when parsing manifests yaml resource in a.yaml: invalid name "a/b" for Component: it may not contain '/'
    warning daprd load Component error when parsing manifests yaml resource in b.yaml: invalid name ".." for Component: it may not be '.' or '..'
    warning daprd load Component error when parsing manifests yaml resource in c.yaml: invalid name "50%" for Component: it may not contain '%'
    "#);
}

#[test]
fn a_name_may_be_a_number() {
    let case = Case::of(&STORE.replace("statestore", "007"));
    assert_eq!(case.loaded(Strictness::Strict).components[0].name, "007");
}

#[test]
fn field_names_match_in_any_letters() {
    let case = Case::of(&STORE.replace("spec:", "SPEC:").replace("  type:", "  Type:"));
    insta::assert_snapshot!(case.strict(), @"store statestore (state.redis/v1)");
}

#[test]
fn a_lenient_start_sees_a_resiliency_in_the_first_document_only() {
    let policy = resiliency("\n  policies:\n    timeouts:\n      DefaultTimeoutPolicy: 1s\n");
    let case = Case::of(&format!("{STORE}---{policy}"));
    insta::assert_snapshot!(case.strict(), @"
    store statestore (state.redis/v1)
    info Loading Resiliency configuration: res
    ");
    insta::assert_snapshot!(case.lenient(), @"
    store statestore (state.redis/v1)
    warning r.yaml:12:1: this Resiliency is not loaded, because it is not the file's first document
    ");
    let case = Case::of(&format!("# a comment\n---{policy}"));
    insta::assert_snapshot!(case.lenient(), @"info Loading Resiliency configuration: res");
}

#[test]
fn another_api_version_of_a_resiliency_is_refused_by_a_strict_start_only() {
    let policy = resiliency("\n  policies: {}\n");
    let case = Case::of(&policy.replace("v1alpha1", "v2"));
    insta::assert_snapshot!(case.strict(), @r#"refused r.yaml:1:13: apiVersion: found "dapr.io/v2"; valid is dapr.io/v1alpha1"#);
    insta::assert_snapshot!(case.lenient(), @"info Loading Resiliency configuration: res");
    let case = Case::of(&policy.replace("apiVersion: dapr.io/v1alpha1\n", ""));
    insta::assert_snapshot!(case.strict(), @"refused r.yaml:1:1: apiVersion: is missing; valid is dapr.io/v1alpha1");
}
