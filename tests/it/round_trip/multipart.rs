//! A multipart upload with a presigned URL for every step.

use presignd::pb::{
    AbortMultipartUpload, CompleteMultipartUpload, CreateMultipartUpload, ListMultipartUploads, ListParts,
    UploadPart, UploadPartCopy, presign_request::Operation,
};

use super::RoundTrip;
use crate::support::{
    OUTPOSTS_ARN,
    s3::{OUTPOSTS_BUCKET, PLAIN_BUCKET, Server},
};

/// The minimum size of every part except the last, in bytes.
///
/// Source: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html>.
const MIN_PART_BYTES: usize = 5 * 1024 * 1024;

#[tokio::test]
async fn a_multipart_upload_is_read_back_complete() {
    for server in [Server::ministack(), Server::seaweedfs()] {
        let caller = RoundTrip::start(server).await;
        for (bucket, name) in [(OUTPOSTS_ARN, OUTPOSTS_BUCKET), (PLAIN_BUCKET, PLAIN_BUCKET)] {
            let upload = MultipartUpload::create(&caller, bucket, "multipart/a big file").await;
            upload.complete_with_copy_from(name).await;
        }
    }
}

#[tokio::test]
async fn an_aborted_upload_is_removed() {
    for server in [Server::ministack(), Server::seaweedfs()] {
        let caller = RoundTrip::start(server).await;
        for bucket in [OUTPOSTS_ARN, PLAIN_BUCKET] {
            let upload = MultipartUpload::create(&caller, bucket, "multipart/aborted").await;
            upload.upload_part(1, "a part").await;
            assert!(upload.is_listed().await, "{}", server.name);
            let abort =
                AbortMultipartUpload { upload_id: upload.id.clone(), ..AbortMultipartUpload::default() };
            caller.send_ok(bucket, upload.key, Operation::AbortMultipartUpload(abort), "").await;
            assert!(!upload.is_listed().await, "{}", server.name);
            let parts = caller.send(bucket, upload.key, upload.list_parts(), "").await;
            assert_eq!(parts.verdict(), "404 NoSuchUpload", "{}", server.name);
        }
    }
}

/// One multipart upload.
struct MultipartUpload<'a> {
    caller: &'a RoundTrip,
    bucket: &'a str,
    key: &'a str,
    id: String,
}

impl<'a> MultipartUpload<'a> {
    async fn create(caller: &'a RoundTrip, bucket: &'a str, key: &'a str) -> Self {
        let create = CreateMultipartUpload {
            content_type: "application/x-parts".to_owned(),
            metadata: [("parts".to_owned(), "three".to_owned())].into(),
            ..CreateMultipartUpload::default()
        };
        let created = caller.send_ok(bucket, key, Operation::CreateMultipartUpload(create), "").await;
        Self { caller, bucket, key, id: created.element("UploadId") }
    }

    /// Uploads three parts, the last as a copy of a range of another object, and completes the upload.
    async fn complete_with_copy_from(&self, source_bucket: &str) {
        let pattern: Vec<u8> = (0..=250).cycle().take(MIN_PART_BYTES).collect();
        self.caller.put(self.bucket, "multipart/a source", "0123456789").await;
        let tags = [
            self.upload_part(1, pattern.clone()).await,
            self.upload_part(2, pattern.clone()).await,
            self.copy_part(3, &format!("{source_bucket}/multipart/a%20source")).await,
        ];
        self.assert_parts(&tags).await;
        let complete =
            CompleteMultipartUpload { upload_id: self.id.clone(), ..CompleteMultipartUpload::default() };
        let complete = Operation::CompleteMultipartUpload(complete);
        self.caller.send_ok(self.bucket, self.key, complete, complete_body(&tags)).await;
        let whole = self.caller.get(self.bucket, self.key).await;
        assert_eq!(whole.header("content-type"), "application/x-parts");
        assert_eq!(whole.header("x-amz-meta-parts"), "three");
        assert!(*whole.body == *[&*pattern, &*pattern, b"2345"].concat(), "the bytes differ");
    }

    /// Uploads a part and returns its `ETag`.
    async fn upload_part(&self, number: i32, body: impl Into<Vec<u8>>) -> String {
        let part =
            UploadPart { part_number: Some(number), upload_id: self.id.clone(), ..UploadPart::default() };
        let answer = self.caller.send_ok(self.bucket, self.key, Operation::UploadPart(part), body).await;
        answer.header("etag").to_owned()
    }

    async fn copy_part(&self, number: i32, source: &str) -> String {
        let part = UploadPartCopy {
            copy_source: source.to_owned(),
            copy_source_range: "bytes=2-5".to_owned(),
            part_number: Some(number),
            upload_id: self.id.clone(),
            ..UploadPartCopy::default()
        };
        let answer = self.caller.send_ok(self.bucket, self.key, Operation::UploadPartCopy(part), "").await;
        unquote(&answer.element("ETag"))
    }

    fn list_parts(&self) -> Operation {
        Operation::ListParts(ListParts { upload_id: self.id.clone(), ..ListParts::default() })
    }

    async fn assert_parts(&self, tags: &[String]) {
        let parts = self.caller.send_ok(self.bucket, self.key, self.list_parts(), "").await;
        let numbers: Vec<_> = (1..=tags.len()).map(|number| number.to_string()).collect();
        assert_eq!(parts.elements("PartNumber"), numbers);
        let listed: Vec<_> = parts.elements("ETag").iter().map(|tag| unquote(tag)).collect();
        let uploaded: Vec<_> = tags.iter().map(|tag| unquote(tag)).collect();
        assert_eq!(listed, uploaded);
    }

    async fn is_listed(&self) -> bool {
        let list = ListMultipartUploads { prefix: self.key.to_owned(), ..ListMultipartUploads::default() };
        let answer = self.caller.send_ok(self.bucket, "", Operation::ListMultipartUploads(list), "").await;
        answer.elements("UploadId").contains(&self.id)
    }
}

/// Removes the quotes of an `ETag`, which may be escaped in XML.
fn unquote(tag: &str) -> String {
    tag.replace("&#34;", "").replace("&quot;", "").replace('"', "")
}

fn complete_body(tags: &[String]) -> String {
    let part = |(index, tag): (usize, &String)| {
        format!("<Part><PartNumber>{}</PartNumber><ETag>{}</ETag></Part>", index + 1, unquote(tag))
    };
    let parts: String = tags.iter().enumerate().map(part).collect();
    format!("<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>")
}
