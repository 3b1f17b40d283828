//! Limits of connections, and their metrics.

use tokio::{
    io::AsyncReadExt,
    net::{TcpStream, UnixStream},
};

use crate::support::{
    scrape::Scrape,
    sidecar::{PATIENCE, Sidecar, presignd},
};

/// Waits until the server has closed a connection. Bytes that it sent before, such as HTTP/2 settings, are ignored.
async fn closed(mut stream: impl tokio::io::AsyncRead + Unpin) {
    let mut rest = Vec::new();
    let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut rest)).await;
    let _closed_or_reset = read.expect("the connection is closed in time");
}

#[tokio::test]
async fn connection_over_the_limit_is_rejected_and_counted() {
    let sidecar = Sidecar::spawn(presignd(), &["--limits-connections", "1"]);
    let first = TcpStream::connect(&sidecar.tcp).await.unwrap();
    Scrape::wait_for(&sidecar, "presignd_connections", &[], 1.0).await;
    closed(TcpStream::connect(&sidecar.tcp).await.unwrap()).await;
    closed(UnixStream::connect(&sidecar.unix).await.unwrap()).await;
    let rejected = Scrape::of(&sidecar).await.all("presignd_rejected_total", &["reason"]);
    assert_eq!(rejected, [(vec!["connection_limit".to_owned()], 2.0)].into());
    sidecar.wait_for_log("connection rejected: limits.connections is reached").await;

    drop(first);
    Scrape::wait_for(&sidecar, "presignd_connections", &[], 0.0).await;
    let _channel = sidecar.connect().await;
    Scrape::wait_for(&sidecar, "presignd_connections", &[], 1.0).await;
}

#[tokio::test]
async fn silent_peer_is_disconnected_after_the_handshake_timeout() {
    let sidecar = Sidecar::spawn(presignd(), &["--limits-handshake-time", "100ms"]);
    let channel = sidecar.connect().await;
    closed(TcpStream::connect(&sidecar.tcp).await.unwrap()).await;
    closed(UnixStream::connect(&sidecar.unix).await.unwrap()).await;
    let reason = [("reason", "handshake_timeout")];
    Scrape::wait_for(&sidecar, "presignd_rejected_total", &reason, 2.0).await;
    // A connection that completed the handshake stays open.
    let mut client = presignd::pb::presign_service_client::PresignServiceClient::new(channel);
    let answer = client.explain(presignd::pb::ExplainRequest::default()).await;
    assert_eq!(crate::support::grpc::refused(answer).code(), tonic::Code::InvalidArgument);
    assert!(Scrape::of(&sidecar).await.get("presignd_connections", &[]) >= 1.0);
}
