//! The API token, compared in constant time and never shown.

use std::{fmt, sync::Arc};

use http::HeaderName;
use subtle::{Choice, ConstantTimeEq};

/// The header, and the metadata key, that carries the token.
pub const TOKEN_HEADER: HeaderName = HeaderName::from_static("dapr-api-token");

/// The secret that callers must present.
#[derive(Clone)]
pub struct ApiToken(Arc<[u8]>);

/// Why a caller is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenError {
    /// The caller presented none.
    Missing,
    /// The caller presented another one.
    Mismatch,
}

impl ApiToken {
    /// The token in `text`; an empty text means that none is asked for.
    pub fn new(text: &str) -> Option<Self> {
        (!text.is_empty()).then(|| Self(text.as_bytes().into()))
    }

    /// Checks what a caller presented. How long that takes depends on the length of what was
    /// presented and on nothing else, the token's own length included.
    pub fn check(&self, presented: Option<&[u8]>) -> Result<(), TokenError> {
        let presented = presented.ok_or(TokenError::Missing)?;
        let same_length = (presented.len() as u64).ct_eq(&(self.0.len() as u64));
        let same = presented
            .iter()
            .zip(self.0.iter().cycle())
            .fold(Choice::from(1), |same, (theirs, ours)| same & theirs.ct_eq(ours));
        if bool::from(same & same_length) { Ok(()) } else { Err(TokenError::Mismatch) }
    }
}

impl fmt::Debug for ApiToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiToken")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_token_itself_is_let_in() {
        let token = ApiToken::new("abab").unwrap();
        assert_eq!(token.check(Some(b"abab")), Ok(()));
        assert_eq!(token.check(None), Err(TokenError::Missing));
        for wrong in ["", "a", "ab", "aba", "abac", "bbab", "ababab", "abababab", "ABAB"] {
            assert_eq!(token.check(Some(wrong.as_bytes())), Err(TokenError::Mismatch), "{wrong}");
        }
    }

    #[test]
    fn an_empty_token_asks_for_none() {
        assert!(ApiToken::new("").is_none());
    }

    #[test]
    fn debug_output_does_not_show_the_secret() {
        assert_eq!(format!("{:?}", ApiToken::new("s3cret")), "Some(ApiToken)");
    }
}
