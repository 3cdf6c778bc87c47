//! No ghost writes: a save whose caller was told that it failed, or who hung up before it was sent,
//! is not carried out later.

use std::time::Duration;

use crate::harness::{
    canary::{key, value},
    client::{Client, Pending},
    eventually,
    redis::Redis,
    resources::statestore_with,
    sidecar::{APP_ID, Setup, Sidecar},
};

const MEBIBYTE: usize = 1 << 20;
// More than the sockets on both sides take in, so that what comes after it cannot have been sent.
const BIG_SAVES: usize = 24;
const SMALL_SAVES: usize = 20;

struct Frozen {
    redis: Redis,
    sidecar: Sidecar,
    client: Client,
}

/// Freezes Redis and fills its socket; then come saves that time out and saves whose callers hang
/// up, all behind what fills the socket.
fn freeze_with_a_full_socket() -> Frozen {
    let redis = Redis::start();
    let store = statestore_with(&redis, &[("readTimeout", "600ms")]);
    let sidecar = Setup::default().resource("statestore.yaml", &store).start();
    sidecar.wait_until_connected();
    let client = sidecar.client();
    client.save(&key("before"), value("1")).expect("saved");
    redis.pause();
    let big: Vec<Pending> = (0..BIG_SAVES)
        .map(|number| client.start_save(&key(&format!("big-{number}")), vec![b'x'; MEBIBYTE]))
        .collect();
    std::thread::sleep(Duration::from_millis(200));
    let small = |name: &str| -> Vec<Pending> {
        (0..SMALL_SAVES)
            .map(|number| client.start_save(&key(&format!("{name}-{number}")), value("ghost")))
            .collect()
    };
    let timing_out = small("timed-out");
    let hanging_up = small("hung-up");
    std::thread::sleep(Duration::from_millis(100));
    hanging_up.into_iter().for_each(Pending::hang_up);
    for save in big.into_iter().chain(timing_out) {
        save.answer().expect_err("nobody answers a frozen Redis");
    }
    Frozen { redis, sidecar, client }
}

#[track_caller]
fn assert_no_ghosts(redis: &Redis) {
    for name in ["timed-out", "hung-up"] {
        for number in 0..SMALL_SAVES {
            let stored = format!("{APP_ID}||{}", key(&format!("{name}-{number}")));
            assert_eq!(redis.query::<u64>(&["EXISTS", &stored]), 0, "a ghost wrote {stored}");
        }
    }
}

#[test]
fn saves_that_failed_behind_a_full_socket_are_not_written_when_redis_thaws() {
    let Frozen { redis, sidecar, client } = freeze_with_a_full_socket();
    redis.resume();
    eventually("saves go through again", || client.save(&key("after"), value("1")).is_ok());
    // A late write would come on the old connection, which the server reads before the new one's.
    assert_no_ghosts(&redis);
    std::thread::sleep(Duration::from_millis(1500));
    assert_no_ghosts(&redis);
    sidecar.finish();
}

#[test]
fn saves_that_failed_are_not_written_to_a_redis_that_was_started_anew() {
    let Frozen { mut redis, sidecar, client } = freeze_with_a_full_socket();
    redis.kill();
    redis.restart();
    eventually("saves go through again", || client.save(&key("after"), value("1")).is_ok());
    std::thread::sleep(Duration::from_millis(1500));
    let written = redis.written_keys();
    let stored = |name: &str| format!("{APP_ID}||{}", key(name));
    // The killed server read nothing of what was sent while it was frozen.
    assert_eq!(written, [stored("before"), stored("after")]);
    sidecar.finish();
}

#[test]
fn saves_during_an_outage_are_not_kept_for_later() {
    let mut redis = Redis::start();
    let sidecar = Setup::default().redis(&redis).start();
    sidecar.wait_until_connected();
    let client = sidecar.client();
    redis.kill();
    for number in 0..200 {
        let save = client.start_save(&key(&format!("timed-out-{}", number % 20)), value("ghost"));
        if number % 2 == 0 {
            save.hang_up();
        } else {
            save.answer().expect_err("Redis is gone");
        }
    }
    redis.restart();
    eventually("saves go through again", || client.save(&key("after"), value("1")).is_ok());
    std::thread::sleep(Duration::from_millis(1500));
    assert_no_ghosts(&redis);
    assert_eq!(redis.query::<u64>(&["DBSIZE"]), 1);
    sidecar.finish();
}
