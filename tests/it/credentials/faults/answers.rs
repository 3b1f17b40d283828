//! Endpoints that answer without valid credentials.

use futures_util::future::join_all;
use tonic_health::pb::health_check_response::ServingStatus::NotServing;

use super::{
    Aws, ENDPOINTS, FAILED, Fault, Keys, Kind, MakeCommand, Sidecar, counted, kept_secrets, refuses, serves,
    serving,
};

/// Starts presignd against endpoints with this fault, and then removes the fault.
async fn recovers_from(fault: Fault) {
    let case = async |(name, kind, command): (&str, Kind, MakeCommand)| {
        let (first, keys) = (Keys::lasting("broken", 3_600), Keys::lasting(name, 3_600));
        let aws = Aws::giving(&first);
        aws.fault(fault);
        let sidecar = Sidecar::spawn(command(&aws), &[]);
        if !matches!(fault, Fault::Status(_)) {
            aws.asked(kind, 1).await;
        }
        sidecar.logged(FAILED).await;
        refuses(&sidecar, "CREDENTIALS_MISSING").await;
        // The XML reader of the SDK takes the expiry of a truncated document as 1970.
        let is_expired = matches!((fault, kind), (Fault::Cut, Kind::AssumeRole));
        counted(&sidecar, if is_expired { "expired" } else { "error" }, 1.0).await;
        aws.give(&keys);
        serves(&sidecar, &keys).await;
        kept_secrets(&sidecar).await;
    };
    join_all(ENDPOINTS.map(case)).await;
}

#[tokio::test]
async fn server_errors_are_retried_until_credentials_arrive() {
    recovers_from(Fault::Status(500)).await;
}

#[tokio::test]
async fn a_truncated_document_is_rejected_and_not_logged() {
    recovers_from(Fault::Cut).await;
}

#[tokio::test]
async fn an_invalid_expiration_is_rejected_and_not_logged() {
    recovers_from(Fault::NoDate).await;
}

#[tokio::test]
async fn an_empty_response_is_rejected() {
    recovers_from(Fault::Empty).await;
}

/// The IMDS provider of the SDK would extend such credentials by ten minutes.
#[tokio::test]
async fn expired_credentials_are_never_used() {
    let case = async |(name, kind, command): (&str, Kind, MakeCommand)| {
        let (ended, keys) = (Keys::ended("ended"), Keys::lasting(name, 3_600));
        let aws = Aws::giving(&ended);
        let sidecar = Sidecar::spawn(command(&aws), &[]);
        aws.asked(kind, 1).await;
        sidecar.logged(FAILED).await;
        counted(&sidecar, "expired", 1.0).await;
        refuses(&sidecar, "CREDENTIALS_MISSING").await;
        // Nor are they used after the next attempt.
        aws.asked(kind, 2).await;
        refuses(&sidecar, "CREDENTIALS_MISSING").await;
        aws.give(&keys);
        serves(&sidecar, &keys).await;
        kept_secrets(&sidecar).await;
    };
    join_all(ENDPOINTS.map(case)).await;
}

/// Loads are at least one second apart, and none extends the credentials.
#[tokio::test]
async fn unchanged_credentials_are_requested_rarely_and_expire() {
    let case = async |(name, kind, command): (&str, Kind, MakeCommand)| {
        let (first, second) = (Keys::lasting("first", 8), Keys::lasting(name, 3_600));
        let aws = Aws::giving(&first);
        let sidecar = serving(command(&aws)).await;
        serves(&sidecar, &first).await;
        counted(&sidecar, "unchanged", 1.0).await;
        serves(&sidecar, &first).await;
        sidecar.health("signer.default", NotServing).await;
        // The first, one after six seconds, two more until the expiry after eight, and one or two at the expiry.
        let times = aws.count(kind);
        assert!((2..=6).contains(&times), "{name} got {times} requests");
        refuses(&sidecar, "CREDENTIALS_EXPIRED").await;
        counted(&sidecar, "expired", 1.0).await;
        refuses(&sidecar, "CREDENTIALS_EXPIRED").await;

        aws.give(&second);
        serves(&sidecar, &second).await;
        kept_secrets(&sidecar).await;
    };
    join_all(ENDPOINTS.map(case)).await;
}
