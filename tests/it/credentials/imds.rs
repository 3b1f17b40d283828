//! EC2: credentials of the instance role from the instance metadata service, version 2.

use super::{Keys, assert_no_secrets, assert_serves, check_lifecycle, on_ec2, start_serving, url};
use crate::support::{
    ACCESS_KEY, SECRET_KEY,
    aws::{FakeAws, INSTANCE_REGION, INSTANCE_ROLE, RequestKind},
    callers::wait_until_signing,
    http::Request,
    in_process::Parts,
};

/// A test of the fake endpoint, not of presignd: it is as strict as the real IMDS.
#[tokio::test]
async fn the_fake_imds_requires_a_valid_session_token() {
    let aws = FakeAws::with_keys(&Keys::expiring_in("keys", 3_600));
    let ask = async |method: &str, target: &str, header: (&str, &str)| {
        let headers = [(header.0.to_owned(), header.1.to_owned())].into();
        let (method, target) = (method.to_owned(), target.to_owned());
        let request = Request { method, target, headers, host: "imds".to_owned(), body: Vec::new() };
        request.send(aws.port()).await
    };
    let roles = "/latest/meta-data/iam/security-credentials/";
    assert_eq!(ask("GET", roles, ("accept", "*/*")).await.status, 401);
    let ttl = ("x-aws-ec2-metadata-token-ttl-seconds", "21600");
    let session = ask("PUT", "/latest/api/token", ttl).await;
    assert_eq!(session.header(ttl.0), ttl.1);
    let session = session.text();
    let session = ("x-aws-ec2-metadata-token", session.as_str());
    assert_eq!(ask("GET", roles, session).await.text(), INSTANCE_ROLE);
    let credentials = ask("GET", &format!("{roles}{INSTANCE_ROLE}"), session).await.text();
    assert!(serde_json::from_str::<serde_json::Value>(&credentials).unwrap()["Code"] == "Success");
    aws.invalidate_sessions();
    assert_eq!(ask("GET", roles, session).await.status, 401);
}

#[tokio::test]
async fn instance_credentials_rotate_expire_and_recover() {
    let aws = FakeAws::with_keys(&Keys::permanent("unused"));
    check_lifecycle(&aws, on_ec2(&aws)).await;
}

#[tokio::test]
async fn the_default_chain_falls_back_to_imds_and_its_region() {
    let keys = Keys::expiring_in("chain", 3_600);
    let aws = FakeAws::with_keys(&keys);
    let mut command = on_ec2(&aws);
    command.env_remove("PRESIGND_SIGNERS_DEFAULT_PROVIDER").env_remove("AWS_REGION");
    let sidecar = start_serving(command).await;
    assert_serves(&sidecar, &keys).await;
    let credential = Parts::of(&url(&sidecar).await.url).value("X-Amz-Credential").unwrap();
    assert_eq!(credential.split('/').nth(2), Some(INSTANCE_REGION));
    assert_no_secrets(&sidecar).await;
}

#[tokio::test]
async fn only_the_configured_provider_is_used() {
    let keys = Keys::expiring_in("imds", 3_600);
    let aws = FakeAws::with_keys(&keys);
    let mut command = on_ec2(&aws);
    command.env("AWS_ACCESS_KEY_ID", ACCESS_KEY).env("AWS_SECRET_ACCESS_KEY", SECRET_KEY);
    assert_serves(&start_serving(command).await, &keys).await;
}

#[tokio::test]
async fn an_invalidated_imds_token_is_requested_again() {
    let (first, second) = (Keys::expiring_in("first", 6), Keys::expiring_in("second", 3_600));
    let aws = FakeAws::with_keys(&first);
    let sidecar = start_serving(on_ec2(&aws)).await;
    assert_serves(&sidecar, &first).await;
    aws.set_keys(&second);
    aws.invalidate_sessions();
    // The SDK tries its token four times, which takes up to seven seconds: the first credentials may expire before.
    wait_until_signing(&sidecar, &second).await;
    assert!(aws.request_count(RequestKind::Session) >= 2);
    assert_no_secrets(&sidecar).await;
}
