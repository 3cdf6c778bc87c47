//! Callers who leave: before sending they take their items along, after it only their answer is lost.

use std::time::Duration;

use futures_util::future::{LocalBoxFuture, join_all};
use outrigger::state_store::{StoreError, Write, redis::RedisStore};

use super::{
    batches, begin, lost, patient_store_at,
    proxy::{Mode, Proxy},
};
use crate::{
    redis::Server,
    support::{InFull, eventually, prepare, set, write},
};

/// A call under way, and what it is to write.
struct Call<'s> {
    names: Vec<String>,
    answer: LocalBoxFuture<'s, Vec<Result<(), StoreError>>>,
}

/// What the n-th caller asks for: one save or several, or a transaction.
async fn call(store: &RedisStore, n: usize, transaction: bool) -> Call<'_> {
    let names: Vec<_> = (0..1 + n % 3).map(|item| format!("{n}.{item}")).collect();
    let writes: Vec<Write> = names.iter().map(|name| set(name, "x")).collect();
    let prepared = prepare(store, writes);
    let mut answer: LocalBoxFuture<_> = match transaction {
        false => Box::pin(async move { store.written(&prepared).await }),
        true => Box::pin(async move { store.transacted(&prepared).await }),
    };
    begin(&mut answer).await;
    Call { names, answer }
}

async fn calls(store: &RedisStore, count: usize) -> Vec<Call<'_>> {
    let mut calls = Vec::new();
    for n in 0..count {
        calls.push(call(store, n, n % 2 == 1).await);
    }
    calls
}

/// Half of the callers leave. Returns the calls of those who stay, and what the others asked for.
fn leave(calls: Vec<Call<'_>>) -> (Vec<Call<'_>>, Vec<String>) {
    let (stay, left): (Vec<_>, Vec<_>) =
        calls.into_iter().enumerate().partition(|(place, _)| place % 4 < 2);
    let names = left.into_iter().flat_map(|(_, call)| call.names).collect();
    (stay.into_iter().map(|(_, call)| call).collect(), names)
}

/// Hears what those are told who stay: all is saved.
async fn hear(calls: Vec<Call<'_>>) -> Vec<String> {
    let heard = join_all(calls.into_iter().map(async |call| (call.names, call.answer.await)));
    let mut saved = Vec::new();
    for (names, results) in heard.await {
        assert_eq!(names.len(), results.len());
        assert!(results.iter().all(Result::is_ok), "{results:?}");
        saved.extend(names);
    }
    saved
}

/// Asserts that each was carried out so often.
fn assert_versions(server: &Server, names: &[String], version: Option<&str>) {
    let mut view = server.view();
    for name in names {
        assert_eq!(view.field(name, "version").as_deref(), version, "{name}");
    }
}

fn connections(server: &Server) -> usize {
    let clients: String = server.view().ask(&["CLIENT", "LIST", "TYPE", "normal"]);
    clients.lines().count()
}

/// A server, a proxy before it that passes everything, and a store on it that has written before.
async fn set_up() -> (Server, Proxy, RedisStore) {
    let server = Server::start();
    let proxy = Proxy::start(server.port, Duration::ZERO).await;
    let store = patient_store_at(proxy.port).await;
    write(&store, set("warm", "up")).await.unwrap();
    (server, proxy, store)
}

/// As many saves of one key as are sent before one is answered, each in a batch of its own.
async fn fill_the_wire<'s>(
    server: &Server,
    store: &'s RedisStore,
    after_each: impl Fn(),
) -> Vec<LocalBoxFuture<'s, Result<(), StoreError>>> {
    let before = batches(server);
    let mut on_wire = Vec::new();
    for sent in 1..=4 {
        let mut call: LocalBoxFuture<'_, _> = Box::pin(write(store, set("on wire", "x")));
        begin(&mut call).await;
        on_wire.push(call);
        eventually("it is sent", || async { batches(server) == before + sent }).await;
        after_each();
    }
    on_wire
}

#[tokio::test]
async fn who_leaves_before_sending_takes_all_items_along() {
    let (server, proxy, store) = set_up().await;
    proxy.set(Mode::HoldReplies);
    let on_wire = fill_the_wire(&server, &store, || {}).await;
    let (stay, left) = leave(calls(&store, 60).await);
    proxy.set(Mode::Pass);
    assert!(join_all(on_wire).await.iter().all(Result::is_ok));
    let saved = hear(stay).await;
    assert_versions(&server, &saved, Some("1"));
    assert_versions(&server, &left, None);
    assert_versions(&server, &["on wire".to_owned()], Some("4"));
}

#[tokio::test]
async fn who_leaves_in_the_turn_of_asking_was_never_there() {
    let (server, _proxy, store) = set_up().await;
    let (stay, left) = leave(calls(&store, 60).await);
    let saved = hear(stay).await;
    assert_versions(&server, &saved, Some("1"));
    assert_versions(&server, &left, None);
}

#[tokio::test]
async fn who_leaves_after_sending_costs_the_others_nothing() {
    let (server, proxy, store) = set_up().await;
    let connections_before = connections(&server);
    proxy.set(Mode::HoldReplies);
    let mut calls = Vec::new();
    for n in 0..60 {
        calls.push(call(&store, n, false).await);
    }
    let last = calls.last().unwrap().names.last().unwrap().clone();
    eventually("all are carried out", || async { server.view().field(&last, "version").is_some() })
        .await;
    let (stay, left) = leave(calls);
    proxy.set(Mode::Pass);
    let saved = hear(stay).await;
    assert_versions(&server, &saved, Some("1"));
    assert_versions(&server, &left, Some("1"));
    write(&store, set("warm", "still")).await.unwrap();
    assert_eq!(connections(&server), connections_before);
}

#[tokio::test]
async fn a_batch_whose_connection_falls_silent_is_lost_for_all_and_executed_once() {
    let (server, proxy, store) = set_up().await;
    let before = batches(&server);
    proxy.set(Mode::HoldReplies);
    let mut calls = Vec::new();
    for n in 0..60 {
        calls.push(call(&store, n, false).await);
    }
    eventually("it is carried out", || async { batches(&server) > before }).await;
    // Whoever leaves raises the question whether the connection still answers.
    let (stay, left) = leave(calls);
    let mut names = left;
    for Call { names: mine, answer } in stay {
        let results = answer.await;
        assert!(results.iter().all(lost), "{results:?}");
        names.extend(mine);
    }
    proxy.set(Mode::Pass);
    eventually("saved again", || async { write(&store, set("after", "x")).await.is_ok() }).await;
    assert_versions(&server, &names, Some("1"));
    assert_eq!(batches(&server), before + 2, "nothing was sent twice");
}

#[tokio::test]
async fn who_leaves_while_an_earlier_batch_is_sent_again_takes_all_items_along() {
    let (server, proxy, store) = set_up().await;
    proxy.set(Mode::HoldReplies);
    // The first is carried out, the others are to be sent again.
    let flush = || server.view().tell(&["SCRIPT", "FLUSH"]);
    let mut on_wire = fill_the_wire(&server, &store, flush).await;
    let calls = calls(&store, 30).await;
    // What is sent again now is not answered. What waited was taken, and is not sent yet.
    server.freeze();
    proxy.set(Mode::Pass);
    assert!(on_wire.remove(0).await.is_ok());
    let (stay, left) = leave(calls);
    server.thaw();
    assert!(join_all(on_wire).await.iter().all(Result::is_ok));
    let saved = hear(stay).await;
    assert_versions(&server, &saved, Some("1"));
    assert_versions(&server, &left, None);
    assert_versions(&server, &["on wire".to_owned()], Some("4"));
}

#[tokio::test]
async fn who_leaves_before_the_script_is_sent_again_takes_all_items_along() {
    let (server, proxy, store) = set_up().await;
    let mut view = server.view();
    view.tell(&["SCRIPT", "FLUSH"]);
    let before = view.calls("evalsha");
    proxy.set(Mode::HoldReplies);
    let calls = calls(&store, 30).await;
    eventually("Redis does not know the script", || {
        let refused = view.calls("evalsha") > before;
        async move { refused }
    })
    .await;
    let (stay, left) = leave(calls);
    proxy.set(Mode::Pass);
    let saved = hear(stay).await;
    assert_versions(&server, &saved, Some("1"));
    assert_versions(&server, &left, None);
}
