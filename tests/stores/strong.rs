//! Strong saves whose replicas cannot be asked for, or do not answer.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use outrigger::state_store::{StateStore, StoreError, redis::RedisStore};
use tokio::time::Instant;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

use crate::{
    group_commit::proxy::{Mode, Proxy},
    redis::{Server, View},
    support::{
        InFull, WriteWith, eventually, is_mismatch, key, prepare, read, set, store_at, store_with,
        write,
    },
};

/// A server with a replica that is in step.
pub async fn with_a_replica() -> (Server, Server, View) {
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
    let told = store.written(&prepare(&store, writes)).await;
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

/// Counts the warnings.
#[derive(Clone, Default)]
struct Warnings(Arc<Mutex<usize>>);

impl<S: Subscriber> Layer<S> for Warnings {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if *event.metadata().level() == Level::WARN {
            *self.0.lock().unwrap() += 1;
        }
    }
}

#[tokio::test]
async fn who_may_not_ask_for_the_replicas_waits_for_none_and_is_warned_once() {
    let warnings = Warnings::default();
    let subscriber = tracing_subscriber::registry().with(warnings.clone());
    // As long as there is one subscriber alone, tracing asks the thread that comes first, which may be
    // another test's without any, whether a line is wanted by anybody.
    let _second = tracing::Dispatch::new(tracing_subscriber::registry());
    let _told = tracing::subscriber::set_default(subscriber);
    let server = Server::start();
    let store = store_without(&server, "-info");
    let mut view = server.view();
    let mut refused = || -> u64 {
        let stats: String = view.ask(&["INFO", "commandstats"]);
        let line = stats.lines().find(|line| line.starts_with("cmdstat_info:"));
        let number = line.and_then(|line| line.split("rejected_calls=").nth(1)?.split(',').next());
        number.map_or(0, |number| number.parse().unwrap())
    };
    write(&store, set("k", "1").strong()).await.unwrap();
    let before = refused();
    assert!(before > 0);
    eventually("it is asked again", || {
        let is_asked_again = refused() > before;
        let store = &store;
        async move {
            write(store, set("k", "1").strong()).await.unwrap();
            is_asked_again
        }
    })
    .await;
    assert_eq!(*warnings.0.lock().unwrap(), 1);
}

#[tokio::test]
async fn a_server_without_info_counts_as_one_without_replicas() {
    let server = Server::start_with(&["--rename-command", "INFO", ""]);
    let store = store_with(&server, &[]);
    let writes = vec![set("k", "1").strong(), set("other", "1"), set("k", "2").etag("1").strong()];
    let told = store.written(&prepare(&store, writes)).await;
    assert!(told.iter().all(Result::is_ok), "{told:?}");
    assert_eq!(server.view().field("k", "version").as_deref(), Some("2"));
}

#[tokio::test]
async fn a_busy_server_that_cannot_say_its_replicas_is_unavailable() {
    let server = Server::start_with(&["--busy-reply-threshold", "1"]);
    let store = store_with(&server, &[]);
    write(&store, set("k", "1")).await.unwrap();
    let mut endless = server.view();
    let script = std::thread::spawn(move || {
        endless.try_ask::<redis::Value>(&["EVAL", "while true do end", "0"])
    });
    let begun = Instant::now();
    while store.get(&key("k")).await.is_ok() {
        assert!(begun.elapsed() < Duration::from_secs(10), "it is never busy");
    }
    let told = write(&store, set("k", "2").strong()).await;
    let Err(StoreError::Unavailable(outage)) = &told else { panic!("{told:?}") };
    assert!(outage.cause().starts_with("BUSY "), "{outage}");
    assert!(outage.to_string().starts_with("failed to set key k: BUSY "), "{outage}");
    server.view().tell(&["SCRIPT", "KILL"]);
    assert!(script.join().unwrap().is_err());
    eventually("saved", || async { write(&store, set("k", "3").strong()).await.is_ok() }).await;
    assert_eq!(server.view().field("k", "version").as_deref(), Some("2"));
}

#[tokio::test]
async fn a_server_that_does_not_say_its_replicas_was_sent_nothing() {
    let server = Server::start();
    let store = store_with(&server, &[("readTimeout", "300"), ("writeTimeout", "300")]);
    write(&store, set("k", "1")).await.unwrap();
    server.freeze();
    let told = write(&store, set("k", "2").strong()).await;
    assert!(matches!(told, Err(StoreError::Unreachable(_))), "{told:?}");
    server.thaw();
    eventually("saved", || async { write(&store, set("k", "3").strong()).await.is_ok() }).await;
    assert_eq!(server.view().field("k", "version").as_deref(), Some("2"));
}
