//! Strong saves whose replicas cannot be asked for, or do not answer.

use std::time::Duration;

use outrigger::state_store::{StateStore, StoreError, redis::RedisStore};

use crate::{
    group_commit::proxy::{Mode, Proxy},
    redis::{Server, View},
    support::{
        WriteWith, eventually, is_mismatch, prepare, read, set, store_at, store_with, write,
    },
};

/// A server with a replica that is in step.
async fn with_a_replica() -> (Server, Server, View) {
    let master = Server::start();
    let port = master.port.to_string();
    let replica = Server::start_with(&["--replicaof", "127.0.0.1", &port]);
    let mut view = master.view();
    eventually("the replica is in step", || {
        let info: String = view.ask(&["INFO", "replication"]);
        async move { info.contains("state=online") }
    })
    .await;
    (master, replica, view)
}

/// A store whose user may do everything but this.
fn store_without(server: &Server, rule: &str) -> RedisStore {
    server.view().tell(&["ACL", "SETUSER", "app", "reset", "on", ">secret", "~*", "+@all", rule]);
    store_with(server, &[("redisUsername", "app"), ("redisPassword", "secret")])
}

fn unconfirmed(result: &Result<(), StoreError>) -> bool {
    let text = "redis waiting for 1 replicas to acknowledge write, err: NOPERM ";
    matches!(result, Err(StoreError::Unconfirmed(told)) if told.starts_with(text))
}

#[tokio::test]
async fn a_save_whose_wait_is_refused_was_carried_out_once_and_is_told_as_such() {
    let (master, _replica, mut view) = with_a_replica().await;
    let store = store_without(&master, "-wait");
    let told = write(&store, set("k", "1").strong()).await;
    assert!(unconfirmed(&told), "{told:?}");
    assert!(told.unwrap_err().may_have_executed());
    assert_eq!(view.field("k", "version").as_deref(), Some("1"));

    let told = write(&store, set("k", "2").etag("1").strong()).await;
    assert!(unconfirmed(&told), "{told:?}");
    assert_eq!(view.field("k", "version").as_deref(), Some("2"));
    assert_eq!(view.field("k", "data").as_deref(), Some("2"));

    // What was not carried out is told as ever.
    let writes = vec![set("k", "3").etag("1").strong(), set("new", "3").strong(), set("weak", "3")];
    let told = store.write(&prepare(&store, writes)).await;
    assert!(is_mismatch(&told[0]) && unconfirmed(&told[1]) && told[2].is_ok(), "{told:?}");
    assert_eq!(view.field("new", "version").as_deref(), Some("1"));
}

#[tokio::test]
async fn a_save_whose_wait_is_cut_off_is_lost() {
    let (master, replica, mut view) = with_a_replica().await;
    let proxy = Proxy::start(master.port, Duration::ZERO).await;
    let store = store_at(proxy.port, &[]);
    write(&store, set("k", "1").strong()).await.unwrap();
    replica.freeze();
    let save = write(&store, set("k", "2").strong());
    let cut = async {
        eventually("it is carried out", || {
            let version = view.field("k", "version");
            async move { version.as_deref() == Some("2") }
        })
        .await;
        proxy.set(Mode::CutReply);
    };
    let (told, ()) = tokio::join!(save, cut);
    assert!(proxy.has_cut());
    assert!(matches!(told, Err(StoreError::Lost(_))), "{told:?}");
    replica.thaw();
    eventually("saved again", || async { write(&store, set("k", "3").strong()).await.is_ok() })
        .await;
    assert_eq!(read(&store, "k").await.unwrap().data, "3");
}
