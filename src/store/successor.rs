//! A store that is to take the place of another: the same passages in the same rows, with other embeddings. It is made in
//! steps, each of them durable, so that an interrupted one goes on where it was.
//!
//! Until it is finished it lacks its state, so that nobody takes it for a store; and it remembers the state of the one that
//! it is made from, so that it is begun anew if that was written meanwhile.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use half::f16;
use redb::{Database, ReadTransaction, ReadableDatabase, ReadableTable, TableError};

use super::codec::{Change, Fields, Kind, Settings, State, seal, seal_embedding, unseal};
use super::copy::copy_table;
use super::schema::{
    CHANGES, EMBEDDINGS, FIELDS, FIELDS_KEY, IDS, LEXICAL_KEY, PASSAGES, SETTINGS, SETTINGS_KEY, STATE_KEY,
};
use super::write::random_nonce;
use super::{Opened, Store, backend, failed, guarded};
use crate::error::{Error, Result};
use crate::passage::RowId;

/// Where an unfinished successor keeps the state of what it is made from.
const SOURCE_KEY: &str = "source";

pub(crate) struct Successor<'s> {
    source: &'s Store,
    /// As it was when this was begun.
    transaction: ReadTransaction,
    _lease: Arc<()>,
    state: State,
    /// Of the store that it will be.
    path: PathBuf,
    settings: Settings,
    database: Database,
}

impl Store {
    /// A store with `settings` to take the place of this one, which is at `path`: the one that was begun, or a new one.
    /// Only for whoever holds the writers' lock.
    pub(crate) fn successor(&self, path: &Path, settings: Settings) -> Result<Successor<'_>> {
        guarded(|| {
            let (transaction, lease) = self.begin_read()?;
            let state: State = unseal(Kind::State, STATE_KEY, &required(&transaction, STATE_KEY)?)?;
            let (database, settings) = begin(self, path, &settings, &state)?;
            Ok(Successor { source: self, transaction, _lease: lease, state, path: path.to_owned(), settings, database })
        })
    }
}

impl Successor<'_> {
    /// The last row that is done.
    pub(crate) fn last(&self) -> Result<Option<RowId>> {
        guarded(|| {
            let transaction = self.database.begin_read().map_err(failed)?;
            match transaction.open_table(EMBEDDINGS) {
                Err(TableError::TableDoesNotExist(_)) => Ok(None),
                table => {
                    let table = table.map_err(failed)?;
                    let last = table.last().map_err(failed)?;
                    Ok(last.map(|(row, _)| RowId(row.value())))
                }
            }
        })
    }

    /// Takes over the passages in `rows`, with their ids, and these embeddings.
    pub(crate) fn push<'p>(&self, rows: impl Iterator<Item = (RowId, &'p str, &'p [f16])>) -> Result<()> {
        guarded(|| {
            let (from_passages, from_ids) = (
                self.transaction.open_table(PASSAGES).map_err(failed)?,
                self.transaction.open_table(IDS).map_err(failed)?,
            );
            let mut target = self.database.begin_write().map_err(failed)?;
            target.set_quick_repair(true);
            {
                let mut passages = target.open_table(PASSAGES).map_err(failed)?;
                let mut embeddings = target.open_table(EMBEDDINGS).map_err(failed)?;
                let mut ids = target.open_table(IDS).map_err(failed)?;
                for (row, id, embedding) in rows {
                    let passage = from_passages.get(row.0).map_err(failed)?.ok_or_else(lost)?;
                    passages.insert(row.0, passage.value()).map_err(failed)?;
                    embeddings.insert(row.0, seal_embedding(row.0, embedding)?.as_slice()).map_err(failed)?;
                    let record = from_ids.get(id).map_err(failed)?.ok_or_else(lost)?;
                    ids.insert(id, record.value()).map_err(failed)?;
                }
            }
            target.commit().map_err(failed)
        })
    }

    /// Makes it whole, and puts it in its place. On an error the old store is there as it was, unless the name could not be
    /// made durable.
    pub(crate) fn finish(self) -> Result<Store> {
        let Self { source, transaction, state, path, settings, database, .. } = self;
        guarded(|| {
            let mut target = database.begin_write().map_err(failed)?;
            target.set_quick_repair(true);
            let state = State { seq: state.seq + 1, nonce: random_nonce(), ..state };
            let change = Change {
                nonce: state.nonce,
                added_from: state.next_row,
                added_to: state.next_row,
                removed: Vec::new(),
            };
            copy_table(&transaction, &target, FIELDS)?;
            {
                // An empty collection has had no step that would have made them.
                target.open_table(PASSAGES).map_err(failed)?;
                target.open_table(EMBEDDINGS).map_err(failed)?;
                target.open_table(IDS).map_err(failed)?;
                let mut changes = target.open_table(CHANGES).map_err(failed)?;
                changes.insert(state.seq, seal(Kind::Change, state.seq, &change)?.as_slice()).map_err(failed)?;
                let from = transaction.open_table(SETTINGS).map_err(failed)?;
                let mut table = target.open_table(SETTINGS).map_err(failed)?;
                table.remove(SOURCE_KEY).map_err(failed)?;
                if let Some(lexical) = from.get(LEXICAL_KEY).map_err(failed)? {
                    table.insert(LEXICAL_KEY, lexical.value()).map_err(failed)?;
                }
                if let Some(fields) = from.get(FIELDS_KEY).map_err(failed)? {
                    let fields: Fields = unseal(Kind::Fields, FIELDS_KEY, fields.value())?;
                    let fields = Fields { nonce: state.nonce, ..fields };
                    table.insert(FIELDS_KEY, seal(Kind::Fields, FIELDS_KEY, &fields)?.as_slice()).map_err(failed)?;
                }
                table.insert(STATE_KEY, seal(Kind::State, STATE_KEY, &state)?.as_slice()).map_err(failed)?;
            }
            target.commit().map_err(failed)
        })?;
        let store = Store::from_database(Opened::Writable(database), &source.medium)?;
        debug_assert_eq!(store.settings, settings);
        store.verify()?;
        backend::put_in_place(&*source.medium, &backend::successor(&path), &path)?;
        backend::settle(&*source.medium, &path)?;
        Ok(store)
    }
}

/// The file of the successor, and its settings: those of the one that was begun, if it is for the same.
fn begin(source: &Store, path: &Path, settings: &Settings, state: &State) -> Result<(Database, Settings)> {
    let begun = |database: &Database| -> Result<Settings> {
        let transaction = database.begin_read().map_err(failed)?;
        let of: State = unseal(Kind::State, SOURCE_KEY, &required(&transaction, SOURCE_KEY)?)?;
        let begun: Settings = unseal(Kind::Settings, SETTINGS_KEY, &required(&transaction, SETTINGS_KEY)?)?;
        // Everything but the number that the collection goes by.
        let same = Settings { uuid: settings.uuid, ..begun.clone() } == *settings && of == *state;
        if same { Ok(begun) } else { Err(Error::misuse("another successor was begun")) }
    };
    let medium = &*source.medium;
    let place = backend::successor(path);
    if medium.exists(&place).is_ok_and(|exists| exists) {
        let opened = backend::open(medium, &place, &mut |_| ());
        if let Ok(database) = opened
            && let Ok(settings) = guarded(|| begun(&database))
        {
            return Ok((database, settings));
        }
        medium.remove(&place).map_err(|error| Error::io("remove", &place, error))?;
    }
    let database = backend::begin(medium, &place)?;
    let mut transaction = database.begin_write().map_err(failed)?;
    transaction.set_quick_repair(true);
    {
        let mut table = transaction.open_table(SETTINGS).map_err(failed)?;
        table.insert(SETTINGS_KEY, seal(Kind::Settings, SETTINGS_KEY, settings)?.as_slice()).map_err(failed)?;
        table.insert(SOURCE_KEY, seal(Kind::State, SOURCE_KEY, state)?.as_slice()).map_err(failed)?;
    }
    transaction.commit().map_err(failed)?;
    Ok((database, settings.clone()))
}

fn required(transaction: &ReadTransaction, key: &str) -> Result<Vec<u8>> {
    let table = transaction.open_table(SETTINGS).map_err(failed)?;
    let value = table.get(key).map_err(failed)?;
    Ok(value.ok_or_else(lost)?.value().to_vec())
}

fn lost() -> Error {
    Error::corrupt("the store lacks a record; restore the collection from a copy")
}
