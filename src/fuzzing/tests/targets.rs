//! Every check is a fuzz target, every target a documented check.

use std::{collections::BTreeSet, fs, path::Path};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// What stands between two marks, wherever both stand in one line.
fn between<'a>(text: &'a str, before: &str, after: &str) -> BTreeSet<&'a str> {
    let lines = text.lines();
    lines.filter_map(|line| line.strip_prefix(before)?.split(after).next()).collect()
}

#[test]
fn every_check_is_a_fuzz_target_and_documented() {
    let read = |name: &str| fs::read_to_string(root().join(name)).unwrap();
    let checks = read("src/fuzzing.rs");
    let checks: BTreeSet<&str> = checks
        .lines()
        .filter_map(|line| line.strip_prefix("pub use ")?.strip_suffix(';')?.split_once("::"))
        .flat_map(|(_, names)| names.trim_matches(['{', '}']).split(", "))
        .collect();
    assert!(checks.len() >= 10, "{checks:?}");
    let (manifest, page) = (read("tests/fuzz/Cargo.toml"), read("docs/fuzzing.md"));
    let mut targets = between(&manifest, "name = \"", "\"");
    assert!(targets.remove("outrigger-fuzz"));
    assert_eq!(targets, checks, "tests/fuzz/Cargo.toml");
    assert_eq!(between(&page, "| `", "` |"), checks, "docs/fuzzing.md");
    for name in checks {
        let target = read(&format!("tests/fuzz/fuzz_targets/{name}.rs"));
        assert!(target.contains(&format!("outrigger::fuzzing::{name}(")), "{name}");
        assert!(manifest.contains(&format!("path = \"fuzz_targets/{name}.rs\"")), "{name}");
    }
}
