//! Parameters that S3 accepts only as headers are signed as headers and reach the server.

use presignd::pb::{GetObject, GetObjectTagging, HeadObject, PutObject, presign_request::Operation};

use super::RoundTrip;
use crate::support::{
    OUTPOSTS_ARN,
    http::Answer,
    s3::{PLAIN_BUCKET, Server},
};

const KEY: &str = "headers/report.pdf";

#[tokio::test]
async fn signed_headers_of_a_put_are_stored_with_the_object() {
    for server in [Server::ministack(), Server::seaweedfs()] {
        let caller = RoundTrip::start(server).await;
        for bucket in [OUTPOSTS_ARN, PLAIN_BUCKET] {
            put_with_headers(&caller, bucket).await;
            let head = Operation::HeadObject(HeadObject::default());
            assert_stored(&caller.send_ok(bucket, KEY, head, "").await);
            let tags = Operation::GetObjectTagging(GetObjectTagging::default());
            let tags = caller.send_ok(bucket, KEY, tags, "").await;
            let pair = (tags.element("Key"), tags.element("Value"));
            assert_eq!(pair, ("team".to_owned(), "a b".to_owned()), "{}", server.name);
        }
    }
}

async fn put_with_headers(caller: &RoundTrip, bucket: &str) {
    let put = PutObject {
        cache_control: "max-age=60, private".to_owned(),
        content_disposition: r#"attachment; filename="a report.pdf""#.to_owned(),
        content_length: Some(4),
        content_type: "application/pdf; version=1.7".to_owned(),
        metadata: [("owner", "team a"), ("mixed", "A,  b;=c")]
            .map(|(n, v)| (n.to_owned(), v.to_owned()))
            .into(),
        storage_class: "STANDARD_IA".to_owned(),
        tagging: "team=a%20b".to_owned(),
        ..PutObject::default()
    };
    let operation = Operation::PutObject(put);
    let url = caller.presign(bucket, KEY, operation.clone()).await.url;
    for hoisted in ["meta", "tagging", "storage-class"] {
        assert!(!url.contains(&format!("x-amz-{hoisted}=")), "{hoisted} is in the query");
    }
    caller.send_ok(bucket, KEY, operation, "body").await;
}

fn assert_stored(head: &Answer) {
    let rows = [
        ("cache-control", "max-age=60, private"),
        ("content-disposition", r#"attachment; filename="a report.pdf""#),
        ("content-length", "4"),
        ("content-type", "application/pdf; version=1.7"),
        ("x-amz-meta-owner", "team a"),
        ("x-amz-meta-mixed", "A,  b;=c"),
        ("x-amz-storage-class", "STANDARD_IA"),
    ];
    for (name, value) in rows {
        assert_eq!(head.header(name), value, "{name}");
    }
}

/// Only ministack: `SeaweedFS` needs a configured key for server-side encryption, and has none here.
#[tokio::test]
async fn signed_encryption_headers_are_accepted() {
    let caller = RoundTrip::start(Server::ministack()).await;
    for bucket in [OUTPOSTS_ARN, PLAIN_BUCKET] {
        let put = PutObject { server_side_encryption: "AES256".to_owned(), ..PutObject::default() };
        caller.send_ok(bucket, "headers/encrypted", Operation::PutObject(put), "body").await;
        let head = Operation::HeadObject(HeadObject::default());
        let head = caller.send_ok(bucket, "headers/encrypted", head, "").await;
        assert_eq!(head.header("x-amz-server-side-encryption"), "AES256");
    }
}

/// The client has the key of SSE-C, and the server rejects a read without it.
#[tokio::test]
async fn an_sse_c_object_is_read_only_with_its_key() {
    for server in [Server::ministack(), Server::seaweedfs()] {
        let caller = RoundTrip::start(server).await;
        let (algorithm, key, md5) = customer_key();
        let put = PutObject {
            sse_customer_algorithm: algorithm.clone(),
            sse_customer_key: key.clone(),
            sse_customer_key_md5: md5.clone(),
            ..PutObject::default()
        };
        caller.send_ok(PLAIN_BUCKET, "headers/sse-c", Operation::PutObject(put), "body").await;
        let with_key = GetObject {
            sse_customer_algorithm: algorithm,
            sse_customer_key: key,
            sse_customer_key_md5: md5,
            ..GetObject::default()
        };
        let got = caller.send_ok(PLAIN_BUCKET, "headers/sse-c", Operation::GetObject(with_key), "").await;
        assert_eq!(got.text(), "body", "{}", server.name);
        let without = Operation::GetObject(GetObject::default());
        let refused = caller.send(PLAIN_BUCKET, "headers/sse-c", without, "").await;
        assert_eq!(refused.status.as_u16(), 400, "{}", server.name);
    }
}

/// Algorithm, key and MD5 of the key in the format of S3: 32 bytes `k`, in Base64.
fn customer_key() -> (String, String, String) {
    let texts = ["AES256", "a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2s=", "mT2HRsMGJ5IX5C+0rreZ8Q=="];
    texts.map(str::to_owned).into()
}
