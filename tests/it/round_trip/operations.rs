//! Presigns and sends every typed operation.

use std::collections::BTreeSet;

use presignd::{
    pb::{
        AbortMultipartUpload, CompleteMultipartUpload, CopyObject, CreateMultipartUpload, DeleteObject,
        DeleteObjectTagging, DeleteObjects, GetObject, GetObjectAcl, GetObjectAttributes, GetObjectLegalHold,
        GetObjectRetention, GetObjectTagging, HeadBucket, HeadObject, ListMultipartUploads,
        ListObjectVersions, ListObjects, ListObjectsV2, ListParts, PutObject, PutObjectAcl,
        PutObjectLegalHold, PutObjectRetention, PutObjectTagging, RestoreObject, UploadPart, UploadPartCopy,
        presign_request::Operation,
    },
    presign::operation::OPERATIONS,
};

use super::RoundTrip;
use crate::support::{
    OUTPOSTS_ARN,
    http::Answer,
    s3::{OUTPOSTS_BUCKET, PLAIN_BUCKET, Server},
};

const KEY: &str = "operations/an object";
const COPY: &str = "operations/a copy";
const ARCHIVED: &str = "operations/archived";

/// Operations that ministack does not support, and its error, which is not about the signature. Its buckets have no
/// ACLs, like new buckets of AWS since 2023.
const NOT_IN_MINISTACK: &[(&str, &str)] = &[
    ("PutObjectAcl", "400 AccessControlListNotSupported"),
    ("PutObjectRetention", NO_OBJECT_LOCK),
    ("GetObjectRetention", NO_OBJECT_LOCK),
    ("PutObjectLegalHold", NO_OBJECT_LOCK),
    ("GetObjectLegalHold", NO_OBJECT_LOCK),
];

/// Operations that `SeaweedFS` does not support, and its error. It has no archive.
const NOT_IN_SEAWEEDFS: &[(&str, &str)] = &[
    ("RestoreObject", "405 MethodNotAllowed"),
    ("PutObjectRetention", NO_OBJECT_LOCK),
    ("GetObjectRetention", NO_OBJECT_LOCK),
    ("PutObjectLegalHold", NO_OBJECT_LOCK),
    ("GetObjectLegalHold", NO_OBJECT_LOCK),
];

/// The error of a bucket without Object Lock to a URL with a valid signature.
const NO_OBJECT_LOCK: &str = "400 InvalidRequest";

#[tokio::test]
async fn ministack_accepts_every_supported_operation() {
    run_all(Server::ministack(), NOT_IN_MINISTACK).await;
}

#[tokio::test]
async fn seaweedfs_accepts_every_supported_operation() {
    run_all(Server::seaweedfs(), NOT_IN_SEAWEEDFS).await;
}

async fn run_all(server: &'static Server, unsupported: &'static [(&'static str, &'static str)]) {
    let caller = RoundTrip::start(server).await;
    for (bucket, name) in [(OUTPOSTS_ARN, OUTPOSTS_BUCKET), (PLAIN_BUCKET, PLAIN_BUCKET)] {
        let source = format!("{name}/operations/an%20object");
        let mut run = OperationRun { caller: &caller, bucket, source, unsupported, covered: BTreeSet::new() };
        run.objects().await;
        run.tags().await;
        run.lists().await;
        run.parts().await;
        run.acls_and_archive().await;
        run.object_lock().await;
        run.deletes().await;
        let all: BTreeSet<_> = OPERATIONS.iter().map(|operation| operation.name).collect();
        assert_eq!(run.covered, all, "an operation is not covered");
    }
}

/// Runs all operations on one bucket.
struct OperationRun<'a> {
    caller: &'a RoundTrip,
    bucket: &'a str,
    /// The object at `KEY`, in the format of `copy_source`.
    source: String,
    /// Operations that the server does not support, and its error.
    unsupported: &'static [(&'static str, &'static str)],
    covered: BTreeSet<&'static str>,
}

impl OperationRun<'_> {
    async fn step(&mut self, name: &'static str, key: &str, operation: Operation, body: &str) -> Answer {
        let answer = self.caller.send(self.bucket, key, operation, body).await;
        let verdict = answer.verdict();
        let at =
            format!("{name} on {} {}: {verdict} {}", self.caller.server.name, self.bucket, answer.text());
        match self.unsupported.iter().find(|(unsupported, _)| *unsupported == name) {
            Some((_, expected)) => assert_eq!(verdict, *expected, "{at}"),
            None => assert!(answer.status.is_success(), "{at}"),
        }
        self.covered.insert(name);
        answer
    }

    async fn objects(&mut self) {
        self.step("PutObject", KEY, Operation::PutObject(PutObject::default()), "0123456789").await;
        let range = GetObject { range: "bytes=2-4".to_owned(), ..GetObject::default() };
        let part = self.step("GetObject", KEY, Operation::GetObject(range), "").await;
        assert_eq!((part.status.as_u16(), &*part.text()), (206, "234"));
        let head = self.step("HeadObject", KEY, Operation::HeadObject(HeadObject::default()), "").await;
        assert_eq!(head.header("content-length"), "10");
        let copy = CopyObject { copy_source: self.source.clone(), ..CopyObject::default() };
        self.step("CopyObject", COPY, Operation::CopyObject(copy), "").await;
        assert_eq!(self.caller.get(self.bucket, COPY).await.text(), "0123456789");
        self.step("HeadBucket", "", Operation::HeadBucket(HeadBucket::default()), "").await;
        let attributes =
            GetObjectAttributes { object_attributes: vec!["ObjectSize".to_owned()], ..Default::default() };
        let attributes =
            self.step("GetObjectAttributes", KEY, Operation::GetObjectAttributes(attributes), "").await;
        assert_eq!(attributes.element("ObjectSize"), "10");
    }

    async fn tags(&mut self) {
        let put = Operation::PutObjectTagging(PutObjectTagging::default());
        let get = Operation::GetObjectTagging(GetObjectTagging::default());
        let delete = Operation::DeleteObjectTagging(DeleteObjectTagging::default());
        let tags = "<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>";
        self.step("PutObjectTagging", KEY, put, tags).await;
        let tagged = self.step("GetObjectTagging", KEY, get.clone(), "").await;
        assert_eq!((tagged.element("Key"), tagged.element("Value")), ("a".to_owned(), "b".to_owned()));
        self.step("DeleteObjectTagging", KEY, delete, "").await;
        assert_eq!(self.step("GetObjectTagging", KEY, get, "").await.element("Key"), "");
    }

    async fn lists(&mut self) {
        let (prefix, max_keys) = ("operations/".to_owned(), Some(10));
        let first = ListObjects { prefix: prefix.clone(), max_keys, ..ListObjects::default() };
        let second = ListObjectsV2 { prefix: prefix.clone(), max_keys, ..ListObjectsV2::default() };
        let versions = ListObjectVersions { prefix, max_keys, ..ListObjectVersions::default() };
        let lists = [
            ("ListObjects", Operation::ListObjects(first)),
            ("ListObjectsV2", Operation::ListObjectsV2(second)),
            ("ListObjectVersions", Operation::ListObjectVersions(versions)),
        ];
        for (name, operation) in lists {
            let keys = self.step(name, "", operation, "").await.elements("Key");
            assert_eq!(keys, [COPY, KEY], "{name}");
        }
    }

    async fn parts(&mut self) {
        let upload_id = self.upload().await;
        let (one, two) = (Some(1), Some(2));
        let part = UploadPart { part_number: one, upload_id: upload_id.clone(), ..UploadPart::default() };
        let part = self.step("UploadPart", COPY, Operation::UploadPart(part), "part").await;
        let copy = UploadPartCopy {
            copy_source: self.source.clone(),
            part_number: two,
            upload_id: upload_id.clone(),
            ..UploadPartCopy::default()
        };
        self.step("UploadPartCopy", COPY, Operation::UploadPartCopy(copy), "").await;
        let parts = ListParts { upload_id: upload_id.clone(), ..ListParts::default() };
        self.step("ListParts", COPY, Operation::ListParts(parts), "").await;
        let uploads = Operation::ListMultipartUploads(ListMultipartUploads::default());
        self.step("ListMultipartUploads", "", uploads, "").await;
        let complete = CompleteMultipartUpload { upload_id, ..CompleteMultipartUpload::default() };
        let body = format!(
            "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>{}</ETag></Part>\
             </CompleteMultipartUpload>",
            part.header("etag")
        );
        self.step("CompleteMultipartUpload", COPY, Operation::CompleteMultipartUpload(complete), &body).await;
        let abort =
            AbortMultipartUpload { upload_id: self.upload().await, ..AbortMultipartUpload::default() };
        self.step("AbortMultipartUpload", COPY, Operation::AbortMultipartUpload(abort), "").await;
    }

    async fn upload(&mut self) -> String {
        let create = Operation::CreateMultipartUpload(CreateMultipartUpload::default());
        self.step("CreateMultipartUpload", COPY, create, "").await.element("UploadId")
    }

    async fn acls_and_archive(&mut self) {
        let acl = PutObjectAcl { acl: "private".to_owned(), ..PutObjectAcl::default() };
        self.step("PutObjectAcl", KEY, Operation::PutObjectAcl(acl), "").await;
        self.step("GetObjectAcl", KEY, Operation::GetObjectAcl(GetObjectAcl::default()), "").await;
        let archive = PutObject { storage_class: "GLACIER".to_owned(), ..PutObject::default() };
        self.step("PutObject", ARCHIVED, Operation::PutObject(archive), "cold").await;
        let restore = Operation::RestoreObject(RestoreObject::default());
        let days = "<RestoreRequest><Days>1</Days></RestoreRequest>";
        self.step("RestoreObject", ARCHIVED, restore, days).await;
    }

    /// These buckets have no Object Lock. `object_lock.rs` tests a bucket with it.
    async fn object_lock(&mut self) {
        let retention = "<Retention><Mode>GOVERNANCE</Mode><RetainUntilDate>2098-01-01T00:00:00Z</RetainUntilDate></Retention>";
        let hold = "<LegalHold><Status>ON</Status></LegalHold>";
        let put_retention = Operation::PutObjectRetention(PutObjectRetention::default());
        let get_retention = Operation::GetObjectRetention(GetObjectRetention::default());
        let put_hold = Operation::PutObjectLegalHold(PutObjectLegalHold::default());
        let get_hold = Operation::GetObjectLegalHold(GetObjectLegalHold::default());
        self.step("PutObjectRetention", KEY, put_retention, retention).await;
        self.step("GetObjectRetention", KEY, get_retention, "").await;
        self.step("PutObjectLegalHold", KEY, put_hold, hold).await;
        self.step("GetObjectLegalHold", KEY, get_hold, "").await;
    }

    async fn deletes(&mut self) {
        let delete = Operation::DeleteObject(DeleteObject::default());
        let answer = self.step("DeleteObject", KEY, delete, "").await;
        assert_eq!(answer.status.as_u16(), 204);
        let body = format!("<Delete><Object><Key>{COPY}</Key></Object></Delete>");
        let delete = Operation::DeleteObjects(DeleteObjects::default());
        let deleted = self.step("DeleteObjects", "", delete, &body).await;
        assert_eq!(deleted.elements("Key"), [COPY], "{}", deleted.text());
        for key in [KEY, COPY] {
            let get = Operation::GetObject(GetObject::default());
            assert_eq!(self.caller.send(self.bucket, key, get, "").await.verdict(), "404 NoSuchKey");
        }
    }
}
