//! The story the product exists for: Redis goes away in the middle of the orders, comes back, and
//! the application has seen nothing of it.

use crate::harness::{
    eventually,
    orders::{Orders, Step, assert_complete},
    redis::Redis,
    resources::{
        FAILURES_TO_OPEN, quickstart_in_a_hurry, quickstart_in_a_hurry_with_timeout,
        statestore_with,
    },
    sidecar::{Setup, Sidecar},
};

/// One outage: begins while the app rests before `step`, and ends after at least two failed probes.
/// Answers with the order that was hit.
#[track_caller]
fn outage(
    sidecar: &Sidecar,
    orders: &Orders,
    redis: &mut Redis,
    step: Step,
    begin: fn(&mut Redis),
    end: fn(&mut Redis),
) -> u64 {
    orders.wait_for(3);
    orders.hold_before(step);
    let order = orders.current();
    let mark = sidecar.mark();
    begin(redis);
    orders.release();
    eventually("two probes fail", || {
        let changes = sidecar.breaker_changes(mark);
        changes.iter().filter(|change| *change == "half-open to open").count() >= 2
    });
    end(redis);
    sidecar.process.wait_for_line(mark, "Recovered processing operation");
    orders.wait_for(3);
    assert_told(sidecar, mark);
    order
}

/// Asserts the lines of one outage: one call was in flight, so each line comes exactly once, but for
/// the breaker's, which come in pairs.
#[track_caller]
fn assert_told(sidecar: &Sidecar, mark: usize) {
    let changes = sidecar.breaker_changes(mark);
    let probes = changes.iter().filter(|change| *change == "open to half-open").count();
    let mut expected = vec!["closed to open"];
    for _ in 1..probes {
        expected.extend(["open to half-open", "half-open to open"]);
    }
    expected.extend(["open to half-open", "half-open to closed"]);
    assert_eq!(changes, expected);

    // Neither before its time nor, since an attempt without a connection fails at once, long after.
    for pair in sidecar.said(mark, "changed state from").windows(2) {
        if pair[1].text.contains("from open to half-open") {
            let waited = pair[1].stamp().duration_since(pair[0].stamp());
            assert!((150..1500).contains(&waited.as_millis()), "open for {waited:?}");
        }
    }

    let named = sidecar.said(mark, r#"Circuit breaker \"simpleCB-statestore\" changed state"#);
    assert_eq!(named.len(), changes.len(), "every line names the breaker");
    let retrying = "Error processing operation component[statestore] output. Retrying in 300ms…";
    assert_eq!(sidecar.said(mark, retrying).len(), 1);
    let attempts = FAILURES_TO_OPEN + probes;
    let recovered = format!(
        "Recovered processing operation component[statestore] output after {attempts} attempts"
    );
    assert_eq!(sidecar.said(mark, "Recovered").len(), 1);
    assert_eq!(sidecar.said(mark, &recovered).len(), 1, "{:?}", sidecar.said(mark, "Recovered"));
}

fn stop(redis: &mut Redis) {
    redis.stop();
}

fn kill(redis: &mut Redis) {
    redis.kill();
}

fn pause(redis: &mut Redis) {
    redis.pause();
}

fn resume(redis: &mut Redis) {
    redis.resume();
}

fn restart(redis: &mut Redis) {
    redis.restart();
}

#[test]
fn orders_survive_a_redis_that_is_stopped() {
    let mut redis = Redis::start();
    let policies = quickstart_in_a_hurry();
    let sidecar = Setup::default().redis(&redis).resource("resiliency.yaml", &policies).start();
    let orders = Orders::start(sidecar.client());
    for step in [Step::Save, Step::Get, Step::Delete] {
        outage(&sidecar, &orders, &mut redis, step, stop, restart);
    }
    let count = orders.finish();
    assert_complete(&redis, count, &[]);
    sidecar.finish();
}

#[test]
fn orders_survive_a_redis_that_is_killed() {
    let mut redis = Redis::start();
    let policies = quickstart_in_a_hurry();
    let sidecar = Setup::default().redis(&redis).resource("resiliency.yaml", &policies).start();
    let orders = Orders::start(sidecar.client());
    for step in [Step::Save, Step::Delete] {
        outage(&sidecar, &orders, &mut redis, step, kill, restart);
    }
    let count = orders.finish();
    assert_complete(&redis, count, &[]);
    sidecar.finish();
}

#[test]
fn orders_survive_a_frozen_redis_by_the_policys_timeout() {
    let redis = Redis::start();
    let policies = quickstart_in_a_hurry_with_timeout();
    let sidecar = Setup::default().redis(&redis).resource("resiliency.yaml", &policies).start();
    freeze_twice(&sidecar, redis);
    sidecar.finish();
}

#[test]
fn orders_survive_a_frozen_redis_by_the_components_read_timeout() {
    let redis = Redis::start();
    let store = statestore_with(&redis, &[("readTimeout", "250ms")]);
    let policies = quickstart_in_a_hurry();
    let setup = Setup::default().resource("statestore.yaml", &store);
    let sidecar = setup.resource("resiliency.yaml", &policies).start();
    freeze_twice(&sidecar, redis);
    sidecar.finish();
}

#[track_caller]
fn freeze_twice(sidecar: &Sidecar, mut redis: Redis) {
    let orders = Orders::start(sidecar.client());
    outage(sidecar, &orders, &mut redis, Step::Get, pause, resume);
    let frozen = outage(sidecar, &orders, &mut redis, Step::Save, pause, resume);
    let count = orders.finish();
    // What a frozen server had in its socket it carries out when it thaws, whoever was told what.
    assert_complete(&redis, count, &[frozen]);
}

#[test]
fn two_data_plane_threads_serve_the_same_story() {
    let mut redis = Redis::start();
    let policies = quickstart_in_a_hurry();
    let setup = Setup::default().redis(&redis).resource("resiliency.yaml", &policies);
    let sidecar = setup.args(&["--data-plane-threads", "2"]).start();
    // Each client has a connection of its own, so both threads get some.
    let clients: Vec<_> = (0..8).map(|_| sidecar.client()).collect();
    let orders = Orders::start(sidecar.client());
    outage(&sidecar, &orders, &mut redis, Step::Save, kill, restart);
    for (number, client) in clients.iter().enumerate() {
        let key = crate::harness::canary::key(&format!("thread-{number}"));
        client.save(&key, "1").expect("saved");
        client.delete(&key).expect("deleted");
    }
    let count = orders.finish();
    assert_complete(&redis, count, &[]);
    sidecar.finish();
}
