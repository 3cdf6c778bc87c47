//! A call under way: its handler at work, and what its answer will need. Nothing in here has the
//! request.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

use http::{HeaderValue, Response};
use tonic::{body::Body, codegen::BoxFuture};

use crate::{
    edge::{
        admission::Load,
        answer::{Answer, Ending},
        baggage::BAGGAGE_HEADER,
        drain::CallGuard,
    },
    grpc::{
        call_log::{self, Entry},
        limits,
        meter::Metered,
        refusal, trace,
    },
    metrics::grpc::Rpc,
};

/// What handlers answer with.
pub(super) type Handled = BoxFuture<Response<Body>, Infallible>;

/// A handler at work.
pub(super) struct Handling {
    handler: Handled,
    /// What it handles.
    method: &'static str,
    compressed: Option<Option<usize>>,
}

impl Handling {
    /// A method of the service; `compressed` is the limit of its messages if its request was.
    pub(super) fn new(
        method: &'static str,
        handler: Handled,
        compressed: Option<Option<usize>>,
    ) -> Self {
        Self { handler, method, compressed }
    }

    /// What answers in the place of the service's methods.
    pub(super) fn of(
        answer: impl Future<Output = Result<Response<Body>, Infallible>> + Send + 'static,
    ) -> Self {
        Self { handler: Box::pin(answer), method: "another service", compressed: None }
    }

    /// The answer, if the handler did not panic.
    fn answer<P>(&self, handled: Result<Response<Body>, P>) -> Response<Body> {
        match (handled, self.compressed) {
            (Ok(response), Some(limit)) => limits::reword_decompression(response, limit),
            (Ok(response), None) => response,
            (Err(_panic), _) => {
                let method = self.method;
                // What the panic says may quote the request.
                tracing::error!(target: "dapr.runtime", method, "The handler of {method} panicked; its call is lost");
                refusal::panicked(method).into_http()
            }
        }
    }
}

/// A call under way, with all that its answer will need. A future by hand: one that is made of
/// `async` has what it was given twice.
pub(super) struct Underway {
    /// What answers it.
    pub(super) handling: Handling,
    /// Its line in the log, if it has one.
    pub(super) entry: Option<Entry>,
    /// The trace context that the answer repeats.
    pub(super) trace: Option<HeaderValue>,
    /// The baggage that the answer repeats.
    pub(super) baggage: Option<HeaderValue>,
    /// What counts it.
    pub(super) counted: Option<Rpc>,
    /// What shutdown waits for.
    pub(super) call: Option<CallGuard>,
    /// What it weighs; it is elsewhere while the handler runs and when there was an answer.
    pub(super) load: Option<Load>,
}

impl Underway {
    fn answered(&mut self, mut response: Response<Body>, load: Load) -> Response<Answer<Metered>> {
        load.drop_request();
        if let Some(entry) = self.entry.take() {
            entry.end(&response);
        }
        if let Some(value) = self.trace.take() {
            response.headers_mut().insert(trace::HEADER, value);
        }
        if let Some(value) = self.baggage.take() {
            response.headers_mut().insert(BAGGAGE_HEADER, value);
        }
        let messages = self.counted.as_ref().map(Rpc::messages);
        if let Some(counted) = self.counted.take() {
            counted.answer(call_log::code(&response));
        }
        let ending = Ending { call: self.call.take(), load: Some(load) };
        response.map(|body| Answer::new(Metered::new(body, messages), ending))
    }
}

impl Future for Underway {
    type Output = Response<Answer<Metered>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let load = this.load.take().expect("invariant: a call is answered once");
        // The panic of a handler costs this call and nothing else.
        let (handled, load) = load.carry(|| this.handling.handler.as_mut().poll(cx));
        let handled = match handled {
            Ok(Poll::Pending) => {
                this.load = Some(load);
                return Poll::Pending;
            }
            Ok(Poll::Ready(Ok(response))) => Ok(response),
            Ok(Poll::Ready(Err(never))) => match never {},
            Err(panic) => Err(panic),
        };
        let response = this.handling.answer(handled);
        Poll::Ready(this.answered(response, load))
    }
}
