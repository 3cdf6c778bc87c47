//! Every crate we build with has a licence that `deny.toml` allows: the part of `cargo deny` that
//! needs no network.

use std::{collections::BTreeSet, process::Command};

const DENY: &str = include_str!("../../deny.toml");

/// The quoted texts of the list `allow` in deny.toml.
fn allowed() -> BTreeSet<&'static str> {
    let list = DENY.split("\nallow = [").nth(1).and_then(|rest| rest.split(']').next());
    list.expect("deny.toml has a list of licences").split('"').skip(1).step_by(2).collect()
}

/// Whether an SPDX expression can be satisfied with these licences.
fn is_satisfied(expression: &str, allowed: &BTreeSet<&str>) -> bool {
    // Cargo's old spelling of OR.
    let expression = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let mut words = expression.split_whitespace().peekable();
    let satisfied = any_of(&mut words, allowed);
    assert_eq!(words.next(), None, "{expression} is not understood");
    satisfied
}

type Words<'a> = std::iter::Peekable<std::str::SplitWhitespace<'a>>;

fn any_of(words: &mut Words<'_>, allowed: &BTreeSet<&str>) -> bool {
    let mut satisfied = all_of(words, allowed);
    while words.next_if_eq(&"OR").is_some() {
        satisfied |= all_of(words, allowed);
    }
    satisfied
}

fn all_of(words: &mut Words<'_>, allowed: &BTreeSet<&str>) -> bool {
    let mut satisfied = one(words, allowed);
    while words.next_if_eq(&"AND").is_some() {
        satisfied &= one(words, allowed);
    }
    satisfied
}

fn one(words: &mut Words<'_>, allowed: &BTreeSet<&str>) -> bool {
    match words.next() {
        Some("(") => {
            let satisfied = any_of(words, allowed);
            assert_eq!(words.next(), Some(")"));
            satisfied
        }
        Some(licence) => {
            if words.next_if_eq(&"WITH").is_some() {
                let exception = words.next().expect("an exception has a name");
                return allowed.contains(format!("{licence} WITH {exception}").as_str());
            }
            allowed.contains(licence)
        }
        None => panic!("an expression ends early"),
    }
}

#[test]
fn expressions_are_read_as_spdx_means_them() {
    let allowed = BTreeSet::from(["MIT", "Zlib"]);
    let cases = [
        ("MIT", true),
        ("GPL-3.0-only", false),
        ("GPL-3.0-only OR MIT", true),
        ("GPL-3.0-only/MIT", true),
        ("GPL-3.0-only AND MIT", false),
        ("(GPL-3.0-only OR Zlib) AND MIT", true),
        ("Zlib OR MIT AND GPL-3.0-only", true),
        ("MIT WITH exception", false),
    ];
    for (expression, satisfied) in cases {
        assert_eq!(is_satisfied(expression, &allowed), satisfied, "{expression}");
    }
}

#[test]
fn every_crate_has_an_allowed_licence_and_comes_from_crates_io() {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["metadata", "--format-version", "1", "--locked"]);
    cargo.args(["--filter-platform", "x86_64-unknown-linux-gnu"]);
    let output = cargo.current_dir(env!("CARGO_MANIFEST_DIR")).output().expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let packages = metadata["packages"].as_array().expect("packages");
    assert!(packages.len() > 50, "{} packages", packages.len());

    let allowed = allowed();
    let mut refused = Vec::new();
    for package in packages {
        let name = package["name"].as_str().expect("a name");
        let licence = package["license"].as_str().unwrap_or_default();
        if licence.is_empty() || !is_satisfied(licence, &allowed) {
            refused.push(format!("{name}: {licence:?}"));
        }
        let members = metadata["workspace_members"].as_array().expect("members");
        let registry = "registry+https://github.com/rust-lang/crates.io-index";
        if !members.contains(&package["id"]) && package["source"] != registry {
            refused.push(format!("{name}: from {}", package["source"]));
        }
    }
    assert!(refused.is_empty(), "{refused:#?}");
}
