//! One JSON value that was read to its end once and is then taken apart.
//!
//! Kept as its compact text, so that the part that is stored is a slice of it and numbers keep
//! their spelling.

use std::{borrow::Cow, ops::Range};

use bytes::Bytes;
use memchr::{memchr, memchr2};

use super::{JsonError, compact, compactor::Compactor};

/// A JSON value.
#[derive(Clone)]
pub struct Value {
    text: Bytes,
    /// Whether neither a duplicate member nor a number out of range stands anywhere in the text
    /// that this was taken from.
    plain: bool,
}

/// What kind of value it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool,
    /// A number.
    Number,
    /// A string.
    String,
    /// An array.
    Array,
    /// An object.
    Object,
}

impl Value {
    /// Reads the first value of `input`; what follows it is not looked at, as by Go's streaming
    /// decoder.
    pub fn first_of(input: &[u8]) -> Result<Self, JsonError> {
        let mut compactor = Compactor::new(input);
        if let Err(error) = compactor.value() {
            return Err(match (compactor.rest(), input.trim_ascii()) {
                ([], []) => JsonError::Eof,
                ([], _) => JsonError::UnexpectedEof,
                (_, _) => error,
            });
        }
        let plain = compactor.is_plain();
        Ok(Self { text: compactor.out.into(), plain })
    }

    /// What kind of value it is.
    pub fn kind(&self) -> Kind {
        match self.text.first() {
            Some(b'{') => Kind::Object,
            Some(b'[') => Kind::Array,
            Some(b'"') => Kind::String,
            Some(b't' | b'f') => Kind::Bool,
            Some(b'n') => Kind::Null,
            _ => Kind::Number,
        }
    }

    /// The compact text, all duplicate members included.
    pub fn text(&self) -> &[u8] {
        &self.text
    }

    /// The bytes to store, where the last of duplicate members stays.
    pub fn into_stored(self) -> Result<Bytes, JsonError> {
        if self.plain { Ok(self.text) } else { compact(&self.text).map(Bytes::from) }
    }

    /// What a string says; nothing of another kind.
    pub fn string(&self) -> Option<String> {
        (self.kind() == Kind::String).then(|| unescape(&self.text).into_owned())
    }

    /// The elements of an array; none of another kind.
    pub fn elements(&self) -> impl Iterator<Item = Self> {
        let mut parts = Parts::of(self, Kind::Array);
        std::iter::from_fn(move || Some(self.part(parts.next_value()?)))
    }

    /// The members of an object as they stand, duplicates included; none of another kind.
    pub fn members(&self) -> impl Iterator<Item = (Cow<'_, str>, Self)> {
        let mut parts = Parts::of(self, Kind::Object);
        std::iter::from_fn(move || {
            let name = unescape(&self.text[parts.next_value()?]);
            Some((name, self.part(parts.next_value()?)))
        })
    }

    fn part(&self, range: Range<usize>) -> Self {
        Self { text: self.text.slice(range), plain: self.plain }
    }
}

/// The values between the brackets of another one; a member is its name and then its value.
struct Parts<'v> {
    text: &'v [u8],
    at: usize,
}

impl<'v> Parts<'v> {
    fn of(whole: &'v Value, kind: Kind) -> Self {
        let is_such = whole.kind() == kind;
        Self { text: &whole.text, at: if is_such { 1 } else { whole.text.len() } }
    }

    /// Where the next one stands.
    fn next_value(&mut self) -> Option<Range<usize>> {
        let length = value_length(self.text.get(self.at..)?);
        if length == 0 {
            return None;
        }
        let part = self.at..self.at + length;
        // Over the comma, the colon or the closing bracket.
        self.at += length + 1;
        Some(part)
    }
}

/// How long the value is that compact text begins with; nothing where a bracket closes.
fn value_length(text: &[u8]) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        match byte {
            b'"' => at += string_length(&text[at..]),
            b'{' | b'[' => {
                depth += 1;
                at += 1;
            }
            b'}' | b']' | b',' | b':' if depth == 0 => return at,
            b'}' | b']' => {
                depth -= 1;
                at += 1;
                if depth == 0 {
                    return at;
                }
            }
            _ => at += 1,
        }
    }
    at
}

/// How long the string is that the text begins with, quotes included.
fn string_length(text: &[u8]) -> usize {
    let mut at = 1;
    while let Some(distance) = memchr2(b'"', b'\\', text.get(at..).unwrap_or_default()) {
        at += distance;
        if text[at] == b'"' {
            return at + 1;
        }
        at += 2;
    }
    text.len()
}

/// What a string of compact text says, where only few escapes are left.
fn unescape(quoted: &[u8]) -> Cow<'_, str> {
    let inner = quoted.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\""));
    let text = String::from_utf8_lossy(inner.unwrap_or_default());
    if memchr(b'\\', text.as_bytes()).is_none() {
        return text;
    }
    let mut said = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        if character != '\\' {
            said.push(character);
            continue;
        }
        match characters.next() {
            Some('n') => said.push('\n'),
            Some('r') => said.push('\r'),
            Some('t') => said.push('\t'),
            Some('u') => {
                let digits: String = characters.by_ref().take(4).collect();
                let unit = u32::from_str_radix(&digits, 16).ok();
                said.extend(unit.and_then(char::from_u32));
            }
            Some(other) => said.push(other),
            None => {}
        }
    }
    said.into()
}
