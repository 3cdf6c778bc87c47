//! The rules; each answers with a line per place where a file breaks it.

use super::source::Source;

const LONGEST_FILE: usize = 400;

/// From the top down: a room imports from rooms further down only, and never from its own row.
const ROWS: &[&[&str]] = &[
    &["main"],
    &["commands"],
    &["cli"],
    &["sidecar", "fuzzing"],
    &["grpc", "http", "resources", "app_process"],
    &["edge"],
    &["api"],
    &["state_store", "resiliency"],
    &["call", "go_text", "log", "metrics", "nearest", "proto", "timers"],
    &["version"],
];

/// Which files may name a crate: those whose path begins with one of the texts.
const CRATES: &[(&str, &[&str])] = &[
    ("tonic", &["src/grpc", "src/proto.rs"]),
    ("tonic_types", &["src/grpc"]),
    ("tonic_reflection", &["src/grpc"]),
    ("tonic_prost", &["src/grpc", "src/proto.rs"]),
    ("prost", &["src/grpc", "src/proto.rs"]),
    ("prost_types", &["src/grpc", "src/proto.rs"]),
    ("axum", &["src/http"]),
    ("fred", &["src/state_store/redis"]),
    ("saphyr_parser", &["src/resources/yaml"]),
    ("cel", &["src/resiliency"]),
    ("clap", &["src/cli", "src/main.rs"]),
];

fn row(room: &str) -> Option<usize> {
    ROWS.iter().position(|rooms| rooms.contains(&room))
}

pub fn imports_go_down(file: &Source) -> Vec<String> {
    let room = file.room();
    if room == "lib" {
        return Vec::new();
    }
    let Some(own) = row(room) else {
        return vec![format!("{}: {room} stands in no row", file.name)];
    };
    let mut broken = Vec::new();
    for (at, target) in imports(file) {
        let allowed = target == room
            || row(&target).is_some_and(|row| row > own) && (target != "proto" || room == "grpc");
        if !allowed {
            let line = file.line(at);
            broken.push(format!("{}:{line}: {room} must not import {target}", file.name));
        }
    }
    broken
}

/// The first word behind each `crate::`, and behind `outrigger::` in the binary; of a group, the
/// first word of each of its members.
fn imports(file: &Source) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for root in ["crate", "outrigger"] {
        for at in file.words(root) {
            let start = at + root.len();
            let Some(after) = file.code[start..].strip_prefix("::") else { continue };
            let start = start + 2;
            if after.starts_with('{') {
                members(&file.code, start + 1, &mut found);
            } else {
                found.push((start, first_word(after)));
            }
        }
    }
    found
}

fn members(code: &str, start: usize, found: &mut Vec<(usize, String)>) {
    let mut depth = 0;
    let mut expects_member = true;
    for (offset, letter) in code[start..].char_indices() {
        match letter {
            '{' => depth += 1,
            '}' if depth == 0 => return,
            '}' => depth -= 1,
            ',' if depth == 0 => expects_member = true,
            letter if expects_member && !letter.is_whitespace() => {
                found.push((start + offset, first_word(&code[start + offset..])));
                expects_member = false;
            }
            _ => {}
        }
    }
}

fn first_word(text: &str) -> String {
    text.chars().take_while(|letter| letter.is_alphanumeric() || *letter == '_').collect()
}

pub fn crates_named_in_their_rooms(file: &Source) -> Vec<String> {
    let mut broken = Vec::new();
    for (name, rooms) in CRATES {
        if rooms.iter().any(|room| file.name.starts_with(room)) {
            continue;
        }
        for at in file.words(name) {
            let is_path = file.code[at + name.len()..].starts_with("::");
            let is_import = file.code[..at].ends_with("use ");
            if is_path || is_import {
                broken.push(format!("{}:{}: names {name}", file.name, file.line(at)));
            }
        }
    }
    broken
}

pub fn stored_keys_are_made_by_api(file: &Source) -> Vec<String> {
    if file.name == "src/api/key.rs" {
        return Vec::new();
    }
    let made = file.words("StoredKey::new");
    made.filter(|at| !(file.room() == "state_store" && file.is_test(*at)))
        .map(|at| format!("{}:{}: makes a StoredKey", file.name, file.line(at)))
        .collect()
}

pub fn no_mod_rs(file: &Source) -> Vec<String> {
    if file.name.ends_with("/mod.rs") {
        return vec![format!("{}: a module is foo.rs beside foo/, never mod.rs", file.name)];
    }
    Vec::new()
}

pub fn no_standard_instant(file: &Source) -> Vec<String> {
    // What hyper asks a timer speaks of std's.
    if file.name == "src/edge/timer.rs" {
        return Vec::new();
    }
    let std = named_of_time(file, "std", "Instant").map(|at| file.line(at));
    std.map(|line| format!("{}:{line}: Instant is std's, use tokio's", file.name)).collect()
}

/// What runs on a thread that serves calls leaves its timers to another.
pub fn timers_are_kept(file: &Source) -> Vec<String> {
    const SERVING: [&str; 6] = ["grpc", "http", "edge", "api", "state_store", "resiliency"];
    const SETTERS: [&str; 6] =
        ["sleep", "sleep_until", "timeout", "timeout_at", "interval", "interval_at"];
    if !SERVING.contains(&file.room()) {
        return Vec::new();
    }
    let set = SETTERS.iter().flat_map(|setter| {
        let by_path = file.words(setter).filter(|at| file.code[..*at].ends_with("time::"));
        named_of_time(file, "tokio", setter).chain(by_path).map(move |at| (at, *setter))
    });
    let hypers = file.words("TokioTimer").map(|at| (at, "TokioTimer"));
    let hypers = hypers.filter(|_| file.name != "src/edge/timer.rs");
    let set = set.chain(hypers).filter(|(at, _)| !file.is_test(*at));
    set.map(|(at, word)| format!("{}:{}: {word} is tokio's", file.name, file.line(at))).collect()
}

/// Where a word of the module `time` of a crate is imported, or named by its path.
fn named_of_time<'f>(
    file: &'f Source,
    home: &'f str,
    word: &'f str,
) -> impl Iterator<Item = usize> + 'f {
    file.words(word).filter(move |&at| {
        let statement = file.code[..at].rsplit(';').next().unwrap_or_default();
        let imported = statement.trim_start().starts_with(&format!("use {home}::"))
            && statement.contains("time");
        imported || statement.ends_with(&format!("{home}::time::"))
    })
}

pub fn file_is_short_enough(file: &Source) -> Vec<String> {
    let lines = file.lines_without_tests();
    if lines > LONGEST_FILE {
        return vec![format!("{}: {lines} lines, {LONGEST_FILE} are allowed", file.name)];
    }
    Vec::new()
}

pub fn no_unwrap(file: &Source) -> Vec<String> {
    let unwraps = file.code.match_indices(".unwrap()").filter(|(at, _)| !file.is_test(*at));
    unwraps.map(|(at, _)| format!("{}:{}: unwrap", file.name, file.line(at))).collect()
}

pub fn expects_name_an_invariant(file: &Source) -> Vec<String> {
    let mut broken = Vec::new();
    for (at, call) in file.code.match_indices(".expect(") {
        let reason = file.text[at + call.len()..].trim_start();
        // A method of our own may be called `expect`; only a text is a reason.
        if reason.starts_with('"') && !reason.starts_with("\"invariant: ") && !file.is_test(at) {
            let line = file.line(at);
            broken.push(format!("{}:{line}: expect without its invariant", file.name));
        }
    }
    broken
}
