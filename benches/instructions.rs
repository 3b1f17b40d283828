//! Signs the same URLs again and again, for callgrind to count: `instructions SCENARIO COUNT`.
//!
//! `make instructions` runs it and holds the counts against `benches/instructions.json`.

use std::{
    hint::black_box,
    process::ExitCode,
    sync::Arc,
    time::{Duration, SystemTime},
};

use presignd::presign::{
    self, Request,
    credentials::{Credentials, Secret},
    endpoint::EndpointRules,
    expiry::{SERVICE_MAXIMUM, Seconds},
    name::ObjectKey,
    operation::{self, Operation},
    parameters::{Headers, Query},
    prepared::Signing,
    snapshot::{Rules, Snapshot},
};

/// What is signed.
struct Scenario {
    name: &'static str,
    token_bytes: usize,
    bucket: &'static str,
    key: &'static str,
    operation: &'static Operation,
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
    let [name, count] = arguments.as_slice() else { return usage() };
    let (Some(scenario), Ok(count)) = (SCENARIOS.iter().find(|it| it.name == name), count.parse::<usize>())
    else {
        return usage();
    };
    run(scenario, count);
    ExitCode::SUCCESS
}

fn usage() -> ExitCode {
    let names: Vec<_> = SCENARIOS.iter().map(|scenario| scenario.name).collect();
    // `cargo test --all-targets` and the like run a bench without arguments: that is no failure.
    println!("usage: instructions {} COUNT", names.join("|"));
    ExitCode::SUCCESS
}

#[expect(clippy::expect_used, reason = "the scenarios are good, and a panic says where they are not")]
fn run(scenario: &Scenario, count: usize) {
    let (mut headers, mut query) = (Headers::default(), Query::default());
    for (name, value) in scenario.headers {
        headers.add(*name, *value).expect("a header");
    }
    for (name, value) in scenario.query {
        query.add(*name, *value).expect("a query parameter");
    }
    let signing = signing(scenario);
    let mut url = String::new();
    for _ in 0..count {
        let request = Request {
            key: ObjectKey::try_from(black_box(scenario.key)).expect("a key"),
            operation: scenario.operation,
            headers: &headers,
            query: &query,
            expires_in: None,
            min_expires_in: None,
        };
        url.clear();
        presign::presign(&request, black_box(&signing), &mut url).expect("it can be signed");
        black_box(&url);
    }
}

#[expect(clippy::expect_used, reason = "the scenarios are good, and a panic says where they are not")]
fn signing(scenario: &Scenario) -> Signing {
    let token = (scenario.token_bytes > 0)
        .then(|| Secret::from("IQoJb3JpZ2luX2Vj+/".repeat(scenario.token_bytes / 18)));
    let secret = Secret::from("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".to_owned());
    let credentials = Credentials::new("AKIAIOSFODNN7EXAMPLE".to_owned(), secret, token, None);
    let endpoint =
        EndpointRules { region: Some("us-east-1".parse().expect("a region")), ..Default::default() };
    let quarter = Seconds::rounded_down(Duration::from_mins(15)).expect("more than a second");
    let rules = Rules { endpoint, default_expiry: quarter, max_expiry: SERVICE_MAXIMUM };
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
    Arc::new(Snapshot::new(credentials, rules)).signing(scenario.bucket, now).expect("a target")
}
