//! The generated messages and services of the project's `proto/`.

#![allow(missing_docs, reason = "generated from proto/, where the comments are")]
#![allow(clippy::all, clippy::too_many_lines, reason = "generated")]

/// Messages shared by the building blocks.
pub mod common {
    /// Version 1 of the shared messages.
    pub mod v1 {
        tonic::include_proto!("dapr.proto.common.v1");
    }
}

/// The service and its messages.
pub mod runtime {
    /// Version 1 of the service.
    pub mod v1 {
        tonic::include_proto!("dapr.proto.runtime.v1");
    }
}
