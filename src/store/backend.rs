//! The redb file itself: made complete or not at all, opened with its lock, repaired after a crash.

use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use redb::backends::InMemoryBackend;
use redb::{Builder, Database, ReadOnlyDatabase};

use super::codec::{LexicalSettings, Settings, State};
use super::{CACHE_BYTES, failed, write};
use crate::error::{Error, Result};

fn builder() -> Builder {
    let mut builder = Database::builder();
    builder.set_cache_size(CACHE_BYTES);
    builder
}

pub(super) fn create(path: &Path, settings: &Settings, lexical: &LexicalSettings) -> Result<()> {
    make(path, |database| initialize(database, settings, lexical))
}

/// Makes the file under another name and renames it when `fill` has made it whole: a crash leaves no half-made collection.
pub(super) fn make(path: &Path, fill: impl FnOnce(&Database) -> Result<()>) -> Result<()> {
    let unfinished = path.with_extension("new");
    let database = match builder().create(&unfinished) {
        Err(redb::DatabaseError::DatabaseAlreadyOpen) => {
            return Err(located(failed(redb::Error::DatabaseAlreadyOpen), path));
        }
        // What an earlier attempt left half made; nobody holds it.
        Err(_) if unfinished.exists() => {
            std::fs::remove_file(&unfinished).map_err(|source| Error::io("make the store", &unfinished, source))?;
            builder().create(&unfinished).map_err(|error| located(failed(error), path))?
        }
        other => other.map_err(|error| located(failed(error), path))?,
    };
    // Asked with the lock held: whoever else makes a store here holds it too, or has renamed already.
    if path.exists() {
        drop(database);
        let _ = std::fs::remove_file(&unfinished);
        return Err(Error::misuse(format!("{} is there already; open it", path.display())).with_path(path));
    }
    if let Err(error) = fill(&database) {
        drop(database);
        let _ = std::fs::remove_file(&unfinished);
        return Err(error);
    }
    database.close().map_err(|error| located(failed(error), path))?;
    std::fs::rename(&unfinished, path).map_err(|source| Error::io("make the store", path, source))?;
    sync_directory(path)
}

pub(super) fn in_memory(settings: &Settings, lexical: &LexicalSettings) -> Result<Database> {
    let database = builder().create_with_backend(InMemoryBackend::new()).map_err(failed)?;
    initialize(&database, settings, lexical)?;
    Ok(database)
}

fn initialize(database: &Database, settings: &Settings, lexical: &LexicalSettings) -> Result<()> {
    let mut transaction = database.begin_write().map_err(failed)?;
    transaction.set_quick_repair(true);
    write::initialize(&transaction, settings, lexical, &State::default())?;
    transaction.commit().map_err(failed)
}

pub(super) fn open(path: &Path, on_repair: &mut (dyn FnMut(u64) + Send)) -> Result<Database> {
    check_present(path)?;
    // redb wants a callback that outlives the call; percentages are passed on when it is back.
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&seen);
    let mut builder = builder();
    builder.set_repair_callback(move |session| {
        let percent = (session.progress() * 100.0).clamp(0.0, 100.0) as u64;
        log.lock().unwrap_or_else(PoisonError::into_inner).push(percent);
    });
    let opened = catch_unwind(AssertUnwindSafe(|| builder.open(path)));
    let percents = std::mem::take(&mut *seen.lock().unwrap_or_else(PoisonError::into_inner));
    percents.into_iter().for_each(on_repair);
    opened.map_err(|_| damaged(path))?.map_err(|error| located(failed(error), path))
}

pub(super) fn open_read_only(path: &Path) -> Result<ReadOnlyDatabase> {
    check_present(path)?;
    let opened = catch_unwind(AssertUnwindSafe(|| builder().open_read_only(path)));
    opened.map_err(|_| damaged(path))?.map_err(|error| match error {
        redb::DatabaseError::RepairAborted => Error::misuse(format!(
            "{} was not closed cleanly: open the collection for writing once, which mends it",
            path.display()
        ))
        .with_path(path),
        error => located(failed(error), path),
    })
}

/// redb makes a new database of an empty file; to us that is a collection that was lost.
fn check_present(path: &Path) -> Result<()> {
    let metadata = std::fs::metadata(path).map_err(|source| Error::io("open the store", path, source))?;
    if metadata.len() == 0 { Err(damaged(path)) } else { Ok(()) }
}

fn damaged(path: &Path) -> Error {
    Error::corrupt(format!("{} is damaged or no store; restore the collection from a copy", path.display()))
        .with_path(path)
}

fn located(error: Error, path: &Path) -> Error {
    Error::new(error.kind(), format!("{}: {error}", path.display())).with_path(path).with_source(error)
}

/// Makes a rename in the directory of `path` durable. Elsewhere than on Unix the file system does it by itself.
fn sync_directory(path: &Path) -> Result<()> {
    if cfg!(unix) {
        let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(directory)
            .and_then(|directory| directory.sync_all())
            .map_err(|source| Error::io("make durable", directory, source))?;
    }
    Ok(())
}
