//! Keys in the environment.

use super::{FAILED, Keys, assert_no_secrets, assert_serves, assert_unavailable, on_ec2, start_serving};
use crate::support::{
    aws::{FakeAws, RequestKind},
    sidecar::Sidecar,
};

#[tokio::test]
async fn environment_keys_are_used_without_a_request_to_imds() {
    // With and without a session token: neither has an expiry.
    for keys in [Keys { end: None, ..Keys::expiring_in("session", 0) }, Keys::permanent("user")] {
        let aws = FakeAws::with_keys(&Keys::expiring_in("imds", 3_600));
        let mut command = on_ec2(&aws);
        command
            .env("PRESIGND_SIGNERS_DEFAULT_PROVIDER", "environment")
            .env("AWS_ACCESS_KEY_ID", &keys.id)
            .env("AWS_SECRET_ACCESS_KEY", &keys.secret)
            .envs(keys.token.as_ref().map(|token| ("AWS_SESSION_TOKEN", token)));
        let sidecar = start_serving(command).await;
        assert_serves(&sidecar, &keys).await;
        assert_eq!(aws.request_count(RequestKind::Imds), 0);
        assert_no_secrets(&sidecar).await;
    }
}

#[tokio::test]
async fn an_environment_without_keys_does_not_fall_back_to_imds() {
    let aws = FakeAws::with_keys(&Keys::expiring_in("imds", 3_600));
    let mut command = on_ec2(&aws);
    command.env("PRESIGND_SIGNERS_DEFAULT_PROVIDER", "environment");
    let sidecar = Sidecar::spawn(command, &[]);
    sidecar.wait_for_log(FAILED).await;
    assert_unavailable(&sidecar, "CREDENTIALS_MISSING").await;
    assert_eq!(aws.request_count(RequestKind::Imds), 0);
}
