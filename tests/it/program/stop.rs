//! SIGTERM and SIGINT: the server drains open calls and exits promptly with code 0, whatever clients do.

use std::time::Duration;

use presignd::{clock::Stopwatch, pb};
use rustix::process::Signal;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpStream, UnixStream},
    sync::mpsc,
};
use tokio_stream::wrappers::ReceiverStream;
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

use crate::support::{
    grpc::{batch, get, presigned},
    scrape::Scrape,
    sidecar::{PATIENCE, Sidecar},
};

/// The first bytes of an HTTP/2 client: the preface and an empty SETTINGS frame.
const PREFACE_AND_SETTINGS: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

/// The limit for a prompt stop: well under the drain time of 10 seconds, with a margin for a busy machine.
const PROMPT: Duration = Duration::from_secs(4);

/// Stops the server, and returns how long that took.
async fn stop(sidecar: &mut Sidecar, signal: Signal) -> Duration {
    let watch = Stopwatch::start();
    sidecar.send_signal(signal);
    let status = sidecar.wait_for_exit().await;
    assert_eq!(status.code(), Some(0), "{}", sidecar.log());
    watch.elapsed()
}

/// One request, as a message of a stream.
fn message() -> pb::StreamPresignRequest {
    pb::StreamPresignRequest { batch: Some(batch(vec![get("key")])) }
}

#[tokio::test]
async fn sigterm_and_sigint_stop_with_exit_code_0() {
    for (signal, name) in [(Signal::TERM, "SIGTERM"), (Signal::INT, "SIGINT")] {
        let mut sidecar = Sidecar::start(&[]).await;
        assert!(stop(&mut sidecar, signal).await < PROMPT);
        sidecar.wait_for_log(&format!("{name}: stopping, waiting up to 10s for open calls")).await;
        sidecar.wait_for_log("stopped: every call was answered").await;
    }
}

#[tokio::test]
async fn open_watch_receives_not_serving_and_ends() {
    let mut sidecar = Sidecar::start(&[]).await;
    let mut health = HealthClient::new(sidecar.connect().await);
    let mut watches = Vec::new();
    for service in ["", "signer.default", "liveness"] {
        let request = HealthCheckRequest { service: service.to_owned() };
        let mut watch = health.watch(request).await.unwrap().into_inner();
        assert_eq!(watch.message().await.unwrap().unwrap().status(), ServingStatus::Serving);
        watches.push(watch);
    }
    sidecar.send_signal(Signal::TERM);
    for mut watch in watches {
        let update = tokio::time::timeout(PATIENCE, watch.message()).await.unwrap().unwrap().unwrap();
        assert_eq!(update.status(), ServingStatus::NotServing);
        let end = tokio::time::timeout(PATIENCE, watch.message()).await.unwrap();
        assert!(end.unwrap().is_none(), "the watch ends with OK");
    }
    assert_eq!(sidecar.wait_for_exit().await.code(), Some(0));
    sidecar.wait_for_log("stopped: every call was answered").await;
}

#[tokio::test]
async fn silent_peer_does_not_delay_the_stop() {
    let mut sidecar = Sidecar::spawn(crate::support::sidecar::presignd(), &[]);
    let mut tcp = TcpStream::connect(&sidecar.tcp).await.unwrap();
    let mut unix = UnixStream::connect(&sidecar.unix).await.unwrap();
    unix.write_all(&PREFACE_AND_SETTINGS[..10]).await.unwrap();
    Scrape::wait_for(&sidecar, "presignd_connections", &[], 2.0).await;
    assert!(stop(&mut sidecar, Signal::TERM).await < PROMPT);
    let mut rest = Vec::new();
    let _reset_or_end = (tcp.read_to_end(&mut rest).await, unix.read_to_end(&mut rest).await);
}

#[tokio::test]
async fn idle_peer_does_not_delay_the_stop() {
    let mut sidecar = Sidecar::spawn(crate::support::sidecar::presignd(), &[]);
    let mut peer = TcpStream::connect(&sidecar.tcp).await.unwrap();
    peer.write_all(PREFACE_AND_SETTINGS).await.unwrap();
    // The server's SETTINGS show that it has read the preface. The peer never acknowledges them.
    let mut settings = [0; 9];
    peer.read_exact(&mut settings).await.unwrap();
    assert_eq!(settings[3], 4, "the server's SETTINGS come first");
    assert!(stop(&mut sidecar, Signal::TERM).await < PROMPT);
    sidecar.wait_for_log("stopped: every call was answered").await;
}

#[tokio::test]
async fn idle_client_does_not_delay_the_stop() {
    let mut sidecar = Sidecar::start(&[]).await;
    let mut client = sidecar.client().await;
    presigned(client.presign(get("key")).await);
    assert!(stop(&mut sidecar, Signal::TERM).await < PROMPT);
    drop(client);
}

#[tokio::test]
async fn open_stream_is_completed_before_the_end() {
    let mut sidecar = Sidecar::start(&[]).await;
    let (sender, messages) = mpsc::channel(1);
    let mut client = sidecar.client().await;
    let mut answers = client.stream_presign(ReceiverStream::new(messages)).await.unwrap().into_inner();
    sender.send(message()).await.unwrap();
    assert!(answers.message().await.map(|answer| answer.is_some()).unwrap());

    sidecar.send_signal(Signal::TERM);
    sidecar.wait_for_log("SIGTERM: stopping").await;
    sender.send(message()).await.unwrap();
    let answer = tokio::time::timeout(PATIENCE, answers.message()).await.unwrap().unwrap().unwrap();
    assert_eq!((answer.first_index, answer.batch.unwrap().results.len()), (1, 1));
    drop(sender);
    assert!(answers.message().await.map(|answer| answer.is_none()).unwrap());
    assert_eq!(sidecar.wait_for_exit().await.code(), Some(0));
    sidecar.wait_for_log("stopped: every call was answered").await;
}

#[tokio::test]
async fn endless_stream_is_cut_off_after_the_drain_time() {
    let mut sidecar = Sidecar::start(&["--limits-drain-time", "1s"]).await;
    let (sender, messages) = mpsc::channel(1);
    let mut client = sidecar.client().await;
    let mut answers = client.stream_presign(ReceiverStream::new(messages)).await.unwrap().into_inner();
    sender.send(message()).await.unwrap();
    assert!(answers.message().await.map(|answer| answer.is_some()).unwrap());

    let took = stop(&mut sidecar, Signal::TERM).await;
    assert!(took >= Duration::from_secs(1) && took < PROMPT, "{took:?}");
    sidecar.wait_for_log("stopped after limits.drain_time (1s); connections closed with open calls: 1").await;
    assert!(answers.message().await.is_err(), "the caller receives an error");
}

#[tokio::test]
async fn stopping_server_accepts_no_new_connection() {
    let mut sidecar = Sidecar::start(&[]).await;
    let (sender, messages) = mpsc::channel::<pb::StreamPresignRequest>(1);
    let mut client = sidecar.client().await;
    let open = client.stream_presign(ReceiverStream::new(messages)).await.unwrap();
    // The sockets are closed soon after this log line, while the open call is still drained.
    sidecar.send_signal(Signal::TERM);
    sidecar.wait_for_log("SIGTERM: stopping").await;
    let closed = async {
        while TcpStream::connect(&sidecar.tcp).await.is_ok()
            || UnixStream::connect(&sidecar.unix).await.is_ok()
        {}
    };
    tokio::time::timeout(PATIENCE, closed).await.expect("the sockets are closed while calls are drained");
    assert_eq!(sidecar.get_page("/livez").await.0, 200);
    assert_eq!(sidecar.get_page("/readyz").await.0, 503);
    drop((sender, open));
    assert_eq!(sidecar.wait_for_exit().await.code(), Some(0));
}
