//! A call lasts no longer than its caller waits: by its gRPC deadline, by a call taken back over
//! gRPC or HTTP/2, by a disconnect or a reset over HTTP; asleep between retries, on the wire, in the
//! queue, as the probe of a half-open circuit.

mod caller;
mod operations;

use std::time::Duration;

use tokio::time::Instant;
use tonic::Code;

use crate::harness::{
    canary::{self, key, value},
    eventually,
    proxy::{Mode, Proxy},
    redis::Redis,
    resources::{component, resiliency, statestore_with},
    sidecar::{APP_ID, Setup, Sidecar},
};
use caller::{Caller, Leaves};

const CONNECTED: &str = "outrigger.store.statestore.connected";
const BREAKER: &str = "outrigger.store.statestore.breaker";
/// How often an attempt failed, by the debug lines of the log.
const FAILED: &str = "Error for operation component[statestore] output was";

const NOT_RETRIED: &str = "is not retried: its caller stops waiting";

/// Long enough for a call to get where it waits, also on a busy machine.
const UNDER_WAY: Duration = Duration::from_millis(700);

fn start(store: &str, policies: &str) -> Sidecar {
    Setup::default()
        .resource("statestore.yaml", store)
        .resource("resiliency.yaml", policies)
        .args(&["--enable-api-logging"])
        .start()
}

fn retry(duration: &str) -> String {
    let retries =
        format!("retries:\n  retryForever:\n    policy: constant\n    duration: {duration}");
    resiliency(&retries, "retry: retryForever")
}

/// No timeout of its own, so that nobody but the caller ends an attempt.
fn without_timeouts(redis: &Redis) -> String {
    statestore_with(redis, &[("readTimeout", "-1"), ("writeTimeout", "-1")])
}

fn exists(redis: &Redis, name: &str) -> bool {
    redis.query(&["EXISTS", &format!("{APP_ID}||{}", key(name))])
}

/// The sidecar's line about a call that its caller left; it is written when the call is dropped.
fn wait_until_dropped(sidecar: &Sidecar, mark: usize, leaves: Leaves) {
    let (line, code) = match leaves {
        Leaves::GrpcDeadline => return,
        Leaves::GrpcCancel | Leaves::GrpcGone => ("gRPC API Called", "code=1 "),
        Leaves::HttpDisconnect | Leaves::HttpReset | Leaves::Http2Cancel => {
            ("HTTP API Called", "code=499 ")
        }
    };
    eventually("the call is dropped", || {
        sidecar.said(mark, line).iter().any(|line| line.text.contains(code))
    });
}

/// Leaves in each of these ways at once: most of the time is waiting.
fn side_by_side(ways: impl IntoIterator<Item = Leaves>, leave: impl Fn(Leaves) + Sync) {
    std::thread::scope(|scope| {
        for leaves in ways {
            let leave = &leave;
            scope.spawn(move || leave(leaves));
        }
    });
}

/// Nothing is in flight any more: it ends at once and in order, though its grace is longer.
fn finish_at_once(sidecar: Sidecar) {
    let begun = Instant::now();
    sidecar.finish();
    assert!(begun.elapsed() < Duration::from_secs(4), "it waited {:?}", begun.elapsed());
}

#[test]
fn a_retry_that_would_end_too_late_is_not_waited_for() {
    let mut redis = Redis::start();
    redis.kill();
    let sidecar = start(&statestore_with(&redis, &[]), &retry("60s"));
    let begun = Instant::now();
    let told = Caller::to(&sidecar).save(&key("late"), &value("1"), "20S");
    assert!(begun.elapsed() < Duration::from_secs(10), "told at once: {:?}", begun.elapsed());
    assert_eq!(told.code, Code::DeadlineExceeded);
    let reason = "context deadline exceeded: no time left to retry: failed to set key";
    assert!(told.message.contains(reason), "{}", told.message);
    assert!(told.message.ends_with("connect: connection refused"), "{}", told.message);
    // The answer is there before the lines are read.
    sidecar.process.wait_for_line(0, NOT_RETRIED);
    assert_eq!(sidecar.said(0, FAILED).len(), 1);
    assert_eq!(sidecar.said(0, NOT_RETRIED).len(), 1);
    assert!(sidecar.said(0, "Retrying in").is_empty());
    let read = Caller::to(&sidecar).get(&key("late"), "20S");
    assert_eq!(read.code, Code::DeadlineExceeded);
    assert!(read.message.ends_with("connect: connection refused"), "{}", read.message);

    redis.restart();
    eventually("the store is connected", || sidecar.client().extended(CONNECTED) == "true");
    assert!(!exists(&redis, "late"));
    finish_at_once(sidecar);
}

#[test]
fn a_deadline_means_the_same_in_every_unit() {
    let mut redis = Redis::start();
    redis.kill();
    let sidecar = start(&statestore_with(&redis, &[]), &retry("30s"));
    for timeout in ["9S", "9000m", "9000000u", "90000000n"] {
        let mark = sidecar.mark();
        let told = Caller::to(&sidecar).save(&key("late"), &value("1"), timeout);
        assert_eq!(told.code, Code::DeadlineExceeded, "{timeout}");
        assert!(told.message.contains("no time left to retry"), "{timeout}: {}", told.message);
        assert!(sidecar.said(mark, "Retrying in").is_empty(), "{timeout}");
    }
    for timeout in ["1H", "1M", "60S", "60000m", "60000000u"] {
        let mark = sidecar.mark();
        let call =
            Caller::to(&sidecar).begin(Leaves::GrpcDeadline, &key("late"), &value("1"), timeout);
        sidecar.process.wait_for_line(mark, "Retrying in 30s");
        call.leave();
    }
    finish_at_once(sidecar);
}

#[test]
fn retries_end_with_their_callers_time() {
    let exponential = resiliency(
        "retries:\n  retryForever:\n    policy: exponential\n    maxInterval: 60s",
        "retry: retryForever",
    );
    std::thread::scope(|scope| {
        for policies in [retry("300ms"), exponential] {
            scope.spawn(move || retries_end_in_time(&policies));
        }
    });
}

fn retries_end_in_time(policies: &str) {
    let mut redis = Redis::start();
    redis.kill();
    let sidecar = start(&statestore_with(&redis, &[]), policies);
    let begun = Instant::now();
    let told = Caller::to(&sidecar).save(&key("late"), &value("1"), "1500m");
    let took = begun.elapsed();
    assert_eq!(told.code, Code::DeadlineExceeded);
    assert!(told.message.contains("no time left to retry"), "{}", told.message);
    assert!(took < Duration::from_secs(10), "{took:?}");
    // The answer is there before the lines are read.
    sidecar.process.wait_for_line(0, NOT_RETRIED);
    let attempts = sidecar.said(0, FAILED).len();
    assert!((1..=5).contains(&attempts), "{attempts} attempts");
    redis.restart();
    eventually("the store is connected", || sidecar.client().extended(CONNECTED) == "true");
    std::thread::sleep(UNDER_WAY);
    assert_eq!(sidecar.said(0, FAILED).len(), attempts, "another attempt was made");
    assert!(!exists(&redis, "late"));
    finish_at_once(sidecar);
}

#[test]
fn a_call_that_sleeps_between_retries_ends_when_its_caller_leaves() {
    let others = Leaves::ALL.into_iter().filter(|leaves| *leaves != Leaves::GrpcDeadline);
    side_by_side(others, |leaves| {
        let mut redis = Redis::start();
        redis.kill();
        let sidecar = start(&statestore_with(&redis, &[]), &retry("2s"));
        let call = Caller::to(&sidecar).begin(leaves, &key("left"), &value("1"), "");
        sidecar.process.wait_for_line(0, "Retrying in 2s");
        let mark = sidecar.mark();
        call.leave();
        wait_until_dropped(&sidecar, mark, leaves);
        let attempts = sidecar.said(0, FAILED).len();
        redis.restart();
        eventually("the store is connected", || sidecar.client().extended(CONNECTED) == "true");
        // Its next attempt would have come by now.
        std::thread::sleep(Duration::from_millis(2500));
        assert_eq!(sidecar.said(0, FAILED).len(), attempts, "{leaves:?}");
        assert!(sidecar.said(0, "Recovered").is_empty(), "{leaves:?}");
        assert!(!exists(&redis, "left"), "{leaves:?}");
        sidecar.client().save(&key("next"), value("1")).expect("the next call is served");
        finish_at_once(sidecar);
    });
}

#[test]
fn what_was_on_the_wire_is_cut_and_not_tried_again() {
    side_by_side(Leaves::ALL, cut_on_the_wire);
}

fn cut_on_the_wire(leaves: Leaves) {
    let redis = Redis::start();
    let sidecar = start(&without_timeouts(&redis), &retry("100ms"));
    sidecar.wait_until_connected();
    sidecar.client().save(&key("before"), value("1")).expect("saved");
    // Commands wait in Redis, and those of a connection that ends meanwhile are dropped.
    redis.query::<()>(&["CLIENT", "PAUSE", "6000", "ALL"]);
    let paused = Instant::now();
    let mark = sidecar.mark();
    let call = Caller::to(&sidecar).begin(leaves, &key("cut"), &value("1"), "700m");
    if let Some(told) = call.leave_after(UNDER_WAY) {
        assert_eq!(told.code, Code::DeadlineExceeded, "{leaves:?}");
        let text = "failed saving state in state store statestore: context deadline exceeded";
        assert_eq!(told.message, text);
    }
    wait_until_dropped(&sidecar, mark, leaves);
    assert!(paused.elapsed() < Duration::from_secs(5), "{leaves:?}: {:?}", paused.elapsed());
    assert!(sidecar.said(mark, "Retrying in").is_empty(), "{leaves:?}");
    eventually("the next call is served", || {
        sidecar.client().save(&key("next"), value("1")).is_ok()
    });
    assert!(!exists(&redis, "cut"), "{leaves:?}: written behind its caller's back");
    finish_at_once(sidecar);
}

#[test]
fn what_waits_for_a_connection_is_taken_back() {
    side_by_side(Leaves::ALL, |leaves| {
        let redis = Redis::start();
        // Redis knows the script, so that the first call with it writes.
        let before = Setup::default().redis(&redis).start();
        before.wait_until_connected();
        before.client().save(&key("before"), value("1")).expect("saved");
        before.finish();
        let proxy = Proxy::to(redis.port);
        proxy.set(Mode::Stall);
        let address = format!("127.0.0.1:{}", proxy.port);
        let store = component(&[
            ("redisHost", &address),
            ("redisPassword", canary::PASSWORD),
            ("dialTimeout", "60s"),
            ("readTimeout", "60s"),
            ("writeTimeout", "60s"),
        ]);
        let sidecar = start(&store, &retry("100ms"));
        let mark = sidecar.mark();
        let call = Caller::to(&sidecar).begin(leaves, &key("queued"), &value("1"), "700m");
        if let Some(told) = call.leave_after(UNDER_WAY) {
            assert_eq!(told.code, Code::DeadlineExceeded, "{leaves:?}");
        }
        wait_until_dropped(&sidecar, mark, leaves);
        proxy.set(Mode::Pass(Duration::ZERO));
        sidecar.wait_until_connected();
        let client = sidecar.client();
        client.save(&key("next"), value("1")).expect("the next call is served");
        assert!(!exists(&redis, "queued"), "{leaves:?}");
        let written = ["before", "next"].map(|name| format!("{APP_ID}||{}", key(name)));
        assert_eq!(redis.written_keys(), written, "{leaves:?}");
        assert!(sidecar.said(0, "Retrying in").is_empty(), "{leaves:?}: it was no failure");
        finish_at_once(sidecar);
    });
}

#[test]
fn a_probe_whose_caller_leaves_gives_its_slot_back() {
    let policies = resiliency(
        "circuitBreakers:\n  simpleCB:\n    maxRequests: 1\n    timeout: 300ms\n    \
         trip: consecutiveFailures >= 1",
        "circuitBreaker: simpleCB",
    );
    side_by_side(Leaves::ALL, |leaves| {
        let mut redis = Redis::start();
        let sidecar = start(&without_timeouts(&redis), &policies);
        sidecar.wait_until_connected();
        let client = sidecar.client();
        redis.kill();
        eventually("the circuit opens", || client.save(&key("down"), value("1")).is_err());
        redis.restart();
        eventually("the store is connected", || client.extended(CONNECTED) == "true");
        eventually("the circuit is half-open", || client.extended(BREAKER) == "half-open");

        // Writes wait in Redis; everything else is answered, so that the connection stays.
        redis.query::<()>(&["CLIENT", "PAUSE", "600000", "WRITE"]);
        sidecar.process.wait_for_line(0, "changed state from open to half-open");
        let mark = sidecar.mark();
        let probe = Caller::to(&sidecar).begin(leaves, &key("probe"), &value("1"), "5S");
        eventually("the probe is on the wire", || {
            redis.query::<String>(&["CLIENT", "LIST"]).contains("cmd=eval")
        });
        let rejected = Caller::to(&sidecar).save(&key("other"), &value("1"), "2S");
        assert!(rejected.message.ends_with("too many requests"), "{}", rejected.message);
        assert_eq!(rejected.code, Code::Internal);
        if let Some(told) = probe.leave_after(Duration::ZERO) {
            assert_eq!(told.code, Code::DeadlineExceeded, "{leaves:?}");
        }
        wait_until_dropped(&sidecar, mark, leaves);
        assert_eq!(client.extended(BREAKER), "half-open", "{leaves:?}: it decided nothing");
        redis.query::<()>(&["CLIENT", "UNPAUSE"]);
        client.save(&key("next"), value("1")).expect("the slot is free");
        // The answer is there before the line is read.
        eventually("the circuit closes", || !sidecar.breaker_changes(mark).is_empty());
        assert_eq!(sidecar.breaker_changes(mark), ["half-open to closed"], "{leaves:?}");
        finish_at_once(sidecar);
    });
}

#[test]
fn a_body_that_stops_half_way_is_not_waited_for_when_its_sender_leaves() {
    let redis = Redis::start();
    let sidecar = start(&statestore_with(&redis, &[]), &retry("100ms"));
    sidecar.wait_until_connected();
    let before = redis.calls(&["eval", "evalsha"]);
    let half = Caller::to(&sidecar).begin_half_a_body(&key("half"), &value("1"));
    std::thread::sleep(UNDER_WAY);
    let mark = sidecar.mark();
    drop(half);
    eventually("the call is over", || !sidecar.said(mark, "HTTP API Called").is_empty());
    assert_eq!(redis.calls(&["eval", "evalsha"]), before);
    assert_eq!(redis.query::<u64>(&["DBSIZE"]), 0);
    finish_at_once(sidecar);
}

#[test]
fn a_deadline_that_is_over_on_arrival_asks_nobody() {
    let redis = Redis::start();
    let sidecar = start(&statestore_with(&redis, &[]), &retry("100ms"));
    sidecar.wait_until_connected();
    let told = Caller::to(&sidecar).save(&key("k"), &value("1"), "0n");
    assert_eq!(told.code, Code::DeadlineExceeded);
    assert_eq!(redis.calls(&["eval", "evalsha"]), 0);
    assert_eq!(redis.query::<u64>(&["DBSIZE"]), 0);
    for (timeout, code) in [("99999999H", Code::Ok), ("soonS", Code::Internal)] {
        assert_eq!(Caller::to(&sidecar).save(&key("k"), &value("1"), timeout).code, code);
    }
    finish_at_once(sidecar);
}
