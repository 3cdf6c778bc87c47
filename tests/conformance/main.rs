//! What a real daprd answered, replayed against our binary: equal, or different on purpose.

// Clippy knows only functions marked as tests, and what these call is as much a test.
#![allow(clippy::unwrap_used)]

mod compare; // an answer against a recorded one
mod differences; // what differs on purpose, and the document that publishes it
mod grpc; // one gRPC call as JSON
mod http; // one HTTP request, byte for byte
mod mutation; // the comparison itself is tested by wrong recordings
mod play; // one scenario from its start to its end
mod recording; // the recorded scenarios
mod report; // verdicts, and how they are told

#[expect(dead_code, reason = "the integration tests use what is not used here")]
#[path = "../integration"]
mod fixtures {
    pub mod harness;
}

use std::{
    collections::VecDeque,
    env,
    path::PathBuf,
    sync::{LazyLock, Mutex, PoisonError},
    thread,
};

use fixtures::harness;
use play::Played;
use recording::Scenario;

/// Scenarios mostly wait, for processes and for time to pass.
const SIDE_BY_SIDE: usize = 4;

/// Another binary to replay against.
fn other_sidecar() -> Option<PathBuf> {
    env::var_os("OUTRIGGER_CONFORMANCE_SIDECAR").filter(|path| !path.is_empty()).map(PathBuf::from)
}

/// Every scenario with what was answered, played once for all tests.
static PLAYED: LazyLock<Vec<(Scenario, Played)>> = LazyLock::new(|| {
    let mut scenarios = recording::all();
    // The longest first, so that none is left over at the end.
    scenarios.sort_by_key(|scenario| std::cmp::Reverse(scenario.patience()));
    let waiting = Mutex::new(VecDeque::from(scenarios));
    let played = Mutex::new(Vec::new());
    let work = || {
        while let Some(scenario) = next(&waiting) {
            let outcome = play::play(&scenario, other_sidecar());
            played.lock().unwrap_or_else(PoisonError::into_inner).push((scenario, outcome));
        }
    };
    thread::scope(|scope| {
        for _ in 0..SIDE_BY_SIDE {
            scope.spawn(work);
        }
    });
    let mut played = played.into_inner().unwrap_or_else(PoisonError::into_inner);
    played.sort_by(|(one, _), (other, _)| one.name.cmp(&other.name));
    played
});

fn next(waiting: &Mutex<VecDeque<Scenario>>) -> Option<Scenario> {
    waiting.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
}

#[test]
fn what_daprd_answered_is_answered_or_differs_on_purpose() {
    let strict = other_sidecar().is_none();
    let report = report::judge(&PLAYED, differences::LISTED.as_slice(), strict);
    println!("{report}");
    assert!(report.is_clean(), "some answers differ without a row of docs/compatibility.md");
}

#[test]
fn no_recording_was_left_out() {
    let scenarios = recording::all();
    let compared = scenarios.iter().flat_map(|scenario| &scenario.steps);
    let compared = compared.filter(|step| step.expect.is_some()).count();
    assert_eq!((scenarios.len(), compared), (74, 852));
}
