//! Redis away, frozen, killed: what callers are told, and that nothing is written behind their back.

use std::{collections::BTreeMap, time::Duration};

use outrigger::state_store::{StateStore, StoreError, Write, redis::RedisStore};
use tokio::time::Instant;

use crate::{
    redis::Server,
    support::{
        InFull, WriteWith, delete, eventually, key, prepare, read, set, store_on, store_with, write,
    },
};

/// What a caller was told about its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    Saved,
    NeverSent,
    MaybeSaved,
    /// The caller left before it was told anything.
    Nothing,
}

fn told(result: Result<(), StoreError>) -> Told {
    match result {
        Ok(()) => Told::Saved,
        Err(StoreError::Unreachable(_)) => Told::NeverSent,
        Err(StoreError::Lost(_)) => Told::MaybeSaved,
        Err(other) => panic!("an outage is told as {other:?}"),
    }
}

#[tokio::test]
async fn redis_down_at_start_fails_at_once_and_is_found_when_it_comes() {
    let mut server = Server::stopped(&[]);
    let store = store_on(&server);
    let refused = write(&store, set("k", "1")).await.unwrap_err();
    let dial = format!("dial tcp localhost:{}: connect: connection refused", server.port);
    assert!(matches!(refused, StoreError::Unreachable(_)), "{refused:?}");
    assert_eq!(refused.to_string(), format!("failed to set key k: {dial}"));
    let begun = Instant::now();
    assert_eq!(
        store.get(&key("k")).await.unwrap_err(),
        StoreError::Unreachable(dial.clone().into())
    );
    let refused = write(&store, delete("k").etag("1")).await.unwrap_err();
    assert_eq!(refused, StoreError::Unreachable(dial.clone().into()));
    let transaction = store.transacted(&prepare(&store, vec![set("a", "1"), delete("b")])).await;
    assert!(
        transaction.iter().all(|told| *told == Err(StoreError::Unreachable(dial.clone().into())))
    );
    assert!(begun.elapsed() < Duration::from_millis(100), "{:?}", begun.elapsed());
    let condition = store.condition().unwrap();
    assert!(!condition.connected);
    assert_eq!(condition.last_error, Some(dial));

    server.run();
    eventually("saved", || async { write(&store, set("k", "1")).await.is_ok() }).await;
    assert!(store.condition().unwrap().connected);
}

#[tokio::test]
async fn a_server_that_accepts_and_says_nothing_is_no_connection() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut server = Server::stopped(&[]);
    server.port = silent.local_addr().unwrap().port();
    let store = store_with(&server, &[("readTimeout", "200")]);
    let begun = Instant::now();
    let first = store.get(&key("k")).await.unwrap_err();
    assert_eq!(first, StoreError::Unreachable("i/o timeout".to_owned().into()));
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    let dial = format!("dial tcp localhost:{}: i/o timeout", server.port);
    eventually("the try to connect is given up", || async {
        store.get(&key("k")).await == Err(StoreError::Unreachable(dial.clone().into()))
    })
    .await;
    let begun = Instant::now();
    assert!(write(&store, set("k", "1")).await.is_err());
    assert!(begun.elapsed() < Duration::from_millis(100), "{:?}", begun.elapsed());
    drop(silent);
    server.run();
    eventually("saved", || async { write(&store, set("k", "1")).await.is_ok() }).await;
}

#[tokio::test]
async fn a_killed_and_restarted_redis_is_found_again() {
    let mut server = Server::start_with(&["--appendonly", "yes", "--appendfsync", "always"]);
    let store = store_on(&server);
    for round in 1..=3 {
        write(&store, set("k", "x")).await.unwrap();
        server.kill();
        eventually("it is noticed", || async {
            matches!(store.get(&key("k")).await, Err(StoreError::Unreachable(_)))
        })
        .await;
        server.run();
        eventually("it is found", || async { store.get(&key("k")).await.is_ok() }).await;
        assert_eq!(server.view().field("k", "version"), Some(round.to_string()));
    }
}

/// Makes a save of a key and a value.
type Setter = fn(&str, Vec<u8>) -> Write;

fn plain(name: &str, value: Vec<u8>) -> Write {
    set(name, value)
}

fn strong(name: &str, value: Vec<u8>) -> Write {
    set(name, value).strong()
}

/// Fills the socket of a frozen server, then lets saves time out and callers leave. Returns what
/// each was told, except for those who left.
async fn haunt(store: &RedisStore, round: &str, set: Setter) -> BTreeMap<String, Told> {
    let mut all = BTreeMap::new();
    let big = (0..12).map(|n| {
        let name = format!("{round}-big{n}");
        async move {
            let result = write(store, set(&name, vec![b'x'; 1 << 20])).await;
            (name, told(result))
        }
    });
    let timing_out = (0..50).map(|n| {
        let name = format!("{round}-late{n}");
        async move {
            tokio::time::sleep(Duration::from_millis(10 + n)).await;
            let result = write(store, set(&name, b"late".to_vec())).await;
            (name, told(result))
        }
    });
    let leaving = (0..50).map(|n| {
        let name = format!("{round}-left{n}");
        async move {
            let call = write(store, set(&name, b"left".to_vec()));
            let left = tokio::time::timeout(Duration::from_millis(20 + n), call).await;
            let told = left.map_or(Told::Nothing, told);
            (name, told)
        }
    });
    use futures_util::future::join_all;
    let (big, late, left) = tokio::join!(join_all(big), join_all(timing_out), join_all(leaving));
    all.extend(big.into_iter().chain(late).chain(left));
    all
}

fn count(all: &BTreeMap<String, Told>, told: Told) -> usize {
    all.values().filter(|other| **other == told).count()
}

fn compare(server: &Server, all: &BTreeMap<String, Told>) {
    let mut view = server.view();
    for (name, told) in all {
        let there = view.ask::<i64>(&["EXISTS", name]) == 1;
        match told {
            Told::Saved => assert!(there, "{name} was acknowledged and is not there"),
            Told::NeverSent => assert!(!there, "{name} was never sent and is there"),
            Told::MaybeSaved => {}
            // Small saves whose callers left stood in the queue behind the big ones.
            Told::Nothing => assert!(!there, "{name} was given up in the queue and is there"),
        }
    }
}

#[tokio::test]
async fn a_thawed_redis_writes_nothing_that_was_given_up_in_the_queue() {
    let server = Server::start();
    let store = store_with(&server, &[("readTimeout", "300")]);
    write(&store, set("warm", "up")).await.unwrap();
    for round in ["a", "b"] {
        eventually("connected", || async { store.get(&key("warm")).await.is_ok() }).await;
        server.freeze();
        let all = haunt(&store, round, plain).await;
        server.thaw();
        // Frozen for less than the grace: the connection may live on, and what it holds is written.
        eventually("saved again", || async { write(&store, set("after", "x")).await.is_ok() })
            .await;
        assert_eq!(read(&store, "after").await.unwrap().data, "x");
        compare(&server, &all);
        assert!(count(&all, Told::NeverSent) >= 40, "{all:?}");
        assert_eq!(count(&all, Told::Nothing), 50, "{all:?}");
        assert!((1..=8).contains(&count(&all, Told::MaybeSaved)), "{all:?}");
    }
}

#[tokio::test]
async fn a_redis_frozen_for_long_loses_its_connection_and_writes_nothing_late() {
    let server = Server::start();
    let store = store_with(&server, &[("readTimeout", "300")]);
    write(&store, set("warm", "up")).await.unwrap();
    server.freeze();
    let all = haunt(&store, "k", plain).await;
    let begun = Instant::now();
    eventually("the connection is given up", || async {
        matches!(store.get(&key("warm")).await, Err(StoreError::Unreachable(_)))
    })
    .await;
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    server.thaw();
    eventually("saved again", || async { write(&store, set("after", "x")).await.is_ok() }).await;
    compare(&server, &all);
    // Of the big ones, at most what Redis already had in its socket.
    let mut view = server.view();
    let big = (0..12).filter(|n| view.field(&format!("k-big{n}"), "version").is_some());
    assert!(big.count() <= 4);
}

#[tokio::test]
async fn a_frozen_redis_that_is_killed_and_restarted_wrote_nothing_that_was_given_up() {
    let mut server = Server::start_with(&["--appendonly", "yes", "--appendfsync", "always"]);
    let store = store_with(&server, &[("readTimeout", "300")]);
    let mut all = BTreeMap::new();
    for n in 0..20 {
        all.insert(
            format!("before{n}"),
            told(write(&store, set(&format!("before{n}"), "x")).await),
        );
    }
    server.freeze();
    all.extend(haunt(&store, "k", plain).await);
    server.kill();
    server.run();
    eventually("saved again", || async { write(&store, set("after", "x")).await.is_ok() }).await;
    compare(&server, &all);
    assert_eq!(count(&all, Told::Saved), 20);
    assert!(count(&all, Told::NeverSent) >= 40);
}

#[tokio::test]
async fn strong_saves_that_were_given_up_in_the_queue_are_not_written_either() {
    let master = Server::start();
    let port = master.port.to_string();
    let _replica = Server::start_with(&["--replicaof", "127.0.0.1", &port]);
    let store = store_with(&master, &[("readTimeout", "300")]);
    let mut view = master.view();
    eventually("the replica is in step", || {
        let info: String = view.ask(&["INFO", "replication"]);
        async move { info.contains("state=online") }
    })
    .await;
    write(&store, set("warm", "up").strong()).await.unwrap();
    assert!(view.calls("wait") >= 1);
    master.freeze();
    let all = haunt(&store, "k", strong).await;
    master.thaw();
    eventually("saved again", || async { write(&store, set("after", "x").strong()).await.is_ok() })
        .await;
    compare(&master, &all);
    assert!(count(&all, Told::NeverSent) >= 40, "{all:?}");
    assert!((1..=2).contains(&count(&all, Told::MaybeSaved)), "{all:?}");
}

#[tokio::test]
async fn saves_under_fire_are_there_exactly_when_they_were_acknowledged() {
    let mut server = Server::start_with(&["--appendonly", "yes", "--appendfsync", "always"]);
    let store = store_with(&server, &[("readTimeout", "500")]);
    write(&store, set("warm", "up")).await.unwrap();
    let (done, mut all) = (std::rc::Rc::new(std::cell::Cell::new(false)), BTreeMap::new());
    let writer = |worker: usize| {
        let (store, done) = (store.clone(), done.clone());
        async move {
            let mut mine = Vec::new();
            while !done.get() {
                let name = format!("w{worker}-{}", mine.len());
                let result = told(write(&store, set(&name, vec![b'x'; 2000])).await);
                if result != Told::Saved {
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
                mine.push((name, result));
            }
            mine
        }
    };
    let fire = async {
        for _ in 0..3 {
            tokio::time::sleep(Duration::from_millis(150)).await;
            server.kill();
            tokio::time::sleep(Duration::from_millis(100)).await;
            server.run();
            tokio::time::sleep(Duration::from_millis(150)).await;
        }
        done.set(true);
    };
    let (workers, ()) = tokio::join!(futures_util::future::join_all((0..32).map(writer)), fire);
    all.extend(workers.into_iter().flatten());
    for wanted in [Told::Saved, Told::NeverSent, Told::MaybeSaved] {
        assert!(count(&all, wanted) > 0, "no {wanted:?} among {}", all.len());
    }
    compare(&server, &all);
}

#[tokio::test]
async fn without_a_read_timeout_a_silent_redis_is_given_up_all_the_same() {
    let server = Server::start();
    let store = store_with(&server, &[("readTimeout", "-1")]);
    write(&store, set("k", "1")).await.unwrap();
    server.freeze();
    let call = tokio::time::timeout(Duration::from_secs(30), write(&store, set("k", "2")));
    assert_eq!(told(call.await.expect("the call ends")), Told::MaybeSaved);
    server.thaw();
    eventually("saved again", || async { write(&store, set("k", "3")).await.is_ok() }).await;
}

#[tokio::test]
async fn one_slow_caller_who_leaves_does_not_cost_the_connection() {
    let server = Server::start();
    let (store, mut view) = (store_on(&server), server.view());
    write(&store, set("k", "1")).await.unwrap();
    let mut connections = || -> u64 {
        let info: String = view.ask(&["INFO", "stats"]);
        let line = info.lines().find_map(|line| line.strip_prefix("total_connections_received:"));
        line.unwrap().parse().unwrap()
    };
    let before = connections();
    for _ in 0..3 {
        server.freeze();
        for _ in 0..5 {
            let name = key("k");
            let call = store.get(&name);
            assert!(tokio::time::timeout(Duration::from_millis(20), call).await.is_err());
        }
        let call = write(&store, set("k", "2"));
        assert!(tokio::time::timeout(Duration::from_millis(20), call).await.is_err());
        server.thaw();
        tokio::time::sleep(Duration::from_millis(1200)).await;
        // The save came when the connection was doubted already, so it was never sent.
        assert_eq!(read(&store, "k").await.unwrap().data, "1");
    }
    assert_eq!(connections(), before);
}

#[tokio::test]
async fn a_closed_store_answers_at_once() {
    let server = Server::start();
    let store = store_on(&server);
    write(&store, set("k", "1")).await.unwrap();
    store.close();
    let refused = store.get(&key("k")).await.unwrap_err();
    assert_eq!(refused, StoreError::Unreachable("the store is closed".to_owned().into()));
    let refused = write(&store, set("k", "2").strong()).await;
    assert!(matches!(refused, Err(StoreError::Unreachable(_))), "{refused:?}");
    let mut view = server.view();
    eventually("the connection is closed", || {
        let clients: String = view.ask(&["CLIENT", "LIST"]);
        async move { clients.lines().count() == 1 }
    })
    .await;
}
