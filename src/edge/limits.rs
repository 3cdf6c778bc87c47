//! How large a request may be: its head, and its body, which is counted while it is read.

use std::{future::poll_fn, pin::Pin, task::Poll, time::Duration};

use bytes::{Buf as _, Bytes, BytesMut};
use http::Request;
use http_body::Body;
use http_body_util::BodyExt as _;
use tokio::time::error::Elapsed;

use crate::{
    edge::admission::{self, Refusal},
    timers,
};

/// How much of an oversized body is read and thrown away, so that its sender gets to hear the
/// answer: a connection that is closed while its peer still sends loses what was answered.
const DISCARDED: usize = 16 << 20;

/// How long nothing of a body may come.
const SILENCE: Duration = Duration::from_secs(30);

/// Go's HTTP server, and so Dapr's, lets a head be this much larger than it is told.
const HEAD_SLACK: usize = 4096;

/// How large a request's head may be, given the value of `--read-buffer-size`.
pub fn head_limit(read_buffer_size: usize) -> usize {
    read_buffer_size.saturating_add(HEAD_SLACK)
}

/// The size of a request's head as HTTP/1.1 writes it.
pub fn head_size<B>(request: &Request<B>) -> usize {
    let uri = request.uri();
    let target = uri.path().len() + uri.query().map_or(0, |query| query.len() + 1);
    let first_line = request.method().as_str().len() + target + "  HTTP/1.1\r\n".len();
    let headers = request.headers().iter();
    let lines = headers.map(|(name, value)| name.as_str().len() + value.len() + ": \r\n".len());
    first_line + lines.sum::<usize>() + "\r\n".len()
}

/// Why a body was not read.
#[derive(Debug, thiserror::Error)]
pub enum BodyError<E> {
    /// It is larger than it may be. As Dapr words it.
    #[error("stream too large")]
    TooLarge,
    /// Its sender stopped sending.
    #[error("nothing of the body came for {} s", SILENCE.as_secs())]
    Silent,
    /// There is no room for it now.
    #[error("{0}")]
    Refused(Refusal),
    /// The connection failed, or what it carries is not HTTP.
    #[error("{0}")]
    Broken(E),
}

/// Reads a whole body of at most `limit` bytes; `None` means any length.
pub async fn read_body<B>(body: B, limit: Option<usize>) -> Result<Bytes, BodyError<B::Error>>
where
    B: Body<Data = Bytes> + Unpin,
{
    let limit = limit.unwrap_or(usize::MAX);
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if announced > limit {
        Box::pin(discard(body)).await;
        return Err(BodyError::TooLarge);
    }
    admission::announce_request(announced).map_err(BodyError::Refused)?;
    let mut body = body;
    let Some(first) = next_counted(&mut body).await? else { return Ok(Bytes::new()) };
    let Some(second) = next_counted(&mut body).await? else {
        return if first.len() <= limit { Ok(first) } else { Err(BodyError::TooLarge) };
    };
    let mut whole = BytesMut::with_capacity(announced.max(first.len() + second.len()));
    let mut rest = Some(second);
    whole.extend_from_slice(&first);
    while let Some(data) = rest {
        if whole.len().saturating_add(data.len()) > limit {
            drop(whole);
            Box::pin(discard(body)).await;
            return Err(BodyError::TooLarge);
        }
        whole.extend_from_slice(&data);
        rest = next_counted(&mut body).await?;
    }
    Ok(whole.freeze())
}

/// The next piece, which stays in memory: if there is room for it.
async fn next_counted<B>(body: &mut B) -> Result<Option<Bytes>, BodyError<B::Error>>
where
    B: Body<Data = Bytes> + Unpin,
{
    let data = next_data(body).await?;
    if let Some(data) = &data {
        admission::hold_request(data.len()).map_err(BodyError::Refused)?;
    }
    Ok(data)
}

/// The next piece that is not empty; trailers say nothing to us.
async fn next_data<B>(body: &mut B) -> Result<Option<Bytes>, BodyError<B::Error>>
where
    B: Body<Data = Bytes> + Unpin,
{
    loop {
        let frame = before_silence(body.frame()).await;
        let Some(frame) = frame.map_err(|_| BodyError::Silent)? else { return Ok(None) };
        if let Ok(data) = frame.map_err(BodyError::Broken)?.into_data()
            && data.has_remaining()
        {
            return Ok(Some(data));
        }
    }
}

/// Waits for a piece of a body, but not forever. No timer is set up for one that is there at the
/// second look: hyper hands over what it has only after somebody has asked.
async fn before_silence<F: Future + Unpin>(mut piece: F) -> Result<F::Output, Elapsed> {
    let mut has_looked = false;
    let early = poll_fn(|cx| match Pin::new(&mut piece).poll(cx) {
        Poll::Ready(piece) => Poll::Ready(Some(piece)),
        Poll::Pending if has_looked => Poll::Ready(None),
        Poll::Pending => {
            has_looked = true;
            cx.waker().wake_by_ref();
            Poll::Pending
        }
    });
    match early.await {
        Some(piece) => Ok(piece),
        None => timers::timeout(SILENCE, piece).await,
    }
}

async fn discard<B: Body<Data = Bytes> + Unpin>(mut body: B) {
    let mut left = DISCARDED;
    while let Ok(Some(data)) = next_data(&mut body).await {
        left = left.saturating_sub(data.len());
        if left == 0 {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::VecDeque, convert::Infallible};

    use futures_util::{StreamExt as _, stream};
    use http_body::Frame;
    use http_body_util::{Full, StreamBody};

    use super::*;

    async fn read_pieces(pieces: &[&str], limit: Option<usize>) -> Option<String> {
        let pieces: VecDeque<_> = pieces.iter().map(|piece| (*piece).to_owned()).collect();
        let body = StreamBody::new(stream::iter(
            pieces.into_iter().map(|piece| Ok::<_, Infallible>(Frame::data(Bytes::from(piece)))),
        ));
        match read_body(body, limit).await {
            Ok(bytes) => Some(String::from_utf8(bytes.to_vec()).unwrap()),
            Err(BodyError::TooLarge) => None,
            Err(error @ (BodyError::Refused(_) | BodyError::Silent)) => panic!("{error}"),
            Err(BodyError::Broken(never)) => match never {},
        }
    }

    #[test]
    fn a_head_is_as_large_as_its_bytes() {
        let text = "GET /a?b HTTP/1.1\r\nhost: x\r\nx-y: zz\r\n\r\n";
        let request = Request::get("/a?b").header("host", "x").header("x-y", "zz").body(());
        assert_eq!(head_size(&request.unwrap()), text.len());
    }

    #[tokio::test]
    async fn exactly_the_limit_passes_and_one_byte_more_does_not() {
        for (pieces, passes) in [
            (&["abcd"][..], true),
            (&["abcde"], false),
            (&["ab", "cd"], true),
            (&["ab", "", "c", "d"], true),
            (&["abcd", "e"], false),
            (&["ab", "cd", "e"], false),
            (&[], true),
        ] {
            let expected = passes.then(|| pieces.concat());
            assert_eq!(read_pieces(pieces, Some(4)).await, expected, "{pieces:?}");
        }
    }

    #[tokio::test]
    async fn without_a_limit_everything_passes() {
        assert_eq!(read_pieces(&["abc", "def"], None).await.unwrap(), "abcdef");
    }

    #[tokio::test]
    async fn an_announced_length_is_refused_at_once() {
        let body = Full::new(Bytes::from_static(b"abcde"));
        assert!(matches!(read_body(body, Some(4)).await, Err(BodyError::TooLarge)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_stops_coming_is_given_up() {
        let begun = stream::iter([Ok::<_, Infallible>(Frame::data(Bytes::from("abc")))]);
        let body = StreamBody::new(begun.chain(stream::pending()));
        let error = read_body(body, None).await.unwrap_err();
        assert_eq!(error.to_string(), "nothing of the body came for 30 s");
    }
}
