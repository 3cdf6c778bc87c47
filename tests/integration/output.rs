//! What the sidecar prints, and that nothing depends on anybody reading it.

use std::{
    io::{Read as _, pipe},
    time::Duration,
};

use nix::sys::signal::Signal;
use tokio::time::Instant;

use crate::harness::{
    canary::{key, value},
    redis::Redis,
    resources::resiliency,
    sidecar::{APP_ID, Setup, Sidecar},
};

/// A sidecar that says two lines and more a call: its Redis is gone, and it retries once.
fn talkative(redis: &mut Redis) -> Setup {
    redis.stop();
    let policies = resiliency(
        "retries:\n  once:\n    policy: constant\n    duration: 1ms\n    maxRetries: 1",
        "retry: once",
    );
    Setup::default().redis(redis).resource("resiliency.yaml", &policies)
}

/// Has it say far more than a pipe takes in, and asserts that no call waits for the reader.
fn talk_much(sidecar: &Sidecar) {
    crate::harness::eventually("it serves", || {
        std::net::TcpStream::connect(("127.0.0.1", sidecar.grpc_port)).is_ok()
    });
    let client = sidecar.client();
    for _ in 0..1000 {
        let begun = Instant::now();
        client.save(&key("k"), value("v")).expect_err("Redis is gone");
        assert!(begun.elapsed() < Duration::from_secs(1), "a call took {:?}", begun.elapsed());
    }
}

#[test]
fn an_output_that_nobody_reads_stalls_no_call_and_no_end() {
    let mut redis = Redis::start();
    let (reader, writer) = pipe().expect("a pipe");
    let mut sidecar = talkative(&mut redis).launch_writing_to(writer.into());
    talk_much(&sidecar);
    sidecar.process.signal(Signal::SIGTERM);
    assert_eq!(sidecar.process.exit_code(), 0);
    drop(reader);
}

#[test]
fn an_output_that_is_read_late_loses_whole_lines_only() {
    let mut redis = Redis::start();
    let (mut reader, writer) = pipe().expect("a pipe");
    let mut sidecar = talkative(&mut redis).launch_writing_to(writer.into());
    talk_much(&sidecar);
    let reading = std::thread::spawn(move || {
        let mut text = String::new();
        reader.read_to_string(&mut text).expect("text");
        text
    });
    sidecar.process.signal(Signal::SIGTERM);
    assert_eq!(sidecar.process.exit_code(), 0);
    let text = reading.join().expect("read to the end");
    for line in text.lines() {
        assert!(line.starts_with("time=\"") && line.contains(" ver="), "{line}");
    }
    assert!(text.lines().last().is_some_and(|line| line.contains("Daprd shutdown gracefully")));
    assert!(text.len() > 64 << 10, "a pipe's worth was read");
}

#[test]
fn a_closed_output_ends_nothing() {
    let mut redis = Redis::start();
    let (reader, writer) = pipe().expect("a pipe");
    drop(reader);
    let mut sidecar = talkative(&mut redis).launch_writing_to(writer.into());
    talk_much(&sidecar);
    redis.restart();
    let client = sidecar.client();
    crate::harness::eventually("it saves", || client.save(&key("k"), value("v")).is_ok());
    sidecar.process.signal(Signal::SIGTERM);
    assert_eq!(sidecar.process.exit_code(), 0);
}

#[test]
fn a_text_line_has_its_fields_in_order() {
    let redis = Redis::start();
    let sidecar = Setup::default().redis(&redis).start();
    let line = sidecar.process.wait_for_line(0, "dapr initialized. Status: Running.").text;
    let mut rest = line.as_str();
    for field in
        ["time=\"", " level=info", " msg=\"dapr initialized. Status: Running. Init Elapsed "]
    {
        let at = rest.find(field).unwrap_or_else(|| panic!("{field} is missing: {line}"));
        rest = &rest[at + field.len()..];
    }
    let app = format!(" app_id={APP_ID}");
    for field in [&app, " instance=", " scope=dapr.runtime", " type=log", " ver="] {
        let at = rest.find(field).unwrap_or_else(|| panic!("{field} is missing: {line}"));
        rest = &rest[at + field.len()..];
    }
    sidecar.finish();
}

#[test]
fn json_lines_are_json_with_their_keys_in_order() {
    let mut redis = Redis::start();
    let mut sidecar = talkative(&mut redis).args(&["--log-as-json"]).start();
    let client = sidecar.client();
    client.save(&key("k"), value("v")).expect_err("Redis is gone");
    sidecar.process.signal(Signal::SIGTERM);
    assert_eq!(sidecar.process.exit_code(), 0);
    let lines = sidecar.process.lines();
    assert!(lines.len() > 10, "{lines:?}");
    let mut messages = Vec::new();
    for line in lines {
        let object: serde_json::Map<String, serde_json::Value> =
            serde_json::from_str(&line.text).unwrap_or_else(|error| panic!("{error}: {line:?}"));
        for field in ["app_id", "instance", "level", "msg", "scope", "time", "type", "ver"] {
            assert!(object.contains_key(field), "{field} is missing: {line:?}");
        }
        assert_eq!(object["app_id"], APP_ID);
        let places: Vec<_> =
            object.keys().filter_map(|name| line.text.find(&format!("\"{name}\":"))).collect();
        assert!(places.is_sorted(), "{line:?}");
        messages.push(format!("{}: {}", object["level"], object["msg"]));
    }
    let retry = "\"warning\": \"Error processing operation component[statestore] output. \
        Retrying in 1ms…\"";
    assert!(messages.iter().any(|message| message == retry), "{messages:?}");
}
