//! The Hugging Face hub, which is asked by `marcato model pull` and by nothing else.
//!
//! A model is pinned to the commit that its name means at that moment. The hub lists each file of it with its size and
//! hash; nothing is kept whose content is not that, and the model appears when all of it is on the disk.

mod client;
pub(crate) mod digest;
mod download;
mod environment;
mod failure;
mod folder;
mod listing;
pub(crate) mod manifest;
mod select;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Error, Result, anyhow};
use indicatif::ProgressBar;
use marcato::{ModelName, Models};

pub(crate) use folder::remove;

use crate::progress;
use client::Client;
use environment::Hub;
use failure::Failure;
use folder::Folder;
use listing::Listing;
use manifest::{Manifest, ManifestFile};

/// A model that is here now.
pub(crate) struct Pulled {
    /// `org/name`.
    pub(crate) repository: String,
    pub(crate) commit: String,
    pub(crate) path: PathBuf,
    pub(crate) files: usize,
    pub(crate) bytes: u64,
    /// Whether it was here already.
    pub(crate) was_here: bool,
}

/// Gets a model into Marcato's own folder.
pub(crate) fn pull(models: &Models, name: &ModelName) -> Result<Pulled> {
    let client = Client::new(Hub::from_env()?);
    let (name, listing) = ask(&client, name)?;
    let folder = Folder::lock(models, &name)?;
    let here = folder.snapshot(&listing.commit);
    let found = Manifest::read(&here).unwrap_or_default();
    let was_here = found.is_some();
    let (path, manifest) = match found {
        Some(manifest) => (here, manifest),
        None => {
            let manifest = load(&client, &name, &listing, &folder)
                .with_context(|| format!("cannot get {} at {}", name.repository(), listing.commit))?;
            (folder.install(&manifest)?, manifest)
        }
    };
    let revision = name.revision().unwrap_or("main");
    if revision != listing.commit {
        folder.refer(revision, &listing.commit)?;
    }
    Ok(Pulled {
        repository: name.repository().to_owned(),
        commit: listing.commit,
        path,
        files: manifest.files.len(),
        bytes: manifest.bytes(),
        was_here,
    })
}

/// The first of the names that `name` may stand for which the hub knows, with what it has there.
fn ask(client: &Client, name: &ModelName) -> Result<(ModelName, Listing)> {
    let mut absent: Option<Error> = None;
    for candidate in name.candidates() {
        match Listing::ask(client, &candidate) {
            Ok(listing) => return Ok((candidate, listing)),
            Err(failure) if failure.is_absent() => {
                absent.get_or_insert(failure.into_error());
            }
            Err(failure) => return Err(failure.into_error().context(format!("cannot get {candidate}"))),
        }
    }
    let absent = absent.unwrap_or_else(|| anyhow!("it has no name"));
    Err(absent.context(format!("the hub has no model \"{name}\"; a private one needs HF_TOKEN")))
}

/// Loads every file of the model into `incoming`.
fn load(client: &Client, name: &ModelName, listing: &Listing, folder: &Folder) -> Result<Manifest> {
    let incoming = folder.incoming(&listing.commit)?;
    let get = |wanted: &select::Wanted, bar: &ProgressBar| -> Result<ManifestFile> {
        let from = format!("/{}/resolve/{}/{}", name.repository(), listing.commit, wanted.name);
        let sums = download::download(client, &from, wanted, &incoming.join(&wanted.name), bar);
        let sums = sums.map_err(Failure::into_error)?;
        Ok(ManifestFile { name: wanted.name.clone(), bytes: wanted.bytes, sha256: sums.sha256 })
    };
    // Some of the folders are named in a file, so that one comes first.
    let folders = if listing.files.contains_key(select::MODULES) {
        get(&select::wanted(listing, select::MODULES)?, &ProgressBar::hidden())?;
        select::folders(&read(&incoming.join(select::MODULES))?)?
    } else {
        Vec::new()
    };
    let wanted = select::select(listing, &folders)?;
    let bar = progress::bytes(wanted.iter().map(|file| file.bytes).sum());
    bar.set_message(name.repository().to_owned());
    let files = wanted.iter().map(|file| get(file, &bar)).collect::<Result<Vec<_>>>();
    bar.finish_and_clear();
    Ok(Manifest::new(name.repository(), &listing.commit, files?))
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}
