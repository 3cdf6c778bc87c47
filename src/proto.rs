//! The generated messages and services of `proto/`. Only `grpc` uses them (and tests, as clients).

#![allow(missing_docs, reason = "generated from proto/, where the comments are")]
#![allow(clippy::all, clippy::too_many_lines, reason = "generated")]

/// Messages shared by Dapr's building blocks.
pub mod common {
    /// Version 1 of the shared messages.
    pub mod v1 {
        tonic::include_proto!("dapr.proto.common.v1");
    }
}

/// The sidecar's service and its messages.
pub mod runtime {
    /// Version 1 of the sidecar's service.
    pub mod v1 {
        tonic::include_proto!("dapr.proto.runtime.v1");
    }
}

/// The descriptors of everything in `proto/`, for reflection.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
