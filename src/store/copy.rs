//! The store as it is at one moment, verified and copied into a new file: beside it as a backup, or in its place.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use redb::{Database, Key, ReadTransaction, TableDefinition, TableError, Value, WriteTransaction};

use super::reader::Reader;
use super::schema::{CHANGES, EMBEDDINGS, FIELDS, IDS, PASSAGES, SETTINGS};
use super::{Handle, Opened, Settings, Store, backend, failed, guarded, poisoned};
use crate::error::Result;
use crate::medium::FileSystem;

impl Store {
    /// Makes a store at `path`, where nothing may be, with everything that is in this one now; writers go on meanwhile.
    /// The file appears complete and verified, or not at all.
    ///
    /// # Errors
    /// `Corrupt` if a record of this store is not what was written: a copy of it would pass for a good one.
    pub(crate) fn copy(&self, path: &Path) -> Result<()> {
        backend::make(&FileSystem, path, |copy| self.copy_into(copy))
    }

    /// Puts a copy without unused space in the place of this store's file, which is at `path`. Only for whoever holds the
    /// writers' lock. Readers that are there go on reading the old file; on an error it is still in its place.
    ///
    /// # Errors
    /// As [`copy`](Self::copy); `Misuse` if the store was opened read-only.
    pub(crate) fn compact(&self, path: &Path) -> Result<()> {
        self.check_writable()?;
        if self.poisoned.load(Ordering::Acquire) {
            return Err(poisoned());
        }
        // redb's own compacting leaves no room at all, so that the next batch doubles the file.
        let made = backend::make_beside(&*self.medium, path, || Ok(()), |copy| self.copy_into(copy))?;
        backend::put_in_place(&*self.medium, &backend::unfinished(path), path)?;
        self.handles.write().push(Handle { database: Opened::Writable(made), lease: Arc::default() });
        // Should the name be lost in a crash, so would be what is written from here on.
        backend::settle(&*self.medium, path).inspect_err(|_| self.poisoned.store(true, Ordering::Release))
    }

    /// Closes the files that were replaced and that nobody reads any more.
    pub(crate) fn close_unread(&self) {
        let mut handles = self.handles.write();
        let current = handles.pop();
        handles.retain(|handle| Arc::strong_count(&handle.lease) > 1);
        handles.extend(current);
    }

    fn copy_into(&self, copy: &Database) -> Result<()> {
        guarded(|| {
            let (source, _lease) = self.begin_read()?;
            fill(&source, copy)?;
            // The copy itself is read: it is what will be relied on.
            let copied = redb::ReadableDatabase::begin_read(copy).map_err(failed)?;
            verify(&Reader::new(&copied, Arc::default(), &self.settings)?, &self.settings)
        })
    }

    /// Reads everything, and stops at the first flaw.
    pub(super) fn verify(&self) -> Result<()> {
        verify(&self.reader()?, &self.settings)
    }
}

fn verify(reader: &Reader, settings: &Settings) -> Result<()> {
    let similarity = settings.similarity.parse()?;
    reader.check(similarity, &mut |_| ControlFlow::Continue(()), &mut |flaw| Err(flaw.into_error()))
}

fn fill(source: &ReadTransaction, copy: &Database) -> Result<()> {
    let mut target = copy.begin_write().map_err(failed)?;
    target.set_quick_repair(true);
    copy_table(source, &target, SETTINGS)?;
    copy_table(source, &target, PASSAGES)?;
    copy_table(source, &target, EMBEDDINGS)?;
    copy_table(source, &target, IDS)?;
    copy_table(source, &target, CHANGES)?;
    copy_table(source, &target, FIELDS)?;
    target.commit().map_err(failed)
}

pub(super) fn copy_table<K: Key + 'static, V: Value + 'static>(
    source: &ReadTransaction,
    target: &WriteTransaction,
    definition: TableDefinition<K, V>,
) -> Result<()> {
    let source = match source.open_table(definition) {
        // The table of field indexes is made with the first of them.
        Err(TableError::TableDoesNotExist(_)) => return Ok(()),
        table => table.map_err(failed)?,
    };
    let mut target = target.open_table(definition).map_err(failed)?;
    for entry in source.range::<K::SelfType<'_>>(..).map_err(failed)? {
        let (key, value) = entry.map_err(failed)?;
        target.insert(key.value(), value.value()).map_err(failed)?;
    }
    Ok(())
}
