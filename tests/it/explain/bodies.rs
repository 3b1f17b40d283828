//! Error documents of S3 other than for a changed request, as AWS documents them, and properties of all of them.

use presignd::pb::{GetObject, PutObject, presign_request::Operation};
use proptest::prelude::*;

use super::{Used, answers::error_of_aws, verdict};
use crate::support::in_process::{Case, InProcess};

fn case() -> Case {
    Case::new("plain-bucket", "a key", Operation::GetObject(GetObject::default()))
}

fn with_token() -> Case {
    Case { session_token: Some("a-session-token-of-some-length".to_owned()), ..case() }
}

fn error(code: &str, rest: &str) -> String {
    format!("<?xml version=\"1.0\"?>\n<Error><Code>{code}</Code>{rest}<RequestId>1</RequestId></Error>")
}

async fn explain_with_body(case: &Case, body: &str) -> (&'static str, Vec<String>) {
    let service = InProcess::new();
    let used = Used::of(&service.presign(case).await.unwrap());
    let answer = service.explain(case, None, used.to_explain_request(body)).await;
    (verdict(&answer), answer.findings)
}

#[tokio::test]
async fn each_error_document_has_its_finding_and_verdict() {
    let rows: Vec<(&str, Case, String, &str, &str)> = vec![
        (
            "a signature that matches here, without a canonical request",
            case(),
            error(
                "SignatureDoesNotMatch",
                "<Message>The request signature we calculated does not match</Message>",
            ),
            "SIGNATURE_MISMATCH",
            "S3 rejects the signature, but for this request and presignd's secret key it is right",
        ),
        (
            "a malformed canonical request",
            case(),
            error("SignatureDoesNotMatch", "<CanonicalRequest>GET</CanonicalRequest>"),
            "SIGNATURE_MISMATCH",
            "S3 rejects the signature, but for this request and presignd's secret key it is right",
        ),
        (
            "unsigned headers",
            case(),
            error(
                "AccessDenied",
                "<Message>There were headers present in the request which were not signed</Message>\
                 <HeadersNotSigned>x-amz-acl, x-amz-meta-a</HeadersNotSigned>",
            ),
            "SIGNATURE_MISMATCH",
            "x-amz-acl, x-amz-meta-a are sent but not signed",
        ),
        (
            "unsigned headers without their names",
            case(),
            error(
                "AccessDenied",
                "<Message>There were headers present in the request which were not signed</Message>",
            ),
            "SIGNATURE_MISMATCH",
            "a header is sent but not signed",
        ),
        (
            "a redirect to the regional host",
            case(),
            error(
                "TemporaryRedirect",
                "<Message>Please re-send this request to the specified temporary endpoint.</Message>\
                 <Endpoint>plain-bucket.s3.us-east-1.amazonaws.com</Endpoint>",
            ),
            "SIGNATURE_MISMATCH",
            "S3 redirects the request to plain-bucket.s3.us-east-1.amazonaws.com, but the signature is valid only for the \
             signed host: request a URL for that regional host",
        ),
        (
            "a redirect to another region",
            case(),
            error("TemporaryRedirect", "<Endpoint>plain-bucket.s3-eu-west-1.amazonaws.com</Endpoint>"),
            "SIGNATURE_MISMATCH",
            "the URL is signed for the wrong region: signed us-east-1, expected eu-west-1, correct the region of the signer",
        ),
        (
            "a redirect to a region without its name",
            case(),
            error("PermanentRedirect", "<Region/>"),
            "SIGNATURE_MISMATCH",
            "the URL is signed for the wrong region: the bucket is not in us-east-1, correct the region of the signer",
        ),
        (
            "the right token",
            with_token(),
            error("InvalidToken", "<Message>The provided token is malformed or otherwise invalid.</Message>"),
            "UNKNOWN_ACCESS_KEY",
            "the session token belongs to the access key, but S3 rejects it",
        ),
        (
            "another service than the host's",
            case(),
            error(
                "AuthorizationQueryParametersError",
                "<Message>Error parsing the X-Amz-Credential parameter; incorrect service &quot;s3&quot;. This endpoint \
                 belongs to &quot;s3-outposts&quot;.</Message>",
            ),
            "SIGNATURE_MISMATCH",
            "S3 rejects the authentication parameters of the URL: Error parsing the X-Amz-Credential parameter; incorrect \
             service \"s3\".",
        ),
        (
            "a malformed parameter",
            case(),
            error(
                "AuthorizationQueryParametersError",
                "<Message>X-Amz-Expires must be less than a week (in seconds)</Message>",
            ),
            "MALFORMED",
            "S3 rejects the authentication parameters of the URL: X-Amz-Expires must be less than a week",
        ),
        (
            "expired only by S3's clock",
            case(),
            error(
                "AccessDenied",
                "<Message>Request has expired</Message><X-Amz-Expires>900</X-Amz-Expires>\
                 <Expires>2013-05-24T00:15:00Z</Expires><ServerTime>2013-05-24T01:00:00Z</ServerTime>",
            ),
            "EXPIRED",
            "by S3's clock (2013-05-24T01:00:00Z) the URL has expired, by presignd's (2013-05-24T00:00:00Z) it has not: \
             correct the clock that is wrong",
        ),
        (
            "early only by S3's clock",
            case(),
            error("AccessDenied", "<Message>Request is not yet valid</Message>"),
            "NOT_YET_VALID",
            "by S3's clock the URL is not yet valid, by presignd's (2013-05-24T00:00:00Z) it is: correct the clock that is \
             wrong",
        ),
        (
            "a skewed clock",
            case(),
            error("RequestTimeTooSkewed", "<ServerTime>2013-05-23T20:00:00Z</ServerTime>"),
            "NOT_YET_VALID",
            "by S3's clock (2013-05-23T20:00:00Z) the URL is not yet valid",
        ),
        (
            "as Chrome shows it",
            case(),
            format!(
                "This XML file does not appear to have any style information associated with it. The document tree is \
                 shown below.\n{}",
                error("ExpiredToken", "<Message>The provided token has expired.</Message>")
            ),
            "EXPIRED",
            "the credentials that signed the URL have expired",
        ),
    ];
    for (what, case, body, expected, finding) in rows {
        let (verdict, findings) = explain_with_body(&case, &body).await;
        assert_eq!(verdict, expected, "{what}: {findings:?}");
        assert!(findings.first().is_some_and(|first| first.starts_with(finding)), "{what}: {findings:?}");
    }
}

#[tokio::test]
async fn headers_not_given_are_taken_from_the_received_request() {
    let service = InProcess::new();
    let put = PutObject { content_type: "text/plain".to_owned(), ..Default::default() };
    let case = Case::new("plain-bucket", "a key", Operation::PutObject(put));
    let good = Used::of(&service.presign(&case).await.unwrap());
    let bare = Used { headers: [].into(), ..good.clone() };
    let ask = async |used: &Used, arrived: &Used| {
        let answer = service.explain(&case, None, used.to_explain_request(&error_of_aws(arrived))).await;
        assert_eq!(verdict(&answer), "SIGNATURE_MISMATCH");
        assert!(!answer.findings.iter().any(|finding| finding.contains("missing")), "{:?}", answer.findings);
        answer.findings
    };
    let secret_differs = "S3 received the request as signed, and the signature is right for presignd's secret key: \
        S3 has another secret key for this access key, check the credentials of the signer";
    assert_eq!(ask(&bare, &good).await, [secret_differs]);

    let mut arrived = good.clone();
    arrived.header("content-type", "text/plain; charset=utf-8");
    let differs = "content-type differs from the one signed: signed \"text/plain\", sent \"text/plain; \
        charset=utf-8\"";
    assert_eq!(ask(&bare, &arrived).await, [differs]);

    // S3 received the signed request, but explain is given another one.
    let wrong = Used { method: "DELETE".to_owned(), ..bare.clone() };
    let findings = ask(&Used { url: wrong.url.replace("a%20key", "another"), ..wrong }, &good).await;
    assert_eq!(findings[0], secret_differs, "{findings:?}");

    // S3 received the signed request after its expiry.
    let late = Case { time: case.time + 1_000, ..case.clone() };
    let asked = Used { method: "DELETE".to_owned(), ..bare.clone() };
    let answer = service.explain(&late, None, asked.to_explain_request(&error_of_aws(&good))).await;
    assert_eq!((verdict(&answer), answer.findings[0].as_str()), ("SIGNATURE_MISMATCH", secret_differs));

    // The request that S3 received is similar to the signed one, the given one is not.
    let mut asked = bare.clone();
    asked.replace("a%20key", "another");
    let mut arrived = good.clone();
    arrived.replace("a%20key", "a%2520key");
    let findings = ask(&asked, &arrived).await;
    let twice = "the object key was encoded twice: use the URL exactly as signed (signed /a%20key, S3 received \
        /a%2520key)";
    assert_eq!(findings[0], twice, "{findings:?}");
}

const CODES: [&str; 16] = [
    "SignatureDoesNotMatch",
    "AccessDenied",
    "RequestExpired",
    "RequestTimeTooSkewed",
    "ExpiredToken",
    "ExpiredTokenException",
    "InvalidToken",
    "InvalidAccessKeyId",
    "AuthorizationQueryParametersError",
    "AuthorizationHeaderMalformed",
    "PermanentRedirect",
    "TemporaryRedirect",
    "NoSuchKey",
    "NoSuchBucket",
    "MethodNotAllowed",
    "InternalError",
];

const MESSAGES: [&str; 8] = [
    "",
    "Request has expired",
    "Request is not yet valid",
    "There were headers present in the request which were not signed",
    "the region 'us-east-1' is wrong; expecting 'eu-west-1'",
    "incorrect service",
    "Access Denied",
    "X-Amz-Expires must be non-negative",
];

const ELEMENTS: [&str; 12] = [
    "",
    "<Region>us-east-1</Region>",
    "<Region>eu-west-1</Region>",
    "<Endpoint>plain-bucket.s3.us-east-1.amazonaws.com</Endpoint>",
    "<Endpoint>plain-bucket.s3-eu-west-1.amazonaws.com</Endpoint>",
    "<Endpoint>files.example</Endpoint>",
    "<HeadersNotSigned>x-amz-acl</HeadersNotSigned>",
    "<ServerTime>2013-05-24T01:00:00Z</ServerTime>",
    "<CanonicalRequest>GET\n/a%20key\n\nhost:h\n\nhost\nUNSIGNED-PAYLOAD</CanonicalRequest>",
    "<CanonicalRequest/>",
    "<CanonicalRequest>GET\n\n\n\n\n</CanonicalRequest>",
    "<Region/>",
];

/// How a valid request is changed.
const DAMAGES: [fn(&mut Used); 6] = [
    |_| {},
    |used| used.method = "PUT".to_owned(),
    |used| used.replace("AKIA", "ASIA"),
    |used| used.replace("a%20key", "another"),
    |used| used.header("x-amz-acl", "private"),
    |used| used.replace("us-east-1%2F", "eu-west-1%2F"),
];

#[tokio::test]
async fn each_invalid_verdict_has_a_finding_for_any_answer() {
    let service = InProcess::new();
    for case in [case(), with_token()] {
        let good = Used::of(&service.presign(&case).await.unwrap());
        for damage in DAMAGES {
            let mut used = good.clone();
            damage(&mut used);
            for (code, message) in CODES.iter().flat_map(|code| MESSAGES.map(|message| (code, message))) {
                for element in ELEMENTS {
                    let body = error(code, &format!("<Message>{message}</Message>{element}"));
                    let answer = service.explain(&case, None, used.to_explain_request(&body)).await;
                    assert!(verdict(&answer) == "VALID" || !answer.findings.is_empty(), "{body}");
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn each_invalid_verdict_has_a_finding_for_any_body(
        code in prop::sample::select(CODES.to_vec()),
        message in "[ -~]{0,40}",
        elements in prop::collection::vec((prop::sample::select(vec![
            "Region", "Endpoint", "ServerTime", "HeadersNotSigned", "CanonicalRequest", "SignatureProvided", "StringToSign",
        ]), "[ -~\n]{0,60}"), 0..4),
        damage in 0..DAMAGES.len(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let escaped = |text: &str| text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        let rest: String =
            elements.iter().map(|(name, text)| format!("<{name}>{}</{name}>", escaped(text))).collect();
        let body = error(code, &format!("<Message>{}</Message>{rest}", escaped(&message)));
        runtime.block_on(async {
            let (service, case) = (InProcess::new(), case());
            let mut used = Used::of(&service.presign(&case).await.unwrap());
            DAMAGES[damage](&mut used);
            let answer = service.explain(&case, None, used.to_explain_request(&body)).await;
            assert!(verdict(&answer) == "VALID" || !answer.findings.is_empty(), "{body}");
            assert!(answer.findings.len() <= 21);
        });
    }
}
