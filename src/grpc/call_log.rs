//! A line of the log for each call, where somebody asked for it. It names the RPC and nothing that
//! is in the message.

use http::{HeaderName, Request, Response, header};
use tokio::time::Instant;
use tonic::Code;

/// A call under way that is told about at its end. Dropped before it was answered, it says that
/// the caller took the call back.
pub(super) struct Entry {
    method: String,
    user_agent: Option<String>,
    begun: Instant,
    code: usize,
}

impl Entry {
    pub(super) fn begin<B>(request: &Request<B>) -> Self {
        let user_agent = request.headers().get(header::USER_AGENT);
        Self {
            method: request.uri().path().to_owned(),
            user_agent: user_agent
                .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()),
            begun: Instant::now(),
            code: Code::Cancelled as usize,
        }
    }

    pub(super) fn end<B>(mut self, response: &Response<B>) {
        self.code = code(response);
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let elapsed = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        tracing::info!(
            target: "dapr.runtime.grpc.api-info",
            method = self.method,
            code = self.code,
            duration = elapsed,
            useragent = self.user_agent,
            "gRPC API Called"
        );
    }
}

const STATUS: HeaderName = HeaderName::from_static("grpc-status");

/// An error's code stands among the headers; a success has it behind its message.
pub(super) fn code<B>(response: &Response<B>) -> usize {
    let text = response.headers().get(STATUS).and_then(|value| value.to_str().ok());
    text.and_then(|text| text.parse().ok()).unwrap_or(0)
}
