use super::*;
use crate::resources::StoreSettings;

fn of_type(kind_type: &str) -> String {
    STORE.replace("state.redis", kind_type)
}

#[test]
fn a_redis_store_loads_with_its_settings() {
    let case = Case::of(STORE);
    let resources = case.loaded(Strictness::Strict);
    let [component] = resources.components.as_slice() else { panic!("one store") };
    assert_eq!(component.log_name(), "statestore (state.redis/v1)");
    let StoreSettings::Redis(settings) = &component.store else { panic!("Redis") };
    assert_eq!(settings.address(), "localhost:6379");
    insta::assert_snapshot!(case.strict(), @"store statestore (state.redis/v1)");
}

#[test]
fn scalars_reach_the_store_as_written() {
    for (written, prefix) in [
        ("05", "05||"),
        ("no", "no||"),
        ("1.50", "1.50||"),
        ("true", "true||"),
        ("2001-01-01", "2001-01-01||"),
        ("[a, 1, no]", "[\"a\",1,false]||"),
        ("{b: x, a: null}", "{\"a\":null,\"b\":\"x\"}||"),
        ("~", "||"),
        ("\"~\"", "~||"),
    ] {
        let case = Case::of(&store(&format!("  - name: keyPrefix\n    value: {written}\n")));
        let prefix_of = &case.loaded(Strictness::Strict).components[0].key_prefix;
        let shown = format!("{prefix_of:?}");
        assert!(shown.contains(&format!("{prefix:?}")), "{written}: {shown}");
    }
}

#[test]
fn the_version_may_be_missing_and_letters_of_the_type_do_not_matter() {
    for version in ["", "  version: V0\n", "  version: v1\n"] {
        let text = of_type("state.In-Memory").replace("  version: v1\n", version);
        let resources = Case::of(&text).loaded(Strictness::Strict);
        assert!(matches!(resources.components[0].store, StoreSettings::InMemory));
    }
    let case = Case::of(&of_type("state.in-memory").replace("  version: v1\n", ""));
    insta::assert_snapshot!(case.strict(), @"
    store statestore (state.in-memory)
    warning r.yaml:9:12: spec.metadata[0].value: redisHost is not known and has no effect
    ");
}

#[test]
fn a_store_that_is_not_served_ends_the_start() {
    let case = Case::new()
        .file("a.yaml", &of_type("state.mysql").replace("statestore", "a"))
        .file("b.yaml", &of_type("state.rdis").replace("statestore", "b"))
        .file("c.yaml", &STORE.replace("v1\n", "v2\n").replace("statestore", "c"));
    insta::assert_snapshot!(case.strict(), @r#"
    refused a.yaml:6:9: spec.type: couldn't find state store state.mysql/v1; served are state.redis and state.in-memory in version v1
    refused b.yaml:6:9: spec.type: couldn't find state store state.rdis/v1; served are state.redis and state.in-memory in version v1; did you mean "state.redis"?
    refused c.yaml:6:9: spec.type: couldn't find state store state.redis/v2; served are state.redis and state.in-memory in version v1
    "#);
    insta::assert_snapshot!(case.lenient(), @r#"
    refused a.yaml:6:9: spec.type: process component a error: [INIT_COMPONENT_FAILURE]: initialization error occurred for a (state.mysql/v1): [CREATE_COMPONENT_FAILURE]: initialization error occurred for a (state.mysql/v1): couldn't find state store state.mysql/v1; served are state.redis and state.in-memory in version v1
    refused b.yaml:6:9: spec.type: process component b error: [INIT_COMPONENT_FAILURE]: initialization error occurred for b (state.rdis/v1): [CREATE_COMPONENT_FAILURE]: initialization error occurred for b (state.rdis/v1): couldn't find state store state.rdis/v1; served are state.redis and state.in-memory in version v1; did you mean "state.redis"?
    refused c.yaml:6:9: spec.type: process component c error: [INIT_COMPONENT_FAILURE]: initialization error occurred for c (state.redis/v2): [CREATE_COMPONENT_FAILURE]: initialization error occurred for c (state.redis/v2): couldn't find state store state.redis/v2; served are state.redis and state.in-memory in version v1
    "#);
}

#[test]
fn a_store_whose_errors_are_ignored_is_left_out() {
    let case = Case::new()
        .file("a.yaml", &of_type("state.mysql").replace("spec:", "spec:\n  ignoreErrors: true"))
        .file("b.yaml", &STORE.replace("statestore", "other"));
    insta::assert_snapshot!(case.strict(), @"
    store other (state.redis/v1)
    error Failed to init component statestore (state.mysql/v1): [CREATE_COMPONENT_FAILURE]: initialization error occurred for statestore (state.mysql/v1): couldn't find state store state.mysql/v1; served are state.redis and state.in-memory in version v1
    error Ignoring error processing component: process component statestore error: [INIT_COMPONENT_FAILURE]: initialization error occurred for statestore (state.mysql/v1): [CREATE_COMPONENT_FAILURE]: initialization error occurred for statestore (state.mysql/v1): couldn't find state store state.mysql/v1; served are state.redis and state.in-memory in version v1
    ");
    assert_eq!(case.strict(), case.lenient());
}

#[test]
fn types_of_no_category_end_the_start() {
    let case = Case::new()
        .file("a.yaml", &of_type("states.redis").replace("statestore", "a"))
        .file("b.yaml", &of_type("workflow.dapr").replace("statestore", "b"))
        .file("c.yaml", &of_type("redis").replace("statestore", "c"))
        .file("d.yaml", &STORE.replace("  type: state.redis\n", "").replace("statestore", "d"));
    insta::assert_snapshot!(case.strict(), @r#"
    refused a.yaml:6:9: spec.type: process component a error: incorrect type states.redis; served are state.redis and state.in-memory; did you mean "state.redis"?
    refused b.yaml:6:9: spec.type: process component b error: incorrect type workflow.dapr; served are state.redis and state.in-memory
    refused c.yaml:6:9: spec.type: process component c error: incorrect type redis; served are state.redis and state.in-memory
    refused d.yaml:6:3: spec.type: is missing; served are state.redis and state.in-memory
    "#);
    assert_eq!(case.strict(), case.lenient());
}

#[test]
fn a_type_of_no_category_can_be_ignored() {
    let case = Case::of(&of_type("workflow.dapr").replace("spec:", "spec:\n  ignoreErrors: true"));
    insta::assert_snapshot!(case.strict(), @"error Ignoring error processing component: process component statestore error: incorrect type workflow.dapr");
}

#[test]
fn categories_that_are_not_served_are_skipped_with_one_line_each() {
    let case = Case::new()
        .file("a.yaml", &of_type("pubsub.redis").replace("statestore", "pubsub"))
        .file("b.yaml", &of_type("middleware.http.uppercase").replace("statestore", "up"))
        .file("c.yaml", STORE);
    insta::assert_snapshot!(case.strict(), @"
    store statestore (state.redis/v1)
    warning component pubsub (pubsub.redis/v1) is skipped: pubsub is not served
    warning component up (middleware.http.uppercase/v1) is skipped: middleware is not served
    ");
    assert_eq!(case.strict(), case.lenient());
}

#[test]
fn duplicate_names_are_told_all_at_once_across_kinds() {
    let case = Case::new()
        .file("a.yaml", &of_type("pubsub.redis"))
        .file("b.yaml", STORE)
        .file("c.yaml", &of_type("state.in-memory"));
    insta::assert_snapshot!(case.strict(), @"
    refused b.yaml:4:9: metadata.name: duplicate definition of Component name statestore (state.redis/v1) with existing statestore (pubsub.redis/v1) in a.yaml:4
    refused c.yaml:4:9: metadata.name: duplicate definition of Component name statestore (state.in-memory/v1) with existing statestore (pubsub.redis/v1) in a.yaml:4
    ");
    assert_eq!(case.strict(), case.lenient());
}

#[test]
fn a_duplicate_out_of_scope_counts_only_behind_the_accepted_one() {
    let scoped = format!("{}scopes: [other]\n", of_type("state.in-memory"));
    let before = Case::new().file("a.yaml", &scoped).file("b.yaml", STORE);
    insta::assert_snapshot!(before.strict(), @"
    store statestore (state.redis/v1)
    warning component statestore (state.in-memory/v1) is not loaded: its scopes are other, and the app id is app1
    ");
    let behind = Case::new().file("a.yaml", STORE).file("b.yaml", &scoped);
    insta::assert_snapshot!(behind.strict(), @"refused b.yaml:4:9: metadata.name: duplicate definition of Component name statestore (state.in-memory/v1) with existing statestore (state.redis/v1) in a.yaml:4");
}

#[test]
fn another_namespace_is_passed_over_before_duplicates_are() {
    let in_namespace = |name: &str| {
        STORE.replace("  name: statestore", &format!("  name: statestore\n  namespace: {name}"))
    };
    let case = || {
        Case::new().file("a.yaml", &in_namespace("staging")).file("b.yaml", &in_namespace("prod"))
    };
    insta::assert_snapshot!(case().namespace("prod").strict(), @"
    store statestore (state.redis/v1)
    debug component statestore (state.redis/v1) is skipped: its namespace is staging
    ");
    insta::assert_snapshot!(case().strict(), @"refused b.yaml:4:9: metadata.name: duplicate definition of Component name statestore (state.redis/v1) with existing statestore (state.redis/v1) in a.yaml:4");
}

#[test]
fn a_component_out_of_scope_is_not_judged() {
    let case = Case::of(&format!("{}scopes:\n- other\n- another\n", of_type("nonsense")));
    insta::assert_snapshot!(case.strict(), @"warning component statestore (nonsense/v1) is not loaded: its scopes are other and another, and the app id is app1");
}

#[test]
fn unknown_fields_are_named_with_the_nearest_one() {
    let case = Case::of(
        "
apiVersion: dapr.io/v1alpha1
kind: Component
metadata:
  name: statestore
  labels: {a: b}
  nmae: x
scope: [app1]
spec:
  type: state.redis
  vresion: v1
  ignoreErorrs: true
  metadata:
  - name: redisHost
    vaule: hunter2
  - redisPassword: hunter2
auth:
  secretstore: x
  secretStoer: y
",
    );
    insta::assert_snapshot!(case.strict(), @r#"
    refused r.yaml:6:3: metadata.nmae: unknown field; valid are name, namespace, labels, annotations, uid, generation, resourceVersion, creationTimestamp, managedFields, ownerReferences, finalizers, generateName and selfLink; did you mean "name"?
    refused r.yaml:7:1: scope: unknown field; valid are apiVersion, kind, scopes, metadata, auth and spec; did you mean "scopes"?
    refused r.yaml:10:3: spec.vresion: unknown field; valid are type, version, ignoreErrors, initTimeout and metadata; did you mean "version"?
    refused r.yaml:11:3: spec.ignoreErorrs: unknown field; valid are type, version, ignoreErrors, initTimeout and metadata; did you mean "ignoreErrors"?
    refused r.yaml:14:5: spec.metadata[0].vaule: unknown field; valid are name, value, envRef and secretKeyRef; did you mean "value"?
    refused r.yaml:15:5: spec.metadata[1].name: is missing
    refused r.yaml:15:5: spec.metadata[1].redisPassword: unknown field; valid are name, value, envRef and secretKeyRef
    refused r.yaml:18:3: auth.secretStoer: unknown field; valid are secretStore; did you mean "secretStore"?
    "#);
    insta::assert_snapshot!(case.lenient(), @r#"
    store statestore (state.redis)
    warning r.yaml:15:5: spec.metadata[1].name: is missing
    warning r.yaml:6:3: metadata.nmae: unknown field; valid are name, namespace, labels, annotations, uid, generation, resourceVersion, creationTimestamp, managedFields, ownerReferences, finalizers, generateName and selfLink; did you mean "name"?
    warning r.yaml:7:1: scope: unknown field; valid are apiVersion, kind, scopes, metadata, auth and spec; did you mean "scopes"?
    warning r.yaml:10:3: spec.vresion: unknown field; valid are type, version, ignoreErrors, initTimeout and metadata; did you mean "version"?
    warning r.yaml:11:3: spec.ignoreErorrs: unknown field; valid are type, version, ignoreErrors, initTimeout and metadata; did you mean "ignoreErrors"?
    warning r.yaml:14:5: spec.metadata[0].vaule: unknown field; valid are name, value, envRef and secretKeyRef; did you mean "value"?
    warning r.yaml:15:5: spec.metadata[1].redisPassword: unknown field; valid are name, value, envRef and secretKeyRef
    warning r.yaml:18:3: auth.secretStoer: unknown field; valid are secretStore; did you mean "secretStore"?
    "#);
    assert!(!case.strict().contains("hunter2"));
}

#[test]
fn wrong_shapes_are_named_without_their_values() {
    let case = Case::of(
        "
apiVersion: dapr.io/v1alpha1
kind: Component
metadata:
  name: statestore
spec:
  type: state.redis
  ignoreErrors: \"true\"
  initTimeout: soon
  metadata:
    redisPassword: hunter2
scopes: app1
",
    );
    insta::assert_snapshot!(case.strict(), @r#"
    refused r.yaml:7:17: spec.ignoreErrors: expected true or false, found a text
    refused r.yaml:8:16: spec.initTimeout: time: invalid duration "soon"; valid is a time such as 5s
    refused r.yaml:10:5: spec.metadata: expected a list, found a map
    refused r.yaml:11:9: scopes: expected a list, found a text
    "#);
    insta::assert_snapshot!(case.lenient(), @"warning daprd load Component error when parsing manifests yaml resource in r.yaml: r.yaml:11:9: scopes: expected a list, found a text");
    assert!(!case.strict().contains("hunter2"));
}

#[test]
fn entries_that_contradict_themselves_are_named() {
    let case = Case::of(&store(
        "  - name: redisHost
    value: localhost:1
  - name: REDISHOST
    value: localhost:2
  - value: nameless
  - name: redisPassword
    value: x
    envRef: PASSWORD
",
    ));
    insta::assert_snapshot!(case.strict(), @"
    refused r.yaml:12:12: spec.metadata[1].value: REDISHOST is given twice; first in line 10
    refused r.yaml:13:5: spec.metadata[2].name: is missing
    refused r.yaml:14:5: spec.metadata[3]: has more than one of value, secretKeyRef and envRef; valid is one
    ");
    insta::assert_snapshot!(case.lenient(), @"
    store statestore (state.redis/v1)
    warning r.yaml:12:12: spec.metadata[1].value: REDISHOST is given twice; first in line 10
    warning r.yaml:13:5: spec.metadata[2].name: is missing
    warning r.yaml:14:5: spec.metadata[3]: has more than one of value, secretKeyRef and envRef; valid is one
    ");
}

#[test]
fn a_field_that_stands_twice_is_refused_by_a_strict_start_only() {
    let case = Case::of(&format!("{STORE}  type: state.in-memory\n"));
    insta::assert_snapshot!(case.strict(), @"refused r.yaml:11:3: spec.type: stands twice; first in line 6");
    insta::assert_snapshot!(case.lenient(), @"
    store statestore (state.in-memory/v1)
    warning r.yaml:11:3: spec.type: stands twice; first in line 6
    warning r.yaml:10:12: spec.metadata[0].value: redisHost is not known and has no effect
    ");
}

#[test]
fn all_wrong_settings_of_a_store_are_told_together() {
    let case = Case::of(&store(
        "  - name: redisDB
    value: two
  - name: enableTLS
    value: maybe
  - name: redisType
    value: cluster
",
    ));
    insta::assert_snapshot!(case.strict(), @r#"
    refused r.yaml:10:12: spec.metadata[0].value: redis store: redisDB: invalid int "two"
    refused r.yaml:12:12: spec.metadata[1].value: redis store: enableTLS: invalid bool "maybe"
    refused r.yaml:14:12: spec.metadata[2].value: redis store: redisType: Redis Cluster is not served: use a single server and remove the setting, or keep this component on daprd
    "#);
    insta::assert_snapshot!(case.lenient(), @r#"
    refused r.yaml:10:12: spec.metadata[0].value: process component statestore error: [INIT_COMPONENT_FAILURE]: initialization error occurred for statestore (state.redis/v1): [INIT_COMPONENT_FAILURE]: initialization error occurred for statestore (state.redis/v1): redis store: redisDB: invalid int "two"
    refused r.yaml:12:12: spec.metadata[1].value: process component statestore error: [INIT_COMPONENT_FAILURE]: initialization error occurred for statestore (state.redis/v1): [INIT_COMPONENT_FAILURE]: initialization error occurred for statestore (state.redis/v1): redis store: enableTLS: invalid bool "maybe"
    refused r.yaml:14:12: spec.metadata[2].value: process component statestore error: [INIT_COMPONENT_FAILURE]: initialization error occurred for statestore (state.redis/v1): [INIT_COMPONENT_FAILURE]: initialization error occurred for statestore (state.redis/v1): redis store: redisType: Redis Cluster is not served: use a single server and remove the setting, or keep this component on daprd
    "#);
}

#[test]
fn names_a_store_does_not_know_are_warned_about() {
    let case = Case::of(&store("  - name: redisHots\n    value: x\n"));
    insta::assert_snapshot!(case.strict(), @"
    store statestore (state.redis/v1)
    warning r.yaml:10:12: spec.metadata[0].value: redisHots is no setting of state.redis: did you mean redisHost?
    ");
    let case = Case::of(
        &store("  - name: actorStatestore\n    value: x\n")
            .replace("state.redis", "state.in-memory"),
    );
    insta::assert_snapshot!(case.strict(), @"store statestore (state.in-memory/v1)");
    let case = Case::of(
        &store("  - name: keyprefx\n    value: x\n").replace("state.redis", "state.in-memory"),
    );
    insta::assert_snapshot!(case.strict(), @r#"
    store statestore (state.in-memory/v1)
    warning r.yaml:10:12: spec.metadata[0].value: keyprefx is not known and has no effect; did you mean "keyPrefix"?
    "#);
}

#[test]
fn settings_whose_loss_would_harm_end_the_start_in_both_modes() {
    let harmful = store(
        "  - name: primaryEncryptionKey
    secretKeyRef: {name: NO_SUCH, key: NO_SUCH}
  - name: outboxPublishPubsub
    value: pubsub
  - name: secondaryEncryptionKey
    value: \"\"
",
    );
    let file = format!("{harmful}auth:\n  secretStore: envs\n");
    let secrets = STORE
        .replace("state.redis", "secretstores.local.env")
        .replace("statestore", "envs")
        .split("  metadata:\n")
        .next()
        .unwrap()
        .to_owned();
    let case = Case::of(&file).file("s.yaml", &secrets);
    insta::assert_snapshot!(case.strict(), @r#"
    refused r.yaml:9:5: spec.metadata[0]: primaryEncryptionKey: encryption is not served: values would be stored in plain text
    refused r.yaml:9:5: spec.metadata[0]: secret store "envs": the variable NO_SUCH is not set
    refused r.yaml:12:12: spec.metadata[1].value: outboxPublishPubsub: the outbox is not served: nothing would be published
    "#);
    insta::assert_snapshot!(case.lenient(), @"
    refused r.yaml:9:5: spec.metadata[0]: process component statestore error: [INIT_COMPONENT_FAILURE]: initialization error occurred for statestore (state.redis/v1): [INIT_COMPONENT_FAILURE]: initialization error occurred for statestore (state.redis/v1): primaryEncryptionKey: encryption is not served: values would be stored in plain text
    refused r.yaml:12:12: spec.metadata[1].value: process component statestore error: [INIT_COMPONENT_FAILURE]: initialization error occurred for statestore (state.redis/v1): [INIT_COMPONENT_FAILURE]: initialization error occurred for statestore (state.redis/v1): outboxPublishPubsub: the outbox is not served: nothing would be published
    ");
    let memory = file.replace("state.redis", "state.in-memory");
    let case = Case::of(&memory).file("s.yaml", &secrets);
    insta::assert_snapshot!(case.lenient(), @"
    refused r.yaml:9:5: spec.metadata[0]: process component statestore error: [INIT_COMPONENT_FAILURE]: initialization error occurred for statestore (state.in-memory/v1): [INIT_COMPONENT_FAILURE]: initialization error occurred for statestore (state.in-memory/v1): primaryEncryptionKey: encryption is not served: values would be stored in plain text
    refused r.yaml:12:12: spec.metadata[1].value: process component statestore error: [INIT_COMPONENT_FAILURE]: initialization error occurred for statestore (state.in-memory/v1): [INIT_COMPONENT_FAILURE]: initialization error occurred for statestore (state.in-memory/v1): outboxPublishPubsub: the outbox is not served: nothing would be published
    ");
}

#[test]
fn a_prefix_with_the_separator_is_refused() {
    let case = Case::of(&store("  - name: keyPrefix\n    value: A||b\n"));
    insta::assert_snapshot!(case.strict(), @"refused r.yaml:10:12: spec.metadata[0].value: failed to save lock keyprefix: api error: code = InvalidArgument desc = input key/keyPrefix 'a||b' can't contain '||'");
    insta::assert_snapshot!(case.lenient(), @"refused r.yaml:10:12: spec.metadata[0].value: process component statestore error: [INIT_COMPONENT_FAILURE]: initialization error occurred for statestore (state.redis/v1): [INIT_COMPONENT_FAILURE]: initialization error occurred for statestore (state.redis/v1): failed to save lock keyprefix: api error: code = InvalidArgument desc = input key/keyPrefix 'a||b' can't contain '||'");
}

#[test]
fn denied_types_are_left_out_with_daprds_warning() {
    let deny = |types: &str| {
        Case::of(STORE).config(&format!("spec:\n  components:\n    deny: [{types}]\n"))
    };
    insta::assert_snapshot!(deny("state.Redis").strict(), @"warning component 'statestore' cannot be loaded because components of type 'statestore (state.redis/v1)' are not allowed");
    insta::assert_snapshot!(deny("state.redis/v1").strict(), @"warning component 'statestore' cannot be loaded because components of type 'statestore (state.redis/v1)' are not allowed");
    insta::assert_snapshot!(deny("state.redis/v2").strict(), @"store statestore (state.redis/v1)");
}

#[test]
fn the_time_to_open_a_store_is_checked_and_of_no_effect() {
    let timeout =
        |text: &str| Case::of(&STORE.replace("spec:", &format!("spec:\n  initTimeout: {text}")));
    assert_eq!(timeout("1m").loaded(Strictness::Strict).components.len(), 1);
    assert_eq!(timeout("\"\"").loaded(Strictness::Strict).components.len(), 1);
    assert_eq!(timeout("-1s").loaded(Strictness::Lenient).components.len(), 1);
    insta::assert_snapshot!(timeout("-1s").strict(), @"refused r.yaml:6:16: spec.initTimeout: must be more than zero; valid is a time such as 5s");
}
