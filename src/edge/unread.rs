//! Bodies that a handler did not read. What is left of one stands before the next request on its
//! connection: a little is read and thrown away, as by Go's HTTP server; with more the connection
//! has to end, and its client has to know.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Version};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;

use crate::timers;

/// How much is read and thrown away, and for how long.
pub const MOST: usize = 256 << 10;
/// The same of a call that was refused for want of room: its client is to hear when to come back,
/// and a connection that is closed while its peer still sends loses what was answered.
pub const MOST_OF_REFUSED: usize = 16 << 20;
const PATIENCE: Duration = Duration::from_secs(1);

/// A request's body in a handler's hands.
#[derive(Debug)]
pub struct Lent<B: Body> {
    body: Option<B>,
    rest: Option<Arc<Mutex<Option<B>>>>,
}

/// What a handler leaves of a body.
#[derive(Debug)]
pub struct Rest<B> {
    left: Arc<Mutex<Option<B>>>,
}

/// Hands out the body of a request, and what is left of it later; `None` where nothing can be left
/// or where it disturbs nobody.
pub fn lend<B: Body>(request: Request<B>) -> (Request<Lent<B>>, Option<Rest<B>>) {
    let nothing_left = request.body().is_end_stream() || request.version() >= Version::HTTP_2;
    let left = (!nothing_left).then(|| Arc::new(Mutex::new(None)));
    let rest = left.clone().map(|left| Rest { left });
    (request.map(|body| Lent { body: Some(body), rest: left }), rest)
}

impl<B: Body> Rest<B> {
    /// What the handler left, if it left anything.
    pub fn unread(self) -> Option<Unread<B>> {
        self.left.lock().unwrap_or_else(PoisonError::into_inner).take().map(Unread)
    }
}

/// A body that is in the way.
#[derive(Debug)]
pub struct Unread<B>(B);

impl<B: Body<Data = Bytes> + Unpin> Unread<B> {
    /// Reads it, if it is no more than `most`; false if the connection cannot go on. A client that
    /// waits for "100 Continue" is told to go on: it may as well have sent its body without waiting,
    /// and closing on unread bytes would cost it the answer.
    pub async fn is_done(self, most: usize) -> bool {
        if self.0.size_hint().lower() > most as u64 {
            return false;
        }
        timers::timeout(PATIENCE, ends_soon(self.0, most)).await.unwrap_or(false)
    }
}

async fn ends_soon<B: Body<Data = Bytes> + Unpin>(mut body: B, most: usize) -> bool {
    let mut read = 0;
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else { return false };
        read += frame.data_ref().map_or(0, Bytes::len);
        if read > most {
            return false;
        }
    }
    true
}

impl<B: Body + Unpin> Body for Lent<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let this = self.get_mut();
        let Some(body) = &mut this.body else { return Poll::Ready(None) };
        let frame = ready!(Pin::new(body).poll_frame(cx));
        if frame.is_none() {
            this.body = None;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}

impl<B: Body> Drop for Lent<B> {
    fn drop(&mut self) {
        if let (Some(body), Some(rest)) = (self.body.take(), &self.rest)
            && !body.is_end_stream()
        {
            *rest.lock().unwrap_or_else(PoisonError::into_inner) = Some(body);
        }
    }
}
