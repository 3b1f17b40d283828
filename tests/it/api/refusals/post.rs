//! Invalid forms: the target, the key, the fields and the size of the file.

use presignd::pb;
use tonic::Code;

use super::CANARY;
use crate::support::{
    OUTPOSTS_ARN,
    grpc::{BUCKET, GrpcError, metadata, refused, seconds},
    provider::CredentialProcess,
    sidecar::Sidecar,
};

/// A valid form with a change.
fn but(change: impl FnOnce(&mut pb::PresignPostRequest)) -> pb::PresignPostRequest {
    let mut form =
        pb::PresignPostRequest { bucket: BUCKET.to_owned(), key: "key".to_owned(), ..Default::default() };
    change(&mut form);
    form
}

fn field(name: &str, value: &str) -> pb::PresignPostRequest {
    but(|form| drop(form.fields.insert(name.to_owned(), value.to_owned())))
}

fn starts_with(name: &str, text: &str) -> pb::PresignPostRequest {
    but(|form| drop(form.starts_with.insert(name.to_owned(), text.to_owned())))
}

fn size(min: i64, max: i64) -> pb::PresignPostRequest {
    but(|form| form.content_length_range = Some(pb::ContentLengthRange { min, max }))
}

/// A form, and the reason, field and message of its `INVALID_ARGUMENT`.
type Row<'r> = (pb::PresignPostRequest, &'r str, &'r str, String);

/// Sends each form with a value that no error may contain, and compares its error.
async fn check(rows: Vec<Row<'_>>) {
    let sidecar = Sidecar::start(&[]).await;
    let mut client = sidecar.client().await;
    for (mut form, reason, field, message) in rows {
        form.fields.insert("x-amz-meta-canary".to_owned(), CANARY.to_owned());
        let status = refused(client.presign_post(form).await);
        assert_eq!(
            GrpcError::of(&status),
            GrpcError::new(Code::InvalidArgument, reason, Some(field), &message)
        );
        let details = String::from_utf8_lossy(status.details()).into_owned();
        assert!(!status.message().contains(CANARY) && !details.contains(CANARY), "{status} contains a value");
        assert!(status.message().len() + status.details().len() * 4 / 3 < 8_000, "{status:.100}");
    }
}

#[tokio::test]
async fn a_target_without_forms_is_refused() {
    let not_offered = |kind: &str| {
        format!(
            "S3 does not support form uploads (POST Object) for the target kind {kind}: \
             presign PutObject instead, or use a bucket"
        )
    };
    let arn = "a form cannot be signed for an access point ARN: \
               give the access point's alias (NAME-s3alias), or the bucket";
    let alias = "test-accessp-o0b1d075431d83bebde8xz5w8ijx1qzlbp3i3kuse10--op-s3";
    let rows = [
        (OUTPOSTS_ARN, not_offered("outposts")),
        (alias, not_offered("outposts")),
        ("arn:aws:s3::123456789012:accesspoint/mfzwi23gnjvgw.mrap", not_offered("multi_region_access_point")),
        ("arn:aws:s3-object-lambda:us-east-1:123456789012:accesspoint/reports", not_offered("object_lambda")),
        ("logs--use1-az4--x-s3", not_offered("directory_bucket")),
        ("arn:aws:s3:us-east-1:123456789012:accesspoint/reports", arn.to_owned()),
    ];
    let rows = rows.map(|(bucket, message)| {
        (but(|form| form.bucket = bucket.to_owned()), "TARGET_REFUSED", "bucket", message)
    });
    check(rows.into()).await;
}

#[tokio::test]
async fn an_invalid_bucket_or_key_is_refused() {
    let key = |key: &str| but(|form| form.key = key.to_owned());
    let long = "k".repeat(1_025);
    let rows = [
        (
            but(|form| form.bucket.clear()),
            "BUCKET_INVALID",
            "bucket",
            "bucket is empty: give a bucket name, an access point ARN or an access point alias",
        ),
        (key(""), "KEY_INVALID", "key", "key is empty: PostObject needs an object key"),
        (key(&long), "KEY_INVALID", "key", "key has 1025 bytes: S3 allows at most 1024 bytes of UTF-8"),
        (
            key(&format!("{long}${{filename}}")),
            "KEY_INVALID",
            "key",
            "key has 1025 bytes: S3 allows at most 1024 bytes of UTF-8",
        ),
        (
            key("a/${filename}.txt"),
            "KEY_INVALID",
            "key",
            "key contains ${filename} before its end: S3 replaces it with the file name, \
             so the text after it cannot be checked; put ${filename} at the end of the key",
        ),
        (
            key("${filename}${filename}"),
            "KEY_INVALID",
            "key",
            "key contains ${filename} before its end: S3 replaces it with the file name, \
             so the text after it cannot be checked; put ${filename} at the end of the key",
        ),
        (
            key("a\nb"),
            "KEY_INVALID",
            "key",
            "key contains a line break: browsers change line breaks in forms, so the key would not match the signed one",
        ),
    ];
    check(rows.map(|(form, reason, field, message)| (form, reason, field, message.to_owned())).into()).await;
}

#[tokio::test]
async fn a_reserved_field_is_refused_in_either_map() {
    let ours = "presignd sets it";
    let sigv2 = "it belongs to SigV2, but presignd signs with SigV4";
    let mut rows = Vec::new();
    for (name, why) in [
        ("key", "set key of the request instead"),
        ("bucket", "set bucket of the request instead"),
        ("Bucket", "set bucket of the request instead"),
        ("file", "it is the file itself, the last field of the form"),
        ("content-length-range", "set content_length_range instead"),
        ("policy", ours),
        ("Policy", ours),
        ("x-amz-algorithm", ours),
        ("X-Amz-Credential", ours),
        ("x-amz-date", ours),
        ("x-amz-security-token", ours),
        ("X-AMZ-SIGNATURE", ours),
        ("AWSAccessKeyId", sigv2),
        ("signature", sigv2),
    ] {
        let message = format!("field {name} cannot be set: {why}");
        rows.push((field(name, "x"), "FIELD_INVALID", "fields", message.clone()));
        rows.push((starts_with(name, ""), "FIELD_INVALID", "starts_with", message));
    }
    check(rows).await;
}

#[tokio::test]
async fn a_field_that_cannot_match_is_refused() {
    let name = |name: &str| {
        format!("{name:?} is not a form field name: use only letters, digits and !#$%&'*+-.^_`|~")
    };
    let filename = "field success_action_redirect contains ${filename}: S3 replaces it with the file name \
                    before it compares, so the value would never match; \
                    set the text before ${filename} in starts_with, and the whole value in the form";
    let line = "field tagging contains a line break: browsers change line breaks in forms, so the value would not match";
    let redirect = "https://example.com/?name=${filename}";
    let twice =
        |name: &str| format!("field {name} is set twice: S3 ignores the case of field names, so set it once");
    let mut both = field("ACL", "private");
    both.starts_with.insert("acl".to_owned(), String::new());
    let mut exact = field("acl", "private");
    exact.fields.insert("Acl".to_owned(), "private".to_owned());
    let mut prefixes = starts_with("acl", "");
    prefixes.starts_with.insert("Acl".to_owned(), String::new());
    let many =
        but(|form| form.starts_with.extend((0..101).map(|number| (format!("x-{number}"), String::new()))));
    let long = "é".repeat(100_000);
    check(vec![
        (field("", "x"), "FIELD_INVALID", "fields", name("")),
        (field("a\"b", "x"), "FIELD_INVALID", "fields", name("a\"b")),
        (field("a b", "x"), "FIELD_INVALID", "fields", name("a b")),
        (starts_with("a\r\nb", "x"), "FIELD_INVALID", "starts_with", name("a\r\nb")),
        (field(&long, "x"), "FIELD_INVALID", "fields", name(&"é".repeat(64))),
        (field("success_action_redirect", redirect), "FIELD_INVALID", "fields", filename.to_owned()),
        (
            starts_with("success_action_redirect", redirect),
            "FIELD_INVALID",
            "starts_with",
            filename.to_owned(),
        ),
        (field("tagging", "<a>\n</a>"), "FIELD_INVALID", "fields", line.to_owned()),
        (starts_with("tagging", "\r"), "FIELD_INVALID", "starts_with", line.to_owned()),
        (exact, "FIELD_INVALID", "fields", twice("acl")),
        (prefixes, "FIELD_INVALID", "starts_with", twice("acl")),
        (
            both,
            "FIELD_INVALID",
            "starts_with",
            "field acl is in both fields and starts_with: remove it from one of them".to_owned(),
        ),
        (
            many,
            "FORM_TOO_LARGE",
            "starts_with",
            "too many fields: fields and starts_with together can have at most 100".to_owned(),
        ),
    ])
    .await;
}

#[tokio::test]
async fn a_form_over_the_s3_limit_names_its_length() {
    let sidecar = Sidecar::start(&[]).await;
    let mut client = sidecar.client().await;
    client.presign_post(field("x-amz-meta-long", &"x".repeat(8_000))).await.map(drop).unwrap();
    let status = refused(client.presign_post(field("x-amz-meta-long", &"x".repeat(8_500))).await);
    let GrpcError { code, reason, field, message } = GrpcError::of(&status);
    assert_eq!((code, &*reason, field.as_deref()), (Code::InvalidArgument, "FORM_TOO_LARGE", Some("fields")));
    let bytes = message.strip_prefix("the form would have ").unwrap();
    let (bytes, rest) = bytes.split_once(' ').unwrap();
    assert!((20_481..22_000).contains(&bytes.parse().unwrap()), "{message}");
    assert_eq!(
        rest,
        "bytes without its file: S3 allows at most 20480; \
         send fewer or shorter fields (each is also in the policy)"
    );
}

#[tokio::test]
async fn an_invalid_size_range_names_its_bound() {
    let bound = |bound: &str, value: i64| {
        format!("content_length_range.{bound} is {value}: it must be from 0 to 5368709120 bytes (5 GiB)")
    };
    let [min, max] = ["content_length_range.min", "content_length_range.max"];
    let empty = "content_length_range has min 2 and max 1: min must not be greater than max";
    check(vec![
        (size(-1, 5), "SIZE_INVALID", min, bound("min", -1)),
        (size(i64::MIN, i64::MAX), "SIZE_INVALID", min, bound("min", i64::MIN)),
        (size(0, -1), "SIZE_INVALID", max, bound("max", -1)),
        (size(0, (5 << 30) + 1), "SIZE_INVALID", max, bound("max", (5 << 30) + 1)),
        (size(2, 1), "SIZE_INVALID", "content_length_range", empty.to_owned()),
    ])
    .await;
}

#[tokio::test]
async fn the_lifetime_of_a_form_is_validated() {
    let sidecar = Sidecar::start(&["--expiry-max", "1h"]).await;
    let mut client = sidecar.client().await;
    let lasting = |asked, minimum| {
        but(|form| {
            form.expires_in = Some(seconds(asked));
            form.min_expires_in = Some(seconds(minimum));
        })
    };
    let status = refused(client.presign_post(lasting(0, 0)).await);
    let short = "expires_in is less than 1 second: set at least 1 second";
    assert_eq!(
        GrpcError::of(&status),
        GrpcError::new(Code::InvalidArgument, "DURATION_INVALID", Some("expires_in"), short)
    );
    let status = refused(client.presign_post(lasting(7_200, 7_200)).await);
    let kept = "min_expires_in is 2h, but at most 1h can be granted: limited by this server's expiry.max";
    assert_eq!(
        GrpcError::of(&status),
        GrpcError::new(Code::FailedPrecondition, "EXPIRY_TOO_SHORT", None, kept)
    );
    assert_eq!(metadata(&status)["grantable_seconds"], "3600");
    let status = refused(client.presign_post(but(|form| form.signer = "partner".to_owned())).await);
    let unknown = "signer \"partner\" is not configured on this server: use one of: default";
    assert_eq!(GrpcError::of(&status), GrpcError::new(Code::NotFound, "SIGNER_UNKNOWN", None, unknown));
}

#[tokio::test]
async fn an_invalid_form_is_refused_before_missing_credentials() {
    let provider = CredentialProcess::new();
    let sidecar = Sidecar::spawn(provider.command(), &[]);
    let mut client = sidecar.client().await;
    let invalid = refused(client.presign_post(but(|form| form.bucket = OUTPOSTS_ARN.to_owned())).await);
    assert_eq!(
        (invalid.code(), GrpcError::of(&invalid).field.as_deref()),
        (Code::InvalidArgument, Some("bucket"))
    );
    assert_eq!(refused(client.presign_post(but(|_| ())).await).code(), Code::Unavailable);
}
