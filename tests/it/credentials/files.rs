//! Keys in the shared AWS files: what changes there is taken up without a restart.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;

use super::{FAILED, Keys, kept_secrets, replace, rotated, serves, serving, with_provider};
use crate::support::{
    aws::{Aws, Kind},
    sidecar::Sidecar,
};

/// A folder with a credentials file that has these keys.
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

async fn signs_with(keys: &Keys, command: Command) -> Sidecar {
    let sidecar = serving(command).await;
    serves(&sidecar, keys).await;
    sidecar
}

#[tokio::test]
async fn keys_that_are_written_over_are_taken_up() {
    // What the file says of the session token goes with the rest: one of the two has none.
    for (first, second) in [
        (Keys::unending("first"), Keys::unending("second")),
        (Keys { end: None, ..Keys::lasting("first", 0) }, Keys::unending("second")),
    ] {
        let (_folder, file) = folder(&first);
        let sidecar = signs_with(&first, reading(&file)).await;
        fs::write(&file, second.section("default")).unwrap();
        rotated(&sidecar, &first, &second).await;
        kept_secrets(&sidecar).await;
    }
}

#[tokio::test]
async fn keys_of_the_default_chain_are_taken_up_too() {
    let (first, second) = (Keys::unending("first"), Keys::unending("second"));
    let (_folder, file) = folder(&first);
    let mut command = reading(&file);
    command.env_remove("PRESIGND_SIGNERS_DEFAULT_PROVIDER");
    let sidecar = signs_with(&first, command).await;
    replace(&file, &second.section("default"));
    rotated(&sidecar, &first, &second).await;
}

#[tokio::test]
async fn a_file_that_another_is_renamed_over_is_taken_up_again_and_again() {
    let all = ["first", "second", "third"].map(Keys::unending);
    let (_folder, file) = folder(&all[0]);
    let sidecar = signs_with(&all[0], reading(&file)).await;
    for pair in all.windows(2) {
        replace(&file, &pair[1].section("default"));
        rotated(&sidecar, &pair[0], &pair[1]).await;
    }
}

#[tokio::test]
async fn a_mounted_secret_is_taken_up_when_kubernetes_swaps_its_link() {
    let (first, second) = (Keys::unending("first"), Keys::unending("second"));
    // As the kubelet writes a volume: `credentials` is a link to `..data/credentials`, `..data` one to a folder.
    let volume = tempfile::tempdir().unwrap();
    let at = |name: &str| volume.path().join(name);
    for (version, keys) in [("..v1", &first), ("..v2", &second)] {
        fs::create_dir(at(version)).unwrap();
        fs::write(at(version).join("credentials"), keys.section("default")).unwrap();
    }
    symlink("..v1", at("..data")).unwrap();
    symlink("..data/credentials", at("credentials")).unwrap();
    let sidecar = signs_with(&first, reading(&at("credentials"))).await;

    symlink("..v2", at("..data_tmp")).unwrap();
    fs::rename(at("..data_tmp"), at("..data")).unwrap();
    fs::remove_dir_all(at("..v1")).unwrap();
    rotated(&sidecar, &first, &second).await;
}

#[tokio::test]
async fn a_broken_file_leaves_the_keys_as_they_were_until_it_is_good() {
    // A bracket is missing; the secret; the profile; everything.
    for broken in [
        "[default\naws_access_key_id = canary\n",
        "[default]\naws_access_key_id = canary\n",
        "[other]\naws_access_key_id = canary\naws_secret_access_key = canary\n",
        "",
    ] {
        let (first, second) = (Keys::unending("first"), Keys::unending("second"));
        let (_folder, file) = folder(&first);
        let sidecar = signs_with(&first, reading(&file)).await;
        replace(&file, broken);
        sidecar.logged(FAILED).await;
        serves(&sidecar, &first).await;

        replace(&file, &second.section("default"));
        rotated(&sidecar, &first, &second).await;
        kept_secrets(&sidecar).await;
    }
}

#[tokio::test]
async fn a_file_that_goes_away_leaves_the_keys_as_they_were_until_it_is_back() {
    let (first, second) = (Keys::unending("first"), Keys::unending("second"));
    let (_folder, file) = folder(&first);
    let sidecar = signs_with(&first, reading(&file)).await;
    fs::remove_file(&file).unwrap();
    sidecar.logged(FAILED).await;
    serves(&sidecar, &first).await;
    fs::write(&file, second.section("default")).unwrap();
    rotated(&sidecar, &first, &second).await;
}

#[tokio::test]
async fn a_profile_may_name_a_role_and_the_profile_to_assume_it_with() {
    const ROLE: &str = "arn:aws:iam::123456789012:role/demo-app";
    let (base, new_base) = (Keys::unending("base"), Keys::unending("newbase"));
    let (first, second) = (Keys::lasting("first", 3_600), Keys::lasting("second", 3_600));
    let sts = Aws::giving(&first);
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
    let sidecar = signs_with(&first, command).await;
    let asked = sts.asked(Kind::AssumeRole, 1).await;
    assert_eq!((asked.signed_by(), asked.parameter("RoleArn")), (&*base.id, ROLE));
    assert_eq!((asked.parameter("ExternalId"), asked.parameter("RoleSessionName")), ("shared", "files"));

    // Keys of the profile below change: the role is assumed with them at once.
    sts.give(&second);
    replace(&file, &new_base.section("base"));
    rotated(&sidecar, &first, &second).await;
    assert_eq!(sts.asked(Kind::AssumeRole, 2).await.signed_by(), new_base.id);
    kept_secrets(&sidecar).await;
}
