//! Bad input, a row each: code, reason, field and the exact sentence.

mod bucket;
mod headers;
mod http;
mod post;
mod request;

use presignd::pb;
use tonic::Code;

use crate::support::{
    grpc::{Told, get},
    sidecar::Sidecar,
};

/// Stands in the value of a header of every bad request: no error may repeat it.
const CANARY: &str = "canary-in-a-header";

/// A bad request, and what its error should tell.
struct Row {
    request: pb::PresignRequest,
    told: Told,
}

/// A request that is `INVALID_ARGUMENT`.
fn invalid(request: pb::PresignRequest, reason: &str, field: &str, message: &str) -> Row {
    Row { request, told: Told::new(Code::InvalidArgument, reason, Some(field), message) }
}

/// A good request, changed.
fn but(change: impl FnOnce(&mut pb::PresignRequest)) -> pb::PresignRequest {
    let mut request = get("key");
    change(&mut request);
    request
}

/// Sends every row, and holds each error against what it should tell. All that differ are shown.
async fn check(rows: Vec<Row>) {
    let sidecar = Sidecar::start(&[]).await;
    let mut client = sidecar.client().await;
    let mut wrong = Vec::new();
    for Row { mut request, told } in rows {
        request.headers.insert("x-amz-meta-canary".to_owned(), CANARY.to_owned());
        let Err(status) = client.presign(request).await else {
            wrong.push(format!("a URL instead of {told:?}"));
            continue;
        };
        let found = Told::of(&status);
        if found != told {
            wrong.push(format!("{found:?}\ninstead of {told:?}"));
        }
        let details = String::from_utf8_lossy(status.details()).into_owned();
        assert!(!status.message().contains(CANARY) && !details.contains(CANARY), "{status} repeats a value");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}
