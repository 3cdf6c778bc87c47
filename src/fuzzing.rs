//! What must hold whatever a user sends or writes: one function for each way in, which takes any
//! bytes and panics if something does not hold.
//!
//! The property tests beside this file call these functions with texts that look meant, and the
//! targets in `tests/fuzz` with what a fuzzer finds. Neither is built into the product.

mod http;
mod json;
mod oracle;
mod paths;
mod resources;
mod texts;
mod written;

#[cfg(test)]
mod tests;

pub use http::{http_body_save, http_body_transaction};
pub use json::json_compact;
pub use paths::http_path;
pub use resources::{placeholders, yaml_resources};
pub use texts::{durations, etag_ttl, keys, trip_rule};
pub use written::yaml_written;

/// The bytes as text; most ways in take nothing else.
fn text(input: &[u8]) -> Option<&str> {
    std::str::from_utf8(input).ok()
}

/// The lines of an input as its parts; what is not there is empty.
fn parts<const N: usize>(input: &str) -> [&str; N] {
    let mut lines = input.splitn(N, '\n');
    std::array::from_fn(|_| lines.next().unwrap_or_default())
}

/// A whole number in Go's decimal syntax, read by other means than `go_text`.
fn whole_number(text: &str) -> Option<i64> {
    let digits = text.trim_start_matches(['+', '-']);
    let one_sign = text.len() - digits.len() <= 1;
    if !one_sign || digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    // What is longer than this without its zeros is out of range.
    let significant = digits.trim_start_matches('0');
    if significant.len() > 30 {
        return None;
    }
    let magnitude =
        significant.bytes().fold(0_i128, |sum, digit| sum * 10 + i128::from(digit - b'0'));
    i64::try_from(if text.starts_with('-') { -magnitude } else { magnitude }).ok()
}
