//! The rules of the house that no compiler checks: who imports whom, which room names which crate,
//! how long a file may be. Every rule is a function on one file, so that its own test can show it a
//! wrong sample.

mod rules;
mod source;

use std::{fs, path::Path};

use rules::{
    crates_named_in_their_rooms, expects_name_an_invariant, file_is_short_enough, imports_go_down,
    no_mod_rs, no_standard_instant, no_unwrap, stored_keys_are_made_by_api, timers_are_kept,
};
use source::Source;

/// The files in these folders of the repository.
fn sources(folders: &[&str]) -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    for folder in folders {
        let others = files.len();
        collect(&root.join(folder), root, &mut files);
        assert!(files.len() > others + 5, "{folder} was not found");
    }
    source::mark_test_files(&mut files);
    files
}

fn collect(folder: &Path, root: &Path, files: &mut Vec<Source>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("a file").path();
        if path.is_dir() {
            collect(&path, root, files);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            let name = path.strip_prefix(root).expect("below the root").to_str().expect("UTF-8");
            files.push(Source::new(name, &fs::read_to_string(&path).expect("a source file")));
        }
    }
}

#[track_caller]
fn assert_kept(rule: fn(&Source) -> Vec<String>) {
    assert_kept_in(&["src"], rule);
}

/// For rules that have nothing to do with the rooms of the sidecar.
#[track_caller]
fn assert_kept_everywhere(rule: fn(&Source) -> Vec<String>) {
    assert_kept_in(&["src", "benches/bench/src", "benches/floors/src", "benches/load/src"], rule);
}

#[track_caller]
fn assert_kept_in(folders: &[&str], rule: fn(&Source) -> Vec<String>) {
    let broken: Vec<String> = sources(folders).iter().flat_map(rule).collect();
    assert!(broken.is_empty(), "\n{}\n", broken.join("\n"));
}

#[track_caller]
fn assert_reported(rule: fn(&Source) -> Vec<String>, file: &str, text: &str, expected: &str) {
    let broken = rule(&Source::new(file, text));
    assert!(broken.iter().any(|line| line.contains(expected)), "{broken:?} lacks {expected:?}");
}

#[track_caller]
fn assert_accepted(rule: fn(&Source) -> Vec<String>, file: &str, text: &str) {
    assert_eq!(rule(&Source::new(file, text)), Vec::<String>::new());
}

#[test]
fn modules_import_only_from_lower_rows() {
    assert_kept(imports_go_down);
}

#[test]
fn an_import_from_a_higher_row_or_a_neighbour_is_reported() {
    let check = |file, text, expected| assert_reported(imports_go_down, file, text, expected);
    check("src/api/state.rs", "use crate::grpc::status;", "api must not import grpc");
    check("src/resiliency.rs", "use crate::state_store::Entry;", "must not import state_store");
    check("src/grpc/dapr.rs", "fn f() { crate::http::serve(); }", "must not import http");
    check(
        "src/api/state.rs",
        "use crate::{\n    call::Call,\n    edge::{limits, token},\n};",
        "src/api/state.rs:3: api must not import edge",
    );
    check("src/api.rs", "use crate::proto::runtime;", "must not import proto");
    check("src/novel.rs", "", "novel stands in no row");
    check("src/main.rs", "use outrigger::novel::x;", "main must not import novel");
}

#[test]
fn an_import_from_below_and_words_in_comments_and_strings_are_accepted() {
    assert_accepted(
        imports_go_down,
        "src/grpc/state.rs",
        "// crate::http is our neighbour\nuse crate::{api::state, grpc::status, proto};\n\
         const NAME: &str = \"crate::sidecar\";",
    );
}

#[test]
fn only_the_rooms_that_may_name_a_crate_do() {
    assert_kept(crates_named_in_their_rooms);
}

#[test]
fn a_crate_named_in_a_foreign_room_is_reported() {
    let rule = crates_named_in_their_rooms;
    assert_reported(rule, "src/api/error.rs", "use tonic::Status;", "names tonic");
    assert_reported(rule, "src/state_store.rs", "fn f(e: fred::error::Error) {}", "names fred");
    assert_reported(rule, "src/grpc.rs", "use axum::Router;", "names axum");
    assert_reported(rule, "src/sidecar.rs", "use saphyr_parser::Parser;", "names saphyr_parser");
    assert_reported(rule, "src/http/state.rs", "use prost::Message as _;", "names prost");
    assert_accepted(rule, "src/state_store/redis/queue.rs", "use fred::prelude::Client;");
    assert_accepted(rule, "src/edge.rs", "fn f() { not_tonic::g(); }");
}

#[test]
fn stored_keys_are_made_only_where_keys_are_read() {
    assert_kept(stored_keys_are_made_by_api);
}

#[test]
fn a_stored_key_made_elsewhere_is_reported() {
    let rule = stored_keys_are_made_by_api;
    assert_reported(rule, "src/api/state.rs", "let k = StoredKey::new(text);", "makes a StoredKey");
    assert_accepted(rule, "src/api/key.rs", "let k = StoredKey::new(text);");
    assert_accepted(
        rule,
        "src/state_store/in_memory.rs",
        "#[cfg(test)]\nmod tests {\n    fn key() { StoredKey::new(text); }\n}",
    );
}

#[test]
fn no_module_is_called_mod_rs() {
    assert_kept_everywhere(no_mod_rs);
    assert_reported(no_mod_rs, "src/api/mod.rs", "", "mod.rs");
}

#[test]
fn the_clock_is_tokios() {
    // benches/bench has no tokio, whose clock it could go by.
    assert_kept_in(&["src", "benches/floors/src", "benches/load/src"], no_standard_instant);
    assert_reported(no_standard_instant, "src/log.rs", "use std::time::Instant;", "Instant");
    let grouped = "use std::time::{Duration, Instant};";
    assert_reported(no_standard_instant, "src/log.rs", grouped, "Instant");
    let grouped = "use std::{\n    fs,\n    time::{\n        Duration, Instant,\n    },\n};";
    assert_reported(no_standard_instant, "src/log.rs", grouped, "Instant");
    let tokio = "use std::time::Duration;\nuse tokio::time::Instant;";
    assert_accepted(no_standard_instant, "src/log.rs", tokio);
}

#[test]
fn threads_that_serve_calls_leave_their_timers_to_another() {
    assert_kept(timers_are_kept);
    let check = |text| assert_reported(timers_are_kept, "src/edge/limits.rs", text, "is tokio's");
    check("fn f() { tokio::time::sleep(rest).await }");
    check("use tokio::time::{Instant, timeout_at};");
    check("use tokio::{\n    sync::Notify,\n    time::{Instant, sleep_until},\n};");
    check("use tokio::time;\nfn f() { time::sleep(rest).await }");
    check("fn f() { builder.timer(TokioTimer::new()); }");
    let kept = "use tokio::time::Instant;\nfn f() { timers::sleep(rest).await }";
    assert_accepted(timers_are_kept, "src/edge/limits.rs", kept);
    let tested = "#[cfg(test)]\nmod tests {\n    use tokio::time::timeout;\n}\n";
    assert_accepted(timers_are_kept, "src/edge/limits.rs", tested);
    assert_accepted(timers_are_kept, "src/sidecar.rs", "use tokio::time::timeout;");
}

#[test]
fn no_file_is_longer_than_400_lines_without_its_tests() {
    assert_kept_everywhere(file_is_short_enough);
}

#[test]
fn a_file_that_is_too_long_is_reported() {
    let code = "fn f() {}\n".repeat(400);
    assert_accepted(file_is_short_enough, "src/api.rs", &code);
    let longer = format!("{code}fn g() {{}}\n");
    assert_reported(file_is_short_enough, "src/api.rs", &longer, "401 lines");
    let tested = format!("{code}#[cfg(test)]\nmod tests {{\n    fn x() {{}}\n}}\n");
    assert_accepted(file_is_short_enough, "src/api.rs", &tested);
    assert_accepted(file_is_short_enough, "src/api/tests.rs", &longer);
}

#[test]
fn failures_are_values() {
    assert_kept_everywhere(no_unwrap);
    assert_kept_everywhere(expects_name_an_invariant);
}

#[test]
fn an_unwrap_and_an_expect_without_invariant_are_reported() {
    assert_reported(no_unwrap, "src/api.rs", "fn f() { x\n.unwrap(); }", "src/api.rs:2");
    let tested = "#[cfg(test)]\nmod tests {\n    fn f() { x.unwrap(); x.expect(\"\"); }\n}\n";
    assert_accepted(no_unwrap, "src/api.rs", tested);
    assert_accepted(expects_name_an_invariant, "src/api.rs", tested);
    let bare = "fn f() { x.expect(\"it works\"); }";
    assert_reported(expects_name_an_invariant, "src/api.rs", bare, "expect");
    let good = "fn f() { x.expect(\n    \"invariant: the list is not empty\"); }";
    assert_accepted(expects_name_an_invariant, "src/api.rs", good);
}
