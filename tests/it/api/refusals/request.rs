//! Invalid operations, keys, durations, parameters and signers.

use presignd::pb::{self, presign_request::Operation};
use tonic::Code;

use super::{Row, but, check, invalid};
use crate::support::{
    grpc::{GrpcError, refused, request},
    sidecar::Sidecar,
};

#[tokio::test]
async fn a_missing_operation_or_invalid_key_is_refused() {
    let list = || Operation::ListObjectsV2(pb::ListObjectsV2::default());
    check(vec![
        invalid(
            but(|request| request.operation = None),
            "OPERATION_MISSING",
            "operation",
            "operation is not set: set one, such as get_object or put_object",
        ),
        invalid(
            but(|request| request.key.clear()),
            "KEY_INVALID",
            "key",
            "key is empty: GetObject needs an object key",
        ),
        invalid(
            but(|request| request.key = "k".repeat(1_025)),
            "KEY_INVALID",
            "key",
            "key has 1025 bytes: S3 allows at most 1024 bytes of UTF-8",
        ),
        // 342 characters of three bytes each: the limit is in bytes.
        invalid(
            but(|request| request.key = "€".repeat(342)),
            "KEY_INVALID",
            "key",
            "key has 1026 bytes: S3 allows at most 1024 bytes of UTF-8",
        ),
        invalid(
            request("key", list()),
            "KEY_INVALID",
            "key",
            "key is set, but ListObjectsV2 works on the bucket: leave key empty (to filter a listing, set prefix)",
        ),
    ])
    .await;
}

#[tokio::test]
async fn a_key_may_have_1024_bytes() {
    let sidecar = Sidecar::start(&[]).await;
    let mut client = sidecar.client().await;
    client.presign(but(|request| request.key = "k".repeat(1_024))).await.map(drop).unwrap();
    let head = Operation::HeadBucket(pb::HeadBucket::default());
    client.presign(request("", head)).await.map(drop).unwrap();
}

#[tokio::test]
async fn an_invalid_duration_is_refused() {
    let expires =
        |seconds, nanos| but(|request| request.expires_in = Some(prost_types::Duration { seconds, nanos }));
    let minimum = |seconds, nanos| {
        but(|request| request.min_expires_in = Some(prost_types::Duration { seconds, nanos }))
    };
    let wrong = |request, field: &str, problem| {
        invalid(request, "DURATION_INVALID", field, &format!("{field} {problem}"))
    };
    let short = "is less than 1 second: set at least 1 second";
    let negative = "is negative: set at least 1 second";
    let malformed = "is not a valid google.protobuf.Duration: \
                     seconds must be at most 315576000000, nanos at most 999999999";
    check(vec![
        wrong(expires(0, 0), "expires_in", short),
        wrong(expires(0, 999_999_999), "expires_in", short),
        wrong(expires(-1, 0), "expires_in", negative),
        wrong(expires(0, -1), "expires_in", negative),
        wrong(expires(i64::MIN, i32::MIN), "expires_in", negative),
        wrong(expires(60, 1_000_000_000), "expires_in", malformed),
        wrong(expires(60, i32::MAX), "expires_in", malformed),
        wrong(expires(315_576_000_001, 0), "expires_in", malformed),
        wrong(expires(i64::MAX, 0), "expires_in", malformed),
        wrong(minimum(-1, 0), "min_expires_in", negative),
        wrong(minimum(60, 1_000_000_000), "min_expires_in", malformed),
    ])
    .await;
}

#[tokio::test]
async fn a_missing_required_parameter_is_refused() {
    let missing = |operation, message: &str| {
        invalid(request("key", operation), "PARAMETER_MISSING", "operation", message)
    };
    let part = |part_number| pb::UploadPart { part_number: Some(part_number), ..Default::default() };
    let copy =
        pb::UploadPartCopy { part_number: Some(1), upload_id: "upload".to_owned(), ..Default::default() };
    check(vec![
        missing(
            Operation::CopyObject(pb::CopyObject::default()),
            "x-amz-copy-source is not set: CopyObject requires it",
        ),
        missing(Operation::UploadPartCopy(copy), "x-amz-copy-source is not set: UploadPartCopy requires it"),
        missing(
            Operation::UploadPart(pb::UploadPart { upload_id: "upload".to_owned(), ..Default::default() }),
            "partNumber is not set: UploadPart requires it",
        ),
        missing(Operation::UploadPart(part(1)), "uploadId is not set: UploadPart requires it"),
        missing(
            Operation::CompleteMultipartUpload(pb::CompleteMultipartUpload::default()),
            "uploadId is not set: CompleteMultipartUpload requires it",
        ),
        missing(
            Operation::AbortMultipartUpload(pb::AbortMultipartUpload::default()),
            "uploadId is not set: AbortMultipartUpload requires it",
        ),
        missing(Operation::ListParts(pb::ListParts::default()), "uploadId is not set: ListParts requires it"),
        missing(
            Operation::GetObjectAttributes(pb::GetObjectAttributes::default()),
            "x-amz-object-attributes is not set: GetObjectAttributes requires it",
        ),
    ])
    .await;
}

#[tokio::test]
async fn a_number_or_time_out_of_range_is_refused() {
    let wrong = |operation, message: &str| {
        invalid(request("key", operation), "PARAMETER_INVALID", "operation", message)
    };
    let part = |part_number| {
        Operation::UploadPart(pb::UploadPart {
            part_number: Some(part_number),
            upload_id: "upload".to_owned(),
            ..Default::default()
        })
    };
    let since = Some(prost_types::Timestamp { seconds: i64::MAX, nanos: 0 });
    check(vec![
        wrong(part(0), "partNumber is 0: it must be from 1 to 10000"),
        wrong(part(-1), "partNumber is -1: it must be from 1 to 10000"),
        wrong(part(10_001), "partNumber is 10001: it must be from 1 to 10000"),
        wrong(
            Operation::GetObject(pb::GetObject { part_number: Some(0), ..Default::default() }),
            "partNumber is 0: it must be from 1 to 10000",
        ),
        wrong(
            Operation::PutObject(pb::PutObject { content_length: Some(-1), ..Default::default() }),
            "content-length is -1: it must be from 0 to 9223372036854775807",
        ),
        wrong(
            Operation::GetObject(pb::GetObject { if_modified_since: since, ..Default::default() }),
            "if-modified-since is out of range: it must be a time in the years 1 to 9999",
        ),
    ])
    .await;
}

#[tokio::test]
async fn an_unknown_signer_is_not_found() {
    let expected = |message: &str| GrpcError::new(Code::NotFound, "SIGNER_UNKNOWN", None, message);
    check(vec![
        Row {
            request: but(|request| request.signer = "partner".to_owned()),
            expected: expected("signer \"partner\" is not configured on this server: use one of: default"),
        },
        Row {
            request: but(|request| request.signer = "Default".to_owned()),
            expected: expected("signer \"Default\" is not configured on this server: use one of: default"),
        },
    ])
    .await;
}

#[tokio::test]
async fn an_error_about_long_input_is_short() {
    // gRPC clients accept 8 KiB of metadata by default. It contains the error, with its details in Base64.
    let long = "x".repeat(100_000);
    let sidecar = Sidecar::start(&[]).await;
    let mut client = sidecar.client().await;
    let arn = |resource: &str| format!("arn:aws:s3:us-east-1:123456789012:{resource}");
    for request in [
        but(|request| request.bucket = arn(&long)),
        but(|request| request.bucket = arn("accesspoint/reports").replace("aws", &long)),
        but(|request| request.bucket = long.clone()),
        but(|request| request.signer = long.clone()),
        but(|request| drop(request.headers.insert(format!("a {long}"), "x".to_owned()))),
        but(|request| drop(request.headers.insert(long.clone(), "x".to_owned()))),
        but(|request| drop(request.query.insert(long.clone(), "x".to_owned()))),
    ] {
        let status = refused(client.presign(request).await);
        let bytes = status.message().len() + status.details().len() * 4 / 3;
        assert!(bytes < 8_000, "{:?} has {bytes} bytes: {:.100}…", status.code(), status.message());
    }
}
