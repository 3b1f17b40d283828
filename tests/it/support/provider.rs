//! Credentials that expire or arrive late: a profile with a `credential_process` that reads a file of the test.

use std::{
    fs::{self, File, OpenOptions},
    io::Write,
    path::PathBuf,
    process::Command,
    time::{Duration, SystemTime},
};

use presignd::clock::Clock;
use prost_types::Timestamp;
use rustix::fs::{CWD, Mode};
use serde_json::json;
use tempfile::TempDir;

use super::{ACCESS_KEY, SECRET_KEY, sidecar::presignd};

/// A profile with a `credential_process`, until this is dropped.
pub struct CredentialProcess {
    folder: TempDir,
}

impl CredentialProcess {
    /// A process that returns the last credentials of the test, or fails without them.
    pub fn new() -> Self {
        let provider = Self { folder: tempfile::tempdir().expect("a folder can be made") };
        let process = format!("[default]\ncredential_process = /bin/cat {}\n", provider.output().display());
        fs::write(provider.config(), process).expect("the profile can be written");
        provider
    }

    /// A process that blocks until the test answers.
    pub fn blocking() -> Self {
        let provider = Self::new();
        rustix::fs::mkfifoat(CWD, provider.output(), Mode::RUSR | Mode::WUSR).expect("a FIFO can be made");
        provider
    }

    /// Makes the process block from now on, until the test answers.
    pub fn block(&self) {
        let next = self.folder.path().join("next");
        rustix::fs::mkfifoat(CWD, &next, Mode::RUSR | Mode::WUSR).expect("a FIFO can be made");
        fs::rename(next, self.output()).expect("the FIFO can replace the file");
    }

    fn output(&self) -> PathBuf {
        self.folder.path().join("credentials.json")
    }

    /// The path of the shared config file with the profile.
    pub fn config(&self) -> PathBuf {
        self.folder.path().join("config")
    }

    /// presignd with this process as its only source of credentials.
    pub fn command(&self) -> Command {
        let mut command = presignd();
        command
            .env("AWS_CONFIG_FILE", self.config())
            .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
            .env("AWS_REGION", "us-east-1");
        command
    }

    /// Returns credentials with this expiry from now on.
    pub fn set_expiry(&self, end: SystemTime) {
        fs::write(self.output(), credentials(Some(end))).expect("the credentials can be written");
    }

    /// Fails from now on.
    pub fn fail(&self) {
        fs::remove_file(self.output()).expect("there were credentials");
    }

    /// Waits until presignd has started the blocking process.
    pub async fn wait_for_start(&self) -> StartedProcess {
        let path = self.output();
        // Opening a FIFO for writing waits for the reader.
        let opened = tokio::task::spawn_blocking(move || OpenOptions::new().write(true).open(path));
        let opened = tokio::time::timeout(super::sidecar::PATIENCE, opened).await;
        StartedProcess(
            opened.expect("presignd starts the process in time").unwrap().expect("the FIFO can be opened"),
        )
    }
}

/// A process that waits for the answer of the test. It fails if this is dropped without an answer.
pub struct StartedProcess(File);

impl StartedProcess {
    /// Returns credentials without an expiry.
    pub fn answer(mut self) {
        self.0.write_all(credentials(None).as_bytes()).expect("presignd still waits");
    }
}

/// The output of a `credential_process`.
///
/// Source: [Sourcing credentials with an external process](https://docs.aws.amazon.com/sdkref/latest/guide/feature-process-credentials.html).
fn credentials(end: Option<SystemTime>) -> String {
    let mut printed = json!({
        "Version": 1,
        "AccessKeyId": ACCESS_KEY,
        "SecretAccessKey": SECRET_KEY,
    });
    if let Some(end) = end {
        printed["SessionToken"] = "a-session-token".into();
        printed["Expiration"] = Timestamp::from(end).to_string().into();
    }
    printed.to_string()
}

/// The current time in whole seconds, plus `later`.
pub fn from_now(later: Duration) -> SystemTime {
    let now = Clock::system().now().duration_since(SystemTime::UNIX_EPOCH).expect("it is after 1970");
    SystemTime::UNIX_EPOCH + Duration::from_secs(now.as_secs()) + later
}
