//! A repository in a cache: references to commits, and a folder of files for each commit.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::{LocalModel, ModelSource};

/// The revision that a name without one means.
const MAIN: &str = "main";

/// What a cache has of a repository.
#[derive(Default)]
pub(super) struct Repository {
    root: PathBuf,
    /// From revision to commit.
    refs: BTreeMap<String, String>,
    pub(super) snapshots: Vec<String>,
}

impl Repository {
    pub(super) fn read(cache: &Path, folder: &str) -> Self {
        let root = cache.join(folder);
        let mut refs = BTreeMap::new();
        read_refs(&root.join("refs"), "", 0, &mut refs);
        let snapshots = names(&root.join("snapshots")).into_iter().filter(|name| is_commit(name)).collect();
        Self { root, refs, snapshots }
    }

    pub(super) fn commit(&self, revision: Option<&str>) -> Option<String> {
        let revision = revision.unwrap_or(MAIN);
        let commit = self.refs.get(revision).map_or(revision, String::as_str);
        self.snapshots.iter().find(|snapshot| *snapshot == commit).cloned()
    }

    pub(super) fn model(&self, repository: &str, commit: String, source: ModelSource) -> Option<LocalModel> {
        let path = self.root.join("snapshots").join(&commit);
        let means = |(revision, of): (&String, &String)| (*of == commit).then(|| revision.clone());
        let revisions = self.refs.iter().filter_map(means).collect();
        path.is_dir().then(|| LocalModel { repository: repository.to_owned(), commit, revisions, path, source })
    }
}

/// References by their names, which may have slashes (`refs/pr/1`), to a depth that no honest cache exceeds.
fn read_refs(folder: &Path, above: &str, depth: usize, refs: &mut BTreeMap<String, String>) {
    for name in names(folder) {
        let (path, name) = (folder.join(&name), format!("{above}{name}"));
        if path.is_dir() && depth < 8 {
            read_refs(&path, &format!("{name}/"), depth + 1, refs);
        } else if path.metadata().is_ok_and(|file| file.is_file() && file.len() < 1024)
            && let Ok(commit) = fs::read_to_string(&path)
            && is_commit(commit.trim())
        {
            refs.insert(name, commit.trim().to_owned());
        }
    }
}

/// What is in a folder, in alphabetical order; nothing if it cannot be read.
pub(super) fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    names
}

/// A whole commit in hexadecimal, which makes a harmless name for a folder.
fn is_commit(text: &str) -> bool {
    text.len() == 40 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}
