//! What a real daprd answered, replayed against our binary: equal, or different on purpose.
//!
//! The harness is our own for `--sidecar PATH`, which replays against another binary.

// Clippy knows only functions marked as tests, and what these call is as much a test.
#![allow(clippy::unwrap_used)]

mod compare; // an answer against a recorded one
mod differences; // what differs on purpose, and the document that publishes it
mod grpc; // one gRPC call as JSON
mod http; // one HTTP request, byte for byte
mod mutation; // the comparison itself is tested by wrong recordings
mod numbers; // JSON whose numbers keep their spelling
mod play; // one scenario from its start to its end
mod recording; // the recorded scenarios
mod report; // verdicts, and how they are told

#[expect(dead_code, unused_imports, reason = "the integration tests use what is not used here")]
#[path = "../integration"]
mod fixtures {
    pub mod harness;
}

use std::{
    collections::VecDeque,
    env, fs,
    os::unix::fs::PermissionsExt as _,
    path::PathBuf,
    process::ExitCode,
    sync::{LazyLock, Mutex, OnceLock, PoisonError},
    thread,
};

use fixtures::harness;
use libtest_mimic::{Arguments, Failed, Trial};
use play::Played;
use recording::Scenario;

/// Scenarios mostly wait, for processes and for time to pass.
const SIDE_BY_SIDE: usize = 4;

/// Another binary to replay against.
static OTHER_SIDECAR: OnceLock<PathBuf> = OnceLock::new();

/// Every scenario with what was answered, played once for all tests.
static PLAYED: LazyLock<Vec<(Scenario, Played)>> = LazyLock::new(|| {
    let mut scenarios = recording::all();
    // The longest first, so that none is left over at the end.
    scenarios.sort_by_key(|scenario| std::cmp::Reverse(scenario.patience()));
    let waiting = Mutex::new(VecDeque::from(scenarios));
    let played = Mutex::new(Vec::new());
    let work = || {
        while let Some(scenario) = next(&waiting) {
            let outcome = play::play(&scenario, OTHER_SIDECAR.get());
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

fn main() -> ExitCode {
    let (words, path) = match without_sidecar(env::args().collect()) {
        Ok(parsed) => parsed,
        Err(problem) => {
            eprintln!("{problem}");
            return ExitCode::from(2);
        }
    };
    let arguments = Arguments::from_iter(words);
    let told = arguments.nocapture;
    let mut trials = vec![Trial::test("what_daprd_answered", move || replay(told))];
    match path {
        Some(path) => drop(OTHER_SIDECAR.set(path)),
        // Of another binary only its answers are asked.
        None => trials.extend(tests()),
    }
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// The words of the command line without `--sidecar PATH`, and that path.
fn without_sidecar(words: Vec<String>) -> Result<(Vec<String>, Option<PathBuf>), String> {
    let (mut rest, mut path) = (Vec::new(), None);
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        match word.strip_prefix("--sidecar") {
            Some("") => {
                let given = words.next().ok_or("--sidecar: the path of a binary is missing")?;
                path = Some(program(&given)?);
            }
            Some(given) if given.starts_with('=') => path = Some(program(&given[1..])?),
            _ => rest.push(word),
        }
    }
    Ok((rest, path))
}

fn program(path: &str) -> Result<PathBuf, String> {
    let problem = |why: &str| format!("--sidecar {path}: {why}");
    let found = fs::canonicalize(path).map_err(|_| problem("no such file"))?;
    let metadata = found.metadata().map_err(|error| problem(&error.to_string()))?;
    match metadata.is_file() && metadata.permissions().mode() & 0o111 != 0 {
        true => Ok(found),
        false => Err(problem("this is no program")),
    }
}

fn replay(told: bool) -> Result<(), Failed> {
    let strict = OTHER_SIDECAR.get().is_none();
    let report = report::judge(&PLAYED, differences::LISTED.as_slice(), strict);
    if told {
        println!("{report}");
    }
    match report.is_clean() {
        true => Ok(()),
        false if told => Err("some answers differ without a row of docs/compatibility.md".into()),
        false => Err(report.to_string().into()),
    }
}

/// The tests of the comparison itself, of its lists and of the document.
fn tests() -> Vec<Trial> {
    macro_rules! tests {
        ($($module:ident::$name:ident),* $(,)?) => {
            vec![$(test(concat!(stringify!($module), "::", stringify!($name)), $module::$name)),*]
        };
    }
    let mut tests = tests![
        compare::the_words_for_what_is_never_the_same_fit_nothing_else,
        compare::an_outage_is_one_of_a_few_texts,
        compare::what_is_not_there_is_not_null_and_a_header_too_many_is_one,
        differences::the_document_says_where_each_difference_shows,
        differences::a_row_without_its_recording_or_test_is_reported,
        differences::every_place_is_listed_once_and_differs,
        http::a_header_that_comes_twice_is_a_list,
        numbers::numbers_keep_their_spelling_and_texts_are_none,
        play::a_refused_command_is_an_answer,
        play::a_scenario_that_panics_is_told,
        recording::none_was_left_out,
        report::what_is_listed_wrongly_is_reported,
        report::what_goes_wrong_is_told_once,
        report::the_reads_without_headers_are_these,
    ];
    tests.push(test("mutation::every_change_is_reported", || {
        mutation::every_change_is_reported(&PLAYED);
    }));
    tests.push(test("the_sidecar_is_looked_for_first", the_sidecar_is_looked_for_first));
    tests
}

fn test(name: &str, run: fn()) -> Trial {
    Trial::test(name, move || {
        run();
        Ok(())
    })
}

fn the_sidecar_is_looked_for_first() {
    let parsed = |words: &[&str]| without_sidecar(words.iter().map(|&word| word.into()).collect());
    let (rest, path) = parsed(&["conformance", "--sidecar", "/bin/sh", "--list"]).unwrap();
    assert_eq!((rest, path.is_some()), (vec!["conformance".into(), "--list".into()], true));
    assert!(parsed(&["--sidecar=/bin/sh"]).is_ok_and(|(_, path)| path.is_some()));
    assert_eq!(parsed(&["--sidecar=/no/where"]), Err("--sidecar /no/where: no such file".into()));
    assert_eq!(parsed(&["--sidecar", "/"]), Err("--sidecar /: this is no program".into()));
    assert!(parsed(&["--sidecar"]).is_err());
}
