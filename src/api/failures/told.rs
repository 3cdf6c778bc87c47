//! What a caller is told, in the words of both protocols.

use super::Operation;
use crate::metrics::component::Class;

/// What a caller is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Told {
    /// Over gRPC.
    pub grpc: GrpcCode,
    /// The status over HTTP.
    pub http: u16,
}

/// Those of gRPC's codes that stand in the table, by their numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "gRPC says what its codes are")]
pub enum GrpcCode {
    Ok = 0,
    Unknown = 2,
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
            Self::Unknown => "UNKNOWN",
            Self::InvalidArgument => "INVALID_ARGUMENT",
            Self::DeadlineExceeded => "DEADLINE_EXCEEDED",
            Self::ResourceExhausted => "RESOURCE_EXHAUSTED",
            Self::Aborted => "ABORTED",
            Self::Internal => "INTERNAL",
        }
    }
}

impl Class {
    /// What the caller of this operation is told about a call of this class.
    pub fn told(self, operation: Operation) -> Told {
        let (grpc, http) = match (self, operation) {
            (Self::Ok, _) => (GrpcCode::Ok, 204),
            // Who gave a deadline hears that it is over, whether from us or from its own clock;
            // Dapr's own answer, if it comes first, is INTERNAL. Nobody gives one over HTTP.
            (Self::DeadlineExceeded, _) => (GrpcCode::DeadlineExceeded, 500),
            // Dapr hands the errors of a bulk read out as they are, without a code of its own.
            (Self::Timeout, Operation::BulkGet) => (GrpcCode::DeadlineExceeded, 500),
            (_, Operation::BulkGet) => (GrpcCode::Unknown, 500),
            // Dapr has one code for whatever a transaction met.
            (_, Operation::Transaction) => (GrpcCode::Internal, 500),
            (Self::Conflict, _) => (GrpcCode::Aborted, 409),
            (Self::BadEtag, _) => (GrpcCode::InvalidArgument, 400),
            _ => (GrpcCode::Internal, 500),
        };
        Told { grpc, http }
    }
}
