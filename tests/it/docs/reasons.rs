//! The rows of error reasons against errors of a running server: code, metadata, and whether a retry helps.

use std::collections::{BTreeMap, BTreeSet};

use presignd::pb::{self, presign_request::Operation};
use tonic::{Status, transport::Channel};
use tonic_types::StatusExt;

use super::markdown::{plain, rows};
use crate::support::{
    OUTPOSTS_ARN,
    grpc::{get, seconds},
    sidecar::Sidecar,
};

/// Reasons that no request alone provokes; the tests of the API do, with what they need.
const NOT_PROVOKED: [&str; 10] = [
    "CREDENTIALS_EXPIRED",
    "CREDENTIALS_MISSING",
    "DEADLINE_EXCEEDED",
    "MESSAGE_MALFORMED",
    "OVERLOADED",
    "RANDOMNESS_MISSING",
    "REGION_UNKNOWN",
    "SESSION_MISSING",
    "SESSION_REFUSED",
    "SESSION_UNAVAILABLE",
];

type Client = pb::presign_service_client::PresignServiceClient<Channel>;

fn entry(name: &str, value: &str) -> BTreeMap<String, String> {
    BTreeMap::from([(name.to_owned(), value.to_owned())])
}

fn with(change: impl FnOnce(&mut pb::PresignRequest)) -> pb::PresignRequest {
    let mut request = get("key");
    change(&mut request);
    request
}

fn presign_requests() -> Vec<pb::PresignRequest> {
    let long_query = (10..100).map(|number| (number.to_string() + &" ".repeat(8_000), " ".repeat(8_000)));
    vec![
        with(|request| request.bucket = "arn:aws:s3".to_owned()),
        with(|request| request.bucket.clear()),
        with(|request| request.key.clear()),
        with(|request| request.operation = None),
        with(|request| {
            request.operation =
                Some(Operation::Http(pb::Http { method: "get".to_owned(), ..Default::default() }));
        }),
        with(|request| request.operation = Some(Operation::UploadPart(pb::UploadPart::default()))),
        with(|request| request.query = entry("acl", "")),
        with(|request| request.query = entry("X-Amz-Expires", "1")),
        with(|request| request.headers = entry("host", "example")),
        with(|request| request.expires_in = Some(seconds(0))),
        with(|request| request.reuse_window = Some(seconds(86_400))),
        with(|request| request.min_expires_in = Some(seconds(30 * 86_400))),
        with(|request| request.signer = "other".to_owned()),
        with(|request| request.query = long_query.collect()),
        with(|request| request.headers = entry("long", &"v".repeat(5 * 1024 * 1024))),
    ]
}

fn forms() -> Vec<pb::PresignPostRequest> {
    let form = |fields: BTreeMap<String, String>| pb::PresignPostRequest {
        bucket: "plain-bucket".to_owned(),
        key: "key".to_owned(),
        fields,
        ..Default::default()
    };
    vec![
        form(entry("policy", "")),
        form(entry("x-amz-meta-long", &"v".repeat(21 * 1024))),
        pb::PresignPostRequest { bucket: OUTPOSTS_ARN.to_owned(), ..form(BTreeMap::new()) },
        pb::PresignPostRequest {
            content_length_range: Some(pb::ContentLengthRange { min: 2, max: 1 }),
            ..form(BTreeMap::new())
        },
    ]
}

fn batches() -> Vec<pb::BatchPresignRequest> {
    let batch = |requests| pb::BatchPresignRequest { requests, ..Default::default() };
    let long = with(|request| {
        request.key = " ".repeat(1_000);
        request.query = entry("long", &" ".repeat(1_000));
    });
    vec![batch(Vec::new()), batch(vec![get("key"); 1_001]), batch(vec![long; 1_000])]
}

/// The errors of all of these.
async fn errors(client: &mut Client) -> Vec<Status> {
    let mut errors = Vec::new();
    for request in presign_requests() {
        errors.extend(client.presign(request).await.err());
    }
    for form in forms() {
        errors.extend(client.presign_post(form).await.err());
    }
    for batch in batches() {
        errors.extend(client.batch_presign(batch).await.err());
    }
    errors.extend(client.explain(pb::ExplainRequest::default()).await.err());
    let without_batch = tokio_stream::once(pb::StreamPresignRequest::default());
    let mut stream = client.stream_presign(without_batch).await.unwrap().into_inner();
    errors.extend(stream.message().await.err());
    errors
}

#[tokio::test]
async fn errors_have_the_code_and_metadata_of_their_row() {
    let sidecar = Sidecar::start(&[]).await;
    let errors = errors(&mut sidecar.client().await).await;
    let rows: BTreeMap<String, _> =
        rows("reason").into_iter().map(|row| (plain(&row.cells["reason"]).to_owned(), row)).collect();
    let mut provoked = BTreeSet::new();
    for status in errors {
        let details = status.get_error_details();
        let info = details.error_info().unwrap();
        let row = &rows[&info.reason];
        let cell =
            |header: &str, default: &str| row.cells.get(header).map_or(default.to_owned(), String::clone);
        let code = cell("code", "INVALID_ARGUMENT").to_lowercase().replace('_', "");
        assert_eq!(format!("{:?}", status.code()).to_lowercase(), code, "{}: {status}", row.at);
        let listed: BTreeSet<String> = cell("metadata", "")
            .split(", ")
            .filter(|it| !it.is_empty())
            .map(|it| plain(it).to_owned())
            .collect();
        assert_eq!(info.metadata.keys().cloned().collect::<BTreeSet<_>>(), listed, "{}: {status}", row.at);
        let retries = details.retry_info().is_some();
        assert_eq!(retries, cell("retry", "no").starts_with("yes"), "{}: {status}", row.at);
        let is_of_a_field = details.bad_request().is_some();
        assert_eq!(is_of_a_field, !row.cells.contains_key("code"), "{}: {status}", row.at);
        provoked.insert(info.reason.clone());
    }
    let all: BTreeSet<String> = rows.into_keys().collect();
    provoked.extend(NOT_PROVOKED.map(str::to_owned));
    assert_eq!(provoked, all, "each reason is provoked here or listed as not");
}
