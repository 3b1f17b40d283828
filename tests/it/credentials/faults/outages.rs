//! Endpoints that are unreachable or fail.

use futures_util::future::join_all;

use super::{
    Caller, ENDPOINTS, FAILED, FakeAws, Fault, Keys, MakeCommand, RequestKind, Sidecar, assert_no_secrets,
    assert_serves, assert_unavailable, in_container, start_serving, wait_for_attempts, wait_for_rotation,
};

#[tokio::test]
async fn an_endpoint_that_starts_late_is_retried() {
    let late = async |(name, _, command): (&str, RequestKind, MakeCommand)| {
        let aws = FakeAws::with_fault(Fault::Unreachable);
        let sidecar = Sidecar::spawn(command(&aws), &[]);
        aws.wait_for_request(RequestKind::Unreachable, 1).await;
        assert_unavailable(&sidecar, "CREDENTIALS_MISSING").await;
        sidecar.wait_for_log(FAILED).await;
        wait_for_attempts(&sidecar, "error", 1.0).await;
        let keys = Keys::expiring_in(name, 3_600);
        aws.set_keys(&keys);
        assert_serves(&sidecar, &keys).await;
        assert_no_secrets(&sidecar).await;
    };
    join_all(ENDPOINTS.map(late)).await;
}

#[tokio::test]
async fn a_short_outage_affects_no_caller() {
    // The number of requests before the endpoint recovers. The SDK does not retry a 403, so presignd does; it retries
    // the other faults itself after up to two seconds, so there is time for only one failure.
    let outage = async |(fault, kind, requests): (Fault, RequestKind, usize)| {
        let (first, second) = (Keys::expiring_in("first", 10), Keys::expiring_in("second", 3_600));
        let aws = FakeAws::with_keys(&first);
        let sidecar = start_serving(in_container(&aws)).await;
        let caller = Caller::of(&sidecar).await;
        assert_serves(&sidecar, &first).await;
        aws.set_fault(fault);
        aws.wait_for_request(kind, requests).await;
        aws.set_keys(&second);
        wait_for_rotation(&sidecar, &first, &second).await;
        caller.assert_undisturbed(&[&first, &second]).await;
        assert!(!sidecar.log().contains("ready=false"), "{}", sidecar.log());
        assert_no_secrets(&sidecar).await;
    };
    let outages = [
        (Fault::Status(403), RequestKind::Container, 1 + 2),
        (Fault::Status(500), RequestKind::Container, 1 + 1),
        (Fault::Unreachable, RequestKind::Unreachable, 1),
        (Fault::Truncated, RequestKind::Container, 1 + 1),
    ];
    join_all(outages.map(outage)).await;
}

/// Each endpoint has this fault until its credentials have expired, and then recovers.
async fn recovers_after_the_expiry(fault: Fault) {
    let outage = async |(name, _, command): (&str, RequestKind, MakeCommand)| {
        let (first, second) = (Keys::expiring_in("first", 4), Keys::expiring_in(name, 3_600));
        let aws = FakeAws::with_keys(&first);
        let sidecar = start_serving(command(&aws)).await;
        assert_serves(&sidecar, &first).await;
        aws.set_fault(fault);
        assert_unavailable(&sidecar, "CREDENTIALS_EXPIRED").await;
        sidecar.wait_for_log(FAILED).await;
        assert_unavailable(&sidecar, "CREDENTIALS_EXPIRED").await;
        aws.set_keys(&second);
        assert_serves(&sidecar, &second).await;
        assert_no_secrets(&sidecar).await;
    };
    join_all(ENDPOINTS.map(outage)).await;
}

#[tokio::test]
async fn an_unreachable_endpoint_is_used_again_after_the_expiry() {
    recovers_after_the_expiry(Fault::Unreachable).await;
}

#[tokio::test]
async fn a_failing_endpoint_is_used_again_after_the_expiry() {
    recovers_after_the_expiry(Fault::Status(500)).await;
}
