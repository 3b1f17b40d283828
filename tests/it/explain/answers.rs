//! With what S3 answered: error documents of real servers, and the canonical request that AWS puts into its own.

use std::time::Duration;

use presignd::pb::{self, GetObject, presign_request::Operation};
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::{Used, explained, verdict};
use crate::support::{
    ACCESS_KEY, SECRET_KEY,
    grpc::{presigned, put, request, seconds},
    python,
    s3::{PLAIN_BUCKET, Server},
    sidecar::{PATIENCE, Sidecar, presignd},
};

const KEY: &str = "explained/a b//c.txt";

fn read() -> pb::PresignRequest {
    request(KEY, Operation::GetObject(GetObject { version_id: "null".to_owned(), ..Default::default() }))
}

/// What is changed on the way to S3, what S3 says, and what is found: the URL that is explained is the one that arrived.
type Row = (&'static str, fn(&mut Used), &'static str, &'static str, &'static str);

const ROWS: &[Row] = &[
    (
        "the method",
        |u| u.method = "PUT".into(),
        "403 SignatureDoesNotMatch",
        "SIGNATURE_MISMATCH",
        "the method differs",
    ),
    (
        "the key",
        |u| u.replace("a%20b", "a%2520b"),
        "403 SignatureDoesNotMatch",
        "SIGNATURE_MISMATCH",
        "the object key was encoded twice",
    ),
    (
        "a plus",
        |u| u.replace("a%20b", "a+b"),
        "403 SignatureDoesNotMatch",
        "SIGNATURE_MISMATCH",
        "a + stands in the place of a space",
    ),
    (
        "a slash",
        |u| u.replace("//c", "/c"),
        "403 SignatureDoesNotMatch",
        "SIGNATURE_MISMATCH",
        "the path was normalised",
    ),
    (
        "a parameter",
        |u| u.url.push_str("&utm_source=x"),
        "403 SignatureDoesNotMatch",
        "SIGNATURE_MISMATCH",
        "query parameters were added",
    ),
    (
        "a parameter less",
        |u| u.replace("&versionId=null", ""),
        "403 SignatureDoesNotMatch",
        "SIGNATURE_MISMATCH",
        "query parameters were dropped",
    ),
    (
        "the access key",
        |u| u.replace(ACCESS_KEY, "AKIAIOSFODNN7EXAMPLF"),
        "403 InvalidAccessKeyId",
        "UNKNOWN_ACCESS_KEY",
        "S3 does not know the access key",
    ),
    (
        "too long a life",
        |u| u.replace("X-Amz-Expires=900", "X-Amz-Expires=604801"),
        "400 AuthorizationQueryParametersError",
        "MALFORMED",
        "X-Amz-Expires is not a number",
    ),
];

#[tokio::test]
async fn a_url_that_a_real_server_refused_is_explained_with_its_answer() {
    for server in [Server::ministack(), Server::seaweedfs()] {
        let sidecar = Sidecar::start(&[]).await;
        let mut client = sidecar.client().await;
        let upload = Used::of(&presigned(client.presign(put(KEY)).await));
        assert_eq!(upload.to_send().with_body("x").send(server.port).await.verdict(), "200");
        let good = Used::of(&presigned(client.presign(read()).await));
        assert_eq!(good.to_send().send(server.port).await.verdict(), "200", "{}", server.name);
        for (what, damage, said, expected, finding) in ROWS {
            let mut used = good.clone();
            damage(&mut used);
            let answer = used.to_send().send(server.port).await;
            assert_eq!(answer.verdict(), *said, "{what} at {}", server.name);
            let told = explained(&mut client, &used, &answer.text()).await;
            assert_eq!(verdict(&told), *expected, "{what} at {}: {:?}", server.name, told.findings);
            assert!(told.findings[0].starts_with(finding), "{what} at {}: {:?}", server.name, told.findings);
        }
    }
}

#[tokio::test]
async fn a_url_that_a_real_server_calls_expired_or_early_is_explained_so() {
    for server in [Server::ministack(), Server::seaweedfs()] {
        let sidecar = Sidecar::start(&[]).await;
        let mut client = sidecar.client().await;
        let short = pb::PresignRequest { expires_in: Some(seconds(1)), ..read() };
        let used = Used::of(&presigned(client.presign(short).await));
        let body = once_it_says(&used, server, "403 AccessDenied").await;
        let told = explained(&mut client, &used, &body).await;
        assert_eq!(verdict(&told), "EXPIRED", "{:?}", told.findings);
        assert!(told.findings[0].starts_with("the URL expired at"), "{:?}", told.findings);
    }
    let sidecar = Sidecar::start(&[]).await;
    let mut client = sidecar.client().await;
    let mut used = Used::of(&presigned(client.presign(read()).await));
    // The signature does not fit either: what S3 says comes first.
    let year = used.url.split("X-Amz-Date=").nth(1).unwrap()[..4].to_owned();
    used.url = used.url.replace(&format!("X-Amz-Date={year}"), "X-Amz-Date=2999");
    used.url = used.url.replace(&format!("%2F{year}"), "%2F2999");
    let answer = used.to_send().send(Server::ministack().port).await;
    assert_eq!(answer.element("Message"), "Request is not yet valid");
    let told = explained(&mut client, &used, &answer.text()).await;
    assert_eq!(verdict(&told), "NOT_YET_VALID", "{:?}", told.findings);
    assert!(
        told.findings.iter().any(|finding| finding.starts_with("the URL is not yet valid")),
        "{:?}",
        told.findings
    );
}

/// Uses a URL until the server says this: its answer.
async fn once_it_says(used: &Used, server: &Server, said: &str) -> String {
    let over = async {
        // Only the server's answer tells that the time is over; the pace spares it.
        let mut pace = interval(Duration::from_millis(100));
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            pace.tick().await;
            let answer = used.to_send().send(server.port).await;
            if answer.verdict() == said {
                break answer.text();
            }
        }
    };
    timeout(PATIENCE, over).await.expect("the server says so in time")
}

/// Asks STS for temporary credentials of one second.
const SESSION: &str = "
import sys, boto3
from botocore.config import Config
endpoint, key, secret, seconds = sys.stdin.read().split()
sts = boto3.client('sts', region_name='us-east-1', endpoint_url=endpoint,
                   aws_access_key_id=key, aws_secret_access_key=secret,
                   # AWS gives no session of a second, ministack does.
                   config=Config(parameter_validation=False))
session = sts.get_session_token(DurationSeconds=int(seconds))['Credentials']
print(session['AccessKeyId'], session['SecretAccessKey'], session['SessionToken'])
";

/// A presignd that finds a session in its environment, which does not say when it ends.
async fn with_session(server: &Server, seconds: u64) -> Sidecar {
    let mut asked = std::process::Command::new(python::interpreter());
    asked.args(["-c", SESSION]);
    let printed = python::run(asked, &format!("{} {ACCESS_KEY} {SECRET_KEY} {seconds}", server.endpoint()));
    let [key, secret, token] = printed.split_whitespace().collect::<Vec<_>>()[..] else {
        panic!("{printed}")
    };
    let mut command = presignd();
    command
        .env("AWS_ACCESS_KEY_ID", key)
        .env("AWS_SECRET_ACCESS_KEY", secret)
        .env("AWS_SESSION_TOKEN", token)
        .env("AWS_REGION", "us-east-1");
    let sidecar = Sidecar::spawn(command, &[]);
    sidecar.serving().await;
    sidecar
}

#[tokio::test]
async fn credentials_that_expired_before_the_url_are_told_by_what_s3_says() {
    let server = Server::ministack();
    let sidecar = with_session(server, 1).await;
    let mut client = sidecar.client().await;
    let used = Used::of(&presigned(client.presign(read()).await));
    let body = once_it_says(&used, server, "400 ExpiredToken").await;
    assert_eq!(verdict(&explained(&mut client, &used, "").await), "VALID", "presignd alone cannot know");
    let told = explained(&mut client, &used, &body).await;
    assert_eq!(verdict(&told), "EXPIRED");
    assert_eq!(
        told.findings,
        ["the credentials that signed the URL have expired, before the URL itself: ask for a new URL"]
    );
}

#[tokio::test]
async fn a_session_token_that_was_dropped_is_told_with_what_s3_says() {
    let server = Server::ministack();
    let sidecar = with_session(server, 3_600).await;
    let mut client = sidecar.client().await;
    let mut used = Used::of(&presigned(client.presign(read()).await));
    let at = used.url.find("&X-Amz-Security-Token").unwrap();
    let end = at + 1 + used.url[at + 1..].find('&').unwrap();
    used.url.replace_range(at..end, "");
    let answer = used.to_send().send(server.port).await;
    assert_eq!(answer.verdict(), "400 InvalidToken");
    let told = explained(&mut client, &used, &answer.text()).await;
    assert_eq!(verdict(&told), "UNKNOWN_ACCESS_KEY");
    assert_eq!(told.findings, ["the session token is missing: the URL was signed with X-Amz-Security-Token"]);
}

#[tokio::test]
async fn a_bucket_in_another_region_is_told_by_what_s3_says() {
    let server = Server::ministack();
    let endpoint = server.endpoint();
    let arguments = [
        "--signers-default-endpoint",
        &endpoint,
        "--signers-default-path-style",
        "--signers-default-region",
        "eu-west-1",
    ];
    let sidecar = Sidecar::start(&arguments).await;
    let mut client = sidecar.client().await;
    let used = Used::of(&presigned(client.presign(read()).await));
    let answer = used.to_send().send(server.port).await;
    assert_eq!(answer.verdict(), "301 PermanentRedirect");
    let told = explained(&mut client, &used, &answer.text()).await;
    assert_eq!(verdict(&told), "SIGNATURE_MISMATCH");
    assert_eq!(
        told.findings,
        ["the wrong region was signed for: the credential scope has eu-west-1, it must be us-east-1"]
    );
    // As AWS says it: https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html#ErrorCodeList
    let body = "<Error><Code>AuthorizationQueryParametersError</Code><Message>Error parsing the X-Amz-Credential parameter; \
        the region 'eu-west-1' is wrong; expecting 'us-east-1'</Message><Region>us-east-1</Region></Error>";
    let told = explained(&mut client, &used, body).await;
    assert_eq!(
        told.findings,
        ["the wrong region was signed for: the credential scope has eu-west-1, it must be us-east-1"]
    );
}

#[tokio::test]
async fn a_key_that_was_encoded_before_it_was_signed_is_told_when_s3_has_no_such_key() {
    for server in [Server::ministack(), Server::seaweedfs()] {
        let sidecar = Sidecar::start(&[]).await;
        let mut client = sidecar.client().await;
        let encoded = request("explained/not%20there", Operation::GetObject(GetObject::default()));
        let used = Used::of(&presigned(client.presign(encoded).await));
        let answer = used.to_send().send(server.port).await;
        assert_eq!(answer.verdict(), "404 NoSuchKey");
        let told = explained(&mut client, &used, &answer.text()).await;
        assert_eq!(verdict(&told), "VALID");
        assert!(told.findings[0].ends_with("so the object key was encoded twice"), "{:?}", told.findings);
    }
}

/// The error document that AWS answers with, for a request that arrived there. The example is that of
/// [a signature that does not match](https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-troubleshooting.html).
pub(super) fn answer_of_aws(arrived: &Used) -> String {
    let request = arrived.to_send();
    let (path, query) = request.target.split_once('?').unwrap();
    let mut pairs: Vec<_> = query.split('&').filter(|pair| !pair.starts_with("X-Amz-Signature=")).collect();
    pairs.sort_unstable();
    let signature = arrived.url.rsplit_once("X-Amz-Signature=").unwrap().1.split('&').next().unwrap();
    let mut headers = request.headers.clone();
    headers.insert("host".to_owned(), request.host.clone());
    let lines: String = headers.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
    let names = headers.keys().map(String::as_str).collect::<Vec<_>>().join(";");
    let canonical =
        format!("{}\n{path}\n{}\n{lines}\n{names}\nUNSIGNED-PAYLOAD", request.method, pairs.join("&"));
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>SignatureDoesNotMatch</Code><Message>The request signature \
         we calculated does not match the signature you provided. Check your key and signing method.</Message>\
         <AWSAccessKeyId>{ACCESS_KEY}</AWSAccessKeyId><SignatureProvided>{signature}</SignatureProvided>\
         <CanonicalRequest>{}</CanonicalRequest><RequestId>1</RequestId></Error>",
        canonical.replace('&', "&amp;")
    )
}

#[tokio::test]
async fn what_changed_between_the_sender_and_aws_is_told_with_the_first_line_that_differs() {
    let rows: &[(&str, fn(&mut Used), &str, u8)] = &[
        ("the method", |u| u.method = "GET".into(), "the method differs: PUT was sent, GET arrived at S3", 1),
        (
            "the key",
            |u| u.replace("a%20b", "a%2520b"),
            "the object key was encoded twice: /explained/a%20b//c.txt was sent, \
            /explained/a%2520b//c.txt arrived at S3",
            2,
        ),
        ("the path", |u| u.replace("//c", "/c"), "the path was normalised on the way", 2),
        (
            "a parameter more",
            |u| u.url.push_str("&utm=x"),
            "query parameters were added on the way: utm=x",
            3,
        ),
        (
            "a parameter less",
            |u| u.replace("&x-id=PutObject", ""),
            "query parameters were dropped on the way: x-id=PutObject",
            3,
        ),
        (
            "a content type",
            |u| u.header("content-type", "text/html"),
            "content-type differs from the one signed: \"text/plain\" was \
            sent, \"text/html\" arrived at S3",
            4,
        ),
        ("the host", |u| u.replace("plain-bucket.", "other-bucket."), "the host differs: plain-bucket.", 5),
    ];
    let sidecar = Sidecar::start(&[]).await;
    let mut client = sidecar.client().await;
    let mut asked = put(KEY);
    asked.headers.insert("content-type".to_owned(), "text/plain".to_owned());
    asked.query.insert("x-id".to_owned(), "PutObject".to_owned());
    let used = Used::of(&presigned(client.presign(asked).await));
    for (what, change, finding, line) in rows {
        let mut arrived = used.clone();
        change(&mut arrived);
        let told = explained(&mut client, &used, &answer_of_aws(&arrived)).await;
        assert_eq!(verdict(&told), "SIGNATURE_MISMATCH", "{what}");
        assert!(told.findings[0].starts_with(finding), "{what}: {:?}", told.findings);
        let first = format!("line {line} of the canonical request is the first that differs: S3 has ");
        assert!(told.findings[1].starts_with(&first), "{what}: {:?}", told.findings);
    }
    let told = explained(&mut client, &used, &answer_of_aws(&used)).await;
    assert_eq!(verdict(&told), "SIGNATURE_MISMATCH");
    assert!(told.findings[0].ends_with("S3 has another secret for this access key"), "{:?}", told.findings);

    let mut another = used.clone();
    another.replace("X-Amz-Signature=", "X-Amz-Signature=0");
    let told = explained(&mut client, &used, &answer_of_aws(&another)).await;
    assert_eq!(verdict(&told), "VALID");
    assert_eq!(told.findings, ["the error body is about another URL: it was left aside"]);
    let told = explained(&mut client, &used, "<html>no</html>").await;
    assert_eq!(told.findings, ["the error body is not an error document of S3: it was left aside"]);
    let denied = "<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>";
    let told = explained(&mut client, &used, denied).await;
    assert_eq!(verdict(&told), "VALID");
    assert_eq!(told.findings, ["S3 answered AccessDenied, which is not about the signature"]);
    assert_eq!(told.parts.unwrap().bucket, PLAIN_BUCKET);
}
