//! Bodies of answers that keep their call counted until the last of them was taken.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use crate::edge::{admission::Load, drain::CallGuard};

/// The largest piece that is handed to a connection at once. What was handed over waits there
/// until its client reads on; what was not is still counted.
const PIECE: usize = 64 << 10;

/// What ends with an answer.
#[derive(Debug, Default)]
pub struct Ending {
    /// What shutdown waits for, if it does for this call.
    pub call: Option<CallGuard>,
    /// What the call weighs, if it is counted.
    pub load: Option<Load>,
}

/// An answer's body.
#[derive(Debug)]
pub struct Answer<B> {
    body: B,
    /// What is left of the body's last piece.
    rest: Bytes,
    ending: Option<Ending>,
}

impl<B> Answer<B> {
    /// `body`, holding `ending` until it has ended or is dropped.
    pub fn new(body: B, ending: Ending) -> Self {
        Self { body, rest: Bytes::new(), ending: Some(ending) }
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for Answer<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let this = self.get_mut();
        if this.rest.is_empty() {
            let frame = match ready!(Pin::new(&mut this.body).poll_frame(cx)) {
                Some(Ok(frame)) => frame,
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => {
                    this.ending = None;
                    return Poll::Ready(None);
                }
            };
            match frame.into_data() {
                Ok(data) if data.len() > PIECE => this.rest = data,
                Ok(data) => return Poll::Ready(Some(Ok(Frame::data(data)))),
                Err(other) => return Poll::Ready(Some(Ok(other))),
            }
        }
        let piece = this.rest.split_to(PIECE.min(this.rest.len()));
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let rest = self.rest.len() as u64;
        let behind = self.body.size_hint();
        let mut hint = SizeHint::new();
        if let Some(upper) = behind.upper() {
            hint.set_upper(upper + rest);
        }
        hint.set_lower(behind.lower() + rest);
        hint
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::{BodyExt as _, Full};

    use super::*;
    use crate::edge::{admission::Admission, drain::Drain};

    fn answer(length: usize, drain: &Drain, admission: &Admission) -> Answer<Full<Bytes>> {
        let load = admission.begin();
        load.enter().unwrap();
        let ending = Ending { call: Some(drain.enter_call()), load: Some(load) };
        Answer::new(Full::new(Bytes::from(vec![b'x'; length])), ending)
    }

    #[tokio::test]
    async fn an_answer_lets_go_when_it_ended_or_was_dropped() {
        let (drain, admission) = (Drain::default(), Admission::default());
        let counts = || (drain.calls_in_flight(), admission.snapshot().calls.current);
        let mut read = answer(1, &drain, &admission);
        let dropped = answer(1, &drain, &admission);
        assert_eq!(counts(), (2, 2));
        drop(dropped);
        assert_eq!(counts(), (1, 1));
        read.frame().await.unwrap().unwrap();
        assert!(read.frame().await.is_none());
        assert_eq!(counts(), (0, 0));
    }

    #[tokio::test]
    async fn a_large_answer_goes_in_pieces_and_counts_until_the_last() {
        let (drain, admission) = (Drain::default(), Admission::default());
        let whole = 2 * PIECE + 1;
        let mut answer = answer(whole, &drain, &admission);
        let mut left = whole as u64;
        for expected in [PIECE, PIECE, 1] {
            assert_eq!(answer.size_hint().exact(), Some(left));
            assert!(!answer.is_end_stream());
            let piece = answer.frame().await.unwrap().unwrap().into_data().unwrap();
            assert_eq!(piece.len(), expected);
            left -= expected as u64;
            assert_eq!(drain.calls_in_flight(), 1);
        }
        assert!(answer.is_end_stream());
        assert!(answer.frame().await.is_none());
        assert_eq!(drain.calls_in_flight(), 0);
    }
}
