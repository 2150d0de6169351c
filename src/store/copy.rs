//! The store as it is at one moment, verified and copied into a new file.

use std::ops::ControlFlow;
use std::path::Path;

use redb::{Database, Key, ReadTransaction, TableDefinition, TableError, Value, WriteTransaction};

use super::reader::Reader;
use super::schema::{CHANGES, EMBEDDINGS, FIELDS, IDS, PASSAGES, SETTINGS};
use super::{Store, backend, failed, guarded};
use crate::error::Result;
use crate::medium::FileSystem;

impl Store {
    /// Makes a store at `path`, where nothing may be, with everything that is in this one now; writers go on meanwhile.
    /// The file appears complete and verified, or not at all.
    ///
    /// # Errors
    /// `Corrupt` if a record of this store is not what was written: a copy of it would pass for a good one.
    pub(crate) fn copy(&self, path: &Path) -> Result<()> {
        backend::make(&FileSystem, path, |copy| {
            guarded(|| {
                let source = self.database.begin_read()?;
                fill(&source, copy)?;
                // The copy itself is read: it is what will be relied on.
                let copied = redb::ReadableDatabase::begin_read(copy).map_err(failed)?;
                let reader = Reader::new(&copied, &self.settings)?;
                let similarity = self.settings.similarity.parse()?;
                reader.check(similarity, &mut |_| ControlFlow::Continue(()), &mut |flaw| Err(flaw.into_error()))
            })
        })
    }
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

fn copy_table<K: Key + 'static, V: Value + 'static>(
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
