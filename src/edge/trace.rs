//! W3C trace context: what a caller sent, so that it can be given back.

/// Where a caller's trace stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TraceContext {
    trace: [u8; 16],
    span: [u8; 8],
    flags: u8,
}

/// The `traceparent` of a call nobody traces.
pub const NO_TRACEPARENT: &str = "00-00000000000000000000000000000000-0000000000000000-00";

/// The length of a context in its binary form.
pub const BINARY_LENGTH: usize = 29;

impl TraceContext {
    /// Reads a `traceparent` header of version 00: `00-TRACE-SPAN-FLAGS`, in lower-case hex.
    pub fn from_traceparent(text: &[u8]) -> Option<Self> {
        if text.len() != NO_TRACEPARENT.len() || !text.starts_with(b"00-") {
            return None;
        }
        if text[35] != b'-' || text[52] != b'-' {
            return None;
        }
        let context = Self {
            trace: hex(&text[3..35])?,
            span: hex(&text[36..52])?,
            flags: hex::<1>(&text[53..55])?[0],
        };
        context.valid().then_some(context)
    }

    /// Reads the value of `grpc-trace-bin`, as Open Census lays it out.
    pub fn from_binary(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; BINARY_LENGTH] = bytes.try_into().ok()?;
        if bytes[0..2] != [0, 0] || bytes[18] != 1 || bytes[27] != 2 {
            return None;
        }
        let context = Self {
            trace: bytes[2..18].try_into().ok()?,
            span: bytes[19..27].try_into().ok()?,
            flags: bytes[28],
        };
        context.valid().then_some(context)
    }

    /// The value of `grpc-trace-bin`.
    pub fn to_binary(self) -> [u8; BINARY_LENGTH] {
        let mut bytes = [0; BINARY_LENGTH];
        bytes[2..18].copy_from_slice(&self.trace);
        bytes[18] = 1;
        bytes[19..27].copy_from_slice(&self.span);
        bytes[27] = 2;
        bytes[28] = self.flags;
        bytes
    }

    fn valid(&self) -> bool {
        self.trace != [0; 16] && self.span != [0; 8]
    }
}

fn hex<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    for (byte, digits) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        *byte = (digit(digits[0])? << 4) | digit(digits[1])?;
    }
    Some(bytes)
}

fn digit(character: u8) -> Option<u8> {
    match character {
        b'0'..=b'9' => Some(character - b'0'),
        b'a'..=b'f' => Some(character - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn a_traceparent_survives_its_binary_form() {
        let context = TraceContext::from_traceparent(SENT.as_bytes()).unwrap();
        let bytes = context.to_binary();
        assert_eq!((bytes[2], bytes[17], bytes[19], bytes[28]), (0x0a, 0x9c, 0xb7, 1));
        assert_eq!(TraceContext::from_binary(&bytes), Some(context));
    }

    #[test]
    fn junk_is_no_context() {
        let upper = SENT.to_uppercase();
        let longer = format!("{SENT}0");
        for text in ["", "junk", NO_TRACEPARENT, &upper, &longer, &SENT.replace("b7ad", "b7xd")] {
            assert_eq!(TraceContext::from_traceparent(text.as_bytes()), None, "{text}");
        }
        let good = TraceContext::from_traceparent(SENT.as_bytes()).unwrap().to_binary();
        for place in [0, 1, 18, 27] {
            let mut bytes = good;
            bytes[place] = 9;
            assert_eq!(TraceContext::from_binary(&bytes), None, "{place}");
        }
        assert_eq!(TraceContext::from_binary(&good[..28]), None);
        assert_eq!(TraceContext::from_binary(&TraceContext::default().to_binary()), None);
    }
}
