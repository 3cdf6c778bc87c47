//! Go's texts, as far as Dapr shows them to its users: durations, numbers that are none, quoting.
//!
//! They stand in log lines, error messages and resource files, and people match on them.

use std::{fmt, fmt::Write as _, time::Duration};

#[cfg(test)]
mod tests;

/// A length of time as Go has it: whole nanoseconds that may be negative.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct GoDuration(i64);

impl GoDuration {
    /// So many nanoseconds.
    pub const fn from_nanoseconds(nanoseconds: i64) -> Self {
        Self(nanoseconds)
    }

    /// How many nanoseconds it is.
    pub const fn nanoseconds(self) -> i64 {
        self.0
    }

    /// The duration if it is more than nothing: in policies zero and less mean "none".
    pub fn positive(self) -> Option<Duration> {
        u64::try_from(self.0).ok().filter(|&nanos| nanos > 0).map(Duration::from_nanos)
    }

    /// The duration, or nothing of it if it is negative: for how long one waits.
    pub fn or_zero(self) -> Duration {
        self.positive().unwrap_or_default()
    }
}

impl fmt::Display for GoDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 < 0 {
            f.write_char('-')?;
        }
        let nanos = self.0.unsigned_abs();
        match nanos {
            0 => f.write_str("0s"),
            1..MICROSECOND => write!(f, "{nanos}ns"),
            MICROSECOND..MILLISECOND => write_decimal(f, nanos, MICROSECOND, "µs"),
            MILLISECOND..SECOND => write_decimal(f, nanos, MILLISECOND, "ms"),
            SECOND.. => {
                let (hours, minutes) = (nanos / HOUR, nanos / MINUTE % 60);
                if hours > 0 {
                    write!(f, "{hours}h")?;
                }
                if nanos >= MINUTE {
                    write!(f, "{minutes}m")?;
                }
                write_decimal(f, nanos % MINUTE, SECOND, "s")
            }
        }
    }
}

/// A text that is no duration in Go's syntax.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DurationError {
    /// It has another form, or is too long a time.
    #[error("time: invalid duration {}", quote_bytewise(.0))]
    Invalid(String),
    /// One of its numbers has no unit.
    #[error("time: missing unit in duration {}", quote_bytewise(.0))]
    MissingUnit(String),
    /// One of its units does not exist.
    #[error("time: unknown unit {} in duration {}", quote_bytewise(.unit), quote_bytewise(.text))]
    UnknownUnit {
        /// What stands where a unit should.
        unit: String,
        /// The whole text.
        text: String,
    },
}

const MICROSECOND: u64 = 1_000;
const MILLISECOND: u64 = 1_000 * MICROSECOND;
const SECOND: u64 = 1_000 * MILLISECOND;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;

/// The text of a duration: `5s`, `1.5s`, `487.3ms`, `1m30s`, `0s`.
pub fn duration(duration: Duration) -> String {
    GoDuration(i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)).to_string()
}

/// Reads a duration in Go's syntax: `1h30m`, `-1.5s`, `250us`, `0`.
pub fn parse_duration(text: &str) -> Result<GoDuration, DurationError> {
    let invalid = || DurationError::Invalid(text.to_owned());
    let (negative, unsigned) = split_sign(text);
    if unsigned == "0" {
        return Ok(GoDuration(0));
    }
    if unsigned.is_empty() {
        return Err(invalid());
    }
    // One more than the greatest i64 fits, because as a negative number it does.
    let greatest = i64::MIN.unsigned_abs();
    let mut total: u64 = 0;
    let mut rest = unsigned;
    while !rest.is_empty() {
        let (number, unit_and_rest) = Decimal::split_off(rest).ok_or_else(invalid)?;
        let is_number = |c: char| c == '.' || c.is_ascii_digit();
        let (unit, next) =
            unit_and_rest.split_at(unit_and_rest.find(is_number).unwrap_or(unit_and_rest.len()));
        if unit.is_empty() {
            return Err(DurationError::MissingUnit(text.to_owned()));
        }
        let unit = unit_nanos(unit).ok_or_else(|| DurationError::UnknownUnit {
            unit: unit.to_owned(),
            text: text.to_owned(),
        })?;
        total = number
            .times(unit)
            .and_then(|nanos| total.checked_add(nanos))
            .filter(|&total| total <= greatest)
            .ok_or_else(invalid)?;
        rest = next;
    }
    let signed =
        if negative { 0i64.checked_sub_unsigned(total) } else { i64::try_from(total).ok() };
    signed.map(GoDuration).ok_or_else(invalid)
}

/// Reads a duration as policies write it: a whole number is milliseconds, all else Go's syntax.
pub fn parse_policy_duration(text: &str) -> Result<GoDuration, DurationError> {
    let Ok(millis) = atoi(text) else { return parse_duration(text) };
    let nanos_per_milli = 1_000_000;
    // Go lets the product wrap around: a text nobody writes, and no duration anybody means.
    let nanos = millis.checked_mul(nanos_per_milli);
    nanos.map(GoDuration).ok_or_else(|| DurationError::Invalid(text.to_owned()))
}

/// Reads a whole number as Go's `strconv.Atoi`; the error is Go's text.
pub fn atoi(text: &str) -> Result<i64, String> {
    whole_number("Atoi", text)
}

/// Reads a whole number as Go's `strconv.ParseInt` in base 10; the error is Go's text.
pub fn parse_int(text: &str) -> Result<i64, String> {
    whole_number("ParseInt", text)
}

/// The text in double quotes as Go's `%q`: what cannot be printed is escaped.
pub fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\x07' => quoted.push_str("\\a"),
            '\x08' => quoted.push_str("\\b"),
            '\x0c' => quoted.push_str("\\f"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            '\x0b' => quoted.push_str("\\v"),
            c if is_printable(c) => quoted.push(c),
            c => push_escaped(&mut quoted, c),
        }
    }
    quoted.push('"');
    quoted
}

/// The digits of a number with a fraction, before its unit.
struct Decimal {
    whole: u64,
    fraction: u64,
    scale: f64,
}

impl Decimal {
    /// Splits the number off a text's start; `None` if there is none or it is too great.
    fn split_off(text: &str) -> Option<(Self, &str)> {
        let (whole_digits, after_whole) = split_digits(text);
        let (fraction_digits, rest) = match after_whole.strip_prefix('.') {
            Some(after_point) => split_digits(after_point),
            None => ("", after_whole),
        };
        if whole_digits.is_empty() && fraction_digits.is_empty() {
            return None;
        }
        let whole = if whole_digits.is_empty() { 0 } else { whole_digits.parse().ok()? };
        let (mut fraction, mut scale) = (0u64, 1.0);
        for digit in fraction_digits.bytes().map(|byte| u64::from(byte - b'0')) {
            // Digits beyond what fits would not change the sum.
            let next = fraction.checked_mul(10).and_then(|tens| tens.checked_add(digit));
            let Some(next) = next.filter(|&next| i64::try_from(next).is_ok()) else { break };
            fraction = next;
            scale *= 10.0;
        }
        Some((Self { whole, fraction, scale }, rest))
    }

    /// The number of nanoseconds in so many units.
    fn times(&self, unit: u64) -> Option<u64> {
        let fraction = self.fraction as f64 * (unit as f64 / self.scale);
        self.whole.checked_mul(unit)?.checked_add(fraction as u64)
    }
}

fn split_sign(text: &str) -> (bool, &str) {
    match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    }
}

fn split_digits(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()))
}

fn unit_nanos(unit: &str) -> Option<u64> {
    match unit {
        "ns" => Some(1),
        // The micro sign and the Greek letter mu.
        "us" | "\u{b5}s" | "\u{3bc}s" => Some(MICROSECOND),
        "ms" => Some(MILLISECOND),
        "s" => Some(SECOND),
        "m" => Some(MINUTE),
        "h" => Some(HOUR),
        _ => None,
    }
}

fn write_decimal(f: &mut fmt::Formatter<'_>, nanos: u64, unit: u64, name: &str) -> fmt::Result {
    let (whole, fraction) = (nanos / unit, nanos % unit);
    if fraction == 0 {
        return write!(f, "{whole}{name}");
    }
    let width = unit.ilog10() as usize;
    let digits = format!("{fraction:0width$}");
    write!(f, "{whole}.{}{name}", digits.trim_end_matches('0'))
}

fn whole_number(function: &str, text: &str) -> Result<i64, String> {
    let (_, digits) = split_sign(text);
    let problem = if digits.is_empty() || digits.bytes().any(|byte| !byte.is_ascii_digit()) {
        "invalid syntax"
    } else if let Ok(number) = text.parse() {
        return Ok(number);
    } else {
        "value out of range"
    };
    Err(format!("strconv.{function}: parsing {}: {problem}", quote(text)))
}

fn is_printable(c: char) -> bool {
    if c.is_ascii() {
        return !c.is_ascii_control();
    }
    // Rust and Go call the same categories printable, but Rust escapes a combining mark where it
    // begins a text; hence the letter before it.
    let after_letter: String = ['a', c].into_iter().collect();
    after_letter.escape_debug().count() == 2
}

fn push_escaped(quoted: &mut String, c: char) {
    let code = u32::from(c);
    let escaped = if c.is_ascii() {
        format!("\\x{code:02x}")
    } else if code < 0x1_0000 {
        format!("\\u{code:04x}")
    } else {
        format!("\\U{code:08x}")
    };
    quoted.push_str(&escaped);
}

/// Quotes as the texts about durations do: every byte that is not plain ASCII becomes `\x..`.
fn quote_bytewise(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        if c < ' ' || !c.is_ascii() {
            let mut utf8 = [0; 4];
            for byte in c.encode_utf8(&mut utf8).bytes() {
                quoted.push_str(&format!("\\x{byte:02x}"));
            }
            continue;
        }
        if matches!(c, '"' | '\\') {
            quoted.push('\\');
        }
        quoted.push(c);
    }
    quoted.push('"');
    quoted
}
