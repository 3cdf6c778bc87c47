//! `grpc-trace-bin`: every answer carries the caller's trace context, or an empty one.

use http::{HeaderMap, HeaderName, HeaderValue};
use tonic::metadata::{BinaryMetadataValue, MetadataMap, MetadataValue};

use crate::edge::trace::TraceContext;

/// The header of requests and answers.
pub const HEADER: HeaderName = HeaderName::from_static("grpc-trace-bin");

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// The context of a call that nobody traces: 29 bytes, all zero inside.
const UNTRACED: HeaderValue = HeaderValue::from_static("AAAAAAAAAAAAAAAAAAAAAAAAAQAAAAAAAAAAAgA");

/// What an answer carries, given what the request did.
pub fn answer(headers: &HeaderMap) -> HeaderValue {
    context(headers).and_then(encode).unwrap_or(UNTRACED)
}

fn context(headers: &HeaderMap) -> Option<TraceContext> {
    if let Some(value) = headers.get(HEADER)
        && let Some(context) = decode(value)
    {
        return Some(context);
    }
    TraceContext::from_traceparent(headers.get(TRACEPARENT)?.as_bytes())
}

fn decode(value: &HeaderValue) -> Option<TraceContext> {
    // Only a map knows that its value arrived encoded.
    let mut headers = HeaderMap::with_capacity(1);
    headers.insert(HEADER, value.clone());
    let bytes = MetadataMap::from_headers(headers).get_bin(HEADER.as_str())?.to_bytes().ok()?;
    TraceContext::from_binary(&bytes)
}

fn encode(context: TraceContext) -> Option<HeaderValue> {
    let value: BinaryMetadataValue = MetadataValue::from_bytes(&context.to_binary());
    HeaderValue::from_bytes(value.as_encoded_bytes()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()))
            .collect()
    }

    #[test]
    fn the_untraced_context_is_29_bytes() {
        assert_eq!(encode(TraceContext::default()), Some(UNTRACED));
    }

    #[test]
    fn a_context_is_given_back_in_binary() {
        let expected = TraceContext::from_traceparent(PARENT.as_bytes());
        let from_parent = answer(&headers(&[("traceparent", PARENT)]));
        assert_eq!(decode(&from_parent), expected);
        let text = from_parent.to_str().unwrap();
        assert_eq!(answer(&headers(&[("grpc-trace-bin", text)])), from_parent);
        assert_eq!(answer(&headers(&[("grpc-trace-bin", &format!("{text}="))])), from_parent);
    }

    #[test]
    fn junk_leaves_the_call_untraced_unless_a_traceparent_helps() {
        for junk in ["", "!", "AAAA"] {
            assert_eq!(answer(&headers(&[("grpc-trace-bin", junk)])), UNTRACED, "{junk}");
            let both = headers(&[("grpc-trace-bin", junk), ("traceparent", PARENT)]);
            assert_eq!(decode(&answer(&both)), TraceContext::from_traceparent(PARENT.as_bytes()));
        }
        assert_eq!(answer(&headers(&[("traceparent", "junk")])), UNTRACED);
    }
}
