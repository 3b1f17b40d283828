//! Endpoints that answer without valid credentials.

use futures_util::future::join_all;
use tonic_health::pb::health_check_response::ServingStatus::NotServing;

use super::{
    ENDPOINTS, FAILED, FakeAws, Fault, Keys, MakeCommand, RequestKind, Sidecar, assert_no_secrets,
    assert_serves, assert_unavailable, start_serving, wait_for_attempts,
};

/// Starts presignd against endpoints with this fault, and then removes the fault.
async fn recovers_from(fault: Fault) {
    let case = async |(name, kind, command): (&str, RequestKind, MakeCommand)| {
        let (first, keys) = (Keys::expiring_in("broken", 3_600), Keys::expiring_in(name, 3_600));
        let aws = FakeAws::with_keys(&first);
        aws.set_fault(fault);
        let sidecar = Sidecar::spawn(command(&aws), &[]);
        if !matches!(fault, Fault::Status(_)) {
            aws.wait_for_request(kind, 1).await;
        }
        sidecar.wait_for_log(FAILED).await;
        assert_unavailable(&sidecar, "CREDENTIALS_MISSING").await;
        // The XML reader of the SDK takes the expiry of a truncated document as 1970.
        let is_expired = matches!((fault, kind), (Fault::Truncated, RequestKind::AssumeRole));
        wait_for_attempts(&sidecar, if is_expired { "expired" } else { "error" }, 1.0).await;
        aws.set_keys(&keys);
        assert_serves(&sidecar, &keys).await;
        assert_no_secrets(&sidecar).await;
    };
    join_all(ENDPOINTS.map(case)).await;
}

#[tokio::test]
async fn server_errors_are_retried_until_credentials_arrive() {
    recovers_from(Fault::Status(500)).await;
}

#[tokio::test]
async fn a_truncated_document_is_rejected_and_not_logged() {
    recovers_from(Fault::Truncated).await;
}

#[tokio::test]
async fn an_invalid_expiration_is_rejected_and_not_logged() {
    recovers_from(Fault::InvalidExpiration).await;
}

#[tokio::test]
async fn an_empty_response_is_rejected() {
    recovers_from(Fault::Empty).await;
}

/// The IMDS provider of the SDK would extend such credentials by ten minutes.
#[tokio::test]
async fn expired_credentials_are_never_used() {
    let case = async |(name, kind, command): (&str, RequestKind, MakeCommand)| {
        let (ended, keys) = (Keys::expired("ended"), Keys::expiring_in(name, 3_600));
        let aws = FakeAws::with_keys(&ended);
        let sidecar = Sidecar::spawn(command(&aws), &[]);
        aws.wait_for_request(kind, 1).await;
        sidecar.wait_for_log(FAILED).await;
        wait_for_attempts(&sidecar, "expired", 1.0).await;
        assert_unavailable(&sidecar, "CREDENTIALS_MISSING").await;
        // Nor are they used after the next attempt.
        aws.wait_for_request(kind, 2).await;
        assert_unavailable(&sidecar, "CREDENTIALS_MISSING").await;
        aws.set_keys(&keys);
        assert_serves(&sidecar, &keys).await;
        assert_no_secrets(&sidecar).await;
    };
    join_all(ENDPOINTS.map(case)).await;
}

/// Loads are at least one second apart, and none extends the credentials.
#[tokio::test]
async fn unchanged_credentials_are_requested_rarely_and_expire() {
    let case = async |(name, kind, command): (&str, RequestKind, MakeCommand)| {
        let (first, second) = (Keys::expiring_in("first", 8), Keys::expiring_in(name, 3_600));
        let aws = FakeAws::with_keys(&first);
        let sidecar = start_serving(command(&aws)).await;
        assert_serves(&sidecar, &first).await;
        wait_for_attempts(&sidecar, "unchanged", 1.0).await;
        assert_serves(&sidecar, &first).await;
        sidecar.wait_for_health("signer.default", NotServing).await;
        // The first, one after six seconds, two more until the expiry after eight, and one or two at the expiry.
        let times = aws.request_count(kind);
        assert!((2..=6).contains(&times), "{name} got {times} requests");
        assert_unavailable(&sidecar, "CREDENTIALS_EXPIRED").await;
        wait_for_attempts(&sidecar, "expired", 1.0).await;
        assert_unavailable(&sidecar, "CREDENTIALS_EXPIRED").await;

        aws.set_keys(&second);
        assert_serves(&sidecar, &second).await;
        assert_no_secrets(&sidecar).await;
    };
    join_all(ENDPOINTS.map(case)).await;
}
