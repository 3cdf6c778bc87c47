//! Re-serialises one JSON value for storage: compact, with its numbers' spelling kept.
//!
//! What is refused, and the words of the refusal, are those of Go's encoding/json, because callers
//! of daprd see them. Iterative on purpose: no input can overflow the stack.

mod compactor;
mod document;
mod strings;

use compactor::Compactor;
pub use document::{Kind, Value};

/// Why a text is not one JSON value; the texts are Go's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JsonError {
    /// A byte that does not belong where it stands.
    #[error("invalid character {} {context}", quoted(*.byte))]
    InvalidCharacter {
        /// The byte.
        byte: u8,
        /// What stood to be read there.
        context: &'static str,
    },
    /// The text ends inside the value.
    #[error("unexpected end of JSON input")]
    UnexpectedEnd,
    /// There is nothing to read where the first value of a stream is wanted.
    #[error("EOF")]
    Eof,
    /// A stream ends inside its first value.
    #[error("unexpected EOF")]
    UnexpectedEof,
    /// A number that no float64 holds; daprd's stores read every number as one.
    #[error("json: cannot unmarshal number {0} into Go value of type float64")]
    NumberOutOfRange(String),
}

/// Re-serialises the one JSON value that `input` holds.
///
/// Numbers and the order of members stay as written. Of duplicate members the last one stays, at
/// its own place. Strings are escaped as daprd's Redis store does: a short form for quote,
/// backslash and `\n`, `\r`, `\t`, `\u00xx` for other control characters, everything else raw.
pub fn compact(input: &[u8]) -> Result<Vec<u8>, JsonError> {
    let mut compactor = Compactor::new(input);
    compactor.value()?;
    compactor.end()?;
    compactor.finish()
}

/// Whether `input` is one JSON value, however large its numbers are.
pub fn check(input: &[u8]) -> Result<(), JsonError> {
    let mut compactor = Compactor::new(input);
    compactor.value()?;
    compactor.end()
}

/// A byte as Go quotes it: as the character of that number, escaped unless it can be printed.
fn quoted(byte: u8) -> String {
    match byte {
        b'\'' => r"'\''".to_owned(),
        b'\\' => r"'\\'".to_owned(),
        0x07 => r"'\a'".to_owned(),
        0x08 => r"'\b'".to_owned(),
        0x0b => r"'\v'".to_owned(),
        0x0c => r"'\f'".to_owned(),
        b'\n' => r"'\n'".to_owned(),
        b'\r' => r"'\r'".to_owned(),
        b'\t' => r"'\t'".to_owned(),
        0x00..=0x1f | 0x7f => format!(r"'\x{byte:02x}'"),
        0x80..=0xa0 | 0xad => format!(r"'\u{byte:04x}'"),
        _ => format!("'{}'", char::from(byte)),
    }
}

#[cfg(test)]
mod tests;
