//! Where a model's files are: a directory as Hugging Face lays it out, or an artifact with the same names inside.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use super::artifact::{Artifact, Card};
use super::blob::Blob;
use crate::error::{Error, ErrorKind, Result};

/// The most bytes that a configuration file or tokenizer may have.
const MAX_CONFIG_BYTES: u64 = 64 << 20;

/// A model's files by their names relative to its root.
pub(crate) struct ModelFiles {
    pub(super) place: Place,
    /// The small files that were asked for: those that an artifact of the model has to take along.
    read: RefCell<BTreeSet<String>>,
}

pub(super) enum Place {
    Directory(PathBuf),
    Artifact(Artifact),
}

impl ModelFiles {
    /// A directory, or an artifact if `path` is a file.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let metadata = std::fs::metadata(path).map_err(|source| Error::io("open the model", path, source))?;
        if metadata.is_dir() { Self::directory(path) } else { Self::artifact(Blob::read(path)?, path) }
    }

    pub(super) fn directory(path: &Path) -> Result<Self> {
        let root = path.canonicalize().map_err(|source| Error::io("open the model", path, source))?;
        Ok(Self { place: Place::Directory(root), read: RefCell::default() })
    }

    pub(super) fn artifact(bytes: Blob, path: &Path) -> Result<Self> {
        Ok(Self { place: Place::Artifact(Artifact::parse(bytes, path)?), read: RefCell::default() })
    }

    /// A small file; `None` if the model has none of that name.
    pub(super) fn optional(&self, name: &str) -> Result<Option<Blob>> {
        let blob = self.peek(name)?;
        if blob.is_some() {
            self.read.borrow_mut().insert(name.to_owned());
        }
        Ok(blob)
    }

    /// The files that were there when they were asked for.
    pub(super) fn taken(&self) -> Result<Vec<(String, Blob)>> {
        let named = |name: &String| Ok((name.clone(), self.peek(name)?));
        let files = self.read.borrow().iter().map(named).collect::<Result<Vec<_>>>()?;
        Ok(files.into_iter().filter_map(|(name, blob)| Some((name, blob?))).collect())
    }

    fn peek(&self, name: &str) -> Result<Option<Blob>> {
        match &self.place {
            Place::Artifact(artifact) => Ok(artifact.file(name)),
            Place::Directory(root) => match resolve(root, name) {
                Ok(path) => Blob::read_within(&path, MAX_CONFIG_BYTES).map(Some),
                Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
                Err(error) => Err(error),
            },
        }
    }

    /// A small file that the model cannot do without.
    pub(super) fn required(&self, name: &str) -> Result<Blob> {
        self.optional(name)?.ok_or_else(|| {
            Error::model(format!(
                "{} has no {name}; a sentence-transformers model directory is expected",
                self.location().display()
            ))
            .with_path(self.location())
        })
    }

    /// The path of a weights file in a directory.
    pub(super) fn weights_path(root: &Path, name: &str) -> Result<Option<PathBuf>> {
        match resolve(root, name) {
            Ok(path) => Ok(Some(path)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(super) fn location(&self) -> &Path {
        match &self.place {
            Place::Directory(root) => root,
            Place::Artifact(artifact) => artifact.location(),
        }
    }

    /// Who made the model and under which terms, as far as the files say.
    pub(super) fn card(&self) -> Card {
        match &self.place {
            Place::Artifact(artifact) => artifact.card().clone(),
            Place::Directory(root) => Card {
                name: directory_name(root),
                licence: self.peek("README.md").ok().flatten().and_then(|readme| licence(readme.as_slice())),
                drift: None,
                score_drift: None,
                fingerprint: None,
                similarity: None,
            },
        }
    }
}

/// What a directory calls its model: its own name, or that of the repository if it is a snapshot in Hugging Face's
/// cache (`models--org--name/snapshots/<commit>`), which the table of known models needs.
fn directory_name(root: &Path) -> String {
    let name = |path: &Path| path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let snapshots = root.parent().filter(|parent| name(parent) == "snapshots");
    let repository = snapshots.and_then(Path::parent).map(name).unwrap_or_default();
    match repository.strip_prefix("models--") {
        Some(repository) => repository.replacen("--", "/", 1),
        None => name(root),
    }
}

/// `license: apache-2.0` in the front matter of a model card.
fn licence(readme: &[u8]) -> Option<String> {
    let readme = std::str::from_utf8(readme).ok()?;
    let front_matter = readme.strip_prefix("---")?.split("\n---").next()?;
    let licence = front_matter.lines().find_map(|line| line.strip_prefix("license:"))?.trim();
    (!licence.is_empty()).then(|| licence.to_owned())
}

/// `name` under `root`, refusing whatever could lead out of the model: names come from its own JSON files.
///
/// A symbolic link may point inside the model or into the `blobs` of its own Hugging Face cache entry.
fn resolve(root: &Path, name: &str) -> Result<PathBuf> {
    let path = Path::new(name);
    let plain = path.components().all(|component| matches!(component, Component::Normal(_)));
    if !plain || name.contains(['\\', ':', '\0']) {
        return Err(Error::model(format!("the model refers to \"{name}\", which is not a plain relative path")));
    }
    let path = root.join(path);
    let target = path.canonicalize().map_err(|source| Error::io("open", &path, source))?;
    let blobs = root.parent().and_then(Path::parent).map(|repository| repository.join("blobs"));
    if target.starts_with(root) || blobs.is_some_and(|blobs| target.starts_with(blobs)) {
        Ok(target)
    } else {
        Err(Error::model(format!("{} leads out of the model, to {}", path.display(), target.display())).with_path(path))
    }
}
