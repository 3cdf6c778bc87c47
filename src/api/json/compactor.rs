//! The grammar of JSON, read by a loop and a stack of its own.

use std::{collections::HashMap, ops::Range};

use smallvec::SmallVec;

use super::JsonError;

/// How deep values may nest, as in Go.
const MAX_DEPTH: usize = 10_000;

/// Objects with more members than this look for duplicates through a hash map.
const FEW_MEMBERS: usize = 16;

/// No finite number spelt with fewer characters and without an exponent is beyond a float64.
const ALWAYS_FINITE: usize = 300;

/// How much of a refused number its error shows.
const SHOWN_DIGITS: usize = 256;

/// What encloses the value being read.
enum Frame {
    Array,
    Object {
        /// Where its members begin in [`Compactor::members`].
        first_member: usize,
    },
}

/// One member of an open object, by its place in the output.
struct Member {
    start: usize,
    key_end: usize,
}

/// Reads JSON and writes it anew.
pub(super) struct Compactor<'a> {
    pub(super) input: &'a [u8],
    pub(super) at: usize,
    pub(super) out: Vec<u8>,
    // Most texts need no room of their own for these two.
    frames: SmallVec<[Frame; 8]>,
    members: SmallVec<[Member; 8]>,
    /// Parts of the output that a later duplicate replaced.
    dropped: Vec<Range<usize>>,
    /// Go reports a number out of range only if the whole text is well-formed.
    out_of_range: Option<Range<usize>>,
}

impl<'a> Compactor<'a> {
    /// Starts at the beginning of `input`.
    pub(super) fn new(input: &'a [u8]) -> Self {
        Self {
            input,
            at: 0,
            out: Vec::with_capacity(input.len()),
            frames: SmallVec::new(),
            members: SmallVec::new(),
            dropped: Vec::new(),
            out_of_range: None,
        }
    }

    /// Reads one value with everything it contains.
    pub(super) fn value(&mut self) -> Result<(), JsonError> {
        loop {
            self.skip_space();
            let opened = match self.peek() {
                Some(b'{') => self.open_object()?,
                Some(b'[') => self.open_array()?,
                _ => {
                    self.scalar()?;
                    false
                }
            };
            if !opened && !self.close_ended()? {
                return Ok(());
            }
        }
    }

    /// Goes on after a value; says whether another one is to be read.
    fn close_ended(&mut self) -> Result<bool, JsonError> {
        loop {
            let Some(frame) = self.frames.last() else { return Ok(false) };
            let in_object = matches!(frame, Frame::Object { .. });
            self.skip_space();
            match self.peek() {
                Some(b',') => {
                    self.copy();
                    if in_object {
                        self.skip_space();
                        self.key()?;
                    }
                    return Ok(true);
                }
                Some(b'}') if in_object => self.close(),
                Some(b']') if !in_object => self.close(),
                _ if in_object => return Err(self.unexpected("after object key:value pair")),
                _ => return Err(self.unexpected("after array element")),
            }
        }
    }

    /// Says whether a member follows.
    fn open_object(&mut self) -> Result<bool, JsonError> {
        self.open(Frame::Object { first_member: self.members.len() })?;
        if self.peek() == Some(b'}') {
            self.close();
            return Ok(false);
        }
        self.key()?;
        Ok(true)
    }

    /// Says whether an element follows.
    fn open_array(&mut self) -> Result<bool, JsonError> {
        self.open(Frame::Array)?;
        if self.peek() == Some(b']') {
            self.close();
            return Ok(false);
        }
        Ok(true)
    }

    fn open(&mut self, frame: Frame) -> Result<(), JsonError> {
        if self.frames.len() == MAX_DEPTH {
            return Err(self.unexpected("exceeded max depth"));
        }
        self.frames.push(frame);
        self.copy();
        self.skip_space();
        Ok(())
    }

    fn close(&mut self) {
        if let Some(Frame::Object { first_member }) = self.frames.pop() {
            self.drop_duplicates(first_member);
        }
        self.copy();
    }

    /// Marks every member of the object that just ended whose key comes again. Keys are compared
    /// as re-serialised: equal keys have one spelling there.
    fn drop_duplicates(&mut self, first_member: usize) {
        let members = &self.members[first_member..];
        let key = |member: &Member| &self.out[member.start..member.key_end];
        if members.len() <= FEW_MEMBERS {
            for (index, pair) in members.windows(2).enumerate() {
                if members[index + 1..].iter().any(|later| key(later) == key(&pair[0])) {
                    self.dropped.push(pair[0].start..pair[1].start);
                }
            }
        } else {
            let last: HashMap<&[u8], usize> =
                members.iter().enumerate().map(|(index, member)| (key(member), index)).collect();
            for (index, pair) in members.windows(2).enumerate() {
                if last[key(&pair[0])] != index {
                    self.dropped.push(pair[0].start..pair[1].start);
                }
            }
        }
        self.members.truncate(first_member);
    }

    fn key(&mut self) -> Result<(), JsonError> {
        if self.peek() != Some(b'"') {
            return Err(self.unexpected("looking for beginning of object key string"));
        }
        let start = self.out.len();
        self.string()?;
        self.members.push(Member { start, key_end: self.out.len() });
        self.skip_space();
        if self.peek() != Some(b':') {
            return Err(self.unexpected("after object key"));
        }
        self.copy();
        Ok(())
    }

    fn scalar(&mut self) -> Result<(), JsonError> {
        match self.peek() {
            Some(b'"') => self.string(),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.literal(TRUE),
            Some(b'f') => self.literal(FALSE),
            Some(b'n') => self.literal(NULL),
            _ => Err(self.unexpected("looking for beginning of value")),
        }
    }

    fn literal(&mut self, letters: &[(u8, &'static str)]) -> Result<(), JsonError> {
        self.copy();
        for &(letter, context) in letters {
            if self.peek() != Some(letter) {
                return Err(self.invalid(context));
            }
            self.copy();
        }
        Ok(())
    }

    fn number(&mut self) -> Result<(), JsonError> {
        let start = self.at;
        let mut has_exponent = false;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        match self.peek() {
            Some(b'0') => self.at += 1,
            _ => self.digits("in numeric literal")?,
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits("after decimal point in numeric literal")?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            has_exponent = true;
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            self.digits("in exponent of numeric literal")?;
        }
        let written = start..self.at;
        self.out.extend_from_slice(&self.input[written.clone()]);
        let doubtful = has_exponent || written.len() > ALWAYS_FINITE;
        if doubtful && self.out_of_range.is_none() && !is_finite(&self.input[written.clone()]) {
            self.out_of_range = Some(written);
        }
        Ok(())
    }

    fn digits(&mut self, context: &'static str) -> Result<(), JsonError> {
        let count = self.rest().iter().take_while(|byte| byte.is_ascii_digit()).count();
        if count == 0 {
            return Err(self.invalid(context));
        }
        self.at += count;
        Ok(())
    }

    /// Nothing but white space may follow.
    pub(super) fn end(&mut self) -> Result<(), JsonError> {
        self.skip_space();
        match self.peek() {
            None => Ok(()),
            Some(_) => Err(self.unexpected("after top-level value")),
        }
    }

    /// Whether the text written is what [`Compactor::finish`] would give.
    pub(super) fn is_plain(&self) -> bool {
        self.dropped.is_empty() && self.out_of_range.is_none()
    }

    /// The text written, or why Go would refuse the value although it is well-formed.
    pub(super) fn finish(mut self) -> Result<Vec<u8>, JsonError> {
        if let Some(written) = self.out_of_range {
            let shown = written.start..written.end.min(written.start + SHOWN_DIGITS);
            let digits = String::from_utf8_lossy(&self.input[shown]).into_owned();
            return Err(JsonError::NumberOutOfRange(digits));
        }
        if self.dropped.is_empty() {
            return Ok(self.out);
        }
        // An outer member's range may hold ranges of objects inside it.
        self.dropped.sort_unstable_by_key(|range| range.start);
        let mut kept = Vec::with_capacity(self.out.len());
        let mut from = 0;
        for range in self.dropped {
            if range.start >= from {
                kept.extend_from_slice(&self.out[from..range.start]);
            }
            from = from.max(range.end);
        }
        kept.extend_from_slice(&self.out[from..]);
        Ok(kept)
    }

    /// What is still to be read.
    pub(super) fn rest(&self) -> &'a [u8] {
        &self.input[self.at..]
    }

    /// The byte at hand.
    pub(super) fn peek(&self) -> Option<u8> {
        self.input.get(self.at).copied()
    }

    /// Copies the byte at hand, which the caller has looked at.
    pub(super) fn copy(&mut self) {
        self.out.push(self.input[self.at]);
        self.at += 1;
    }

    fn skip_space(&mut self) {
        while let Some(b' ' | b'\t' | b'\r' | b'\n') = self.peek() {
            self.at += 1;
        }
    }

    /// The error for the byte at hand where white space would be skipped.
    fn unexpected(&self, context: &'static str) -> JsonError {
        match self.peek() {
            Some(byte) => JsonError::InvalidCharacter { byte, context },
            None => JsonError::UnexpectedEnd,
        }
    }

    /// The error for the byte at hand inside a token, where Go reads the end as one more space.
    pub(super) fn invalid(&self, context: &'static str) -> JsonError {
        JsonError::InvalidCharacter { byte: self.peek().unwrap_or(b' '), context }
    }
}

const TRUE: &[(u8, &str)] = &[
    (b'r', "in literal true (expecting 'r')"),
    (b'u', "in literal true (expecting 'u')"),
    (b'e', "in literal true (expecting 'e')"),
];
const FALSE: &[(u8, &str)] = &[
    (b'a', "in literal false (expecting 'a')"),
    (b'l', "in literal false (expecting 'l')"),
    (b's', "in literal false (expecting 's')"),
    (b'e', "in literal false (expecting 'e')"),
];
const NULL: &[(u8, &str)] = &[
    (b'u', "in literal null (expecting 'u')"),
    (b'l', "in literal null (expecting 'l')"),
    (b'l', "in literal null (expecting 'l')"),
];

fn is_finite(number: &[u8]) -> bool {
    std::str::from_utf8(number)
        .ok()
        .and_then(|text| text.parse::<f64>().ok())
        .is_some_and(f64::is_finite)
}
