//! Signs the same URL COUNT times, under callgrind: `instructions SCENARIO sign|hash COUNT`. With `hash` it only hashes the
//! same bytes, which every signer must do.
//!
//! `make instructions` runs both and compares the difference with `instructions.json`.

use std::{
    hint::black_box,
    process::ExitCode,
    sync::Arc,
    time::{Duration, SystemTime},
};

use hmac::{Hmac, KeyInit, Mac};
use presignd::presign::{
    self, Request,
    canonical::{CanonicalRequest, Host, UrlHeaders, method_line},
    credentials::{Credentials, Secret},
    endpoint::EndpointRules,
    expiry::{SERVICE_MAXIMUM, Seconds},
    name::ObjectKey,
    operation::{self, HttpMethod, Operation},
    parameters::{Headers, Query},
    snapshot::{SigningRules, Snapshot},
    target_signer::TargetSigner,
};
use sha2::{Digest, Sha256};

/// A request to sign.
struct Scenario {
    name: &'static str,
    token_bytes: usize,
    bucket: &'static str,
    key: &'static str,
    operation: &'static Operation<'static>,
    headers: &'static [(&'static str, &'static str)],
    query: &'static [(&'static str, &'static str)],
}

const BUCKET: &str = "plain-bucket";
const OUTPOSTS: &str =
    "arn:aws:s3-outposts:us-east-1:123456789012:outpost/op-01234567890123456/accesspoint/demo";
const KEY: &str = "photos/2026/11/26/IMG_000123.jpg";

const GET: Scenario = Scenario {
    name: "get",
    token_bytes: 0,
    bucket: BUCKET,
    key: KEY,
    operation: &operation::GET_OBJECT,
    headers: &[],
    query: &[],
};

static SCENARIOS: [Scenario; 5] = [
    GET,
    Scenario { name: "get-with-token", token_bytes: 800, ..GET },
    Scenario { name: "get-outposts", bucket: OUTPOSTS, ..GET },
    Scenario { name: "get-escaped-key", key: "Fotos/Übergröße/猫 & 犬/(1) 100%.jpg", ..GET },
    Scenario {
        name: "put-with-headers",
        operation: &operation::PUT_OBJECT,
        headers: &[("content-type", "image/jpeg"), ("x-amz-meta-origin", "camera 7")],
        query: &[("versionId", "a/b")],
        ..GET
    },
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [name, what, count] = arguments.as_slice() else { return usage() };
    let scenario = SCENARIOS.iter().find(|it| it.name == name);
    match (scenario, what.as_str(), count.parse()) {
        (Some(scenario), "sign", Ok(count)) => scenario.sign(count),
        (Some(scenario), "hash", Ok(count)) => scenario.hash(count),
        _ => return usage(),
    }
    ExitCode::SUCCESS
}

fn usage() -> ExitCode {
    let names: Vec<_> = SCENARIOS.iter().map(|scenario| scenario.name).collect();
    eprintln!("usage: instructions {} sign|hash COUNT", names.join("|"));
    ExitCode::FAILURE
}

impl Scenario {
    fn sign(&self, count: usize) {
        let (signer, headers, query) = (self.target_signer(), self.headers(), self.query());
        let mut url = String::new();
        for _ in 0..count {
            url.clear();
            self.write_url(&signer, &headers, &query, &mut url);
            black_box(&url);
        }
    }

    fn hash(&self, count: usize) {
        let headers = self.headers();
        let mut url = String::new();
        self.write_url(&self.target_signer(), &headers, &self.query(), &mut url);
        let canonical = canonical(&url, self.operation.method, &headers);
        // A signer hashes the date and the scope once, when it prepares its target.
        let mut prepared = Hmac::<Sha256>::new_from_slice(&[0; 32]).expect("HMAC takes a key of any length");
        prepared.update(b"AWS4-HMAC-SHA256\n20270115T080000Z\n20270115/us-east-1/s3/aws4_request\n");
        for _ in 0..count {
            let hash = Sha256::digest(black_box(&canonical));
            let mut mac = prepared.clone();
            mac.update(black_box(&[b'0'; 64]));
            black_box((hash, mac.finalize()));
        }
    }

    fn write_url(&self, signer: &TargetSigner, headers: &Headers<'_>, query: &Query<'_>, url: &mut String) {
        let request = Request {
            key: ObjectKey::try_from(black_box(self.key)).expect("a key"),
            operation: self.operation,
            headers,
            query,
            expires_in: None,
            min_expires_in: None,
        };
        let request = request.check().expect("a request");
        presign::presign(request, black_box(signer), url).expect("it can be signed");
    }

    fn headers(&self) -> Headers<'static> {
        let mut headers = Headers::default();
        for (name, value) in self.headers {
            headers.add(*name, *value).expect("a header");
        }
        headers
    }

    fn query(&self) -> Query<'static> {
        let mut query = Query::default();
        for (name, value) in self.query {
            query.add(*name, *value).expect("a query parameter");
        }
        query
    }

    fn target_signer(&self) -> TargetSigner {
        let token = "IQoJb3JpZ2luX2Vj+/".repeat(self.token_bytes / 18);
        let token = (self.token_bytes > 0).then(|| Secret::from(token));
        let secret = Secret::from("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".to_owned());
        let credentials = Credentials::new("AKIAIOSFODNN7EXAMPLE".to_owned(), secret, token, None);
        let region = Some("us-east-1".parse().expect("a region"));
        let quarter = Seconds::rounded_down(Duration::from_mins(15)).expect("more than a second");
        let rules = SigningRules {
            endpoint: EndpointRules { region, ..Default::default() },
            default_expiry: quarter,
            max_expiry: SERVICE_MAXIMUM,
        };
        let now = SystemTime::UNIX_EPOCH + Duration::from_hours(500_000);
        Arc::new(Snapshot::new(credentials, rules)).target_signer(self.bucket, now).expect("a target")
    }
}

/// The canonical request of a URL.
fn canonical(url: &str, method: HttpMethod<'_>, headers: &Headers<'_>) -> String {
    let rest = url.strip_prefix("https://").expect("https");
    let (host, rest) = rest.split_at(rest.find('/').expect("a path"));
    let (path, query) = rest.split_once('?').expect("a query");
    let (query, _) = query.split_once("&X-Amz-Signature=").expect("the signature is last");
    let mut text = String::new();
    let headers = UrlHeaders { host: &Host::new(host.to_owned()), headers };
    CanonicalRequest { method_line: &method_line(method), path, query, headers }
        .write_to(&mut |piece| text.push_str(piece));
    text
}
