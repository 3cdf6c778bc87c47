//! Counts the bytes of an answer's message while it is sent.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::{Buf as _, Bytes};
use http_body::{Frame, SizeHint};
use tonic::{Status, body::Body};

use crate::{grpc::limits::PREFIX_LENGTH, metrics::grpc::Messages};

/// An answer's body; its bytes are counted when it has ended or was dropped.
#[derive(Debug)]
pub struct Metered {
    body: Body,
    bytes: usize,
    messages: Option<Messages>,
}

impl Metered {
    /// `body`, told to `messages`.
    pub fn new(body: Body, messages: Option<Messages>) -> Self {
        Self { body, bytes: 0, messages }
    }
}

impl http_body::Body for Metered {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = self.get_mut();
        let frame = std::task::ready!(Pin::new(&mut this.body).poll_frame(cx));
        if let Some(Ok(frame)) = &frame {
            this.bytes += frame.data_ref().map_or(0, |data| data.remaining());
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Metered {
    fn drop(&mut self) {
        if let Some(messages) = &self.messages {
            messages.sent(self.bytes.saturating_sub(PREFIX_LENGTH));
        }
    }
}
