//! A clock of its own for one process: libfaketime stands between it and the system's, and the test sets it.

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

/// Which of a process's clocks are set.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Sets {
    /// The time of day alone, as when an operator or NTP sets it.
    TimeOfDay,
    /// The monotonic clock too, as when time passes.
    AllTime,
}

/// The clock of a process, which goes right until it is set.
pub struct OwnClock {
    folder: TempDir,
}

impl OwnClock {
    /// Gives a process that is about to start a clock of its own.
    pub fn of(command: &mut Command, sets: Sets) -> Self {
        let clock = Self { folder: tempfile::tempdir().expect("a folder can be made") };
        clock.set(0);
        command.env("LD_PRELOAD", library()).env("FAKETIME_TIMESTAMP_FILE", clock.file());
        // It looks at the file once in a second. While it does, other threads may see the right time: there are few.
        command.env("FAKETIME_CACHE_DURATION", "1").env("FAKETIME_FORCE_MONOTONIC_FIX", "0");
        command.env("TOKIO_WORKER_THREADS", "1");
        if sets == Sets::TimeOfDay {
            command.env("DONT_FAKE_MONOTONIC", "1");
        }
        clock
    }

    /// Sets it to so many seconds from the right time. The process knows within a second.
    pub fn set(&self, offset: i64) {
        let next = self.folder.path().join("next");
        fs::write(&next, format!("{offset:+}")).expect("the offset can be written");
        fs::rename(next, self.file()).expect("the offset can be set");
    }

    /// Sets it, and waits until URLs are signed by it.
    pub async fn set_for(&self, sidecar: &Sidecar, offset: i64) {
        self.set(offset);
        let mut client = sidecar.client().await;
        // It outlives no credentials, so that it has none renewed.
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

/// libfaketime, where the project's Python has it.
fn library() -> &'static str {
    static LIBRARY: OnceLock<String> = OnceLock::new();
    LIBRARY.get_or_init(|| {
        let mut command = Command::new(python::interpreter());
        command.args(["-c", "import libfaketime; print(libfaketime.__path__[0])"]);
        let package = python::run(command, "").trim().to_owned();
        let path = format!("{package}/vendor/libfaketime/src/libfaketime.so.1");
        assert!(PathBuf::from(&path).is_file(), "libfaketime is at {path:?}");
        path
    })
}

/// How far from the right time a URL was signed, in seconds.
pub fn signed_from_now(presigned: &PresignedRequest) -> i64 {
    let now = Timestamp::from(from_now(Duration::ZERO)).seconds;
    presigned.signed_at.expect("every URL has a time").seconds - now
}
