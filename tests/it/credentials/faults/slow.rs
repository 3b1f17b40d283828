//! Endpoints that are slow.

use std::{fs, time::Duration};

use presignd::clock::Stopwatch;

use super::{
    Caller, FAILED, FakeAws, Fault, Keys, ROLE, RequestKind, Sidecar, assert_no_secrets, assert_serves,
    assert_unavailable, in_container, in_role, on_ec2, replace_file, start_serving, wait_for_rotation,
    with_web_identity,
};
use crate::support::{callers::url, scrape::Scrape};

const SLOW: Fault = Fault::Slow(Duration::from_secs(5));

/// Much less than the delay of the endpoint, with a margin for a busy machine.
const PROMPT: Duration = Duration::from_secs(2);

#[tokio::test]
async fn a_slow_first_response_blocks_no_caller_and_is_used() {
    let keys = Keys::expiring_in("slow", 3_600);
    let sts = FakeAws::with_keys(&keys);
    sts.set_fault(SLOW);
    let sidecar = Sidecar::spawn(in_role(&sts), &[]);
    sts.wait_for_request(RequestKind::AssumeRole, 1).await;
    let watch = Stopwatch::start();
    assert_unavailable(&sidecar, "CREDENTIALS_MISSING").await;
    assert!(watch.elapsed() < PROMPT, "{:?}", watch.elapsed());
    assert_serves(&sidecar, &keys).await;
    assert_eq!(sts.request_count(RequestKind::AssumeRole), 1, "the request was not repeated");
    assert_no_secrets(&sidecar).await;
}

#[tokio::test]
async fn current_credentials_sign_while_the_next_are_slow() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    fs::write(&file, "canary.token.1").unwrap();
    let (first, second) = (Keys::expiring_in("first", 3_600), Keys::expiring_in("second", 3_600));
    let sts = FakeAws::with_keys(&first);
    let sidecar = start_serving(with_web_identity(ROLE, &file, &sts)).await;
    assert_serves(&sidecar, &first).await;
    let caller = Caller::of(&sidecar).await;

    sts.set_keys(&second);
    sts.set_fault(SLOW);
    replace_file(&file, "canary.token.2");
    sts.wait_for_request(RequestKind::WebIdentity, 2).await;
    let watch = Stopwatch::start();
    first.assert_signed(&url(&sidecar).await);
    assert!(watch.elapsed() < PROMPT, "{:?}", watch.elapsed());
    wait_for_rotation(&sidecar, &first, &second).await;
    caller.assert_undisturbed(&[&first, &second]).await;
    let failed = [("outcome", "error")];
    assert!(Scrape::of(&sidecar).await.get("presignd_credentials_refresh_total", &failed) < 1.0);
    assert_no_secrets(&sidecar).await;
}

/// The timeout of the SDK for IMDS is one second.
#[tokio::test]
async fn a_response_after_the_timeout_is_requested_again() {
    let keys = Keys::expiring_in("slow", 3_600);
    let aws = FakeAws::with_keys(&keys);
    aws.set_fault(SLOW);
    let sidecar = Sidecar::spawn(on_ec2(&aws), &[]);
    sidecar.wait_for_log(FAILED).await;
    assert_unavailable(&sidecar, "CREDENTIALS_MISSING").await;
    aws.set_keys(&keys);
    assert_serves(&sidecar, &keys).await;
    assert_no_secrets(&sidecar).await;
}

#[tokio::test]
async fn a_hanging_endpoint_is_requested_again() {
    let keys = Keys::expiring_in("hanging", 3_600);
    let aws = FakeAws::with_keys(&keys);
    aws.set_fault(Fault::Hanging);
    let sidecar = Sidecar::spawn(in_container(&aws), &[]);
    // The SDK has a timeout of five seconds, and retries.
    aws.wait_for_request(RequestKind::Container, 2).await;
    assert_unavailable(&sidecar, "CREDENTIALS_MISSING").await;
    aws.set_keys(&keys);
    assert_serves(&sidecar, &keys).await;
}
