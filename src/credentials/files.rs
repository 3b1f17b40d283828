//! Files that are looked at for a change.

use std::{
    collections::{BTreeMap, BTreeSet},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::task::{JoinHandle, spawn_blocking};

/// How long a look may take. The files may be on a network's file system, which may hang.
const LOOK_LIMIT: Duration = Duration::from_millis(500);

/// Files, and what they were when they were last looked at.
#[derive(Debug, Default)]
pub(super) struct Files {
    paths: BTreeSet<PathBuf>,
    known: Prints,
    /// What was seen the last time.
    seen: Option<Prints>,
    /// A look that has not ended yet: there is never another one beside it.
    look: Option<JoinHandle<Prints>>,
}

/// Of each file that is there.
type Prints = BTreeMap<PathBuf, Print>;

/// What changes with a file's content: which file is there (links followed), its size, and the times of its last changes.
type Print = (u64, u64, u64, (i64, i64), (i64, i64));

fn print_of(path: &Path) -> Option<Print> {
    let found = std::fs::metadata(path).ok()?;
    let changed = ((found.mtime(), found.mtime_nsec()), (found.ctime(), found.ctime_nsec()));
    Some((found.dev(), found.ino(), found.size(), changed.0, changed.1))
}

impl Files {
    /// These from now on, as they are now.
    pub(super) async fn watch(&mut self, paths: BTreeSet<PathBuf>) {
        self.paths = paths;
        if let Some(prints) = self.look().await {
            self.known = prints;
            self.seen = None;
        }
    }

    /// Whether there are any.
    pub(super) fn are_there(&self) -> bool {
        !self.paths.is_empty()
    }

    /// Whether one is not what it was, and has been the same for two looks: it may be being written.
    pub(super) async fn have_changed(&mut self) -> bool {
        if !self.are_there() {
            return false;
        }
        let Some(prints) = self.look().await else { return false };
        let settled = self.seen.as_ref() == Some(&prints);
        let changed = prints != self.known;
        self.seen = Some(prints);
        changed && settled
    }

    async fn look(&mut self) -> Option<Prints> {
        let paths = self.paths.clone();
        let look = self.look.get_or_insert_with(|| {
            spawn_blocking(move || {
                paths.into_iter().filter_map(|path| print_of(&path).map(|print| (path, print))).collect()
            })
        });
        let looked = tokio::time::timeout(LOOK_LIMIT, look).await.ok()?;
        self.look = None;
        looked.ok()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[tokio::test]
    async fn every_way_to_change_a_file_is_seen_once_it_has_settled_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("one"), "old").unwrap();
        fs::write(path("two"), "old").unwrap();
        std::os::unix::fs::symlink(path("one"), path("link")).unwrap();
        let watched = || BTreeSet::from([path("one"), path("link"), path("missing")]);

        let mut files = Files::default();
        files.watch(watched()).await;
        fs::read(path("one")).unwrap();
        assert!(!files.have_changed().await && !files.have_changed().await, "reading changes nothing");

        let changes: [(&str, &dyn Fn()); 5] = [
            ("written to", &|| fs::write(path("one"), "longer").unwrap()),
            ("replaced", &|| fs::rename(path("two"), path("one")).unwrap()),
            ("a link to another", &|| {
                fs::write(path("other"), "longer").unwrap();
                std::os::unix::fs::symlink(path("other"), path("new")).unwrap();
                fs::rename(path("new"), path("link")).unwrap();
            }),
            ("come", &|| fs::write(path("missing"), "").unwrap()),
            ("gone", &|| fs::remove_file(path("missing")).unwrap()),
        ];
        for (what, change) in changes {
            files.watch(watched()).await;
            change();
            assert!(!files.have_changed().await, "it may still be being written: {what}");
            assert!(files.have_changed().await, "{what}");
        }
        assert!(!Files::default().have_changed().await);
    }

    #[tokio::test]
    async fn a_file_that_goes_on_changing_is_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let mut files = Files::default();
        files.watch(BTreeSet::from([path.clone()])).await;
        for length in 1..5 {
            fs::write(&path, "x".repeat(length)).unwrap();
            assert!(!files.have_changed().await);
        }
        assert!(files.have_changed().await);
    }
}
