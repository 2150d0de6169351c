//! `marcato.json`: what was pulled, kept beside the files so that they can be verified at any time.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

const VERSION: u32 = 1;

/// The files of a model as they were when the hub's word for them had been checked.
#[derive(Serialize, Deserialize, Debug)]
pub(crate) struct Manifest {
    version: u32,
    /// `org/name`.
    pub(crate) repository: String,
    pub(crate) commit: String,
    /// In alphabetical order.
    pub(crate) files: Vec<ManifestFile>,
}

#[derive(Serialize, Deserialize, Debug)]
pub(crate) struct ManifestFile {
    /// Relative to the model's directory, with `/`.
    pub(crate) name: String,
    pub(crate) bytes: u64,
    /// In hexadecimal.
    pub(crate) sha256: String,
}

impl Manifest {
    pub(crate) const NAME: &str = "marcato.json";

    pub(super) fn new(repository: &str, commit: &str, mut files: Vec<ManifestFile>) -> Self {
        files.sort_by(|a, b| a.name.cmp(&b.name));
        Self { version: VERSION, repository: repository.to_owned(), commit: commit.to_owned(), files }
    }

    /// Of the model in `directory`; `None` if it was not pulled.
    pub(crate) fn read(directory: &Path) -> Result<Option<Self>> {
        let path = directory.join(Self::NAME);
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
        };
        let manifest: Self = serde_json::from_slice(&text).with_context(|| format!("{} is damaged", path.display()))?;
        if manifest.version != VERSION {
            bail!("{} is of version {}; this program knows {VERSION}", path.display(), manifest.version);
        }
        Ok(Some(manifest))
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }
}
