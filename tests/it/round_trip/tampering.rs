//! A URL is good for what was signed and for nothing else.

use std::time::Duration;

use presignd::pb::{GetObject, PutObject, presign_request::Operation};
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::Caller;
use crate::support::{
    OUTPOSTS_ARN,
    http::Request,
    s3::{PLAIN_BUCKET, Server},
    sidecar::PATIENCE,
};

const KEY: &str = "tampering/signed file";
const OTHER_KEY: &str = "tampering/other file";

/// Which signed request is changed.
#[derive(Clone, Copy)]
enum Of {
    /// A GET with a query of its own.
    Read,
    /// A PUT with signed headers.
    Write,
}

use Of::{Read, Write};

const MISMATCH: &str = "403 SignatureDoesNotMatch";
const DENIED: &str = "403 AccessDenied";
const UNKNOWN: &str = "403 InvalidAccessKeyId";

type Change = fn(&mut Request);

/// What is changed, how, and what both servers say.
const TAMPERINGS: &[(&str, Of, Change, &str)] = &[
    ("the path: another object", Read, |r| r.replace("signed%20file", "other%20file"), MISMATCH),
    ("the path: a double slash", Read, |r| r.replace("/signed%20", "//signed%20"), MISMATCH),
    ("the path: encoded twice", Read, |r| r.replace("%20", "%2520"), MISMATCH),
    ("the path: the bucket alone", Read, |r| r.replace("tampering/signed%20file", ""), MISMATCH),
    ("the method: DELETE", Read, |r| r.method = "DELETE".into(), MISMATCH),
    ("the method: PUT", Read, |r| r.method = "PUT".into(), MISMATCH),
    ("the method: GET", Write, |r| r.method = "GET".into(), MISMATCH),
    ("the host: another bucket", Read, another_host, MISMATCH),
    ("a longer life", Read, |r| r.replace("X-Amz-Expires=900", "X-Amz-Expires=901"), MISMATCH),
    ("another time", Read, another_time, MISMATCH),
    ("another version", Read, |r| r.replace("versionId=null", "versionId=1"), MISMATCH),
    ("no version", Read, |r| r.replace("versionId=null&", ""), MISMATCH),
    ("another content type", Read, |r| r.replace("text%2Fx-signed", "text%2Fhtml"), MISMATCH),
    ("a parameter more", Read, |r| r.target.push_str("&response-expires=0"), MISMATCH),
    ("another operation", Read, |r| r.replace("?", "?tagging=&"), MISMATCH),
    ("another access key", Read, |r| r.replace("AKIAIOSFODNN7EXAMPLE", "AKIAIOSFODNN7EXAMPLF"), UNKNOWN),
    ("a header's other value", Write, |r| r.header("x-amz-meta-owner", "b"), MISMATCH),
    ("another content type of a body", Write, |r| r.header("content-type", "text/html"), MISMATCH),
    ("a header left out", Write, |r| drop(r.headers.remove("x-amz-meta-owner")), MISMATCH),
    ("a content type left out", Write, |r| drop(r.headers.remove("content-type")), MISMATCH),
    ("a header less signed", Write, |r| r.replace("%3Bx-amz-meta-owner", ""), MISMATCH),
    ("another signature", Read, another_signature, MISMATCH),
    ("half a signature", Read, |r| r.target.truncate(r.target.len() - 32), MISMATCH),
    // The signature alone is no row: without one ministack lets the rest of the query pass.
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

/// A few seconds off.
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
async fn ministack_refuses_every_change_of_a_signed_request() {
    refuses_every_change(Server::ministack()).await;
}

#[tokio::test]
async fn seaweedfs_refuses_every_change_of_a_signed_request() {
    refuses_every_change(Server::seaweedfs()).await;
}

async fn refuses_every_change(server: &'static Server) {
    let caller = Caller::of(server).await;
    tokio::join!(refuses_for(&caller, OUTPOSTS_ARN), refuses_for(&caller, PLAIN_BUCKET));
}

async fn refuses_for(caller: &Caller, bucket: &str) {
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
    expires(caller, bucket).await;

    let still = read.send(port).await;
    assert_eq!((&*still.verdict(), &*still.text()), ("200", "signed"), "{bucket}");
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

/// A URL for one second works until the server says that it is over, and never again.
async fn expires(caller: &Caller, bucket: &str) {
    let request = Request::of(&caller.presign_for(bucket, KEY, read(), Some(1)).await);
    let over = async {
        // Only the server's answer tells that the time is over; the pace spares it.
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
    let verdict = timeout(PATIENCE, over).await.expect("a URL for one second is refused in time");
    assert_eq!(verdict, DENIED, "{} {bucket}", caller.server.name);
    assert_eq!(request.send(caller.server.port).await.verdict(), DENIED, "{} {bucket}", caller.server.name);
}
