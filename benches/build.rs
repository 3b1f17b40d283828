//! Compiles the echo service, and presignd's contract for the load generator and for the bare server: presignd's own
//! code, which does more with its messages, takes no part in them.

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
