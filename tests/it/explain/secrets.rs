//! An explanation never contains secrets, session tokens or computed signatures.

use presignd::pb::{self, PutObject, presign_request::Operation};
use proptest::prelude::*;

use super::{Used, explain, verdict};
use crate::support::{
    SECRET_KEY,
    grpc::{GrpcError, parameter, presigned, refused, request, says_when_to_retry},
    in_process::{Case, InProcess},
    provider::CredentialProcess,
    sidecar::{Sidecar, presignd},
};

const TOKEN: &str = "canary//session+token==";
const SSE_KEY: &str = "Y2FuYXJ5IGN1c3RvbWVyIGtleQ==";

async fn start() -> Sidecar {
    let mut command = presignd();
    command
        .env("AWS_ACCESS_KEY_ID", "ASIAIOSFODNN7EXAMPLE")
        .env("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
        .env("AWS_SESSION_TOKEN", TOKEN)
        .env("AWS_REGION", "us-east-1")
        .env("RUST_LOG", "trace");
    let sidecar = Sidecar::spawn(command, &[]);
    sidecar.wait_until_serving().await;
    sidecar
}

/// All text of an answer.
fn join_texts(answer: &pb::ExplainResponse) -> String {
    let parts = answer.parts.clone().unwrap();
    [
        answer.findings.join("\n"),
        answer.canonical_request.clone(),
        answer.string_to_sign.clone(),
        [parts.algorithm, parts.access_key_id, parts.scope_date, parts.scope_region, parts.scope_service]
            .join("\n"),
        [parts.signed_headers.join("\n"), parts.host, parts.bucket, parts.key].join("\n"),
    ]
    .join("\n")
}

#[tokio::test]
async fn explanations_contain_no_secret_for_any_damage() {
    let sidecar = start().await;
    let mut client = sidecar.client().await;
    let put = PutObject {
        sse_customer_algorithm: "AES256".to_owned(),
        sse_customer_key: SSE_KEY.to_owned(),
        content_type: "text/plain".to_owned(),
        ..Default::default()
    };
    let good = Used::of(&presigned(client.presign(request("a b", Operation::PutObject(put))).await));
    let signature = parameter(&good.url, "X-Amz-Signature").to_owned();
    let token = parameter(&good.url, "X-Amz-Security-Token").to_owned();
    let without_token = good.url.replace(&format!("&X-Amz-Security-Token={token}"), "");
    let forged = good.url.replace(&signature, &"0".repeat(64));
    let secret_header = "x-amz-server-side-encryption-customer-key";
    let mut rows = vec![good.clone()];
    let mut add = |change: &dyn Fn(&mut Used)| {
        let mut used = good.clone();
        change(&mut used);
        rows.push(used);
    };
    add(&|used| used.method = "GET".to_owned());
    add(&|used| used.url.clone_from(&without_token));
    add(&|used| used.url.clone_from(&forged));
    add(&|used| used.replace("X-Amz-Security-Token=", "X-Amz-Security-Token=0"));
    add(&|used| used.replace("a%20b", "a%2520b"));
    add(&|used| drop(used.headers.remove(secret_header)));
    add(&|used| used.header(secret_header, "b3RoZXIgY2FuYXJ5"));
    let received = |query: &str, key: &str| {
        format!(
            "<Error><Code>SignatureDoesNotMatch</Code><CanonicalRequest>PUT\n/a%20b\n{query}\n\
             content-type:text/plain\nhost:h\n{secret_header}:{key}\n\ncontent-type;host\nUNSIGNED-PAYLOAD\
             </CanonicalRequest></Error>"
        )
    };
    let bodies = [
        String::new(),
        received(
            "X-Amz-Security-Token=b3RoZXIgY2FuYXJ5&amp;X-Amz-Signature=b3RoZXIgY2FuYXJ5",
            "b3RoZXIgY2FuYXJ5",
        ),
        received(&format!("X-Amz-Security-Token={token}"), SSE_KEY),
    ];
    for (used, body) in rows.iter().flat_map(|used| bodies.iter().map(move |body| (used, body))) {
        let answer = explain(&mut client, used, body).await;
        let text = join_texts(&answer);
        assert!(answer.canonical_request.contains("***"), "{text}");
        for secret in [SECRET_KEY, TOKEN, &token, SSE_KEY, &signature, "b3RoZXIgY2FuYXJ5"] {
            assert!(!text.contains(secret), "{secret} is in {} {text}", verdict(&answer));
        }
    }
    let log = sidecar.log();
    for secret in [SECRET_KEY, TOKEN, &token, SSE_KEY, &signature, "X-Amz-"] {
        assert!(!log.contains(secret), "{secret} is in the log");
    }
}

/// How URLs are damaged: a text, and its replacement.
const DAMAGES: [(&str, &str); 24] = [
    ("&", "\\u0026"),
    ("&", "&amp;"),
    ("&", "&#38;"),
    ("&", "%26"),
    ("&", ";"),
    ("&", " "),
    ("&", "\n"),
    ("&", ""),
    ("&", "/"),
    ("&", "?"),
    ("?", "%3F"),
    ("?", "%253F"),
    ("?", "\\u003f"),
    ("?", "/"),
    ("?", "#"),
    ("?", ""),
    ("=", "%3D"),
    ("=", "\\u003d"),
    ("=", ""),
    ("%", "%25"),
    ("%", ""),
    ("/", "%2F"),
    (".com/", ".com"),
    ("AWS4-HMAC-SHA256", ""),
];

/// Damages the occurrences of `from` whose bit is set.
fn damage_url(text: &str, (from, to): (&str, &str), occurrences: u32) -> String {
    let mut pieces = text.split(from);
    let mut all = pieces.next().unwrap_or_default().to_owned();
    for (index, piece) in pieces.enumerate() {
        all.push_str(if occurrences >> (index % 32) & 1 == 1 { to } else { from });
        all.push_str(piece);
    }
    all
}

/// Asserts that the answer to a damaged URL contains no secret of the valid one.
async fn assert_no_secret_is_shown(service: &InProcess, case: &Case, good: &Used, url: String) {
    let signature = parameter(&good.url, "X-Amz-Signature").to_owned();
    let used = Used { url, ..good.clone() };
    for body in ["", "<Error><Code>SignatureDoesNotMatch</Code><Message>x</Message></Error>"] {
        let answer = service.explain(case, None, used.to_explain_request(body)).await;
        let text = join_texts(&answer).to_lowercase();
        let token = case.session_token.as_deref().unwrap();
        let in_url = token.replace('/', "%2F").replace('=', "%3D").replace('+', "%2B");
        for secret in [SECRET_KEY, token, &in_url, &in_url.replace('%', "%25"), &signature] {
            assert!(
                !text.contains(&secret.to_lowercase()),
                "{secret} is in the answer to {}: {text}",
                used.url
            );
        }
    }
}

fn with_token() -> Case {
    let get = Operation::GetObject(pb::GetObject::default());
    Case { session_token: Some(TOKEN.to_owned()), ..Case::new("plain-bucket", "a b/c", get) }
}

#[tokio::test]
async fn explanations_of_unreadable_urls_contain_no_secret() {
    let (service, case) = (InProcess::new(), with_token());
    let path_style = Case { path_style: true, ..case.clone() };
    for case in [case, path_style] {
        let good = Used::of(&service.presign(&case).await.unwrap());
        for damage in DAMAGES {
            // All occurrences, the first, all but the first, and single ones.
            for occurrences in [u32::MAX, 1, !1, 1 << 4, 1 << 5, 1 << 6] {
                let url = damage_url(&good.url, damage, occurrences);
                assert_no_secret_is_shown(&service, &case, &good, url).await;
            }
        }
        let all =
            DAMAGES[..3].iter().fold(good.url.clone(), |url, damage| damage_url(&url, *damage, u32::MAX));
        assert_no_secret_is_shown(&service, &case, &good, all).await;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn explanations_contain_no_secret_for_random_damage(
        damages in prop::collection::vec((prop::sample::select(DAMAGES.to_vec()), any::<u32>()), 1..4),
        path_style in any::<bool>(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (service, case) = (InProcess::new(), Case { path_style, ..with_token() });
            let good = Used::of(&service.presign(&case).await.unwrap());
            let url = damages.iter().fold(good.url.clone(), |url, (damage, occurrences)| {
                damage_url(&url, *damage, *occurrences)
            });
            assert_no_secret_is_shown(&service, &case, &good, url).await;
        });
    }
}

#[tokio::test]
async fn invalid_request_names_its_field_and_repeats_no_value() {
    let sidecar = start().await;
    let mut client = sidecar.client().await;
    let canary = "canary-canary";
    let good = || pb::ExplainRequest {
        url: format!("https://h/{canary}"),
        method: "GET".to_owned(),
        headers: [("x-a".to_owned(), canary.to_owned())].into(),
        s3_error_body: String::new(),
    };
    let with = |name: &str, value: &str| pb::ExplainRequest {
        headers: [(name.to_owned(), value.to_owned())].into(),
        ..good()
    };
    let many = (0..101).map(|number| (format!("x-{number}"), canary.to_owned())).collect();
    let rows = [
        (
            pb::ExplainRequest { url: String::new(), ..good() },
            "url",
            "url is empty: give the whole URL that was used",
        ),
        (
            pb::ExplainRequest { url: canary.repeat(8_000), ..good() },
            "url",
            "url has 104000 bytes: the limit is 65536",
        ),
        (
            pb::ExplainRequest { method: String::new(), ..good() },
            "method",
            "method is empty: give the HTTP method that was used, such as GET",
        ),
        (
            pb::ExplainRequest { method: format!("GET {canary}"), ..good() },
            "method",
            "method is not an HTTP method: give one such as GET or PUT",
        ),
        (
            with("a b", canary),
            "headers",
            "\"a b\" is not a header name: header names have letters, digits and !#$%&'*+-.^_`|~",
        ),
        (
            with("x-a", &canary.repeat(1_000)),
            "headers",
            "header x-a is too long: the limit is 8192 bytes, for its name and for its value",
        ),
        (
            pb::ExplainRequest {
                headers: [("X-A".to_owned(), canary.to_owned()), ("x-a".to_owned(), canary.to_owned())]
                    .into(),
                ..good()
            },
            "headers",
            "header x-a is given twice: give it once, names are case-insensitive",
        ),
        (
            pb::ExplainRequest { headers: many, ..good() },
            "headers",
            "headers has too many entries: the limit is 100",
        ),
        (
            pb::ExplainRequest { s3_error_body: canary.repeat(30_000), ..good() },
            "s3_error_body",
            "s3_error_body has 390000 bytes: the limit is 262144",
        ),
    ];
    for (request, field, message) in rows {
        let status = refused(client.explain(request).await);
        let expected = GrpcError::new(tonic::Code::InvalidArgument, "EXPLAIN_INVALID", Some(field), message);
        assert_eq!(GrpcError::of(&status), expected);
        assert!(!format!("{status:?}").contains(canary), "{status:?}");
    }
    assert_eq!(verdict(&client.explain(good()).await.unwrap().into_inner()), "MALFORMED");
}

#[tokio::test]
async fn explain_is_unavailable_without_credentials() {
    let provider = CredentialProcess::blocking();
    let sidecar = Sidecar::spawn(provider.command(), &[]);
    let mut client = sidecar.client().await;
    let request =
        pb::ExplainRequest { url: "https://h/".to_owned(), method: "GET".to_owned(), ..Default::default() };
    let status = refused(client.explain(request).await);
    let message = "signer default has no credentials yet: retry shortly; if this persists, see the provider's \
                   error in presignd's log";
    assert_eq!(
        GrpcError::of(&status),
        GrpcError::new(tonic::Code::Unavailable, "CREDENTIALS_MISSING", None, message)
    );
    assert!(says_when_to_retry(&status));
}
