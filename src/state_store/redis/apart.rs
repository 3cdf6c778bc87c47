//! A batch that Redis refused for one of its keys, sent once more, key by key.
//!
//! Redis looks at the keys of a call before it runs the script: one that the caller may not write, or
//! that is another server's, refuses them all. The writes of one key stay together, because what is
//! said holds for all of them, and so calls whose keys differ need not wait for each other: only
//! writes of one key have an order that anybody is promised.

use std::collections::HashMap;

use futures_util::stream::{self, StreamExt as _};

use super::{
    calls,
    connection::{Connection, Lane},
    pump::Confirm,
    queue::{Batch, Parcel},
    reply::{Scope, Verdict},
    scripts,
    writes::Writes,
};
use crate::state_store::Prepared;

/// How many calls may be on the wire at once: what comes later can still be taken back.
const CALLS: usize = 32;

/// A write of the batch, and its caller.
struct Item<'b> {
    parcel: &'b Parcel<Writes>,
    write: &'b Prepared,
    scope: Scope,
}

/// Sends the writes of each key by themselves; says how each write of the batch ended.
pub(super) async fn send(
    lane: &Lane,
    connection: &Connection,
    confirm: &Confirm,
    batch: &Batch<Writes>,
) -> Vec<Verdict> {
    let items: Vec<Item<'_>> = batch.0.iter().flat_map(items_of).collect();
    let cause = "its caller left".to_owned();
    let mut verdicts = vec![Verdict::NotSent(cause); items.len()];
    let items = &items;
    let mut calls = stream::iter(by_key(items))
        .map(|places| async move {
            // Looked at when it is sent: nothing is written for those who left before.
            let places = places.into_iter().filter(|&at| !items[at].parcel.answer.is_closed());
            let places: Vec<usize> = places.collect();
            let told = one_key(lane, connection, items, &places).await;
            places.into_iter().zip(told).collect::<Vec<_>>()
        })
        .buffer_unordered(CALLS);
    while let Some(told) = calls.next().await {
        for (place, verdict) in told {
            verdicts[place] = verdict;
        }
    }
    drop(calls);
    if verdicts.contains(&Verdict::Done)
        && let Confirm::Replicas(count) = confirm
    {
        // Once for all of them: Redis reads nothing behind a WAIT.
        let confirmed = calls::wait(lane, &connection.client, count.get()).await;
        calls::confirm(&mut verdicts, &confirmed);
    }
    verdicts
}

fn items_of(parcel: &Parcel<Writes>) -> impl Iterator<Item = Item<'_>> {
    let scope = parcel.piece.scope();
    parcel.piece.writes().iter().map(move |write| Item { parcel, write, scope })
}

/// The places of the writes of each key, in their order.
fn by_key(items: &[Item<'_>]) -> Vec<Vec<usize>> {
    let mut of_key = HashMap::new();
    let mut all: Vec<Vec<usize>> = Vec::new();
    for (place, item) in items.iter().enumerate() {
        let number = *of_key.entry(item.write.key.as_str()).or_insert(all.len());
        if number == all.len() {
            all.push(Vec::new());
        }
        all[number].push(place);
    }
    all
}

/// Calls the script for these writes, which are of one key.
async fn one_key(
    lane: &Lane,
    connection: &Connection,
    items: &[Item<'_>],
    places: &[usize],
) -> Vec<Verdict> {
    let count = places.len();
    if count == 0 {
        return Vec::new();
    }
    if connection.is_over() {
        return vec![Verdict::NotSent(lane.cause()); count];
    }
    let arguments = || {
        let items = places.iter().map(|&place| &items[place]);
        scripts::arguments(count, items.map(|item| (item.write, item.scope)))
    };
    calls::past_the_pump(lane, connection, count, arguments).await
}
