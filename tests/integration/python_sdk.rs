//! Programs on the published Python SDK.

use crate::harness::programs::{
    calls_every_method, deletes_its_orders, goes_through_both_outages,
    goes_through_the_quickstarts_own_outage, provided, test_file, words,
};

fn program(name: &str, variable: &str) -> Option<Vec<String>> {
    let python = provided(&test_file(".venv/bin/python"), "python3")?;
    let name = test_file(&format!("apps/python/{name}"));
    let [python, name] = [python, name].map(|path| path.to_str().expect("UTF-8").to_owned());
    Some(words("env".as_ref(), &[variable, &python, &name]))
}

#[test]
fn the_python_order_processor_runs_through_a_killed_and_a_frozen_redis() {
    if let Some(app) = program("order_processor.py", "CLIENT=") {
        goes_through_both_outages(&app);
    }
}

#[test]
fn the_python_order_processor_runs_through_an_outage_on_the_quickstarts_own_times() {
    if let Some(app) = program("order_processor.py", "CLIENT=") {
        goes_through_the_quickstarts_own_outage(&app);
    }
}

#[test]
fn the_python_order_processor_saves_gets_and_deletes_on_the_embedded_store() {
    if let Some(app) = program("order_processor.py", "CLIENT=") {
        deletes_its_orders(&app);
    }
}

#[test]
fn every_state_method_of_the_python_sdk_gets_the_answer_it_expects() {
    if let Some(app) = program("every_method.py", "CLIENT=") {
        calls_every_method(&app);
    }
}

#[test]
fn every_state_method_of_the_asynchronous_python_sdk_gets_the_answer_it_expects() {
    if let Some(app) = program("every_method.py", "CLIENT=aio") {
        calls_every_method(&app);
    }
}
