//! gzip: only callers that compress their requests get compressed responses.

use presignd::pb;
use tonic::codec::CompressionEncoding::Gzip;

use crate::support::{
    grpc::{RawConnection, RawResponse, batch, get, results, url_of},
    sidecar::Sidecar,
};

fn requests() -> pb::BatchPresignRequest {
    batch((0..100).map(|number| get(&format!("key-{number}"))).collect())
}

#[tokio::test]
async fn a_compressed_request_gets_a_compressed_response() {
    let sidecar = Sidecar::start(&[]).await;
    let bare = RawConnection::connect(&sidecar.tcp).await;
    let mut client = bare.client().send_compressed(Gzip).accept_compressed(Gzip);
    let results = results(client.batch_presign(requests()).await);
    assert!(url_of(&results[99]).url.contains("/key-99?"));
    let RawResponse { encoding, compressed, bytes } = bare.last();
    assert_eq!((encoding.as_deref(), compressed), (Some("gzip"), true));
    assert!(bytes < 100 * 100, "100 similar URLs compress well: {bytes} bytes");
}

#[tokio::test]
async fn a_caller_that_cannot_decompress_gets_no_compression() {
    let sidecar = Sidecar::start(&[]).await;
    let bare = RawConnection::connect(&sidecar.tcp).await;
    results(bare.client().send_compressed(Gzip).batch_presign(requests()).await);
    let RawResponse { encoding, compressed, .. } = bare.last();
    assert_eq!((encoding, compressed), (None, false));
}

#[tokio::test]
async fn an_uncompressed_request_gets_no_compressed_response() {
    let sidecar = Sidecar::start(&[]).await;
    let bare = RawConnection::connect(&sidecar.tcp).await;
    results(bare.client().accept_compressed(Gzip).batch_presign(requests()).await);
    assert!(!bare.last().compressed);
    results(bare.client().batch_presign(requests()).await);
    let RawResponse { encoding, compressed, .. } = bare.last();
    assert_eq!((encoding, compressed), (None, false));
}
