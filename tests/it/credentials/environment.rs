//! Keys in the environment.

use super::{FAILED, Keys, kept_secrets, on_ec2, refuses, serves, serving};
use crate::support::{
    aws::{Aws, Kind},
    sidecar::Sidecar,
};

#[tokio::test]
async fn environment_keys_are_used_without_a_request_to_imds() {
    // With and without a session token: neither has an expiry.
    for keys in [Keys { end: None, ..Keys::lasting("session", 0) }, Keys::unending("user")] {
        let aws = Aws::giving(&Keys::lasting("imds", 3_600));
        let mut command = on_ec2(&aws);
        command
            .env("PRESIGND_SIGNERS_DEFAULT_PROVIDER", "environment")
            .env("AWS_ACCESS_KEY_ID", &keys.id)
            .env("AWS_SECRET_ACCESS_KEY", &keys.secret)
            .envs(keys.token.as_ref().map(|token| ("AWS_SESSION_TOKEN", token)));
        let sidecar = serving(command).await;
        serves(&sidecar, &keys).await;
        assert_eq!(aws.count(Kind::Imds), 0);
        kept_secrets(&sidecar).await;
    }
}

#[tokio::test]
async fn an_environment_without_keys_does_not_fall_back_to_imds() {
    let aws = Aws::giving(&Keys::lasting("imds", 3_600));
    let mut command = on_ec2(&aws);
    command.env("PRESIGND_SIGNERS_DEFAULT_PROVIDER", "environment");
    let sidecar = Sidecar::spawn(command, &[]);
    sidecar.logged(FAILED).await;
    refuses(&sidecar, "CREDENTIALS_MISSING").await;
    assert_eq!(aws.count(Kind::Imds), 0);
}
