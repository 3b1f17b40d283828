//! Secrets of the process are protected from other processes of the same user and from its child processes.

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
    aws::{FakeAws, Keys, RequestKind},
    callers::url,
    sidecar::{Sidecar, presignd},
};

const TOKEN: &str = "canary//session+token==";

/// A part of the log line for secrets that could not be removed.
const NOT_REMOVED: &str = "stay in this process's environment";

/// An unprivileged user and group ID: `nobody`.
const NOBODY: u32 = 65_534;

/// The presignd command with keys in its environment.
fn presignd_with_keys() -> Command {
    let mut command = presignd();
    command
        .env("AWS_ACCESS_KEY_ID", ACCESS_KEY)
        .env("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
        .env("AWS_SESSION_TOKEN", TOKEN)
        .env("AWS_REGION", "us-east-1");
    command
}

fn contains(content: &[u8], text: &str) -> bool {
    content.windows(text.len()).any(|window| window == text.as_bytes())
}

#[tokio::test]
async fn environment_keys_sign_and_process_keeps_its_arguments() {
    let sidecar = Sidecar::spawn(presignd_with_keys(), &["--expiry-max", "1h"]);
    sidecar.wait_until_serving().await;
    assert!(!sidecar.log().contains(NOT_REMOVED), "{}", sidecar.log());
    let of_process = |file: &str| fs::read(format!("/proc/{}/{file}", sidecar.id())).unwrap();
    assert_eq!(of_process("comm"), b"presignd\n");
    assert!(contains(&of_process("cmdline"), "--expiry-max\x001h\0"));
    let url = url(&sidecar).await;
    assert_eq!(url.granted.unwrap().seconds, 3_600);
    assert!(url.url.contains(&format!("X-Amz-Credential={ACCESS_KEY}%2F")));
    assert!(url.url.contains("X-Amz-Security-Token=canary%2F%2Fsession%2Btoken%3D%3D"));
}

#[tokio::test]
async fn container_token_is_sent_with_every_request() {
    let keys = Keys::expiring_in("only", 3_600);
    let aws = FakeAws::with_keys(&keys);
    aws.require_authorization("canary-authorization");
    let mut command = presignd();
    command
        .env("AWS_REGION", "us-east-1")
        .env("AWS_CONTAINER_CREDENTIALS_FULL_URI", format!("{}/v2/credentials", aws.url()))
        .env("AWS_CONTAINER_AUTHORIZATION_TOKEN", "canary-authorization");
    let sidecar = Sidecar::spawn(command, &[]);
    sidecar.wait_until_serving().await;
    keys.assert_signed(&url(&sidecar).await);
    sidecar.send_signal(rustix::process::Signal::HUP);
    aws.wait_for_request(RequestKind::Container, 2).await;
    crate::support::scrape::Scrape::wait_for_at_least(
        &sidecar,
        "presignd_credentials_refresh_total",
        &[("signer", "default"), ("outcome", "unchanged")],
        1.0,
    )
    .await;
}

/// A `credential_process` that records its environment and its open files.
#[tokio::test]
async fn credential_process_inherits_no_secret_and_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    let keys = Keys::expiring_in("only", 3_600);
    let Keys { id, secret, .. } = &keys;
    let printed = format!(
        r#"{{"Version": 1, "AccessKeyId": "{id}", "SecretAccessKey": "{secret}", "Expiration": "{}"}}"#,
        keys.expiration()
    );
    let (environment, descriptors) = (file("environment"), file("descriptors"));
    let script = format!(
        "open=$(readlink /proc/$$/fd/*)\nenv > {}\necho \"$open\" > {}\necho '{printed}'\n",
        environment.display(),
        descriptors.display()
    );
    fs::write(file("script"), script).unwrap();
    let profile =
        format!("[profile own]\ncredential_process = exec /bin/bash {}\n", file("script").display());
    fs::write(file("config"), profile).unwrap();
    let mut command = presignd_with_keys();
    command
        .env("AWS_CONFIG_FILE", file("config"))
        .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
        .env("AWS_CONTAINER_AUTHORIZATION_TOKEN", "canary-authorization")
        .env("PATH", "/usr/bin:/bin");
    let sidecar = Sidecar::spawn(command, &["--signers-default-profile", "own"]);
    sidecar.wait_until_serving().await;
    assert!(keys.are_in(&url(&sidecar).await), "a configured profile is preferred to the environment");
    let environment = fs::read_to_string(environment).unwrap();
    assert!(environment.contains("AWS_REGION=us-east-1"), "{environment}");
    for part in
        ["AWS_ACCESS_KEY_ID", "AWS_SECRET", "TOKEN", ACCESS_KEY, SECRET_KEY, TOKEN, "canary-authorization"]
    {
        assert!(!environment.contains(part), "{part} is in {environment}");
    }
    let descriptors = fs::read_to_string(descriptors).unwrap();
    assert!(descriptors.lines().count() >= 3, "{descriptors}");
    // Files that this test process inherited are inherited by presignd and by the credential process too.
    let own: Vec<_> = fs::read_dir("/proc/self/fd").unwrap().map(|entry| entry.unwrap().path()).collect();
    let own: Vec<_> = own.iter().filter_map(|path| fs::read_link(path).ok()).collect();
    let of_presignd = |target: &&str| {
        ["socket:", "anon_inode:", "/memfd:"].iter().any(|kind| target.starts_with(kind))
            && !own.contains(&target.into())
    };
    assert_eq!(descriptors.lines().find(of_presignd), None, "{descriptors}");
}

/// The command for a copy of the binary that any user may execute.
fn copied_to(folder: &Path) -> Command {
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).unwrap();
    let copy = folder.join("presignd");
    // With `cp`: if this process wrote the file, a child of another test could inherit the open descriptor, and executing
    // the copy would fail with ETXTBSY.
    let copied = Command::new("cp").arg(env!("CARGO_BIN_EXE_presignd")).arg(&copy).status().unwrap();
    assert!(copied.success());
    fs::set_permissions(&copy, fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = Command::new(copy);
    let template = presignd_with_keys();
    command.env_clear().envs(template.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command
}

/// Reads a file as the server's user, in another process: whether that succeeded, and its stderr.
fn read_as_server_user(path: &str) -> (bool, String) {
    let mut command = Command::new("cat");
    if rustix::process::geteuid().is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    let output = command.arg(path).env("LC_ALL", "C").output().unwrap();
    (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
}

/// The secrets are still in the process's initial environment block, which only this protection hides.
#[tokio::test]
async fn other_processes_cannot_read_environment_or_memory() {
    let folder: TempDir = tempfile::tempdir().unwrap();
    let mut command = copied_to(folder.path());
    if rustix::process::geteuid().is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    command.args(["serve", "--open", "--listen-tcp", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"]);
    let sidecar = Sidecar::launch(command, tempfile::tempdir().unwrap(), folder.path().join("none"));
    sidecar.wait_until_serving().await;
    assert!(!sidecar.log().contains(NOT_REMOVED), "{}", sidecar.log());
    for file in ["environ", "mem", "maps"] {
        let path = format!("/proc/{}/{file}", sidecar.id());
        assert_eq!(fs::metadata(&path).unwrap().uid(), 0, "{path} belongs to root");
        let (was_read, error) = read_as_server_user(&path);
        assert!(!was_read && error.contains("Permission denied"), "{path}: {error}");
    }
    let (was_read, error) = read_as_server_user(&format!("/proc/{}/cmdline", sidecar.id()));
    assert!(was_read, "reading works for a public file: {error}");
    let limits = fs::read_to_string(format!("/proc/{}/limits", sidecar.id())).unwrap();
    let cores = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(cores.split_whitespace().skip(4).collect::<Vec<_>>(), ["0", "0", "bytes"]);
    // The process metrics still work.
    let (_, metrics) = sidecar.get_page("/metrics").await;
    for metric in ["process_open_fds ", "process_resident_memory_bytes ", "process_max_fds "] {
        assert!(metrics.contains(metric), "{metric}");
    }
    assert!(url(&sidecar).await.url.contains(ACCESS_KEY));
}
