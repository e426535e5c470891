//! Generates the health service with tonic's own generator, without protoc.

use std::env;
use std::error::Error;
use std::path::Path;

fn main() -> Result<(), Box<dyn Error>> {
    let proto = Path::new(&env::var("CARGO_MANIFEST_DIR")?).join("../../proto");
    let file = proto.join("grpc/health/v1/health.proto");
    println!("cargo::rerun-if-changed={}", file.display());
    let descriptors = protox::compile([&file], [&proto])?;
    tonic_prost_build::configure()
        .build_client(false)
        .build_transport(true)
        .compile_fds(descriptors)?;
    Ok(())
}
