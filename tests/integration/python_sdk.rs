//! The order-processor on the published Python SDK, through the outage.

use std::path::Path;

use crate::harness::{
    eventually,
    redis::Redis,
    resources::quickstart_in_a_hurry,
    sidecar::{APP_ID, Setup, Sidecar},
};

fn python_app() -> [String; 2] {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let python = root.join("tests/.venv/bin/python");
    assert!(python.exists(), "{}: run `make test-deps`", python.display());
    let app = root.join("tests/apps/python/order_processor.py");
    [python, app].map(|path| path.to_str().expect("UTF-8").to_owned())
}

fn launch(setup: Setup, orders: &str, deletes: &str) -> Sidecar {
    let [python, app] = python_app();
    let setup = setup.env("ORDERS", orders).env("DELETE", deletes).env("PAUSE_MS", "300");
    setup.run(&[&python, &app]).launch()
}

fn order_lines(sidecar: &Sidecar) -> Vec<String> {
    let lines = sidecar.process.lines().into_iter().map(|line| line.text);
    lines.filter_map(|line| Some(line.strip_prefix("== APP == ")?.to_owned())).collect()
}

fn expected_lines(orders: u64, verbs: &[&str]) -> Vec<String> {
    let line = |number, verb: &&str| format!("{verb} Order: {{ orderId: '{number}' }}");
    (1..=orders).flat_map(|number| verbs.iter().map(move |verb| line(number, verb))).collect()
}

#[test]
fn the_python_order_processor_runs_through_an_outage() {
    let mut redis = Redis::start();
    let setup = Setup::default().redis(&redis);
    let setup = setup.resource("resiliency.yaml", &quickstart_in_a_hurry());
    let mut sidecar = launch(setup, "6", "false");
    // The app pauses after this line, so that no call is in flight when Redis goes.
    sidecar.process.wait_for_line(0, "Getting Order: { orderId: '3' }");
    let mark = sidecar.mark();
    redis.stop();
    eventually("two probes fail", || {
        let changes = sidecar.breaker_changes(mark);
        changes.iter().filter(|change| *change == "half-open to open").count() >= 2
    });
    redis.restart();
    assert_eq!(sidecar.process.exit_code(), 0, "{}", sidecar.process.text());

    assert_eq!(order_lines(&sidecar), expected_lines(6, &["Saving", "Getting"]));
    let expected: Vec<_> = (1..=6).map(|number| format!("{APP_ID}||{number}")).collect();
    assert_eq!(redis.written_keys(), expected);
    for (number, stored) in (1..).zip(&expected) {
        let order = format!("{{\"orderId\": \"{number}\"}}");
        assert_eq!(redis.field(stored, "data"), Some(order));
        assert_eq!(redis.field(stored, "version").as_deref(), Some("1"));
    }
    assert_eq!(sidecar.said(mark, "Retrying in 300ms…").len(), 1);
    assert_eq!(sidecar.said(mark, "Recovered processing operation").len(), 1);
    let changes = sidecar.breaker_changes(mark);
    assert_eq!(changes.first().map(String::as_str), Some("closed to open"));
    assert_eq!(changes.last().map(String::as_str), Some("half-open to closed"));
}

#[test]
fn the_python_order_processor_saves_gets_and_deletes_on_the_embedded_store() {
    let mut sidecar = launch(Setup::default(), "2", "true");
    assert_eq!(sidecar.process.exit_code(), 0, "{}", sidecar.process.text());
    assert_eq!(order_lines(&sidecar), expected_lines(2, &["Saving", "Getting", "Deleting"]));
}
