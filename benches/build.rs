//! Generates code for the echo service, and for presignd's contract as the load generator and the bare server use it. They
//! do not use the generated code of presignd, which is configured differently.

use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=proto");
    println!("cargo::rerun-if-changed=../proto");
    let echo = protox::compile(["echo.proto"], ["proto"])?;
    tonic_prost_build::configure().build_client(false).compile_fds(echo)?;
    let contract = protox::compile(["presign/v1/presign.proto"], ["../proto"])?;
    tonic_prost_build::configure().build_client(false).btree_map(".").compile_fds(contract)?;
    Ok(())
}
