//! What can be wrong with a Redis besides being gone, and that the sidecar gets over it unaided.

use std::time::Duration;

use tokio::time::Instant;
use tonic::Code;

use crate::harness::{
    canary::{self, key, value},
    client::item,
    eventually,
    orders::{Orders, assert_complete},
    proxy::{Mode, Proxy},
    redis::{Clients, Redis, TlsFacts},
    resources::{component, quickstart_in_a_hurry, resiliency, statestore_with},
    sidecar::{APP_ID, Setup, Sidecar},
};

const CONNECTED: &str = "outrigger.store.statestore.connected";
const LAST_ERROR: &str = "outrigger.store.statestore.lastError";
const BREAKER: &str = "outrigger.store.statestore.breaker";

#[test]
fn the_sidecar_starts_before_redis_and_finds_it_later() {
    let mut redis = Redis::start();
    redis.stop();
    let policies = quickstart_in_a_hurry();
    let sidecar = Setup::default().redis(&redis).resource("resiliency.yaml", &policies).start();
    let client = sidecar.client();
    assert_eq!(client.extended(CONNECTED), "false");

    let save = client.start_save(&key("early"), value("early"));
    sidecar.process.wait_for_line(0, "changed state from half-open to open");
    assert!(!save.is_answered());
    redis.restart();
    save.answer().expect("saved once Redis is there");

    let stored = format!("{APP_ID}||{}", key("early"));
    assert_eq!(redis.field(&stored, "data"), Some(value("early")));
    assert_eq!(redis.field(&stored, "version"), Some("1".into()));
    sidecar.finish();
}

#[test]
fn without_policies_a_missing_redis_is_an_error_at_once() {
    let mut redis = Redis::start();
    redis.stop();
    let sidecar = Setup::default().redis(&redis).start();
    let client = sidecar.client();
    let begun = Instant::now();
    let status = client.save(&key("k"), value("v")).expect_err("nobody is there");
    assert!(begun.elapsed() < Duration::from_secs(1), "it took {:?}", begun.elapsed());
    assert_eq!(status.code(), Code::Internal);
    let prefix = format!(
        "failed saving state in state store statestore: failed to set key {APP_ID}||{}: ",
        key("k")
    );
    assert!(status.message().starts_with(&prefix), "{status:?}");
    sidecar.finish();
}

#[test]
fn a_wrong_password_is_told_once_and_mended_without_a_restart() {
    let redis = Redis::start();
    redis.query::<()>(&["CONFIG", "SET", "requirepass", "another"]);
    let sidecar = Setup::default().redis(&redis).start();
    let client = sidecar.client();
    let status = client.save(&key("k"), value("v")).expect_err("the password is refused");
    assert_eq!(status.code(), Code::Internal);
    eventually("the error is shown", || client.extended(LAST_ERROR).contains("WRONGPASS"));
    assert_eq!(client.extended(CONNECTED), "false");
    for _ in 0..20 {
        client.save(&key("k"), value("v")).expect_err("still refused");
        std::thread::sleep(Duration::from_millis(20));
    }
    let told = sidecar.said(0, "WRONGPASS");
    let told = told.iter().filter(|line| !line.text.contains("level=debug")).count();
    assert_eq!(told, 1, "a change of the connection is logged once");

    let url = format!("redis://:another@127.0.0.1:{}/", redis.port);
    let mut connection =
        redis::Client::open(url).and_then(|redis| redis.get_connection()).expect("a connection");
    let mut mend = redis::cmd("CONFIG");
    mend.arg(&["SET", "requirepass", canary::PASSWORD]).exec(&mut connection).expect("set");
    eventually("the next saves go through", || client.save(&key("k"), value("v")).is_ok());
    sidecar.finish();
}

fn store_with_tls(tls: &TlsFacts, more: &[(&str, &str)]) -> String {
    let host = format!("localhost:{}", tls.port);
    let mut metadata = vec![
        ("redisHost", host.as_str()),
        ("redisPassword", canary::PASSWORD),
        ("enableTLS", "true"),
    ];
    metadata.extend(more);
    component(&metadata)
}

#[track_caller]
fn assert_serves(sidecar: &Sidecar, redis: &Redis) {
    sidecar.wait_until_connected();
    let client = sidecar.client();
    client.save(&key("tls"), value("tls")).expect("saved");
    assert_eq!(client.get(&key("tls")).expect("read").data, value("tls"));
    let stored = format!("{APP_ID}||{}", key("tls"));
    assert_eq!(redis.field(&stored, "data"), Some(value("tls")));
}

#[test]
fn tls_with_an_authority_of_the_system_is_served() {
    let (redis, tls) = Redis::start_with_tls(Clients::Anonymous);
    let setup = Setup::default().resource("statestore.yaml", &store_with_tls(&tls, &[]));
    let sidecar = setup.env("SSL_CERT_FILE", &tls.authority_file).start();
    assert_serves(&sidecar, &redis);
    sidecar.finish();
}

#[test]
fn tls_with_an_unknown_authority_is_refused_unless_told_otherwise() {
    let (redis, tls) = Redis::start_with_tls(Clients::Anonymous);
    let setup = Setup::default().resource("statestore.yaml", &store_with_tls(&tls, &[]));
    let refusing = setup.start();
    refusing.client().save(&key("k"), value("v")).expect_err("nobody vouches for the server");
    refusing.finish();

    let trusting = store_with_tls(&tls, &[("insecureSkipTLSVerify", "true")]);
    let sidecar = Setup::default().resource("statestore.yaml", &trusting).start();
    assert_serves(&sidecar, &redis);
    sidecar.finish();
}

#[test]
fn tls_with_a_certificate_of_the_client_is_served() {
    let (redis, tls) = Redis::start_with_tls(Clients::WithCertificate);
    let certificate =
        [("clientCert", tls.client_certificate.as_str()), ("clientKey", tls.client_key.as_str())];
    let setup = Setup::default().resource("statestore.yaml", &store_with_tls(&tls, &certificate));
    let sidecar = setup.env("SSL_CERT_FILE", &tls.authority_file).start();
    assert_serves(&sidecar, &redis);
    sidecar.finish();
}

#[test]
fn scripts_flushed_under_traffic_are_sent_again() {
    let redis = Redis::start();
    let sidecar = Setup::default().redis(&redis).start();
    let orders = Orders::start(sidecar.client());
    for _ in 0..5 {
        orders.wait_for(3);
        redis.query::<()>(&["SCRIPT", "FLUSH"]);
    }
    orders.wait_for(3);
    // Without policies the app would have seen a single failure.
    let count = orders.finish();
    assert_complete(&redis, count, &[]);
    sidecar.finish();
}

#[test]
fn a_connection_that_stalls_without_any_policy_ends_with_the_read_timeout() {
    let redis = Redis::start();
    let proxy = Proxy::to(redis.port);
    let host = format!("127.0.0.1:{}", proxy.port);
    let store = component(&[
        ("redisHost", &host),
        ("redisPassword", canary::PASSWORD),
        ("readTimeout", "300ms"),
    ]);
    let sidecar = Setup::default().resource("statestore.yaml", &store).start();
    sidecar.wait_until_connected();
    let client = sidecar.client();
    proxy.set(Mode::Stall);
    let begun = Instant::now();
    client.save(&key("stalled"), value("v")).expect_err("no answer comes");
    let waited = begun.elapsed();
    assert!((250..2000).contains(&waited.as_millis()), "it took {waited:?}");
    proxy.set(Mode::Pass(Duration::ZERO));
    eventually("the next saves go through", || client.save(&key("k"), value("v")).is_ok());

    proxy.set(Mode::Cut);
    eventually("the loss is seen", || client.extended(CONNECTED) == "false");
    proxy.set(Mode::Pass(Duration::from_millis(20)));
    eventually("the next saves go through", || client.save(&key("k"), value("v")).is_ok());
    sidecar.finish();
}

#[test]
fn metadata_shows_the_store_and_its_breaker_through_an_outage() {
    let mut redis = Redis::start();
    let policies = resiliency(
        "circuitBreakers:\n  simpleCB:\n    timeout: 300ms\n    trip: consecutiveFailures >= 2",
        "circuitBreaker: simpleCB",
    );
    let sidecar = Setup::default().redis(&redis).resource("resiliency.yaml", &policies).start();
    sidecar.wait_until_connected();
    let client = sidecar.client();
    client.save(&key("k"), value("v")).expect("saved");
    assert_eq!(client.extended(BREAKER), "closed");
    assert_eq!(client.metadata().enabled_features, [""; 0], "of daprd's features none is here");

    redis.kill();
    eventually("the loss is seen", || client.extended(CONNECTED) == "false");
    assert_ne!(client.extended(LAST_ERROR), "");
    for _ in 0..2 {
        client.save(&key("k"), value("v")).expect_err("Redis is gone");
    }
    assert_eq!(client.extended(BREAKER), "open");
    let status = client.save(&key("k"), value("v")).expect_err("the breaker is open");
    let message = "failed saving state in state store statestore: circuit breaker is open";
    assert_eq!((status.code(), status.message()), (Code::Internal, message));
    let over_http = sidecar.http("GET", "/v1.0/metadata", &[]).body;
    assert!(over_http.contains(&format!(r#""{CONNECTED}":"false""#)), "{over_http}");
    assert!(over_http.contains(&format!(r#""{BREAKER}":"#)), "{over_http}");

    redis.restart();
    eventually("the next saves go through", || client.save(&key("k"), value("v")).is_ok());
    assert_eq!(client.extended(CONNECTED), "true");
    assert_eq!(client.extended(BREAKER), "closed");
    sidecar.finish();
}

#[test]
fn a_probe_whose_caller_hung_up_gives_its_slot_back() {
    let mut redis = Redis::start();
    let policies = resiliency(
        "circuitBreakers:\n  simpleCB:\n    maxRequests: 1\n    timeout: 200ms\n    \
         trip: consecutiveFailures >= 1",
        "circuitBreaker: simpleCB",
    );
    let store = statestore_with(&redis, &[("readTimeout", "20s")]);
    let setup = Setup::default().resource("statestore.yaml", &store);
    let sidecar = setup.resource("resiliency.yaml", &policies).start();
    sidecar.wait_until_connected();
    let client = sidecar.client();
    redis.stop();
    eventually("the loss is seen", || client.extended(CONNECTED) == "false");
    client.save(&key("k"), value("v")).expect_err("Redis is gone, the breaker opens");
    // Metadata is not asked from here on: reading the breaker's state moves it to half-open, and
    // the line below has to be the probe's.
    let lines = sidecar.process.lines().len();
    redis.restart();
    sidecar.process.wait_for_line(lines, "Connected to Redis");

    redis.pause();
    std::thread::sleep(Duration::from_millis(250));
    let probe = client.start_save(&key("probe"), value("v"));
    sidecar.process.wait_for_line(lines, "changed state from open to half-open");
    let status = client.save(&key("k"), value("v")).expect_err("the slot is taken");
    let message = "failed saving state in state store statestore: too many requests";
    assert_eq!((status.code(), status.message()), (Code::Internal, message));
    probe.hang_up();
    redis.resume();
    eventually("the slot is free again", || client.save(&key("k"), value("v")).is_ok());
    eventually("the circuit closes", || {
        sidecar.breaker_changes(0).last().is_some_and(|change| change == "half-open to closed")
    });
    sidecar.finish();
}

#[test]
fn a_save_that_waits_for_a_slow_replica_stalls_nobody_else() {
    use outrigger::proto::common::v1::{StateItem, StateOptions, state_options::StateConsistency};
    let master = Redis::start();
    let replica = Redis::replica_of(&master);
    let sidecar = Setup::default().redis(&master).start();
    sidecar.wait_until_connected();
    let client = sidecar.client();
    let strong = StateOptions {
        consistency: StateConsistency::ConsistencyStrong.into(),
        ..StateOptions::default()
    };
    client.save_with(&key("strong"), &value("1"), strong).expect("the replica has it");
    let stored = format!("{APP_ID}||{}", key("strong"));
    assert_eq!(replica.field(&stored, "data"), Some(value("1")));

    replica.pause();
    let slow = client
        .start_save_item(StateItem { options: Some(strong), ..item(&key("strong"), value("2")) });
    let begun = Instant::now();
    while !slow.is_answered() {
        let one = Instant::now();
        client.save(&key("weak"), value("v")).expect("saved");
        assert!(one.elapsed() < Duration::from_millis(400), "{:?}", one.elapsed());
    }
    let waited = begun.elapsed();
    assert!(waited > Duration::from_millis(800), "WAIT gave up after {waited:?}");
    slow.answer().expect("the number of replicas that have it does not matter");
    assert_eq!(master.field(&stored, "data"), Some(value("2")));
    replica.resume();
    sidecar.finish();
}
