//! Requests are encoded once; a call writes the numbers of its keys into a copy.

use bytes::Bytes;

/// As many digits as a key's number has, so that every request of a run is as long as the others.
const DIGITS: usize = 9;

/// What stands where a number will: no prefix, store or value has a `~`.
pub const PLACE: &str = "~~~~~~~~~";

/// An encoded request with places for the numbers of its keys.
#[derive(Debug)]
pub struct Template {
    bytes: Bytes,
    places: Vec<usize>,
}

impl Template {
    /// Finds the places in an encoded request.
    pub fn new(bytes: Vec<u8>) -> Self {
        let (mut places, mut at) = (Vec::new(), 0);
        while at + DIGITS <= bytes.len() {
            if bytes[at..].starts_with(PLACE.as_bytes()) {
                places.push(at);
                at += DIGITS;
            } else {
                at += 1;
            }
        }
        Self { bytes: bytes.into(), places }
    }

    /// Whether there is a number to write at all.
    pub fn has_places(&self) -> bool {
        !self.places.is_empty()
    }

    /// The request for the keys that follow `first`, wrapping around at `keys`.
    pub fn fill(&self, first: u32, keys: u32) -> Bytes {
        if !self.has_places() {
            return self.bytes.clone();
        }
        let mut bytes = self.bytes.to_vec();
        let mut number = first;
        for &place in &self.places {
            write_number(&mut bytes[place..place + DIGITS], number);
            number = if number + 1 == keys { 0 } else { number + 1 };
        }
        bytes.into()
    }
}

fn write_number(place: &mut [u8], mut number: u32) {
    for digit in place.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
}
