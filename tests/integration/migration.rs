//! From daprd to us, beside each other, and back: the same keys, the same hashes, nothing else.

mod back;
mod daprd;
mod recorded;

use std::collections::{BTreeMap, BTreeSet};

use outrigger::proto::{
    common::v1::{
        Etag, StateItem, StateOptions,
        state_options::{StateConcurrency, StateConsistency},
    },
    runtime::v1::{
        DeleteStateRequest, ExecuteStateTransactionRequest, SaveStateRequest,
        TransactionalStateOperation,
    },
};
use serde_json::Value;
use tonic::{Code, Status};

use crate::harness::{
    canary::{self, key, value},
    client::{Client, STORE, block_on, item},
    eventually,
    redis::Redis,
    sidecar::{APP_ID, Setup, Sidecar},
};
use daprd::{Daprd, End, Hash, Hundreds, Write};
use recorded::{recorded_hashes, recordings, seen_in_redis};

/// A sidecar as a recording started daprd.
fn start_as_recorded(recording: &Value, redis: &Redis) -> Sidecar {
    let mut setup = Setup::default().args(&["--lenient"]);
    setup.app_id = recording["app_id"].as_str().map(str::to_owned);
    for (name, text) in recording["resources"].as_object().expect("resources") {
        let text = text.as_str().expect("YAML");
        setup =
            setup.resource(name, &text.replace("{redis}", &format!("127.0.0.1:{}", redis.port)));
    }
    for (name, value) in recording["env"].as_object().into_iter().flatten() {
        setup = setup.env(name, value.as_str().expect("a variable"));
    }
    let sidecar = setup.start();
    sidecar.wait_until_connected();
    sidecar
}

/// The same write, asked of us.
fn write(client: &Client, key: &str, write: &Write) -> Result<(), Status> {
    let etag = write.etag.map(|etag| Etag { value: etag.to_string() });
    let concurrency = if write.first_write {
        StateConcurrency::ConcurrencyFirstWrite
    } else {
        StateConcurrency::ConcurrencyUnspecified
    };
    let options = StateOptions {
        concurrency: concurrency.into(),
        consistency: StateConsistency::ConsistencyUnspecified.into(),
    };
    let Some(value) = &write.value else {
        let request = DeleteStateRequest {
            store_name: STORE.into(),
            key: key.into(),
            etag,
            options: Some(options),
            ..DeleteStateRequest::default()
        };
        return block_on(client.dapr.clone().delete_state(request)).map(drop);
    };
    let ttl = write.ttl.map(|ttl| ("ttlInSeconds".to_owned(), ttl.to_string()));
    client.save_item(StateItem {
        etag,
        options: Some(options),
        metadata: ttl.into_iter().collect(),
        ..item(key, value.clone())
    })
}

/// A way to write besides a save of one item.
#[derive(Clone, Copy, Debug)]
enum Way {
    Transaction,
    /// A save of this item and of another one, which is deleted again.
    Bulk,
    Http,
}

/// Saves a value, which is JSON, in another way than [`write`] does.
fn write_by(way: Way, sidecar: &Sidecar, key: &str, write: &Write) {
    let dapr = sidecar.client().dapr;
    let text = write.value.clone().expect("a value");
    let etag = write.etag.map(|etag| etag.to_string());
    let ttl = write.ttl.map(|ttl| ("ttlInSeconds".to_owned(), ttl.to_string()));
    let metadata = ttl.into_iter().collect();
    let saved = StateItem {
        etag: etag.clone().map(|value| Etag { value }),
        metadata,
        ..item(key, text.clone())
    };
    let beside = format!("{key} beside");
    match way {
        Way::Transaction => {
            let request = ExecuteStateTransactionRequest {
                store_name: STORE.into(),
                operations: vec![
                    operation("upsert", saved),
                    operation("delete", item(&beside, "")),
                ],
                ..ExecuteStateTransactionRequest::default()
            };
            block_on(dapr.clone().execute_state_transaction(request)).expect("done");
        }
        Way::Bulk => {
            let states = vec![saved, item(&beside, "1")];
            let request = SaveStateRequest { store_name: STORE.into(), states };
            block_on(dapr.clone().save_state(request)).expect("saved");
            sidecar.client().delete(&beside).expect("deleted");
        }
        Way::Http => {
            let value: Value = serde_json::from_slice(&text).expect("JSON");
            let body = serde_json::json!([
                {"key": key, "value": value, "etag": etag, "metadata": saved.metadata}
            ]);
            let path = format!("/v1.0/state/{STORE}");
            let answer = sidecar.http("POST", &path, body.to_string().as_bytes());
            assert_eq!(answer.status, 204, "{}", answer.body);
        }
    }
}

fn end(answer: Result<(), Status>) -> End {
    match answer.as_ref().map_err(Status::code) {
        Ok(()) => End::Done,
        Err(Code::Aborted) => End::Conflict,
        Err(Code::Internal) => End::Held,
        Err(_) => panic!("{answer:?}"),
    }
}

fn url(redis: &Redis, password: &str) -> String {
    format!("redis://:{password}@127.0.0.1:{}/", redis.port)
}

/// Everything that lies in a Redis: no key may hide behind a pattern.
fn all_keys(redis: &Redis) -> BTreeSet<String> {
    let (mut cursor, mut keys) = ("0".to_owned(), BTreeSet::new());
    loop {
        let (next, some): (String, Vec<String>) = redis.query(&["SCAN", &cursor, "COUNT", "1000"]);
        keys.extend(some);
        if next == "0" {
            return keys;
        }
        cursor = next;
    }
}

fn set(text: &str) -> Write {
    Write { value: Some(text.into()), ..Write::default() }
}

#[test]
fn every_hash_that_a_daprd_was_seen_to_leave_is_read_updated_and_deleted() {
    let hashes = recorded_hashes();
    assert_eq!(hashes.len(), 16, "{hashes:?}");
    let redis = Redis::start_with_password("", &[]);
    let mut daprd = Daprd::on(&url(&redis, ""));
    let recording = recordings().into_iter().find(|one| one["scenario"] == "grpc/basic");
    let sidecar = start_as_recorded(&recording.expect("grpc/basic"), &redis);
    let client = sidecar.client();
    for (name, fields) in hashes {
        let stored = format!("{}||{name}", recorded::APP_ID);
        let mut command = vec!["HSET", &stored];
        command.extend(fields.iter().flat_map(|(field, text)| [field.as_str(), text.as_str()]));
        redis.query::<()>(&command);
        redis.query::<()>(&["EXPIRE", &stored, "1000"]);
        let mut hash = daprd.read(&stored).expect("it is there");

        let found = client.get(&name).expect("read");
        let expected = (hash.data.clone(), hash.version.to_string());
        assert_eq!((found.data.to_vec(), found.etag), expected, "{name}");
        let version = hash.version;
        for (given, name_of) in [
            (Write { etag: Some(version + 1), ..set("stale") }, "a stale etag"),
            (Write { etag: Some(version), ttl: Some(100), ..set("etag") }, "etag and TTL"),
            (set("plain"), "no etag"),
            (Write { first_write: true, etag: Some(version + 2), ..set("first") }, "first write"),
            (Write { ttl: Some(-1), ..set("for ever") }, "without end"),
            (Write { etag: Some(9999), ..Write::default() }, "a stale delete"),
        ] {
            let (wanted, after) = given.applied_to(Some(&hash));
            assert_eq!(end(write(&client, &name, &given)), wanted, "{name}: {name_of}: {hash:?}");
            hash = after.expect("it is still there");
            assert_eq!(daprd.read(&stored), Some(hash.clone()), "{name}: {name_of}");
        }
        for way in [Way::Transaction, Way::Bulk, Way::Http] {
            let given =
                Write { etag: Some(hash.version), ttl: Some(500), ..set("\"another way\"") };
            write_by(way, &sidecar, &name, &given);
            hash = given.applied_to(Some(&hash)).1.expect("it is still there");
            assert_eq!(daprd.read(&stored), Some(hash.clone()), "{name}: {way:?}");
        }
        let delete = Write { etag: Some(hash.version), ..Write::default() };
        assert_eq!(end(write(&client, &name, &delete)), End::Done);
        assert_eq!(redis.query::<u64>(&["DBSIZE"]), 0, "{name}");
    }
    sidecar.finish();
}

#[test]
fn a_key_is_where_daprd_has_it_whatever_its_prefix_is_made_of() {
    let mut forms = 0;
    for recording in recordings() {
        let mut seen = seen_in_redis(&recording);
        let Some((_, keys)) = seen.find(|(words, _)| words == &["KEYS", "*"]) else { continue };
        let [stored] = &keys.as_array().expect("a list")[..] else { panic!("{keys}") };
        let stored = stored.as_str().expect("a key");
        forms += 1;

        // There: daprd's value is found and changed.
        let redis = Redis::start_with_password("", &[]);
        let mut daprd = Daprd::on(&url(&redis, ""));
        daprd.write(stored, &Write { ttl: Some(500), ..set("daprd's") });
        let sidecar = start_as_recorded(&recording, &redis);
        let client = sidecar.client();
        let found = client.get("k").expect("read");
        assert_eq!((found.data.to_vec(), found.etag.as_str()), (b"daprd's".to_vec(), "1"));
        client.save_version("k", "ours", "1").expect("saved");
        sidecar.finish();
        assert_eq!(
            all_keys(&redis),
            BTreeSet::from([stored.to_owned()]),
            "{}",
            recording["scenario"]
        );

        // Back: daprd goes on with ours.
        let expires = Hundreds::of_seconds(500);
        let ours = Hash { data: "ours".into(), version: 2, flagged: false, expires };
        assert_eq!(daprd.read(stored), Some(ours));
        let goes_on = Write { etag: Some(2), ttl: Some(0), ..set("daprd's again") };
        assert_eq!(daprd.write(stored, &goes_on), End::Done);

        // And there once more.
        let sidecar = start_as_recorded(&recording, &redis);
        let found = sidecar.client().get("k").expect("read");
        assert_eq!((found.data.to_vec(), found.etag.as_str()), (b"daprd's again".to_vec(), "3"));
        sidecar.finish();
        assert_eq!(redis.query::<i64>(&["TTL", stored]), -1);
    }
    assert_eq!(forms, 10, "recorded forms of a prefix");
}

fn any_write(random: &mut fastrand::Rng, version: i64) -> Write {
    let mut text = value(&random.u16(..).to_string()).into_bytes();
    if random.bool() {
        // No UTF-8, and what ends a line or a string elsewhere.
        text.extend([0xff, 0, b'\r', b'\n', 0xc3]);
    }
    Write {
        value: (random.u8(0..5) > 0).then_some(text),
        // Right, stale, or none.
        etag: [Some(version.max(1)), Some(version + 7), None][random.usize(0..3)],
        first_write: random.u8(0..6) == 0,
        ttl: [None, None, Some(1000), Some(300), Some(-1), Some(0)][random.usize(0..6)],
    }
}

#[test]
fn daprd_and_we_take_turns_on_one_redis() {
    let redis = Redis::start();
    let sidecar = Setup::default().redis(&redis).start();
    sidecar.wait_until_connected();
    let client = sidecar.client();
    let mut daprd = Daprd::on(&url(&redis, canary::PASSWORD));
    let mut held: BTreeMap<String, Hash> = BTreeMap::new();
    let mut ends: BTreeMap<String, u32> = BTreeMap::new();
    let mut random = fastrand::Rng::with_seed(5);
    for step in 0..600 {
        let name = key(&format!("k{}", random.u8(0..4)));
        let stored = format!("{APP_ID}||{name}");
        let before = held.get(&stored);
        let given = any_write(&mut random, before.map_or(0, |hash| hash.version));
        let (wanted, after) = given.applied_to(before);
        let ours = random.bool();
        let told =
            if ours { end(write(&client, &name, &given)) } else { daprd.write(&stored, &given) };
        assert_eq!(told, wanted, "step {step}, ours: {ours}: {given:?} on {before:?}");
        *ends.entry(format!("{wanted:?} by us: {ours}")).or_default() += 1;

        assert_eq!(
            daprd.read(&stored),
            after,
            "step {step}, ours: {ours}: {given:?} on {before:?}"
        );
        let found = client.get(&name).expect("read");
        let expected = after
            .as_ref()
            .map_or_else(Default::default, |hash| (hash.data.clone(), hash.version.to_string()));
        assert_eq!((found.data.to_vec(), found.etag), expected, "step {step}");
        match after {
            Some(hash) => drop(held.insert(stored, hash)),
            None => drop(held.remove(&stored)),
        }
    }
    assert_eq!(all_keys(&redis), held.keys().cloned().collect());
    assert_eq!(ends.len(), 6, "{ends:?}");
    assert!(ends.values().all(|count| *count >= 10), "{ends:?}");
    sidecar.finish();
}

#[test]
fn counting_up_from_both_sides_loses_nothing() {
    const EACH: i64 = 150;
    let redis = Redis::start();
    let sidecar = Setup::default().redis(&redis).start();
    sidecar.wait_until_connected();
    let client = sidecar.client();
    let stored = format!("{APP_ID}||{}", key("count"));
    client.save(&key("count"), "0").expect("saved");
    let mut daprd = Daprd::on(&url(&redis, canary::PASSWORD));
    let theirs = std::thread::spawn({
        let stored = stored.clone();
        move || {
            let mut conflicts = 0;
            for _ in 0..EACH {
                loop {
                    let hash = daprd.read(&stored).expect("it is there");
                    let text = std::str::from_utf8(&hash.data).expect("a text");
                    let next = text.parse::<i64>().expect("a number") + 1;
                    let next = Write { etag: Some(hash.version), ..set(&next.to_string()) };
                    match daprd.write(&stored, &next) {
                        End::Done => break,
                        End::Conflict => conflicts += 1,
                        End::Held => panic!("nobody holds it"),
                    }
                }
            }
            conflicts
        }
    });
    let mut conflicts = 0;
    for _ in 0..EACH {
        loop {
            let found = client.get(&key("count")).expect("read");
            let text = std::str::from_utf8(&found.data).expect("a text");
            let next = (text.parse::<i64>().expect("a number") + 1).to_string();
            match client.save_version(&key("count"), &next, &found.etag) {
                Ok(()) => break,
                Err(status) if status.code() == Code::Aborted => conflicts += 1,
                Err(status) => panic!("{status:?}"),
            }
        }
    }
    conflicts += theirs.join().expect("the other one is done");
    assert_eq!(redis.field(&stored, "data"), Some((2 * EACH).to_string()));
    assert_eq!(redis.field(&stored, "version"), Some((2 * EACH + 1).to_string()));
    assert!(conflicts > 0, "they never met");
    sidecar.finish();
}

fn operation(kind: &str, item: StateItem) -> TransactionalStateOperation {
    TransactionalStateOperation { operation_type: kind.into(), request: Some(item) }
}

/// A key of the tests as it lies in Redis.
fn stored(name: &str) -> String {
    format!("{APP_ID}||{}", key(name))
}

/// Writes single values in every way, and says what is to be left of them.
fn leave_single_values(sidecar: &Sidecar) -> BTreeMap<String, Hash> {
    let client = sidecar.client();
    let text = value("1");
    let once = Hash { data: text.clone().into(), version: 1, ..Hash::default() };
    let mut left = BTreeMap::new();
    let mut expect = |name: &str, hash: Hash| drop(left.insert(stored(name), hash));
    client.save(&key("plain"), text.as_str()).expect("saved");
    client.save_version(&key("plain"), &value("2"), "1").expect("saved");
    client.save_version(&key("plain"), &value("3"), "1").expect_err("a conflict");
    expect("plain", Hash { data: value("2").into(), version: 2, ..Hash::default() });
    write(&client, &key("ttl"), &Write { ttl: Some(1000), ..set(&text) }).expect("saved");
    expect("ttl", Hash { expires: Hundreds::of_seconds(1000), ..once.clone() });
    for name in ["first", "deleted"] {
        write(&client, &key(name), &Write { first_write: true, ..set(&text) }).expect("saved");
    }
    client.delete(&key("deleted")).expect("deleted");
    expect("first", Hash { flagged: true, ..once.clone() });
    let strong = StateOptions {
        concurrency: StateConcurrency::ConcurrencyUnspecified.into(),
        consistency: StateConsistency::ConsistencyStrong.into(),
    };
    client.save_with(&key("strong"), &text, strong).expect("saved");
    expect("strong", once.clone());
    let announced = [("contentType".to_owned(), "application/json".to_owned())].into();
    let json = item(&key("json"), format!("{{ \"a\": [1, {text:?}] }}\n"));
    client.save_item(StateItem { metadata: announced, ..json }).expect("saved");
    let compact = format!("{{\"a\":[1,{text:?}]}}").into_bytes();
    expect("json", Hash { data: compact.clone(), ..once.clone() });
    let body = format!(r#"[{{"key": {:?}, "value": {{"a": [1, {text:?}]}}}}]"#, key("http"));
    assert_eq!(sidecar.http("POST", "/v1.0/state/statestore", body.as_bytes()).status, 204);
    expect("http", Hash { data: compact, ..once.clone() });
    let bytes = b"\xff\0\r\n\xc3".to_vec();
    client.save(&key("bytes"), bytes.clone()).expect("saved");
    expect("bytes", Hash { data: bytes, ..once.clone() });
    left
}

/// The same with a bulk save and a transaction.
fn leave_many_values(client: &Client) -> BTreeMap<String, Hash> {
    let text = value("1");
    let once = Hash { data: text.clone().into(), version: 1, ..Hash::default() };
    let mut left = BTreeMap::new();
    let mut expect = |name: &str, hash: Hash| drop(left.insert(stored(name), hash));
    let bulk = (0..200).map(|n| item(&key(&format!("bulk{n}")), text.as_str())).collect();
    let request = SaveStateRequest { store_name: STORE.into(), states: bulk };
    block_on(client.dapr.clone().save_state(request)).expect("saved");
    (1..200).for_each(|n| expect(&format!("bulk{n}"), once.clone()));
    let request = ExecuteStateTransactionRequest {
        store_name: STORE.into(),
        operations: vec![
            operation("upsert", item(&key("in-transaction"), text.as_str())),
            operation("delete", item(&key("bulk0"), "")),
        ],
        ..ExecuteStateTransactionRequest::default()
    };
    block_on(client.dapr.clone().execute_state_transaction(request)).expect("done");
    expect("in-transaction", once);
    left
}

#[test]
fn nothing_but_the_hashes_is_left_behind() {
    let redis = Redis::start();
    let replica = Redis::replica_of(&redis);
    let sidecar = Setup::default().redis(&redis).start();
    sidecar.wait_until_connected();
    let mut expected = leave_single_values(&sidecar);
    expected.extend(leave_many_values(&sidecar.client()));
    sidecar.finish();

    let mut daprd = Daprd::on(&url(&redis, canary::PASSWORD));
    let keys: BTreeSet<String> = expected.keys().cloned().collect();
    assert_eq!(all_keys(&redis), keys);
    eventually("the replica has the same keys", || all_keys(&replica) == keys);
    for (stored, hash) in expected {
        assert_eq!(daprd.read(&stored), Some(hash), "{stored}");
    }
    // No other database, no function, no listener, no connection of ours.
    let databases: String = redis.query(&["INFO", "keyspace"]);
    assert_eq!(databases.matches("\ndb").count(), 1, "{databases}");
    assert_eq!(redis.query::<Vec<redis::Value>>(&["FUNCTION", "LIST"]), []);
    assert_eq!(redis.query::<Vec<String>>(&["PUBSUB", "CHANNELS"]), Vec::<String>::new());
    let clients: String = redis.query(&["CLIENT", "LIST", "TYPE", "normal"]);
    assert_eq!(clients.lines().count(), 2, "the daprd of this test, and who asks:\n{clients}");
    // Scripts are remembered until somebody says otherwise, and nobody misses them.
    redis.query::<()>(&["SCRIPT", "FLUSH"]);
    assert_eq!(all_keys(&redis), keys);
}
