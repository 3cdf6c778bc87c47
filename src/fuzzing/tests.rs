//! The checks on texts that look meant, each made of what it is about and a little of everything.

use proptest::{collection::vec, prelude::*, sample::select};

use super::*;

mod recorded;
mod targets;

/// A text of such pieces, with any letter now and then.
fn of(pieces: &'static [&'static str], most: usize) -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        12 => select(pieces).prop_map(str::to_owned),
        1 => any::<char>().prop_map(String::from),
    ];
    vec(piece, 0..=most).prop_map(|pieces| pieces.concat())
}

/// What numbers, durations, etags and TTLs are made of.
const DIGITS: &[&str] = &[
    "0",
    "1",
    "7",
    "15",
    "100",
    "9223372036854775807",
    "-",
    "+",
    ".",
    "ns",
    "us",
    "µs",
    "μs",
    "ms",
    "s",
    "m",
    "h",
    "9223372036854775808",
    "2562047h47m16.854775807s",
    " ",
    "e",
    "x",
    "_",
];

/// What Go's quotes escape, each in its own way, and what they do not.
const QUOTED: &[&str] = &[
    "\"",
    "\\",
    "'",
    "\x07",
    "\x08",
    "\x0c",
    "\n",
    "\r",
    "\t",
    "\x0b",
    "\0",
    "\x1b",
    "\x7f",
    "\u{85}",
    "\u{a0}",
    "\u{301}",
    "\u{feff}",
    "\u{e0001}",
    "a",
    "é",
    "漢",
    "😀",
];

const NUMBERS: &[&str] = &[
    "",
    "0",
    "1",
    "7",
    "-1",
    "+3",
    "007",
    "abc",
    "1.5",
    "9223372036854775807",
    "-9223372036854775808",
    "9223372036854775808",
    "9123372036854",
    "9223272036854775",
    "9223372036854775",
    "300000000000",
];

const KEYS: &[&str] = &[
    "appid",
    "name",
    "namespace",
    "none",
    "AppID",
    "|",
    "||",
    "a",
    "É",
    "K",
    "ſ",
    ".",
    "/",
    "%",
    " ",
];

const RULES: &[&str] = &[
    "consecutiveFailures",
    "totalFailures",
    "requests",
    "totalSuccesses",
    " ",
    ">",
    ">=",
    "==",
    "&&",
    "||",
    "(",
    ")",
    "5",
    "0.5",
    "/",
    "true",
    "'a'",
    "[",
    "]",
    "?",
    ":",
    "size",
    "\u{1}",
    "\u{7f}",
    ".",
    "!",
    "-",
    "1u",
];

const PLACEHOLDERS: &[&str] = &[
    "{uuid}",
    "{podName}",
    "{namespace}",
    "{appID}",
    "{",
    "}",
    "$",
    "${",
    "$HOST",
    "${HOST}",
    "$$",
    "x",
    "é",
    "$1",
    "\n",
    "\"a\"",
    ":",
    "[1,",
    "]",
    "{\"a\":{\"b\":\"c\"}}",
    "uuid",
];

const JSON: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    " ",
    "\"a\"",
    "\"b\"",
    "1",
    "-0.0",
    "1.50",
    "1e3",
    "1e400",
    "true",
    "null",
    "\"\\u00e9\"",
    "\"\\ud800\"",
    "\"\\n\\\"\"",
    "\"é\"",
    "{\"a\":1,\"a\":2}",
    "[1,2]",
    "\"a\":",
    "x",
];

const PATHS: &[&str] = &[
    "/", "//", "/v1.0", "/state", ".", "..", "a", "+", "%2F", "%2e", "%2B", "%", "%zz", "%2z",
    "%a", "%c3%a9", "?", "&", "=", ";", "http://h", "é", "#",
];

/// JSON that a body could be: of the fields that are read, in any case, of any kind.
fn body() -> impl Strategy<Value = String> {
    const NAMES: &[&str] = &[
        "key",
        "KEY",
        "\u{212a}ey",
        "value",
        "etag",
        "metadata",
        "options",
        "option\u{17f}",
        "concurrency",
        "consistency",
        "contentType",
        "keys",
        "parallelism",
        "operations",
        "operation",
        "request",
        "other",
    ];
    let leaf = prop_oneof![
        4 => select(NAMES).prop_map(|name| format!("{name:?}")),
        4 => select(JSON).prop_filter("a value of its own", |text| {
            serde_json::from_str::<serde_json::Value>(text).is_ok()
        }).prop_map(str::to_owned),
        1 => "[a-zé]{0,4}".prop_map(|text| serde_json::Value::from(text).to_string()),
        1 => any::<f64>().prop_map(|number| number.to_string()),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        let member = (select(NAMES), inner.clone())
            .prop_map(|(name, value)| format!("{}: {value}", serde_json::Value::from(name)));
        prop_oneof![
            vec(inner, 0..5).prop_map(|items| format!("[{}]", items.join(" ,"))),
            vec(member, 0..6).prop_map(|members| format!("{{{}}}", members.join(","))),
        ]
    })
}

/// What a transaction and a save look like, so that their insides are reached.
fn request() -> impl Strategy<Value = String> {
    let operation = (select(&["upsert", "delete", "x"][..]), prop_oneof![item(), body()])
        .prop_map(|(name, request)| format!(r#"{{"operation":"{name}","request":{request}}}"#));
    prop_oneof![
        body(),
        vec(prop_oneof![4 => item(), 1 => body()], 0..4)
            .prop_map(|items| format!("[{}]", items.join(","))),
        vec(operation, 0..4).prop_map(|items| format!(r#"{{"operations":[{}]}}"#, items.join(","))),
        bulk(),
        (body(), ".{0,3}").prop_map(|(body, rest)| body + &rest),
    ]
}

/// A text or nothing, as JSON.
fn word() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[a-zé\"\n]{0,4}".prop_map(|text| serde_json::Value::from(text).to_string()),
        1 => Just("null".to_owned()),
    ]
}

/// An object of such members, some of them twice.
fn members(member: impl Strategy<Value = (&'static str, String)>) -> impl Strategy<Value = String> {
    vec(member, 0..7).prop_map(|members| {
        let texts = members.iter().map(|(name, value)| format!("{name:?}:{value}"));
        format!("{{{}}}", texts.collect::<Vec<_>>().join(","))
    })
}

/// What a save takes.
fn item() -> impl Strategy<Value = String> {
    let metadata = prop_oneof![
        members((select(&["ttlInSeconds", "contentType", "x"][..]), word())),
        Just("null".to_owned()),
    ];
    let options =
        members((select(&["concurrency", "consistency", "Consistency", "x"][..]), word()));
    members(prop_oneof![
        1 => (select(&["key", "Key", "\u{212a}ey"][..]), word()),
        1 => (select(&["value", "VALUE"][..]), body()),
        1 => (select(&["etag", "ETag"][..]), word()),
        3 => (Just("metadata"), metadata),
        2 => (Just("options"), options),
        1 => (select(&["contentType", "other"][..]), word()),
    ])
}

/// What a bulk read takes.
fn bulk() -> impl Strategy<Value = String> {
    let keys = vec(word(), 0..4).prop_map(|keys| format!("[{}]", keys.join(",")));
    let number = prop_oneof![
        select(&["10", "null", "-1"][..]).prop_map(str::to_owned),
        select(&["1.5", "\"10\"", "1e3", "9223372036854775808"][..]).prop_map(str::to_owned),
    ];
    members(prop_oneof![
        4 => (select(&["keys", "Keys"][..]), keys),
        1 => (select(&["parallelism", "Parallelism"][..]), number),
        1 => (Just("other"), body()),
    ])
}

#[test]
fn requests_of_a_transaction_are_read_by_rules_of_their_own() {
    for request in [
        r#"{"Key":"a","value":[1],"etag":"7","metadata":{"a":"b"},"contentType":"x","other":"c"}"#,
        r#"{"options":{"concurrency":"a","consistency":"b"}}"#,
        // What comes twice.
        r#"{"key":"a","etag":"b","value":1,"key":null,"etag":null,"value":null}"#,
        r#"{"metadata":{"a":"b","c":null},"metadata":{"d":"e"}}"#,
        r#"{"metadata":{"a":"b"},"metadata":null}"#,
        r#"{"options":{"concurrency":"a","concurrency":null},"options":null}"#,
        r#"{"options":{"consistency":"a"},"options":{"consistency":null,"concurrency":"b"}}"#,
        // What is of a wrong type.
        r#"{"key":5,"etag":true,"metadata":{"a":[]},"options":{"concurrency":{},"x":1},"value":1}"#,
        r#"{"metadata":"a","options":[],"contentType":1.5}"#,
        "null",
        "[]",
        "5",
    ] {
        let body = format!(r#"{{"operations":[{{"operation":"upsert","request":{request}}}]}}"#);
        http_body_transaction(body.as_bytes());
    }
}

#[test]
fn what_the_fuzzers_found_holds() {
    http_body_save(br#"{"parallelism":-0}"#);
    http_body_transaction(b"08$~");
    let named = br#"{"operations":[{"operation":"upsert","request":{"metadata":{"\x7f":0}}}]}"#;
    http_body_transaction(named);
}

proptest! {
    #[test]
    fn durations_and_numbers_are_those_of_exact_arithmetic(text in of(DIGITS, 6)) {
        durations(text.as_bytes());
    }

    #[test]
    fn any_number_of_nanoseconds_is_written_and_read(nanos: i64) {
        durations(&nanos.to_le_bytes());
    }

    #[test]
    fn any_text_is_quoted_so_that_it_can_be_read_back(text in of(QUOTED, 6), other: String) {
        durations(text.as_bytes());
        durations(other.as_bytes());
    }

    #[test]
    fn etags_and_ttls_are_numbers_of_gos_kind(
        etag in prop_oneof![select(NUMBERS).prop_map(str::to_owned), of(DIGITS, 3)],
        ttl in prop_oneof![select(NUMBERS).prop_map(str::to_owned), of(DIGITS, 3)],
    ) {
        etag_ttl(format!("{etag}\n{ttl}").as_bytes());
    }

    #[test]
    fn a_stored_key_is_its_prefix_and_the_callers_key(lines in vec(of(KEYS, 3), 5)) {
        keys(lines.join("\n").as_bytes());
    }

    #[test]
    fn placeholders_are_replaced_and_nothing_else(text in of(PLACEHOLDERS, 8)) {
        placeholders(text.as_bytes());
    }

    #[test]
    fn every_secret_of_a_file_is_found(json in body()) {
        placeholders(format!("\n{json}").as_bytes());
    }

    #[test]
    fn what_is_stored_is_what_serde_json_reads(
        json in prop_oneof![of(JSON, 8), request()],
        bytes in vec(any::<u8>(), 0..4),
    ) {
        json_compact(json.as_bytes());
        json_compact(&[json.as_bytes(), &bytes].concat());
    }

    #[test]
    fn paths_and_queries_are_walked_and_unescaped(path in of(PATHS, 8)) {
        http_path(path.as_bytes());
        http_path(format!("/{path}").as_bytes());
    }
}

proptest! {
    // Compiling takes milliseconds in a debug build.
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn a_trip_rule_is_kept_and_says_the_same_every_time(rule in of(RULES, 7)) {
        trip_rule(rule.as_bytes());
    }
}

/// Files that users wrote, with some of their lines changed.
fn edited() -> impl Strategy<Value = String> {
    const LINES: &[&str] = &[
        "---",
        "spec:",
        "  metadata:",
        "  - name: x",
        "    value: {uuid}",
        "    envRef: SECRET",
        "- a",
        "a: &a [b]",
        "  x: *a",
        "  <<: *a",
        "kind: Component",
        "kind: Resiliency",
        "kind: Configuration",
        "\t- x",
        "scopes: [app1]",
        "    value: \"$SECRET\"",
        "      trip: a >",
        "        duration: 5x",
        "version: 1",
        "apps:",
        "  - appID: a",
        "    timeout: $SECRET",
        "  samplingRate: ${SECRET}",
        "  ignoreErrors: true",
        "?",
        "- - -",
        "'",
        "…: \u{85}x",
        "$SECRET",
        "[$SECRET]",
        "{uuid}",
        "-5",
        "",
    ];
    let edit = (any::<prop::sample::Index>(), 0..5_u8, select(LINES));
    (select(seeds()), vec(edit, 0..4)).prop_map(|(seed, edits)| {
        let mut lines: Vec<String> = seed.lines().map(str::to_owned).collect();
        for (at, kind, line) in edits {
            let at = at.index(lines.len() + 1);
            match kind {
                0 if at < lines.len() => drop(lines.remove(at)),
                1 if at < lines.len() => lines.insert(at, lines[at].clone()),
                2 if at < lines.len() => lines[at].insert_str(0, "  "),
                3 if at < lines.len() => {
                    let name = lines[at].split(':').next().unwrap_or_default().to_owned();
                    lines[at] = format!("{name}: {line}");
                }
                _ => lines.insert(at, line.to_owned()),
            }
        }
        lines.join("\n")
    })
}

/// The resources of the recordings, and what else is read.
fn seeds() -> Vec<String> {
    let mut seeds: Vec<String> =
        recorded::scenarios().into_iter().flat_map(|scenario| scenario.resources).collect();
    let (config, run) = (include_str!("tests/config.yaml"), include_str!("tests/dapr.yaml"));
    seeds.extend([config.to_owned(), run.to_owned()]);
    seeds.sort();
    seeds.dedup();
    seeds
}

/// A store whose settings come from anywhere; the variable SECRET is not for the log.
fn store() -> impl Strategy<Value = String> {
    const NAMES: &[&str] = &[
        "redisHost",
        "redisDB",
        "redisType",
        "enableTLS",
        "readTimeout",
        "writeTimeout",
        "dialTimeout",
        "poolSize",
        "ttlInSeconds",
        "keyPrefix",
        "redisUsername",
        "redisMaxRetries",
        "maxRetryBackoff",
        "clientCert",
        "failover",
        "queryIndexes",
        "unknown",
    ];
    const SOURCES: &[&str] = &[
        "value: 5",
        "value: \"true\"",
        "value: a||b",
        "value: localhost:6379",
        "value: 3s",
        "envRef: SECRET",
        "secretKeyRef: {name: SECRET}",
        "secretKeyRef: {name: SECRET, key: SECRET}",
        "value: [x]",
        "envRef: HOST",
    ];
    let setting = (select(NAMES), select(SOURCES));
    vec(setting, 0..4).prop_map(|settings| {
        let header = "apiVersion: dapr.io/v1alpha1\nkind: Component\n";
        let mut text = format!(
            "{header}metadata:\n  name: env\nspec:\n  type: secretstores.local.env\n  version: v1\n---\n\
             {header}metadata:\n  name: store\nauth:\n  secretStore: env\nspec:\n  type: state.redis\n  \
             version: v1\n  metadata:\n"
        );
        for (name, source) in settings {
            text.push_str(&format!("  - name: {name}\n    {source}\n"));
        }
        text
    })
}

/// A Configuration in which a variable stands wherever something is read.
fn configuration() -> impl Strategy<Value = String> {
    const FIELDS: &[&str] = &[
        "tracing: {samplingRate: IT}",
        "tracing: IT",
        "features: [{name: A, enabled: IT}]",
        "features: [IT]",
        "logging: {apiLogging: {enabled: IT}}",
        "components: {deny: IT}",
        "api: {allowed: [{name: IT, version: IT}]}",
        "api: {denied: [{name: state, version: v1.0, protocol: IT}]}",
        "mtls: IT",
        "metric: {enabled: IT}",
        "IT: IT",
        "metric: {IT: true}",
    ];
    let value =
        select(&["$SECRET", "\"${SECRET}\"", "[$SECRET]", "{$SECRET: 1}", "true", "0.5"][..]);
    vec((select(FIELDS), value), 1..4).prop_map(|fields| {
        let fields =
            fields.iter().map(|(field, value)| format!("  {}\n", field.replace("IT", value)));
        format!("kind: Configuration\nspec:\n{}", fields.collect::<String>())
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn bodies_are_read_as_they_are_written(body in request()) {
        http_body_save(body.as_bytes());
        http_body_transaction(body.as_bytes());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn whatever_a_file_says_its_place_is_told_and_no_secret(
        text in prop_oneof![2 => edited(), 1 => store()],
    ) {
        let folder = tempfile::tempdir().unwrap();
        yaml_resources(folder.path(), text.as_bytes());
    }

    #[test]
    fn what_is_written_in_any_style_is_read_as_what_it_means(choices in vec(any::<u8>(), 0..400)) {
        let folder = tempfile::tempdir().unwrap();
        yaml_written(folder.path(), &choices);
    }

    #[test]
    fn no_variable_that_stands_in_a_configuration_is_told(text in configuration()) {
        let folder = tempfile::tempdir().unwrap();
        yaml_resources(folder.path(), text.as_bytes());
    }

    #[test]
    fn no_bytes_break_the_loading(bytes in vec(any::<u8>(), 0..64)) {
        let folder = tempfile::tempdir().unwrap();
        yaml_resources(folder.path(), &bytes);
    }
}
