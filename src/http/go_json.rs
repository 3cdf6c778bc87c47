//! JSON as Go writes it: compact, and with the characters escaped that mean something in HTML.

use std::io;

use serde::Serialize;
use serde_json::ser::{Formatter, Serializer};

/// Writes `value`.
pub fn to_vec<T: Serialize>(value: &T) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(128);
    value
        .serialize(&mut Serializer::with_formatter(&mut bytes, GoFormatter))
        .expect("invariant: our answers have no map keys but texts, and a vector takes all bytes");
    bytes
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
    fn html_and_line_separators_are_escaped_in_values_and_names() {
        let value = BTreeMap::from([("<k>", "a&b\u{2028}é\u{2029}>\"\\\n\u{1}\u{7f}")]);
        assert_eq!(
            String::from_utf8(to_vec(&value)).unwrap(),
            "{\"\\u003ck\\u003e\":\"a\\u0026b\\u2028é\\u2029\\u003e\\\"\\\\\\n\\u0001\u{7f}\"}"
        );
    }
}
