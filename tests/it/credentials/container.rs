//! ECS and EKS: credentials from the container endpoint, which may require an authorization token.

use std::fs;

use super::{
    FAILED, Keys, check_lifecycle, in_container, kept_secrets, refuses, replace, rotated, serves, serving,
};
use crate::support::{
    aws::{Aws, Kind},
    sidecar::Sidecar,
};

#[tokio::test]
async fn container_credentials_rotate_expire_and_recover() {
    let aws = Aws::giving(&Keys::unending("unused"));
    aws.want_authorization("canary-authorization");
    let mut command = in_container(&aws);
    command.env("AWS_CONTAINER_AUTHORIZATION_TOKEN", "canary-authorization");
    check_lifecycle(&aws, command).await;
}

#[tokio::test]
async fn the_default_chain_uses_the_container_endpoint() {
    let keys = Keys::lasting("chain", 3_600);
    let aws = Aws::giving(&keys);
    let mut command = in_container(&aws);
    command.env_remove("PRESIGND_SIGNERS_DEFAULT_PROVIDER");
    serves(&serving(command).await, &keys).await;
}

#[tokio::test]
async fn the_token_file_is_read_for_each_request() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    fs::write(&file, "canary-token-1").unwrap();
    let (first, second) = (Keys::lasting("first", 6), Keys::lasting("second", 3_600));
    let aws = Aws::giving(&first);
    aws.want_authorization("canary-token-1");
    let mut command = in_container(&aws);
    command.env("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", &file);
    let sidecar = serving(command).await;
    assert_eq!(aws.asked(Kind::Container, 1).await.authorization, "canary-token-1");

    replace(&file, "canary-token-2");
    aws.want_authorization("canary-token-2");
    aws.give(&second);
    rotated(&sidecar, &first, &second).await;
    assert_eq!(aws.asked(Kind::Container, 2).await.authorization, "canary-token-2");
    kept_secrets(&sidecar).await;
}

#[tokio::test]
async fn a_rejected_token_gets_no_credentials_and_is_not_logged() {
    let keys = Keys::lasting("first", 3_600);
    let aws = Aws::giving(&keys);
    aws.want_authorization("canary-good");
    let mut command = in_container(&aws);
    command.env("AWS_CONTAINER_AUTHORIZATION_TOKEN", "canary-bad");
    let sidecar = Sidecar::spawn(command, &[]);
    sidecar.logged(FAILED).await;
    refuses(&sidecar, "CREDENTIALS_MISSING").await;
    kept_secrets(&sidecar).await;

    aws.want_authorization("canary-bad");
    serves(&sidecar, &keys).await;
}
