//! The requests for the oracles: each operation with parameters, for many targets, keys and times.

use std::collections::BTreeMap;

use presignd::pb::{self, presign_request::Operation};
use serde_json::{Value, json};

use crate::support::{OUTPOSTS_ARN, in_process::Case};

/// An operation with parameters, and the same parameters with botocore's names.
pub struct Sample {
    pub name: &'static str,
    pub operation: Operation,
    pub botocore: Value,
}

/// Keys with characters that signers are known to encode wrongly.
pub const KEYS: [&str; 16] = [
    "plain.txt",
    "folder/with spaces/a b.txt",
    "plus+plus",
    "percent%",
    "%2F",
    "%252e%252e/x",
    "question?mark#hash&and=equals",
    "a//b///c",
    "./a/./b",
    "../a/../b",
    "/leading",
    "trailing/",
    "émoji😀/日本",
    "quote'\"<>|\\^`{}[]",
    "~!$()*,:;@-_.",
    "=",
];

pub fn targets() -> Vec<(&'static str, &'static str)> {
    vec![
        ("us-east-1", "plain-bucket"),
        ("eu-central-1", "plain-bucket"),
        ("us-east-1", "dotted.bucket"),
        ("us-east-1", OUTPOSTS_ARN),
        (
            "us-west-2",
            "arn:aws:s3-outposts:us-west-2:123456789012:outpost:op-01ac5d28a6a232904:accesspoint:reports",
        ),
        ("us-west-2", "arn:aws:s3:us-west-2:123456789012:accesspoint/reports"),
        (
            "us-gov-west-1",
            "arn:aws-us-gov:s3-outposts:us-gov-west-1:123456789012:outpost/op-01ac5d28a6a232904/accesspoint/reports",
        ),
        ("cn-north-1", "plain-bucket"),
    ]
}

/// Every sample on every target; keys, lifetimes, tokens and times vary from case to case.
pub fn all() -> Vec<(Sample, Case)> {
    let mut cases = Vec::new();
    for (region, bucket) in targets() {
        for round in 0..KEYS.len() {
            for sample in samples() {
                let mix = cases.len();
                let key =
                    if is_bucket_operation(sample.name) { "" } else { KEYS[(round + mix) % KEYS.len()] };
                let mut case = Case::new(bucket, key, sample.operation.clone());
                case.region = region;
                case.expires_in = [1, 59, 900, 3_600, 86_399, 604_800][mix % 6];
                case.session_token =
                    [None, Some("AQoDYXdzEJr//////////wEa+oAK/=="), Some("t")][mix % 3].map(Into::into);
                case.time = [1_369_353_600, 1_709_251_199, 1_735_689_600, 4_102_444_799][mix % 4];
                cases.push((sample, case));
            }
        }
    }
    cases
}

pub fn is_bucket_operation(operation: &str) -> bool {
    operation.starts_with("List") && operation != "ListParts"
        || matches!(operation, "HeadBucket" | "DeleteObjects")
        || operation.contains("Bucket")
}

fn owned(text: &str) -> String {
    text.to_owned()
}

fn sample(name: &'static str, operation: Operation, botocore: Value) -> Sample {
    Sample { name, operation, botocore }
}

/// Each operation, with few and with many parameters.
pub fn samples() -> Vec<Sample> {
    let mut all = objects();
    all.extend(multipart_uploads());
    all.extend(listings());
    all.extend(object_properties());
    all.extend(object_lock());
    all.extend(by_method());
    all
}

fn objects() -> Vec<Sample> {
    let metadata: BTreeMap<String, String> =
        [("owner", "a b  c"), ("x", "")].map(|(k, v)| (owned(k), owned(v))).into();
    vec![
        sample("GetObject", Operation::GetObject(pb::GetObject::default()), json!({})),
        sample(
            "GetObject",
            Operation::GetObject(pb::GetObject {
                version_id: owned("3/L4kqtJlcpXroDTDmJ+rmSpXd3dIbrHY+MTRCxf3vjVBH40Nr8X8gdRQBpUMLUo"),
                response_content_disposition: owned(
                    "attachment; filename=\"a b+c.txt\"; filename*=UTF-8''%e2%82%ac",
                ),
                response_content_type: owned("text/plain; charset=utf-8"),
                range: owned("bytes=0-9"),
                part_number: Some(7),
                if_modified_since: Some(prost_types::Timestamp { seconds: 1_445_412_480, nanos: 0 }),
                if_match: owned("\"etag\""),
                checksum_mode: owned("ENABLED"),
                request_payer: owned("requester"),
                expected_bucket_owner: owned("123456789012"),
                ..Default::default()
            }),
            json!({
                "VersionId": "3/L4kqtJlcpXroDTDmJ+rmSpXd3dIbrHY+MTRCxf3vjVBH40Nr8X8gdRQBpUMLUo",
                "ResponseContentDisposition": "attachment; filename=\"a b+c.txt\"; filename*=UTF-8''%e2%82%ac",
                "ResponseContentType": "text/plain; charset=utf-8",
                "Range": "bytes=0-9",
                "PartNumber": 7,
                "IfModifiedSince": "2015-10-21T07:28:00Z",
                "IfMatch": "\"etag\"",
                "ChecksumMode": "ENABLED",
                "RequestPayer": "requester",
                "ExpectedBucketOwner": "123456789012",
            }),
        ),
        sample(
            "HeadObject",
            Operation::HeadObject(pb::HeadObject { version_id: owned("null"), ..Default::default() }),
            json!({"VersionId": "null"}),
        ),
        sample("PutObject", Operation::PutObject(pb::PutObject::default()), json!({})),
        sample(
            "PutObject",
            Operation::PutObject(pb::PutObject {
                content_type: owned("image/svg+xml"),
                content_length: Some(1_048_576),
                content_md5: owned("Q2hlY2sgSW50ZWdyaXR5IQ=="),
                cache_control: owned("max-age=60, public"),
                metadata,
                tagging: owned("a=b&c=d%20e"),
                storage_class: owned("OUTPOSTS"),
                server_side_encryption: owned("aws:kms"),
                sse_kms_key_id: owned("arn:aws:kms:us-east-1:123456789012:key/abcd"),
                bucket_key_enabled: Some(false),
                acl: owned("bucket-owner-full-control"),
                if_none_match: owned("*"),
                checksum_sha256: owned("47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="),
                object_lock_retain_until_date: Some(prost_types::Timestamp {
                    seconds: 1_893_456_000,
                    nanos: 0,
                }),
                ..Default::default()
            }),
            json!({
                "ContentType": "image/svg+xml",
                "ContentLength": 1_048_576,
                "ContentMD5": "Q2hlY2sgSW50ZWdyaXR5IQ==",
                "CacheControl": "max-age=60, public",
                "Metadata": {"owner": "a b  c", "x": ""},
                "Tagging": "a=b&c=d%20e",
                "StorageClass": "OUTPOSTS",
                "ServerSideEncryption": "aws:kms",
                "SSEKMSKeyId": "arn:aws:kms:us-east-1:123456789012:key/abcd",
                "BucketKeyEnabled": false,
                "ACL": "bucket-owner-full-control",
                "IfNoneMatch": "*",
                "ChecksumSHA256": "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
                "ObjectLockRetainUntilDate": "2030-01-01T00:00:00Z",
            }),
        ),
        sample(
            "DeleteObject",
            Operation::DeleteObject(pb::DeleteObject {
                mfa: owned("123 456"),
                bypass_governance_retention: Some(true),
                version_id: owned("v+1"),
                ..Default::default()
            }),
            json!({"MFA": "123 456", "BypassGovernanceRetention": true, "VersionId": "v+1"}),
        ),
        sample(
            "DeleteObjects",
            Operation::DeleteObjects(pb::DeleteObjects::default()),
            json!({"Delete": {"Objects": [{"Key": "k"}]}}),
        ),
        sample(
            "CopyObject",
            Operation::CopyObject(pb::CopyObject {
                copy_source: owned("from/a%20b"),
                metadata_directive: owned("REPLACE"),
                ..Default::default()
            }),
            json!({"CopySource": "from/a b", "MetadataDirective": "REPLACE"}),
        ),
    ]
}

fn multipart_uploads() -> Vec<Sample> {
    let upload_id = || owned("VXBsb2FkIElE+/=");
    vec![
        sample(
            "CreateMultipartUpload",
            Operation::CreateMultipartUpload(pb::CreateMultipartUpload {
                content_type: owned("video/mp4"),
                checksum_algorithm: owned("CRC64NVME"),
                ..Default::default()
            }),
            json!({"ContentType": "video/mp4", "ChecksumAlgorithm": "CRC64NVME"}),
        ),
        sample(
            "UploadPart",
            Operation::UploadPart(pb::UploadPart {
                part_number: Some(10_000),
                upload_id: upload_id(),
                ..Default::default()
            }),
            json!({"PartNumber": 10_000, "UploadId": upload_id()}),
        ),
        sample(
            "UploadPartCopy",
            Operation::UploadPartCopy(pb::UploadPartCopy {
                copy_source: owned("from/key"),
                copy_source_range: owned("bytes=0-9"),
                part_number: Some(1),
                upload_id: upload_id(),
                ..Default::default()
            }),
            json!({"CopySource": "from/key", "CopySourceRange": "bytes=0-9", "PartNumber": 1, "UploadId": upload_id()}),
        ),
        sample(
            "CompleteMultipartUpload",
            Operation::CompleteMultipartUpload(pb::CompleteMultipartUpload {
                upload_id: upload_id(),
                mpu_object_size: Some(42),
                ..Default::default()
            }),
            json!({"UploadId": upload_id(), "MpuObjectSize": 42}),
        ),
        sample(
            "AbortMultipartUpload",
            Operation::AbortMultipartUpload(pb::AbortMultipartUpload {
                upload_id: upload_id(),
                ..Default::default()
            }),
            json!({"UploadId": upload_id()}),
        ),
        sample(
            "ListParts",
            Operation::ListParts(pb::ListParts {
                upload_id: upload_id(),
                max_parts: Some(5),
                ..Default::default()
            }),
            json!({"UploadId": upload_id(), "MaxParts": 5}),
        ),
    ]
}

/// They set `encoding-type=url`, because boto3 always adds it to most listings.
fn listings() -> Vec<Sample> {
    let url = || owned("url");
    vec![
        sample(
            "ListMultipartUploads",
            Operation::ListMultipartUploads(pb::ListMultipartUploads {
                encoding_type: url(),
                prefix: owned("a b/"),
                ..Default::default()
            }),
            json!({"EncodingType": "url", "Prefix": "a b/"}),
        ),
        sample(
            "ListObjects",
            Operation::ListObjects(pb::ListObjects {
                encoding_type: url(),
                marker: owned("m+"),
                ..Default::default()
            }),
            json!({"EncodingType": "url", "Marker": "m+"}),
        ),
        sample(
            "ListObjectsV2",
            Operation::ListObjectsV2(pb::ListObjectsV2 {
                encoding_type: url(),
                delimiter: owned("/"),
                max_keys: Some(0),
                fetch_owner: Some(true),
                start_after: owned("é"),
                optional_object_attributes: vec![owned("RestoreStatus")],
                ..Default::default()
            }),
            json!({"EncodingType": "url", "Delimiter": "/", "MaxKeys": 0, "FetchOwner": true, "StartAfter": "é",
                "OptionalObjectAttributes": ["RestoreStatus"]}),
        ),
        sample(
            "ListObjectVersions",
            Operation::ListObjectVersions(pb::ListObjectVersions {
                encoding_type: url(),
                key_marker: owned("k"),
                ..Default::default()
            }),
            json!({"EncodingType": "url", "KeyMarker": "k"}),
        ),
        sample("HeadBucket", Operation::HeadBucket(pb::HeadBucket::default()), json!({})),
    ]
}

fn object_properties() -> Vec<Sample> {
    vec![
        sample("GetObjectTagging", Operation::GetObjectTagging(pb::GetObjectTagging::default()), json!({})),
        sample(
            "PutObjectTagging",
            Operation::PutObjectTagging(pb::PutObjectTagging {
                content_md5: owned("abc="),
                ..Default::default()
            }),
            json!({"ContentMD5": "abc=", "Tagging": {"TagSet": []}}),
        ),
        sample(
            "DeleteObjectTagging",
            Operation::DeleteObjectTagging(pb::DeleteObjectTagging::default()),
            json!({}),
        ),
        sample(
            "GetObjectAttributes",
            Operation::GetObjectAttributes(pb::GetObjectAttributes {
                object_attributes: vec![owned("ETag"), owned("ObjectSize")],
                max_parts: Some(3),
                ..Default::default()
            }),
            json!({"ObjectAttributes": ["ETag", "ObjectSize"], "MaxParts": 3}),
        ),
        sample("GetObjectAcl", Operation::GetObjectAcl(pb::GetObjectAcl::default()), json!({})),
        sample(
            "PutObjectAcl",
            Operation::PutObjectAcl(pb::PutObjectAcl {
                grant_read: owned("id=\"a\", id=\"b\""),
                ..Default::default()
            }),
            json!({"GrantRead": "id=\"a\", id=\"b\""}),
        ),
        sample(
            "RestoreObject",
            Operation::RestoreObject(pb::RestoreObject { version_id: owned("v"), ..Default::default() }),
            json!({"VersionId": "v"}),
        ),
    ]
}

fn object_lock() -> Vec<Sample> {
    let (requester, owner) = (|| owned("requester"), || owned("123456789012"));
    vec![
        sample(
            "GetObjectRetention",
            Operation::GetObjectRetention(pb::GetObjectRetention {
                version_id: owned("v+/="),
                request_payer: requester(),
                expected_bucket_owner: owner(),
            }),
            json!({"VersionId": "v+/=", "RequestPayer": "requester", "ExpectedBucketOwner": "123456789012"}),
        ),
        sample(
            "PutObjectRetention",
            Operation::PutObjectRetention(pb::PutObjectRetention {
                request_payer: requester(),
                version_id: owned("v+/="),
                bypass_governance_retention: Some(true),
                content_md5: owned("abc="),
                checksum_algorithm: owned("CRC32"),
                expected_bucket_owner: owner(),
            }),
            json!({"RequestPayer": "requester", "VersionId": "v+/=", "BypassGovernanceRetention": true,
                "ContentMD5": "abc=", "ChecksumAlgorithm": "CRC32", "ExpectedBucketOwner": "123456789012"}),
        ),
        sample(
            "GetObjectLegalHold",
            Operation::GetObjectLegalHold(pb::GetObjectLegalHold::default()),
            json!({}),
        ),
        sample(
            "PutObjectLegalHold",
            Operation::PutObjectLegalHold(pb::PutObjectLegalHold {
                request_payer: requester(),
                version_id: owned("null"),
                content_md5: owned("abc="),
                checksum_algorithm: owned("SHA256"),
                expected_bucket_owner: owner(),
            }),
            json!({"RequestPayer": "requester", "VersionId": "null", "ContentMD5": "abc=",
                "ChecksumAlgorithm": "SHA256", "ExpectedBucketOwner": "123456789012"}),
        ),
    ]
}

/// Calls by their method.
fn by_method() -> Vec<Sample> {
    let http = |method: &str, query: &[(&str, &str)], headers: &[(&str, &str)]| {
        let map =
            |pairs: &[(&str, &str)]| pairs.iter().map(|(name, value)| (owned(name), owned(value))).collect();
        Operation::Http(pb::Http { method: owned(method), query: map(query), headers: map(headers) })
    };
    vec![
        sample("GetBucketVersioning", http("GET", &[("versioning", "")], &[]), json!({})),
        sample(
            "PutBucketTagging",
            http(
                "PUT",
                &[("tagging", "")],
                &[("Content-MD5", "abc="), ("x-amz-expected-bucket-owner", "123456789012")],
            ),
            json!({"ContentMD5": "abc=", "ExpectedBucketOwner": "123456789012", "Tagging": {"TagSet": []}}),
        ),
        sample("DeleteBucketCors", http("DELETE", &[("cors", "")], &[]), json!({})),
        sample(
            "GetObjectRetention",
            http("GET", &[("retention", ""), ("versionId", "v+/=")], &[("x-amz-request-payer", "requester")]),
            json!({"VersionId": "v+/=", "RequestPayer": "requester"}),
        ),
        sample(
            "SelectObjectContent",
            http("POST", &[("select", ""), ("select-type", "2")], &[]),
            json!({"Expression": "x", "ExpressionType": "SQL", "InputSerialization": {}, "OutputSerialization": {}}),
        ),
    ]
}
