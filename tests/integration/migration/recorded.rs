//! What a real daprd left in its Redis, from the recordings.

use std::{collections::BTreeSet, fs, path::Path};

use serde_json::Value;

/// The app id of the recordings.
pub const APP_ID: &str = "probe";

/// All recordings, in the order of their files.
pub fn recordings() -> Vec<Value> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/conformance");
    let files =
        fs::read_dir(folder).expect("the recordings").map(|file| file.expect("a file").path());
    let mut files: Vec<_> = files.filter(|path| path.extension().is_some()).collect();
    files.sort();
    let texts = files.iter().map(|path| fs::read_to_string(path).expect("a recording"));
    texts.map(|text| serde_json::from_str(&text).expect("JSON")).collect()
}

/// The commands that were sent to the Redis of a real daprd, with what it answered.
pub fn seen_in_redis(recording: &Value) -> impl Iterator<Item = (Vec<&str>, &Value)> {
    let steps = recording["steps"].as_array().into_iter().flatten();
    steps.filter_map(|step| {
        let words = step["do"]["redis"].as_array()?.iter().filter_map(Value::as_str);
        Some((words.collect(), &step["expect"]))
    })
}

/// A name, a value and its fields, as a real daprd left them.
pub fn recorded_hashes() -> BTreeSet<(String, Vec<(String, String)>)> {
    let mut hashes = BTreeSet::new();
    for recording in recordings() {
        for (words, answer) in seen_in_redis(&recording) {
            let [command, key] = words[..] else { continue };
            let Some(name) = key.strip_prefix("probe||").filter(|_| command == "HGETALL") else {
                continue;
            };
            let fields = answer.as_object().into_iter().flatten();
            let fields: Vec<_> = fields
                .map(|(field, text)| (field.clone(), text.as_str().expect("a text").to_owned()))
                .collect();
            if !fields.is_empty() {
                hashes.insert((name.to_owned(), fields));
            }
        }
    }
    hashes
}
