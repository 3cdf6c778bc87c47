//! Keys that are read one at a time go past the queue, and fare as all others.

use std::{future::Future, time::Duration};

use futures_util::future::join_all;
use outrigger::state_store::{StateStore, StoreError, StoredKey, redis::RedisStore};
use tokio::time::Instant;

use crate::{
    group_commit::proxy::{Mode, Proxy},
    redis::Server,
    support::{eventually, key, read, set, store_at, store_on, store_with, write},
};

/// Reads one key after the other, until reads go past the queue.
async fn read_one_by_one(store: &RedisStore) {
    eventually("it is connected", || async { write(store, set("k", "1")).await.is_ok() }).await;
    for _ in 0..40 {
        assert_eq!(read(store, "k").await.unwrap().data, "1");
    }
}

fn lost(cause: &str) -> StoreError {
    StoreError::Lost(cause.to_owned().into())
}

/// What a read ends with that `harm` comes to, past the queue and through it.
async fn both_ways<F: Future<Output = StoreError>>(
    harm: impl Fn(bool) -> F,
) -> (StoreError, StoreError) {
    (harm(true).await, harm(false).await)
}

#[tokio::test]
async fn each_is_one_command_and_a_burst_still_shares_a_script() {
    let server = Server::start();
    let (store, mut view) = (store_on(&server), server.view());
    read_one_by_one(&store).await;
    view.tell(&["CONFIG", "RESETSTAT"]);
    for _ in 0..50 {
        assert_eq!(read(&store, "k").await.unwrap().etag.as_deref(), Some("1"));
    }
    assert_eq!((view.calls("hgetall"), view.calls("evalsha")), (50, 0));
    let names = vec![key("k"); 64];
    let found = join_all(names.iter().map(|name| store.get(name))).await;
    assert!(found.iter().all(|entry| entry.as_ref().unwrap().as_ref().unwrap().data == "1"));
    // What a script calls is counted as well.
    assert_eq!(view.calls("hgetall"), 50 + 64);
    assert!((1..=4).contains(&(view.calls("evalsha") + view.calls("eval"))));
}

#[tokio::test]
async fn a_silent_redis_costs_the_read_timeout_and_no_more() {
    let server = Server::start();
    let store = store_with(&server, &[("readTimeout", "300")]);
    read_one_by_one(&store).await;
    server.freeze();
    let begun = Instant::now();
    assert_eq!(store.get(&key("k")).await, Err(lost("i/o timeout")));
    assert!(begun.elapsed() >= Duration::from_millis(300));
    // The connection is doubted now: nothing more is handed to it.
    let timed_out = StoreError::Unreachable("i/o timeout".to_owned().into());
    assert_eq!(store.get(&key("k")).await, Err(timed_out));
    server.thaw();
    eventually("it is read again", || async { store.get(&key("k")).await.is_ok() }).await;
}

#[tokio::test]
async fn a_connection_that_is_cut_is_told_as_in_the_queue() {
    let server = Server::start();
    let harm = async |alone: bool| {
        let proxy = Proxy::start(server.port, Duration::ZERO).await;
        let store = store_at(proxy.port, &[]);
        if alone {
            read_one_by_one(&store).await;
        } else {
            eventually("it is connected", || async { store.get(&key("k")).await.is_ok() }).await;
        }
        proxy.set(Mode::CutReply);
        let error = store.get(&key("k")).await.unwrap_err();
        assert!(proxy.has_cut());
        eventually("it is read again", || async { store.get(&key("k")).await.is_ok() }).await;
        error
    };
    let (alone, queued) = both_ways(harm).await;
    assert_eq!((&alone, &queued), (&lost("EOF"), &lost("EOF")));
}

#[tokio::test]
async fn a_connection_that_is_given_up_is_told_as_in_the_queue() {
    let server = Server::start();
    let harm = async |alone: bool| {
        let store = store_with(&server, &[("readTimeout", "-1")]);
        if alone {
            read_one_by_one(&store).await;
        } else {
            eventually("it is connected", || async { store.get(&key("k")).await.is_ok() }).await;
        }
        server.freeze();
        let name = key("k");
        let read = tokio::time::timeout(Duration::from_secs(30), store.get(&name));
        let error = read.await.expect("the read ends").unwrap_err();
        server.thaw();
        error
    };
    let (alone, queued) = both_ways(harm).await;
    assert_eq!((&alone, &queued), (&lost("i/o timeout"), &lost("i/o timeout")));
}

#[tokio::test]
async fn who_leaves_costs_a_living_connection_nothing() {
    let server = Server::start();
    let (store, mut view) = (store_on(&server), server.view());
    read_one_by_one(&store).await;
    let client = |view: &mut crate::redis::View| -> Vec<String> {
        let clients: String = view.ask(&["CLIENT", "LIST"]);
        clients.lines().map(|line| line.split(' ').next().unwrap().to_owned()).collect()
    };
    let before = client(&mut view);
    let name: StoredKey = key("k");
    for _ in 0..20 {
        server.freeze();
        let call = tokio::time::timeout(Duration::from_millis(20), store.get(&name));
        assert!(call.await.is_err());
        server.thaw();
        eventually("it is read", || async { store.get(&name).await.is_ok() }).await;
    }
    assert_eq!(client(&mut view), before);
}
