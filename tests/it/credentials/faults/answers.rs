//! Endpoints that answer, and with nothing that is of use.

use futures_util::future::join_all;
use tonic_health::pb::health_check_response::ServingStatus::NotServing;

use super::{
    Aws, ENDPOINTS, FAILED, Fault, Keys, Kind, Sidecar, Started, counted, kept_secrets, refuses, serves,
    serving,
};

/// Starts against an endpoint that answers so, and mends it.
async fn starts_with(fault: Fault) {
    let case = async |(name, kind, command): (&str, Kind, Started)| {
        let (first, keys) = (Keys::lasting("broken", 3_600), Keys::lasting(name, 3_600));
        let aws = Aws::giving(&first);
        aws.fault(fault);
        let sidecar = Sidecar::spawn(command(&aws), &[]);
        if !matches!(fault, Fault::Status(_)) {
            aws.asked(kind, 1).await;
        }
        sidecar.logged(FAILED).await;
        refuses(&sidecar, "CREDENTIALS_MISSING").await;
        // To AWS's reader of XML, a document that breaks off has an end in it all the same: 1970.
        let ended = matches!((fault, kind), (Fault::Cut, Kind::AssumeRole));
        counted(&sidecar, if ended { "expired" } else { "error" }, 1.0).await;
        aws.give(&keys);
        serves(&sidecar, &keys).await;
        kept_secrets(&sidecar).await;
    };
    join_all(ENDPOINTS.map(case)).await;
}

#[tokio::test]
async fn errors_of_the_server_are_no_credentials_and_pass() {
    starts_with(Fault::Status(500)).await;
}

#[tokio::test]
async fn a_document_that_breaks_off_is_no_credentials_and_its_secrets_are_not_told() {
    starts_with(Fault::Cut).await;
}

#[tokio::test]
async fn a_document_without_an_end_is_no_credentials_and_what_stands_there_is_not_told() {
    starts_with(Fault::NoDate).await;
}

#[tokio::test]
async fn an_empty_answer_is_no_credentials() {
    starts_with(Fault::Empty).await;
}

/// AWS's provider for EC2 would make such credentials last ten minutes longer than they do.
#[tokio::test]
async fn credentials_that_have_ended_when_they_are_loaded_are_never_used() {
    let case = async |(name, kind, command): (&str, Kind, Started)| {
        let (ended, keys) = (Keys::ended("ended"), Keys::lasting(name, 3_600));
        let aws = Aws::giving(&ended);
        let sidecar = Sidecar::spawn(command(&aws), &[]);
        aws.asked(kind, 1).await;
        sidecar.logged(FAILED).await;
        counted(&sidecar, "expired", 1.0).await;
        refuses(&sidecar, "CREDENTIALS_MISSING").await;
        // Not with the next attempt either.
        aws.asked(kind, 2).await;
        refuses(&sidecar, "CREDENTIALS_MISSING").await;
        aws.give(&keys);
        serves(&sidecar, &keys).await;
        kept_secrets(&sidecar).await;
    };
    join_all(ENDPOINTS.map(case)).await;
}

/// Each load is at least a second after the one before, and none makes the credentials last longer than they do.
#[tokio::test]
async fn an_endpoint_that_repeats_itself_is_not_asked_all_the_time_and_nothing_outlives_what_it_gave() {
    let case = async |(name, kind, command): (&str, Kind, Started)| {
        let (first, second) = (Keys::lasting("first", 8), Keys::lasting(name, 3_600));
        let aws = Aws::giving(&first);
        let sidecar = serving(command(&aws)).await;
        serves(&sidecar, &first).await;
        counted(&sidecar, "unchanged", 1.0).await;
        serves(&sidecar, &first).await;
        sidecar.health("signer.default", NotServing).await;
        // The first, one after six seconds, two more until the end of the eight, and one or two at the end.
        let times = aws.count(kind);
        assert!((2..=6).contains(&times), "{name} was asked {times} times");
        refuses(&sidecar, "CREDENTIALS_EXPIRED").await;
        counted(&sidecar, "expired", 1.0).await;
        refuses(&sidecar, "CREDENTIALS_EXPIRED").await;

        aws.give(&second);
        serves(&sidecar, &second).await;
        kept_secrets(&sidecar).await;
    };
    join_all(ENDPOINTS.map(case)).await;
}
