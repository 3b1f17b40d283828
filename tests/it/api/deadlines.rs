//! The deadline of the caller, and `limits.requests`.

use presignd::pb;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Request};

use crate::support::{
    grpc::{GrpcError, RawConnection, batch, get, presigned, refused, says_when_to_retry},
    scrape::Scrape,
    sidecar::Sidecar,
};

/// A request with this value of `grpc-timeout`.
fn with_timeout<T>(timeout: &'static str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("grpc-timeout", timeout.parse().unwrap());
    request
}

fn deadline_exceeded() -> GrpcError {
    let message = "the deadline passed before the response was ready: set a longer deadline";
    GrpcError::new(Code::DeadlineExceeded, "DEADLINE_EXCEEDED", None, message)
}

#[tokio::test]
async fn a_batch_after_its_deadline_is_refused() {
    let sidecar = Sidecar::start(&[]).await;
    // The client of tonic would cancel the call itself.
    let mut client = RawConnection::connect(&sidecar.tcp).await.client();
    let requests = batch((0..1_000).map(|number| get(&format!("key-{number}"))).collect());
    let status = refused(client.batch_presign(with_timeout("1n", requests)).await);
    assert_eq!(GrpcError::of(&status), deadline_exceeded());
    let count = [("method", "BatchPresign"), ("code", "deadline_exceeded")];
    Scrape::wait_for(&sidecar, "presignd_rpc_duration_seconds_count", &count, 1.0).await;
    presigned(client.presign(with_timeout("20S", get("key"))).await);
}

#[tokio::test]
async fn an_idle_stream_ends_at_its_deadline() {
    let sidecar = Sidecar::start(&[]).await;
    let mut client = RawConnection::connect(&sidecar.tcp).await.client();
    let (_silent, messages) = tokio::sync::mpsc::channel(1);
    let stream = ReceiverStream::new(messages);
    // This client reads the whole response first: trailers only, or headers and trailers.
    let status = match client.stream_presign(with_timeout("50m", stream)).await {
        Err(status) => status,
        Ok(answers) => refused(answers.into_inner().message().await),
    };
    assert_eq!(GrpcError::of(&status), deadline_exceeded());
}

#[tokio::test]
async fn calls_over_the_limit_are_refused_with_retry_info() {
    let sidecar = Sidecar::start(&["--limits-requests", "1"]).await;
    let mut client = sidecar.client().await;
    let (open_stream, messages) = tokio::sync::mpsc::channel::<pb::StreamPresignRequest>(1);
    let open = client.stream_presign(ReceiverStream::new(messages)).await.map(tonic::Response::into_inner);
    let mut open = open.unwrap_or_else(|status| panic!("{status}"));

    let message = "too many calls are in progress (limits.requests): retry shortly";
    let overloaded = GrpcError::new(Code::ResourceExhausted, "OVERLOADED", None, message);
    let (_unused, messages) = tokio::sync::mpsc::channel(1);
    let refusals = [
        refused(client.presign(get("key")).await),
        refused(client.batch_presign(batch(vec![get("key")])).await),
        refused(client.stream_presign(ReceiverStream::new(messages)).await),
    ];
    for status in &refusals {
        assert_eq!(&GrpcError::of(status), &overloaded);
        assert!(says_when_to_retry(status));
    }
    let scrape = Scrape::of(&sidecar).await;
    assert_eq!(
        scrape.all("presignd_rejected_total", &["reason"]),
        [(vec!["overload".to_owned()], 3.0)].into()
    );
    let counted = scrape.all("presignd_rpc_duration_seconds_count", &["method", "code"]);
    let expected = ["BatchPresign", "Presign", "StreamPresign"]
        .map(|method| (vec![method.to_owned(), "resource_exhausted".to_owned()], 1.0));
    assert_eq!(counted, expected.into());

    drop(open_stream);
    assert!(open.message().await.unwrap_or_else(|status| panic!("{status}")).is_none());
    presigned(client.presign(get("key")).await);
}
