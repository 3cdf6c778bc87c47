//! What a scrape says, compared with what was done: names, labels, values; through an outage; with
//! callers who try to make series; and `docs/metrics.md`.

mod exposition;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    net::TcpListener,
    path::Path,
};

use exposition::Exposition;
use outrigger::{
    metrics::families,
    proto::runtime::v1::{GetBulkStateRequest, GetStateRequest},
};

use crate::harness::{
    client::{Client, block_on},
    eventually, http,
    ports::free_port,
    redis::Redis,
    resources::{quickstart_in_a_hurry, resiliency, statestore},
    sidecar::{Setup, Sidecar},
};

const STATE: &str = "/v1.0/state/statestore";

#[track_caller]
fn scrape(sidecar: &Sidecar) -> Exposition {
    let text = sidecar.metrics();
    Exposition::parse(&text).unwrap_or_else(|problem| panic!("{problem}\n{text}"))
}

/// Policies that do nothing while all is well, and little when it is not.
fn policies() -> String {
    let text = resiliency(
        "timeouts:\n  t: 5s\nretries:\n  r:\n    policy: constant\n    duration: 10ms\n    \
         maxRetries: 1\ncircuitBreakers:\n  cb:\n    maxRequests: 1\n    timeout: 1s\n    \
         trip: consecutiveFailures >= 2",
        "timeout: t\nretry: r\ncircuitBreaker: cb",
    );
    text.replace("name: myresiliency", "name: myresiliency\n  namespace: prod")
}

/// A sidecar with everything that has metrics, and its Redis.
fn complete() -> (Redis, Sidecar) {
    let redis = Redis::start();
    let folder = tempfile::tempdir().expect("a folder");
    let config = folder.path().join("config.yaml");
    fs::write(&config, "spec:\n  metrics: {recordErrorCodes: true}\n").expect("a file");
    let setup = Setup::default().redis(&redis).resource("resiliency.yaml", &policies());
    let unknown = statestore(&redis).replace("name: statestore", "name: other");
    let unknown =
        unknown.replace("  type: state.redis", "  ignoreErrors: true\n  type: state.mysql");
    let setup = setup.resource("other.yaml", &unknown);
    let setup = setup.env("NAMESPACE", "prod").args(&["--config", &config.display().to_string()]);
    let sidecar = setup.start();
    sidecar.wait_until_connected();
    (redis, sidecar)
}

/// The counts that contain `text`, their names and labels shortened.
fn counts(found: &Exposition, text: &str) -> Vec<String> {
    let lines = found.with(text).into_iter();
    lines.map(|line| line.replace("app_id=\"order-processor\",", "")).collect()
}

/// One of each call, over both protocols; a few fail.
fn call_everything(sidecar: &Sidecar) {
    let client = sidecar.client();
    client.save("k", "1").expect("saved");
    client.save_version("k", "2", "77").expect_err("a conflict");
    client.save_version("k", "2", "x").expect_err("no etag");
    client.get("k").expect("found");
    client.get("none").expect("not found");
    client.get("a||b").expect_err("no key");
    client.delete("k").expect("deleted");
    let mut dapr = client.dapr.clone();
    let keys = vec!["a".to_owned(), "b".to_owned()];
    let store_name = "statestore".to_owned();
    let request = GetBulkStateRequest { store_name, keys, ..GetBulkStateRequest::default() };
    block_on(dapr.get_bulk_state(request)).expect("answered");
    let request = GetStateRequest { store_name: "nope".into(), ..GetStateRequest::default() };
    block_on(dapr.get_state(request)).expect_err("no such store");

    let http = |method, path: &str, body: &str| sidecar.http(method, path, body.as_bytes()).status;
    assert_eq!(http("POST", STATE, "[{\"key\":\"h\",\"value\":1}]"), 204);
    assert_eq!(http("PUT", STATE, "not JSON"), 400);
    assert_eq!(http("GET", &format!("{STATE}/h"), ""), 200);
    assert_eq!(http("GET", &format!("{STATE}/none"), ""), 204);
    assert_eq!(http("DELETE", &format!("{STATE}/h"), ""), 204);
    assert_eq!(http("POST", &format!("{STATE}/bulk"), "{\"keys\":[\"h\"]}"), 200);
    let transaction =
        "{\"operations\":[{\"operation\":\"upsert\",\"request\":{\"key\":\"t\",\"value\":1}}]}";
    assert_eq!(http("POST", &format!("{STATE}/transaction"), transaction), 204);
    assert_eq!(http("GET", "/v1.0/state/nope/k", ""), 400);
    assert_eq!(http("GET", "/nothing/here", ""), 404);
    let refused = http::request("GET", sidecar.http_port, STATE, &[], &[]);
    assert_eq!(refused.expect("an answer").status, 401);
    let without = Client::with_token(sidecar.grpc_port, None);
    without.get("k").expect_err("no token");
}

#[test]
fn a_scrape_says_what_was_done() {
    let (_redis, sidecar) = complete();
    call_everything(&sidecar);
    let found = scrape(&sidecar);
    check_state(&found);
    check_rpcs(&found);
    check_requests(&found);
    check_policies(&found);
    check_failures(&found);
    let memory = found.value("process_resident_memory_bytes");
    assert!((1e6..1e9).contains(&memory), "{memory}");
    sidecar.finish();
}

#[track_caller]
fn check_state(found: &Exposition) {
    let state = |operation: &str, success: &str, count: u32| {
        format!(
            "dapr_component_state_count{{component=\"statestore\",namespace=\"prod\",\
             operation=\"{operation}\",success=\"{success}\"}} {count}"
        )
    };
    assert_eq!(
        counts(found, "dapr_component_state_count"),
        [
            state("bulk_get", "true", 2),
            state("delete", "true", 2),
            state("get", "true", 4),
            state("set", "false", 2),
            state("set", "true", 2),
            state("transaction", "true", 1),
        ]
    );
    let outcome = |class: &str, operation: &str, count: u32| {
        format!(
            "outrigger_state_outcomes_total{{class=\"{class}\",component=\"statestore\",\
             operation=\"{operation}\"}} {count}"
        )
    };
    assert_eq!(
        counts(found, "outrigger_state_outcomes_total"),
        [
            outcome("bad_etag", "set", 1),
            outcome("conflict", "set", 1),
            outcome("ok", "bulk_get", 2),
            outcome("ok", "delete", 2),
            outcome("ok", "get", 4),
            outcome("ok", "set", 2),
            outcome("ok", "transaction", 1),
        ]
    );
}

#[track_caller]
fn check_rpcs(found: &Exposition) {
    let rpc = |method: &str, status: &str, count: u32| {
        format!(
            "dapr_grpc_io_server_completed_rpcs{{grpc_server_method=\"/dapr.proto.runtime.v1.Dapr/\
             {method}\",grpc_server_status=\"{status}\"}} {count}"
        )
    };
    let completed = counts(found, "dapr_grpc_io_server_completed_rpcs").into_iter();
    let completed: Vec<_> = completed.filter(|line| !line.contains("GetMetadata")).collect();
    assert_eq!(
        completed,
        [
            rpc("DeleteState", "OK", 1),
            rpc("GetBulkState", "OK", 1),
            rpc("GetState", "InvalidArgument", 2),
            rpc("GetState", "OK", 2),
            rpc("SaveState", "Aborted", 1),
            rpc("SaveState", "InvalidArgument", 1),
            rpc("SaveState", "OK", 1),
        ]
    );
}

#[track_caller]
fn check_requests(found: &Exposition) {
    let request = |method: &str, path: &str, status: u16, count: u32| {
        format!(
            "dapr_http_server_request_count{{method=\"{method}\",path=\"{path}\",\
             status=\"{status}\"}} {count}"
        )
    };
    let requests = counts(found, "dapr_http_server_request_count").into_iter();
    // Other tests list all sidecars of the machine, and ask them for their metadata.
    let requests =
        requests.filter(|line| !line.contains("healthz") && !line.contains("/v1.0/metadata"));
    let requests: Vec<_> = requests.collect();
    assert_eq!(
        requests,
        [
            request("DELETE", STATE, 204, 1),
            request("GET", "", 400, 1),
            request("GET", "", 404, 1),
            request("GET", STATE, 200, 1),
            request("GET", STATE, 204, 1),
            request("GET", STATE, 401, 1),
            request("POST", STATE, 200, 1),
            request("POST", STATE, 204, 2),
            request("PUT", STATE, 400, 1),
        ]
    );
    // The test's own readiness checks are requests, too.
    let healthz = request("GET", "/v1.0/healthz/outbound", 204, 0);
    let healthz = healthz.trim_end_matches('0').trim();
    assert!(counts(found, "request_count").iter().any(|line| line.starts_with(healthz)));
}

#[track_caller]
fn check_policies(found: &Exposition) {
    assert_eq!(
        counts(found, "dapr_resiliency_loaded"),
        ["dapr_resiliency_loaded{name=\"myresiliency\",namespace=\"prod\"} 1"]
    );
    // Every call of the first list ran under each policy.
    for (policy, status) in [("timeout", ""), ("retry", ""), ("circuitbreaker", "closed")] {
        assert_eq!(found.value(&policy_series("count", policy, status)), 13.0, "{policy}");
    }
    assert_eq!(found.value(&policy_series("cb_state", "circuitbreaker", "closed")), 1.0);
    assert_eq!(
        counts(found, "dapr_runtime_component_init_total"),
        ["dapr_runtime_component_init_total{component=\"state.redis\"} 1"]
    );
    assert_eq!(
        counts(found, "dapr_runtime_component_init_fail_total"),
        ["dapr_runtime_component_init_fail_total{component=\"state.mysql\",\
          componentName=\"other\",reason=\"creation\"} 1"]
    );
    assert_eq!(counts(found, "dapr_resiliency_activations_total"), [""; 0]);
}

#[track_caller]
fn check_failures(found: &Exposition) {
    let code = |category: &str, code: &str, count: u32| {
        format!("dapr_error_code_total{{category=\"{category}\",error_code=\"{code}\"}} {count}")
    };
    let mut codes = counts(found, "dapr_error_code_total");
    // Whether the harness asked for its health before it was ready is a matter of luck.
    codes.retain(|line| !line.contains("category=\"health\""));
    assert_eq!(
        codes,
        [
            code("common", "ERR_MALFORMED_REQUEST", 1),
            code("service-invocation", "ERR_DIRECT_INVOKE", 1),
            code("state", "ERR_MALFORMED_REQUEST", 1),
            code("state", "ERR_STATE_SAVE", 2),
            code("state", "ERR_STATE_STORE_NOT_FOUND", 2),
        ]
    );
    let refused = |protocol: &str| {
        found.value(&format!(
            "outrigger_refusals_total{{app_id=\"order-processor\",protocol=\"{protocol}\",\
             reason=\"token\"}}"
        ))
    };
    assert_eq!(refused("grpc"), 1.0);
    assert!(refused("http") >= 1.0);
}

fn policy_series(family: &str, policy: &str, status: &str) -> String {
    format!(
        "dapr_resiliency_{family}{{app_id=\"order-processor\",flow_direction=\"outbound\",\
         name=\"myresiliency\",namespace=\"prod\",policy=\"{policy}\",status=\"{status}\",\
         target=\"Statestore_statestore\"}}"
    )
}

#[test]
fn default_policies_are_counted_like_all_others() {
    let redis = Redis::start();
    let policies = "apiVersion: dapr.io/v1alpha1\nkind: Resiliency\nmetadata:\n  name: defaults\nspec:\n  \
        policies:\n    retries:\n      \
        DefaultRetryPolicy: {policy: constant, duration: 10ms, maxRetries: 1}\n";
    let sidecar = Setup::default().redis(&redis).resource("resiliency.yaml", policies).start();
    sidecar.wait_until_connected();
    redis.query::<()>(&["CONFIG", "SET", "maxmemory", "1"]);
    sidecar.client().save("k", "v").expect_err("there is no memory");
    assert_eq!(sidecar.said(0, "Error for operation component[statestore] output was").len(), 2);
    let found = scrape(&sidecar);
    let counted = found.with("policy=\"retry\"");
    for family in ["count", "activations_total"] {
        let series = format!("dapr_resiliency_{family}{{");
        let line = counted.iter().find(|line| line.starts_with(&series));
        let line = line.unwrap_or_else(|| panic!("{family}: {counted:?}"));
        assert!(line.contains("target=\"Statestore_statestore\""), "{line}");
        assert!(line.ends_with(" 1"), "{line}");
    }
    sidecar.finish();
}

#[test]
fn sizes_and_attempts_are_those_on_the_wire() {
    let (redis, sidecar) = complete();
    let commands = ["hgetall", "evalsha", "eval"];
    let before = redis.calls(&commands);
    let client = sidecar.client();
    for number in 0..5 {
        client.save(&format!("k{number}"), vec![b'x'; 2000]).expect("saved");
        client.get(&format!("k{number}")).expect("found");
    }
    let found = scrape(&sidecar);
    let attempts: f64 = ["read", "write"]
        .iter()
        .map(|command| {
            found.value(&format!(
                "outrigger_store_attempts_total{{app_id=\"order-processor\",command=\"{command}\",\
                 component=\"statestore\"}}"
            ))
        })
        .sum();
    assert_eq!(attempts, (redis.calls(&commands) - before) as f64);
    let method = "app_id=\"order-processor\",grpc_server_method=\"/dapr.proto.runtime.v1.Dapr/";
    let bytes = |direction: &str, name: &str| {
        let family = format!("dapr_grpc_io_server_{direction}_bytes_per_rpc");
        let count = found.value(&format!("{family}_count{{{method}{name}\"}}"));
        (count, found.value(&format!("{family}_sum{{{method}{name}\"}}")))
    };
    let (saves, received) = bytes("received", "SaveState");
    assert_eq!(saves, 5.0);
    assert!((10_000.0..10_500.0).contains(&received), "{received}");
    assert_eq!(bytes("sent", "SaveState"), (5.0, 0.0));
    let (gets, sent) = bytes("sent", "GetState");
    assert_eq!(gets, 5.0);
    assert!((10_000.0..10_500.0).contains(&sent), "{sent}");
    let body = "[{\"key\":\"h\",\"value\":1}]";
    assert_eq!(sidecar.http("POST", STATE, body.as_bytes()).status, 204);
    let bytes = "dapr_http_server_request_bytes_sum{app_id=\"order-processor\"}";
    assert_eq!(scrape(&sidecar).value(bytes), body.len() as f64);
    sidecar.finish();
}

#[test]
fn a_scrape_follows_the_breaker_through_an_outage() {
    let (mut redis, sidecar) = complete();
    let client = sidecar.client();
    let state = |found: &Exposition| {
        let states = ["closed", "half-open", "open", "unknown"];
        let is_on = |status: &&str| {
            found.value(&policy_series("cb_state", "circuitbreaker", status)) == 1.0
        };
        let on: Vec<_> = states.into_iter().filter(|status| is_on(status)).collect();
        assert_eq!(on.len(), 1, "{on:?}");
        on[0].to_owned()
    };
    assert_eq!(state(&scrape(&sidecar)), "closed");
    redis.stop();
    // Two attempts fail, a second call is rejected.
    client.save("k", "1").expect_err("no Redis");
    client.save("k", "1").expect_err("the breaker is open");
    let found = scrape(&sidecar);
    assert_eq!(found.value(&policy_series("activations_total", "retry", "")), 1.0);
    assert_eq!(found.value(&policy_series("activations_total", "circuitbreaker", "open")), 1.0);
    let rejected = "outrigger_state_outcomes_total{app_id=\"order-processor\",class=\"breaker_open\",\
                    component=\"statestore\",operation=\"set\"}";
    assert_eq!(found.value(rejected), 1.0);
    let connected =
        "outrigger_store_connected{app_id=\"order-processor\",component=\"statestore\"}";
    assert_eq!(found.value(connected), 0.0);
    // Nobody calls: time alone makes it half-open, and only a call counts that as a change.
    eventually("it is half-open", || state(&scrape(&sidecar)) == "half-open");
    let half_open = policy_series("activations_total", "circuitbreaker", "half-open");
    assert_eq!(scrape(&sidecar).value(&half_open), 0.0);
    redis.restart();
    sidecar.wait_until_connected();
    client.save("k", "1").expect("the probe is saved");
    let found = scrape(&sidecar);
    assert_eq!(state(&found), "closed");
    assert_eq!(found.value(&half_open), 1.0);
    let closed = policy_series("activations_total", "circuitbreaker", "closed");
    assert_eq!(found.value(&closed), 1.0);
    assert_eq!(found.value(&policy_series("count", "circuitbreaker", "half-open")), 1.0);
    let connections =
        "outrigger_store_connections_total{app_id=\"order-processor\",component=\"statestore\"}";
    assert_eq!(found.value(connections), 2.0);
    sidecar.finish();
}

#[test]
fn a_scrape_does_not_wait_for_a_frozen_redis() {
    let redis = Redis::start();
    let setup = Setup::default().redis(&redis);
    let sidecar = setup.resource("resiliency.yaml", &quickstart_in_a_hurry()).start();
    sidecar.wait_until_connected();
    redis.pause();
    let client = sidecar.client();
    let saves: Vec<_> = (0..600).map(|n| client.start_save(&format!("k{n}"), "v")).collect();
    // What no batch took waits; the scrape says so and does not wait itself.
    let depth = "outrigger_store_queue_depth{app_id=\"order-processor\",component=\"statestore\"}";
    eventually("some wait", || scrape(&sidecar).value(depth) > 0.0);
    assert!(!saves.iter().all(|save| save.is_answered()));
    redis.resume();
    for save in saves {
        save.answer().expect("saved after all");
    }
    assert_eq!(scrape(&sidecar).value(depth), 0.0);
    sidecar.finish();
}

#[test]
fn no_caller_can_make_series() {
    let (_redis, sidecar) = complete();
    call_everything(&sidecar);
    for method in ["BREW", "SING"] {
        sidecar.http(method, "/x", &[]);
    }
    // Beside keys and paths also stores, words of the metadata, and methods of other services.
    let names = |found: &Exposition| found.samples.keys().cloned().collect::<BTreeSet<_>>();
    sidecar.http("PUT", "/v1.0/metadata/word", b"x");
    // What other tests may do that list all sidecars of the machine.
    sidecar.http("GET", "/v1.0/metadata", &[]);
    http::request("GET", sidecar.http_port, "/v1.0/metadata", &[], &[]).expect("refused");
    let before = names(&scrape(&sidecar));
    let port = sidecar.http_port;
    let token = [("dapr-api-token", crate::harness::canary::TOKEN)];
    std::thread::scope(|scope| {
        for thread in 0..4 {
            scope.spawn(move || {
                for number in 0..2500 {
                    let name = format!("{thread}-{number}");
                    let (method, path) = match number % 5 {
                        0 => ("GET", format!("/nothing/{name}")),
                        1 => ("GET", format!("/v1.0/state/{name}/k")),
                        2 => ("GET", format!("{STATE}/{name}")),
                        3 => ("PUT", format!("/v1.0/metadata/{}", name.len())),
                        _ => ("BREW", format!("/{name}")),
                    };
                    http::request(method, port, &path, &token, &[]).expect("an answer");
                }
            });
        }
    });
    let new: Vec<_> = names(&scrape(&sidecar)).difference(&before).cloned().collect();
    assert_eq!(new, [""; 0]);
    sidecar.finish();
}

fn with_config(text: &str) -> (tempfile::TempDir, Setup) {
    let folder = tempfile::tempdir().expect("a folder");
    let config = folder.path().join("config.yaml");
    fs::write(&config, text).expect("a file");
    let setup = Setup::default().args(&["--embedded", "--config", &config.display().to_string()]);
    (folder, setup)
}

#[test]
fn the_configuration_says_what_is_counted_and_how() {
    let (_folder, setup) = with_config(
        "
spec:
  metric:
    enabled: true
    latencyDistributionBuckets: [5, 500]
    rules:
    - name: dapr_component_state_count
      labels:
      - name: operation
        regex: {write: set|delete}
  metrics:
    http:
      increasedCardinality: false
      pathMatching: ['/v1.0/state/statestore/{key}']
      excludeVerbs: true
",
    );
    let sidecar = setup.start();
    assert_eq!(sidecar.said(0, "metric spec: {").len(), 1);
    sidecar.http("POST", STATE, b"[{\"key\":\"k\",\"value\":1}]");
    sidecar.http("GET", &format!("{STATE}/k"), &[]);
    sidecar.http("DELETE", &format!("{STATE}/k"), &[]);
    let found = scrape(&sidecar);
    let writes = "dapr_component_state_count{component=\"statestore\",namespace=\"\",\
                  operation=\"write\",success=\"true\"} 2";
    assert!(counts(&found, "state_count").contains(&writes.to_owned()), "{:?}", found.samples);
    let templated = "dapr_http_server_request_count{app_id=\"order-processor\",method=\"\",\
                     path=\"/v1.0/state/statestore/{key}\",status=\"204\"}";
    assert_eq!(found.value(templated), 1.0);
    assert_eq!(found.with("response_count"), [""; 0]);
    let others = "dapr_http_server_request_count{app_id=\"order-processor\",method=\"\",path=\"\",\
                  status=\"204\"}";
    assert!(found.value(others) >= 2.0);
    let bounds: BTreeSet<_> = found
        .with("state_latencies_bucket")
        .iter()
        .filter_map(|line| Some(line.split("le=\"").nth(1)?.split('"').next()?.to_owned()))
        .collect();
    assert_eq!(bounds.into_iter().collect::<Vec<_>>(), ["+Inf", "5", "500"]);
    sidecar.finish();

    let (_folder, setup) = with_config("spec:\n  metrics: {enabled: false}\n");
    let sidecar = setup.start();
    sidecar.http("GET", &format!("{STATE}/k"), &[]);
    let types = scrape(&sidecar).types;
    assert!(types.keys().all(|name| name.starts_with("process_")), "{types:?}");
    assert!(types.contains_key("process_resident_memory_bytes"));
    sidecar.finish();
}

#[test]
fn any_path_serves_them_and_the_flags_say_where() {
    let sidecar = Setup::default().start();
    for path in ["/", "/metrics", "/any/other"] {
        let answer = http::request("GET", sidecar.metrics_port, path, &[], &[]).expect("served");
        assert_eq!(answer.status, 200);
        let text = "text/plain; version=0.0.4; charset=utf-8; escaping=underscores";
        assert_eq!(answer.content_type, text);
        Exposition::parse(&answer.body).expect("the format");
    }
    let line = format!("metrics server started on 0.0.0.0:{}/", sidecar.metrics_port);
    assert_eq!(sidecar.said(0, &line).len(), 1);
    sidecar.finish();

    let sidecar = Setup::default().args(&["--enable-metrics=false"]).start();
    http::request("GET", sidecar.metrics_port, "/", &[], &[]).expect_err("closed");
    sidecar.finish();

    let port = free_port();
    let holder = TcpListener::bind(("0.0.0.0", port)).expect("a free port");
    let mut ended = Setup::default().args(&["--metrics-port", &port.to_string()]).launch();
    assert_eq!(ended.process.exit_code(), 1);
    let text = ended.process.text();
    assert!(text.contains(&port.to_string()) && text.contains("--metrics-port"), "{text}");
    drop(holder);
}

/// The rows of `docs/metrics.md`: name, type and labels.
fn documented() -> BTreeMap<String, (String, Vec<String>)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/metrics.md");
    let text = fs::read_to_string(path).expect("docs/metrics.md");
    let words = |cell: &str| -> Vec<String> {
        cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
    };
    let rows = text.lines().filter_map(|line| line.strip_prefix("| `"));
    let rows = rows.filter_map(|line| {
        let cells: Vec<_> = line.split('|').map(str::trim).collect();
        let name = cells[0].trim_end_matches('`').to_owned();
        let kind = cells[1].to_owned();
        matches!(kind.as_str(), "counter" | "gauge" | "histogram")
            .then(|| (name, (kind, words(cells[2]))))
    });
    rows.collect()
}

#[test]
fn the_document_lists_what_there_is_and_nothing_else() {
    let known = families::ALL.iter().map(|family| {
        let labels = family.labels.iter().map(|label| (*label).to_owned()).collect();
        (family.name.to_owned(), (family.kind.as_str().to_owned(), labels))
    });
    assert_eq!(documented(), known.collect());
}

#[test]
fn a_scrape_has_every_metric_of_the_document_and_no_other() {
    let (mut redis, sidecar) = complete();
    call_everything(&sidecar);
    redis.stop();
    sidecar.client().save("k", "1").expect_err("no Redis");
    let found = scrape(&sidecar);
    let documented = documented();
    let kinds = documented.iter().map(|(name, (kind, _))| (name.clone(), kind.clone()));
    assert_eq!(found.types, kinds.collect());
    for (name, (_, labels)) in documented {
        assert_eq!(found.labels[&name], BTreeSet::from([labels]), "{name}");
    }
    sidecar.finish();
}
