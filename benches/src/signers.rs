//! The `core` command: all signers do the same work in this process.

use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};

use crate::{
    contenders::{
        Contender, aws_sdk::AwsSdk, floor::Floor, object_store::ObjectStore, rusty_s3::RustyS3,
        sigv4::AwsSigv4,
    },
    presignd_core::{PresigndBatch, PresigndCounted, PresigndUnary},
    rounds::{self, Plan},
    work,
};

/// Options of the `core` command.
#[derive(Args)]
pub(crate) struct Options {
    /// Rounds; each measures every signer once
    #[arg(long, default_value_t = 15)]
    rounds: usize,
    /// Milliseconds to measure each signer in a round
    #[arg(long, default_value_t = 40)]
    sample: u64,
}

type Named = (&'static str, Box<dyn Contender>);

/// Measures with and without a session token.
pub(crate) fn run(options: &Options) -> Value {
    // The client of the SDK needs a runtime context, although it never waits.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime can be made");
    let _entered = runtime.enter();
    let plan = Plan { rounds: options.rounds.max(1), sample: Duration::from_millis(options.sample) };
    let group = |token: Option<&str>| {
        let mut field = contenders(token);
        check(&mut field);
        let sizes = sizes(&mut field);
        json!({ "signers": rounds::measure(field, plan), "url_bytes": sizes, "sigv4a": sigv4a(token, plan) })
    };
    json!({ "no_token": group(None), "token": group(Some(work::SESSION_TOKEN)) })
}

fn contenders(token: Option<&str>) -> Vec<Named> {
    let mut presignd = PresigndBatch::new(token, work::BUCKET);
    let floor = Floor::new(|key| presignd.url(key));
    vec![
        ("presignd", Box::new(presignd)),
        ("presignd_counted", Box::new(PresigndCounted::new(token, work::BUCKET))),
        ("presignd_unary", Box::new(PresigndUnary::new(token, work::BUCKET))),
        ("floor", Box::new(floor)),
        ("rusty_s3", Box::new(RustyS3::new(token))),
        ("aws_sigv4", Box::new(AwsSigv4::new(token))),
        ("object_store", Box::new(ObjectStore::new(token))),
        ("aws_sdk", Box::new(AwsSdk::new(token, work::BUCKET))),
        ("presignd_outposts", Box::new(PresigndBatch::new(token, work::OUTPOSTS))),
        ("aws_sdk_outposts", Box::new(AwsSdk::new(token, work::OUTPOSTS))),
        ("aws_sdk_outposts_default", Box::new(AwsSdk::by_default(token, work::OUTPOSTS))),
    ]
}

/// SigV4A, for a Multi-Region Access Point.
fn sigv4a(token: Option<&str>, plan: Plan) -> Value {
    let mut field: Vec<Named> = vec![
        ("presignd", Box::new(PresigndBatch::new(token, work::MULTI_REGION))),
        ("aws_sigv4", Box::new(AwsSigv4::multi_region(token))),
    ];
    // The signers may use different nonces, so their signatures may differ; the rest is equal.
    let key = work::key(7);
    let urls: Vec<_> =
        field.iter_mut().map(|(_, contender)| contender.url(&key).unwrap_or_default()).collect();
    assert_eq!(unsigned(&urls[0]), unsigned(&urls[1]), "SigV4A");
    rounds::measure(field, plan)
}

fn unsigned(url: &str) -> Vec<&str> {
    let mut parts = sorted(url);
    parts.retain(|part| !part.starts_with("X-Amz-Signature="));
    parts
}

/// Compares one URL of each signer with that of presignd: a fast signer must also be correct.
fn check(field: &mut [Named]) {
    let key = work::key(7);
    let mut url_of = |name: &str| {
        let signer = field.iter_mut().find(|(other, _)| *other == name);
        signer.and_then(|(_, contender)| contender.url(&key)).expect("this signer makes URLs")
    };
    let ours = url_of("presignd");
    // These sign at the given time and only the given parameters: the URLs are equal.
    for name in ["aws_sigv4", "rusty_s3"] {
        assert_eq!(sorted(&url_of(name)), sorted(&ours), "{name}");
    }
    // These add a parameter or read a clock: the URL is equal up to the query, which has at least the same parameters.
    for (name, like) in
        [("object_store", "presignd"), ("aws_sdk", "presignd"), ("aws_sdk_outposts", "presignd_outposts")]
    {
        let (theirs, ours) = (url_of(name), url_of(like));
        assert_eq!(theirs.split_once('?').map(|(base, _)| base), ours.split_once('?').map(|(base, _)| base));
        for parameter in sorted(&ours) {
            let start = &parameter[..=parameter.find('=').unwrap_or(0)];
            assert!(sorted(&theirs).iter().any(|other| other.starts_with(start)), "{name} lacks {start}");
        }
    }
}

fn sizes(field: &mut [Named]) -> Value {
    let key = work::key(7);
    let size = |(name, contender): &mut Named| Some(((*name).to_owned(), contender.url(&key)?.len().into()));
    Value::Object(field.iter_mut().filter_map(size).collect())
}

/// The part of a URL before the query, and the sorted parameters.
fn sorted(url: &str) -> Vec<&str> {
    let mut parts: Vec<&str> = url.split(['?', '&']).collect();
    parts[1..].sort_unstable();
    parts
}
