//! Judges an answer by reading no more of it than that takes.

use bytes::{Buf as _, Bytes};
use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};

use crate::messages::Expected;

impl Expected {
    /// Whether a gRPC message, without its frame, says what it should.
    pub fn is_met_by_message(&self, message: Bytes) -> bool {
        match self {
            Self::Nothing => message.is_empty(),
            Self::Value(value) => {
                let mut data = Bytes::new();
                let read = fields(message, |number, bytes| {
                    if number == 1 {
                        data = bytes;
                    }
                });
                read.is_some() && data == value
            }
            Self::Values(value, count) => {
                let mut right = 0;
                let mut all = true;
                let read = fields(message, |number, item| {
                    if number == 1 {
                        right += 1;
                        all &= is_item(item, value);
                    }
                });
                read.is_some() && all && right == *count
            }
        }
    }

    /// Whether a body of the HTTP API says what it should.
    pub fn is_met_by_body(&self, body: &[u8]) -> bool {
        match self {
            Self::Nothing => body.is_empty(),
            Self::Value(value) => body == value,
            Self::Values(value, count) => occurrences(body, value) == *count,
        }
    }
}

/// An item of a bulk answer: `data` is the second field, `error` the fourth.
fn is_item(item: Bytes, value: &Bytes) -> bool {
    let (mut right, mut failed) = (false, false);
    let read = fields(item, |number, bytes| match number {
        2 => right = bytes == *value,
        4 => failed |= !bytes.is_empty(),
        _ => {}
    });
    read.is_some() && right && !failed
}

/// Hands out the fields that have a length; none if the message is broken.
fn fields(mut message: Bytes, mut field: impl FnMut(u32, Bytes)) -> Option<()> {
    while message.has_remaining() {
        let (number, wire_type) = decode_key(&mut message).ok()?;
        if wire_type == WireType::LengthDelimited {
            let length = usize::try_from(decode_varint(&mut message).ok()?).ok()?;
            if length > message.len() {
                return None;
            }
            field(number, message.split_to(length));
        } else {
            skip_field(wire_type, number, &mut message, DecodeContext::default()).ok()?;
        }
    }
    Some(())
}

/// How often `"data":` and the value stand in a body.
fn occurrences(body: &[u8], value: &[u8]) -> usize {
    const NAME: &[u8] = b"\"data\":";
    let (mut rest, mut count) = (body, 0);
    while let Some(at) = rest.windows(NAME.len()).position(|window| window == NAME) {
        rest = &rest[at + NAME.len()..];
        if rest.starts_with(value) {
            rest = &rest[value.len()..];
            count += 1;
        }
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fields that have a length, none longer than 127 bytes.
    fn message(fields: &[(u8, &[u8])]) -> Bytes {
        let mut message = Vec::new();
        for (number, bytes) in fields {
            message.extend([number << 3 | 2, u8::try_from(bytes.len()).expect("short")]);
            message.extend(*bytes);
        }
        message.into()
    }

    #[test]
    fn one_value_must_be_whole_and_the_expected_one() {
        let expected = Expected::Value("xx".into());
        assert!(expected.is_met_by_message(message(&[(1, b"xx"), (2, b"1")])));
        assert!(!expected.is_met_by_message(message(&[(1, b"xy"), (2, b"1")])));
        assert!(!expected.is_met_by_message(message(&[(2, b"xx")])));
        assert!(!expected.is_met_by_message(message(&[(1, b"xx")]).slice(..3)));
        assert!(!expected.is_met_by_message(Bytes::new()));
        assert!(expected.is_met_by_body(b"xx") && !expected.is_met_by_body(b""));
    }

    #[test]
    fn many_values_must_be_as_many_as_expected_and_none_an_error() {
        let expected = Expected::Values("xx".into(), 2);
        let right = message(&[(1, b"k"), (2, b"xx"), (3, b"1")]);
        let failed = message(&[(1, b"k"), (2, b"xx"), (4, b"gone")]);
        assert!(expected.is_met_by_message(message(&[(1, &right), (1, &right)])));
        assert!(!expected.is_met_by_message(message(&[(1, &right)])));
        assert!(!expected.is_met_by_message(message(&[(1, &right), (1, &right), (1, &right)])));
        assert!(!expected.is_met_by_message(message(&[(1, &right), (1, &failed)])));
        assert!(!expected.is_met_by_message(message(&[(1, &right), (1, b"")])));
        assert!(expected.is_met_by_body(b"[{\"data\":xx},{\"data\":xx}]"));
        assert!(!expected.is_met_by_body(b"[{\"data\":xx},{\"data\":xy}]"));
    }

    #[test]
    fn nothing_must_be_nothing() {
        assert!(Expected::Nothing.is_met_by_message(Bytes::new()));
        assert!(!Expected::Nothing.is_met_by_message(message(&[(1, b"x")])));
        assert!(!Expected::Nothing.is_met_by_body(b"x"));
    }
}
