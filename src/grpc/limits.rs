//! The largest gRPC message, in the words of Go's gRPC, which Dapr's clients see.

use std::{
    error::Error,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::Response;
use http_body::{Body, Frame, SizeHint};
use prost::Message;
use tonic::{Code, Status};

use crate::{edge::admission, grpc::refusal, metrics::grpc::Messages};

/// A flag and a length stand before every message.
pub const PREFIX_LENGTH: usize = 5;

/// How much larger than what was sent a message can be that was compressed with gzip.
const GREATEST_EXPANSION: usize = 1032;

/// Lets an answer pass that is not larger than `limit` and for which there is room now.
pub fn within_limit<M: Message>(message: M, limit: Option<usize>) -> Result<M, Status> {
    let length = message.encoded_len();
    if let Some(limit) = limit
        && length > limit
    {
        let text = format!("trying to send message larger than max ({length} vs. {limit})");
        return Err(Status::resource_exhausted(text));
    }
    admission::hold_answer(length).map_err(refusal::overloaded)?;
    Ok(message)
}

/// A request's body that ends with an error as soon as a message announces that it is larger than
/// allowed or than there is room for: before any of it is kept. What is kept is counted.
#[derive(Debug)]
pub struct LimitedMessages<B> {
    body: B,
    limit: usize,
    prefix: [u8; PREFIX_LENGTH],
    prefix_filled: usize,
    /// How much of the current message is still to come.
    rest: usize,
    messages: Option<Messages>,
}

impl<B> LimitedMessages<B> {
    /// `body` with messages of at most `limit` bytes each; `None` means any size.
    pub fn new(body: B, limit: Option<usize>) -> Self {
        let limit = limit.unwrap_or(usize::MAX);
        let prefix = [0; PREFIX_LENGTH];
        Self { body, limit, prefix, prefix_filled: 0, rest: 0, messages: None }
    }

    /// The same, telling how large the messages are.
    pub fn counted_by(self, messages: Option<Messages>) -> Self {
        Self { messages, ..self }
    }

    fn check(&mut self, mut data: &[u8]) -> Result<(), Status> {
        loop {
            let skipped = self.rest.min(data.len());
            self.rest -= skipped;
            data = &data[skipped..];
            if data.is_empty() {
                return Ok(());
            }
            let taken = (PREFIX_LENGTH - self.prefix_filled).min(data.len());
            self.prefix[self.prefix_filled..][..taken].copy_from_slice(&data[..taken]);
            self.prefix_filled += taken;
            data = &data[taken..];
            if self.prefix_filled < PREFIX_LENGTH {
                return Ok(());
            }
            self.prefix_filled = 0;
            let [compressed, a, b, c, d] = self.prefix;
            self.rest = u32::from_be_bytes([a, b, c, d]) as usize;
            if self.rest > self.limit {
                return Err(too_large(self.rest, self.limit));
            }
            if let Some(messages) = &self.messages {
                messages.received(self.rest);
            }
            if compressed != 0 {
                // Only tonic will know what becomes of it.
                let most = self.rest.saturating_mul(GREATEST_EXPANSION).min(self.limit);
                admission::hold_request(most).map_err(refusal::overloaded)?;
            }
            admission::announce_request(self.rest).map_err(refusal::overloaded)?;
        }
    }
}

fn too_large(length: usize, limit: usize) -> Status {
    let text = format!("grpc: received message larger than max ({length} vs. {limit})");
    Status::resource_exhausted(text)
}

impl<B> Body for LimitedMessages<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    type Data = Bytes;
    type Error = Box<dyn Error + Send + Sync>;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let this = self.get_mut();
        let frame = match ready!(Pin::new(&mut this.body).poll_frame(cx)) {
            Some(Ok(frame)) => frame,
            Some(Err(error)) => return Poll::Ready(Some(Err(error.into()))),
            None => return Poll::Ready(None),
        };
        if let Some(data) = frame.data_ref() {
            let counted = admission::hold_request(data.len()).map_err(refusal::overloaded);
            if let Err(status) = counted.and_then(|()| this.check(data)) {
                return Poll::Ready(Some(Err(status.into())));
            }
        }
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Says in Go's words that a compressed request grew too large, where `response` says it in
/// tonic's: only tonic knows how large a message becomes.
pub fn reword_decompression(
    response: Response<tonic::body::Body>,
    limit: Option<usize>,
) -> Response<tonic::body::Body> {
    let Some(limit) = limit else { return response };
    let Some(status) = Status::from_header_map(response.headers()) else { return response };
    let is_tonics = status.code() == Code::ResourceExhausted
        && status.message().starts_with("Error decompressing: size limit");
    if !is_tonics {
        return response;
    }
    // Go stops once it is past the limit, and never learns the whole length.
    Status::resource_exhausted(format!(
        "grpc: received message after decompression larger than max {limit}"
    ))
    .into_http()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::runtime::v1::SetMetadataRequest;

    fn check_pieces(limit: usize, bytes: &[u8], piece: usize) -> Result<(), String> {
        let mut body = LimitedMessages::new((), Some(limit));
        bytes
            .chunks(piece)
            .try_for_each(|data| body.check(data))
            .map_err(|status| status.message().to_owned())
    }

    #[test]
    fn the_announced_length_decides_however_the_bytes_are_cut() {
        let messages = [&[0, 0, 0, 0, 3, 1, 2, 3][..], &[0, 0, 0, 0, 0], &[1, 0, 0, 0, 4, 1, 2, 3]];
        let bytes = messages.concat();
        for piece in 1..=bytes.len() {
            assert_eq!(check_pieces(4, &bytes, piece), Ok(()), "{piece}");
            let refused = Err("grpc: received message larger than max (4 vs. 3)".to_owned());
            assert_eq!(check_pieces(3, &bytes, piece), refused, "{piece}");
        }
    }

    #[test]
    fn an_answer_of_exactly_the_limit_passes() {
        let message = SetMetadataRequest { key: "k".to_owned(), value: "vwxyz".to_owned() };
        let length = message.encoded_len();
        assert!(within_limit(message.clone(), Some(length)).is_ok());
        assert!(within_limit(message.clone(), None).is_ok());
        let refused = within_limit(message, Some(length - 1)).unwrap_err();
        assert_eq!(refused.code(), Code::ResourceExhausted);
        assert_eq!(refused.message(), "trying to send message larger than max (10 vs. 9)");
    }
}
