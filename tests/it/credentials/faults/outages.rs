//! Endpoints that are down.

use futures_util::future::join_all;

use super::{
    Aws, Caller, ENDPOINTS, FAILED, Fault, Keys, Kind, Sidecar, Started, counted, in_container, kept_secrets,
    refuses, rotated, serves, serving,
};

#[tokio::test]
async fn an_endpoint_that_comes_up_after_presignd_is_waited_for() {
    let late = async |(name, _, command): (&str, Kind, Started)| {
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
async fn an_outage_that_is_over_before_the_credentials_end_is_noticed_by_no_caller() {
    // How often the endpoint is asked until it is well. A 403 is final for AWS's client, and presignd asks again; the
    // others it tries again itself, up to two seconds later, so one failure is what there is time for.
    let outage = async |(fault, kind, asked): (Fault, Kind, usize)| {
        let (first, second) = (Keys::lasting("first", 10), Keys::lasting("second", 3_600));
        let aws = Aws::giving(&first);
        let sidecar = serving(in_container(&aws)).await;
        let caller = Caller::of(&sidecar).await;
        serves(&sidecar, &first).await;
        aws.fault(fault);
        aws.asked(kind, asked).await;
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

/// Every endpoint fails so, until its credentials have ended, and then comes back.
async fn outlasts_the_credentials(fault: Fault) {
    let outage = async |(name, _, command): (&str, Kind, Started)| {
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
async fn an_endpoint_that_is_down_past_the_end_of_the_credentials_is_used_again_when_it_is_back() {
    outlasts_the_credentials(Fault::Refused).await;
}

#[tokio::test]
async fn an_endpoint_that_is_broken_past_the_end_of_the_credentials_is_used_again_when_it_is_whole() {
    outlasts_the_credentials(Fault::Status(500)).await;
}
