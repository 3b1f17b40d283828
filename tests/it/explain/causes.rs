//! A row for each cause: how a good URL is damaged, the verdict, and the finding that comes first.

use presignd::pb::{self, presign_request::Operation};

use super::{Used, explained, verdict};
use crate::support::{
    OUTPOSTS_ARN,
    grpc::{presigned, request},
    in_process::{Case, InProcess},
    sidecar::{Sidecar, presignd},
};

const KEY: &str = "explain/a b//c+d/./e.txt";
const TOKEN: &str = "FwoGZXIvYXdzEJr//+token/with+pluses==";

/// Which request is damaged.
#[derive(Clone, Copy, PartialEq)]
enum Of {
    /// A GET with a query of its own.
    Read,
    /// A PUT with signed headers.
    Write,
    /// A listing.
    List,
    /// A GET of an Outposts access point.
    Outposts,
    /// A GET of a Multi-Region Access Point, by SigV4A.
    Global,
    /// A GET of a bucket that stands in the path.
    Dotted,
}

use Of::{Dotted, Global, List, Outposts, Read, Write};

type Damage = fn(&mut Used);

const MISMATCH: &str = "SIGNATURE_MISMATCH";
const MALFORMED: &str = "MALFORMED";

const CAUSES: &[(&str, Of, Damage, &str, &str)] = &[
    (
        "the method",
        Read,
        |u| u.method = "HEAD".into(),
        MISMATCH,
        "the method differs: GET was signed, HEAD is used",
    ),
    (
        "the method of a body",
        Write,
        |u| u.method = "POST".into(),
        MISMATCH,
        "the method differs: PUT was signed, POST is used",
    ),
    (
        "a content type that is not sent",
        Write,
        |u| drop(u.headers.remove("content-type")),
        MISMATCH,
        "the signed header content-type is missing: content-type: image/jpeg was signed",
    ),
    (
        "another content type",
        Write,
        another_content_type,
        MISMATCH,
        "content-type differs from the one signed: \"image/jpeg\" was signed, \"image/jpg\" is used",
    ),
    (
        "a content type with a charset",
        Write,
        |u| u.header("content-type", "image/jpeg; charset=UTF-8"),
        MISMATCH,
        "content-type differs from the one signed: \"image/jpeg\" was signed, \"image/jpeg; charset=UTF-8\" is used",
    ),
    (
        "a header that is not sent",
        Write,
        |u| drop(u.headers.remove("x-amz-meta-owner")),
        MISMATCH,
        "the signed header x-amz-meta-owner is missing: it must be sent with the value that was signed",
    ),
    (
        "a header with another value",
        Write,
        |u| u.header("x-amz-meta-owner", "b"),
        MISMATCH,
        "the signature belongs to another request; likely a signed header changed: content-type, x-amz-meta-owner must be sent exactly as signed",
    ),
    (
        "a header that is not signed",
        Read,
        |u| u.header("x-amz-meta-extra", "b"),
        MISMATCH,
        "x-amz-meta-extra is sent but not signed",
    ),
    (
        "a header less signed",
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
        "the object key was encoded twice: /explain/a%20b//c%2Bd/./e.txt was signed, /explain/a%2520b//c%252Bd/./e.txt is used",
    ),
    (
        "a plus for a space",
        Read,
        |u| u.replace("a%20b", "a+b"),
        "VALID",
        "a + stands in the place of a space: S3 at AWS takes the one in /explain/a+b//c%2Bd/./e.txt for a space, other \
         servers do not; write %20",
    ),
    (
        "a plus that was encoded",
        Read,
        |u| u.replace("c%2Bd", "c+d"),
        MISMATCH,
        "a + was read as a space (write %2B): /explain/a%20b//c%2Bd/./e.txt was signed, \
         /explain/a%20b//c%20d/./e.txt is used",
    ),
    (
        "a plus in the query",
        Read,
        |u| u.replace("x%2Bsigned", "x+signed"),
        MISMATCH,
        "a + was read as a space (write %2B): response-content-type=text%2Fx%2Bsigned was signed",
    ),
    (
        "pluses in the token",
        Read,
        |u| u.url = u.url.replace("%2Bpluses", "+pluses").replace("%2Btoken", "+token"),
        MISMATCH,
        "a + was read as a space (write %2B): the session token was signed, another is used",
    ),
    (
        "a double slash folded",
        Read,
        |u| u.replace("b//c", "b/c"),
        MISMATCH,
        "the path was normalised on the way (// or dot segments): /explain/a%20b//c%2Bd/./e.txt was signed",
    ),
    (
        "a dot folded",
        Read,
        |u| u.replace("/./", "/"),
        MISMATCH,
        "the path was normalised on the way (// or dot segments): /explain/a%20b//c%2Bd/./e.txt was signed",
    ),
    (
        "a parameter added",
        Read,
        |u| u.url.push_str("&utm_source=mail"),
        MISMATCH,
        "query parameters were added on the way: utm_source=mail",
    ),
    (
        "two parameters added",
        Read,
        |u| u.url.push_str("&utm_source=mail&fbclid=x"),
        MISMATCH,
        "query parameters were added on the way: utm_source=mail&fbclid=x",
    ),
    (
        "a parameter dropped",
        Read,
        |u| u.replace("&versionId=null", ""),
        MISMATCH,
        "query parameters were dropped on the way: versionId=null",
    ),
    (
        "a sub-resource dropped",
        List,
        |u| u.replace("&list-type=2", ""),
        MISMATCH,
        "query parameters were dropped on the way: list-type=2",
    ),
    (
        "the host",
        Read,
        |u| u.replace("plain-bucket.s3.us-east-1.amazonaws.com", "cdn.example.com"),
        MISMATCH,
        "the host differs: plain-bucket.s3.us-east-1.amazonaws.com was signed, cdn.example.com is used",
    ),
    (
        "the host's region",
        Read,
        |u| u.replace("s3.us-east-1", "s3.eu-west-1"),
        MISMATCH,
        "the host differs: plain-bucket.s3.us-east-1.amazonaws.com was signed, plain-bucket.s3.eu-west-1.amazonaws.com is used",
    ),
    (
        "the global host",
        Read,
        |u| u.replace("s3.us-east-1", "s3"),
        MISMATCH,
        "the host differs: plain-bucket.s3.us-east-1.amazonaws.com was signed",
    ),
    (
        "a port in Host",
        Read,
        |u| u.header("Host", "plain-bucket.s3.us-east-1.amazonaws.com:443"),
        MISMATCH,
        "the host differs: plain-bucket.s3.us-east-1.amazonaws.com was signed, plain-bucket.s3.us-east-1.amazonaws.com:443 is used",
    ),
    (
        "the host of an Outpost",
        Outposts,
        |u| u.replace("demo-123456789012", "other-123456789012"),
        MISMATCH,
        "the host differs: demo-123456789012.op-01234567890123456",
    ),
    (
        "the region in the scope",
        Read,
        |u| u.replace("%2Fus-east-1%2F", "%2Feu-west-1%2F"),
        MISMATCH,
        "the credential scope (region or service) differs from the one signed: ASIAIOSFODNN7EXAMPLE/",
    ),
    (
        "the service in the scope",
        Outposts,
        |u| u.replace("%2Fs3-outposts%2F", "%2Fs3%2F"),
        MISMATCH,
        "the credential scope (region or service) differs from the one signed: ASIAIOSFODNN7EXAMPLE/",
    ),
    (
        "the token",
        Read,
        drop_token,
        MISMATCH,
        "the session token is missing: the URL was signed with X-Amz-Security-Token",
    ),
    (
        "another token",
        Read,
        |u| u.replace("X-Amz-Security-Token=", "X-Amz-Security-Token=x"),
        MISMATCH,
        "the session token differs from the one that was signed",
    ),
    (
        "an unknown access key",
        Read,
        |u| u.replace("ASIAIOSFODNN7EXAMPLE", "AKIAIOSFODNN7EXAMPLE"),
        "UNKNOWN_ACCESS_KEY",
        "no signer of this presignd has the access key of the URL, so its signature cannot be checked",
    ),
    (
        "an access key of before",
        Read,
        |u| u.replace("ASIAIOSFODNN7EXAMPLE", "ASIAIOSFODNN7EXAMPLF"),
        "UNKNOWN_ACCESS_KEY",
        "no signer of this presignd has the access key of the URL, so its signature cannot be checked: it is of temporary credentials",
    ),
    ("half a signature", Read, |u| u.url.truncate(u.url.len() - 32), MISMATCH, "X-Amz-Signature has"),
    (
        "another path",
        Read,
        |u| u.replace("e.txt", "f.txt"),
        MISMATCH,
        "the signature belongs to another request and to none that is near to this one",
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
        "another kind of text",
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
        "copied out of HTML",
        Read,
        |u| u.url = u.url.replace('&', "&amp;"),
        MALFORMED,
        "the URL was copied out of HTML or XML: & is written as &amp; in it, write & again",
    ),
    (
        "copied out of HTML, by number",
        Read,
        |u| u.url = u.url.replace('&', "&#38;"),
        MALFORMED,
        "the URL was copied out of HTML or XML: & is written as &#38; in it, write & again",
    ),
    (
        "copied out of JSON",
        Read,
        |u| u.url = u.url.replace('&', "\\u0026"),
        MALFORMED,
        "the URL was copied out of JSON: & is written as \\u0026 in it, write & again",
    ),
    (
        "the last one of JSON",
        Read,
        |u| u.replace("&X-Amz-Signature", "\\u0026X-Amz-Signature"),
        MALFORMED,
        "the URL was copied out of JSON: & is written as \\u0026 in it, write & again",
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
        "the URL has a space in its path: a space is written %20",
    ),
    (
        "a space in the query",
        Read,
        |u| u.replace("X-Amz-Expires=900", "X-Amz-Expires=900 "),
        MALFORMED,
        "the URL has white space",
    ),
    (
        "a bracket behind the URL",
        Read,
        |u| u.url.push(')'),
        MISMATCH,
        "X-Amz-Signature has 65 characters, more than a signature has: something was appended to the URL",
    ),
    (
        "a slash too many",
        Read,
        |u| u.replace(".com/explain", ".com//explain"),
        MISMATCH,
        "a / too many is in the path: /explain/a%20b//c%2Bd/./e.txt was signed, //explain/a%20b//c%2Bd/./e.txt is used",
    ),
    (
        "a slash at the end",
        Read,
        |u| u.replace("e.txt", "e.txt/"),
        MISMATCH,
        "a / too many is in the path: /explain/a%20b//c%2Bd/./e.txt was signed",
    ),
    (
        "the lifetime edited",
        Read,
        |u| u.replace("X-Amz-Expires=900", "X-Amz-Expires=86400"),
        MISMATCH,
        "the query parameter X-Amz-Expires differs: \"900\" was signed, \"86400\" is used",
    ),
    (
        "a host with the dot of the root",
        Read,
        |u| u.replace("amazonaws.com/", "amazonaws.com./"),
        MISMATCH,
        "the host differs: plain-bucket.s3.us-east-1.amazonaws.com was signed, plain-bucket.s3.us-east-1.amazonaws.com. \
         is used",
    ),
    (
        "the host of a bucket in the path",
        Dotted,
        |u| u.replace("s3.us-east-1.amazonaws.com", "cdn.example.com"),
        MISMATCH,
        "the host differs: s3.us-east-1.amazonaws.com was signed, cdn.example.com is used",
    ),
    (
        "a line break",
        Read,
        |u| u.replace("&X-Amz-Date", "\n&X-Amz-Date"),
        MALFORMED,
        "the URL has white space",
    ),
    (
        "too long a life",
        Read,
        |u| u.replace("X-Amz-Expires=900", "X-Amz-Expires=604801"),
        MALFORMED,
        "X-Amz-Expires is not a number",
    ),
    (
        "two ways to sign",
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
        "the method differs: GET was signed, PUT is used",
    ),
    (
        "encoded twice, by SigV4A",
        Global,
        |u| u.replace("a%20b", "a%2520b"),
        MISMATCH,
        "the object key was encoded twice",
    ),
];

/// In capitals, as clients have it.
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

async fn with_token() -> Sidecar {
    let mut command = presignd();
    command
        .env("AWS_ACCESS_KEY_ID", "ASIAIOSFODNN7EXAMPLE")
        .env("AWS_SECRET_ACCESS_KEY", crate::support::SECRET_KEY)
        .env("AWS_SESSION_TOKEN", TOKEN)
        .env("AWS_REGION", "us-east-1");
    let sidecar = Sidecar::spawn(command, &[]);
    sidecar.serving().await;
    sidecar
}

fn signed(of: Of) -> pb::PresignRequest {
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
    match of {
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
    let sidecar = with_token().await;
    let mut client = sidecar.client().await;
    let mut wrong = Vec::new();
    for (what, of, damage, expected, finding) in CAUSES {
        let good = Used::of(&presigned(client.presign(signed(*of)).await));
        let before = explained(&mut client, &good, "").await;
        assert_eq!((verdict(&before), before.findings.as_slice()), ("VALID", &[][..]), "{what}");
        let mut used = good.clone();
        damage(&mut used);
        let answer = explained(&mut client, &used, "").await;
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
async fn without_the_key_is_told_what_can_be_told_without_it() {
    let sidecar = with_token().await;
    let mut client = sidecar.client().await;
    let mut used = Used::of(&presigned(client.presign(signed(Write)).await));
    used.replace("ASIAIOSFODNN7EXAMPLE", "AKIAIOSFODNN7EXAMPLE");
    used.headers.clear();
    let at = used.url.find("X-Amz-Date=").unwrap() + "X-Amz-Date=".len();
    used.url = used.url.replace(&used.url[at..at + 8], "20200102");
    let answer = explained(&mut client, &used, "").await;
    assert_eq!(verdict(&answer), "UNKNOWN_ACCESS_KEY");
    let begin = |text: &str| answer.findings.iter().any(|finding| finding.starts_with(text));
    assert!(answer.findings[0].starts_with("the URL expired at 2020-01-02T"), "{:?}", answer.findings);
    assert!(begin("the signed header content-type is missing"), "{:?}", answer.findings);
    assert!(begin("no signer of this presignd has the access key"), "{:?}", answer.findings);
}

#[tokio::test]
async fn a_plus_is_a_plus_at_other_servers_than_aws() {
    let service = InProcess::new();
    let case = Case {
        endpoint: Some("https://minio.local:9000"),
        path_style: true,
        ..Case::new("plain-bucket", "a b+c", Operation::GetObject(pb::GetObject::default()))
    };
    let mut used = Used::of(&service.presign(&case).await.unwrap());
    used.replace("%2B", "+");
    let answer = service.explain(&case, None, used.question("")).await;
    assert_eq!((verdict(&answer), answer.findings.as_slice()), ("VALID", &[][..]));
    used.replace("%20", "+");
    let answer = service.explain(&case, None, used.question("")).await;
    assert_eq!(verdict(&answer), MISMATCH);
    // What the one plus stood for and what the other is not in the URL any more.
    let unexplained = "the signature belongs to another request and to none that is near to this one";
    assert!(answer.findings[0].starts_with(unexplained), "{:?}", answer.findings);
    used.replace("b+c", "b%2Bc");
    let answer = service.explain(&case, None, used.question("")).await;
    assert_eq!(verdict(&answer), MISMATCH);
    assert_eq!(
        answer.findings,
        ["a + stands in the place of a space (write %20): /plain-bucket/a%20b%2Bc was signed, \
          /plain-bucket/a%2Bb%2Bc is used"]
    );
}

#[tokio::test]
async fn a_public_endpoint_with_a_base_path_is_known_as_what_was_signed_for() {
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
        let answer = service.explain(&case, None, good.question("")).await;
        assert_eq!((verdict(&answer), answer.findings.as_slice()), ("VALID", &[][..]));
        let parts = answer.parts.unwrap();
        assert_eq!((parts.bucket.as_str(), parts.key.as_str()), ("plain-bucket", "a/key"));
        // Another name in front of it.
        let mut used = good.clone();
        used.replace(&format!("://{host}/"), "://cdn.example.com/");
        let answer = service.explain(&case, None, used.question("")).await;
        let differs = format!("the host differs: {host} was signed, cdn.example.com is used");
        assert!(answer.findings.contains(&differs) || !path_style, "{:?}", answer.findings);
        // A proxy that takes the base path away.
        let stripped = base.trim_start_matches("/s3").trim_start_matches("/base");
        let mut used = good.clone();
        used.replace(&format!("{host}{base}/"), &format!("{host}{stripped}/"));
        let answer = service.explain(&case, None, used.question("")).await;
        let differs = format!("the path differs: {base}/a/key was signed, {stripped}/a/key is used");
        assert_eq!(answer.findings, [differs]);
    }
}

#[tokio::test]
async fn a_host_of_another_partition_or_of_fips_is_known_as_aws() {
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
        let answer = service.explain(&case, None, good.question("")).await;
        assert_eq!((verdict(&answer), answer.findings.as_slice()), ("VALID", &[][..]), "{region}");
        assert_eq!(answer.parts.unwrap().bucket, "plain-bucket", "{region}");
        let mut used = good.clone();
        used.replace("plain-bucket.", "plain-bucket.x");
        let other = used.url.split('/').nth(2).unwrap().to_owned();
        used.url = good.url.clone();
        used.header("Host", &other);
        let answer = service.explain(&case, None, used.question("")).await;
        assert_eq!(verdict(&answer), MISMATCH, "{region}");
    }
    let case = Case {
        endpoint: Some("https://s3-fips-us-gov-west-1.amazonaws.com"),
        path_style: true,
        ..Case::new("plain-bucket", "key", Operation::GetObject(pb::GetObject::default()))
    };
    let case = case.in_region("us-gov-west-1");
    let used = Used::of(&service.presign(&case).await.unwrap());
    let answer = service.explain(&case, None, used.question("")).await;
    assert_eq!((verdict(&answer), answer.findings.as_slice()), ("VALID", &[][..]));
}

#[tokio::test]
async fn the_number_of_findings_and_the_length_of_names_are_bounded() {
    let service = InProcess::new();
    let metadata = (0..40).map(|number| (format!("{number}-{}", "n".repeat(300)), "x".to_owned())).collect();
    let put = Operation::PutObject(pb::PutObject { metadata, ..Default::default() });
    let case = Case::new("plain-bucket", "key", put);
    let mut used = Used::of(&service.presign(&case).await.unwrap());
    used.headers.clear();
    let answer = service.explain(&case, None, used.question("")).await;
    assert_eq!((verdict(&answer), answer.findings.len()), (MISMATCH, 21));
    assert_eq!(answer.findings[20], "and 20 more");
    for finding in &answer.findings {
        assert!(finding.len() < 1_000, "{finding}");
    }
    for number in 0..40 {
        used.header(&format!("x-amz-meta-{number}-{}", "n".repeat(300)), "y");
        used.header(&format!("x-amz-meta-m{number}-{}", "n".repeat(300)), "y");
    }
    let answer = service.explain(&case, None, used.question("")).await;
    assert_eq!(verdict(&answer), MISMATCH);
    for finding in &answer.findings {
        assert!(finding.contains("and 30 more"), "{finding}");
        assert!(finding.len() < 3_000, "{finding}");
    }
}

#[tokio::test]
async fn a_signature_for_another_region_or_service_than_the_hosts_is_told() {
    let service = InProcess::new();
    for (endpoint, finding) in [
        (
            "https://s3.us-east-1.amazonaws.com",
            "the wrong region was signed for: the credential scope has eu-west-1, it must be us-east-1",
        ),
        (
            "https://op-01234567890123456.s3-outposts.eu-west-1.amazonaws.com",
            "the wrong service was signed for: the credential scope has s3, this host needs s3-outposts",
        ),
    ] {
        let case = Case {
            endpoint: Some(endpoint),
            region: "eu-west-1",
            ..Case::new("plain-bucket", "key", Operation::GetObject(pb::GetObject::default()))
        };
        let used = Used::of(&service.presign(&case).await.unwrap());
        let answer = service.explain(&case, None, used.question("")).await;
        assert_eq!(verdict(&answer), MISMATCH);
        assert_eq!(answer.findings, [finding]);
    }
}
