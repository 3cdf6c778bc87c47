//! What a caller is told, in the words of both protocols.

use crate::api::error::WriteFailureKind;

/// What a caller is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Told {
    /// Over gRPC.
    pub grpc: GrpcCode,
    /// The status over HTTP; `None` where it cannot happen there.
    pub http: Option<u16>,
}

/// Those of gRPC's codes that stand in the table, by their numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "gRPC says what its codes are")]
pub enum GrpcCode {
    Ok = 0,
    InvalidArgument = 3,
    DeadlineExceeded = 4,
    ResourceExhausted = 8,
    Aborted = 10,
    Internal = 13,
}

impl GrpcCode {
    /// As gRPC spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::InvalidArgument => "INVALID_ARGUMENT",
            Self::DeadlineExceeded => "DEADLINE_EXCEEDED",
            Self::ResourceExhausted => "RESOURCE_EXHAUSTED",
            Self::Aborted => "ABORTED",
            Self::Internal => "INTERNAL",
        }
    }
}

impl WriteFailureKind {
    /// The code and the status for it.
    pub fn told(self) -> Told {
        let (grpc, http) = match self {
            Self::Conflict => (GrpcCode::Aborted, Some(409)),
            Self::InvalidEtag => (GrpcCode::InvalidArgument, Some(400)),
            Self::OutOfTime => (GrpcCode::DeadlineExceeded, None),
            Self::Internal => (GrpcCode::Internal, Some(500)),
        };
        Told { grpc, http }
    }
}
