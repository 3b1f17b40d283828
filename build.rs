//! Compiles the proto contract with protox, a protobuf compiler in Rust: nobody needs `protoc` to build presignd.

use std::{env, error::Error, fs, path::PathBuf};

use tonic_build::manual;
use tonic_prost_build::FileDescriptorSet;

const CONTRACT: &str = "presign/v1/presign.proto";
const PROTO_DIR: &str = "proto";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed={PROTO_DIR}");
    let descriptors: FileDescriptorSet = protox::compile([CONTRACT], [PROTO_DIR])?;
    let out_dir = PathBuf::from(env::var_os("OUT_DIR").ok_or("cargo sets OUT_DIR")?);

    tonic_prost_build::configure()
        // A derived Debug would print URLs, which are bearer secrets: there is none.
        .skip_debug(["."])
        .btree_map(".")
        .build_server(false)
        .extern_path(".google.rpc.Status", "::tonic_types::Status")
        .compile_fds(descriptors.clone())?;

    tonic_build::manual::Builder::new().build_client(false).compile(&[service()]);
    fs::write(out_dir.join("presign_descriptor.bin"), protox::prost::Message::encode_to_vec(&descriptors))?;
    Ok(())
}

/// The server's side of the service. Where URLs are signed, messages stay bytes: they are read where they lie, and
/// answers are written as they go out.
fn service() -> manual::Service {
    let raw = |name, route| {
        manual::Method::builder()
            .name(name)
            .route_name(route)
            .input_type("prost::bytes::Bytes")
            .output_type("crate::service::codec::Answer")
            .codec_path("crate::service::codec::RawCodec")
    };
    let messages = |name, route: &str| {
        manual::Method::builder()
            .name(name)
            .route_name(route)
            .input_type(format!("crate::pb::{route}Request"))
            .output_type(format!("crate::pb::{route}Response"))
            .codec_path("tonic_prost::ProstCodec")
    };
    manual::Service::builder()
        .package("presign.v1")
        .name("PresignService")
        .method(raw("presign", "Presign").build())
        .method(raw("batch_presign", "BatchPresign").build())
        .method(raw("stream_presign", "StreamPresign").client_streaming().server_streaming().build())
        .method(raw("presign_post", "PresignPost").build())
        .method(messages("explain", "Explain").build())
        .build()
}
