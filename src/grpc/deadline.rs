//! How long a caller waits: `grpc-timeout`, counted from the moment its headers are here, and the
//! body that is not waited for any longer.

use std::{
    error::Error,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, HeaderName};
use http_body::{Body, Frame, SizeHint};
use tokio::time::{Instant, Sleep};
use tonic::Status;

use crate::{go_text, timers};

const HEADER: HeaderName = HeaderName::from_static("grpc-timeout");

/// When the caller of a request stops waiting. It travels with the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadline(pub Instant);

/// Why a text is no timeout, in the words of Go's gRPC.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TimeoutError {
    /// A digit or the unit is missing.
    #[error("transport: timeout string is too short: {}", go_text::quote(.0))]
    TooShort(String),
    /// More than eight digits.
    #[error("transport: timeout string is too long: {}", go_text::quote(.0))]
    TooLong(String),
    /// None of `H M S m u n`.
    #[error("transport: timeout unit is not recognized: {}", go_text::quote(.0))]
    Unit(String),
    /// Something else than digits before the unit.
    #[error("strconv.ParseUint: parsing {}: invalid syntax", go_text::quote(.0))]
    Digits(String),
}

impl Deadline {
    /// What the headers of a request that came `now` say; the last of several timeouts counts.
    pub fn from_headers(headers: &HeaderMap, now: Instant) -> Result<Option<Self>, TimeoutError> {
        let mut deadline = None;
        for value in headers.get_all(HEADER) {
            let timeout = parse(&String::from_utf8_lossy(value.as_bytes()))?;
            // A time too far away for the clock is never.
            deadline = now.checked_add(timeout).map(Self);
        }
        Ok(deadline)
    }
}

fn parse(text: &str) -> Result<Duration, TimeoutError> {
    let whole = || text.to_owned();
    match text.len() {
        0 | 1 => return Err(TimeoutError::TooShort(whole())),
        2..=9 => {}
        _ => return Err(TimeoutError::TooLong(whole())),
    }
    let of: fn(u64) -> Duration = match text.as_bytes()[text.len() - 1] {
        b'H' => |count| Duration::from_secs(count * 3600),
        b'M' => |count| Duration::from_secs(count * 60),
        b'S' => Duration::from_secs,
        b'm' => Duration::from_millis,
        b'u' => Duration::from_micros,
        b'n' => Duration::from_nanos,
        _ => return Err(TimeoutError::Unit(whole())),
    };
    let digits = &text[..text.len() - 1];
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(TimeoutError::Digits(digits.to_owned()));
    }
    digits.parse().map(of).map_err(|_| TimeoutError::Digits(digits.to_owned()))
}

/// A request's body that ends with an error when its sender stops waiting.
#[derive(Debug)]
pub struct Timely<B> {
    body: B,
    deadline: Option<Deadline>,
    /// Only there once the body was waited for: most are complete when they are first asked.
    timer: Option<Pin<Box<Sleep>>>,
}

impl<B> Timely<B> {
    /// `body`, waited for until `deadline`; `None` means for ever.
    pub fn new(body: B, deadline: Option<Deadline>) -> Self {
        Self { body, deadline, timer: None }
    }
}

impl<B> Body for Timely<B>
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
        if let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(cx) {
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        let Some(Deadline(deadline)) = this.deadline else { return Poll::Pending };
        let timer = this.timer.get_or_insert_with(|| Box::pin(timers::sleep_until(deadline)));
        ready!(timer.as_mut().poll(cx));
        let status = Status::deadline_exceeded("context deadline exceeded");
        Poll::Ready(Some(Err(status.into())))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(values: &[&str]) -> HeaderMap {
        values.iter().map(|value| (HEADER, value.parse().unwrap())).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn a_timeout_is_up_to_eight_digits_and_a_unit() {
        let now = Instant::now();
        for (text, expected) in [
            ("1H", Duration::from_secs(3600)),
            ("99999999H", Duration::from_secs(99_999_999 * 3600)),
            ("2M", Duration::from_secs(120)),
            ("99999999S", Duration::from_secs(99_999_999)),
            ("00000010S", Duration::from_secs(10)),
            ("250m", Duration::from_millis(250)),
            ("7u", Duration::from_micros(7)),
            ("7n", Duration::from_nanos(7)),
            ("0n", Duration::ZERO),
        ] {
            let found = Deadline::from_headers(&headers(&[text]), now);
            assert_eq!(found, Ok(Some(Deadline(now + expected))), "{text}");
        }
        assert_eq!(Deadline::from_headers(&headers(&[]), now), Ok(None));
        let last = Deadline::from_headers(&headers(&["1H", "1S"]), now);
        assert_eq!(last, Ok(Some(Deadline(now + Duration::from_secs(1)))));
    }

    #[test]
    fn anything_else_is_refused_in_the_words_of_gos_grpc() {
        for (text, expected) in [
            ("", r#"transport: timeout string is too short: """#),
            ("S", r#"transport: timeout string is too short: "S""#),
            ("100000000S", r#"transport: timeout string is too long: "100000000S""#),
            ("15", r#"transport: timeout unit is not recognized: "15""#),
            ("1s", r#"transport: timeout unit is not recognized: "1s""#),
            ("1é", r#"transport: timeout unit is not recognized: "1é""#),
            ("-1S", r#"strconv.ParseUint: parsing "-1": invalid syntax"#),
            ("+1S", r#"strconv.ParseUint: parsing "+1": invalid syntax"#),
            ("1.5S", r#"strconv.ParseUint: parsing "1.5": invalid syntax"#),
            ("1 S", r#"strconv.ParseUint: parsing "1 ": invalid syntax"#),
        ] {
            assert_eq!(parse(text).unwrap_err().to_string(), expected);
        }
    }
}
