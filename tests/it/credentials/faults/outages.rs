//! Endpoints that are unreachable or fail.

use futures_util::future::join_all;

use super::{
    Aws, Caller, ENDPOINTS, FAILED, Fault, Keys, Kind, MakeCommand, Sidecar, counted, in_container,
    kept_secrets, refuses, rotated, serves, serving,
};

#[tokio::test]
async fn an_endpoint_that_starts_late_is_retried() {
    let late = async |(name, _, command): (&str, Kind, MakeCommand)| {
        let aws = Aws::failing(Fault::Refused);
        let sidecar = Sidecar::spawn(command(&aws), &[]);
        aws.asked(Kind::Refused, 1).await;
        refuses(&sidecar, "CREDENTIALS_MISSING").await;
        sidecar.logged(FAILED).await;
        counted(&sidecar, "error", 1.0).await;
        let keys = Keys::lasting(name, 3_600);
        aws.give(&keys);
        serves(&sidecar, &keys).await;
        kept_secrets(&sidecar).await;
    };
    join_all(ENDPOINTS.map(late)).await;
}

#[tokio::test]
async fn a_short_outage_affects_no_caller() {
    // The number of requests before the endpoint recovers. The SDK does not retry a 403, so presignd does; it retries
    // the other faults itself after up to two seconds, so there is time for only one failure.
    let outage = async |(fault, kind, requests): (Fault, Kind, usize)| {
        let (first, second) = (Keys::lasting("first", 10), Keys::lasting("second", 3_600));
        let aws = Aws::giving(&first);
        let sidecar = serving(in_container(&aws)).await;
        let caller = Caller::of(&sidecar).await;
        serves(&sidecar, &first).await;
        aws.fault(fault);
        aws.asked(kind, requests).await;
        aws.give(&second);
        rotated(&sidecar, &first, &second).await;
        caller.noticed_nothing(&[&first, &second]).await;
        assert!(!sidecar.log().contains("ready=false"), "{}", sidecar.log());
        kept_secrets(&sidecar).await;
    };
    let outages = [
        (Fault::Status(403), Kind::Container, 1 + 2),
        (Fault::Status(500), Kind::Container, 1 + 1),
        (Fault::Refused, Kind::Refused, 1),
        (Fault::Cut, Kind::Container, 1 + 1),
    ];
    join_all(outages.map(outage)).await;
}

/// Each endpoint has this fault until its credentials have expired, and then recovers.
async fn recovers_after_the_expiry(fault: Fault) {
    let outage = async |(name, _, command): (&str, Kind, MakeCommand)| {
        let (first, second) = (Keys::lasting("first", 4), Keys::lasting(name, 3_600));
        let aws = Aws::giving(&first);
        let sidecar = serving(command(&aws)).await;
        serves(&sidecar, &first).await;
        aws.fault(fault);
        refuses(&sidecar, "CREDENTIALS_EXPIRED").await;
        sidecar.logged(FAILED).await;
        refuses(&sidecar, "CREDENTIALS_EXPIRED").await;
        aws.give(&second);
        serves(&sidecar, &second).await;
        kept_secrets(&sidecar).await;
    };
    join_all(ENDPOINTS.map(outage)).await;
}

#[tokio::test]
async fn an_unreachable_endpoint_is_used_again_after_the_expiry() {
    recovers_after_the_expiry(Fault::Refused).await;
}

#[tokio::test]
async fn a_failing_endpoint_is_used_again_after_the_expiry() {
    recovers_after_the_expiry(Fault::Status(500)).await;
}
