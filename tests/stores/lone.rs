//! Keys that are read one at a time go past the queue, and fare as all others.

use std::time::Duration;

use futures_util::future::join_all;
use outrigger::state_store::{StateStore, StoreError, StoredKey, redis::RedisStore};
use tokio::time::Instant;

use crate::{
    group_commit::proxy::{Mode, Proxy},
    redis::Server,
    support::{eventually, key, read, set, store_at, write},
};

/// Reads one key after the other, until reads go past the queue.
async fn read_one_by_one(store: &RedisStore) {
    for _ in 0..40 {
        assert_eq!(read(store, "k").await.unwrap().data, "1");
    }
}

fn lost(cause: &str) -> StoreError {
    StoreError::Lost(cause.to_owned().into())
}

/// A store whose reads go past the queue, or one of which nothing is known yet.
async fn store(port: u16, alone: bool, metadata: &[(&str, &str)]) -> RedisStore {
    let store = store_at(port, metadata);
    eventually("it is connected", || async { write(&store, set("k", "1")).await.is_ok() }).await;
    if alone {
        read_one_by_one(&store).await;
    }
    store
}

#[tokio::test]
async fn each_is_one_command_and_a_burst_still_shares_a_script() {
    let server = Server::start();
    let (store, mut view) = (store(server.port, true, &[]).await, server.view());
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
    let store = store(server.port, true, &[("readTimeout", "300")]).await;
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
    for alone in [true, false] {
        let proxy = Proxy::start(server.port, Duration::ZERO).await;
        let store = store(proxy.port, alone, &[]).await;
        proxy.set(Mode::CutReply);
        assert_eq!(store.get(&key("k")).await, Err(lost("EOF")), "{alone}");
        assert!(proxy.has_cut());
        eventually("it is read again", || async { store.get(&key("k")).await.is_ok() }).await;
    }
}

#[tokio::test]
async fn a_connection_that_is_given_up_is_told_as_in_the_queue() {
    let silent = async |alone: bool| {
        let server = Server::start();
        let store = store(server.port, alone, &[("readTimeout", "-1")]).await;
        server.freeze();
        let name = key("k");
        let read = tokio::time::timeout(Duration::from_secs(60), store.get(&name)).await;
        server.thaw();
        assert_eq!(read.expect("the read ends"), Err(lost("i/o timeout")), "{alone}");
    };
    tokio::join!(silent(true), silent(false));
}

#[tokio::test]
async fn a_connection_that_closes_behind_an_answer_keeps_nobody_waiting() {
    let server = Server::start();
    let proxy = Proxy::start(server.port, Duration::ZERO).await;
    let store = store(proxy.port, true, &[("readTimeout", "-1")]).await;
    for _ in 0..20 {
        // The key would have to be read in another way, by a connection that is gone.
        proxy.set(Mode::SayAndClose("-WRONGTYPE not a hash\r\n"));
        let name = key("k");
        let read = tokio::time::timeout(Duration::from_secs(60), store.get(&name)).await;
        let error = read.expect("the read ends").unwrap_err();
        assert!(matches!(error, StoreError::Unreachable(_) | StoreError::Lost(_)), "{error:?}");
        eventually("it is read again", || async { store.get(&name).await.is_ok() }).await;
        read_one_by_one(&store).await;
    }
}

#[tokio::test]
async fn who_leaves_costs_a_living_connection_nothing() {
    let server = Server::start();
    let (store, mut view) = (store(server.port, true, &[]).await, server.view());
    let mut client = || -> u64 {
        let clients: String = view.ask(&["CLIENT", "LIST"]);
        let numbers =
            clients.lines().filter_map(|line| line.split(' ').next()?.strip_prefix("id="));
        numbers.map(|number| number.parse::<u64>().unwrap()).max().unwrap()
    };
    let before = client();
    let name: StoredKey = key("k");
    let mut replaced = 0;
    for _ in 0..20 {
        server.freeze();
        let begun = Instant::now();
        let call = tokio::time::timeout(Duration::from_millis(20), store.get(&name));
        assert!(call.await.is_err());
        server.thaw();
        eventually("it is read", || async { store.get(&name).await.is_ok() }).await;
        // Where the machine slept meanwhile, the connection was rightly given up.
        replaced += u64::from(begun.elapsed() > Duration::from_millis(500));
    }
    assert!(client() <= before + replaced);
}
