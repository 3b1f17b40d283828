//! Detects changes of files by polling.

use std::{
    collections::{BTreeMap, BTreeSet},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::task::{JoinHandle, spawn_blocking};

/// How long one check may take. The files may be on a network file system, which may hang.
const CHECK_TIMEOUT: Duration = Duration::from_millis(500);

/// The files to check, and their fingerprints.
#[derive(Debug, Default)]
pub(super) struct WatchedFiles {
    paths: BTreeSet<PathBuf>,
    /// The fingerprints when the files were last read.
    known: Fingerprints,
    /// The fingerprints of the previous check.
    previous: Option<Fingerprints>,
    /// The running check, if any: only one runs at a time.
    reading: Option<JoinHandle<Fingerprints>>,
}

/// A fingerprint for each file that exists.
type Fingerprints = BTreeMap<PathBuf, FileFingerprint>;

/// Device, inode, size, modification time and status change time of a file, after following links. At least one of them
/// changes when the content does.
type FileFingerprint = (u64, u64, u64, (i64, i64), (i64, i64));

fn fingerprint_of(path: &Path) -> Option<FileFingerprint> {
    let metadata = std::fs::metadata(path).ok()?;
    let changed = ((metadata.mtime(), metadata.mtime_nsec()), (metadata.ctime(), metadata.ctime_nsec()));
    Some((metadata.dev(), metadata.ino(), metadata.size(), changed.0, changed.1))
}

impl WatchedFiles {
    /// Replaces the files to check. Their current fingerprints become the known ones.
    pub(super) async fn watch(&mut self, paths: BTreeSet<PathBuf>) {
        self.paths = paths;
        if let Some(fingerprints) = self.read_fingerprints().await {
            self.known = fingerprints;
            self.previous = None;
        }
    }

    /// Whether there are no files to check.
    pub(super) fn is_empty(&self) -> bool {
        self.paths.is_empty()
    }

    /// Whether a file has changed and was stable for two checks. An unstable file may be incomplete.
    pub(super) async fn check_for_change(&mut self) -> bool {
        if self.is_empty() {
            return false;
        }
        let Some(fingerprints) = self.read_fingerprints().await else { return false };
        let settled = self.previous.as_ref() == Some(&fingerprints);
        let changed = fingerprints != self.known;
        self.previous = Some(fingerprints);
        changed && settled
    }

    async fn read_fingerprints(&mut self) -> Option<Fingerprints> {
        let paths = self.paths.clone();
        let reading = self.reading.get_or_insert_with(|| {
            spawn_blocking(move || {
                paths
                    .into_iter()
                    .filter_map(|path| fingerprint_of(&path).map(|fingerprint| (path, fingerprint)))
                    .collect()
            })
        });
        let read = tokio::time::timeout(CHECK_TIMEOUT, reading).await.ok()?;
        self.reading = None;
        read.ok()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[tokio::test]
    async fn every_change_is_detected_once_the_file_is_stable() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("one"), "old").unwrap();
        fs::write(path("two"), "old").unwrap();
        std::os::unix::fs::symlink(path("one"), path("link")).unwrap();
        let watched = || BTreeSet::from([path("one"), path("link"), path("missing")]);

        let mut files = WatchedFiles::default();
        files.watch(watched()).await;
        fs::read(path("one")).unwrap();
        assert!(!files.check_for_change().await && !files.check_for_change().await, "reading is no change");

        let changes: [(&str, &dyn Fn()); 5] = [
            ("written to", &|| fs::write(path("one"), "longer").unwrap()),
            ("replaced", &|| fs::rename(path("two"), path("one")).unwrap()),
            ("linked to another file", &|| {
                fs::write(path("other"), "longer").unwrap();
                std::os::unix::fs::symlink(path("other"), path("new")).unwrap();
                fs::rename(path("new"), path("link")).unwrap();
            }),
            ("created", &|| fs::write(path("missing"), "").unwrap()),
            ("removed", &|| fs::remove_file(path("missing")).unwrap()),
        ];
        for (what, change) in changes {
            files.watch(watched()).await;
            change();
            assert!(!files.check_for_change().await, "not stable yet: {what}");
            assert!(files.check_for_change().await, "{what}");
        }
        assert!(!WatchedFiles::default().check_for_change().await);
    }

    #[tokio::test]
    async fn a_file_that_keeps_changing_is_not_reported() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let mut files = WatchedFiles::default();
        files.watch(BTreeSet::from([path.clone()])).await;
        for length in 1..5 {
            fs::write(&path, "x".repeat(length)).unwrap();
            assert!(!files.check_for_change().await);
        }
        assert!(files.check_for_change().await);
    }
}
