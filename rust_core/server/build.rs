//! Compiles the protocol with protox, so that nobody needs protoc.
//!
//! Writes the message types and, for reflection, the file descriptor set.

use std::env;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

/// Every file of the protocol, below `proto/`.
const FILES: [&str; 10] = [
    "promosvc/log/v1/checkpoint.proto",
    "promosvc/log/v1/decision_log.proto",
    "promosvc/log/v1/event_log.proto",
    "promosvc/v1/admin_service.proto",
    "promosvc/v1/promo_service.proto",
    "grpc/health/v1/health.proto",
    "grpc/reflection/v1/reflection.proto",
    "grpc/reflection/v1alpha/reflection.proto",
    "google/rpc/status.proto",
    "google/rpc/error_details.proto",
];

fn main() -> Result<(), Box<dyn Error>> {
    let proto = Path::new(&env::var("CARGO_MANIFEST_DIR")?).join("../../proto");
    println!("cargo::rerun-if-changed={}", proto.display());
    let out = PathBuf::from(env::var("OUT_DIR")?);

    let mut compiler = protox::Compiler::new([&proto])?;
    compiler.include_imports(true).open_files(FILES)?;
    fs::write(
        out.join("descriptors.binpb"),
        compiler.encode_file_descriptor_set(),
    )?;
    prost_build::Config::new()
        .btree_map(["."])
        .compile_fds(compiler.file_descriptor_set())?;
    Ok(())
}
