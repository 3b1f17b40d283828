//! Credentials that end, or that come late: a profile whose `credential_process` reads a file of the test.

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

/// The provider, for as long as it lives.
pub struct Provider {
    folder: TempDir,
}

impl Provider {
    /// One that hands out what was given to it last, or fails.
    pub fn new() -> Self {
        let provider = Self { folder: tempfile::tempdir().expect("a folder can be made") };
        let process = format!("[default]\ncredential_process = /bin/cat {}\n", provider.answer().display());
        fs::write(provider.config(), process).expect("the profile can be written");
        provider
    }

    /// One that waits, when it is asked, until it is given something.
    pub fn waiting() -> Self {
        let provider = Self::new();
        rustix::fs::mkfifoat(CWD, provider.answer(), Mode::RUSR | Mode::WUSR).expect("a FIFO can be made");
        provider
    }

    /// From now on it waits, when it is asked, until it is given something.
    pub fn hang(&self) {
        let next = self.folder.path().join("next");
        rustix::fs::mkfifoat(CWD, &next, Mode::RUSR | Mode::WUSR).expect("a FIFO can be made");
        fs::rename(next, self.answer()).expect("it can take the place of the file");
    }

    fn answer(&self) -> PathBuf {
        self.folder.path().join("credentials.json")
    }

    /// The file of its profile.
    pub fn config(&self) -> PathBuf {
        self.folder.path().join("config")
    }

    /// presignd with this provider as its only source of credentials.
    pub fn command(&self) -> Command {
        let mut command = presignd();
        command
            .env("AWS_CONFIG_FILE", self.config())
            .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
            .env("AWS_REGION", "us-east-1");
        command
    }

    /// Hands out credentials that end then.
    pub fn give(&self, end: SystemTime) {
        fs::write(self.answer(), credentials(Some(end))).expect("they can be written");
    }

    /// Hands out nothing any more.
    pub fn withdraw(&self) {
        fs::remove_file(self.answer()).expect("there was something");
    }

    /// Waits until a waiting provider is asked.
    pub async fn asked(&self) -> Asked {
        let path = self.answer();
        // Opening a FIFO for writing waits for the reader.
        let opened = tokio::task::spawn_blocking(move || OpenOptions::new().write(true).open(path));
        let opened = tokio::time::timeout(super::sidecar::PATIENCE, opened).await;
        Asked(opened.expect("presignd asks in time").unwrap().expect("the FIFO can be opened"))
    }
}

/// A question that waits for its answer; unanswered, it fails.
pub struct Asked(File);

impl Asked {
    /// Hands out credentials that do not end.
    pub fn answer(mut self) {
        self.0.write_all(credentials(None).as_bytes()).expect("presignd still waits");
    }
}

/// What a `credential_process` prints.
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

/// The time now, in whole seconds, and so much later.
pub fn from_now(later: Duration) -> SystemTime {
    let now = Clock::system().now().duration_since(SystemTime::UNIX_EPOCH).expect("it is after 1970");
    SystemTime::UNIX_EPOCH + Duration::from_secs(now.as_secs()) + later
}
