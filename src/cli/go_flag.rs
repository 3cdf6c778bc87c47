//! How daprd's flag library, pflag, reads values; refusals are in its words.

use clap::Arg;

use super::CliError;
use crate::go_text::{parse_duration, quote};

/// The value name that marks a flag whose value may be left out and never is the next word.
pub(super) const BOOL: &str = "BOOL";

/// Whether [`BOOL`] marks the flag.
pub(super) fn is_bool(flag: &Arg) -> bool {
    flag.get_value_names().is_some_and(|names| names.iter().any(|name| name == BOOL))
}

/// Tells clap that the value may be left out, if [`BOOL`] marks the flag.
pub(super) fn with_optional_value(flag: Arg) -> Arg {
    if is_bool(&flag) {
        flag.num_args(0..=1)
            .require_equals(true)
            .default_missing_value("true")
            .hide_default_value(true)
    } else {
        flag
    }
}

/// clap's complaint about a value in pflag's words.
pub(super) fn value_error(error: &clap::Error, usage: &str) -> CliError {
    use clap::error::{ContextKind, ContextValue};
    let context = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => text.as_str(),
        _ => "",
    };
    let flag = context(ContextKind::InvalidArg).split([' ', '[', '=']).next().unwrap_or_default();
    let value = quote(context(ContextKind::InvalidValue));
    let message = match std::error::Error::source(error) {
        Some(reason) => format!("invalid argument {value} for \"{flag}\" flag: {reason}"),
        None => error.kind().to_string(),
    };
    CliError::Usage { usage: usage.to_owned(), message }
}

/// A bool in any of Go's spellings.
pub(super) fn parse_bool(text: &str) -> Result<bool, String> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err(format!("strconv.ParseBool: parsing {}: invalid syntax", quote(text))),
    }
}

/// A whole number, in any base that Go reads a prefix of.
pub(super) fn parse_int(text: &str) -> Result<i64, String> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", text.strip_prefix('+').unwrap_or(text)),
    };
    let prefix = digits.get(..2).unwrap_or_default().to_ascii_lowercase();
    let (base, digits) = match prefix.as_str() {
        "0x" => (16, &digits[2..]),
        "0o" => (8, &digits[2..]),
        "0b" => (2, &digits[2..]),
        _ if digits.len() > 1 && digits.starts_with('0') => (8, &digits[1..]),
        _ => (10, digits),
    };
    let problem = if digits.is_empty() || !digits.chars().all(|digit| digit.is_digit(base)) {
        "invalid syntax"
    } else if let Ok(number) = i64::from_str_radix(&format!("{sign}{digits}"), base) {
        return Ok(number);
    } else {
        "value out of range"
    };
    Err(format!("strconv.ParseInt: parsing {}: {problem}", quote(text)))
}

/// A duration in Go's syntax; the text itself, once it is known to be one.
pub(super) fn parse_go_duration(text: &str) -> Result<String, String> {
    parse_duration(text).map(|_| text.to_owned()).map_err(|error| error.to_string())
}

/// The members of a list flag: it may come several times, each time with several members.
pub(super) fn split_list(occurrences: &[String]) -> Vec<String> {
    let members = occurrences.iter().flat_map(|members| members.split(','));
    members.map(|member| member.trim_matches('"').to_owned()).filter(|m| !m.is_empty()).collect()
}
