//! What docs/migrating.md says about going back: the flags that daprd does not know, and the rights
//! that it needs on Redis.

use std::{collections::BTreeSet, fs, path::Path, process::Command};

use redis::{ErrorKind, ServerErrorKind};

use crate::harness::{canary, redis::Redis};

/// The text of a file of the repository, in one line.
fn document(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{name}: {error}"));
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What stands between two texts.
#[track_caller]
fn between<'a>(text: &'a str, before: &str, after: &str) -> &'a str {
    let (_, rest) = text.split_once(before).unwrap_or_else(|| panic!("no {before:?}"));
    rest.split_once(after).unwrap_or_else(|| panic!("no {after:?} after {before:?}")).0
}

/// The words in backticks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2).flat_map(str::split_whitespace)
}

#[test]
fn the_flags_to_leave_out_are_those_that_daprd_does_not_know() {
    let help = Command::new(env!("CARGO_BIN_EXE_outrigger")).arg("--help").output().expect("help");
    let help = String::from_utf8(help.stdout).expect("a text");
    let names = help.lines().filter_map(|line| {
        let name = line.trim_start().split([' ', '[', '=']).next()?;
        name.starts_with("--").then_some(name)
    });
    let ours: BTreeSet<&str> = names.collect();
    assert!(ours.contains("--app-id") && ours.contains("--lenient"), "{ours:?}");
    let daprd = document("tests/data/daprd-flags.txt");
    let daprd: BTreeSet<&str> = daprd.split(' ').collect();
    assert!(daprd.len() > 50, "{daprd:?}");
    let only_ours: BTreeSet<&str> =
        ours.difference(&daprd).copied().filter(|name| *name != "--help").collect();
    let page = document("docs/migrating.md");
    let told = between(&page, "a flag that it does not know: ", ". ");
    assert_eq!(quoted(told).collect::<BTreeSet<_>>(), only_ours, "docs/migrating.md");
}

#[test]
fn with_the_rights_of_the_page_daprds_commands_are_allowed() {
    let redis = Redis::start();
    let (ours, page) = (document("docs/operating.md"), document("docs/migrating.md"));
    let mut rights: Vec<String> =
        quoted(between(&ours, "The user needs these commands: ", ", and"))
            .chain(quoted(between(&page, "daprd also needs ", ": the first")))
            .map(|command| format!("+{}", command.to_lowercase()))
            .collect();
    let for_more = between(&page, "Strong writes need ", ", and a Redis with RedisJSON");
    let for_more = quoted(for_more).filter(|word| word.chars().all(char::is_uppercase));
    rights.extend(for_more.map(|command| format!("+{}", command.to_lowercase())));
    assert!(rights.len() > 10, "{rights:?}");
    let password = format!(">{}", canary::PASSWORD);
    let mut user = vec!["ACL", "SETUSER", "narrow", "on", &password, "~*"];
    user.extend(rights.iter().map(String::as_str));
    redis.query::<()>(&user);

    let url = format!("redis://127.0.0.1:{}/", redis.port);
    let mut connection =
        redis::Client::open(url).and_then(|client| client.get_connection()).expect("connected");
    let mut ask = |words: &[&str]| redis::cmd(words[0]).arg(&words[1..]).exec(&mut connection);
    let login = ["HELLO", "3", "AUTH", "narrow", canary::PASSWORD];
    let script = "redis.call('HGET', KEYS[1], 'version'); redis.call('HSET', KEYS[1], 'data', 'x'); \
        return redis.call('HINCRBY', KEYS[1], 'version', 1)";
    for words in [
        &login[..],
        &["INFO", "server"],
        &["PING"],
        &["INFO", "replication"],
        &["SELECT", "0"],
        &["HGETALL", "k"],
        &["GET", "absent"],
        &["EVAL", script, "1", "k"],
        &["EXPIRE", "k", "100"],
        &["PERSIST", "k"],
        &["WAIT", "0", "1"],
        &["MULTI"],
        &["EVAL", script, "1", "k"],
        &["EXPIRE", "k", "100"],
        &["EXEC"],
        &["EVAL", "return redis.call('DEL', KEYS[1])", "1", "k"],
    ] {
        ask(words).unwrap_or_else(|error| panic!("{words:?}: {error}"));
    }
    // What it has no right to is refused, so that the rights above were asked for.
    let refused = ask(&["FLUSHALL"]).expect_err("FLUSHALL");
    assert_eq!(refused.kind(), ErrorKind::Server(ServerErrorKind::NoPerm), "{refused}");
}
