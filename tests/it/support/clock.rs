//! A fake clock for one process, set by the test: libfaketime intercepts the clock calls of the process.

use std::{fs, path::PathBuf, process::Command, sync::OnceLock, time::Duration};

use presignd::pb::{PresignRequest, PresignedRequest};
use prost_types::Timestamp;
use tempfile::TempDir;
use tokio::time::timeout;

use super::{
    grpc::{get, presigned, seconds},
    provider::from_now,
    python,
    sidecar::{PATIENCE, Sidecar},
};

/// The clocks of the process that are faked.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum FakedClocks {
    /// Only the system time, as if an operator or NTP sets it.
    SystemTime,
    /// The system time and the monotonic clock, as if time passes.
    All,
}

/// The fake clock of a process. It has the real time until it is set.
pub struct FakeClock {
    folder: TempDir,
}

impl FakeClock {
    /// Attaches a fake clock to a process that is not started yet.
    pub fn attach(command: &mut Command, clocks: FakedClocks) -> Self {
        let clock = Self { folder: tempfile::tempdir().expect("a folder can be made") };
        clock.set(0);
        command.env("LD_PRELOAD", library()).env("FAKETIME_TIMESTAMP_FILE", clock.file());
        // libfaketime reads the file once a second. Meanwhile other threads can see the real time, so there are few
        // threads.
        command.env("FAKETIME_CACHE_DURATION", "1").env("FAKETIME_FORCE_MONOTONIC_FIX", "0");
        command.env("TOKIO_WORKER_THREADS", "1");
        if clocks == FakedClocks::SystemTime {
            command.env("DONT_FAKE_MONOTONIC", "1");
        }
        clock
    }

    /// Sets the clock to the real time plus `offset` seconds. The process sees it within a second.
    pub fn set(&self, offset: i64) {
        let next = self.folder.path().join("next");
        fs::write(&next, format!("{offset:+}")).expect("the offset can be written");
        fs::rename(next, self.file()).expect("the offset can be set");
    }

    /// Sets the clock, and waits until URLs are signed with the new time.
    pub async fn set_and_wait(&self, sidecar: &Sidecar, offset: i64) {
        self.set(offset);
        let mut client = sidecar.client().await;
        // The URL does not outlive the credentials, so it causes no early refresh.
        let short = PresignRequest { expires_in: Some(seconds(1)), ..get("key") };
        let signing = async {
            let mut pace = tokio::time::interval(Duration::from_millis(20));
            loop {
                pace.tick().await;
                let url = presigned(client.presign(short.clone()).await);
                if (signed_from_now(&url) - offset).abs() < 5 {
                    return;
                }
            }
        };
        timeout(PATIENCE, signing).await.expect("the clock is set in time");
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("offset")
    }
}

/// The path of libfaketime in the virtual environment of the project.
fn library() -> &'static str {
    static LIBRARY: OnceLock<String> = OnceLock::new();
    LIBRARY.get_or_init(|| {
        let mut command = Command::new(python::interpreter());
        command.args(["-c", "import libfaketime; print(libfaketime.__path__[0])"]);
        let package = python::run(command, "").trim().to_owned();
        let path = format!("{package}/vendor/libfaketime/src/libfaketime.so.1");
        assert!(PathBuf::from(&path).is_file(), "no libfaketime at {path:?}");
        path
    })
}

/// The signing time of a URL minus the real time, in seconds.
pub fn signed_from_now(presigned: &PresignedRequest) -> i64 {
    let now = Timestamp::from(from_now(Duration::ZERO)).seconds;
    presigned.signed_at.expect("every URL has a time").seconds - now
}
