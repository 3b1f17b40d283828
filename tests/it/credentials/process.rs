//! A profile with a `credential_process`.

use std::{fs, process::Command, time::Duration};

use serde_json::json;
use tempfile::TempDir;

use super::{
    Endpoint, FAILED, Keys, counted, kept_secrets, lives_through_everything, refuses, serves, with_provider,
};
use crate::support::{
    clock::{OwnClock, Sets},
    provider::{Provider, from_now},
    sidecar::Sidecar,
};

/// A script that prints what it was given last; without that, it fails and talks about it.
struct Process {
    folder: TempDir,
}

impl Process {
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

impl Endpoint for Process {
    fn gives(&self, keys: &Keys) {
        let printed = json!({
            "Version": 1,
            "AccessKeyId": keys.id,
            "SecretAccessKey": keys.secret,
            "SessionToken": keys.token,
            "Expiration": keys.expiration(),
        });
        // At once, so that the script never prints half of it.
        let next = self.folder.path().join("next");
        fs::write(&next, printed.to_string()).unwrap();
        fs::rename(next, self.folder.path().join("answer")).unwrap();
    }

    fn goes_away(&self) {
        fs::remove_file(self.folder.path().join("answer")).unwrap();
    }
}

#[tokio::test]
async fn credentials_of_a_process_are_loaded_renewed_lost_and_found_again() {
    let process = Process::new();
    lives_through_everything(&process, process.command()).await;
}

#[tokio::test]
async fn a_process_that_fails_at_first_is_asked_again_and_what_it_says_is_not_told() {
    let process = Process::new();
    let mut command = process.command();
    // A profile alone means that it is the provider.
    command.env_remove("PRESIGND_SIGNERS_DEFAULT_PROVIDER");
    let sidecar = Sidecar::spawn(command, &[]);
    sidecar.logged(FAILED).await;
    refuses(&sidecar, "CREDENTIALS_MISSING").await;
    let keys = Keys::lasting("late", 3_600);
    process.gives(&keys);
    serves(&sidecar, &keys).await;
    kept_secrets(&sidecar).await;
}

#[tokio::test]
async fn a_process_that_hangs_is_waited_for_and_not_started_again_and_its_answer_is_taken_when_it_comes() {
    let provider = Provider::waiting();
    let mut command = provider.command();
    let clock = OwnClock::of(&mut command, Sets::AllTime);
    let sidecar = Sidecar::spawn(command, &[]);
    let asked = provider.asked().await;
    clock.set(40);
    sidecar.logged("the provider did not answer within 30s").await;
    refuses(&sidecar, "CREDENTIALS_MISSING").await;
    // A second process would have taken its part of what is written, or would wait for ever.
    asked.answer();
    sidecar.serving().await;
    counted(&sidecar, "ok", 1.0).await;
}

#[tokio::test]
async fn health_tells_of_the_end_of_the_credentials_while_the_provider_hangs() {
    let provider = Provider::new();
    provider.give(from_now(Duration::from_secs(6)));
    let sidecar = Sidecar::spawn(provider.command(), &[]);
    sidecar.serving().await;
    provider.hang();
    // The attempt goes on for longer than this test would wait.
    let _asked = provider.asked().await;
    refuses(&sidecar, "CREDENTIALS_EXPIRED").await;
    assert!(!sidecar.log().contains(FAILED), "the attempt has not ended");
}
