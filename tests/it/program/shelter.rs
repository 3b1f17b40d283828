//! What is secret in the process stays there: other processes of the same user see nothing of it.

use std::{
    fs,
    os::unix::{
        fs::{MetadataExt, PermissionsExt},
        process::CommandExt,
    },
    path::Path,
    process::Command,
};

use tempfile::TempDir;

use crate::support::{
    ACCESS_KEY, SECRET_KEY,
    aws::{Aws, Keys, Kind},
    callers::url,
    sidecar::{Sidecar, presignd},
};

const TOKEN: &str = "canary//session+token==";

/// presignd with keys in its environment.
fn with_keys() -> Command {
    let mut command = presignd();
    command
        .env("AWS_ACCESS_KEY_ID", ACCESS_KEY)
        .env("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
        .env("AWS_SESSION_TOKEN", TOKEN)
        .env("AWS_REGION", "us-east-1");
    command
}

/// A file of `/proc/PID`, as far as it may be read.
fn of_process(sidecar: &Sidecar, file: &str) -> Vec<u8> {
    let path = format!("/proc/{}/{file}", sidecar.id());
    match fs::read(&path) {
        Ok(content) => content,
        // Then nobody but root reads it, which is better still.
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => Vec::new(),
        Err(error) => panic!("{path}: {error}"),
    }
}

fn contains(content: &[u8], text: &str) -> bool {
    content.windows(text.len()).any(|window| window == text.as_bytes())
}

#[tokio::test]
async fn the_environment_of_a_running_server_has_no_secret_in_it_and_the_rest_of_it_as_before() {
    let sidecar = Sidecar::spawn(with_keys(), &["--expiry-max", "1h"]);
    sidecar.serving().await;
    assert!(!sidecar.log().contains("stay in this process's environment"), "{}", sidecar.log());
    let environment = of_process(&sidecar, "environ");
    for secret in
        [ACCESS_KEY, SECRET_KEY, TOKEN, "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"]
    {
        assert!(!contains(&environment, secret), "{secret} is in {}", String::from_utf8_lossy(&environment));
    }
    assert!(environment.is_empty() || contains(&environment, "AWS_REGION=us-east-1"));
    // It is the same process, by its name and with its arguments, and signs with the keys.
    assert_eq!(of_process(&sidecar, "comm"), b"presignd\n");
    assert!(contains(&of_process(&sidecar, "cmdline"), "--expiry-max\x001h\0"));
    let url = url(&sidecar).await;
    assert_eq!(url.granted.unwrap().seconds, 3_600);
    assert!(url.url.contains(&format!("X-Amz-Credential={ACCESS_KEY}%2F")));
    assert!(url.url.contains("X-Amz-Security-Token=canary%2F%2Fsession%2Btoken%3D%3D"));
}

#[tokio::test]
async fn the_token_of_the_container_endpoint_leaves_the_environment_and_is_sent_all_the_same() {
    let keys = Keys::lasting("only", 3_600);
    let aws = Aws::giving(&keys);
    aws.want_authorization("canary-authorization");
    let mut command = presignd();
    command
        .env("AWS_REGION", "us-east-1")
        .env("AWS_CONTAINER_CREDENTIALS_FULL_URI", format!("{}/v2/credentials", aws.url()))
        .env("AWS_CONTAINER_AUTHORIZATION_TOKEN", "canary-authorization");
    let sidecar = Sidecar::spawn(command, &[]);
    sidecar.serving().await;
    keys.signed(&url(&sidecar).await);
    assert!(!contains(&of_process(&sidecar, "environ"), "canary-authorization"));
    // It is sent every time, and not only the first.
    sidecar.signal(rustix::process::Signal::HUP);
    aws.asked(Kind::Container, 2).await;
    crate::support::scrape::Scrape::reaches(
        &sidecar,
        "presignd_credentials_refresh_total",
        &[("signer", "default"), ("outcome", "unchanged")],
        1.0,
    )
    .await;
}

/// A `credential_process` that tells what it could open of what it inherited.
#[tokio::test]
async fn a_credential_process_inherits_no_open_file_but_its_own_three() {
    let folder = tempfile::tempdir().unwrap();
    let (seen, script) = (folder.path().join("seen"), folder.path().join("script"));
    let keys = Keys::lasting("only", 3_600);
    let Keys { id, secret, .. } = &keys;
    let printed = format!(
        r#"{{"Version": 1, "AccessKeyId": "{id}", "SecretAccessKey": "{secret}", "Expiration": "{}"}}"#,
        keys.expiration()
    );
    let list = format!("for fd in /proc/self/fd/*; do echo ${{fd##*/}}; done > {}", seen.display());
    fs::write(&script, format!("{list}\necho '{printed}'\n")).unwrap();
    let config = folder.path().join("config");
    fs::write(&config, format!("[default]\ncredential_process = exec /bin/bash {}\n", script.display()))
        .unwrap();
    let mut command = presignd();
    command
        .env("AWS_REGION", "us-east-1")
        .env("AWS_CONFIG_FILE", &config)
        .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
        .env("AWS_CONTAINER_AUTHORIZATION_TOKEN", "canary-authorization")
        .env("PATH", "/usr/bin:/bin");
    let sidecar = Sidecar::spawn(command, &["--signers-default-provider", "profile"]);
    sidecar.serving().await;
    let seen = fs::read_to_string(seen).unwrap();
    let far = |fd: &str| fd.parse().is_ok_and(|fd: u32| (100..200).contains(&fd));
    assert!(seen.lines().count() >= 3 && !seen.lines().any(far), "{seen}");
}

#[tokio::test]
async fn a_credential_process_does_not_inherit_the_keys() {
    let folder = tempfile::tempdir().unwrap();
    let seen = folder.path().join("seen");
    let script = folder.path().join("script");
    let keys = Keys::lasting("only", 3_600);
    let Keys { id, secret, .. } = &keys;
    let printed = format!(
        r#"{{"Version": 1, "AccessKeyId": "{id}", "SecretAccessKey": "{secret}", "Expiration": "{}"}}"#,
        keys.expiration()
    );
    fs::write(&script, format!("env > {}\necho '{printed}'\n", seen.display())).unwrap();
    let config = folder.path().join("config");
    fs::write(&config, format!("[profile own]\ncredential_process = /bin/sh {}\n", script.display()))
        .unwrap();
    let mut command = with_keys();
    command
        .env("AWS_CONFIG_FILE", &config)
        .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
        .env("PATH", "/usr/bin:/bin");
    let sidecar = Sidecar::spawn(command, &["--signers-default-profile", "own"]);
    sidecar.serving().await;
    assert!(keys.are_in(&url(&sidecar).await), "a profile that is named comes before the environment");
    let seen = fs::read_to_string(seen).unwrap();
    assert!(seen.contains("AWS_REGION=us-east-1") && !seen.contains(SECRET_KEY), "{seen}");
}

/// A copy of the binary that any user may start.
fn copied_to(folder: &Path) -> Command {
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).unwrap();
    let copy = folder.join("presignd");
    // By a program of its own: a process that another test starts would inherit the open file, and make it busy.
    let copied = Command::new("cp").arg(env!("CARGO_BIN_EXE_presignd")).arg(&copy).status().unwrap();
    assert!(copied.success());
    fs::set_permissions(&copy, fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = Command::new(copy);
    let given = with_keys();
    command.env_clear().envs(given.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command
}

/// The kernel gives the files in `/proc/PID` of a process that may not be looked into to root.
#[tokio::test]
async fn a_server_without_privileges_cannot_be_looked_into_by_its_own_user_and_leaves_no_core() {
    let folder: TempDir = tempfile::tempdir().unwrap();
    let mut command = copied_to(folder.path());
    if rustix::process::geteuid().is_root() {
        command.uid(65_534).gid(65_534);
    }
    command.args(["serve", "--open", "--listen-tcp", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"]);
    let sidecar = Sidecar::launch(command, tempfile::tempdir().unwrap(), folder.path().join("none"));
    sidecar.serving().await;
    let environment = fs::metadata(format!("/proc/{}/environ", sidecar.id())).unwrap();
    assert_eq!(environment.uid(), 0, "its own user cannot read what only its owner may");
    let limits = fs::read_to_string(format!("/proc/{}/limits", sidecar.id())).unwrap();
    let cores = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(cores.split_whitespace().skip(4).collect::<Vec<_>>(), ["0", "0", "bytes"]);
    // It still measures itself.
    let (_, metrics) = sidecar.page("/metrics").await;
    for metric in ["process_open_fds ", "process_resident_memory_bytes ", "process_max_fds "] {
        assert!(metrics.contains(metric), "{metric}");
    }
    assert!(url(&sidecar).await.url.contains(ACCESS_KEY));
}
