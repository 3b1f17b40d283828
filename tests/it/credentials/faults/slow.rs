//! Endpoints that are slow.

use std::{fs, time::Duration};

use presignd::clock::Stopwatch;

use super::{
    Aws, Caller, FAILED, Fault, Keys, Kind, ROLE, Sidecar, in_container, in_role, kept_secrets, on_ec2,
    refuses, replace, rotated, serves, serving, with_web_identity,
};
use crate::support::{callers::url, scrape::Scrape};

const SLOW: Fault = Fault::Slow(Duration::from_secs(5));

/// Much less than the delay of the endpoint, with a margin for a busy machine.
const PROMPT: Duration = Duration::from_secs(2);

#[tokio::test]
async fn a_slow_first_response_blocks_no_caller_and_is_used() {
    let keys = Keys::lasting("slow", 3_600);
    let sts = Aws::giving(&keys);
    sts.fault(SLOW);
    let sidecar = Sidecar::spawn(in_role(&sts), &[]);
    sts.asked(Kind::AssumeRole, 1).await;
    let watch = Stopwatch::start();
    refuses(&sidecar, "CREDENTIALS_MISSING").await;
    assert!(watch.elapsed() < PROMPT, "{:?}", watch.elapsed());
    serves(&sidecar, &keys).await;
    assert_eq!(sts.count(Kind::AssumeRole), 1, "the request was not repeated");
    kept_secrets(&sidecar).await;
}

#[tokio::test]
async fn current_credentials_sign_while_the_next_are_slow() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    fs::write(&file, "canary.token.1").unwrap();
    let (first, second) = (Keys::lasting("first", 3_600), Keys::lasting("second", 3_600));
    let sts = Aws::giving(&first);
    let sidecar = serving(with_web_identity(ROLE, &file, &sts)).await;
    serves(&sidecar, &first).await;
    let caller = Caller::of(&sidecar).await;

    sts.give(&second);
    sts.fault(SLOW);
    replace(&file, "canary.token.2");
    sts.asked(Kind::WebIdentity, 2).await;
    let watch = Stopwatch::start();
    first.signed(&url(&sidecar).await);
    assert!(watch.elapsed() < PROMPT, "{:?}", watch.elapsed());
    rotated(&sidecar, &first, &second).await;
    caller.noticed_nothing(&[&first, &second]).await;
    let failed = [("outcome", "error")];
    assert!(Scrape::of(&sidecar).await.get("presignd_credentials_refresh_total", &failed) < 1.0);
    kept_secrets(&sidecar).await;
}

/// The timeout of the SDK for IMDS is one second.
#[tokio::test]
async fn a_response_after_the_timeout_is_requested_again() {
    let keys = Keys::lasting("slow", 3_600);
    let aws = Aws::giving(&keys);
    aws.fault(SLOW);
    let sidecar = Sidecar::spawn(on_ec2(&aws), &[]);
    sidecar.logged(FAILED).await;
    refuses(&sidecar, "CREDENTIALS_MISSING").await;
    aws.give(&keys);
    serves(&sidecar, &keys).await;
    kept_secrets(&sidecar).await;
}

#[tokio::test]
async fn a_hanging_endpoint_is_requested_again() {
    let keys = Keys::lasting("hanging", 3_600);
    let aws = Aws::giving(&keys);
    aws.fault(Fault::Held);
    let sidecar = Sidecar::spawn(in_container(&aws), &[]);
    // The SDK has a timeout of five seconds, and retries.
    aws.asked(Kind::Container, 2).await;
    refuses(&sidecar, "CREDENTIALS_MISSING").await;
    aws.give(&keys);
    serves(&sidecar, &keys).await;
}
