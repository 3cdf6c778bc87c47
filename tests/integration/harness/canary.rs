//! Words that may never come out of a process of ours, and the search for them.

/// Part of every key the tests write. Keys may stand in answers to callers, never in a log.
pub const KEY: &str = "canary-key-5d1f";
/// Part of every value the tests write.
pub const VALUE: &str = "canary-value-90ab";
/// The password of every Redis of the tests.
pub const PASSWORD: &str = "canary-password-c3e7";
/// The API token of every sidecar of the tests.
pub const TOKEN: &str = "canary-token-18d4";

/// A key with the canary in it.
pub fn key(name: &str) -> String {
    format!("{KEY}-{name}")
}

/// A value with the canary in it.
pub fn value(name: &str) -> String {
    format!("{VALUE}-{name}")
}

/// The lines that say what may not be said.
pub fn leaks<'a>(lines: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    // A value or a key that is printed as a list of bytes is a leak as well.
    let as_bytes = [KEY, VALUE, PASSWORD, TOKEN].map(|word| {
        let numbers: Vec<String> = word.bytes().map(|byte| byte.to_string()).collect();
        numbers.join(", ")
    });
    let words = [KEY, VALUE, PASSWORD, TOKEN].map(str::to_owned);
    let forbidden: Vec<String> = words.into_iter().chain(as_bytes).collect();
    lines.filter(|line| forbidden.iter().any(|word| line.contains(word.as_str()))).collect()
}

#[test]
fn a_leak_is_found_as_text_and_as_bytes() {
    let bytes = format!("{:?}", value("1").into_bytes());
    let lines = ["nothing", "a canary-value-90ab-7 in words", bytes.as_str()];
    assert_eq!(leaks(lines.into_iter()), lines[1..]);
}
