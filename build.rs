//! Compiles `proto/` with a compiler written in Rust, so that nobody needs `protoc`, and keeps the
//! descriptors for gRPC reflection.

use std::{error::Error, path::PathBuf};

use prost::Message as _;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto");
    let descriptors = protox::compile(["dapr/proto/runtime/v1/dapr.proto"], ["proto"])?;
    let out_dir = PathBuf::from(std::env::var("OUT_DIR")?);
    std::fs::write(out_dir.join("descriptors.bin"), descriptors.encode_to_vec())?;
    tonic_prost_build::configure()
        .bytes(".")
        .codec_path("crate::grpc::codec::Messages")
        .compile_fds(descriptors)?;
    Ok(())
}
