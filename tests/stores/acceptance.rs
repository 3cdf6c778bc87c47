//! What Redis accepts and what it refuses: passwords, rights, TLS, memory, roles, other types.

use std::{process::Command, time::Duration};

use outrigger::state_store::{StateStore, StoreError};
use tokio::time::Instant;

use crate::{
    redis::Server,
    strong::with_a_replica,
    support::{
        InFull, WriteWith, delete, eventually, is_mismatch, key, prepare, read, set, store_on,
        store_with, write,
    },
};

#[tokio::test]
async fn a_wrong_password_is_told_and_mended_without_a_restart() {
    let server = Server::start_with(&["--requirepass", "right"]);
    let none = store_on(&server);
    let refused = none.get(&key("k")).await.unwrap_err();
    let text = "NOAUTH Authentication required.";
    assert_eq!(refused, StoreError::Unreachable(text.to_owned().into()));

    let wrong = store_with(&server, &[("redisPassword", "wrong")]);
    let refused = write(&wrong, set("k", "1")).await.unwrap_err();
    let StoreError::Unreachable(outage) = refused else { panic!("{refused:?}") };
    let text = outage.to_string();
    assert!(text.starts_with("failed to set key k: WRONGPASS "), "{text}");
    assert!(!text.contains("wrong"), "{text}");

    let right = store_with(&server, &[("redisPassword", "right")]);
    write(&right, set("k", "1")).await.unwrap();

    let mut view = server.view_as(":right");
    view.tell(&["CONFIG", "SET", "requirepass", "wrong"]);
    eventually("the mended password is taken", || async {
        write(&wrong, set("k", "2")).await.is_ok()
    })
    .await;
    // A connection that was let in stays.
    write(&right, set("k", "3")).await.unwrap();
}

#[tokio::test]
async fn a_user_of_the_access_list_is_told_what_it_may_not_do() {
    let server = Server::start();
    let mut view = server.view();
    view.tell(&["ACL", "SETUSER", "app", "on", ">secret", "~app||*", "+@all", "-expire", "-info"]);
    view.tell(&["ACL", "SETUSER", "few", "on", ">secret", "~*", "+hgetall", "+client", "+evalsha"]);
    let login = [("redisUsername", "app"), ("redisPassword", "secret")];
    let store = store_with(&server, &login);
    write(&store, set("app||k", "1")).await.unwrap();
    // The number of replicas cannot be asked for; the save goes on without them.
    write(&store, set("app||k", "2").strong()).await.unwrap();
    assert_eq!(read(&store, "app||k").await.unwrap().etag.as_deref(), Some("2"));
    let refused = write(&store, set("other", "1")).await.unwrap_err();
    let StoreError::Refused(text) = refused else { panic!("{refused:?}") };
    assert!(text.starts_with("failed to set key other: NOPERM"), "{text}");

    // Without the right to set a TTL nothing is written at all.
    for name in ["app||k", "app||new"] {
        let refused = write(&store, set(name, "3").ttl("100")).await.unwrap_err();
        let StoreError::Refused(text) = refused else { panic!("{refused:?}") };
        assert!(text.contains("NOPERM"), "{text}");
    }
    assert_eq!(view.field("app||k", "data").as_deref(), Some("2"));
    assert_eq!(view.ask::<i64>(&["EXISTS", "app||new"]), 0);

    let few = store_with(&server, &[("redisUsername", "few"), ("redisPassword", "secret")]);
    assert_eq!(read(&few, "app||k").await.unwrap().data, "2");
    let refused = write(&few, set("k", "1")).await;
    assert!(matches!(refused, Err(StoreError::Refused(_))), "{refused:?}");
    view.tell(&["ACL", "SETUSER", "few", "resetpass", ">other"]);
    view.tell(&["CLIENT", "KILL", "USER", "few"]);
    eventually("the lost password is told", || async {
        let error = few.get(&key("app||k")).await;
        matches!(error, Err(StoreError::Unreachable(why)) if why.cause().starts_with("WRONGPASS"))
    })
    .await;
}

#[tokio::test]
async fn the_database_is_the_one_that_was_chosen() {
    let server = Server::start();
    let store = store_with(&server, &[("redisDB", "7")]);
    write(&store, set("k", "1")).await.unwrap();
    let mut view = server.view();
    assert_eq!(view.ask::<i64>(&["EXISTS", "k"]), 0);
    view.tell(&["SELECT", "7"]);
    assert_eq!(view.ask::<i64>(&["EXISTS", "k"]), 1);

    let store = store_with(&server, &[("redisDB", "99")]);
    let refused = store.get(&key("k")).await.unwrap_err();
    assert_eq!(refused, StoreError::Unreachable("ERR DB index is out of range".to_owned().into()));
}

#[tokio::test]
async fn a_replica_refuses_writes_until_it_is_a_master() {
    let server = Server::start();
    let store = store_with(&server, &[]);
    write(&store, set("k", "1")).await.unwrap();
    let mut view = server.view();
    view.tell(&["REPLICAOF", "127.0.0.1", "1"]);
    for refused in [
        write(&store, set("k", "2")).await,
        write(&store, set("k", "2").etag("1")).await,
        write(&store, delete("k").etag("1")).await,
    ] {
        let Err(StoreError::Unavailable(outage)) = &refused else { panic!("{refused:?}") };
        let text = outage.to_string();
        assert!(text.contains("READONLY You can't write against a read only replica"), "{text}");
    }
    assert_eq!(read(&store, "k").await.unwrap().data, "1");
    view.tell(&["REPLICAOF", "NO", "ONE"]);
    write(&store, set("k", "3").etag("1")).await.unwrap();
}

#[tokio::test]
async fn a_refusing_server_is_asked_by_a_new_connection() {
    let server = Server::start();
    let store = store_on(&server);
    let mut view = server.view();
    write(&store, set("k", "1")).await.unwrap();
    let own = |view: &mut crate::redis::View| {
        let clients: String = view.ask(&["CLIENT", "LIST"]);
        let ids = clients.lines().filter(|line| !line.contains("cmd=client"));
        ids.map(|line| line.split(' ').next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let before = own(&mut view);
    assert_eq!(before.len(), 1);
    view.tell(&["REPLICAOF", "127.0.0.1", "1"]);
    let begun = Instant::now();
    while own(&mut view) == before {
        assert!(begun.elapsed() < Duration::from_secs(10), "the connection is not replaced");
        let refused = write(&store, set("k", "2")).await;
        // Nobody notices the change: no call ever hears that there is no connection.
        assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
        assert_eq!(read(&store, "k").await.unwrap().data, "1");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(begun.elapsed() > Duration::from_millis(500), "a young connection is kept");
}

#[tokio::test]
async fn a_connection_closed_between_calls_is_replaced_without_anyone_noticing() {
    let server = Server::start();
    let (store, mut view) = (store_on(&server), server.view());
    write(&store, set("k", "1")).await.unwrap();
    for _ in 0..2 {
        // Long enough for the connection to count as a good one.
        tokio::time::sleep(Duration::from_millis(2100)).await;
        view.tell(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
        tokio::time::sleep(Duration::from_millis(1)).await;
        write(&store, set("k", "1")).await.unwrap();
        assert!(read(&store, "k").await.is_some());
    }
}

#[tokio::test]
async fn a_full_server_refuses_saves_and_serves_the_rest() {
    let server = Server::start();
    let (store, mut view) = (store_on(&server), server.view());
    for name in ["k", "gone"] {
        write(&store, set(name, "1")).await.unwrap();
    }
    view.tell(&["SET", "foreign", "kept"]);
    view.tell(&["CONFIG", "SET", "maxmemory", "1"]);
    let writes = vec![
        set("k", "2"),
        set("k", "2").etag("1"),
        set("new", "2").ttl("5"),
        set("foreign", "2"),
        delete("gone").etag("1"),
    ];
    let results = store.written(&prepare(&store, writes)).await;
    for refused in &results[..4] {
        let Err(StoreError::Unavailable(outage)) = refused else { panic!("{refused:?}") };
        let text = outage.to_string();
        assert!(
            text.contains(": OOM command not allowed when used memory > 'maxmemory'"),
            "{text}"
        );
    }
    assert_eq!(results[4], Ok(()));
    assert_eq!(read(&store, "k").await.unwrap().etag.as_deref(), Some("1"));
    assert_eq!(view.ask::<String>(&["GET", "foreign"]), "kept");
    assert_eq!(view.ask::<i64>(&["EXISTS", "new", "gone"]), 0);
    view.tell(&["CONFIG", "SET", "maxmemory", "0"]);
    write(&store, set("k", "2").etag("1")).await.unwrap();
}

#[tokio::test]
async fn strong_saves_wait_for_replicas_and_keep_nobody_else_waiting() {
    let (master, replica, mut view) = with_a_replica().await;
    let store = store_on(&master);
    write(&store, set("k", "1")).await.unwrap();
    assert_eq!(view.calls("wait"), 0);
    write(&store, set("k", "2").strong()).await.unwrap();
    assert_eq!(view.calls("wait"), 1);
    assert_eq!(replica.view().field("k", "data").as_deref(), Some("2"));
    assert!(is_mismatch(&write(&store, set("k", "x").strong().etag("9")).await));

    replica.freeze();
    let strong = async {
        let begun = Instant::now();
        let saves = (0..20).map(|n| {
            let store = store.clone();
            async move { write(&store, set(&format!("s{n}"), "x").strong()).await }
        });
        let results = futures_util::future::join_all(saves).await;
        assert!(results.iter().all(Result::is_ok), "{results:?}");
        begun.elapsed()
    };
    let others = async {
        let mut slowest = Duration::ZERO;
        for n in 0..100 {
            let begun = Instant::now();
            write(&store, set("k", n.to_string())).await.unwrap();
            assert_eq!(read(&store, "k").await.unwrap().data, n.to_string());
            write(&store, delete("none").strong()).await.unwrap();
            slowest = slowest.max(begun.elapsed());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        slowest
    };
    let (strong, slowest) = tokio::join!(strong, others);
    assert!(strong >= Duration::from_millis(900), "WAIT was given {strong:?}");
    assert!(strong < Duration::from_millis(2900), "the saves share their waits: {strong:?}");
    assert!(slowest < Duration::from_millis(300), "{slowest:?}");
    assert_eq!(view.ask::<i64>(&["EXISTS", "s0", "s19"]), 2);

    // A caller who does not wait so long costs nobody the connection.
    let mut connections = || -> String {
        let info: String = view.ask(&["INFO", "stats"]);
        let line = info.lines().find(|line| line.starts_with("total_connections_received:"));
        line.unwrap().to_owned()
    };
    let before = connections();
    for _ in 0..4 {
        let call = write(&store, set("k", "x").strong());
        assert!(tokio::time::timeout(Duration::from_millis(300), call).await.is_err());
    }
    write(&store, set("k", "y").strong()).await.unwrap();
    assert_eq!(connections(), before);
    replica.thaw();
}

#[tokio::test]
async fn a_document_of_redis_json_is_not_overwritten() {
    let directory = tempfile::tempdir().unwrap();
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/stores/document_module.c");
    let library = directory.path().join("document.so");
    let built = Command::new("gcc")
        .args(["-shared", "-fPIC", "-O1", "-o"])
        .arg(&library)
        .arg(source)
        .output()
        .unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    let server = Server::start_with(&["--loadmodule", library.to_str().unwrap()]);
    let (store, mut view) = (store_on(&server), server.view());
    view.tell(&["DOCUMENT.MAKE", "doc"]);
    assert_eq!(view.ask::<String>(&["TYPE", "doc"]), "ReJSON-RL");

    for refused in [
        write(&store, set("doc", "x")).await,
        write(&store, set("doc", "x").etag("1").ttl("5")).await,
        write(&store, delete("doc").etag("1")).await,
    ] {
        let Err(StoreError::Refused(text)) = &refused else { panic!("{refused:?}") };
        assert!(text.contains("RedisJSON document"), "{text}");
        assert!(text.contains("delete it without an etag first"), "{text}");
    }
    let refused = store.transacted(&prepare(&store, vec![set("doc", "x"), set("k", "y")])).await;
    assert!(matches!(refused[0], Err(StoreError::Refused(_))));
    assert_eq!(refused[1], Ok(()));
    assert_eq!(view.ask::<String>(&["TYPE", "doc"]), "ReJSON-RL");
    assert_eq!(view.ask::<i64>(&["TTL", "doc"]), -1);
    let refused = store.get(&key("doc")).await.unwrap_err();
    assert!(matches!(&refused, StoreError::Refused(text) if text.starts_with("WRONGTYPE")));

    write(&store, delete("doc")).await.unwrap();
    write(&store, set("doc", "x")).await.unwrap();
    assert_eq!(view.ask::<String>(&["TYPE", "doc"]), "hash");
}
