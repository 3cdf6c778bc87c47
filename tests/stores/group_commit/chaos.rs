//! Everything that can go wrong at once, again and again: no item is carried out twice, none against
//! what its caller was told, and no transaction in part.

use std::{cell::Cell, time::Duration};

use futures_util::future::{Either, join_all, select};
use outrigger::state_store::{StoreError, redis::RedisStore};
use tokio::time::sleep;

use super::{
    patient_store_at,
    proxy::{Mode, Proxy},
};
use crate::{
    redis::{Server, View},
    support::{InFull, prepare, set},
};

/// One call for several items, each under a key of its own, and what its caller was told.
struct Call {
    names: Vec<String>,
    transaction: bool,
    /// `None` if the caller left.
    told: Option<Vec<Result<(), StoreError>>>,
}

/// Calls until `done`, and sometimes leaves.
async fn call_on(
    store: &RedisStore,
    caller: usize,
    mut random: fastrand::Rng,
    done: &Cell<bool>,
) -> Vec<Call> {
    let mut calls = Vec::new();
    while !done.get() {
        let transaction = random.u8(0..3) == 0;
        let count = if random.u8(0..30) == 0 { 200 } else { random.usize(1..6) };
        let number = calls.len();
        let names: Vec<_> = (0..count).map(|item| format!("{caller}.{number}.{item}")).collect();
        let size = random.usize(10..3000);
        let writes = names.iter().map(|name| set(name, vec![b'x'; size])).collect();
        let prepared = prepare(store, writes);
        let ask = async {
            if transaction {
                store.transacted(&prepared).await
            } else {
                store.written(&prepared).await
            }
        };
        let patience = match random.u8(0..4) {
            0 => Duration::from_micros(random.u64(0..3000)),
            _ => Duration::from_secs(60),
        };
        let told = match select(std::pin::pin!(ask), std::pin::pin!(sleep(patience))).await {
            Either::Left((told, _)) => Some(told),
            Either::Right(_) => None,
        };
        if told.iter().flatten().any(Result::is_err) {
            // Whose store is away has no hurry.
            sleep(Duration::from_millis(5)).await;
        }
        calls.push(Call { names, transaction, told });
    }
    calls
}

async fn make_trouble(server: &Server, proxy: &Proxy, mut random: fastrand::Rng) {
    for _ in 0..20 {
        sleep(Duration::from_millis(random.u64(20..90))).await;
        match random.u8(0..4) {
            0 => proxy.set(Mode::CutReply),
            1 => proxy.set(Mode::CutCommand),
            2 => server.view().tell(&["SCRIPT", "FLUSH"]),
            _ => {
                proxy.set(Mode::HoldReplies);
                sleep(Duration::from_millis(random.u64(1..10))).await;
                proxy.set(Mode::Pass);
            }
        }
    }
    proxy.set(Mode::Pass);
}

/// How often things happened.
#[derive(Debug, Default)]
struct Ends {
    saved: usize,
    lost: usize,
    never_sent: usize,
    left: usize,
}

/// Compares what a caller was told with what lies there.
fn check(view: &mut View, call: &Call, ends: &mut Ends) {
    let there: Vec<bool> = call
        .names
        .iter()
        .map(|name| match view.field(name, "version").as_deref() {
            None => false,
            Some("1") => true,
            Some(version) => panic!("{name} was carried out {version} times"),
        })
        .collect();
    if call.transaction {
        assert!(there.iter().all(|one| *one == there[0]), "{:?} in part: {there:?}", call.names);
    }
    let Some(told) = &call.told else {
        ends.left += 1;
        return;
    };
    assert_eq!(told.len(), there.len());
    for ((told, there), name) in told.iter().zip(there).zip(&call.names) {
        match told {
            Ok(()) => {
                assert!(there, "{name} was acknowledged and is not there");
                ends.saved += 1;
            }
            Err(StoreError::Lost(_)) => ends.lost += 1,
            Err(StoreError::Unreachable(_)) => {
                assert!(!there, "{name} was never sent and is there");
                ends.never_sent += 1;
            }
            Err(other) => panic!("{name}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn amid_all_troubles_each_item_is_there_at_most_once_and_as_its_caller_was_told() {
    const CALLERS: usize = 24;
    let server = Server::start();
    let proxy = Proxy::start(server.port, Duration::ZERO).await;
    let store = patient_store_at(proxy.port).await;
    let seed = fastrand::u64(..);
    let mut random = fastrand::Rng::with_seed(seed);
    println!("seed {seed}");
    let done = Cell::new(false);
    let callers: Vec<_> =
        (0..CALLERS).map(|caller| call_on(&store, caller, random.fork(), &done)).collect();
    let trouble = async {
        make_trouble(&server, &proxy, random).await;
        // What is there when all is well again is the end of it.
        sleep(Duration::from_millis(100)).await;
        done.set(true);
    };
    let (calls, ()) = tokio::join!(join_all(callers), trouble);
    let (mut view, mut ends) = (server.view(), Ends::default());
    for call in calls.iter().flatten() {
        check(&mut view, call, &mut ends);
    }
    let each = [ends.saved, ends.lost, ends.left];
    assert!(each.iter().all(|count| *count > 0), "{ends:?}");
}
