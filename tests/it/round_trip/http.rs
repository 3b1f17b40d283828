//! The operation `http`: any HTTP method, query and headers.

use std::collections::BTreeMap;

use presignd::pb::{Http, presign_request::Operation};

use super::RoundTrip;
use crate::support::{
    OUTPOSTS_ARN,
    http::Request,
    s3::{PLAIN_BUCKET, Server},
    scrape::Scrape,
};

fn http(method: &str, query: &[(&str, &str)]) -> Operation {
    let query = query.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Operation::Http(Http { method: method.to_owned(), query, headers: BTreeMap::new() })
}

const TAGS: &str = "<Tagging><TagSet><Tag><Key>team</Key><Value>a b</Value></Tag></TagSet></Tagging>";

#[tokio::test]
async fn http_operations_work_on_bucket_subresources() {
    let caller = RoundTrip::start(Server::ministack()).await;
    let location = caller.send_ok(PLAIN_BUCKET, "", http("GET", &[("location", "")]), "").await;
    assert!(location.text().contains("LocationConstraint"), "{}", location.text());
    caller.send_ok(PLAIN_BUCKET, "", http("PUT", &[("tagging", "")]), TAGS).await;
    let tags = caller.send_ok(PLAIN_BUCKET, "", http("GET", &[("tagging", "")]), "").await;
    assert_eq!((tags.element("Key"), tags.element("Value")), ("team".to_owned(), "a b".to_owned()));
    caller.send_ok(PLAIN_BUCKET, "", http("DELETE", &[("tagging", "")]), "").await;
    let gone = caller.send(PLAIN_BUCKET, "", http("GET", &[("tagging", "")]), "").await;
    assert_eq!(gone.verdict(), "404 NoSuchTagSet");
}

#[tokio::test]
async fn http_operations_work_on_objects() {
    for server in [Server::ministack(), Server::seaweedfs()] {
        let caller = RoundTrip::start(server).await;
        for bucket in [OUTPOSTS_ARN, PLAIN_BUCKET] {
            let key = "by method/a//b c";
            let mut headers = BTreeMap::new();
            headers.insert("Content-Type".to_owned(), "text/x-signed".to_owned());
            let put = Http { method: "PUT".to_owned(), headers, ..Http::default() };
            caller.send_ok(bucket, key, Operation::Http(put), "by method").await;
            assert_eq!(caller.get(bucket, key).await.text(), "by method");
            let head = caller.send_ok(bucket, key, http("HEAD", &[]), "").await;
            assert_eq!(head.header("content-type"), "text/x-signed");
            let query = [("response-content-type", "text/y+z; a=b")];
            let read = caller.send_ok(bucket, key, http("GET", &query), "").await;
            assert_eq!(read.header("content-type"), "text/y+z; a=b");
            caller.send_ok(bucket, key, http("DELETE", &[]), "").await;
        }
        let labels = [("operation", "Http"), ("target", "bucket"), ("outcome", "ok")];
        Scrape::wait_for_at_least(&caller.sidecar, "presignd_urls_total", &labels, 4.0).await;
    }
}

#[tokio::test]
async fn a_url_is_rejected_for_another_subresource_or_method() {
    for server in [Server::ministack(), Server::seaweedfs()] {
        let caller = RoundTrip::start(server).await;
        let presigned = caller.presign(PLAIN_BUCKET, "", http("GET", &[("location", "")])).await;
        let signed = Request::of(&presigned);
        let changed =
            |from: &str, to: &str| Request { target: signed.target.replace(from, to), ..signed.clone() };
        for tampered in [
            changed("&location=", ""),
            changed("&location=", "&versioning="),
            Request { method: "DELETE".to_owned(), ..signed.clone() },
        ] {
            let verdict = tampered.send(server.port).await.verdict();
            assert!(
                verdict.starts_with("403"),
                "{}: {verdict} for {} {}",
                server.name,
                tampered.method,
                tampered.target
            );
        }
        assert!(signed.send(server.port).await.status.is_success(), "{}", server.name);
    }
}
