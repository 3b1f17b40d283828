//! Builders of requests, and readers of responses and errors.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex},
    task::{Context, Poll},
};

use futures_util::future::BoxFuture;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http2::SendRequest;
use hyper_util::rt::{TokioExecutor, TokioIo};
use presignd::pb::{self, presign_request::Operation, presign_service_client::PresignServiceClient};
use prost::Message;
use tonic::{Code, Response, Status, body::Body};
use tonic_types::StatusExt;

/// The default bucket of the tests.
pub const BUCKET: &str = "plain-bucket";

/// `GetObject` of a key in [`BUCKET`].
pub fn get(key: &str) -> pb::PresignRequest {
    request(key, Operation::GetObject(pb::GetObject::default()))
}

/// `PutObject` of a key in [`BUCKET`].
pub fn put(key: &str) -> pb::PresignRequest {
    request(key, Operation::PutObject(pb::PutObject::default()))
}

/// Any operation on a key in [`BUCKET`].
pub fn request(key: &str, operation: Operation) -> pb::PresignRequest {
    pb::PresignRequest {
        bucket: BUCKET.to_owned(),
        key: key.to_owned(),
        operation: Some(operation),
        ..Default::default()
    }
}

/// A batch of these, without defaults.
pub fn batch(requests: Vec<pb::PresignRequest>) -> pb::BatchPresignRequest {
    pb::BatchPresignRequest { requests, ..Default::default() }
}

/// A duration in whole seconds.
pub fn seconds(seconds: i64) -> prost_types::Duration {
    prost_types::Duration { seconds, nanos: 0 }
}

/// The URL of a response.
///
/// # Panics
/// If the call failed.
pub fn presigned(answer: Result<Response<pb::PresignResponse>, Status>) -> pb::PresignedRequest {
    answer
        .unwrap_or_else(|status| panic!("refused: {status}"))
        .into_inner()
        .presigned
        .expect("there is a URL")
}

/// The results of a batch.
///
/// # Panics
/// If the call failed.
pub fn results(answer: Result<Response<pb::BatchPresignResponse>, Status>) -> Vec<pb::PresignResult> {
    answer.unwrap_or_else(|status| panic!("refused: {status}")).into_inner().results
}

/// The URL of one result of a batch.
///
/// # Panics
/// If the result is an error.
pub fn url_of(result: &pb::PresignResult) -> &pb::PresignedRequest {
    match result.result.as_ref() {
        Some(pb::presign_result::Result::Presigned(presigned)) => presigned,
        Some(pb::presign_result::Result::Error(error)) => panic!("refused: {}", error.message),
        None => panic!("a result is a URL or an error"),
    }
}

/// The error of one result of a batch, as the status of a call.
///
/// # Panics
/// If the result is a URL.
pub fn error_of(result: &pb::PresignResult) -> Status {
    match result.result.as_ref() {
        Some(pb::presign_result::Result::Error(error)) => {
            let details = error.encode_to_vec().into();
            Status::with_details(error.code.into(), error.message.clone(), details)
        }
        _ => panic!("the item should fail"),
    }
}

/// The error of a call that must fail.
///
/// # Panics
/// If the call succeeded.
pub fn refused<T>(answer: Result<T, Status>) -> Status {
    answer.err().expect("the call should fail")
}

/// The parts of an error that a caller sees.
#[derive(Clone, PartialEq, Eq)]
pub struct GrpcError {
    pub code: Code,
    pub reason: String,
    pub field: Option<String>,
    pub message: String,
}

impl GrpcError {
    /// An expected error.
    pub fn new(code: Code, reason: &str, field: Option<&str>, message: &str) -> Self {
        let (reason, message) = (reason.to_owned(), message.to_owned());
        Self { code, reason, field: field.map(str::to_owned), message }
    }

    /// The parts of a status.
    ///
    /// # Panics
    /// If it does not have the form of all errors: the domain, and the message as description of the field.
    pub fn of(status: &Status) -> Self {
        let details = status.get_error_details();
        let info = details.error_info().unwrap_or_else(|| panic!("{status} has an ErrorInfo"));
        assert_eq!(info.domain, "presign.v1", "{status}");
        let field = details.bad_request().map(|bad| {
            let [violation] = bad.field_violations.as_slice() else { panic!("{status} names one field") };
            assert_eq!(violation.description, status.message());
            violation.field.clone()
        });
        Self { code: status.code(), reason: info.reason.clone(), field, message: status.message().to_owned() }
    }
}

impl fmt::Debug for GrpcError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let field = self.field.as_deref().unwrap_or("no field");
        write!(f, "{:?} {} ({field})\n  {}", self.code, self.reason, self.message)
    }
}

/// `ErrorInfo.metadata` of an error.
pub fn metadata(status: &Status) -> HashMap<String, String> {
    status.get_error_details().error_info().expect("every error has an ErrorInfo").metadata.clone()
}

/// Whether an error has a retry delay.
pub fn says_when_to_retry(status: &Status) -> bool {
    let details = status.get_error_details();
    details.retry_info().is_some_and(|retry| retry.retry_delay.is_some_and(|delay| !delay.is_zero()))
}

/// The value of a query parameter of a URL, still percent-encoded.
pub fn parameter<'u>(url: &'u str, name: &str) -> &'u str {
    let (_, query) = url.split_once('?').expect("a presigned URL has a query");
    let value = query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
    value.unwrap_or_else(|| panic!("{name} is in the URL"))
}

/// A connection without the client of tonic: it has no timeouts, and records the bytes of each response.
#[derive(Clone)]
pub struct RawConnection {
    sender: SendRequest<Body>,
    seen: Arc<Mutex<Vec<RawResponse>>>,
}

/// A response on the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawResponse {
    /// The header `grpc-encoding`.
    pub encoding: Option<String>,
    /// The compressed flag of the first message.
    pub compressed: bool,
    /// The number of bytes of all messages, with their 5-byte headers.
    pub bytes: usize,
}

impl RawConnection {
    /// Connects over TCP.
    pub async fn connect(address: &str) -> Self {
        let stream = tokio::net::TcpStream::connect(address).await.expect("presignd answers over TCP");
        let (sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        Self { sender, seen: Arc::default() }
    }

    /// Sends a request and never reads its response.
    pub async fn send_without_reading(&self, path: &str, message: &impl Message) {
        let mut frame = vec![0];
        let bytes = message.encode_to_vec();
        frame.extend(u32::try_from(bytes.len()).expect("a short message").to_be_bytes());
        frame.extend(bytes);
        let request = http::Request::post(format!("http://localhost{path}"))
            .version(http::Version::HTTP_2)
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(Body::new(Full::new(frame.into())))
            .expect("a request");
        let mut sender = self.sender.clone();
        sender.ready().await.expect("the connection is good");
        let answering = sender.send_request(request);
        tokio::spawn(async move {
            // Kept until the end of the test, but not read.
            let _answer = answering.await;
            std::future::pending::<()>().await;
        });
    }

    /// A client over this connection.
    pub fn client(&self) -> PresignServiceClient<Self> {
        PresignServiceClient::with_origin(self.clone(), http::Uri::from_static("http://localhost"))
    }

    /// The last response.
    pub fn last(&self) -> RawResponse {
        self.seen
            .lock()
            .expect("no holder of the lock panicked")
            .last()
            .cloned()
            .expect("there was an answer")
    }
}

impl tower::Service<http::Request<Body>> for RawConnection {
    type Response = http::Response<Body>;
    type Error = hyper::Error;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.sender.poll_ready(cx)
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let answering = self.sender.send_request(request);
        let seen = Arc::clone(&self.seen);
        Box::pin(async move {
            let (head, body) = answering.await?.into_parts();
            let body = body.collect().await?;
            let trailers = body.trailers().cloned();
            let bytes = body.to_bytes();
            let encoding = head.headers.get("grpc-encoding").map(|value| value.to_str().unwrap().to_owned());
            let compressed = bytes.first() == Some(&1);
            seen.lock().expect("no holder of the lock panicked").push(RawResponse {
                encoding,
                compressed,
                bytes: bytes.len(),
            });
            let body = Full::new(bytes).with_trailers(async { trailers.map(Ok) });
            Ok(http::Response::from_parts(head, Body::new(body)))
        })
    }
}
