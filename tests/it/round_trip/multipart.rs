//! A multipart upload, every step of it through a presigned URL.

use presignd::pb::{
    AbortMultipartUpload, CompleteMultipartUpload, CreateMultipartUpload, ListMultipartUploads, ListParts,
    UploadPart, UploadPartCopy, presign_request::Operation,
};

use super::Caller;
use crate::support::{
    OUTPOSTS_ARN,
    s3::{OUTPOSTS_BUCKET, PLAIN_BUCKET, Server},
};

/// Bytes in every part but the last at least:
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html>.
const LEAST_PART: usize = 5 * 1024 * 1024;

#[tokio::test]
async fn an_object_uploaded_in_parts_comes_back_whole() {
    for server in [Server::ministack(), Server::seaweedfs()] {
        let caller = Caller::of(server).await;
        for (bucket, name) in [(OUTPOSTS_ARN, OUTPOSTS_BUCKET), (PLAIN_BUCKET, PLAIN_BUCKET)] {
            let upload = Upload::create(&caller, bucket, "multipart/a big file").await;
            upload.completes_with(name).await;
        }
    }
}

#[tokio::test]
async fn an_aborted_upload_is_gone() {
    for server in [Server::ministack(), Server::seaweedfs()] {
        let caller = Caller::of(server).await;
        for bucket in [OUTPOSTS_ARN, PLAIN_BUCKET] {
            let upload = Upload::create(&caller, bucket, "multipart/aborted").await;
            upload.part(1, "not for long").await;
            assert!(upload.is_listed().await, "{}", server.name);
            let abort =
                AbortMultipartUpload { upload_id: upload.id.clone(), ..AbortMultipartUpload::default() };
            caller.done(bucket, upload.key, Operation::AbortMultipartUpload(abort), "").await;
            assert!(!upload.is_listed().await, "{}", server.name);
            let parts = caller.send(bucket, upload.key, upload.list_parts(), "").await;
            assert_eq!(parts.verdict(), "404 NoSuchUpload", "{}", server.name);
        }
    }
}

/// One upload, from its creation on.
struct Upload<'a> {
    caller: &'a Caller,
    bucket: &'a str,
    key: &'a str,
    id: String,
}

impl<'a> Upload<'a> {
    async fn create(caller: &'a Caller, bucket: &'a str, key: &'a str) -> Self {
        let create = CreateMultipartUpload {
            content_type: "application/x-parts".to_owned(),
            metadata: [("parts".to_owned(), "three".to_owned())].into(),
            ..CreateMultipartUpload::default()
        };
        let created = caller.done(bucket, key, Operation::CreateMultipartUpload(create), "").await;
        Self { caller, bucket, key, id: created.element("UploadId") }
    }

    /// Three parts, the last a copy of a range of another object.
    async fn completes_with(&self, source_bucket: &str) {
        let pattern: Vec<u8> = (0..=250).cycle().take(LEAST_PART).collect();
        self.caller.put(self.bucket, "multipart/a source", "0123456789").await;
        let tags = [
            self.part(1, pattern.clone()).await,
            self.part(2, pattern.clone()).await,
            self.copied_part(3, &format!("{source_bucket}/multipart/a%20source")).await,
        ];
        self.has_parts(&tags).await;
        let complete =
            CompleteMultipartUpload { upload_id: self.id.clone(), ..CompleteMultipartUpload::default() };
        let complete = Operation::CompleteMultipartUpload(complete);
        self.caller.done(self.bucket, self.key, complete, completion(&tags)).await;
        let whole = self.caller.get(self.bucket, self.key).await;
        assert_eq!(whole.header("content-type"), "application/x-parts");
        assert_eq!(whole.header("x-amz-meta-parts"), "three");
        assert!(*whole.body == *[&*pattern, &*pattern, b"2345"].concat(), "the bytes differ");
    }

    /// Uploads a part and gives its `ETag`.
    async fn part(&self, number: i32, body: impl Into<Vec<u8>>) -> String {
        let part =
            UploadPart { part_number: Some(number), upload_id: self.id.clone(), ..UploadPart::default() };
        let answer = self.caller.done(self.bucket, self.key, Operation::UploadPart(part), body).await;
        answer.header("etag").to_owned()
    }

    async fn copied_part(&self, number: i32, source: &str) -> String {
        let part = UploadPartCopy {
            copy_source: source.to_owned(),
            copy_source_range: "bytes=2-5".to_owned(),
            part_number: Some(number),
            upload_id: self.id.clone(),
            ..UploadPartCopy::default()
        };
        let answer = self.caller.done(self.bucket, self.key, Operation::UploadPartCopy(part), "").await;
        plain(&answer.element("ETag"))
    }

    fn list_parts(&self) -> Operation {
        Operation::ListParts(ListParts { upload_id: self.id.clone(), ..ListParts::default() })
    }

    async fn has_parts(&self, tags: &[String]) {
        let parts = self.caller.done(self.bucket, self.key, self.list_parts(), "").await;
        let numbers: Vec<_> = (1..=tags.len()).map(|number| number.to_string()).collect();
        assert_eq!(parts.elements("PartNumber"), numbers);
        let listed: Vec<_> = parts.elements("ETag").iter().map(|tag| plain(tag)).collect();
        let uploaded: Vec<_> = tags.iter().map(|tag| plain(tag)).collect();
        assert_eq!(listed, uploaded);
    }

    async fn is_listed(&self) -> bool {
        let list = ListMultipartUploads { prefix: self.key.to_owned(), ..ListMultipartUploads::default() };
        let answer = self.caller.done(self.bucket, "", Operation::ListMultipartUploads(list), "").await;
        answer.elements("UploadId").contains(&self.id)
    }
}

/// An `ETag` without its quotes, which XML may escape.
fn plain(tag: &str) -> String {
    tag.replace("&#34;", "").replace("&quot;", "").replace('"', "")
}

fn completion(tags: &[String]) -> String {
    let part = |(index, tag): (usize, &String)| {
        format!("<Part><PartNumber>{}</PartNumber><ETag>{}</ETag></Part>", index + 1, plain(tag))
    };
    let parts: String = tags.iter().enumerate().map(part).collect();
    format!("<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>")
}
