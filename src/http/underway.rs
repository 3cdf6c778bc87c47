//! A call under way: its handler at work, and what its answer will need. Nothing in here has the
//! request.

use std::{panic::AssertUnwindSafe, pin::pin, sync::Arc};

use axum::body::Body;
use futures_util::{FutureExt as _, future::BoxFuture};
use http::{HeaderValue, Response, StatusCode, header};
use http_body::Body as _;
use hyper::body::Incoming;

use crate::{
    edge::{
        admission::{self, Load},
        answer::{Answer, Ending},
        drain::CallGuard,
        unread::{self, Rest},
    },
    http::{
        Echoed, Edge,
        call_log::Entry,
        cors::Cors,
        error::{self, ErrorBody},
    },
    metrics::http::InFlight,
};

/// Says that the connection ends behind this answer.
pub(super) const CLOSE: HeaderValue = HeaderValue::from_static("close");

/// What answers a call.
pub(super) enum Handling {
    /// Nobody had to be asked.
    Answered(Response<Body>),
    /// A handler at work, and the line of its call in the log.
    Handler(BoxFuture<'static, Response<Body>>, Option<Entry>),
}

impl Handling {
    /// Waits for the handler. Its panic costs this call and nothing else.
    async fn finish(self) -> Response<Body> {
        let (handler, entry) = match self {
            Self::Answered(response) => return response,
            Self::Handler(handler, entry) => (handler, entry),
        };
        let response = match AssertUnwindSafe(handler).catch_unwind().await {
            Ok(response) => held(response),
            Err(_panic) => {
                // What the panic says, and the path, may hold keys and values.
                tracing::error!(target: "dapr.runtime", "An HTTP handler panicked; its call is lost");
                ErrorBody::new("ERROR", "the handler failed unexpectedly")
                    .with_status(StatusCode::INTERNAL_SERVER_ERROR)
            }
        };
        if let Some(entry) = entry {
            entry.end(&response);
        }
        response
    }
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
}

/// A call under way, with all that its answer will need.
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
    pub(super) call: CallGuard,
    /// What it weighs.
    pub(super) load: Load,
}

impl Underway {
    /// Waits for the answer.
    pub(super) async fn answer(self) -> Response<Answer<Body>> {
        let (mut response, load) = self.load.carry(pin!(self.handling.finish())).await;
        let Noted { echoed, origin, counted } = self.noted;
        if let Some(allowed) = origin {
            Cors::mark(allowed, response.headers_mut());
        }
        if let Some(counted) = counted {
            self.edge.end(counted, &response);
        }
        echoed.write(response.headers_mut());
        let refused = response.status() == StatusCode::TOO_MANY_REQUESTS;
        let most = if refused { unread::MOST_OF_REFUSED } else { unread::MOST };
        if let Some(rest) = self.rest
            && !rest.is_done(most).await
        {
            response.headers_mut().insert(header::CONNECTION, CLOSE);
        }
        let ending = Ending { call: Some(self.call), load: Some(load) };
        response.map(|body| Answer::new(body, ending))
    }
}
