//! Calls of S3 by their method, for which there is no typed operation.

use std::collections::BTreeMap;

use presignd::pb::{Http, presign_request::Operation};

use super::Caller;
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
async fn sub_resources_of_a_bucket_are_reached_by_method_and_query() {
    let caller = Caller::of(Server::ministack()).await;
    let location = caller.done(PLAIN_BUCKET, "", http("GET", &[("location", "")]), "").await;
    assert!(location.text().contains("LocationConstraint"), "{}", location.text());
    caller.done(PLAIN_BUCKET, "", http("PUT", &[("tagging", "")]), TAGS).await;
    let tags = caller.done(PLAIN_BUCKET, "", http("GET", &[("tagging", "")]), "").await;
    assert_eq!((tags.element("Key"), tags.element("Value")), ("team".to_owned(), "a b".to_owned()));
    caller.done(PLAIN_BUCKET, "", http("DELETE", &[("tagging", "")]), "").await;
    let gone = caller.send(PLAIN_BUCKET, "", http("GET", &[("tagging", "")]), "").await;
    assert_eq!(gone.verdict(), "404 NoSuchTagSet");
}

#[tokio::test]
async fn an_object_is_reached_by_method_on_every_server() {
    for server in [Server::ministack(), Server::seaweedfs()] {
        let caller = Caller::of(server).await;
        for bucket in [OUTPOSTS_ARN, PLAIN_BUCKET] {
            let key = "by method/a//b c";
            let mut headers = BTreeMap::new();
            headers.insert("Content-Type".to_owned(), "text/x-ours".to_owned());
            let put = Http { method: "PUT".to_owned(), headers, ..Http::default() };
            caller.done(bucket, key, Operation::Http(put), "by method").await;
            assert_eq!(caller.get(bucket, key).await.text(), "by method");
            let head = caller.done(bucket, key, http("HEAD", &[]), "").await;
            assert_eq!(head.header("content-type"), "text/x-ours");
            let query = [("response-content-type", "text/y+z; a=b")];
            let read = caller.done(bucket, key, http("GET", &query), "").await;
            assert_eq!(read.header("content-type"), "text/y+z; a=b");
            caller.done(bucket, key, http("DELETE", &[]), "").await;
        }
        let labels = [("operation", "Http"), ("target", "bucket"), ("outcome", "ok")];
        Scrape::reaches(&caller.sidecar, "presignd_urls_total", &labels, 4.0).await;
    }
}

#[tokio::test]
async fn a_url_for_one_sub_resource_or_method_is_good_for_no_other() {
    for server in [Server::ministack(), Server::seaweedfs()] {
        let caller = Caller::of(server).await;
        let presigned = caller.presign(PLAIN_BUCKET, "", http("GET", &[("location", "")])).await;
        let good = Request::of(&presigned);
        let changed =
            |from: &str, to: &str| Request { target: good.target.replace(from, to), ..good.clone() };
        for bad in [
            changed("&location=", ""),
            changed("&location=", "&versioning="),
            Request { method: "DELETE".to_owned(), ..good.clone() },
        ] {
            let verdict = bad.send(server.port).await.verdict();
            assert!(
                verdict.starts_with("403"),
                "{}: {verdict} for {} {}",
                server.name,
                bad.method,
                bad.target
            );
        }
        assert!(good.send(server.port).await.status.is_success(), "{}", server.name);
    }
}
