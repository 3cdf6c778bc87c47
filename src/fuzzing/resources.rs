//! Files that users write: resources, Configurations, run files, secrets, and what stands in them
//! for something else.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;

use super::{parts, text};
use crate::resources::{
    LoadErrors, LoadOptions, Resources, Strictness,
    expand::expand,
    load,
    resolve::Sources,
    run_file,
    secrets::{SecretStore, Values},
};

/// Stands in a variable that files may refer to; nothing that is told may contain it.
const SECRET: &str = "cAnary-5d1c";

fn environment() -> BTreeMap<String, String> {
    let pairs = [("SECRET", SECRET), ("POD_NAME", "pod-0"), ("HOST", "localhost:6379")];
    pairs.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// Any bytes as a file: of the resources folder, as a Configuration, and as a run file. They are
/// written into the folder, which must be empty and is left with them.
pub fn yaml_resources(folder: &Path, input: &[u8]) {
    let (resources, config) = (folder.join("resources"), folder.join("dapr.yaml"));
    let resource = resources.join("r.yaml");
    let written = fs::create_dir_all(&resources)
        .and_then(|()| fs::write(&resource, input))
        .and_then(|()| fs::write(&config, input));
    written.expect("invariant: the folder can be written to");
    let as_resource = Reading { resources: &resources, configs: &[], file: &resource, input };
    as_resource.check();
    let empty = folder.join("none");
    fs::create_dir_all(&empty).expect("invariant: the folder can be written to");
    let configs = [config.clone()];
    Reading { resources: &empty, configs: &configs, file: &config, input }.check();
    let environment = environment();
    let run = || run_file::load(&config.to_string_lossy(), &environment);
    if let Err(errors) = run() {
        // What is no text has no lines.
        if text(input).is_some() {
            check_places(&errors, &config, input);
        }
        assert_eq!(run().err(), Some(errors), "read twice, it says something else");
    }
}

/// The bytes as one of the files that are loaded.
struct Reading<'a> {
    resources: &'a Path,
    configs: &'a [PathBuf],
    file: &'a Path,
    input: &'a [u8],
}

impl Reading<'_> {
    fn load(&self, mode: Strictness) -> Result<Resources, LoadErrors> {
        load(&LoadOptions {
            resources_paths: &[self.resources.to_owned()],
            config_paths: self.configs,
            app_id: "app1",
            namespace: Some("ns1"),
            mode,
            environment: &environment(),
        })
    }

    fn check(&self) {
        let strict = self.checked(Strictness::Strict);
        let lenient = self.checked(Strictness::Lenient);
        if let Ok(strict) = strict {
            // Lenient takes all that strict takes.
            let lenient = lenient.unwrap_or_else(|errors| panic!("only lenient: {errors}"));
            assert_eq!(stores(&strict), stores(&lenient));
        }
    }

    fn checked(&self, mode: Strictness) -> Result<Resources, LoadErrors> {
        let loaded = self.load(mode);
        match (&loaded, self.load(mode)) {
            (Ok(one), Ok(other)) => {
                assert_eq!(stores(one), stores(&other), "read twice, it says something else");
                for (one, other) in one.notices.iter().zip(&other.notices) {
                    assert!(!one.text.contains(SECRET), "a secret is told: {}", one.text);
                    assert!(one == other || has_random(self.input), "{one:?}, {other:?}");
                }
            }
            (Err(one), Err(other)) => {
                assert!(*one == other || has_random(self.input), "{one}, {other}");
                if text(self.input).is_some() {
                    check_places(one, self.file, self.input);
                }
            }
            _ => panic!("read twice, it says something else"),
        }
        loaded
    }
}

/// Whether `{uuid}` may stand in it, which becomes something else every time.
fn has_random(input: &[u8]) -> bool {
    input.windows(4).any(|it| it == b"uid}") || input.contains(&b'\\')
}

fn stores(resources: &Resources) -> Vec<String> {
    resources.components.iter().map(|component| component.log_name()).collect()
}

/// Every problem names the file and a line of it.
fn check_places(errors: &LoadErrors, file: &Path, input: &[u8]) {
    assert!(!errors.problems().is_empty());
    let breaks = input.iter().filter(|byte| matches!(byte, b'\n' | b'\r')).count();
    for problem in errors.problems() {
        let told = problem.to_string();
        assert!(!told.contains(SECRET), "a secret is told: {told}");
        assert!(!problem.message.trim().is_empty(), "{told}");
        let place = problem.place.as_ref().unwrap_or_else(|| panic!("nowhere: {told}"));
        assert_eq!(place.file, file, "{told}");
        let (line, column) = (place.at.line, place.at.column);
        assert!((1..=breaks + 2).contains(&line) && column >= 1, "{told}");
    }
}

/// A value with placeholders, as a component has it; a text with variables, as a Configuration has
/// it; and a file of secrets, which is all that follows the first line.
pub fn placeholders(input: &[u8]) {
    let Some(whole) = text(input) else { return };
    let [value, secrets] = parts(whole);
    check_filled(value);
    check_expanded(whole);
    check_secrets(secrets);
}

fn check_filled(value: &str) {
    let full = environment();
    let bare = BTreeMap::new();
    let sources = |environment| Sources {
        app_id: "app1",
        namespace: Some("ns1"),
        environment,
        secret_stores: BTreeMap::new(),
        absent_secret_stores: BTreeSet::new(),
    };
    let filled = sources(&full).fill(value);
    let filled = filled.unwrap_or_else(|_| panic!("{value:?} is refused"));
    let mut rest = filled.as_str();
    let mut uuids = BTreeSet::new();
    let mut expected = value;
    while !expected.is_empty() {
        let known = [("{podName}", "pod-0"), ("{namespace}", "ns1.app1"), ("{appID}", "app1")];
        let found = known.into_iter().find(|(name, _)| expected.starts_with(name));
        if let Some((name, meant)) = found {
            rest = rest.strip_prefix(meant).unwrap_or_else(|| panic!("{value:?}: {filled:?}"));
            expected = &expected[name.len()..];
        } else if let Some(next) = expected.strip_prefix("{uuid}") {
            let (uuid, after) = rest.split_at_checked(36).unwrap_or_else(|| panic!("{filled:?}"));
            assert!(uuid::Uuid::parse_str(uuid).is_ok(), "{filled:?}");
            assert!(uuids.insert(uuid), "{filled:?} has one twice");
            (rest, expected) = (after, next);
        } else {
            let letter = expected.chars().next().unwrap_or_default();
            rest = rest.strip_prefix(letter).unwrap_or_else(|| panic!("{value:?}: {filled:?}"));
            expected = &expected[letter.len_utf8()..];
        }
    }
    assert_eq!(rest, "", "{value:?}: {filled:?}");
    let refused = sources(&bare).fill(value).is_err();
    assert_eq!(refused, value.contains("{podName}"), "{value:?}");
}

fn check_expanded(text: &str) {
    let mut asked = Vec::new();
    let emptied = expand(text, |name| {
        asked.push(name.to_owned());
        None
    });
    assert!(asked.iter().all(|name| !name.is_empty() && text.contains(name.as_str())));
    assert_eq!(emptied, without_variables(text), "{text:?}");
    // Every variable is one piece of the text that is left out or replaced, and nothing is read
    // twice: what a variable holds is no variable.
    let marked = expand(text, |_| Some("\u{1}$HOST\u{1}".to_owned()));
    let marks = marked.matches("\u{1}$HOST\u{1}").count();
    let own = text.matches("\u{1}$HOST\u{1}").count();
    assert!(marks >= asked.len() || own > 0, "{text:?} became {marked:?}");
    if own == 0 {
        assert_eq!(marked.replace("\u{1}$HOST\u{1}", ""), emptied);
    }
}

/// The text where no variable is set.
fn without_variables(text: &str) -> String {
    let mut kept = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        kept.push_str(before);
        if let Some(braced) = after.strip_prefix('{') {
            rest = braced.split_once('}').map_or(braced, |(_, next)| next);
            continue;
        }
        let is_letter = |c: char| c == '_' || c.is_ascii_alphanumeric();
        rest = match after.chars().next() {
            Some('0'..='9' | '*' | '#' | '$' | '@' | '!' | '?' | '-') => &after[1..],
            Some(first) if is_letter(first) => after.trim_start_matches(is_letter),
            _ => {
                kept.push('$');
                after
            }
        };
    }
    kept + rest
}

fn check_secrets(json: &str) {
    let empty = BTreeMap::new();
    let sent = serde_json::from_str::<Value>(json).ok();
    let object = sent.as_ref().and_then(Value::as_object);
    for values in [Values::One, Values::Several] {
        let store = SecretStore::parse(json, ":", values);
        assert_eq!(store.is_some(), object.is_some());
        let (Some(store), Some(object)) = (store, object) else { continue };
        // Two ways through the file may have one name; then one of them is found.
        let mut leaves: BTreeMap<(String, String), BTreeSet<String>> = BTreeMap::new();
        for (name, value) in object {
            let mut below = Vec::new();
            match (values, value) {
                (Values::Several, Value::Object(inner)) => {
                    inner.iter().for_each(|(name, it)| collect(name.clone(), it, &mut below));
                }
                _ => collect(name.clone(), value, &mut below),
            }
            for (key, leaf) in below {
                let secret = if values == Values::One { key.clone() } else { name.clone() };
                leaves.entry((secret, key)).or_default().insert(leaf);
            }
        }
        for ((secret, key), leaves) in leaves {
            let found = store.look_up(&secret, &key, &empty);
            assert!(found.is_ok_and(|leaf| leaves.contains(&leaf)), "{secret:?}, {key:?}");
        }
        if let Err(told) = store.look_up("\u{1}", "\u{1}", &empty) {
            assert!(told.contains("not found"), "{told}");
        }
    }
}

/// The texts below a value, under their names joined by colons.
fn collect(name: String, value: &Value, into: &mut Vec<(String, String)>) {
    match value {
        Value::Object(members) => {
            members.iter().for_each(|(key, it)| collect(format!("{name}:{key}"), it, into));
        }
        Value::Array(items) => {
            let items = items.iter().enumerate();
            items.for_each(|(index, it)| collect(format!("{name}:{index}"), it, into));
        }
        Value::String(text) => into.push((name, text.clone())),
        Value::Null => into.push((name, String::new())),
        plain => into.push((name, plain.to_string())),
    }
}
