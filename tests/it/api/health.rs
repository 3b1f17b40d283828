//! Health over gRPC and HTTP: before, during and after the server has usable credentials.

use std::time::Duration;

use tonic::{Code, Response, Status};
use tonic_health::pb::{
    HealthCheckRequest, HealthCheckResponse,
    health_check_response::ServingStatus::{self, NotServing, Serving},
    health_client::HealthClient,
};

use crate::support::{
    grpc::{GrpcError, batch, error_of, get, presigned, refused, results, says_when_to_retry},
    provider::{CredentialProcess, from_now},
    sidecar::Sidecar,
};

const ALL: [&str; 4] = ["", "presign.v1.PresignService", "readiness", "signer.default"];

async fn check(sidecar: &Sidecar, service: &str) -> Result<Response<HealthCheckResponse>, Status> {
    let request = HealthCheckRequest { service: service.to_owned() };
    HealthClient::new(sidecar.connect().await).check(request).await
}

async fn assert_all_are(sidecar: &Sidecar, expected: ServingStatus) {
    for service in ALL {
        assert_eq!(check(sidecar, service).await.unwrap().into_inner().status(), expected, "{service:?}");
    }
    assert_eq!(check(sidecar, "liveness").await.unwrap().into_inner().status(), Serving);
}

/// The statuses of `/livez`, `/readyz` and `/startupz`.
async fn probe_statuses(sidecar: &Sidecar) -> [u16; 3] {
    [
        sidecar.get_page("/livez").await.0,
        sidecar.get_page("/readyz").await.0,
        sidecar.get_page("/startupz").await.0,
    ]
}

#[tokio::test]
async fn the_server_is_healthy_once_it_has_credentials() {
    let provider = CredentialProcess::blocking();
    let sidecar = Sidecar::spawn(provider.command(), &[]);
    let asked = provider.wait_for_start().await;
    assert_all_are(&sidecar, NotServing).await;
    assert_eq!(probe_statuses(&sidecar).await, [200, 503, 503]);
    let (_, page) = sidecar.get_page("/").await;
    assert!(page.contains("starting") && page.contains("default: no credentials yet"), "{page}");

    asked.answer();
    sidecar.wait_until_serving().await;
    sidecar.wait_for_health("signer.default", Serving).await;
    assert_all_are(&sidecar, Serving).await;
    assert_eq!(probe_statuses(&sidecar).await, [200, 200, 200]);
    let (_, page) = sidecar.get_page("/").await;
    assert!(page.contains("ready") && page.contains("us-east-1, credentials do not expire"), "{page}");
}

#[tokio::test]
async fn calls_without_credentials_are_refused_with_retry_info() {
    let provider = CredentialProcess::blocking();
    let sidecar = Sidecar::spawn(provider.command(), &[]);
    let asked = provider.wait_for_start().await;
    let mut client = sidecar.client().await;
    let message = "signer default has no credentials yet: retry shortly; \
        if this persists, see the provider's error in presignd's log";
    let expected = GrpcError::new(Code::Unavailable, "CREDENTIALS_MISSING", None, message);
    let status = refused(client.presign(get("key")).await);
    assert_eq!(GrpcError::of(&status), expected);
    assert!(says_when_to_retry(&status));
    let item = error_of(&results(client.batch_presign(batch(vec![get("key")])).await)[0]);
    assert_eq!(GrpcError::of(&item), expected);
    assert!(says_when_to_retry(&item));
    // An invalid request is refused as invalid even without credentials.
    assert_eq!(refused(client.presign(get("")).await).code(), Code::InvalidArgument);

    asked.answer();
    sidecar.wait_until_serving().await;
    presigned(client.presign(get("key")).await);
}

#[tokio::test]
async fn an_unknown_health_service_is_not_found() {
    let sidecar = Sidecar::start(&[]).await;
    for service in ["signer.partner", "presign.v1", "Liveness"] {
        assert_eq!(refused(check(&sidecar, service).await).code(), Code::NotFound, "{service}");
    }
}

#[tokio::test]
async fn the_server_is_unhealthy_after_its_credentials_expire() {
    let provider = CredentialProcess::new();
    provider.set_expiry(from_now(Duration::from_secs(4)));
    let sidecar = Sidecar::spawn(provider.command(), &[]);
    sidecar.wait_until_serving().await;
    let mut client = sidecar.client().await;
    presigned(client.presign(get("key")).await);
    provider.fail();

    sidecar.wait_for_health("", NotServing).await;
    sidecar.wait_for_health("signer.default", NotServing).await;
    assert_all_are(&sidecar, NotServing).await;
    assert_eq!(probe_statuses(&sidecar).await, [200, 503, 200], "/startupz stays 200");
    let status = refused(client.presign(get("key")).await);
    let message =
        "the signer's credentials have expired, and no newer ones are loaded yet: try again shortly";
    assert_eq!(
        GrpcError::of(&status),
        GrpcError::new(Code::Unavailable, "CREDENTIALS_EXPIRED", None, message)
    );
    assert!(says_when_to_retry(&status));

    provider.set_expiry(from_now(Duration::from_secs(3_600)));
    sidecar.wait_until_serving().await;
    presigned(client.presign(get("key")).await);
}

#[tokio::test]
async fn a_refresh_before_expiry_does_not_change_health() {
    let provider = CredentialProcess::new();
    provider.set_expiry(from_now(Duration::from_secs(7)));
    let sidecar = Sidecar::spawn(provider.command(), &[]);
    sidecar.wait_until_serving().await;
    provider.set_expiry(from_now(Duration::from_secs(3_600)));
    let renewed = [("signer", "default"), ("outcome", "ok")];
    crate::support::scrape::Scrape::wait_for(&sidecar, "presignd_credentials_refresh_total", &renewed, 2.0)
        .await;
    assert_all_are(&sidecar, Serving).await;
    assert!(!sidecar.log().contains("ready=false"), "{}", sidecar.log());
}
