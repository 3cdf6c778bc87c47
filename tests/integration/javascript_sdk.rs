//! Programs on the published JavaScript SDK, which speaks HTTP by default and gRPC if asked.

use crate::harness::programs::{
    calls_every_method, deletes_its_orders, goes_through_both_outages, provided, test_file, words,
};

fn program(name: &str, protocol: &str) -> Option<Vec<String>> {
    provided(&test_file("apps/javascript/node_modules/@dapr/dapr"), "npm")?;
    let name = provided(&test_file(&format!("apps/javascript/{name}")), "node")?;
    let protocol = format!("DAPR_PROTOCOL={protocol}");
    Some(words("env".as_ref(), &[&protocol, "node", name.to_str().expect("UTF-8")]))
}

#[test]
fn the_javascript_order_processor_runs_through_a_killed_and_a_frozen_redis_over_http() {
    if let Some(app) = program("order-processor.js", "http") {
        goes_through_both_outages(&app);
    }
}

#[test]
fn the_javascript_order_processor_runs_through_a_killed_and_a_frozen_redis_over_grpc() {
    if let Some(app) = program("order-processor.js", "grpc") {
        goes_through_both_outages(&app);
    }
}

#[test]
fn the_javascript_order_processor_saves_gets_and_deletes_on_the_embedded_store() {
    for protocol in ["http", "grpc"] {
        if let Some(app) = program("order-processor.js", protocol) {
            deletes_its_orders(&app);
        }
    }
}

#[test]
fn every_state_method_of_the_javascript_sdk_gets_the_answer_it_expects_over_http() {
    if let Some(app) = program("every-method.js", "http") {
        calls_every_method(&app);
    }
}

#[test]
fn every_state_method_of_the_javascript_sdk_gets_the_answer_it_expects_over_grpc() {
    if let Some(app) = program("every-method.js", "grpc") {
        calls_every_method(&app);
    }
}
