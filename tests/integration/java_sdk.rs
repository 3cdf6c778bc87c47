//! Programs on the published Java SDK, and one on Java's own HTTP client in its HTTP/2 mode.

use std::path::Path;

use crate::harness::programs::{
    built, calls_every_method, deletes_its_orders, goes_through_both_outages, words,
};

fn program(class: &str) -> Option<Vec<String>> {
    let jar = built("java/apps.jar", "mvn")?;
    let folder = jar.parent().and_then(Path::to_str).expect("a folder in UTF-8");
    let class_path = format!("{folder}/apps.jar:{folder}/lib/*");
    // A short program is over before the better compiler has paid.
    let quickly = ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"];
    let class = format!("outrigger.{class}");
    let more = [&quickly[..], &["-cp", &class_path, &class]].concat();
    Some(words(Path::new("java"), &more))
}

#[test]
fn the_java_order_processor_runs_through_a_killed_and_a_frozen_redis() {
    if let Some(app) = program("OrderProcessor") {
        goes_through_both_outages(&app);
    }
}

#[test]
fn the_plain_http_java_order_processor_runs_through_a_killed_and_a_frozen_redis() {
    if let Some(app) = program("HttpOrderProcessor") {
        goes_through_both_outages(&app);
    }
}

#[test]
fn the_java_order_processors_save_get_and_delete_on_the_embedded_store() {
    for name in ["OrderProcessor", "HttpOrderProcessor"] {
        if let Some(app) = program(name) {
            deletes_its_orders(&app);
        }
    }
}

#[test]
fn every_state_method_of_the_java_sdk_gets_the_answer_it_expects() {
    if let Some(app) = program("EveryMethod") {
        calls_every_method(&app);
    }
}
