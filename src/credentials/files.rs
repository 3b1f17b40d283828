//! Files that are looked at for a change.

use std::{collections::BTreeSet, os::unix::fs::MetadataExt, path::PathBuf, sync::Arc};

/// Files, and what they were when they were last looked at.
#[derive(Clone, Debug, Default)]
pub(super) struct Files(Arc<Vec<(PathBuf, Option<Print>)>>);

/// What changes with a file's content: which file is there (links followed), its size, and the times of its last changes.
type Print = (u64, u64, u64, (i64, i64), (i64, i64));

fn print_of(path: &PathBuf) -> Option<Print> {
    let found = std::fs::metadata(path).ok()?;
    let changed = ((found.mtime(), found.mtime_nsec()), (found.ctime(), found.ctime_nsec()));
    Some((found.dev(), found.ino(), found.size(), changed.0, changed.1))
}

impl Files {
    /// Looks at these.
    pub(super) async fn look(paths: BTreeSet<PathBuf>) -> Self {
        let look =
            move || paths.into_iter().map(|path| (print_of(&path), path)).map(|(print, path)| (path, print));
        // The files may be on a network's file system, which may hang.
        let looked = tokio::task::spawn_blocking(move || look().collect()).await;
        Self(Arc::new(looked.unwrap_or_default()))
    }

    /// Whether there are any.
    pub(super) fn are_there(&self) -> bool {
        !self.0.is_empty()
    }

    /// Whether one is not what it was.
    pub(super) async fn changed(&self) -> bool {
        let known = Arc::clone(&self.0);
        let look = move || known.iter().any(|(path, print)| print_of(path) != *print);
        self.are_there() && tokio::task::spawn_blocking(look).await.unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[tokio::test]
    async fn every_way_to_change_a_file_is_seen_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("one"), "old").unwrap();
        fs::write(path("two"), "old").unwrap();
        std::os::unix::fs::symlink(path("one"), path("link")).unwrap();
        let watched = || BTreeSet::from([path("one"), path("link"), path("missing")]);

        let files = Files::look(watched()).await;
        assert!(!files.changed().await);
        fs::read(path("one")).unwrap();
        assert!(!files.changed().await, "reading changes nothing");

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
            let files = Files::look(watched()).await;
            change();
            assert!(files.changed().await, "{what}");
        }
        assert!(!Files::default().changed().await);
    }
}
