//! Object Lock: retention and legal hold, in a bucket with Object Lock.

use presignd::pb::{
    GetObjectLegalHold, GetObjectRetention, Http, PutObjectLegalHold, PutObjectRetention,
    presign_request::Operation,
};

use super::RoundTrip;
use crate::support::s3::Server;

const BUCKET: &str = "locked-bucket";
const KEY: &str = "locked/an object";

#[tokio::test]
async fn a_legal_hold_is_set_and_removed() {
    for server in [Server::ministack(), Server::seaweedfs()] {
        let caller = RoundTrip::start(server).await;
        let key = create_object(&caller, "hold").await;
        for status in ["ON", "OFF"] {
            let put = Operation::PutObjectLegalHold(PutObjectLegalHold::default());
            let body = format!("<LegalHold><Status>{status}</Status></LegalHold>");
            caller.send_ok(BUCKET, &key, put, body).await;
            let get = Operation::GetObjectLegalHold(GetObjectLegalHold::default());
            assert_eq!(
                caller.send_ok(BUCKET, &key, get, "").await.element("Status"),
                status,
                "{}",
                server.name
            );
        }
    }
}

#[tokio::test]
async fn a_governance_retention_is_shortened_only_with_the_bypass_header() {
    for server in [Server::ministack(), Server::seaweedfs()] {
        let caller = RoundTrip::start(server).await;
        let key = create_object(&caller, "retention").await;
        let retain = |year: u16, bypass_governance_retention| {
            let put = PutObjectRetention { bypass_governance_retention, ..PutObjectRetention::default() };
            let body = format!(
                "<Retention><Mode>GOVERNANCE</Mode><RetainUntilDate>{year}-01-01T00:00:00Z</RetainUntilDate></Retention>"
            );
            (Operation::PutObjectRetention(put), body)
        };
        let (put, body) = retain(2098, None);
        caller.send_ok(BUCKET, &key, put, body).await;
        let (put, body) = retain(2097, None);
        let refused = caller.send(BUCKET, &key, put, body).await;
        assert_eq!(refused.verdict(), "403 AccessDenied", "{}", server.name);
        let (put, body) = retain(2097, Some(true));
        caller.send_ok(BUCKET, &key, put, body).await;
        let get = Operation::GetObjectRetention(GetObjectRetention::default());
        let retention = caller.send_ok(BUCKET, &key, get, "").await;
        let (mode, until) = (retention.element("Mode"), retention.element("RetainUntilDate"));
        assert_eq!((&*mode, &until[..10]), ("GOVERNANCE", "2097-01-01"), "{}", server.name);
    }
}

/// Creates the bucket, if it does not exist, and an object in it; returns the key.
async fn create_object(caller: &RoundTrip, name: &str) -> String {
    let headers = [("x-amz-bucket-object-lock-enabled".to_owned(), "true".to_owned())].into();
    let create = Http { method: "PUT".to_owned(), headers, ..Http::default() };
    let created = caller.send(BUCKET, "", Operation::Http(create), "").await.verdict();
    assert!(created == "200" || created.starts_with("409 BucketAlready"), "{created:?}");
    let key = format!("{KEY} {name}");
    caller.put(BUCKET, &key, "locked").await;
    key
}
