//! One Redis, used by daprd and by us: what stands there, in both directions.

use std::collections::BTreeMap;

use outrigger::proto::common::v1::{
    StateItem, StateOptions,
    state_options::{StateConcurrency, StateConsistency},
};
use tonic::Code;

use crate::harness::{
    canary::{key, value},
    client::item,
    redis::Redis,
    sidecar::{APP_ID, Setup},
};

fn stored(name: &str) -> String {
    format!("{APP_ID}||{}", key(name))
}

fn fields(redis: &Redis, name: &str) -> BTreeMap<String, String> {
    redis.query(&["HGETALL", &stored(name)])
}

fn hash(fields: &[(&str, &str)]) -> BTreeMap<String, String> {
    fields.iter().map(|(field, text)| ((*field).to_owned(), (*text).to_owned())).collect()
}

fn first_write() -> StateOptions {
    StateOptions {
        concurrency: StateConcurrency::ConcurrencyFirstWrite.into(),
        consistency: StateConsistency::ConsistencyUnspecified.into(),
    }
}

#[test]
fn a_hash_that_daprd_wrote_is_read_updated_and_deleted() {
    let redis = Redis::start();
    let sidecar = Setup::default().redis(&redis).start();
    sidecar.wait_until_connected();
    let client = sidecar.client();
    redis.query::<()>(&["HSET", &stored("k"), "data", &value("7"), "version", "7"]);

    let found = client.get(&key("k")).expect("read");
    assert_eq!((found.data, found.etag.as_str()), (value("7").into(), "7"));
    let status = client.save_version(&key("k"), &value("x"), "6").expect_err("not the version");
    assert_eq!(status.code(), Code::Aborted);
    client.save_version(&key("k"), &value("8"), "7").expect("saved");
    assert_eq!(fields(&redis, "k"), hash(&[("data", &value("8")), ("version", "8")]));
    client.save(&key("k"), value("9")).expect("saved");
    assert_eq!(fields(&redis, "k"), hash(&[("data", &value("9")), ("version", "9")]));
    client.delete(&key("k")).expect("deleted");
    assert_eq!(fields(&redis, "k"), hash(&[]));
    assert_eq!(client.get(&key("k")).expect("read"), Default::default());
    sidecar.finish();
}

#[test]
fn the_first_writers_flag_is_written_and_kept_to() {
    let redis = Redis::start();
    let sidecar = Setup::default().redis(&redis).start();
    sidecar.wait_until_connected();
    let client = sidecar.client();
    client.save_with(&key("k"), &value("1"), first_write()).expect("saved");
    let flagged = hash(&[("data", &value("1")), ("version", "1"), ("first-write", "0")]);
    assert_eq!(fields(&redis, "k"), flagged);
    let status = client.save(&key("k"), value("2")).expect_err("the first writer holds it");
    assert_eq!(status.code(), Code::Internal);
    assert_eq!(fields(&redis, "k"), flagged);

    // The same flag, set by daprd.
    redis.query::<()>(&["HSET", &stored("d"), "data", "x", "version", "3", "first-write", "0"]);
    client.save(&key("d"), value("2")).expect_err("the first writer holds it");
    client.save_version(&key("d"), &value("4"), "3").expect("the version is right");
    let updated = hash(&[("data", &value("4")), ("version", "4"), ("first-write", "0")]);
    assert_eq!(fields(&redis, "d"), updated);
    sidecar.finish();
}

#[test]
fn a_time_to_live_is_written_with_the_value() {
    let redis = Redis::start();
    let sidecar = Setup::default().redis(&redis).start();
    sidecar.wait_until_connected();
    let client = sidecar.client();
    let with_ttl = |name: &str, ttl: &str| StateItem {
        metadata: [("ttlInSeconds".to_owned(), ttl.to_owned())].into(),
        ..item(&key(name), value(ttl))
    };
    let ttl = |name: &str| redis.query::<i64>(&["TTL", &stored(name)]);

    let scripts = || redis.calls(&["eval", "evalsha"]);
    client.save(&key("first"), value("1")).expect("saved");
    let before = scripts();
    client.save_item(with_ttl("k", "100")).expect("saved");
    assert_eq!(scripts(), before + 1, "value, version and TTL are written by one call");
    assert!((98..=100).contains(&ttl("k")), "{}", ttl("k"));
    client.save(&key("k"), value("kept")).expect("saved");
    assert!((90..=100).contains(&ttl("k")), "an update without TTL keeps it");
    client.save_item(with_ttl("k", "-1")).expect("saved");
    assert_eq!(ttl("k"), -1, "it is persistent again");

    let before = fields(&redis, "k");
    client.save_item(with_ttl("k", "soon")).expect_err("no number");
    assert_eq!(fields(&redis, "k"), before, "nothing was written");
    sidecar.finish();
}

#[test]
fn a_value_that_is_no_hash_is_read_and_replaced() {
    let redis = Redis::start();
    let sidecar = Setup::default().redis(&redis).start();
    sidecar.wait_until_connected();
    let client = sidecar.client();
    redis.query::<()>(&["SET", &stored("text"), &value("plain")]);
    let found = client.get(&key("text")).expect("read");
    assert_eq!((found.data, found.etag.as_str()), (value("plain").into(), ""));
    client.save(&key("text"), value("new")).expect("saved");
    assert_eq!(fields(&redis, "text"), hash(&[("data", &value("new")), ("version", "1")]));

    redis.query::<()>(&["RPUSH", &stored("list"), "a"]);
    client.get(&key("list")).expect_err("a list has no value");
    client.delete(&key("list")).expect("deleted");
    assert_eq!(redis.query::<u64>(&["EXISTS", &stored("list")]), 0);

    redis.query::<()>(&["HSET", &stored("half"), "data", "x"]);
    let status = client.get(&key("half")).expect_err("a hash without a version");
    let text = "required hash field 'data' or 'version' was not found";
    assert!(status.message().ends_with(text), "{status:?}");
    sidecar.finish();
}

#[test]
fn bytes_go_through_as_they_are_and_json_is_made_compact() {
    let redis = Redis::start();
    let sidecar = Setup::default().redis(&redis).start();
    sidecar.wait_until_connected();
    let client = sidecar.client();
    let bytes: Vec<u8> = (0..=255).collect();
    client.save(&key("bytes"), bytes.clone()).expect("saved");
    assert_eq!(redis.query::<Vec<u8>>(&["HGET", &stored("bytes"), "data"]), bytes);
    assert_eq!(client.get(&key("bytes")).expect("read").data, bytes);
    client.save(&key("empty"), "").expect("saved");
    assert_eq!(fields(&redis, "empty"), hash(&[("data", ""), ("version", "1")]));

    let json = StateItem {
        metadata: [("contentType".to_owned(), "application/json".to_owned())].into(),
        ..item(&key("json"), "{ \"b\" : 1.23456789, \"a\": [ 12345678901234567890 ] }")
    };
    client.save_item(json).expect("saved");
    let data = redis.field(&stored("json"), "data");
    assert_eq!(data.as_deref(), Some(r#"{"b":1.23456789,"a":[12345678901234567890]}"#));
    sidecar.finish();
}
