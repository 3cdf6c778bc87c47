//! Keys that are read or written one at a time go past the queue, and fare as all others.

use std::time::Duration;

use futures_util::future::join_all;
use outrigger::state_store::{Outage, StateStore, StoreError, redis::RedisStore};
use tokio::time::{Instant, timeout};

use crate::{
    group_commit::proxy::{Mode, Proxy},
    redis::Server,
    support::{InFull, etag, eventually, key, prepare, read, set, store_at, write},
};

/// What goes past the queue.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Read,
    Write,
}

use Kind::{Read, Write};

impl Kind {
    async fn call(self, store: &RedisStore) -> Result<(), StoreError> {
        match self {
            Read => store.get(&key("k")).await.map(|_| ()),
            Write => write(store, set("k", "1")).await,
        }
    }

    /// Calls one after the other, until calls go past the queue.
    async fn one_by_one(self, store: &RedisStore) {
        for _ in 0..40 {
            self.call(store).await.unwrap();
        }
    }

    /// The error of a call that may have been carried out.
    fn lost(self, cause: &str) -> StoreError {
        StoreError::Lost(self.outage(cause))
    }

    /// The error of a call that was not.
    fn unreachable(self, cause: &str) -> StoreError {
        StoreError::Unreachable(self.outage(cause))
    }

    fn outage(self, cause: &str) -> Outage {
        match self {
            Read => cause.to_owned().into(),
            Write => Outage::of_setting(&key("k"), cause.to_owned()),
        }
    }

    /// A store whose calls go past the queue, or one of which nothing is known yet.
    async fn store(self, port: u16, alone: bool, metadata: &[(&str, &str)]) -> RedisStore {
        let store = store_at(port, metadata);
        eventually("it is connected", || async { write(&store, set("k", "1")).await.is_ok() })
            .await;
        if alone {
            self.one_by_one(&store).await;
        }
        store
    }

    /// How a call ends that must end.
    async fn ends(self, store: &RedisStore) -> Result<(), StoreError> {
        timeout(Duration::from_secs(60), self.call(store)).await.expect("the call ends")
    }

    async fn works_again(self, store: &RedisStore) {
        eventually("it works again", || async { self.call(store).await.is_ok() }).await;
    }
}

async fn version(store: &RedisStore) -> u64 {
    etag(store, "k").await.parse().unwrap()
}

#[tokio::test]
async fn each_read_is_one_command_and_a_burst_still_shares_a_script() {
    let server = Server::start();
    let (store, mut view) = (Read.store(server.port, true, &[]).await, server.view());
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
async fn each_write_is_one_script_call_and_a_burst_still_shares_them() {
    let server = Server::start();
    let (store, mut view) = (Write.store(server.port, true, &[]).await, server.view());
    let before = version(&store).await;
    view.tell(&["CONFIG", "RESETSTAT"]);
    for n in 1..=50 {
        write(&store, set("k", format!("{n}"))).await.unwrap();
        let found = read(&store, "k").await.unwrap();
        let etag = (before + n).to_string();
        assert_eq!((found.data, found.etag), (format!("{n}").into(), Some(etag)));
    }
    assert_eq!((view.calls("evalsha"), view.calls("eval")), (50, 0));
    let saves: Vec<_> =
        (0..64).map(|n| prepare(&store, vec![set(&format!("b{n}"), "1")])).collect();
    let ends = join_all(saves.iter().map(|save| store.written(save))).await;
    assert!(ends.iter().flatten().all(Result::is_ok));
    assert_eq!(view.calls("hset"), 50 + 64);
    assert!((50 + 1..=50 + 4).contains(&view.calls("evalsha")));
}

#[tokio::test]
async fn a_silent_redis_costs_the_timeout_and_no_more() {
    for (kind, timeout) in [(Read, "readTimeout"), (Write, "writeTimeout")] {
        let server = Server::start();
        let store = kind.store(server.port, true, &[(timeout, "300")]).await;
        server.freeze();
        let begun = Instant::now();
        assert_eq!(kind.call(&store).await, Err(kind.lost("i/o timeout")));
        assert!(begun.elapsed() >= Duration::from_millis(300));
        // The connection is doubted now: nothing more is handed to it.
        assert_eq!(kind.call(&store).await, Err(kind.unreachable("i/o timeout")));
        server.thaw();
        kind.works_again(&store).await;
    }
}

#[tokio::test]
async fn a_connection_that_is_cut_is_told_as_in_the_queue() {
    for (kind, alone) in [(Read, true), (Read, false), (Write, true), (Write, false)] {
        let server = Server::start();
        let proxy = Proxy::start(server.port, Duration::ZERO).await;
        let store = kind.store(proxy.port, alone, &[]).await;
        let before = version(&store).await;
        proxy.set(Mode::CutReply);
        assert_eq!(kind.call(&store).await, Err(kind.lost("EOF")), "{kind:?} {alone}");
        assert!(proxy.has_cut());
        eventually("it is read again", || async { store.get(&key("k")).await.is_ok() }).await;
        // Carried out once, and not sent again.
        let writes = u64::from(matches!(kind, Write));
        assert_eq!(version(&store).await, before + writes, "{kind:?} {alone}");
    }
}

#[tokio::test]
async fn a_connection_that_is_given_up_is_told_as_in_the_queue() {
    let silent = async |kind: Kind, alone: bool| {
        let server = Server::start();
        let patience = [("readTimeout", "-1"), ("writeTimeout", "-1")];
        let store = kind.store(server.port, alone, &patience).await;
        server.freeze();
        let end = kind.ends(&store).await;
        server.thaw();
        assert_eq!(end, Err(kind.lost("i/o timeout")), "{kind:?} {alone}");
    };
    let reads = async { tokio::join!(silent(Read, true), silent(Read, false)) };
    let writes = async { tokio::join!(silent(Write, true), silent(Write, false)) };
    tokio::join!(reads, writes);
}

#[tokio::test]
async fn a_connection_that_closes_behind_an_answer_keeps_nobody_waiting() {
    // After these the call would go on in another way, on a connection that is gone.
    let answers = [
        (Read, "-WRONGTYPE not a hash\r\n"),
        (Write, "-NOSCRIPT No matching script. Please use EVAL.\r\n"),
    ];
    for (kind, answer) in answers {
        let server = Server::start();
        let proxy = Proxy::start(server.port, Duration::ZERO).await;
        let patience = [("readTimeout", "-1"), ("writeTimeout", "-1")];
        let store = kind.store(proxy.port, true, &patience).await;
        for _ in 0..20 {
            proxy.set(Mode::SayAndClose(answer));
            let error = kind.ends(&store).await.unwrap_err();
            assert!(matches!(error, StoreError::Unreachable(_) | StoreError::Lost(_)), "{error:?}");
            kind.works_again(&store).await;
            kind.one_by_one(&store).await;
        }
    }
}

#[tokio::test]
async fn a_script_that_redis_forgot_is_sent_as_text_and_the_write_is_carried_out_once() {
    let server = Server::start();
    let (store, mut view) = (Write.store(server.port, true, &[]).await, server.view());
    let before = version(&store).await;
    view.tell(&["CONFIG", "RESETSTAT"]);
    for round in 1..=10 {
        view.tell(&["SCRIPT", "FLUSH"]);
        Write.call(&store).await.unwrap();
        assert_eq!(version(&store).await, before + round);
        assert_eq!(view.calls("eval"), round);
    }
}

#[tokio::test]
async fn who_leaves_costs_a_living_connection_nothing() {
    for kind in [Read, Write] {
        let server = Server::start();
        let (store, mut view) = (kind.store(server.port, true, &[]).await, server.view());
        let mut client = || -> u64 {
            let clients: String = view.ask(&["CLIENT", "LIST"]);
            let numbers =
                clients.lines().filter_map(|line| line.split(' ').next()?.strip_prefix("id="));
            numbers.map(|number| number.parse::<u64>().unwrap()).max().unwrap()
        };
        let before = client();
        let mut replaced = 0;
        for _ in 0..20 {
            server.freeze();
            let begun = Instant::now();
            assert!(timeout(Duration::from_millis(20), kind.call(&store)).await.is_err());
            server.thaw();
            kind.works_again(&store).await;
            // Where the machine slept meanwhile, the connection was rightly given up.
            replaced += u64::from(begun.elapsed() > Duration::from_millis(500));
        }
        assert!(client() <= before + replaced);
    }
}
