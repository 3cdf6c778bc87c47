//! Each row of the table is brought about, over gRPC and over HTTP, and is as the table says.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    thread,
};

use outrigger::api::failures::{Class, Row, TABLE};

use super::{
    overload::be_overloaded,
    play::{Play, Store},
    scene::{self, Scene},
    verdicts::be_cut_off,
};
use crate::harness::sidecar::{Setup, Sidecar};

const POLICIES: &str = "apiVersion: dapr.io/v1alpha1\nkind: Resiliency\nmetadata:\n  name: rows\n\
    spec:\n  policies:\n    timeouts:\n      short: 200ms\n    retries:\n      \
    twice: {policy: constant, duration: 10ms, maxRetries: 2}\n      \
    patiently: {policy: constant, duration: 2s, maxRetries: 1}\n      \
    hourly: {policy: constant, duration: 1h, maxRetries: 2}\n    circuitBreakers:\n      \
    trips: {maxRequests: 1, timeout: 1h, trip: consecutiveFailures >= 1}\n      \
    second: {maxRequests: 1, timeout: 1h, trip: consecutiveFailures >= 2}\n      \
    fifth: {maxRequests: 1, timeout: 1h, trip: totalFailures >= 5}\n      \
    probes: {maxRequests: 1, timeout: 300ms, trip: consecutiveFailures >= 1}\n      \
    tallies: {maxRequests: 1, timeout: 1h, trip: totalSuccesses >= 1 && totalFailures >= 1}\n  \
    targets:\n    components:\n";

fn outbound(store: Store, row: &Row, scene: &Scene) -> String {
    let timeout = if scene.timeout { ", timeout: short" } else { "" };
    let policies = store.policies(scene);
    format!("      {}:\n        outbound: {{{policies}{timeout}}}\n", store.of(row))
}

fn component(name: &str, scene: &Scene) -> String {
    let mut text = format!(
        "apiVersion: dapr.io/v1alpha1\nkind: Component\nmetadata:\n  name: {name}\nspec:\n  \
         type: state.redis\n  version: v1\n  metadata:\n"
    );
    for (name, value) in &scene.metadata {
        text.push_str(&format!("  - {{name: {name}, value: \"{value}\"}}\n"));
    }
    text
}

/// A sidecar with the stores of these rows.
pub fn start(scenes: &[(Row, Scene)]) -> Sidecar {
    let mut policies = POLICIES.to_owned();
    let mut setup = Setup::default();
    for (row, scene) in scenes {
        for &store in Store::all(row) {
            policies.push_str(&outbound(store, row, scene));
            let name = store.of(row);
            setup = setup.resource(&format!("{name}.yaml"), &component(&name, scene));
        }
    }
    setup
        .resource("policies.yaml", &policies)
        .args(&["--dapr-graceful-shutdown-seconds", "1"])
        .start()
}

fn play(play: &Play<'_>) {
    match play.row.class {
        Some(Class::Abandoned) => play.leave(),
        Some(Class::BreakerOpen) => play.be_rejected_when_open(),
        Some(Class::ProbesExhausted) => play.be_rejected_when_half_open(),
        _ if play.row.id == "lost-before-sent" => play.wait_in_vain(),
        _ => play.run(),
    }
}

/// Does it for each on a thread of its own; every failure is told by the row's name.
fn for_each<T: Send, U: Send>(
    all: Vec<(Row, T)>,
    act: impl Fn(Row, T) -> U + Sync,
) -> Vec<(Row, U)> {
    let act = &act;
    let ended: Vec<_> = thread::scope(|scope| {
        let started = all.into_iter().map(|(row, with)| {
            let run = move || catch_unwind(AssertUnwindSafe(|| act(row, with)));
            let named = thread::Builder::new().name(row.id.to_owned());
            (row, named.spawn_scoped(scope, run).expect("a thread"))
        });
        let started: Vec<_> = started.collect();
        started.into_iter().map(|(row, thread)| (row, thread.join().expect("caught"))).collect()
    });
    let mut failed = Vec::new();
    let mut done = Vec::new();
    for (row, result) in ended {
        match result {
            Ok(value) => done.push((row, value)),
            Err(_) => failed.push(row.id),
        }
    }
    assert!(failed.is_empty(), "these rows are not as the table says, see above: {failed:?}");
    done
}

/// How many rows share a sidecar. What it says of its stores takes it the longer the more it has, and
/// it is asked often.
const ROWS: usize = 6;

fn play_all(scenes: Vec<(Row, Scene)>) {
    let sidecar = start(&scenes);
    for_each(scenes, |row, scene| {
        play(&Play { row, scene, sidecar: &sidecar, client: sidecar.client() });
    });
    sidecar.finish();
}

#[test]
fn every_row_is_produced_for_real() {
    let (overloads, rows): (Vec<Row>, Vec<Row>) = TABLE.iter().partition(|row| row.class.is_none());
    let rows = rows.into_iter().map(|row| (row, ())).collect();
    let mut scenes = for_each(rows, |row, ()| {
        let scene = scene::of(row.id, row.operation);
        scene.unwrap_or_else(|| panic!("nobody knows how to bring {} about", row.id))
    });
    let own = scenes.iter().position(|(row, _)| row.id == "shutting-down").expect("its row");
    let (row, scene) = scenes.remove(own);
    thread::scope(|scope| {
        scope.spawn(move || be_cut_off(row, scene));
        for row in overloads {
            scope.spawn(move || be_overloaded(row));
        }
        while !scenes.is_empty() {
            let some = scenes.split_off(scenes.len().saturating_sub(ROWS));
            scope.spawn(move || play_all(some));
        }
    });
}
