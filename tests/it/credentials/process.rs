//! A profile with a `credential_process`.

use std::{fs, process::Command, time::Duration};

use serde_json::json;
use tempfile::TempDir;

use super::{
    CredentialSource, FAILED, Keys, assert_no_secrets, assert_serves, assert_unavailable, check_lifecycle,
    wait_for_attempts, with_provider,
};
use crate::support::{
    clock::{FakeClock, FakedClocks},
    provider::{CredentialProcess, from_now},
    sidecar::Sidecar,
};

/// A script that prints the last keys; without keys it fails, with output on stdout and stderr.
struct ScriptedProcess {
    folder: TempDir,
}

impl ScriptedProcess {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path().display();
        let script = format!("cat {at}/answer 2>/dev/null || {{ echo canary; echo canary >&2; exit 3; }}\n");
        fs::write(folder.path().join("script.sh"), script).unwrap();
        let profile = format!("[profile process]\ncredential_process = /bin/sh {at}/script.sh\n");
        fs::write(folder.path().join("config"), profile).unwrap();
        Self { folder }
    }

    fn command(&self) -> Command {
        let mut command = with_provider("profile");
        command
            .env("AWS_CONFIG_FILE", self.folder.path().join("config"))
            .env("PRESIGND_SIGNERS_DEFAULT_PROFILE", "process");
        command
    }
}

impl CredentialSource for ScriptedProcess {
    fn set_keys(&self, keys: &Keys) {
        let printed = json!({
            "Version": 1,
            "AccessKeyId": keys.id,
            "SecretAccessKey": keys.secret,
            "SessionToken": keys.token,
            "Expiration": keys.expiration(),
        });
        // Atomically, so that the script never prints an incomplete document.
        let next = self.folder.path().join("next");
        fs::write(&next, printed.to_string()).unwrap();
        fs::rename(next, self.folder.path().join("answer")).unwrap();
    }

    fn fail(&self) {
        fs::remove_file(self.folder.path().join("answer")).unwrap();
    }
}

#[tokio::test]
async fn process_credentials_rotate_expire_and_recover() {
    let process = ScriptedProcess::new();
    check_lifecycle(&process, process.command()).await;
}

#[tokio::test]
async fn a_failing_process_is_retried_and_its_output_not_logged() {
    let process = ScriptedProcess::new();
    let mut command = process.command();
    // A profile alone selects the provider `profile`.
    command.env_remove("PRESIGND_SIGNERS_DEFAULT_PROVIDER");
    let sidecar = Sidecar::spawn(command, &[]);
    sidecar.wait_for_log(FAILED).await;
    assert_unavailable(&sidecar, "CREDENTIALS_MISSING").await;
    let keys = Keys::expiring_in("late", 3_600);
    process.set_keys(&keys);
    assert_serves(&sidecar, &keys).await;
    assert_no_secrets(&sidecar).await;
}

#[tokio::test]
async fn a_hanging_process_is_started_once_and_its_result_used() {
    let provider = CredentialProcess::blocking();
    let mut command = provider.command();
    let clock = FakeClock::attach(&mut command, FakedClocks::All);
    let sidecar = Sidecar::spawn(command, &[]);
    let asked = provider.wait_for_start().await;
    clock.set(40);
    sidecar.wait_for_log("the provider did not answer within 30s").await;
    assert_unavailable(&sidecar, "CREDENTIALS_MISSING").await;
    // A second process would read a part of the output, or wait forever.
    asked.answer();
    sidecar.wait_until_serving().await;
    wait_for_attempts(&sidecar, "ok", 1.0).await;
}

#[tokio::test]
async fn health_reports_the_expiry_while_the_provider_hangs() {
    let provider = CredentialProcess::new();
    provider.set_expiry(from_now(Duration::from_secs(6)));
    let sidecar = Sidecar::spawn(provider.command(), &[]);
    sidecar.wait_until_serving().await;
    provider.block();
    // The attempt does not end within this test.
    let _asked = provider.wait_for_start().await;
    assert_unavailable(&sidecar, "CREDENTIALS_EXPIRED").await;
    assert!(!sidecar.log().contains(FAILED), "the attempt is still running");
}
