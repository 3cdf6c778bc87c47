//! How the sidecar starts and ends: exit codes, signals, the grace of calls in flight.

use std::{
    net::{TcpListener, TcpStream},
    time::Duration,
};

use nix::sys::signal::Signal;
use tokio::time::Instant;

use crate::harness::{
    canary::{key, value},
    client::Pending,
    eventually,
    redis::Redis,
    resources::{quickstart_in_a_hurry, statestore},
    sidecar::{APP_ID, Setup, Sidecar},
};

/// A sidecar whose Redis is gone, with a save that is retried for ever.
fn retrying_for_ever(grace_seconds: &str) -> (Redis, Sidecar, Pending) {
    let mut redis = Redis::start();
    let setup = Setup::default().redis(&redis);
    let setup = setup.resource("resiliency.yaml", &quickstart_in_a_hurry());
    let sidecar = setup.args(&["--dapr-graceful-shutdown-seconds", grace_seconds]).start();
    sidecar.wait_until_connected();
    redis.stop();
    let save = sidecar.client().start_save(&key("in-flight"), value("v"));
    sidecar.process.wait_for_line(0, "Retrying in 300ms…");
    (redis, sidecar, save)
}

#[test]
fn sigterm_and_sigint_end_it_in_order() {
    for (signal, name) in [(Signal::SIGTERM, "terminated"), (Signal::SIGINT, "interrupt")] {
        let redis = Redis::start();
        let mut sidecar = Setup::default().redis(&redis).start();
        // An idle connection does not hold it up.
        let client = sidecar.client();
        client.metadata();
        let begun = Instant::now();
        sidecar.process.signal(signal);
        assert_eq!(sidecar.process.exit_code(), 0);
        assert!(begun.elapsed() < Duration::from_secs(4), "it took {:?}", begun.elapsed());
        let lines = sidecar.process.lines();
        let told = format!("Received signal '{name}'; beginning shutdown");
        assert!(lines.iter().any(|line| line.text.contains(&told)), "{lines:?}");
        let last = lines.last().expect("a last line");
        assert!(last.text.contains("Daprd shutdown gracefully"), "{last:?}");
    }
}

#[test]
fn the_shutdown_call_ends_it_in_order() {
    let mut sidecar = Setup::default().start();
    sidecar.client().shutdown(false).expect("answered before it goes");
    assert_eq!(sidecar.process.exit_code(), 0);
    assert_eq!(sidecar.said(0, "Shutdown requested via API").len(), 1);

    let mut sidecar = Setup::default().start();
    assert_eq!(sidecar.http("POST", "/v1.0/shutdown", &[]).status, 204);
    assert_eq!(sidecar.process.exit_code(), 0);
}

#[test]
fn a_forced_shutdown_ends_it_with_code_1() {
    let mut sidecar = Setup::default().start();
    sidecar.client().shutdown(true).expect("answered before it goes");
    assert_eq!(sidecar.process.exit_code(), 1);
    let told = "Force shutdown requested, exiting immediately without graceful shutdown";
    assert_eq!(sidecar.said(0, told).len(), 1);
}

#[test]
fn a_second_signal_ends_it_at_once_with_code_1() {
    let (_redis, mut sidecar, save) = retrying_for_ever("60");
    sidecar.process.signal(Signal::SIGTERM);
    sidecar.process.wait_for_line(0, "beginning shutdown");
    let begun = Instant::now();
    sidecar.process.signal(Signal::SIGTERM);
    assert_eq!(sidecar.process.exit_code(), 1);
    assert!(begun.elapsed() < Duration::from_secs(2), "it took {:?}", begun.elapsed());
    let told = "Received signal 'terminated' during shutdown; exiting immediately";
    assert_eq!(sidecar.said(0, told).len(), 1);
    save.answer().expect_err("its sidecar is gone");
}

#[test]
fn the_grace_bounds_a_call_that_is_retried_for_ever() {
    let (_redis, mut sidecar, save) = retrying_for_ever("1");
    let begun = Instant::now();
    sidecar.process.signal(Signal::SIGTERM);
    assert_eq!(sidecar.process.exit_code(), 1);
    let waited = begun.elapsed();
    assert!((900..4000).contains(&waited.as_millis()), "it took {waited:?}");
    let told = "Graceful shutdown timeout exceeded, forcing shutdown";
    assert_eq!(sidecar.said(0, told).len(), 1);
    save.answer().expect_err("its sidecar is gone");
}

#[test]
fn a_call_in_flight_ends_well_within_the_grace() {
    let (mut redis, mut sidecar, save) = retrying_for_ever("30");
    sidecar.process.signal(Signal::SIGTERM);
    sidecar.process.wait_for_line(0, "beginning shutdown");
    eventually("new connections are refused", || {
        TcpStream::connect(("127.0.0.1", sidecar.grpc_port)).is_err()
    });
    redis.restart();
    save.answer().expect("saved during the shutdown");
    assert_eq!(sidecar.process.exit_code(), 0);
    let stored = format!("{APP_ID}||{}", key("in-flight"));
    assert_eq!(redis.field(&stored, "data"), Some(value("v")));
}

#[test]
fn sighup_does_not_end_it() {
    let redis = Redis::start();
    let mut sidecar = Setup::default().redis(&redis).start();
    sidecar.wait_until_connected();
    let client = sidecar.client();
    client.save(&key("before"), value("v")).expect("saved");
    sidecar.process.signal(Signal::SIGHUP);
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(sidecar.process.status(), None);
    eventually("it goes on", || client.save(&key("after"), value("v")).is_ok());
    sidecar.finish();
}

#[test]
fn an_unknown_flag_ends_it_with_code_2() {
    let mut sidecar = Setup::default().args(&["--novel"]).launch();
    assert_eq!(sidecar.process.exit_code(), 2);
    assert!(sidecar.process.text().contains("unknown flag: --novel"), "{}", sidecar.process.text());
}

#[test]
fn broken_yaml_ends_it_with_code_1_before_anything_is_opened() {
    let redis = Redis::start();
    let connections = || -> u64 {
        let stats: String = redis.query(&["INFO", "stats"]);
        let line = stats.lines().find_map(|line| line.strip_prefix("total_connections_received:"));
        line.and_then(|count| count.trim().parse().ok()).expect("a count")
    };
    let before = connections();
    let broken = "apiVersion: dapr.io/v1alpha1\nkind: Resiliency\nmetadata:\n  name: [\n";
    let setup = Setup::default().redis(&redis).resource("broken.yaml", broken);
    let mut sidecar = setup.launch();
    assert_eq!(sidecar.process.exit_code(), 1);
    let text = sidecar.process.text();
    let names_the_line = text.lines().any(|line| {
        line.contains("broken.yaml:") && {
            let after = line.split("broken.yaml:").nth(1).unwrap_or_default();
            after.starts_with(|letter: char| letter.is_ascii_digit())
        }
    });
    assert!(names_the_line, "{text}");
    assert_eq!(connections(), before + 1, "only the question itself is a new connection");
    assert!(!text.contains("listening"), "{text}");
}

#[test]
fn every_wrong_resource_is_told_in_one_go() {
    let redis = Redis::start();
    let wrong = statestore(&redis).replace("type: state.redis", "typ: state.redis");
    let setup = Setup::default().resource("one.yaml", &wrong);
    let policies = quickstart_in_a_hurry().replace("retry: retryForever", "retry: retryForevr");
    let mut sidecar = setup.resource("two.yaml", &policies).launch();
    assert_eq!(sidecar.process.exit_code(), 1);
    let text = sidecar.process.text();
    assert!(text.contains("one.yaml:") && text.contains("two.yaml:"), "{text}");
    assert!(text.contains("retryForevr") && text.contains("retryForever"), "{text}");
}

#[test]
fn a_taken_port_ends_it_with_code_1() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("a bound listener").port();
    let mut sidecar = Setup::default().http_port(port).launch();
    assert_eq!(sidecar.process.exit_code(), 1);
    let text = sidecar.process.text();
    assert!(text.contains(&port.to_string()) && text.contains("in use"), "{text}");
}

#[test]
fn versions_are_told_without_starting() {
    for (flag, expected) in [("--version", "1.18.3"), ("--build-info", "Version: 1.18.3")] {
        let mut sidecar = Setup::default().args(&[flag]).launch();
        assert_eq!(sidecar.process.exit_code(), 0);
        let text = sidecar.process.text();
        assert_eq!(text.lines().next(), Some(expected), "{text}");
    }
}
