//! A row for each cause: how a valid request is damaged, the verdict, and the start of the first finding.

use presignd::pb::{self, presign_request::Operation};

use super::{Used, explain, verdict};
use crate::support::{
    OUTPOSTS_ARN,
    grpc::{presigned, request},
    in_process::{Case, InProcess},
    sidecar::{Sidecar, presignd},
};

const KEY: &str = "explain/a b//c+d/./e.txt";
const TOKEN: &str = "FwoGZXIvYXdzEJr//+token/with+pluses==";

/// The request that is damaged.
#[derive(Clone, Copy, PartialEq)]
enum Sample {
    /// A GET with query parameters.
    Read,
    /// A PUT with signed headers.
    Write,
    /// A listing.
    List,
    /// A GET of an Outposts access point.
    Outposts,
    /// A GET of a Multi-Region Access Point, by SigV4A.
    Global,
    /// A GET of a bucket in the path.
    Dotted,
}

use Sample::{Dotted, Global, List, Outposts, Read, Write};

type Damage = fn(&mut Used);

const MISMATCH: &str = "SIGNATURE_MISMATCH";
const MALFORMED: &str = "MALFORMED";

const CAUSES: &[(&str, Sample, Damage, &str, &str)] = &[
    ("the method", Read, |u| u.method = "HEAD".into(), MISMATCH, "the method differs: signed GET, sent HEAD"),
    (
        "the method of an upload",
        Write,
        |u| u.method = "POST".into(),
        MISMATCH,
        "the method differs: signed PUT, sent POST",
    ),
    (
        "a missing content type",
        Write,
        |u| drop(u.headers.remove("content-type")),
        MISMATCH,
        "the signed header content-type is missing: send \"content-type: image/jpeg\"",
    ),
    (
        "another content type",
        Write,
        another_content_type,
        MISMATCH,
        "content-type differs from the one signed: signed \"image/jpeg\", sent \"image/jpg\"",
    ),
    (
        "a content type with a charset",
        Write,
        |u| u.header("content-type", "image/jpeg; charset=UTF-8"),
        MISMATCH,
        "content-type differs from the one signed: signed \"image/jpeg\", sent \"image/jpeg; charset=UTF-8\"",
    ),
    (
        "a missing header",
        Write,
        |u| drop(u.headers.remove("x-amz-meta-owner")),
        MISMATCH,
        "the signed header x-amz-meta-owner is missing: send it with the value that was signed",
    ),
    (
        "a header with another value",
        Write,
        |u| u.header("x-amz-meta-owner", "b"),
        MISMATCH,
        "the signature does not match, probably because a signed header differs: send content-type, x-amz-meta-owner exactly as signed",
    ),
    (
        "an unsigned header",
        Read,
        |u| u.header("x-amz-meta-extra", "b"),
        MISMATCH,
        "x-amz-meta-extra is sent but not signed",
    ),
    (
        "a header removed from the signed ones",
        Write,
        |u| u.replace("%3Bx-amz-meta-owner", ""),
        MISMATCH,
        "x-amz-meta-owner is sent but not signed",
    ),
    (
        "the key encoded twice",
        Read,
        |u| u.replace("a%20b//c%2Bd", "a%2520b//c%252Bd"),
        MISMATCH,
        "the object key was encoded twice: use the URL exactly as signed (signed /explain/a%20b//c%2Bd/./e.txt, sent \
         /explain/a%2520b//c%252Bd/./e.txt)",
    ),
    (
        "a plus for a space",
        Read,
        |u| u.replace("a%20b", "a+b"),
        "VALID",
        "a + in the path /explain/a+b//c%2Bd/./e.txt is a space to S3 on AWS, but not to other servers: write %20",
    ),
    (
        "a decoded plus",
        Read,
        |u| u.replace("c%2Bd", "c+d"),
        MISMATCH,
        "a + was read as a space: write %2B (signed /explain/a%20b//c%2Bd/./e.txt, sent /explain/a%20b//c%20d/./e.txt)",
    ),
    (
        "a plus in the query",
        Read,
        |u| u.replace("x%2Bsigned", "x+signed"),
        MISMATCH,
        "a + was read as a space: write %2B (signed response-content-type=text%2Fx%2Bsigned, sent",
    ),
    (
        "pluses in the token",
        Read,
        |u| u.url = u.url.replace("%2Bpluses", "+pluses").replace("%2Btoken", "+token"),
        MISMATCH,
        "a + in the session token was read as a space: write %2B",
    ),
    (
        "a removed double slash",
        Read,
        |u| u.replace("b//c", "b/c"),
        MISMATCH,
        "// or dot segments were removed from the path: use the URL exactly as signed (signed \
         /explain/a%20b//c%2Bd/./e.txt, sent",
    ),
    (
        "a removed dot segment",
        Read,
        |u| u.replace("/./", "/"),
        MISMATCH,
        "// or dot segments were removed from the path: use the URL exactly as signed (signed \
         /explain/a%20b//c%2Bd/./e.txt, sent",
    ),
    (
        "a parameter added",
        Read,
        |u| u.url.push_str("&utm_source=mail"),
        MISMATCH,
        "query parameters were added after signing, remove them: utm_source=mail",
    ),
    (
        "two parameters added",
        Read,
        |u| u.url.push_str("&utm_source=mail&fbclid=x"),
        MISMATCH,
        "query parameters were added after signing, remove them: utm_source=mail&fbclid=x",
    ),
    (
        "a parameter dropped",
        Read,
        |u| u.replace("&versionId=null", ""),
        MISMATCH,
        "query parameters were removed after signing, restore them: versionId=null",
    ),
    (
        "a sub-resource dropped",
        List,
        |u| u.replace("&list-type=2", ""),
        MISMATCH,
        "query parameters were removed after signing, restore them: list-type=2",
    ),
    (
        "the host",
        Read,
        |u| u.replace("plain-bucket.s3.us-east-1.amazonaws.com", "cdn.example.com"),
        MISMATCH,
        "the host differs: send the signed one as Host (signed plain-bucket.s3.us-east-1.amazonaws.com, sent \
         cdn.example.com)",
    ),
    (
        "the host's region",
        Read,
        |u| u.replace("s3.us-east-1", "s3.eu-west-1"),
        MISMATCH,
        "the host differs: send the signed one as Host (signed plain-bucket.s3.us-east-1.amazonaws.com, sent \
         plain-bucket.s3.eu-west-1.amazonaws.com)",
    ),
    (
        "the global host",
        Read,
        |u| u.replace("s3.us-east-1", "s3"),
        MISMATCH,
        "the host differs: send the signed one as Host (signed plain-bucket.s3.us-east-1.amazonaws.com, sent",
    ),
    (
        "a port in Host",
        Read,
        |u| u.header("Host", "plain-bucket.s3.us-east-1.amazonaws.com:443"),
        MISMATCH,
        "the host differs: send the signed one as Host (signed plain-bucket.s3.us-east-1.amazonaws.com, sent \
         plain-bucket.s3.us-east-1.amazonaws.com:443)",
    ),
    (
        "the host of an Outpost",
        Outposts,
        |u| u.replace("demo-123456789012", "other-123456789012"),
        MISMATCH,
        "the host differs: send the signed one as Host (signed demo-123456789012.op-01234567890123456",
    ),
    (
        "the region in the scope",
        Read,
        |u| u.replace("%2Fus-east-1%2F", "%2Feu-west-1%2F"),
        MISMATCH,
        "the credential scope (region or service) differs: signed ASIAIOSFODNN7EXAMPLE/",
    ),
    (
        "the service in the scope",
        Outposts,
        |u| u.replace("%2Fs3-outposts%2F", "%2Fs3%2F"),
        MISMATCH,
        "the credential scope (region or service) differs: signed ASIAIOSFODNN7EXAMPLE/",
    ),
    (
        "the token",
        Read,
        drop_token,
        MISMATCH,
        "the session token is missing: the URL was signed with X-Amz-Security-Token, use the whole URL",
    ),
    (
        "another token",
        Read,
        |u| u.replace("X-Amz-Security-Token=", "X-Amz-Security-Token=x"),
        MISMATCH,
        "the session token differs from the one signed: use the URL exactly as signed",
    ),
    (
        "an unknown access key",
        Read,
        |u| u.replace("ASIAIOSFODNN7EXAMPLE", "AKIAIOSFODNN7EXAMPLE"),
        "UNKNOWN_ACCESS_KEY",
        "no signer of this presignd has the access key of the URL, so its signature cannot be checked: another \
         presignd may have signed it",
    ),
    (
        "an unknown temporary access key",
        Read,
        |u| u.replace("ASIAIOSFODNN7EXAMPLE", "ASIAIOSFODNN7EXAMPLF"),
        "UNKNOWN_ACCESS_KEY",
        "no signer of this presignd has the access key of the URL, so its signature cannot be checked: its \
         temporary credentials may have been replaced since, or another presignd may have signed it",
    ),
    (
        "half a signature",
        Read,
        |u| u.url.truncate(u.url.len() - 32),
        MISMATCH,
        "X-Amz-Signature has 32 characters instead of 64: the URL was cut off",
    ),
    (
        "another path",
        Read,
        |u| u.replace("e.txt", "f.txt"),
        MISMATCH,
        "the signature does not match this request or any similar one",
    ),
    ("a fragment", Read, |u| u.replace("e.txt", "e.txt#"), MALFORMED, "this is not a presigned URL"),
    ("SigV2", Read, sig_v2, MALFORMED, "this URL is signed with Signature Version 2"),
    (
        "no signature at all",
        Read,
        |u| u.url.truncate(u.url.find('?').unwrap()),
        MALFORMED,
        "this is not a presigned URL",
    ),
    (
        "a URI of another scheme",
        Read,
        |u| u.url = "s3://plain-bucket/key".into(),
        MALFORMED,
        "this is not a URL",
    ),
    (
        "a URL cut short",
        Read,
        |u| u.url.truncate(u.url.find("&X-Amz-SignedHeaders").unwrap()),
        MALFORMED,
        "the URL lacks X-Amz-SignedHeaders, X-Amz-Signature",
    ),
    (
        "copied from HTML",
        Read,
        |u| u.url = u.url.replace('&', "&amp;"),
        MALFORMED,
        "the URL was copied from HTML or XML with its escapes: replace each &amp; with &",
    ),
    (
        "copied from HTML, by number",
        Read,
        |u| u.url = u.url.replace('&', "&#38;"),
        MALFORMED,
        "the URL was copied from HTML or XML with its escapes: replace each &#38; with &",
    ),
    (
        "copied from JSON",
        Read,
        |u| u.url = u.url.replace('&', "\\u0026"),
        MALFORMED,
        "the URL was copied from JSON with its escapes: replace each \\u0026 with &",
    ),
    (
        "one JSON escape left",
        Read,
        |u| u.replace("&X-Amz-Signature", "\\u0026X-Amz-Signature"),
        MALFORMED,
        "the URL was copied from JSON with its escapes: replace each \\u0026 with &",
    ),
    (
        "the question mark encoded",
        Read,
        |u| u.replace("?", "%3F"),
        MALFORMED,
        "the ? before the query is written as %3F",
    ),
    (
        "the whole URL encoded",
        Read,
        |u| u.url = u.url.replace('%', "%25"),
        MALFORMED,
        "the whole URL was encoded twice",
    ),
    (
        "the whole URL encoded, with its slashes",
        Read,
        |u| u.url = u.url.replace('%', "%25").replace(':', "%3A").replace('/', "%2F"),
        MALFORMED,
        "the whole URL was encoded twice",
    ),
    (
        "a space in the key",
        Read,
        |u| u.replace("a%20b", "a b"),
        MALFORMED,
        "the URL has a space in its path: write %20",
    ),
    (
        "a space in the query",
        Read,
        |u| u.replace("X-Amz-Expires=900", "X-Amz-Expires=900 "),
        MALFORMED,
        "the URL contains white space",
    ),
    (
        "a bracket after the URL",
        Read,
        |u| u.url.push(')'),
        MISMATCH,
        "X-Amz-Signature has 65 characters instead of 64: remove what was appended to the URL",
    ),
    (
        "an extra slash",
        Read,
        |u| u.replace(".com/explain", ".com//explain"),
        MISMATCH,
        "the path has an extra /: remove it (signed /explain/a%20b//c%2Bd/./e.txt, sent //explain/a%20b//c%2Bd/./e.txt)",
    ),
    (
        "a slash at the end",
        Read,
        |u| u.replace("e.txt", "e.txt/"),
        MISMATCH,
        "the path has an extra /: remove it (signed /explain/a%20b//c%2Bd/./e.txt, sent",
    ),
    (
        "the lifetime edited",
        Read,
        |u| u.replace("X-Amz-Expires=900", "X-Amz-Expires=86400"),
        MISMATCH,
        "the query parameter X-Amz-Expires differs: signed \"900\", sent \"86400\"",
    ),
    (
        "a host with a final dot",
        Read,
        |u| u.replace("amazonaws.com/", "amazonaws.com./"),
        MISMATCH,
        "the host differs: send the signed one as Host (signed plain-bucket.s3.us-east-1.amazonaws.com, sent \
         plain-bucket.s3.us-east-1.amazonaws.com.)",
    ),
    (
        "the host of a bucket in the path",
        Dotted,
        |u| u.replace("s3.us-east-1.amazonaws.com", "cdn.example.com"),
        MISMATCH,
        "the host differs: send the signed one as Host (signed s3.us-east-1.amazonaws.com, sent cdn.example.com)",
    ),
    (
        "a line break",
        Read,
        |u| u.replace("&X-Amz-Date", "\n&X-Amz-Date"),
        MALFORMED,
        "the URL contains white space",
    ),
    (
        "a lifetime over 7 days",
        Read,
        |u| u.replace("X-Amz-Expires=900", "X-Amz-Expires=604801"),
        MALFORMED,
        "X-Amz-Expires is not valid: it must be a number of seconds from 1 to 604800",
    ),
    (
        "an Authorization header in addition",
        Read,
        |u| u.header("Authorization", "Bearer x"),
        MALFORMED,
        "the request has an Authorization header",
    ),
    (
        "a method, by SigV4A",
        Global,
        |u| u.method = "PUT".into(),
        MISMATCH,
        "the method differs: signed GET, sent PUT",
    ),
    (
        "encoded twice, by SigV4A",
        Global,
        |u| u.replace("a%20b", "a%2520b"),
        MISMATCH,
        "the object key was encoded twice",
    ),
];

/// With a name in capitals, as clients send it.
fn another_content_type(used: &mut Used) {
    used.headers.remove("content-type");
    used.header("Content-Type", "image/jpg");
}

fn drop_token(used: &mut Used) {
    let at = used.url.find("&X-Amz-Security-Token").unwrap();
    let end = at + 1 + used.url[at + 1..].find('&').unwrap();
    used.url.replace_range(at..end, "");
}

fn sig_v2(used: &mut Used) {
    used.url.truncate(used.url.find('?').unwrap());
    used.url.push_str("?AWSAccessKeyId=ASIAIOSFODNN7EXAMPLE&Expires=1999999999&Signature=c2lnbmF0dXJl%3D");
}

async fn start_with_token() -> Sidecar {
    let mut command = presignd();
    command
        .env("AWS_ACCESS_KEY_ID", "ASIAIOSFODNN7EXAMPLE")
        .env("AWS_SECRET_ACCESS_KEY", crate::support::SECRET_KEY)
        .env("AWS_SESSION_TOKEN", TOKEN)
        .env("AWS_REGION", "us-east-1");
    let sidecar = Sidecar::spawn(command, &[]);
    sidecar.wait_until_serving().await;
    sidecar
}

fn sign_request(sample: Sample) -> pb::PresignRequest {
    let read = Operation::GetObject(pb::GetObject {
        version_id: "null".to_owned(),
        response_content_type: "text/x+signed".to_owned(),
        ..Default::default()
    });
    let write = Operation::PutObject(pb::PutObject {
        content_type: "image/jpeg".to_owned(),
        metadata: [("owner".to_owned(), "a".to_owned())].into(),
        ..Default::default()
    });
    let at =
        |bucket: &str, operation| pb::PresignRequest { bucket: bucket.to_owned(), ..request(KEY, operation) };
    match sample {
        Read => request(KEY, read),
        Write => request(KEY, write),
        List => request("", Operation::ListObjectsV2(pb::ListObjectsV2::default())),
        Outposts => at(OUTPOSTS_ARN, read),
        Dotted => at("dotted.bucket", read),
        Global => at("arn:aws:s3::123456789012:accesspoint/mfzwi23gnjvgw.mrap", read),
    }
}

#[tokio::test]
async fn each_cause_has_its_own_finding_and_verdict() {
    let sidecar = start_with_token().await;
    let mut client = sidecar.client().await;
    let mut wrong = Vec::new();
    for (what, sample, damage, expected, finding) in CAUSES {
        let good = Used::of(&presigned(client.presign(sign_request(*sample)).await));
        let before = explain(&mut client, &good, "").await;
        assert_eq!((verdict(&before), before.findings.as_slice()), ("VALID", &[][..]), "{what}");
        let mut used = good.clone();
        damage(&mut used);
        let answer = explain(&mut client, &used, "").await;
        let first = answer.findings.first().map_or("nothing", String::as_str);
        if verdict(&answer) != *expected || !first.starts_with(finding) {
            wrong.push(format!(
                "{what}: {} {:?}\ninstead of {expected} {finding}",
                verdict(&answer),
                answer.findings
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[tokio::test]
async fn unknown_access_key_reports_expiry_and_missing_headers() {
    let sidecar = start_with_token().await;
    let mut client = sidecar.client().await;
    let mut used = Used::of(&presigned(client.presign(sign_request(Write)).await));
    used.replace("ASIAIOSFODNN7EXAMPLE", "AKIAIOSFODNN7EXAMPLE");
    used.headers.clear();
    let at = used.url.find("X-Amz-Date=").unwrap() + "X-Amz-Date=".len();
    used.url = used.url.replace(&used.url[at..at + 8], "20200102");
    let answer = explain(&mut client, &used, "").await;
    assert_eq!(verdict(&answer), "UNKNOWN_ACCESS_KEY");
    let has_finding = |start: &str| answer.findings.iter().any(|finding| finding.starts_with(start));
    assert!(answer.findings[0].starts_with("the URL expired at 2020-01-02T"), "{:?}", answer.findings);
    assert!(has_finding("the signed header content-type is missing"), "{:?}", answer.findings);
    assert!(has_finding("no signer of this presignd has the access key"), "{:?}", answer.findings);
}

#[tokio::test]
async fn a_plus_in_the_path_is_a_plus_outside_aws() {
    let service = InProcess::new();
    let case = Case {
        endpoint: Some("https://minio.local:9000"),
        path_style: true,
        ..Case::new("plain-bucket", "a b+c", Operation::GetObject(pb::GetObject::default()))
    };
    let mut used = Used::of(&service.presign(&case).await.unwrap());
    used.replace("%2B", "+");
    let answer = service.explain(&case, None, used.to_explain_request("")).await;
    assert_eq!((verdict(&answer), answer.findings.as_slice()), ("VALID", &[][..]));
    used.replace("%20", "+");
    let answer = service.explain(&case, None, used.to_explain_request("")).await;
    assert_eq!(verdict(&answer), MISMATCH);
    // One plus was a space and one a plus: no candidate has both.
    let unexplained = "the signature does not match this request or any similar one";
    assert!(answer.findings[0].starts_with(unexplained), "{:?}", answer.findings);
    used.replace("b+c", "b%2Bc");
    let answer = service.explain(&case, None, used.to_explain_request("")).await;
    assert_eq!(verdict(&answer), MISMATCH);
    assert_eq!(
        answer.findings,
        [
            "a space was written as +: write %20 (signed /plain-bucket/a%20b%2Bc, sent /plain-bucket/a%2Bb%2Bc)"
        ]
    );
}

#[tokio::test]
async fn changed_host_or_base_path_of_an_endpoint_is_reported() {
    let service = InProcess::new();
    let get = || Operation::GetObject(pb::GetObject::default());
    let public = ("PUBLIC_ENDPOINT", "https://files.example/s3".to_owned());
    for (path_style, settings, host, base) in [
        (true, vec![public.clone()], "files.example", "/s3/plain-bucket"),
        (false, vec![public], "plain-bucket.files.example", "/s3"),
        (true, vec![], "minio.local:9000", "/base/plain-bucket"),
    ] {
        let case = Case {
            endpoint: Some("http://minio.local:9000/base"),
            path_style,
            settings,
            ..Case::new("plain-bucket", "a/key", get())
        };
        let good = Used::of(&service.presign(&case).await.unwrap());
        assert!(good.url.contains(&format!("://{host}{base}/a/key?")), "{}", good.url);
        let answer = service.explain(&case, None, good.to_explain_request("")).await;
        assert_eq!((verdict(&answer), answer.findings.as_slice()), ("VALID", &[][..]));
        let parts = answer.parts.unwrap();
        assert_eq!((parts.bucket.as_str(), parts.key.as_str()), ("plain-bucket", "a/key"));
        // Another host name, as of a CDN.
        let mut used = good.clone();
        used.replace(&format!("://{host}/"), "://cdn.example.com/");
        let answer = service.explain(&case, None, used.to_explain_request("")).await;
        let differs =
            format!("the host differs: send the signed one as Host (signed {host}, sent cdn.example.com)");
        assert!(answer.findings.contains(&differs) || !path_style, "{:?}", answer.findings);
        // A proxy that removes the base path.
        let stripped = base.trim_start_matches("/s3").trim_start_matches("/base");
        let mut used = good.clone();
        used.replace(&format!("{host}{base}/"), &format!("{host}{stripped}/"));
        let answer = service.explain(&case, None, used.to_explain_request("")).await;
        let differs = format!("the path differs: signed {base}/a/key, sent {stripped}/a/key");
        assert_eq!(answer.findings, [differs]);
    }
}

#[tokio::test]
async fn hosts_of_other_partitions_and_fips_are_aws_hosts() {
    let service = InProcess::new();
    for (region, settings) in [
        ("eusc-de-east-1", vec![]),
        ("us-iso-east-1", vec![]),
        ("us-isob-east-1", vec![]),
        ("eu-isoe-west-1", vec![]),
        ("us-isof-south-1", vec![]),
        ("cn-north-1", vec![]),
        ("us-gov-west-1", vec![("FIPS", "true".to_owned())]),
    ] {
        let get = Operation::GetObject(pb::GetObject::default());
        let case = Case { settings, ..Case::new("plain-bucket", "a key", get) }.in_region(region);
        let good = Used::of(&service.presign(&case).await.unwrap());
        let answer = service.explain(&case, None, good.to_explain_request("")).await;
        assert_eq!((verdict(&answer), answer.findings.as_slice()), ("VALID", &[][..]), "{region}");
        assert_eq!(answer.parts.unwrap().bucket, "plain-bucket", "{region}");
        let mut used = good.clone();
        used.replace("plain-bucket.", "plain-bucket.x");
        let other = used.url.split('/').nth(2).unwrap().to_owned();
        used.url = good.url.clone();
        used.header("Host", &other);
        let answer = service.explain(&case, None, used.to_explain_request("")).await;
        assert_eq!(verdict(&answer), MISMATCH, "{region}");
    }
    let case = Case {
        endpoint: Some("https://s3-fips-us-gov-west-1.amazonaws.com"),
        path_style: true,
        ..Case::new("plain-bucket", "key", Operation::GetObject(pb::GetObject::default()))
    };
    let case = case.in_region("us-gov-west-1");
    let used = Used::of(&service.presign(&case).await.unwrap());
    let answer = service.explain(&case, None, used.to_explain_request("")).await;
    assert_eq!((verdict(&answer), answer.findings.as_slice()), ("VALID", &[][..]));
}

#[tokio::test]
async fn number_and_length_of_findings_are_limited() {
    let service = InProcess::new();
    let metadata = (0..40).map(|number| (format!("{number}-{}", "n".repeat(300)), "x".to_owned())).collect();
    let put = Operation::PutObject(pb::PutObject { metadata, ..Default::default() });
    let case = Case::new("plain-bucket", "key", put);
    let mut used = Used::of(&service.presign(&case).await.unwrap());
    used.headers.clear();
    let answer = service.explain(&case, None, used.to_explain_request("")).await;
    assert_eq!((verdict(&answer), answer.findings.len()), (MISMATCH, 21));
    assert_eq!(answer.findings[20], "and 20 more");
    for finding in &answer.findings {
        assert!(finding.len() < 1_000, "{finding}");
    }
    for number in 0..40 {
        used.header(&format!("x-amz-meta-{number}-{}", "n".repeat(300)), "y");
        used.header(&format!("x-amz-meta-m{number}-{}", "n".repeat(300)), "y");
    }
    let answer = service.explain(&case, None, used.to_explain_request("")).await;
    assert_eq!(verdict(&answer), MISMATCH);
    for finding in &answer.findings {
        assert!(finding.contains("and 30 more"), "{finding}");
        assert!(finding.len() < 3_000, "{finding}");
    }
}

#[tokio::test]
async fn scope_that_differs_from_the_host_is_reported() {
    let service = InProcess::new();
    for (endpoint, finding) in [
        (
            "https://s3.us-east-1.amazonaws.com",
            "the URL is signed for the wrong region: signed eu-west-1, expected us-east-1, correct the region of the signer",
        ),
        (
            "https://op-01234567890123456.s3-outposts.eu-west-1.amazonaws.com",
            "the URL is signed for the wrong service: signed s3, but this host expects s3-outposts",
        ),
    ] {
        let case = Case {
            endpoint: Some(endpoint),
            region: "eu-west-1",
            ..Case::new("plain-bucket", "key", Operation::GetObject(pb::GetObject::default()))
        };
        let used = Used::of(&service.presign(&case).await.unwrap());
        let answer = service.explain(&case, None, used.to_explain_request("")).await;
        assert_eq!(verdict(&answer), MISMATCH);
        assert_eq!(answer.findings, [finding]);
    }
}
