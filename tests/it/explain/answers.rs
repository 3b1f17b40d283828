//! URLs with the answer of S3: error documents of real servers, and AWS's with the canonical request that it received.

use std::time::Duration;

use presignd::pb::{self, GetObject, presign_request::Operation};
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::{Used, explain, verdict};
use crate::support::{
    ACCESS_KEY, SECRET_KEY,
    grpc::{presigned, put, request, seconds},
    python,
    s3::{PLAIN_BUCKET, Server},
    sidecar::{PATIENCE, Sidecar, presignd},
};

const KEY: &str = "explained/a b//c.txt";

const WRONG_REGION: &str = "the URL is signed for the wrong region: signed eu-west-1, expected us-east-1, correct the \
    region of the signer";

fn read() -> pb::PresignRequest {
    request(KEY, Operation::GetObject(GetObject { version_id: "null".to_owned(), ..Default::default() }))
}

/// A name, how the request is changed before it is sent and explained, S3's answer, the verdict, and the start of the first
/// finding.
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
        "a + in the path",
    ),
    (
        "a slash",
        |u| u.replace("//c", "/c"),
        "403 SignatureDoesNotMatch",
        "SIGNATURE_MISMATCH",
        "// or dot segments were removed from the path",
    ),
    (
        "a parameter",
        |u| u.url.push_str("&utm_source=x"),
        "403 SignatureDoesNotMatch",
        "SIGNATURE_MISMATCH",
        "query parameters were added after signing",
    ),
    (
        "a removed parameter",
        |u| u.replace("&versionId=null", ""),
        "403 SignatureDoesNotMatch",
        "SIGNATURE_MISMATCH",
        "query parameters were removed after signing",
    ),
    (
        "the access key",
        |u| u.replace(ACCESS_KEY, "AKIAIOSFODNN7EXAMPLF"),
        "403 InvalidAccessKeyId",
        "UNKNOWN_ACCESS_KEY",
        "S3 does not know the access key",
    ),
    (
        "a lifetime over 7 days",
        |u| u.replace("X-Amz-Expires=900", "X-Amz-Expires=604801"),
        "400 AuthorizationQueryParametersError",
        "MALFORMED",
        "X-Amz-Expires is not valid",
    ),
];

#[tokio::test]
async fn answers_of_real_servers_are_explained() {
    for server in [Server::ministack(), Server::seaweedfs()] {
        let sidecar = Sidecar::start(&[]).await;
        let mut client = sidecar.client().await;
        let upload = Used::of(&presigned(client.presign(put(KEY)).await));
        assert_eq!(upload.to_http_request().with_body("x").send(server.port).await.verdict(), "200");
        let good = Used::of(&presigned(client.presign(read()).await));
        assert_eq!(good.to_http_request().send(server.port).await.verdict(), "200", "{}", server.name);
        for (what, damage, said, expected, finding) in ROWS {
            let mut used = good.clone();
            damage(&mut used);
            let s3_answer = used.to_http_request().send(server.port).await;
            assert_eq!(s3_answer.verdict(), *said, "{what} at {}", server.name);
            let explanation = explain(&mut client, &used, &s3_answer.text()).await;
            assert_eq!(
                verdict(&explanation),
                *expected,
                "{what} at {}: {:?}",
                server.name,
                explanation.findings
            );
            assert!(
                explanation.findings[0].starts_with(finding),
                "{what} at {}: {:?}",
                server.name,
                explanation.findings
            );
        }
    }
}

#[tokio::test]
async fn expired_and_early_urls_at_real_servers_are_explained() {
    for server in [Server::ministack(), Server::seaweedfs()] {
        let sidecar = Sidecar::start(&[]).await;
        let mut client = sidecar.client().await;
        let short = pb::PresignRequest { expires_in: Some(seconds(1)), ..read() };
        let used = Used::of(&presigned(client.presign(short).await));
        let body = answer_when_refused_with(&used, server, "403 AccessDenied").await;
        let explanation = explain(&mut client, &used, &body).await;
        assert_eq!(verdict(&explanation), "EXPIRED", "{:?}", explanation.findings);
        assert!(explanation.findings[0].starts_with("the URL expired at"), "{:?}", explanation.findings);
    }
    let sidecar = Sidecar::start(&[]).await;
    let mut client = sidecar.client().await;
    let mut used = Used::of(&presigned(client.presign(read()).await));
    // The signature does not match either, but the reason that S3 gives comes first.
    let year = used.url.split("X-Amz-Date=").nth(1).unwrap()[..4].to_owned();
    used.url = used.url.replace(&format!("X-Amz-Date={year}"), "X-Amz-Date=2999");
    used.url = used.url.replace(&format!("%2F{year}"), "%2F2999");
    let s3_answer = used.to_http_request().send(Server::ministack().port).await;
    assert_eq!(s3_answer.element("Message"), "Request is not yet valid");
    let explanation = explain(&mut client, &used, &s3_answer.text()).await;
    assert_eq!(verdict(&explanation), "NOT_YET_VALID", "{:?}", explanation.findings);
    assert!(
        explanation.findings.iter().any(|finding| finding.starts_with("the URL is not yet valid")),
        "{:?}",
        explanation.findings
    );
}

/// Sends a request until the server refuses it with this status and code. Returns the body.
async fn answer_when_refused_with(used: &Used, server: &Server, said: &str) -> String {
    let refused = async {
        // The server's clock decides, so it is asked again, ten times a second at most.
        let mut ticks = interval(Duration::from_millis(100));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let s3_answer = used.to_http_request().send(server.port).await;
            if s3_answer.verdict() == said {
                break s3_answer.text();
            }
        }
    };
    timeout(PATIENCE, refused).await.expect("the server did not refuse in time")
}

/// Prints temporary credentials from STS with the given lifetime in seconds.
const SESSION: &str = "
import sys, boto3
from botocore.config import Config
endpoint, key, secret, seconds = sys.stdin.read().split()
sts = boto3.client('sts', region_name='us-east-1', endpoint_url=endpoint,
                   aws_access_key_id=key, aws_secret_access_key=secret,
                   # ministack grants sessions shorter than AWS does.
                   config=Config(parameter_validation=False))
session = sts.get_session_token(DurationSeconds=int(seconds))['Credentials']
print(session['AccessKeyId'], session['SecretAccessKey'], session['SessionToken'])
";

/// Starts presignd with temporary credentials in its environment, where their expiry is not known.
async fn start_with_session(server: &Server, seconds: u64) -> Sidecar {
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
    sidecar.wait_until_serving().await;
    sidecar
}

#[tokio::test]
async fn expired_credentials_are_reported_from_the_answer() {
    let server = Server::ministack();
    let sidecar = start_with_session(server, 1).await;
    let mut client = sidecar.client().await;
    let used = Used::of(&presigned(client.presign(read()).await));
    let body = answer_when_refused_with(&used, server, "400 ExpiredToken").await;
    assert_eq!(verdict(&explain(&mut client, &used, "").await), "VALID", "without the answer of S3");
    let explanation = explain(&mut client, &used, &body).await;
    assert_eq!(verdict(&explanation), "EXPIRED");
    assert_eq!(
        explanation.findings,
        ["the credentials that signed the URL have expired, before the URL itself: request a new URL"]
    );
}

#[tokio::test]
async fn removed_session_token_is_reported_with_the_answer() {
    let server = Server::ministack();
    let sidecar = start_with_session(server, 3_600).await;
    let mut client = sidecar.client().await;
    let mut used = Used::of(&presigned(client.presign(read()).await));
    let at = used.url.find("&X-Amz-Security-Token").unwrap();
    let end = at + 1 + used.url[at + 1..].find('&').unwrap();
    used.url.replace_range(at..end, "");
    let s3_answer = used.to_http_request().send(server.port).await;
    assert_eq!(s3_answer.verdict(), "400 InvalidToken");
    let explanation = explain(&mut client, &used, &s3_answer.text()).await;
    assert_eq!(verdict(&explanation), "UNKNOWN_ACCESS_KEY");
    assert_eq!(
        explanation.findings,
        ["the session token is missing: the URL was signed with X-Amz-Security-Token, use the whole URL"]
    );
}

#[tokio::test]
async fn region_of_the_bucket_is_reported_from_the_answer() {
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
    let s3_answer = used.to_http_request().send(server.port).await;
    assert_eq!(s3_answer.verdict(), "301 PermanentRedirect");
    let explanation = explain(&mut client, &used, &s3_answer.text()).await;
    assert_eq!(verdict(&explanation), "SIGNATURE_MISMATCH");
    assert_eq!(explanation.findings, [WRONG_REGION]);
    // As AWS says it: https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html#ErrorCodeList
    let body = "<Error><Code>AuthorizationQueryParametersError</Code><Message>Error parsing the X-Amz-Credential parameter; \
        the region 'eu-west-1' is wrong; expecting 'us-east-1'</Message><Region>us-east-1</Region></Error>";
    let explanation = explain(&mut client, &used, body).await;
    assert_eq!(explanation.findings, [WRONG_REGION]);
}

#[tokio::test]
async fn key_encoded_before_signing_is_reported_for_no_such_key() {
    for server in [Server::ministack(), Server::seaweedfs()] {
        let sidecar = Sidecar::start(&[]).await;
        let mut client = sidecar.client().await;
        let encoded = request("explained/not%20there", Operation::GetObject(GetObject::default()));
        let used = Used::of(&presigned(client.presign(encoded).await));
        let s3_answer = used.to_http_request().send(server.port).await;
        assert_eq!(s3_answer.verdict(), "404 NoSuchKey");
        let explanation = explain(&mut client, &used, &s3_answer.text()).await;
        assert_eq!(verdict(&explanation), "VALID");
        assert_eq!(
            explanation.findings,
            [
                "S3 has no object \"explained/not%20there\", probably because the object key was encoded twice: pass it as \
              stored, presignd encodes it"
            ]
        );
    }
}

/// The error document with which AWS answers a request that it received. It follows the example in
/// [a signature that does not match](https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-troubleshooting.html).
pub(super) fn error_of_aws(arrived: &Used) -> String {
    let request = arrived.to_http_request();
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
async fn changes_on_the_way_to_aws_are_reported_with_the_first_line() {
    let rows: &[(&str, fn(&mut Used), &str, u8)] = &[
        ("the method", |u| u.method = "GET".into(), "the method differs: sent PUT, S3 received GET", 1),
        (
            "the key",
            |u| u.replace("a%20b", "a%2520b"),
            "the object key was encoded twice: sent /explained/a%20b//c.txt, S3 received /explained/a%2520b//c.txt",
            2,
        ),
        (
            "the path",
            |u| u.replace("//c", "/c"),
            "// or dot segments were removed from the path: sent /explained/a%20b//c.txt",
            2,
        ),
        (
            "an added parameter",
            |u| u.url.push_str("&utm=x"),
            "S3 received query parameters that were not sent: utm=x",
            3,
        ),
        (
            "a removed parameter",
            |u| u.replace("&x-id=PutObject", ""),
            "S3 did not receive all query parameters, it lacks: x-id=PutObject",
            3,
        ),
        (
            "a content type",
            |u| u.header("content-type", "text/html"),
            "content-type differs: sent \"text/plain\", S3 received \"text/html\"",
            4,
        ),
        (
            "the host",
            |u| u.replace("plain-bucket.", "other-bucket."),
            "the host differs: sent plain-bucket.",
            5,
        ),
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
        let explanation = explain(&mut client, &used, &error_of_aws(&arrived)).await;
        assert_eq!(verdict(&explanation), "SIGNATURE_MISMATCH", "{what}");
        assert!(explanation.findings[0].starts_with(finding), "{what}: {:?}", explanation.findings);
        let first = format!("line {line} of the canonical request is the first that differs: S3 received ");
        assert!(explanation.findings[1].starts_with(&first), "{what}: {:?}", explanation.findings);
    }
    let explanation = explain(&mut client, &used, &error_of_aws(&used)).await;
    assert_eq!(verdict(&explanation), "SIGNATURE_MISMATCH");
    let secret_differs =
        "S3 received the request as signed, and the signature is right for presignd's secret key";
    assert!(explanation.findings[0].starts_with(secret_differs), "{:?}", explanation.findings);

    let mut another = used.clone();
    another.replace("X-Amz-Signature=", "X-Amz-Signature=0");
    let explanation = explain(&mut client, &used, &error_of_aws(&another)).await;
    assert_eq!(verdict(&explanation), "VALID");
    assert_eq!(explanation.findings, ["the error body was ignored: it is about another URL"]);
    let explanation = explain(&mut client, &used, "<html>no</html>").await;
    assert_eq!(explanation.findings, ["the error body was ignored: it is not an XML error document of S3"]);
    let denied = "<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>";
    let explanation = explain(&mut client, &used, denied).await;
    assert_eq!(verdict(&explanation), "VALID");
    assert_eq!(explanation.findings, ["S3 answered AccessDenied, which is not about the signature"]);
    assert_eq!(explanation.parts.unwrap().bucket, PLAIN_BUCKET);
}
