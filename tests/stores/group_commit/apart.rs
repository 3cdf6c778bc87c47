//! A key that the server refuses, in a batch with others: it costs the others nothing.

use std::time::Duration;

use futures_util::future::join_all;
use outrigger::state_store::{StoreError, redis::RedisStore};

use super::{
    PATIENT, at_once, begin, patient_store,
    proxy::{Mode, Proxy},
};
use crate::{
    ports::free_port,
    redis::{Server, View},
    support::{
        InFull, WriteWith, delete, eventually, is_mismatch, key, prepare, read, set, store_at,
        store_with, write,
    },
};

/// A server with a user who may do everything, but only with keys that begin with `ok`.
fn server_with_user() -> Server {
    let server = Server::start();
    server.view().tell(&["ACL", "SETUSER", "app", "on", ">secret", "~ok*", "+@all"]);
    server
}

fn login() -> Vec<(&'static str, &'static str)> {
    [PATIENT, [("redisUsername", "app"), ("redisPassword", "secret")]].concat()
}

/// A patient store that is connected, which reading this key shows.
async fn connected(store: RedisStore, missing: &str) -> RedisStore {
    assert_eq!(read(&store, missing).await, None);
    store
}

async fn store_of_user(server: &Server) -> RedisStore {
    connected(store_with(server, &login()), "ok missing").await
}

/// A node of a cluster with these slots: it takes no two keys of different ones in one call.
fn cluster_node(first: &str, last: &str) -> Server {
    let bus = free_port().to_string();
    let server = Server::start_with(&["--cluster-enabled", "yes", "--cluster-port", &bus]);
    server.view().tell(&["CLUSTER", "ADDSLOTSRANGE", first, last]);
    server
}

async fn whole(view: &mut View) {
    eventually("the cluster is whole", || {
        let info: String = view.ask(&["CLUSTER", "INFO"]);
        async move { info.contains("cluster_state:ok") }
    })
    .await;
}

fn refused(result: &Result<(), StoreError>, name: &str, word: &str) -> bool {
    let begin = format!("failed to set key {name}: {word} ");
    matches!(result, Err(StoreError::Refused(text)) if text.starts_with(&begin))
}

#[tokio::test]
async fn a_forbidden_key_refuses_no_other_callers_save() {
    const CALLERS: usize = 32;
    const ROUNDS: usize = 25;
    let server = server_with_user();
    let store = store_of_user(&server).await;
    let callers = (0..CALLERS).map(async |caller| {
        let is_allowed = caller % 8 != 0;
        let name = format!("{} {caller}", if is_allowed { "ok" } else { "no" });
        for round in 0..ROUNDS {
            let result = write(&store, set(&name, round.to_string())).await;
            match is_allowed {
                true => assert_eq!(result, Ok(()), "{name}, round {round}"),
                false => assert!(refused(&result, &name, "NOPERM"), "{name}: {result:?}"),
            }
        }
        (name, is_allowed)
    });
    let mut view = server.view();
    for (name, is_allowed) in join_all(callers).await {
        let version = is_allowed.then(|| ROUNDS.to_string());
        assert_eq!(view.field(&name, "version"), version, "{name}");
        assert_eq!(view.field(&name, "data"), is_allowed.then(|| (ROUNDS - 1).to_string()));
    }
}

#[tokio::test]
async fn a_bulk_save_and_a_transaction_write_all_but_what_is_forbidden() {
    let server = server_with_user();
    let (store, mut view) = (store_of_user(&server).await, server.view());
    let writes = || {
        let writes = vec![
            set("ok 1", "a"),
            set("no 1", "a"),
            set("ok 2", "b").ttl("100"),
            set("ok 1", "c").etag("1"),
            set("ok 1", "d").etag("1"),
            delete("no 1"),
            delete("ok 2").etag("1"),
        ];
        prepare(&store, writes)
    };
    // The script is not even there.
    let results = store.written(&writes()).await;
    for done in [0, 2, 3, 6] {
        assert_eq!(results[done], Ok(()), "{done}");
    }
    assert!(refused(&results[1], "no 1", "NOPERM"), "{results:?}");
    assert!(is_mismatch(&results[4]), "{results:?}");
    assert!(
        matches!(&results[5], Err(StoreError::Refused(text)) if text.starts_with("NOPERM ")),
        "{results:?}"
    );
    assert_eq!(view.field("ok 1", "version").as_deref(), Some("2"));
    assert_eq!(view.field("ok 1", "data").as_deref(), Some("c"));
    assert_eq!(view.ask::<i64>(&["EXISTS", "no 1", "ok 2"]), 0);

    view.tell(&["FLUSHALL"]);
    let results = store.transacted(&writes()).await;
    let told: Vec<_> = results.iter().map(Result::is_ok).collect();
    assert_eq!(told, [true, false, true, true, false, false, true], "{results:?}");
    assert_eq!(view.field("ok 1", "data").as_deref(), Some("c"));
    assert_eq!(view.ask::<i64>(&["EXISTS", "no 1", "ok 2"]), 0);
}

#[tokio::test]
async fn the_order_of_a_keys_writes_stays() {
    const SAVES: usize = 400;
    const KEYS: usize = 4;
    let server = server_with_user();
    let (store, mut view) = (store_of_user(&server).await, server.view());
    let refusal = store.written(&prepare(&store, vec![set("no", "x"), set("ok", "x")])).await;
    assert!(refusal[0].is_err() && refusal[1].is_ok(), "{refusal:?}");
    for round in 0..5 {
        // Big enough for several batches.
        let value = |n: usize| format!("{round}.{n}.").repeat(2000);
        let name = |n: usize| match n % 50 {
            7 => "no".to_owned(),
            _ => format!("ok {}", n % KEYS),
        };
        let saves = (0..SAVES).map(|n| set(&name(n), value(n)));
        let bulk = prepare(&store, saves.clone().collect());
        let (single, bulk) = tokio::join!(at_once(&store, saves.collect()), store.written(&bulk));
        for (n, result) in single.into_iter().chain(bulk).enumerate() {
            assert_eq!(result.is_ok(), name(n % SAVES) != "no", "{n}: {result:?}");
        }
        for key in 0..KEYS {
            let mut of_key = (0..SAVES).filter(|&n| name(n) == format!("ok {key}"));
            let version = (round + 1) * 2 * of_key.clone().count();
            let name = format!("ok {key}");
            assert_eq!(view.field(&name, "version"), Some(version.to_string()));
            let last = value(of_key.next_back().unwrap());
            assert!(view.field(&name, "data") == Some(last), "{name} is not last");
        }
    }
}

#[tokio::test]
async fn who_leaves_before_a_refused_batch_is_sent_again_takes_all_items_along() {
    let server = server_with_user();
    let proxy = Proxy::start(server.port, Duration::ZERO).await;
    let store = store_at(proxy.port, &login());
    write(&store, set("ok", "x")).await.unwrap();
    let mut view = server.view();
    let mut refusals = || -> u64 {
        let stats: String = view.ask(&["INFO", "errorstats"]);
        let line = stats.lines().find_map(|line| line.strip_prefix("errorstat_NOPERM:count="));
        line.map_or(0, |count| count.parse().unwrap())
    };
    let before = refusals();
    proxy.set(Mode::HoldReplies);
    let mut stay = Box::pin(write(&store, set("ok stay", "x")));
    begin(&mut stay).await;
    let leaves = prepare(&store, vec![set("ok left", "x"), set("no", "x")]);
    let mut leaves = Box::pin(store.written(&leaves));
    begin(&mut leaves).await;
    eventually("the batch is refused", || {
        let is_refused = refusals() > before;
        async move { is_refused }
    })
    .await;
    drop(leaves);
    proxy.set(Mode::Pass);
    assert_eq!(stay.await, Ok(()));
    write(&store, set("ok after", "x")).await.unwrap();
    let mut view = server.view();
    assert_eq!(view.field("ok stay", "version").as_deref(), Some("1"));
    assert_eq!(view.ask::<i64>(&["EXISTS", "ok left", "no"]), 0);
}

#[tokio::test]
async fn strong_saves_beside_a_forbidden_one_wait_for_replicas_once() {
    let server = server_with_user();
    let port = server.port.to_string();
    let replica = Server::start_with(&["--replicaof", "127.0.0.1", &port]);
    let (store, mut view) = (store_of_user(&server).await, server.view());
    eventually("the replica is in step", || {
        let info: String = view.ask(&["INFO", "replication"]);
        async move { info.contains("state=online") }
    })
    .await;
    let names: Vec<_> = (0..20).map(|n| format!("ok {n}")).collect();
    let saves = names.iter().map(String::as_str).chain(["no"]);
    let saves = saves.map(|name| set(name, "x").strong()).collect();
    let results = store.written(&prepare(&store, saves)).await;
    assert!(results[..20].iter().all(Result::is_ok), "{results:?}");
    assert!(refused(&results[20], "no", "NOPERM"), "{results:?}");
    let waits = view.calls("wait");
    assert!((1..=2).contains(&waits), "{waits} waits");
    let mut copy = replica.view();
    assert!(names.iter().all(|name| copy.field(name, "version").as_deref() == Some("1")));
}

#[tokio::test]
async fn a_cluster_of_one_node_takes_saves_of_different_slots() {
    const CALLERS: usize = 32;
    const ROUNDS: usize = 20;
    let server = cluster_node("0", "16383");
    let mut view = server.view();
    whole(&mut view).await;
    let store = patient_store(&server).await;
    let callers = (0..CALLERS).map(async |caller| {
        for _ in 0..ROUNDS {
            assert_eq!(write(&store, set(&format!("k{caller}"), "x")).await, Ok(()));
            assert_eq!(write(&store, set("shared", "x")).await, Ok(()));
        }
    });
    join_all(callers).await;
    for caller in 0..CALLERS {
        let version = view.field(&format!("k{caller}"), "version");
        assert_eq!(version, Some(ROUNDS.to_string()));
    }
    assert_eq!(view.field("shared", "version"), Some((CALLERS * ROUNDS).to_string()));
    let many = (0..300).map(|n| set(&format!("many{n}"), n.to_string()));
    let writes = prepare(&store, many.chain([delete("k0"), delete("k1").etag("9")]).collect());
    for results in [store.written(&writes).await, store.transacted(&writes).await] {
        assert!(results[..301].iter().all(Result::is_ok), "{results:?}");
    }
    assert_eq!(view.field("many299", "version").as_deref(), Some("2"));
    assert_eq!(view.ask::<i64>(&["EXISTS", "k0"]), 0);
    assert_eq!(view.ask::<i64>(&["EXISTS", "k1"]), 1);
}

#[tokio::test]
async fn a_key_of_another_node_costs_the_others_nothing() {
    let (server, other) = (cluster_node("0", "8191"), cluster_node("8192", "16383"));
    let (mut view, mut others) = (server.view(), other.view());
    let bus: Vec<String> = others.ask(&["CONFIG", "GET", "cluster-port"]);
    view.tell(&["CLUSTER", "MEET", "127.0.0.1", &other.port.to_string(), &bus[1]]);
    whole(&mut view).await;
    let store = connected(store_with(&server, &PATIENT), "{ours}").await;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for n in 0..40 {
        let name = format!("k{n}");
        let slot: u64 = view.ask(&["CLUSTER", "KEYSLOT", &name]);
        if slot < 8192 { ours.push(name) } else { theirs.push(name) }
    }
    assert!(ours.len() > 5 && theirs.len() > 5);
    let names: Vec<_> = ours.iter().chain(&theirs).map(String::as_str).collect();
    let results = at_once(&store, names.iter().map(|name| set(name, "x")).collect()).await;
    for (name, result) in names.iter().zip(&results) {
        match ours.iter().any(|own| own == name) {
            true => assert_eq!(*result, Ok(()), "{name}"),
            false => assert!(refused(result, name, "MOVED"), "{name}: {result:?}"),
        }
    }
    let keys: Vec<_> = names.iter().map(|name| key(name)).collect();
    for (name, read) in names.iter().zip(store.found(&keys).await) {
        match ours.iter().any(|own| own == name) {
            true => assert_eq!(read.unwrap().unwrap().data, "x", "{name}"),
            false => assert!(
                matches!(&read, Err(StoreError::Refused(text)) if text.starts_with("MOVED ")),
                "{name}: {read:?}"
            ),
        }
    }

    // Of one slot, which is on its way to the other node: there is one key here still.
    write(&store, set("{ours}here", "1")).await.unwrap();
    let slot = view.ask::<u64>(&["CLUSTER", "KEYSLOT", "ours"]).to_string();
    let node: String = others.ask(&["CLUSTER", "MYID"]);
    view.tell(&["CLUSTER", "SETSLOT", &slot, "MIGRATING", &node]);
    let writes = vec![set("{ours}here", "2"), set("{ours}gone", "2")];
    let results = store.written(&prepare(&store, writes)).await;
    assert_eq!(results[0], Ok(()));
    assert!(refused(&results[1], "{ours}gone", "ASK"), "{results:?}");
    assert_eq!(view.field("{ours}here", "data").as_deref(), Some("2"));
}
