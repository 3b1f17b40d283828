//! ECS and EKS: credentials from the container endpoint, which may require an authorization token.

use std::fs;

use super::{
    FAILED, Keys, assert_no_secrets, assert_serves, assert_unavailable, check_lifecycle, in_container,
    replace_file, start_serving, wait_for_rotation,
};
use crate::support::{
    aws::{FakeAws, RequestKind},
    sidecar::Sidecar,
};

#[tokio::test]
async fn container_credentials_rotate_expire_and_recover() {
    let aws = FakeAws::with_keys(&Keys::permanent("unused"));
    aws.require_authorization("canary-authorization");
    let mut command = in_container(&aws);
    command.env("AWS_CONTAINER_AUTHORIZATION_TOKEN", "canary-authorization");
    check_lifecycle(&aws, command).await;
}

#[tokio::test]
async fn the_default_chain_uses_the_container_endpoint() {
    let keys = Keys::expiring_in("chain", 3_600);
    let aws = FakeAws::with_keys(&keys);
    let mut command = in_container(&aws);
    command.env_remove("PRESIGND_SIGNERS_DEFAULT_PROVIDER");
    assert_serves(&start_serving(command).await, &keys).await;
}

#[tokio::test]
async fn the_token_file_is_read_for_each_request() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    fs::write(&file, "canary-token-1").unwrap();
    let (first, second) = (Keys::expiring_in("first", 6), Keys::expiring_in("second", 3_600));
    let aws = FakeAws::with_keys(&first);
    aws.require_authorization("canary-token-1");
    let mut command = in_container(&aws);
    command.env("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", &file);
    let sidecar = start_serving(command).await;
    assert_eq!(aws.wait_for_request(RequestKind::Container, 1).await.authorization, "canary-token-1");

    replace_file(&file, "canary-token-2");
    aws.require_authorization("canary-token-2");
    aws.set_keys(&second);
    wait_for_rotation(&sidecar, &first, &second).await;
    assert_eq!(aws.wait_for_request(RequestKind::Container, 2).await.authorization, "canary-token-2");
    assert_no_secrets(&sidecar).await;
}

#[tokio::test]
async fn a_rejected_token_gets_no_credentials_and_is_not_logged() {
    let keys = Keys::expiring_in("first", 3_600);
    let aws = FakeAws::with_keys(&keys);
    aws.require_authorization("canary-good");
    let mut command = in_container(&aws);
    command.env("AWS_CONTAINER_AUTHORIZATION_TOKEN", "canary-bad");
    let sidecar = Sidecar::spawn(command, &[]);
    sidecar.wait_for_log(FAILED).await;
    assert_unavailable(&sidecar, "CREDENTIALS_MISSING").await;
    assert_no_secrets(&sidecar).await;

    aws.require_authorization("canary-bad");
    assert_serves(&sidecar, &keys).await;
}
