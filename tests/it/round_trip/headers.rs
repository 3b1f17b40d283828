//! What S3 takes as headers is signed as headers, and arrives.

use presignd::pb::{GetObject, GetObjectTagging, HeadObject, PutObject, presign_request::Operation};

use super::Caller;
use crate::support::{
    OUTPOSTS_ARN,
    http::Answer,
    s3::{PLAIN_BUCKET, Server},
};

const KEY: &str = "headers/report.pdf";

#[tokio::test]
async fn signed_headers_of_a_put_are_stored_with_the_object() {
    for server in [Server::ministack(), Server::seaweedfs()] {
        let caller = Caller::of(server).await;
        for bucket in [OUTPOSTS_ARN, PLAIN_BUCKET] {
            put_with_headers(&caller, bucket).await;
            let head = Operation::HeadObject(HeadObject::default());
            stored(&caller.done(bucket, KEY, head, "").await);
            let tags = Operation::GetObjectTagging(GetObjectTagging::default());
            let tags = caller.done(bucket, KEY, tags, "").await;
            let pair = (tags.element("Key"), tags.element("Value"));
            assert_eq!(pair, ("team".to_owned(), "a b".to_owned()), "{}", server.name);
        }
    }
}

async fn put_with_headers(caller: &Caller, bucket: &str) {
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
    caller.done(bucket, KEY, operation, "body").await;
}

fn stored(head: &Answer) {
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

/// `SeaweedFS` has the same only with a key of its own, which it does not have here.
#[tokio::test]
async fn a_signed_request_for_encryption_is_granted() {
    let caller = Caller::of(Server::ministack()).await;
    for bucket in [OUTPOSTS_ARN, PLAIN_BUCKET] {
        let put = PutObject { server_side_encryption: "AES256".to_owned(), ..PutObject::default() };
        caller.done(bucket, "headers/encrypted", Operation::PutObject(put), "body").await;
        let head = Operation::HeadObject(HeadObject::default());
        let head = caller.done(bucket, "headers/encrypted", head, "").await;
        assert_eq!(head.header("x-amz-server-side-encryption"), "AES256");
    }
}

/// The key of SSE-C is the holder's own: the server refuses to read without it.
#[tokio::test]
async fn an_object_under_a_customers_key_is_read_with_that_key_alone() {
    for server in [Server::ministack(), Server::seaweedfs()] {
        let caller = Caller::of(server).await;
        let (algorithm, key, md5) = customer_key();
        let put = PutObject {
            sse_customer_algorithm: algorithm.clone(),
            sse_customer_key: key.clone(),
            sse_customer_key_md5: md5.clone(),
            ..PutObject::default()
        };
        caller.done(PLAIN_BUCKET, "headers/sse-c", Operation::PutObject(put), "body").await;
        let with_key = GetObject {
            sse_customer_algorithm: algorithm,
            sse_customer_key: key,
            sse_customer_key_md5: md5,
            ..GetObject::default()
        };
        let got = caller.done(PLAIN_BUCKET, "headers/sse-c", Operation::GetObject(with_key), "").await;
        assert_eq!(got.text(), "body", "{}", server.name);
        let without = Operation::GetObject(GetObject::default());
        let refused = caller.send(PLAIN_BUCKET, "headers/sse-c", without, "").await;
        assert_eq!(refused.status.as_u16(), 400, "{}", server.name);
    }
}

/// Algorithm, key and MD5 as S3 wants them: 32 bytes `k`, in Base64.
fn customer_key() -> (String, String, String) {
    let texts = ["AES256", "a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2s=", "mT2HRsMGJ5IX5C+0rreZ8Q=="];
    texts.map(str::to_owned).into()
}
