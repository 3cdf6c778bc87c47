//! Why a call failed, as the report counts it.

use std::borrow::Cow;

/// Why a call failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Failure {
    /// There was no connection and none could be made.
    NotConnected,
    /// The connection or the stream broke before the answer was whole.
    BrokenOff,
    /// gRPC's code, if it is not OK.
    Grpc(u8),
    /// HTTP's status, if it is not the right one.
    Http(u16),
    /// The status was right and the content was not.
    WrongContent,
    /// The run ended before the answer came.
    Unanswered,
    /// The run ended before the call could start.
    NotStarted,
}

const CODES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

impl Failure {
    /// The name in the report.
    pub fn name(self) -> Cow<'static, str> {
        match self {
            Self::NotConnected => "not_connected".into(),
            Self::BrokenOff => "broken_off".into(),
            Self::WrongContent => "wrong_content".into(),
            Self::Unanswered => "unanswered".into(),
            Self::NotStarted => "not_started".into(),
            Self::Http(status) => status.to_string().into(),
            Self::Grpc(code) => CODES
                .get(usize::from(code))
                .map_or_else(|| format!("grpc_{code}").into(), |name| (*name).into()),
        }
    }

    /// Whether trying again at once would only fail again.
    pub fn is_of_the_connection(self) -> bool {
        matches!(self, Self::NotConnected | Self::BrokenOff)
    }
}
