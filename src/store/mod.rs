//! Give me the row: passages, embeddings, ids and the change log, durable and in one redb file.
//!
//! - S1 When [`Store::write`] returns `Ok`, the whole batch is durable.
//! - S2 After a crash at any byte the store holds exactly the acknowledged batches, perhaps plus the one in flight.
//! - S3 Row ids ascend and are never reused; a replaced passage gets a new one.
//!
//! The store assumes of the medium that fsync is durable, a sector is written or not, and rename is atomic.

mod backend;
mod check;
mod codec;
mod copy;
mod entry;
mod fields;
mod reader;
mod schema;
mod successor;
mod write;

#[cfg(test)]
mod tests;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::RwLock;
use redb::{Database, ReadOnlyDatabase, ReadTransaction, ReadableDatabase};

pub(crate) use check::Flaw;
#[cfg(feature = "fuzzing")]
pub use codec::fuzz_record;
pub(crate) use codec::{LexicalSettings, Settings};
pub(crate) use entry::{Entry, EntryKind};
pub(crate) use fields::EntryRange;
pub(crate) use reader::{Reader, StoredPassage};
pub(crate) use write::{Batch, NewPassage, Written, random_nonce};

use crate::error::{Error, ErrorKind, Result};
use crate::medium::{FileSystem, Medium};

/// Pages that redb may keep in memory. Its default is 1 GiB, too much for a guest in somebody's program.
const CACHE_BYTES: usize = 64 << 20;

/// The redb file of one collection.
pub(crate) struct Store {
    /// The last one is the store. Those before it were replaced by compacting, and are kept for whoever still reads them.
    handles: RwLock<Vec<Handle>>,
    medium: Arc<dyn Medium>,
    settings: Settings,
    lexical: LexicalSettings,
    poisoned: AtomicBool,
}

struct Handle {
    database: Opened,
    /// Shared with each reader of it.
    lease: Arc<()>,
}

enum Opened {
    Writable(Database),
    ReadOnly(ReadOnlyDatabase),
}

impl Store {
    /// Makes a store at `path`, where nothing may be. The file appears complete or not at all.
    pub(crate) fn create(
        medium: &Arc<dyn Medium>,
        path: &Path,
        settings: Settings,
        lexical: &LexicalSettings,
    ) -> Result<Self> {
        backend::create(&**medium, path, &settings, lexical)?;
        let store = Self::open(medium, path, &mut |_| ())?;
        if store.settings == settings {
            Ok(store)
        } else {
            let message = format!("{} was just made by somebody else; open it", path.display());
            Err(Error::new(ErrorKind::Locked, message).with_path(path))
        }
    }

    /// Opens the store at `path` for reading and writing. `on_repair` is told per cent if a crash has to be mended.
    pub(crate) fn open(medium: &Arc<dyn Medium>, path: &Path, on_repair: &mut (dyn FnMut(u64) + Send)) -> Result<Self> {
        let store = Self::from_database(Opened::Writable(backend::open(&**medium, path, on_repair)?), medium)?;
        backend::sweep(&**medium, path);
        store.mend_field_indexes()?;
        Ok(store)
    }

    /// Opens the store at `path` for reading, beside other readers.
    pub(crate) fn open_read_only(path: &Path) -> Result<Self> {
        Self::from_database(Opened::ReadOnly(backend::open_read_only(path)?), &file_system())
    }

    /// A store that ends with the process.
    pub(crate) fn in_memory(settings: &Settings, lexical: &LexicalSettings) -> Result<Self> {
        Self::from_database(Opened::Writable(backend::in_memory(settings, lexical)?), &file_system())
    }

    fn from_database(database: Opened, medium: &Arc<dyn Medium>) -> Result<Self> {
        let handle = Handle { database, lease: Arc::default() };
        let (settings, lexical) = guarded(|| {
            let (transaction, lease) = handle.begin_read()?;
            let settings = Reader::settings(&transaction)?;
            let reader = Reader::new(&transaction, lease, &settings)?;
            reader.check_counts()?;
            reader.check_order()?;
            Ok((settings, Reader::lexical_settings(&transaction)?))
        })?;
        let handles = RwLock::new(vec![handle]);
        Ok(Self { handles, medium: Arc::clone(medium), settings, lexical, poisoned: AtomicBool::new(false) })
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    pub(crate) fn lexical_settings(&self) -> &LexicalSettings {
        &self.lexical
    }

    /// What it lies on, for what is kept beside it.
    pub(crate) fn medium(&self) -> &dyn Medium {
        &*self.medium
    }

    /// The same, for whoever outlives the store.
    pub(crate) fn shared_medium(&self) -> Arc<dyn Medium> {
        Arc::clone(&self.medium)
    }

    /// # Errors
    /// `Misuse` if the store was opened read-only.
    pub(crate) fn check_writable(&self) -> Result<()> {
        if self.is_read_only() { Err(read_only()) } else { Ok(()) }
    }

    pub(crate) fn is_read_only(&self) -> bool {
        let handles = self.handles.read();
        handles.last().is_some_and(|handle| matches!(handle.database, Opened::ReadOnly(_)))
    }

    /// The store as it is now, for as long as the reader lives. It keeps old pages from being reused: do not hoard it.
    pub(crate) fn reader(&self) -> Result<Reader> {
        if self.handles.read().len() > 1 {
            self.close_unread();
        }
        guarded(|| {
            let (transaction, lease) = self.begin_read()?;
            Reader::new(&transaction, lease, &self.settings)
        })
    }

    /// A transaction, and what keeps its file open while it is read. The store itself closes all of them.
    fn begin_read(&self) -> Result<(ReadTransaction, Arc<()>)> {
        self.handles.read().last().ok_or_else(closed)?.begin_read()
    }

    /// Applies `batches` in one durable transaction, each of them whole or, if it is refused, not at all.
    ///
    /// # Errors
    /// Of one batch: `Misuse`, with nothing of it written. Of all: `Full`, `Io` or `Poisoned` if writing failed. Then the
    /// outcome is unknown until the collection is opened again, and the store refuses further batches.
    pub(crate) fn write(&self, batches: &[Batch<'_>]) -> Result<Vec<Result<Written>>> {
        let mut outcomes = Vec::new();
        let written = self.in_transaction(|transaction| {
            let apply = |batch| write::apply(transaction, batch, self.settings.dimension);
            outcomes = batches.iter().map(apply).collect::<Result<_>>()?;
            // Nothing to commit.
            if outcomes.iter().all(Result::is_err) { Err(Error::misuse("every batch was refused")) } else { Ok(()) }
        });
        let all_refused = !outcomes.is_empty() && outcomes.iter().all(Result::is_err);
        if all_refused { Ok(outcomes) } else { written.map(|()| outcomes) }
    }

    /// Whether a write failed midway.
    pub(crate) fn is_poisoned(&self) -> bool {
        self.poisoned.load(Ordering::Acquire)
    }

    /// Forgets the changes before `seq`, which every view must have in a durable snapshot (invariant V3).
    pub(crate) fn prune(&self, seq: u64) -> Result<()> {
        self.in_transaction(|transaction| write::prune(transaction, seq))
    }

    fn in_transaction<T>(&self, work: impl FnOnce(&redb::WriteTransaction) -> Result<T>) -> Result<T> {
        let handles = self.handles.read();
        let Opened::Writable(database) = &handles.last().ok_or_else(closed)?.database else {
            return Err(read_only());
        };
        if self.poisoned.load(Ordering::Acquire) {
            return Err(poisoned());
        }
        let mut committing = false;
        let written = guarded(|| {
            let mut transaction = database.begin_write().map_err(failed)?;
            // Saves the allocator's state with each commit, so that opening after a crash takes milliseconds at any
            // size.
            transaction.set_quick_repair(true);
            let outcome = work(&transaction)?;
            committing = true;
            transaction.commit().map_err(failed)?;
            Ok(outcome)
        });
        written.map_err(|cause| {
            if !committing {
                return cause;
            }
            self.poisoned.store(true, Ordering::Release);
            Error::new(cause.kind(), "the batch may or may not have been written: open the collection again to know")
                .with_source(cause)
        })
    }
}

fn file_system() -> Arc<dyn Medium> {
    Arc::new(FileSystem)
}

impl Handle {
    fn begin_read(&self) -> Result<(ReadTransaction, Arc<()>)> {
        let transaction = match &self.database {
            Opened::Writable(database) => database.begin_read(),
            Opened::ReadOnly(database) => database.begin_read(),
        };
        Ok((transaction.map_err(failed)?, Arc::clone(&self.lease)))
    }
}

/// `work`, with redb's panics as errors: it trusts a file that was closed cleanly, whatever happened to it since.
fn guarded<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    let damaged = || Error::corrupt("the store is damaged; restore the collection from a copy");
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| Err(damaged()))
}

fn read_only() -> Error {
    Error::misuse("the collection was opened read-only; open it for writing")
}

fn closed() -> Error {
    Error::new(ErrorKind::Poisoned, "the store is closed: open the collection again")
}

fn poisoned() -> Error {
    Error::new(ErrorKind::Poisoned, "an earlier write failed midway: open the collection again")
}

/// redb's error as ours, by culprit.
fn failed(error: impl Into<redb::Error>) -> Error {
    let error = error.into();
    let (kind, message) = match &error {
        redb::Error::Corrupted(_) => (ErrorKind::Corrupt, "the store is damaged; restore the collection from a copy"),
        redb::Error::DatabaseAlreadyOpen => {
            (ErrorKind::Locked, "the collection is open in another process or handle; close that one first")
        }
        redb::Error::UpgradeRequired(_) => {
            (ErrorKind::Incompatible, "the store has another format version; open it with the Marcato that made it")
        }
        redb::Error::PreviousIo => return poisoned(),
        redb::Error::Io(source) => match source.kind() {
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
                (ErrorKind::Full, "no space left for the store: free some and open the collection again")
            }
            std::io::ErrorKind::ReadOnlyFilesystem | std::io::ErrorKind::PermissionDenied => {
                (ErrorKind::Io, "the store cannot be written: check the permissions of its folder")
            }
            std::io::ErrorKind::InvalidData => {
                (ErrorKind::Corrupt, "the store is damaged or no store; restore the collection from a copy")
            }
            _ => (ErrorKind::Io, "the store cannot be read or written"),
        },
        redb::Error::TableTypeMismatch { .. } | redb::Error::TableDoesNotExist(_) => {
            (ErrorKind::Corrupt, "the store lacks a table; it is damaged, or not Marcato's")
        }
        _ => (ErrorKind::Io, "the store cannot be read or written"),
    };
    Error::new(kind, message).with_source(error)
}
