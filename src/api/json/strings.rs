//! Strings of JSON: what their escapes mean and how they are written anew.

use super::{JsonError, compactor::Compactor};

impl Compactor<'_> {
    /// Reads a string whose opening quote is at hand.
    pub(super) fn string(&mut self) -> Result<(), JsonError> {
        self.copy();
        loop {
            let plain = plain_length(self.rest());
            self.out.extend_from_slice(&self.rest()[..plain]);
            self.at += plain;
            match self.peek() {
                None => return Err(JsonError::UnexpectedEnd),
                Some(b'"') => {
                    self.copy();
                    return Ok(());
                }
                Some(b'\\') => self.escape()?,
                Some(0x80..) => self.beyond_ascii(),
                Some(_) => return Err(self.invalid("in string literal")),
            }
        }
    }

    /// Copies a run of text beyond ASCII; each byte that is not UTF-8 becomes U+FFFD.
    fn beyond_ascii(&mut self) {
        let run = self.rest().iter().take_while(|byte| !byte.is_ascii()).count();
        for chunk in self.input[self.at..self.at + run].utf8_chunks() {
            self.out.extend_from_slice(chunk.valid().as_bytes());
            for _ in chunk.invalid() {
                self.push(char::REPLACEMENT_CHARACTER);
            }
        }
        self.at += run;
    }

    fn escape(&mut self) -> Result<(), JsonError> {
        self.at += 1;
        let meant = match self.peek() {
            Some(byte @ (b'"' | b'\\' | b'/')) => char::from(byte),
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.unicode_escape(),
            _ => return Err(self.invalid("in string escape code")),
        };
        self.at += 1;
        self.push(meant);
        Ok(())
    }

    /// Reads from the `u` on; two escapes that make one character are taken together.
    fn unicode_escape(&mut self) -> Result<(), JsonError> {
        self.at += 1;
        for _ in 0..4 {
            if !self.peek().is_some_and(|byte| byte.is_ascii_hexdigit()) {
                return Err(self.invalid("in \\u hexadecimal character escape"));
            }
            self.at += 1;
        }
        let first = hex_unit(&self.input[self.at - 4..self.at]);
        let second = match self.rest() {
            [b'\\', b'u', digits @ ..] => digits.get(..4).and_then(hex_unit_of),
            _ => None,
        };
        let meant = match (char::from_u32(first.into()), second) {
            (Some(meant), _) => meant,
            (None, Some(second)) => match char::decode_utf16([first, second]).next() {
                Some(Ok(meant)) => {
                    self.at += 6;
                    meant
                }
                _ => char::REPLACEMENT_CHARACTER,
            },
            (None, None) => char::REPLACEMENT_CHARACTER,
        };
        self.push(meant);
        Ok(())
    }

    /// Writes one character of a string.
    fn push(&mut self, meant: char) {
        match meant {
            '"' => self.out.extend_from_slice(b"\\\""),
            '\\' => self.out.extend_from_slice(b"\\\\"),
            '\n' => self.out.extend_from_slice(b"\\n"),
            '\r' => self.out.extend_from_slice(b"\\r"),
            '\t' => self.out.extend_from_slice(b"\\t"),
            '\0'..='\u{1f}' => {
                self.out.extend_from_slice(format!("\\u{:04x}", u32::from(meant)).as_bytes());
            }
            _ => self.out.extend_from_slice(meant.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
}

/// How many bytes there are at first that are copied as they stand.
fn plain_length(text: &[u8]) -> usize {
    /// Looked at together, without a branch between them.
    const TOGETHER: usize = 16;
    let are_plain = |bytes: &&[u8]| bytes.iter().fold(true, |all, &byte| all & is_plain(byte));
    let whole = TOGETHER * text.chunks_exact(TOGETHER).take_while(are_plain).count();
    whole + text[whole..].iter().take_while(|&&byte| is_plain(byte)).count()
}

/// Whether a byte of a string is copied as it stands.
fn is_plain(byte: u8) -> bool {
    matches!(byte, b' '..=0x7f) & (byte != b'"') & (byte != b'\\')
}

fn hex_unit_of(digits: &[u8]) -> Option<u16> {
    digits.iter().all(u8::is_ascii_hexdigit).then(|| hex_unit(digits))
}

/// The number that hexadecimal digits spell.
fn hex_unit(digits: &[u8]) -> u16 {
    digits.iter().fold(0, |unit, &digit| {
        let value = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => digit.wrapping_sub(b'A').wrapping_add(10),
        };
        (unit << 4) | u16::from(value)
    })
}
