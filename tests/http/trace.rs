//! Every answer of a state route carries the caller's trace context, whether it tells of a success
//! or of an error.

use crate::edge::{self, Edge};

const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const NO_PARENT: &str = "00-00000000000000000000000000000000-0000000000000000-00";

const CALLS: &[(&str, &str, &str, u16)] = &[
    ("POST", "/v1.0/state/statestore", "[{\"key\":\"a\",\"value\":1}]", 204),
    ("GET", "/v1.0/state/statestore/a", "", 200),
    ("GET", "/v1.0/state/statestore/none", "", 204),
    ("POST", "/v1.0/state/statestore/bulk", "{\"keys\":[\"a\"]}", 200),
    ("POST", "/v1.0/state/statestore/transaction", "{\"operations\":[]}", 204),
    ("POST", "/v1.0/state/statestore", "[{", 400),
    ("GET", "/v1.0/state/nope/a", "", 400),
    ("GET", "/v1.0/state/statestore/a%7C%7Cb", "", 400),
    ("POST", "/v1.0/state/statestore", "[{\"key\":\"a\",\"value\":1,\"etag\":\"99\"}]", 409),
    ("POST", "/v1.0-alpha1/state/statestore/query", "{}", 500),
    ("DELETE", "/v1.0/state/statestore/a", "", 204),
    ("PATCH", "/v1.0/state/statestore/a", "", 404),
];

#[tokio::test]
async fn state_routes_echo_the_trace_on_success_and_error_alike() {
    // sidecar-surface 3.11
    let edge = Edge::start(edge::in_memory());
    for (sent, parent, state) in [
        (&[("traceparent", PARENT), ("tracestate", "a=b")][..], PARENT, Some("a=b")),
        (&[("traceparent", PARENT)], PARENT, None),
        (&[("traceparent", "junk"), ("tracestate", "a=b")], NO_PARENT, None),
        (&[], NO_PARENT, None),
    ] {
        for (method, path, body, status) in CALLS {
            let answer = edge.send(method, path, sent, body.as_bytes()).await;
            assert_eq!(answer.status, *status, "{method} {path}: {}", answer.text());
            let found = (answer.header("traceparent"), answer.header("tracestate"));
            assert_eq!(found, (Some(parent), state), "{method} {path}");
        }
    }
}
