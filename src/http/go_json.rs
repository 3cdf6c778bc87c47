//! JSON as Go writes it: compact, and with the characters escaped that mean something in HTML.

use std::io;

use serde::Serialize;
use serde_json::ser::{Formatter, Serializer};

use crate::api::json::{self, JsonError};

/// Writes `value`.
pub fn to_vec<T: Serialize>(value: &T) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(128);
    value
        .serialize(&mut Serializer::with_formatter(&mut bytes, GoFormatter))
        .expect("invariant: our answers have no map keys but texts, and a vector takes all bytes");
    bytes
}

/// Writes a text that is one JSON value already as a part of a larger one: without white space,
/// but with its own spelling of numbers, strings and members.
pub fn embedded(text: &[u8]) -> Result<Vec<u8>, JsonError> {
    json::check(text)?;
    let mut written = Vec::with_capacity(text.len());
    let mut in_string = false;
    let mut rest = text;
    while let [byte, after @ ..] = rest {
        rest = after;
        match (*byte, after) {
            (b'\\', [escaped, beyond @ ..]) => {
                written.extend_from_slice(&[b'\\', *escaped]);
                rest = beyond;
            }
            (0xe2, [0x80, last @ (0xa8 | 0xa9), beyond @ ..]) => {
                written.extend_from_slice(if *last == 0xa8 { br"\u2028" } else { br"\u2029" });
                rest = beyond;
            }
            (b' ' | b'\t' | b'\r' | b'\n', _) if !in_string => {}
            (plain, _) => {
                in_string ^= plain == b'"';
                match escape(char::from(plain)) {
                    Some(escaped) => written.extend_from_slice(escaped),
                    None => written.push(plain),
                }
            }
        }
    }
    Ok(written)
}

struct GoFormatter;

impl Formatter for GoFormatter {
    fn write_string_fragment<W: io::Write + ?Sized>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        let mut rest = fragment;
        while let Some(position) = rest.find(|character| escape(character).is_some()) {
            let (plain, from) = rest.split_at(position);
            writer.write_all(plain.as_bytes())?;
            let mut characters = from.chars();
            if let Some(text) = characters.next().and_then(escape) {
                writer.write_all(text)?;
            }
            rest = characters.as_str();
        }
        writer.write_all(rest.as_bytes())
    }
}

fn escape(character: char) -> Option<&'static [u8]> {
    match character {
        '<' => Some(br"\u003c"),
        '>' => Some(br"\u003e"),
        '&' => Some(br"\u0026"),
        '\u{2028}' => Some(br"\u2028"),
        '\u{2029}' => Some(br"\u2029"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn an_embedded_text_keeps_its_spelling() {
        for (text, expected) in [
            (" [ 1.00 , 1E2 ]\n", "[1.00,1E2]"),
            (
                r#"{ "a b" : "<\u003c\"> &\\" , "a b" : 1e999 }"#,
                r#"{"a b":"\u003c\u003c\"\u003e \u0026\\","a b":1e999}"#,
            ),
            ("\"\u{2028}é\u{2029}\"", r#""\u2028é\u2029""#),
        ] {
            let written = embedded(text.as_bytes()).unwrap();
            assert_eq!(String::from_utf8(written).unwrap(), expected);
        }
        assert_eq!(embedded(b"\"\xff\"").unwrap(), b"\"\xff\"");
        for text in ["", "not json", "1 2", "{"] {
            assert!(embedded(text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn html_and_line_separators_are_escaped_in_values_and_names() {
        let value = BTreeMap::from([("<k>", "a&b\u{2028}é\u{2029}>\"\\\n\u{1}\u{7f}")]);
        assert_eq!(
            String::from_utf8(to_vec(&value)).unwrap(),
            "{\"\\u003ck\\u003e\":\"a\\u0026b\\u2028é\\u2029\\u003e\\\"\\\\\\n\\u0001\u{7f}\"}"
        );
    }
}
