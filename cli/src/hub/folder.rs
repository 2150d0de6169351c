//! A repository in Marcato's own folder, changed by one process at a time and never seen half changed.
//!
//! `incoming/<commit>/` holds what is being loaded, and stays when that breaks off; a rename makes it
//! `snapshots/<commit>/`, and only then does a file in `refs/` name it. Locks lie outside, in `.locks/`, because a lock
//! in a folder that is removed would lock nothing.

use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use marcato::{ModelName, Models};

use super::manifest::Manifest;

/// The lock is released when it goes.
pub(super) struct Folder {
    root: PathBuf,
    _lock: File,
}

impl Folder {
    /// Waits for other processes that change the same repository.
    pub(super) fn lock(models: &Models, name: &ModelName) -> Result<Self> {
        let root = models.own().join(name.folder());
        let path = models.own().join(".locks").join(format!("{}.lock", name.folder()));
        let opened = path.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| File::create(&path));
        let lock = opened.with_context(|| format!("cannot write {}", path.display()))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                eprintln!("note: another process is changing {}; waiting for it", name.repository());
                lock.lock().with_context(|| format!("cannot lock {}", path.display()))?;
            }
            Err(TryLockError::Error(error)) => {
                return Err(error).with_context(|| format!("cannot lock {}", path.display()));
            }
        }
        Ok(Self { root, _lock: lock })
    }

    /// Where the files of a commit are, once they are all there.
    pub(super) fn snapshot(&self, commit: &str) -> PathBuf {
        self.root.join("snapshots").join(commit)
    }

    /// Where they are until then.
    pub(super) fn incoming(&self, commit: &str) -> Result<PathBuf> {
        let path = self.root.join("incoming").join(commit);
        fs::create_dir_all(&path).with_context(|| format!("cannot make {}", path.display()))?;
        Ok(path)
    }

    /// Makes a snapshot of what is in `incoming`: the files of the manifest, which are on the disk already.
    pub(super) fn install(&self, manifest: &Manifest) -> Result<PathBuf> {
        let (incoming, snapshot) = (self.incoming(&manifest.commit)?, self.snapshot(&manifest.commit));
        let install = || -> io::Result<()> {
            let known = |name: &str| name == Manifest::NAME || manifest.files.iter().any(|file| file.name == name);
            remove_others(&incoming, "", &known)?;
            write(&incoming.join(Manifest::NAME), &serde_json::to_vec_pretty(manifest)?)?;
            sync_folders(&incoming)?;
            let snapshots = self.root.join("snapshots");
            fs::create_dir_all(&snapshots)?;
            if snapshot.exists() {
                // Without a manifest, or it would have been found: not of our making, or damaged.
                fs::remove_dir_all(&snapshot)?;
            }
            fs::rename(&incoming, &snapshot)?;
            sync_folder(&snapshots)?;
            sync_folder(&self.root)
        };
        install().with_context(|| format!("cannot put the model into {}", snapshot.display()))?;
        // Gone if nothing else is being loaded.
        let _ = fs::remove_dir(self.root.join("incoming"));
        Ok(snapshot)
    }

    /// Lets a branch or tag mean a commit.
    pub(super) fn refer(&self, revision: &str, commit: &str) -> Result<()> {
        let path = self.root.join("refs").join(revision);
        let folder = path.parent().unwrap_or(&self.root);
        let refer = || -> io::Result<()> {
            fs::create_dir_all(folder)?;
            // Not beside it: every file below `refs` is a reference.
            let new = self.root.join("ref.new");
            write(&new, commit.as_bytes())?;
            fs::rename(&new, &path)?;
            sync_folder(folder)
        };
        refer().with_context(|| format!("cannot write {}", path.display()))
    }

    /// Removes a commit, and whatever refers to it.
    fn remove(&self, commit: &str, revisions: &[String]) -> Result<()> {
        let incoming = self.root.join("incoming");
        let removed = incoming.join(format!("{commit}.removed"));
        let remove = || -> io::Result<()> {
            for revision in revisions {
                fs::remove_file(self.root.join("refs").join(revision))?;
            }
            // First out of sight as a whole, then file by file.
            fs::create_dir_all(&incoming)?;
            if removed.exists() {
                fs::remove_dir_all(&removed)?;
            }
            fs::rename(self.snapshot(commit), &removed)?;
            fs::remove_dir_all(&removed)
        };
        remove().with_context(|| format!("cannot remove {}", self.snapshot(commit).display()))
    }

    /// Removes what broken-off downloads have left; whether there was any.
    fn remove_incoming(&self) -> Result<bool> {
        let incoming = self.root.join("incoming");
        let left = fs::read_dir(&incoming).is_ok_and(|mut entries| entries.next().is_some());
        if left {
            fs::remove_dir_all(&incoming).with_context(|| format!("cannot remove {}", incoming.display()))?;
        }
        Ok(left)
    }

    /// Removes the repository if no snapshot is left in it.
    fn tidy(&self) -> Result<()> {
        let is_empty = |folder: &str| fs::read_dir(self.root.join(folder)).map_or(0, Iterator::count) == 0;
        if is_empty("snapshots") && is_empty("incoming") && self.root.exists() {
            fs::remove_dir_all(&self.root).with_context(|| format!("cannot remove {}", self.root.display()))?;
        }
        Ok(())
    }
}

/// What an earlier attempt left that is not part of the model.
fn remove_others(folder: &Path, above: &str, known: &impl Fn(&str) -> bool) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = format!("{above}{}", entry.file_name().to_string_lossy());
        if entry.file_type()?.is_dir() {
            remove_others(&entry.path(), &format!("{name}/"), known)?;
        } else if !known(&name) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

fn write(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(content)?;
    file.sync_all()
}

fn sync_folders(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            sync_folders(&entry.path())?;
        }
    }
    sync_folder(folder)
}

/// The entries of a folder onto the disk. Windows has no such thing, and does it by itself.
#[cfg(unix)]
fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(not(unix))]
fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}

/// Removes a model from Marcato's own folder: the revision, or all if the name has none, and then what broken-off
/// downloads have left too. The commits that went.
pub(crate) fn remove(models: &Models, name: &ModelName) -> Result<Vec<String>> {
    let of = |candidate: &ModelName| {
        let is_meant = |model: &marcato::LocalModel| {
            let revision = name.revision();
            let named =
                |revision: &str| model.commit == revision || model.revisions.iter().any(|known| known == revision);
            model.source == marcato::ModelSource::Marcato
                && model.repository == candidate.repository()
                && revision.is_none_or(named)
        };
        models.list().into_iter().filter(is_meant).collect::<Vec<_>>()
    };
    for candidate in name.candidates() {
        if !models.own().join(candidate.folder()).exists() {
            continue;
        }
        let folder = Folder::lock(models, &candidate)?;
        let found = of(&candidate);
        for model in &found {
            folder.remove(&model.commit, &model.revisions)?;
        }
        let had_incoming = name.revision().is_none() && folder.remove_incoming()?;
        folder.tidy()?;
        if had_incoming || !found.is_empty() {
            return Ok(found.into_iter().map(|model| model.commit).collect());
        }
    }
    if let Ok(model) = models.find(name) {
        bail!(
            "{name} is not Marcato's own: it is in Hugging Face's cache, {}; its own program removes it (hf cache rm)",
            model.path.display()
        );
    }
    bail!("there is no model \"{name}\" in {}", models.own().display());
}
