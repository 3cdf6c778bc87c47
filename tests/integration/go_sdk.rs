//! Programs on the published Go SDK, and one on Go's own HTTP client.

use crate::harness::programs::{
    built, calls_every_method, deletes_its_orders, goes_through_both_outages, words,
};

fn program(name: &str) -> Option<Vec<String>> {
    Some(words(&built(&format!("go/{name}"), "go")?, &[]))
}

#[test]
fn the_go_order_processor_runs_through_a_killed_and_a_frozen_redis() {
    if let Some(app) = program("order-processor") {
        goes_through_both_outages(&app);
    }
}

#[test]
fn the_plain_http_go_order_processor_runs_through_a_killed_and_a_frozen_redis() {
    if let Some(app) = program("http-order-processor") {
        goes_through_both_outages(&app);
    }
}

#[test]
fn the_go_order_processors_save_get_and_delete_on_the_embedded_store() {
    for name in ["order-processor", "http-order-processor"] {
        if let Some(app) = program(name) {
            deletes_its_orders(&app);
        }
    }
}

#[test]
fn every_state_method_of_the_go_sdk_gets_the_answer_it_expects() {
    if let Some(app) = program("every-method") {
        calls_every_method(&app);
    }
}
