//! Roles: assumed with other credentials, with another role, or with a web identity token.

use std::{fs, path::PathBuf};

use tempfile::TempDir;

use super::{
    FAILED, Keys, assuming, check_lifecycle, in_container, kept_secrets, refuses, replace, rotated, serves,
    serving, with_provider, with_web_identity,
};
use crate::support::{
    aws::{Aws, Kind},
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
    let sts = Aws::giving(&Keys::unending("unused"));
    check_lifecycle(&sts, assuming(ROLE, &Keys::unending("base"), &sts)).await;
}

#[tokio::test]
async fn web_identity_credentials_rotate_expire_and_recover() {
    let (_folder, file) = token("canary.web.identity");
    let sts = Aws::giving(&Keys::unending("unused"));
    check_lifecycle(&sts, with_web_identity(ROLE, &file, &sts)).await;
}

#[tokio::test]
async fn a_role_is_assumed_with_the_configured_parameters() {
    let (base, role) = (Keys::unending("base"), Keys::lasting("role", 3_600));
    let sts = Aws::giving(&role);
    let mut command = assuming(ROLE, &base, &sts);
    command.envs([
        ("PRESIGND_SIGNERS_DEFAULT_EXTERNAL_ID", "shared/with+the:other=side"),
        ("PRESIGND_SIGNERS_DEFAULT_SESSION_NAME", "reports@eu"),
        ("PRESIGND_SIGNERS_DEFAULT_SESSION_DURATION", "30m"),
    ]);
    let sidecar = serving(command).await;
    serves(&sidecar, &role).await;
    let asked = sts.asked(Kind::AssumeRole, 1).await;
    assert_eq!(asked.signed_by(), base.id);
    assert_eq!(asked.parameter("RoleArn"), ROLE);
    assert_eq!(asked.parameter("ExternalId"), "shared/with+the:other=side");
    assert_eq!(asked.parameter("RoleSessionName"), "reports@eu");
    assert_eq!(asked.parameter("DurationSeconds"), "1800");
    kept_secrets(&sidecar).await;
}

#[tokio::test]
async fn the_default_session_name_contains_the_signer() {
    let (base, role) = (Keys::unending("base"), Keys::lasting("role", 3_600));
    let sts = Aws::giving(&role);
    let sidecar = serving(assuming(ROLE, &base, &sts)).await;
    serves(&sidecar, &role).await;
    let asked = sts.asked(Kind::AssumeRole, 1).await;
    assert_eq!(asked.parameter("RoleSessionName"), "presignd-default");
    assert!(!asked.form.contains_key("ExternalId"), "{:?}", asked.form.keys());
}

#[tokio::test]
async fn a_role_is_assumed_with_container_credentials() {
    let (base, role) = (Keys::lasting("base", 7_200), Keys::lasting("role", 3_600));
    let (container, sts) = (Aws::giving(&base), Aws::giving(&role));
    let mut command = in_container(&container);
    command.env("AWS_ENDPOINT_URL_STS", sts.url()).env("PRESIGND_SIGNERS_DEFAULT_ASSUME_ROLE", ROLE);
    let sidecar = serving(command).await;
    serves(&sidecar, &role).await;
    assert_eq!(sts.asked(Kind::AssumeRole, 1).await.signed_by(), base.id);
}

#[tokio::test]
async fn each_role_is_assumed_with_the_previous_one() {
    let (base, middle) = (Keys::unending("base"), Keys::lasting("middle", 3_600));
    let (first, second) = (Keys::lasting("first", 6), Keys::lasting("second", 3_600));
    let sts = Aws::giving(&middle);
    sts.give_to(FURTHER_ROLE, &first);
    let mut command = assuming(&format!("{ROLE},{FURTHER_ROLE}"), &base, &sts);
    command.env("PRESIGND_SIGNERS_DEFAULT_EXTERNAL_ID", "for-the-last");
    let sidecar = serving(command).await;
    serves(&sidecar, &first).await;

    let asked = [sts.asked(Kind::AssumeRole, 1).await, sts.asked(Kind::AssumeRole, 2).await];
    assert_eq!([asked[0].signed_by(), asked[1].signed_by()], [&*base.id, &*middle.id]);
    assert_eq!([asked[0].parameter("RoleArn"), asked[1].parameter("RoleArn")], [ROLE, FURTHER_ROLE]);
    assert_eq!([asked[0].parameter("ExternalId"), asked[1].parameter("ExternalId")], ["", "for-the-last"]);

    sts.give_to(FURTHER_ROLE, &second);
    rotated(&sidecar, &first, &second).await;
    kept_secrets(&sidecar).await;
}

#[tokio::test]
async fn a_web_identity_role_assumes_the_next_role() {
    let (_folder, file) = token("canary.web.identity");
    let (middle, last) = (Keys::lasting("middle", 3_600), Keys::lasting("last", 3_600));
    let sts = Aws::giving(&middle);
    sts.give_to(FURTHER_ROLE, &last);
    let mut command = with_web_identity(&format!("{ROLE},{FURTHER_ROLE}"), &file, &sts);
    // The setting `web_identity` alone selects the provider `web_identity`.
    command.env_remove("PRESIGND_SIGNERS_DEFAULT_PROVIDER");
    let sidecar = serving(command).await;
    serves(&sidecar, &last).await;

    let exchanged = sts.asked(Kind::WebIdentity, 1).await;
    assert_eq!(exchanged.parameter("WebIdentityToken"), "canary.web.identity");
    assert_eq!(exchanged.parameter("RoleArn"), ROLE);
    assert_eq!(exchanged.parameter("RoleSessionName"), "presignd-default");
    assert_eq!(exchanged.signed_by(), "", "the request has a token instead of a signature");
    let assumed = sts.asked(Kind::AssumeRole, 1).await;
    assert_eq!((assumed.signed_by(), assumed.parameter("RoleArn")), (&*middle.id, FURTHER_ROLE));
    kept_secrets(&sidecar).await;
}

#[tokio::test]
async fn a_web_identity_is_read_from_the_environment() {
    for provider in ["web_identity", "default"] {
        let (_folder, file) = token("canary.web.identity");
        let role = Keys::lasting("role", 3_600);
        let sts = Aws::giving(&role);
        let mut command = with_provider(provider);
        command
            .env("AWS_ENDPOINT_URL_STS", sts.url())
            .env("AWS_WEB_IDENTITY_TOKEN_FILE", &file)
            .env("AWS_ROLE_ARN", ROLE);
        let sidecar = serving(command).await;
        serves(&sidecar, &role).await;
        let asked = sts.asked(Kind::WebIdentity, 1).await;
        assert_eq!(asked.parameter("WebIdentityToken"), "canary.web.identity", "{provider}");
        assert_eq!(asked.parameter("RoleArn"), ROLE, "{provider}");
    }
}

#[tokio::test]
async fn a_changed_web_identity_token_is_sent_at_once() {
    let (_folder, file) = token("canary.token.1");
    let (first, second) = (Keys::lasting("first", 3_600), Keys::lasting("second", 3_600));
    let sts = Aws::giving(&first);
    let sidecar = serving(with_web_identity(ROLE, &file, &sts)).await;
    serves(&sidecar, &first).await;
    assert_eq!(sts.asked(Kind::WebIdentity, 1).await.parameter("WebIdentityToken"), "canary.token.1");

    sts.give(&second);
    replace(&file, "canary.token.2");
    rotated(&sidecar, &first, &second).await;
    assert_eq!(sts.asked(Kind::WebIdentity, 2).await.parameter("WebIdentityToken"), "canary.token.2");
    kept_secrets(&sidecar).await;
}

#[tokio::test]
async fn a_denied_role_is_logged_and_retried() {
    let (base, role) = (Keys::unending("base"), Keys::lasting("role", 3_600));
    let sts = Aws::denying();
    let sidecar = Sidecar::spawn(assuming(ROLE, &base, &sts), &[]);
    sidecar.logged(FAILED).await;
    sidecar.logged("AccessDenied").await;
    refuses(&sidecar, "CREDENTIALS_MISSING").await;
    sts.give(&role);
    serves(&sidecar, &role).await;
    kept_secrets(&sidecar).await;
}

#[tokio::test]
async fn sts_is_called_through_the_configured_proxy() {
    let role = Keys::lasting("role", 3_600);
    let proxy = Aws::giving(&role);
    let mut command = assuming(ROLE, &Keys::unending("base"), &proxy);
    command.env("AWS_ENDPOINT_URL_STS", "http://sts.example.invalid").env("HTTP_PROXY", proxy.url());
    let sidecar = serving(command).await;
    serves(&sidecar, &role).await;
    proxy.asked(Kind::AssumeRole, 1).await;
}
