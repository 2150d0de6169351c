//! The redb file itself: made complete or not at all, opened with its lock, repaired after a crash.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use redb::backends::InMemoryBackend;
use redb::{Builder, Database, DatabaseError, ReadOnlyDatabase, StorageBackend};

use super::codec::{LexicalSettings, Settings, State};
use super::{CACHE_BYTES, failed, write};
use crate::error::{Error, Result};
use crate::medium::{FileSystem, Medium, StoreFile, directory_of};

fn builder() -> Builder {
    let mut builder = Database::builder();
    builder.set_cache_size(CACHE_BYTES);
    builder
}

/// A file of another medium than the file system, as redb sees it.
#[derive(Debug)]
struct Backend(Box<dyn StoreFile>);

impl StorageBackend for Backend {
    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.read(offset, out)
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.0.set_len(length)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.write(offset, data)
    }
}

fn database(builder: &Builder, medium: &dyn Medium, path: &Path, create: bool) -> Result<Database, DatabaseError> {
    match medium.store_file(path, create) {
        Some(file) => builder.create_with_backend(Backend(file.map_err(redb::StorageError::Io)?)),
        None if create => builder.create(path),
        None => builder.open(path),
    }
}

pub(super) fn create(medium: &dyn Medium, path: &Path, settings: &Settings, lexical: &LexicalSettings) -> Result<()> {
    make(medium, path, |database| initialize(database, settings, lexical))
}

/// Makes the file under another name and renames it when `fill` has made it whole: a crash leaves no half-made collection.
pub(super) fn make(medium: &dyn Medium, path: &Path, fill: impl FnOnce(&Database) -> Result<()>) -> Result<()> {
    // Asked with the lock held, which whoever else makes a store here keeps until it has the name: the file that is locked
    // may have got it just now, and must not be touched.
    let nobody_else_did = || match medium.exists(path) {
        Ok(false) => Ok(()),
        Ok(true) => Err(Error::misuse(format!("{} is there already; open it", path.display())).with_path(path)),
        Err(source) => Err(Error::io("make the store", path, source)),
    };
    let database = make_beside(medium, path, nobody_else_did, fill)?;
    put_in_place(medium, &unfinished(path), path)?;
    database.close().map_err(|error| located(failed(error), path))?;
    settle(medium, path)
}

/// A file under another name than `path`, if it still `may` be made once it is locked; made whole by `fill`, and open.
pub(super) fn make_beside(
    medium: &dyn Medium,
    path: &Path,
    may: impl FnOnce() -> Result<()>,
    fill: impl FnOnce(&Database) -> Result<()>,
) -> Result<Database> {
    let unfinished = unfinished(path);
    let made = begin(medium, &unfinished).map_err(|error| located(error, path))?;
    let filled = may().and_then(|()| clear(&made)).and_then(|()| fill(&made));
    match filled {
        Ok(()) => Ok(made),
        Err(error) => {
            drop(made);
            let _ = medium.remove(&unfinished);
            Err(error)
        }
    }
}

/// A file at `path`, which may be there from an earlier attempt.
pub(super) fn begin(medium: &dyn Medium, path: &Path) -> Result<Database> {
    let failed_to_make = |source| Error::io("make the store", path, source);
    match database(&builder(), medium, path, true) {
        Err(DatabaseError::DatabaseAlreadyOpen) => Err(failed(redb::Error::DatabaseAlreadyOpen)),
        // What an earlier attempt left half made; nobody holds it.
        Err(_) if medium.exists(path).map_err(failed_to_make)? => {
            medium.remove(path).map_err(failed_to_make)?;
            database(&builder(), medium, path, true).map_err(failed)
        }
        other => other.map_err(failed),
    }
}

/// Takes out what an earlier attempt put in.
fn clear(database: &Database) -> Result<()> {
    let mut transaction = database.begin_write().map_err(failed)?;
    transaction.set_quick_repair(true);
    let tables: Vec<_> = transaction.list_tables().map_err(failed)?.collect();
    if tables.is_empty() {
        return transaction.abort().map_err(failed);
    }
    for table in tables {
        transaction.delete_table(table).map_err(failed)?;
    }
    transaction.commit().map_err(failed)
}

/// Gives the file that was made beside `path` its name.
pub(super) fn put_in_place(medium: &dyn Medium, from: &Path, path: &Path) -> Result<()> {
    medium.rename(from, path).map_err(|source| Error::io("make the store", path, source))
}

/// Makes the name durable.
pub(super) fn settle(medium: &dyn Medium, path: &Path) -> Result<()> {
    medium.sync_directory(directory_of(path)).map_err(|source| Error::io("make the store", path, source))
}

/// Removes what a crash left while a file was made beside the store. Only for whoever holds the store's lock.
pub(super) fn sweep(medium: &dyn Medium, path: &Path) {
    // Only litter; making the next one overcomes it.
    let _ = medium.remove(&unfinished(path));
}

/// The name of a file that is made in one go.
pub(super) fn unfinished(path: &Path) -> PathBuf {
    path.with_extension("new")
}

/// The name of one that is made in steps.
pub(super) fn successor(path: &Path) -> PathBuf {
    path.with_extension("next")
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

pub(super) fn open(medium: &dyn Medium, path: &Path, on_repair: &mut (dyn FnMut(u64) + Send)) -> Result<Database> {
    check_present(medium, path)?;
    // redb wants a callback that outlives the call; percentages are passed on when it is back.
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&seen);
    let mut builder = builder();
    builder.set_repair_callback(move |session| {
        let percent = (session.progress() * 100.0).clamp(0.0, 100.0) as u64;
        log.lock().unwrap_or_else(PoisonError::into_inner).push(percent);
    });
    let opened = catch_unwind(AssertUnwindSafe(|| unreplaced(path, || database(&builder, medium, path, false))));
    let percents = std::mem::take(&mut *seen.lock().unwrap_or_else(PoisonError::into_inner));
    percents.into_iter().for_each(on_repair);
    opened.map_err(|_| damaged(path))?.map_err(|error| located(failed(error), path))
}

pub(super) fn open_read_only(path: &Path) -> Result<ReadOnlyDatabase> {
    check_present(&FileSystem, path)?;
    let opened = catch_unwind(AssertUnwindSafe(|| unreplaced(path, || builder().open_read_only(path))));
    opened.map_err(|_| damaged(path))?.map_err(|error| match error {
        DatabaseError::RepairAborted => Error::misuse(format!(
            "{} was not closed cleanly: open the collection for writing once, which mends it",
            path.display()
        ))
        .with_path(path),
        error => located(failed(error), path),
    })
}

/// What `open` gives, once it has the lock of the file that has the name `path` now: whoever had it locked may have put
/// another in its place, after it was opened and before it was locked.
pub(super) fn unreplaced<T>(path: &Path, open: impl Fn() -> Result<T, DatabaseError>) -> Result<T, DatabaseError> {
    loop {
        let before = file_number(path);
        let opened = open()?;
        if file_number(path) == before {
            return Ok(opened);
        }
    }
}

/// What tells files of one name apart; elsewhere than on Unix a file that somebody has open is not replaced.
#[cfg(unix)]
fn file_number(path: &Path) -> Option<(u64, u64)> {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata(path).ok().map(|metadata| (metadata.dev(), metadata.ino()))
}

#[cfg(not(unix))]
fn file_number(_path: &Path) -> Option<(u64, u64)> {
    None
}

/// redb makes a new database of an empty file; to us that is a collection that was lost.
fn check_present(medium: &dyn Medium, path: &Path) -> Result<()> {
    let (_, length) = medium.read(path).map_err(|source| Error::io("open the store", path, source))?;
    if length == 0 { Err(damaged(path)) } else { Ok(()) }
}

fn damaged(path: &Path) -> Error {
    Error::corrupt(format!("{} is damaged or no store; restore the collection from a copy", path.display()))
        .with_path(path)
}

fn located(error: Error, path: &Path) -> Error {
    Error::new(error.kind(), format!("{}: {error}", path.display())).with_path(path).with_source(error)
}
