//! A call under way: its handler at work, and what its answer will need. Nothing in here has the
//! request.

use std::{convert::Infallible, panic::AssertUnwindSafe, pin::pin};

use futures_util::FutureExt as _;
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
    answer: Handled,
    /// What it handles.
    method: &'static str,
    compressed: Option<Option<usize>>,
}

impl Handling {
    /// A method of the service; `compressed` is the limit of its messages if its request was.
    pub(super) fn new(
        method: &'static str,
        answer: Handled,
        compressed: Option<Option<usize>>,
    ) -> Self {
        Self { answer, method, compressed }
    }

    /// What answers in the place of the service's methods.
    pub(super) fn of(
        answer: impl Future<Output = Result<Response<Body>, Infallible>> + Send + 'static,
    ) -> Self {
        Self { answer: Box::pin(answer), method: "another service", compressed: None }
    }

    /// Runs the handler. Its panic costs this call and nothing else.
    async fn finish(&mut self) -> Response<Body> {
        match AssertUnwindSafe(&mut self.answer).catch_unwind().await {
            Ok(Ok(response)) => match self.compressed {
                Some(limit) => limits::reword_decompression(response, limit),
                None => response,
            },
            Ok(Err(never)) => match never {},
            Err(_panic) => {
                let method = self.method;
                // What the panic says may quote the request.
                tracing::error!(target: "dapr.runtime", method, "The handler of {method} panicked; its call is lost");
                refusal::panicked(method).into_http()
            }
        }
    }
}

/// A call under way, with all that its answer will need.
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
    /// What it weighs.
    pub(super) load: Load,
}

impl Underway {
    /// Waits for the answer.
    pub(super) async fn answer(mut self) -> Response<Answer<Metered>> {
        let (mut response, load) = self.load.carry(pin!(self.handling.finish())).await;
        if let Some(entry) = self.entry {
            entry.end(&response);
        }
        if let Some(value) = self.trace {
            response.headers_mut().insert(trace::HEADER, value);
        }
        if let Some(value) = self.baggage {
            response.headers_mut().insert(BAGGAGE_HEADER, value);
        }
        let messages = self.counted.as_ref().map(Rpc::messages);
        if let Some(counted) = self.counted {
            counted.answer(call_log::code(&response));
        }
        let ending = Ending { call: self.call, load: Some(load) };
        response.map(|body| Answer::new(Metered::new(body, messages), ending))
    }
}
