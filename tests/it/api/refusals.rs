//! Invalid requests: the code, the reason, the field and the exact message of each error.

mod bucket;
mod headers;
mod http;
mod post;
mod request;

use presignd::pb;
use tonic::Code;

use crate::support::{
    grpc::{GrpcError, get},
    sidecar::Sidecar,
};

/// The value of a header in every invalid request. No error may contain it.
const CANARY: &str = "canary-in-a-header";

/// An invalid request, and its expected error.
struct Row {
    request: pb::PresignRequest,
    expected: GrpcError,
}

/// A request whose expected error is `INVALID_ARGUMENT`.
fn invalid(request: pb::PresignRequest, reason: &str, field: &str, message: &str) -> Row {
    Row { request, expected: GrpcError::new(Code::InvalidArgument, reason, Some(field), message) }
}

/// A valid request with a change.
fn but(change: impl FnOnce(&mut pb::PresignRequest)) -> pb::PresignRequest {
    let mut request = get("key");
    change(&mut request);
    request
}

/// Sends each request, and compares its error with the expected one. Prints all differences.
async fn check(rows: Vec<Row>) {
    let sidecar = Sidecar::start(&[]).await;
    let mut client = sidecar.client().await;
    let mut wrong = Vec::new();
    for Row { mut request, expected } in rows {
        request.headers.insert("x-amz-meta-canary".to_owned(), CANARY.to_owned());
        let Err(status) = client.presign(request).await else {
            wrong.push(format!("a URL instead of {expected:?}"));
            continue;
        };
        let actual = GrpcError::of(&status);
        if actual != expected {
            wrong.push(format!("{actual:?}\ninstead of {expected:?}"));
        }
        let details = String::from_utf8_lossy(status.details()).into_owned();
        assert!(!status.message().contains(CANARY) && !details.contains(CANARY), "{status} contains a value");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}
