//! Programs that speak HTTP to the sidecar with nothing but what their language brings along.

use crate::harness::programs::{
    deletes_its_orders, goes_through_both_outages, provided, test_file, words,
};

fn program(tool: &str, file: &str) -> Option<Vec<String>> {
    let file = provided(&test_file(file), tool)?;
    Some(words(tool.as_ref(), &[file.to_str().expect("UTF-8")]))
}

fn python() -> Option<Vec<String>> {
    program("python3", "apps/python/http_order_processor.py")
}

fn node() -> Option<Vec<String>> {
    program("node", "apps/javascript/http-order-processor.js")
}

#[test]
fn the_plain_http_python_order_processor_runs_through_a_killed_and_a_frozen_redis() {
    if let Some(app) = python() {
        goes_through_both_outages(&app);
    }
}

#[test]
fn the_plain_http_node_order_processor_runs_through_a_killed_and_a_frozen_redis() {
    if let Some(app) = node() {
        goes_through_both_outages(&app);
    }
}

#[test]
fn the_plain_http_order_processors_save_get_and_delete_on_the_embedded_store() {
    for app in [python(), node()].into_iter().flatten() {
        deletes_its_orders(&app);
    }
}
