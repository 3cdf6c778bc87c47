//! What batching saves, counted by those who see it: Redis its commands, the kernel its writes.

use std::time::Duration;

use futures_util::future::join_all;
use outrigger::state_store::{StateStore, Write, redis::RedisStore};

use super::{
    at_once, batches, begin, patient_store, patient_store_at,
    proxy::{Mode, Proxy},
};
use crate::{
    redis::Server,
    support::{WriteWith, delete, eventually, key, read, set, write},
};

const CALLERS: u64 = 64;

/// Lets every caller do its work so often, one call after the other.
async fn in_flight<F: Future>(rounds: u64, call: impl Fn(u64) -> F) {
    let callers = (0..CALLERS).map(async |caller| {
        for _ in 0..rounds {
            call(caller).await;
        }
    });
    join_all(callers).await;
}

async fn save(store: &RedisStore, caller: u64) {
    write(store, set(&format!("k{caller}"), "x")).await.unwrap();
}

#[tokio::test]
async fn single_saves_in_flight_together_share_their_script_calls() {
    const ROUNDS: u64 = 20;
    let server = Server::start();
    let store = patient_store(&server).await;
    in_flight(ROUNDS, |caller| save(&store, caller)).await;
    assert_eq!(server.view().calls("hset"), ROUNDS * CALLERS);
    let batches = batches(&server);
    assert!(batches * 10 <= ROUNDS * CALLERS, "{batches} script calls");
}

/// How many commands the script calls for these writes, which all succeed.
async fn commands_inside(server: &Server, store: &RedisStore, writes: Vec<Write>) -> u64 {
    const OUTSIDE: [&str; 6] = ["eval", "evalsha", "info", "ping", "hello", "client|setinfo"];
    let mut view = server.view();
    let mut inside = || -> u64 {
        let calls = view.all_calls().into_iter();
        calls.filter(|(name, _)| !OUTSIDE.contains(&name.as_str())).map(|(_, calls)| calls).sum()
    };
    let before = inside();
    for result in at_once(store, writes).await {
        result.unwrap();
    }
    inside() - before
}

#[tokio::test]
async fn an_item_is_two_commands_and_three_with_a_ttl() {
    const ITEMS: u64 = 50;
    let server = Server::start();
    let store = patient_store(&server).await;
    type Make = fn(&str) -> Write;
    let kinds: [(&str, u64, Make); 10] = [
        ("new", 2, |name| set(name, "x")),
        ("there", 2, |name| set(name, "x")),
        ("etag", 2, |name| set(name, "x").etag("2")),
        ("last-write", 2, |name| set(name, "x").last_write().etag("77")),
        ("first-write", 2, |name| set(name, "x").first_write().etag("4")),
        ("ttl", 3, |name| set(name, "x").ttl("100").etag("5")),
        ("no ttl", 3, |name| set(name, "x").ttl("-1").etag("6")),
        ("delete with etag", 2, |name| delete(name).etag("7")),
        ("new with ttl", 3, |name| set(name, "x").ttl("100")),
        ("delete", 1, |name| delete(name)),
    ];
    for (kind, most, make) in kinds {
        let writes = (0..ITEMS).map(|n| make(&format!("k{n}"))).collect();
        let commands = commands_inside(&server, &store, writes).await;
        // At least one each: else nothing was counted.
        let range = ITEMS..=most * ITEMS;
        assert!(range.contains(&commands), "{kind}: {commands} commands for {ITEMS} items");
    }
}

#[tokio::test]
async fn a_save_that_is_alone_is_never_held_back() {
    const SAVES: u64 = 30;
    let server = Server::start();
    let proxy = Proxy::start(server.port, Duration::from_millis(1)).await;
    let store = patient_store_at(proxy.port).await;
    for count in 1..=SAVES {
        save(&store, 0).await;
        assert_eq!(batches(&server), count + 1, "one batch each, and the script's text once");
    }
}

#[tokio::test]
async fn four_batches_fit_on_the_wire_and_what_comes_then_waits_together() {
    let server = Server::start();
    let proxy = Proxy::start(server.port, Duration::ZERO).await;
    let store = patient_store_at(proxy.port).await;
    save(&store, 0).await;
    let before = batches(&server);
    proxy.set(Mode::HoldReplies);
    let mut calls = Vec::new();
    for sent in 1..=4 {
        let mut call = Box::pin(save(&store, sent));
        begin(&mut call).await;
        calls.push(call);
        let arrived = || async { batches(&server) == before + sent };
        eventually("it is sent although none before was answered", arrived).await;
    }
    for late in 5..50 {
        let mut call = Box::pin(save(&store, late));
        begin(&mut call).await;
        calls.push(call);
    }
    proxy.set(Mode::Pass);
    join_all(calls).await;
    assert_eq!(batches(&server), before + 5);
}

/// How many writes to files and sockets this thread has made.
fn writes_of_this_thread() -> u64 {
    let io = std::fs::read_to_string("/proc/thread-self/io").unwrap();
    io.lines().find_map(|line| line.strip_prefix("syscw: ")).unwrap().parse().unwrap()
}

/// Runs the calls on this thread alone, and asserts that at most three of ten cost a write.
fn ride_together<F: Future>(call: impl Fn(RedisStore, u64) -> F) {
    const ROUNDS: u64 = 20;
    let server = Server::start();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let store = patient_store(&server).await;
        in_flight(1, |caller| save(&store, caller)).await;
        let before = writes_of_this_thread();
        in_flight(ROUNDS, |caller| call(store.clone(), caller)).await;
        let writes = writes_of_this_thread() - before;
        assert!(writes > 0, "writes are not counted");
        assert!(writes * 10 <= ROUNDS * CALLERS * 3, "{writes} writes");
    });
}

#[test]
fn gets_in_flight_together_ride_few_writes() {
    ride_together(async |store, caller| {
        assert_eq!(read(&store, &format!("k{caller}")).await.unwrap().data, "x");
    });
}

#[test]
fn saves_in_flight_together_ride_few_writes() {
    ride_together(async |store, caller| save(&store, caller).await);
}

#[test]
fn gets_and_saves_in_flight_together_ride_few_writes() {
    ride_together(async |store, caller| match caller % 2 {
        0 => save(&store, caller).await,
        _ => drop(store.get(&key(&format!("k{caller}"))).await.unwrap()),
    });
}
