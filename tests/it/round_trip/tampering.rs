//! A URL works only for the request that was signed.

use std::time::Duration;

use presignd::pb::{GetObject, PutObject, presign_request::Operation};
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::RoundTrip;
use crate::support::{
    OUTPOSTS_ARN,
    http::Request,
    s3::{PLAIN_BUCKET, Server},
    sidecar::PATIENCE,
};

const KEY: &str = "tampering/signed file";
const OTHER_KEY: &str = "tampering/other file";

/// The signed request that is changed.
#[derive(Clone, Copy)]
enum SignedRequest {
    /// A GET with additional query parameters.
    Read,
    /// A PUT with signed headers.
    Write,
}

use SignedRequest::{Read, Write};

const MISMATCH: &str = "403 SignatureDoesNotMatch";
const DENIED: &str = "403 AccessDenied";
const UNKNOWN: &str = "403 InvalidAccessKeyId";

type RequestChange = fn(&mut Request);

/// A description, the request, the change, and the error of both servers.
const TAMPERINGS: &[(&str, SignedRequest, RequestChange, &str)] = &[
    ("the path: another object", Read, |r| r.replace("signed%20file", "other%20file"), MISMATCH),
    ("the path: a double slash", Read, |r| r.replace("/signed%20", "//signed%20"), MISMATCH),
    ("the path: encoded twice", Read, |r| r.replace("%20", "%2520"), MISMATCH),
    ("the path: only the bucket", Read, |r| r.replace("tampering/signed%20file", ""), MISMATCH),
    ("the method: DELETE", Read, |r| r.method = "DELETE".into(), MISMATCH),
    ("the method: PUT", Read, |r| r.method = "PUT".into(), MISMATCH),
    ("the method: GET", Write, |r| r.method = "GET".into(), MISMATCH),
    ("the host: another bucket", Read, another_host, MISMATCH),
    ("a longer lifetime", Read, |r| r.replace("X-Amz-Expires=900", "X-Amz-Expires=901"), MISMATCH),
    ("another time", Read, another_time, MISMATCH),
    ("another version", Read, |r| r.replace("versionId=null", "versionId=1"), MISMATCH),
    ("a missing version", Read, |r| r.replace("versionId=null&", ""), MISMATCH),
    ("another content type", Read, |r| r.replace("text%2Fx-signed", "text%2Fhtml"), MISMATCH),
    ("an additional parameter", Read, |r| r.target.push_str("&response-expires=0"), MISMATCH),
    ("another operation", Read, |r| r.replace("?", "?tagging=&"), MISMATCH),
    ("another access key", Read, |r| r.replace("AKIAIOSFODNN7EXAMPLE", "AKIAIOSFODNN7EXAMPLF"), UNKNOWN),
    ("another value of a header", Write, |r| r.header("x-amz-meta-owner", "b"), MISMATCH),
    ("another content type of the body", Write, |r| r.header("content-type", "text/html"), MISMATCH),
    ("a missing header", Write, |r| drop(r.headers.remove("x-amz-meta-owner")), MISMATCH),
    ("a missing content type", Write, |r| drop(r.headers.remove("content-type")), MISMATCH),
    ("a header removed from the signed headers", Write, |r| r.replace("%3Bx-amz-meta-owner", ""), MISMATCH),
    ("another signature", Read, another_signature, MISMATCH),
    ("half a signature", Read, |r| r.target.truncate(r.target.len() - 32), MISMATCH),
    // There is no row without only the signature: ministack accepts such a query.
    ("no authentication", Read, |r| r.target.truncate(r.target.find('?').unwrap_or(0)), DENIED),
];

impl Request {
    fn replace(&mut self, from: &str, to: &str) {
        self.target = self.target.replacen(from, to, 1);
    }

    fn header(&mut self, name: &str, value: &str) {
        self.headers.insert(name.to_owned(), value.to_owned());
    }
}

fn another_host(request: &mut Request) {
    request.host = request.host.replace("demo-", "listed-").replace("plain-bucket", "listed-by-host");
}

/// Changes the time by a few seconds.
fn another_time(request: &mut Request) {
    let name = "X-Amz-Date=20";
    let at = request.target.find(name).unwrap_or_default() + name.len();
    let end = request.target[at..].find('Z').unwrap_or_default() + at;
    let digit = if request.target[..end].ends_with('0') { "1" } else { "0" };
    request.target.replace_range(end - 1..end, digit);
}

fn another_signature(request: &mut Request) {
    let last = request.target.pop();
    request.target.push(if last == Some('0') { '1' } else { '0' });
}

#[tokio::test]
async fn ministack_rejects_every_changed_request() {
    check_all_changes(Server::ministack()).await;
}

#[tokio::test]
async fn seaweedfs_rejects_every_changed_request() {
    check_all_changes(Server::seaweedfs()).await;
}

async fn check_all_changes(server: &'static Server) {
    let caller = RoundTrip::start(server).await;
    tokio::join!(check_bucket(&caller, OUTPOSTS_ARN), check_bucket(&caller, PLAIN_BUCKET));
}

async fn check_bucket(caller: &RoundTrip, bucket: &str) {
    let port = caller.server.port;
    let write = Request::of(&caller.presign(bucket, KEY, write()).await).with_body("signed");
    let read = Request::of(&caller.presign(bucket, KEY, read()).await);
    assert_eq!(write.send(port).await.verdict(), "200");
    caller.put(bucket, OTHER_KEY, "of another").await;
    assert_eq!(read.send(port).await.text(), "signed");

    for (what, of, change, verdict) in TAMPERINGS {
        let signed = if matches!(of, Read) { &read } else { &write };
        let mut request = signed.clone();
        change(&mut request);
        assert_ne!(parts(&request), parts(signed), "{what} changes nothing");
        assert_eq!(request.send(port).await.verdict(), *verdict, "{} {bucket}: {what}", caller.server.name);
    }
    check_expiry(caller, bucket).await;

    let unchanged = read.send(port).await;
    assert_eq!((&*unchanged.verdict(), &*unchanged.text()), ("200", "signed"), "{bucket}");
    assert_eq!(write.send(port).await.verdict(), "200");
}

fn parts(request: &Request) -> impl PartialEq + std::fmt::Debug {
    let Request { method, host, target, headers, .. } = request.clone();
    (method, host, target, headers)
}

fn read() -> Operation {
    Operation::GetObject(GetObject {
        response_content_type: "text/x-signed".to_owned(),
        version_id: "null".to_owned(),
        ..GetObject::default()
    })
}

fn write() -> Operation {
    Operation::PutObject(PutObject {
        content_type: "text/plain".to_owned(),
        metadata: [("owner".to_owned(), "a".to_owned())].into(),
        ..PutObject::default()
    })
}

/// A URL with a lifetime of one second works until the server rejects it as expired, and never again.
async fn check_expiry(caller: &RoundTrip, bucket: &str) {
    let request = Request::of(&caller.presign_with_expiry(bucket, KEY, read(), Some(1)).await);
    let until_expired = async {
        // Only the response of the server shows that the URL has expired. The interval limits the load.
        let mut pace = interval(Duration::from_millis(100));
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            pace.tick().await;
            let answer = request.send(caller.server.port).await;
            match &*answer.verdict() {
                "200" => assert_eq!(answer.text(), "signed"),
                verdict => break verdict.to_owned(),
            }
        }
    };
    let verdict = timeout(PATIENCE, until_expired).await.expect("the URL is rejected in time");
    assert_eq!(verdict, DENIED, "{} {bucket}", caller.server.name);
    assert_eq!(request.send(caller.server.port).await.verdict(), DENIED, "{} {bucket}", caller.server.name);
}
