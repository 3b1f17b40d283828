//! Compiles the proto file with protox, a protobuf compiler in Rust, so that a build does not need `protoc`.

use std::{env, error::Error, fs, path::PathBuf};

use tonic_prost_build::FileDescriptorSet;

const CONTRACT: &str = "presign/v1/presign.proto";
const PROTO_DIR: &str = "proto";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed={PROTO_DIR}");
    let descriptors: FileDescriptorSet = protox::compile([CONTRACT], [PROTO_DIR])?;
    let out_dir = PathBuf::from(env::var_os("OUT_DIR").ok_or("cargo sets OUT_DIR")?);

    tonic_prost_build::configure()
        // No derived Debug: it would print URLs, which are bearer secrets.
        .skip_debug(["."])
        .btree_map(".")
        // src/service/routes.rs implements the server, because it decodes one request at a time.
        .build_server(false)
        .extern_path(".google.rpc.Status", "::tonic_types::Status")
        .compile_fds(descriptors.clone())?;

    fs::write(out_dir.join("presign_descriptor.bin"), protox::prost::Message::encode_to_vec(&descriptors))?;
    Ok(())
}
