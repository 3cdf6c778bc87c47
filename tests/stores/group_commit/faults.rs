//! Redis refuses, forgets the script, or goes while a batch is on its way.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use outrigger::state_store::{StoreError, redis::RedisStore};

use super::{
    at_once, batches, lost, patient_store, patient_store_at,
    proxy::{Mode, Proxy},
};
use crate::{
    redis::Server,
    support::{InFull, WriteWith, delete, eventually, is_mismatch, prepare, read, set, write},
};

fn out_of_memory(result: &Result<(), StoreError>) -> bool {
    matches!(result, Err(StoreError::Unavailable(outage)) if outage.cause().starts_with("OOM "))
}

#[tokio::test]
async fn without_memory_each_item_of_a_batch_still_ends_in_its_own_way() {
    let server = Server::start();
    let (store, mut view) = (patient_store(&server).await, server.view());
    for name in ["old", "there", "gone1", "gone2"] {
        write(&store, set(name, "1")).await.unwrap();
    }
    view.tell(&["LPUSH", "list", "theirs"]);
    let before = batches(&server);
    view.tell(&["CONFIG", "SET", "maxmemory", "1"]);
    let writes = vec![
        set("new", "2"),
        set("old", "2").etag("1"),
        set("there", "2").etag("7"),
        set("new with ttl", "2").ttl("100"),
        set("list", "2"),
        delete("gone1"),
        set("later", "2"),
        delete("there").etag("7"),
        delete("gone2").etag("1"),
    ];
    let names: Vec<_> = writes.iter().map(|write| write.key.as_str().to_owned()).collect();
    let results = at_once(&store, writes).await;
    assert_eq!(batches(&server), before + 1, "all went together");
    assert!([0, 1, 3, 4].iter().all(|&n| out_of_memory(&results[n])), "{results:?}");
    assert!([2, 7].iter().all(|&n| is_mismatch(&results[n])), "{results:?}");
    assert!([5, 8].iter().all(|&n| results[n].is_ok()), "{results:?}");
    // Once a script has written anything, Redis may let it go on.
    assert!(results[6].is_ok() || out_of_memory(&results[6]), "{results:?}");
    assert_eq!(view.field("old", "data").as_deref(), Some("1"));
    assert_eq!(view.ask::<i64>(&["LLEN", "list"]), 1);
    assert_eq!(view.ask::<i64>(&["EXISTS", "new", "new with ttl", "gone1", "gone2"]), 0);
    assert_eq!(view.ask::<i64>(&["EXISTS", "later"]) == 1, results[6].is_ok());
    assert_eq!(read(&store, "old").await.unwrap().data, "1");

    let transaction = prepare(&store, vec![set("new", "2"), delete("old"), set("there", "2")]);
    let results = store.transacted(&transaction).await;
    assert!(out_of_memory(&results[0]) && results[1].is_ok(), "{results:?}");

    view.tell(&["CONFIG", "SET", "maxmemory", "0"]);
    for result in at_once(&store, names.iter().map(|name| set(name, "3")).collect()).await {
        result.unwrap();
    }
    assert_eq!(view.field("new", "version").as_deref(), Some("1"));
}

/// Saves over few keys from many callers at once, big enough for several batches; asserts that all
/// were carried out once and in order. `round` counts from nought.
async fn save_in_order(server: &Server, store: &RedisStore, round: usize) {
    const SAVES: usize = 400;
    const KEYS: usize = 4;
    let value = |n: usize| format!("{round}.{n}.").repeat(2000);
    let single = (0..SAVES).map(|n| set(&format!("k{}", n % KEYS), value(n)));
    let bulk = prepare(store, single.clone().collect());
    let (single, bulk) = tokio::join!(at_once(store, single.collect()), store.written(&bulk));
    for result in single.into_iter().chain(bulk) {
        result.unwrap();
    }
    let mut view = server.view();
    for key in 0..KEYS {
        let name = format!("k{key}");
        let version = (round + 1) * 2 * SAVES / KEYS;
        assert_eq!(view.field(&name, "version"), Some(version.to_string()));
        assert!(view.field(&name, "data") == Some(value(SAVES - KEYS + key)), "{name} is not last");
    }
}

#[tokio::test]
async fn a_script_flushed_between_and_during_batches_costs_nothing_twice() {
    let server = Server::start();
    let (store, mut view) = (patient_store(&server).await, server.view());
    let done = Arc::new(AtomicBool::new(false));
    let flusher = std::thread::spawn({
        let (done, mut view) = (done.clone(), server.view());
        move || {
            while !done.load(Ordering::Relaxed) {
                view.tell(&["SCRIPT", "FLUSH"]);
                std::thread::sleep(Duration::from_micros(300));
            }
        }
    });
    for round in 0..8 {
        save_in_order(&server, &store, round).await;
    }
    done.store(true, Ordering::Relaxed);
    flusher.join().unwrap();
    assert!(view.calls("eval") > 1, "the script was never missing");
    view.tell(&["SCRIPT", "FLUSH"]);
    save_in_order(&server, &store, 8).await;
    let texts = view.calls("eval");
    save_in_order(&server, &store, 9).await;
    assert_eq!(view.calls("eval"), texts, "a script that is there is called by its name");
}

/// One batch through a proxy that cuts: every item is told once that it may have been executed.
/// Returns how often each was.
async fn cut(mode: Mode) -> Vec<Option<String>> {
    const ITEMS: usize = 100;
    let server = Server::start();
    let proxy = Proxy::start(server.port, Duration::ZERO).await;
    let store = patient_store_at(proxy.port).await;
    write(&store, set("warm", "up")).await.unwrap();
    let before = batches(&server);
    proxy.set(mode);
    let results = at_once(&store, (0..ITEMS).map(|n| set(&format!("k{n}"), "x")).collect()).await;
    assert!(proxy.has_cut());
    assert!(results.iter().all(lost), "{results:?}");
    assert!(results.iter().all(|result| result.clone().unwrap_err().may_have_executed()));
    eventually("saved again", || async { write(&store, set("after", "x")).await.is_ok() }).await;
    let sent_again = if mode == Mode::CutReply { 2 } else { 1 };
    assert_eq!(batches(&server), before + sent_again, "nothing was sent twice");
    let mut view = server.view();
    (0..ITEMS).map(|n| view.field(&format!("k{n}"), "version")).collect()
}

#[tokio::test]
async fn a_batch_whose_reply_is_lost_is_executed_once() {
    assert!(cut(Mode::CutReply).await.iter().all(|version| version.as_deref() == Some("1")));
}

#[tokio::test]
async fn a_batch_that_is_lost_on_its_way_is_not_sent_again() {
    assert!(cut(Mode::CutCommand).await.iter().all(Option::is_none));
}

/// How the saves of one key ended.
#[derive(Debug, Default)]
struct Ends {
    saved: u64,
    lost: u64,
    never_sent: u64,
}

#[tokio::test]
async fn whatever_is_cut_no_save_is_carried_out_twice() {
    const KEYS: usize = 5;
    let server = Server::start();
    let proxy = Proxy::start(server.port, Duration::ZERO).await;
    let store = patient_store_at(proxy.port).await;
    let mut ends: [Ends; KEYS] = Default::default();
    for mode in [Mode::CutReply, Mode::CutCommand, Mode::CutReply, Mode::CutCommand] {
        eventually("connected", || async { write(&store, delete("warm")).await.is_ok() }).await;
        proxy.set(mode);
        // More than the wire holds.
        let writes = (0..1500).map(|n| set(&format!("k{}", n % KEYS), vec![b'x'; 3000]));
        let results = at_once(&store, writes.collect()).await;
        assert!(proxy.has_cut());
        for (n, result) in results.into_iter().enumerate() {
            let ends = &mut ends[n % KEYS];
            match result {
                Ok(()) => ends.saved += 1,
                Err(StoreError::Lost(_)) => ends.lost += 1,
                Err(StoreError::Unreachable(_)) => ends.never_sent += 1,
                Err(other) => panic!("{other:?}"),
            }
        }
    }
    let mut view = server.view();
    for (key, ends) in ends.iter().enumerate() {
        let version = view.field(&format!("k{key}"), "version");
        let version = version.map_or(0, |version| version.parse::<u64>().unwrap());
        assert!((ends.saved..=ends.saved + ends.lost).contains(&version), "{version}, {ends:?}");
        assert!(ends.lost > 0 && ends.lost + ends.saved + ends.never_sent == 1200, "{ends:?}");
    }
}

#[tokio::test]
async fn a_bad_item_stops_no_other_of_its_batch() {
    let server = Server::start();
    let (store, mut view) = (patient_store(&server).await, server.view());
    view.tell(&["HSET", "full", "data", "x", "version", &i64::MAX.to_string()]);
    view.tell(&["HSET", "no number", "data", "x", "version", "abc"]);
    write(&store, set("conflict", "x")).await.unwrap();
    let before = batches(&server);
    let bad = ["full", "no number", "conflict"];
    let good = (0..60).map(|n| set(&format!("k{n}"), "x"));
    let mixed = good.enumerate().flat_map(|(n, good)| {
        let bad = set(bad[n % bad.len()], "y");
        [if n % 3 == 2 { bad.etag("9") } else { bad }, good]
    });
    let results = at_once(&store, mixed.collect()).await;
    assert_eq!(batches(&server), before + 1);
    for (n, result) in results.iter().enumerate() {
        assert_eq!(result.is_ok(), n % 2 == 1, "{n}: {result:?}");
        assert_eq!(is_mismatch(result), n % 6 == 4, "{n}: {result:?}");
    }
    for n in 0..60 {
        assert_eq!(view.field(&format!("k{n}"), "version").as_deref(), Some("1"));
    }
}
