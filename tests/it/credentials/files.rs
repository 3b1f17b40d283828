//! Keys in the shared AWS files: changes are loaded without a restart.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;

use super::{
    FAILED, Keys, assert_no_secrets, assert_serves, replace_file, start_serving, wait_for_rotation,
    with_provider,
};
use crate::support::{
    aws::{FakeAws, RequestKind},
    sidecar::Sidecar,
};

/// Creates a folder with a credentials file that has these keys; returns both.
fn folder(keys: &Keys) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("credentials");
    fs::write(&file, keys.section("default")).unwrap();
    (folder, file)
}

fn reading(file: &Path) -> Command {
    let mut command = with_provider("profile");
    command.env("AWS_SHARED_CREDENTIALS_FILE", file);
    command
}

async fn start_signing_with(keys: &Keys, command: Command) -> Sidecar {
    let sidecar = start_serving(command).await;
    assert_serves(&sidecar, keys).await;
    sidecar
}

#[tokio::test]
async fn overwritten_keys_are_loaded() {
    // The session token is replaced too: the second keys have none.
    for (first, second) in [
        (Keys::permanent("first"), Keys::permanent("second")),
        (Keys { end: None, ..Keys::expiring_in("first", 0) }, Keys::permanent("second")),
    ] {
        let (_folder, file) = folder(&first);
        let sidecar = start_signing_with(&first, reading(&file)).await;
        fs::write(&file, second.section("default")).unwrap();
        wait_for_rotation(&sidecar, &first, &second).await;
        assert_no_secrets(&sidecar).await;
    }
}

#[tokio::test]
async fn the_default_chain_loads_changed_keys() {
    let (first, second) = (Keys::permanent("first"), Keys::permanent("second"));
    let (_folder, file) = folder(&first);
    let mut command = reading(&file);
    command.env_remove("PRESIGND_SIGNERS_DEFAULT_PROVIDER");
    let sidecar = start_signing_with(&first, command).await;
    replace_file(&file, &second.section("default"));
    wait_for_rotation(&sidecar, &first, &second).await;
}

#[tokio::test]
async fn a_file_replaced_by_rename_is_loaded_each_time() {
    let all = ["first", "second", "third"].map(Keys::permanent);
    let (_folder, file) = folder(&all[0]);
    let sidecar = start_signing_with(&all[0], reading(&file)).await;
    for pair in all.windows(2) {
        replace_file(&file, &pair[1].section("default"));
        wait_for_rotation(&sidecar, &pair[0], &pair[1]).await;
    }
}

#[tokio::test]
async fn a_mounted_kubernetes_secret_is_loaded_after_an_update() {
    let (first, second) = (Keys::permanent("first"), Keys::permanent("second"));
    // As the kubelet writes a volume: `credentials` links to `..data/credentials`, and `..data` to a folder.
    let volume = tempfile::tempdir().unwrap();
    let at = |name: &str| volume.path().join(name);
    for (version, keys) in [("..v1", &first), ("..v2", &second)] {
        fs::create_dir(at(version)).unwrap();
        fs::write(at(version).join("credentials"), keys.section("default")).unwrap();
    }
    symlink("..v1", at("..data")).unwrap();
    symlink("..data/credentials", at("credentials")).unwrap();
    let sidecar = start_signing_with(&first, reading(&at("credentials"))).await;

    symlink("..v2", at("..data_tmp")).unwrap();
    fs::rename(at("..data_tmp"), at("..data")).unwrap();
    fs::remove_dir_all(at("..v1")).unwrap();
    wait_for_rotation(&sidecar, &first, &second).await;
}

#[tokio::test]
async fn an_invalid_file_keeps_the_current_keys() {
    // Without a bracket, the secret, the profile, or any content.
    for invalid in [
        "[default\naws_access_key_id = canary\n",
        "[default]\naws_access_key_id = canary\n",
        "[other]\naws_access_key_id = canary\naws_secret_access_key = canary\n",
        "",
    ] {
        let (first, second) = (Keys::permanent("first"), Keys::permanent("second"));
        let (_folder, file) = folder(&first);
        let sidecar = start_signing_with(&first, reading(&file)).await;
        replace_file(&file, invalid);
        sidecar.wait_for_log(FAILED).await;
        assert_serves(&sidecar, &first).await;

        replace_file(&file, &second.section("default"));
        wait_for_rotation(&sidecar, &first, &second).await;
        assert_no_secrets(&sidecar).await;
    }
}

#[tokio::test]
async fn a_removed_file_keeps_the_current_keys() {
    let (first, second) = (Keys::permanent("first"), Keys::permanent("second"));
    let (_folder, file) = folder(&first);
    let sidecar = start_signing_with(&first, reading(&file)).await;
    fs::remove_file(&file).unwrap();
    sidecar.wait_for_log(FAILED).await;
    assert_serves(&sidecar, &first).await;
    fs::write(&file, second.section("default")).unwrap();
    wait_for_rotation(&sidecar, &first, &second).await;
}

#[tokio::test]
async fn a_profile_role_is_assumed_with_its_source_profile() {
    const ROLE: &str = "arn:aws:iam::123456789012:role/demo-app";
    let (base, new_base) = (Keys::permanent("base"), Keys::permanent("newbase"));
    let (first, second) = (Keys::expiring_in("first", 3_600), Keys::expiring_in("second", 3_600));
    let sts = FakeAws::with_keys(&first);
    let folder = tempfile::tempdir().unwrap();
    let (config, file) = (folder.path().join("config"), folder.path().join("credentials"));
    let profile = format!(
        "[profile app]\nrole_arn = {ROLE}\nsource_profile = base\nexternal_id = shared\nrole_session_name = files\n"
    );
    fs::write(&config, profile).unwrap();
    fs::write(&file, base.section("base")).unwrap();
    let mut command = reading(&file);
    command
        .env("AWS_CONFIG_FILE", &config)
        .env("AWS_ENDPOINT_URL_STS", sts.url())
        .env("PRESIGND_SIGNERS_DEFAULT_PROFILE", "app");
    let sidecar = start_signing_with(&first, command).await;
    let asked = sts.wait_for_request(RequestKind::AssumeRole, 1).await;
    assert_eq!((asked.signed_by(), asked.parameter("RoleArn")), (&*base.id, ROLE));
    assert_eq!((asked.parameter("ExternalId"), asked.parameter("RoleSessionName")), ("shared", "files"));

    // The keys of the source profile change: the role is assumed with them at once.
    sts.set_keys(&second);
    replace_file(&file, &new_base.section("base"));
    wait_for_rotation(&sidecar, &first, &second).await;
    assert_eq!(sts.wait_for_request(RequestKind::AssumeRole, 2).await.signed_by(), new_base.id);
    assert_no_secrets(&sidecar).await;
}
