//! `traceparent`: every answer carries the caller's, or an empty one.

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::edge::trace::{NO_TRACEPARENT, TraceContext};

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");
const UNTRACED: HeaderValue = HeaderValue::from_static(NO_TRACEPARENT);

/// The trace headers of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    parent: HeaderValue,
    state: Option<HeaderValue>,
}

impl Answer {
    /// What an answer carries, given what the request did.
    pub fn to(headers: &HeaderMap) -> Self {
        match headers.get(TRACEPARENT) {
            Some(parent) if TraceContext::from_traceparent(parent.as_bytes()).is_some() => {
                Self { parent: parent.clone(), state: headers.get(TRACESTATE).cloned() }
            }
            _ => Self { parent: UNTRACED, state: None },
        }
    }

    /// Writes it down.
    pub fn write(self, headers: &mut HeaderMap) {
        headers.insert(TRACEPARENT, self.parent);
        if let Some(state) = self.state {
            headers.insert(TRACESTATE, state);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_context_is_echoed_with_its_state_and_junk_with_neither() {
        let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        for (sent, expected, state) in [
            (Some(parent), parent, Some("a=b")),
            (Some("junk"), NO_TRACEPARENT, None),
            (None, NO_TRACEPARENT, None),
        ] {
            let mut headers = HeaderMap::new();
            if let Some(sent) = sent {
                headers.insert(TRACEPARENT, sent.parse().unwrap());
            }
            headers.insert(TRACESTATE, HeaderValue::from_static("a=b"));
            let mut answer = HeaderMap::new();
            Answer::to(&headers).write(&mut answer);
            assert_eq!(answer.get("traceparent").unwrap(), expected);
            assert_eq!(answer.get("tracestate").map(|value| value.to_str().unwrap()), state);
        }
    }
}
