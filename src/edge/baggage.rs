//! W3C baggage: refused when it is none, else given back to the caller as it came.

use http::HeaderName;

/// The header, and the metadata key, that carries it.
pub const BAGGAGE_HEADER: HeaderName = HeaderName::from_static("baggage");

/// The largest header and the most members that are accepted.
const MAX_BYTES: usize = 8192;
const MAX_MEMBERS: usize = 180;

/// Why a text is no baggage, in the words Dapr's clients see.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BaggageError {
    /// A member's name is empty or holds a character that names do not have.
    #[error("invalid key: {0:?}")]
    Key(String),
    /// A member's value holds a character that values do not have.
    #[error("invalid value: {0:?}")]
    Value(String),
    /// A member has no `=`.
    #[error("invalid baggage list-member: {0:?}")]
    Member(String),
    /// Too long.
    #[error("baggage string exceeds {MAX_BYTES} bytes")]
    Bytes,
    /// Too many.
    #[error("baggage has more than {MAX_MEMBERS} members")]
    Members,
}

/// Checks a baggage header; an empty one is fine.
pub fn check(header: &[u8]) -> Result<(), BaggageError> {
    if header.is_empty() {
        return Ok(());
    }
    if header.len() > MAX_BYTES {
        return Err(BaggageError::Bytes);
    }
    let members = header.split(|&byte| byte == b',');
    for (position, member) in members.enumerate() {
        if position == MAX_MEMBERS {
            return Err(BaggageError::Members);
        }
        check_member(member)?;
    }
    Ok(())
}

fn check_member(member: &[u8]) -> Result<(), BaggageError> {
    // What follows the first `;` are the member's properties, which nobody here reads.
    let pair = member.split(|&byte| byte == b';').next().unwrap_or_default();
    let Some(equals) = pair.iter().position(|&byte| byte == b'=') else {
        return Err(BaggageError::Member(shown(pair)));
    };
    let (key, value) = (pair[..equals].trim_ascii(), pair[equals + 1..].trim_ascii());
    if key.is_empty() || !key.iter().all(|&byte| is_name(byte)) {
        return Err(BaggageError::Key(shown(key)));
    }
    if !value.iter().all(|&byte| is_value(byte)) {
        return Err(BaggageError::Value(shown(value)));
    }
    Ok(())
}

fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

fn is_value(byte: u8) -> bool {
    byte.is_ascii_graphic() && !b"\",;\\".contains(&byte)
}

fn shown(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn baggage_passes_and_anything_else_is_named() {
        for good in ["", "a=b", "a=b,c=d", " a = b ;p=1;q", "a=", "a=x%20y"] {
            assert_eq!(check(good.as_bytes()), Ok(()), "{good}");
        }
        // conformance/http-headers.json
        assert_eq!(check(b"=").unwrap_err().to_string(), "invalid key: \"\"");
        for (bad, expected) in [
            ("a b=c", BaggageError::Key("a b".to_owned())),
            ("a=b c", BaggageError::Value("b c".to_owned())),
            ("a=b,c", BaggageError::Member("c".to_owned())),
        ] {
            assert_eq!(check(bad.as_bytes()), Err(expected), "{bad}");
        }
        assert_eq!(check(&[b'a'; MAX_BYTES + 1]), Err(BaggageError::Bytes));
        assert_eq!(check("a=b,".repeat(181).as_bytes()), Err(BaggageError::Members));
    }
}
