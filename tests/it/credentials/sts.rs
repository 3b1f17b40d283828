//! Roles: assumed with other credentials, with another role, or with a web identity token.

use std::{fs, path::PathBuf};

use tempfile::TempDir;

use super::{
    FAILED, Keys, assert_no_secrets, assert_serves, assert_unavailable, assuming, check_lifecycle,
    in_container, replace_file, start_serving, wait_for_rotation, with_provider, with_web_identity,
};
use crate::support::{
    aws::{FakeAws, RequestKind},
    sidecar::Sidecar,
};

const ROLE: &str = "arn:aws:iam::123456789012:role/demo-app";
const FURTHER_ROLE: &str = "arn:aws:iam::210987654321:role/partner/demo-data";

/// Writes a web identity token to a file; returns its folder and its path.
fn token(token: &str) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    fs::write(&file, token).unwrap();
    (folder, file)
}

#[tokio::test]
async fn role_credentials_rotate_expire_and_recover() {
    let sts = FakeAws::with_keys(&Keys::permanent("unused"));
    check_lifecycle(&sts, assuming(ROLE, &Keys::permanent("base"), &sts)).await;
}

#[tokio::test]
async fn web_identity_credentials_rotate_expire_and_recover() {
    let (_folder, file) = token("canary.web.identity");
    let sts = FakeAws::with_keys(&Keys::permanent("unused"));
    check_lifecycle(&sts, with_web_identity(ROLE, &file, &sts)).await;
}

#[tokio::test]
async fn a_role_is_assumed_with_the_configured_parameters() {
    let (base, role) = (Keys::permanent("base"), Keys::expiring_in("role", 3_600));
    let sts = FakeAws::with_keys(&role);
    let mut command = assuming(ROLE, &base, &sts);
    command.envs([
        ("PRESIGND_SIGNERS_DEFAULT_EXTERNAL_ID", "shared/with+the:other=side"),
        ("PRESIGND_SIGNERS_DEFAULT_SESSION_NAME", "reports@eu"),
        ("PRESIGND_SIGNERS_DEFAULT_SESSION_DURATION", "30m"),
    ]);
    let sidecar = start_serving(command).await;
    assert_serves(&sidecar, &role).await;
    let asked = sts.wait_for_request(RequestKind::AssumeRole, 1).await;
    assert_eq!(asked.signed_by(), base.id);
    assert_eq!(asked.parameter("RoleArn"), ROLE);
    assert_eq!(asked.parameter("ExternalId"), "shared/with+the:other=side");
    assert_eq!(asked.parameter("RoleSessionName"), "reports@eu");
    assert_eq!(asked.parameter("DurationSeconds"), "1800");
    assert_no_secrets(&sidecar).await;
}

#[tokio::test]
async fn the_default_session_name_contains_the_signer() {
    let (base, role) = (Keys::permanent("base"), Keys::expiring_in("role", 3_600));
    let sts = FakeAws::with_keys(&role);
    let sidecar = start_serving(assuming(ROLE, &base, &sts)).await;
    assert_serves(&sidecar, &role).await;
    let asked = sts.wait_for_request(RequestKind::AssumeRole, 1).await;
    assert_eq!(asked.parameter("RoleSessionName"), "presignd-default");
    assert!(!asked.form.contains_key("ExternalId"), "{:?}", asked.form.keys());
}

#[tokio::test]
async fn a_role_is_assumed_with_container_credentials() {
    let (base, role) = (Keys::expiring_in("base", 7_200), Keys::expiring_in("role", 3_600));
    let (container, sts) = (FakeAws::with_keys(&base), FakeAws::with_keys(&role));
    let mut command = in_container(&container);
    command.env("AWS_ENDPOINT_URL_STS", sts.url()).env("PRESIGND_SIGNERS_DEFAULT_ASSUME_ROLE", ROLE);
    let sidecar = start_serving(command).await;
    assert_serves(&sidecar, &role).await;
    assert_eq!(sts.wait_for_request(RequestKind::AssumeRole, 1).await.signed_by(), base.id);
}

#[tokio::test]
async fn each_role_is_assumed_with_the_previous_one() {
    let (base, middle) = (Keys::permanent("base"), Keys::expiring_in("middle", 3_600));
    let (first, second) = (Keys::expiring_in("first", 6), Keys::expiring_in("second", 3_600));
    let sts = FakeAws::with_keys(&middle);
    sts.set_role_keys(FURTHER_ROLE, &first);
    let mut command = assuming(&format!("{ROLE},{FURTHER_ROLE}"), &base, &sts);
    command.env("PRESIGND_SIGNERS_DEFAULT_EXTERNAL_ID", "for-the-last");
    let sidecar = start_serving(command).await;
    assert_serves(&sidecar, &first).await;

    let asked = [
        sts.wait_for_request(RequestKind::AssumeRole, 1).await,
        sts.wait_for_request(RequestKind::AssumeRole, 2).await,
    ];
    assert_eq!([asked[0].signed_by(), asked[1].signed_by()], [&*base.id, &*middle.id]);
    assert_eq!([asked[0].parameter("RoleArn"), asked[1].parameter("RoleArn")], [ROLE, FURTHER_ROLE]);
    assert_eq!([asked[0].parameter("ExternalId"), asked[1].parameter("ExternalId")], ["", "for-the-last"]);

    sts.set_role_keys(FURTHER_ROLE, &second);
    wait_for_rotation(&sidecar, &first, &second).await;
    assert_no_secrets(&sidecar).await;
}

#[tokio::test]
async fn a_web_identity_role_assumes_the_next_role() {
    let (_folder, file) = token("canary.web.identity");
    let (middle, last) = (Keys::expiring_in("middle", 3_600), Keys::expiring_in("last", 3_600));
    let sts = FakeAws::with_keys(&middle);
    sts.set_role_keys(FURTHER_ROLE, &last);
    let mut command = with_web_identity(&format!("{ROLE},{FURTHER_ROLE}"), &file, &sts);
    // The setting `web_identity` alone selects the provider `web_identity`.
    command.env_remove("PRESIGND_SIGNERS_DEFAULT_PROVIDER");
    let sidecar = start_serving(command).await;
    assert_serves(&sidecar, &last).await;

    let exchanged = sts.wait_for_request(RequestKind::WebIdentity, 1).await;
    assert_eq!(exchanged.parameter("WebIdentityToken"), "canary.web.identity");
    assert_eq!(exchanged.parameter("RoleArn"), ROLE);
    assert_eq!(exchanged.parameter("RoleSessionName"), "presignd-default");
    assert_eq!(exchanged.signed_by(), "", "the request has a token instead of a signature");
    let assumed = sts.wait_for_request(RequestKind::AssumeRole, 1).await;
    assert_eq!((assumed.signed_by(), assumed.parameter("RoleArn")), (&*middle.id, FURTHER_ROLE));
    assert_no_secrets(&sidecar).await;
}

#[tokio::test]
async fn a_web_identity_is_read_from_the_environment() {
    for provider in ["web_identity", "default"] {
        let (_folder, file) = token("canary.web.identity");
        let role = Keys::expiring_in("role", 3_600);
        let sts = FakeAws::with_keys(&role);
        let mut command = with_provider(provider);
        command
            .env("AWS_ENDPOINT_URL_STS", sts.url())
            .env("AWS_WEB_IDENTITY_TOKEN_FILE", &file)
            .env("AWS_ROLE_ARN", ROLE);
        let sidecar = start_serving(command).await;
        assert_serves(&sidecar, &role).await;
        let asked = sts.wait_for_request(RequestKind::WebIdentity, 1).await;
        assert_eq!(asked.parameter("WebIdentityToken"), "canary.web.identity", "{provider}");
        assert_eq!(asked.parameter("RoleArn"), ROLE, "{provider}");
    }
}

#[tokio::test]
async fn a_changed_web_identity_token_is_sent_at_once() {
    let (_folder, file) = token("canary.token.1");
    let (first, second) = (Keys::expiring_in("first", 3_600), Keys::expiring_in("second", 3_600));
    let sts = FakeAws::with_keys(&first);
    let sidecar = start_serving(with_web_identity(ROLE, &file, &sts)).await;
    assert_serves(&sidecar, &first).await;
    assert_eq!(
        sts.wait_for_request(RequestKind::WebIdentity, 1).await.parameter("WebIdentityToken"),
        "canary.token.1"
    );

    sts.set_keys(&second);
    replace_file(&file, "canary.token.2");
    wait_for_rotation(&sidecar, &first, &second).await;
    assert_eq!(
        sts.wait_for_request(RequestKind::WebIdentity, 2).await.parameter("WebIdentityToken"),
        "canary.token.2"
    );
    assert_no_secrets(&sidecar).await;
}

#[tokio::test]
async fn a_denied_role_is_logged_and_retried() {
    let (base, role) = (Keys::permanent("base"), Keys::expiring_in("role", 3_600));
    let sts = FakeAws::without_keys();
    let sidecar = Sidecar::spawn(assuming(ROLE, &base, &sts), &[]);
    sidecar.wait_for_log(FAILED).await;
    sidecar.wait_for_log("AccessDenied").await;
    assert_unavailable(&sidecar, "CREDENTIALS_MISSING").await;
    sts.set_keys(&role);
    assert_serves(&sidecar, &role).await;
    assert_no_secrets(&sidecar).await;
}

#[tokio::test]
async fn sts_is_called_through_the_configured_proxy() {
    let role = Keys::expiring_in("role", 3_600);
    let proxy = FakeAws::with_keys(&role);
    let mut command = assuming(ROLE, &Keys::permanent("base"), &proxy);
    command.env("AWS_ENDPOINT_URL_STS", "http://sts.example.invalid").env("HTTP_PROXY", proxy.url());
    let sidecar = start_serving(command).await;
    assert_serves(&sidecar, &role).await;
    proxy.wait_for_request(RequestKind::AssumeRole, 1).await;
}
