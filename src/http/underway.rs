//! A call under way: its handler at work, and what its answer will need. Nothing in here has the
//! request.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use axum::body::Body;
use futures_util::future::BoxFuture;
use http::{HeaderValue, Response, StatusCode, header};
use http_body::Body as _;
use hyper::body::Incoming;

use crate::{
    edge::{
        admission::{self, Load},
        answer::{Answer, Ending},
        drain::CallGuard,
        unread::{self, Rest, Unread},
    },
    http::{
        Echoed, Edge,
        call_log::Entry,
        cors::Cors,
        error::{self, ErrorBody},
    },
    metrics::http::InFlight,
};

const ANSWERED_ONCE: &str = "invariant: a call is answered once";

/// Says that the connection ends behind this answer.
pub(super) const CLOSE: HeaderValue = HeaderValue::from_static("close");

/// What answers a call.
pub(super) enum Handling {
    /// Nobody has to be asked; `None` when the answer was given.
    Answered(Option<Response<Body>>),
    /// A handler at work.
    Handler(BoxFuture<'static, Response<Body>>),
    /// The answer waits until what is left of its request was read.
    Reading(BoxFuture<'static, Response<Answer<Body>>>),
}

/// An answer for whose bytes there is room.
fn held(response: Response<Body>) -> Response<Body> {
    let size = response.body().size_hint().lower();
    match admission::hold_answer(usize::try_from(size).unwrap_or(usize::MAX)) {
        Ok(()) => response,
        Err(refusal) => error::overloaded(refusal),
    }
}

/// What was noted of a request for its answer.
#[derive(Default)]
pub(super) struct Noted {
    /// What the answer repeats.
    pub(super) echoed: Echoed,
    /// Who tells the page that asks whether it may read the answer, and what; `None` where nobody
    /// does, or where the answer is about nothing else.
    pub(super) origin: Option<Option<HeaderValue>>,
    /// What counts the call.
    pub(super) counted: Option<InFlight>,
    /// The call's line in the log, if it has one.
    pub(super) entry: Option<Entry>,
}

/// A call under way, with all that its answer will need. A future by hand: one that is made of
/// `async` has what it was given twice.
pub(super) struct Underway {
    /// Whose call it is.
    pub(super) edge: Arc<Edge>,
    /// What answers it.
    pub(super) handling: Handling,
    /// What was noted of its request.
    pub(super) noted: Noted,
    /// What the handler leaves of the body.
    pub(super) rest: Option<Rest<Incoming>>,
    /// What shutdown waits for.
    pub(super) call: Option<CallGuard>,
    /// What it weighs; it is elsewhere while the handler runs and when there was an answer.
    pub(super) load: Option<Load>,
}

impl Underway {
    /// Works at the call until its handler has answered.
    fn poll_handler(&mut self, cx: &mut Context<'_>) -> Poll<Response<Body>> {
        let handler = match &mut self.handling {
            Handling::Answered(response) => {
                return Poll::Ready(response.take().expect(ANSWERED_ONCE));
            }
            Handling::Handler(handler) => handler,
            Handling::Reading(_) => unreachable!("{ANSWERED_ONCE}"),
        };
        let load = self.load.take().expect(ANSWERED_ONCE);
        // The panic of a handler costs this call and nothing else.
        let (handled, load) = load.carry(|| handler.as_mut().poll(cx).map(held));
        let load = self.load.insert(load);
        let response = match handled {
            Ok(polled) => ready!(polled),
            Err(_panic) => {
                // What the panic says, and the path, may hold keys and values.
                tracing::error!(target: "dapr.runtime", "An HTTP handler panicked; its call is lost");
                ErrorBody::new("ERROR", "the handler failed unexpectedly")
                    .with_status(StatusCode::INTERNAL_SERVER_ERROR)
            }
        };
        load.drop_request();
        // With the handler goes its part of the body.
        self.handling = Handling::Answered(None);
        Poll::Ready(response)
    }

    /// Adds to an answer what was noted of the request.
    fn finish(&mut self, response: &mut Response<Body>) {
        let Noted { echoed, origin, counted, entry } = std::mem::take(&mut self.noted);
        if let Some(entry) = entry {
            entry.end(response);
        }
        if let Some(allowed) = origin {
            Cors::mark(allowed, response.headers_mut());
        }
        if let Some(counted) = counted {
            self.edge.end(counted, response);
        }
        echoed.write(response.headers_mut());
    }
}

impl Future for Underway {
    type Output = Response<Answer<Body>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        if let Handling::Reading(answer) = &mut this.handling {
            return answer.as_mut().poll(cx);
        }
        let mut response = ready!(this.poll_handler(cx));
        this.finish(&mut response);
        let ending = Ending { call: this.call.take(), load: this.load.take() };
        let Some(unread) = this.rest.take().and_then(Rest::unread) else {
            return Poll::Ready(response.map(|body| Answer::new(body, ending)));
        };
        let mut reading = Box::pin(behind(unread, response, ending));
        let polled = reading.as_mut().poll(cx);
        this.handling = Handling::Reading(reading);
        polled
    }
}

/// The answer behind what its handler left of the request.
async fn behind(
    unread: Unread<Incoming>,
    mut response: Response<Body>,
    ending: Ending,
) -> Response<Answer<Body>> {
    let refused = response.status() == StatusCode::TOO_MANY_REQUESTS;
    let most = if refused { unread::MOST_OF_REFUSED } else { unread::MOST };
    if !unread.is_done(most).await {
        response.headers_mut().insert(header::CONNECTION, CLOSE);
    }
    response.map(|body| Answer::new(body, ending))
}
