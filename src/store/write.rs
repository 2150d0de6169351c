//! The write transaction: passages, embeddings, ids, the change-log entry and the counters commit together.

use std::collections::HashSet;

use half::f16;
use redb::{ReadableTable, Table, WriteTransaction};

use super::codec::{Change, Kind, LexicalSettings, PassageRecord, Settings, State, seal, seal_embedding, unseal};
use super::failed;
use super::fields::Update;
use super::schema::{CHANGES, EMBEDDINGS, IDS, LEXICAL_KEY, PASSAGES, SETTINGS, SETTINGS_KEY, STATE_KEY};
use crate::error::{Error, Result};
use crate::passage::RowId;

/// What one transaction does: deletions first, then the passages in order.
#[derive(Default)]
pub(crate) struct Batch<'a> {
    pub(crate) delete: &'a [&'a str],
    pub(crate) put: Vec<NewPassage<'a>>,
    /// Whether a passage may take the place of one with its id.
    pub(crate) replace: bool,
}

/// A passage to store. Ids differ within a batch.
pub(crate) struct NewPassage<'a> {
    pub(crate) id: Option<&'a str>,
    pub(crate) title: Option<&'a str>,
    pub(crate) text: &'a str,
    pub(crate) metadata: String,
    pub(crate) embedding: &'a [f16],
}

/// What a batch did.
#[derive(Debug, Default)]
pub(crate) struct Written {
    /// The id of each passage of the batch, in order.
    pub(crate) ids: Vec<String>,
    /// The row of the first; the others follow it.
    pub(crate) first_row: u64,
    /// Rows that are gone.
    pub(crate) removed: Vec<RowId>,
    /// How many passages took the place of another.
    pub(crate) replaced: u64,
    /// How many were deleted.
    pub(crate) deleted: u64,
}

struct Tables<'t> {
    passages: Table<'t, u64, &'static [u8]>,
    embeddings: Table<'t, u64, &'static [u8]>,
    ids: Table<'t, &'static str, &'static [u8]>,
}

pub(super) fn initialize(
    transaction: &WriteTransaction,
    settings: &Settings,
    lexical: &LexicalSettings,
    state: &State,
) -> Result<()> {
    let mut table = transaction.open_table(SETTINGS).map_err(failed)?;
    table.insert(SETTINGS_KEY, seal(Kind::Settings, SETTINGS_KEY, settings)?.as_slice()).map_err(failed)?;
    table.insert(LEXICAL_KEY, seal(Kind::Lexical, LEXICAL_KEY, lexical)?.as_slice()).map_err(failed)?;
    table.insert(STATE_KEY, seal(Kind::State, STATE_KEY, state)?.as_slice()).map_err(failed)?;
    transaction.open_table(CHANGES).map_err(failed)?;
    Tables::open(transaction).map(drop)
}

/// What the batch did; or why it is refused, before anything is done.
///
/// # Errors
/// The transaction is spoilt.
pub(super) fn apply(transaction: &WriteTransaction, batch: &Batch<'_>, dimension: u32) -> Result<Result<Written>> {
    let mut settings = transaction.open_table(SETTINGS).map_err(failed)?;
    let mut state: State = match settings.get(STATE_KEY).map_err(failed)? {
        Some(value) => unseal(Kind::State, STATE_KEY, value.value())?,
        None => return Err(Error::corrupt("the store lacks its state; restore the collection from a copy")),
    };
    let mut tables = Tables::open(transaction)?;
    if let Err(refused) = tables.check(batch, dimension)? {
        return Ok(Err(refused));
    }
    let mut fields = Update::begin(transaction, &settings, &state)?;
    let mut written = Written { first_row: state.next_row, ..Written::default() };
    for id in batch.delete {
        if let Some(row) = tables.remove(id, &mut fields)? {
            written.removed.push(row);
            written.deleted += 1;
        }
    }
    let named: HashSet<&str> = batch.put.iter().filter_map(|passage| passage.id).collect();
    for passage in &batch.put {
        let row = state.next_row;
        state.next_row += 1;
        let id = match passage.id {
            Some(id) => id.to_owned(),
            None => tables.free_id(row, &named)?,
        };
        if passage.id.is_some() && tables.row(&id)?.is_some() {
            written.removed.extend(tables.remove(&id, &mut fields)?);
            written.replaced += 1;
        }
        tables.insert(row, &id, passage, &mut fields)?;
        written.ids.push(id);
    }
    let changed = !written.removed.is_empty() || !written.ids.is_empty();
    if changed {
        state.seq += 1;
        state.nonce = random_nonce();
        state.passages = (state.passages + written.ids.len() as u64)
            .checked_sub(written.removed.len() as u64)
            .ok_or_else(|| Error::corrupt("the store counts fewer passages than it holds"))?;
        let change = Change {
            nonce: state.nonce,
            added_from: written.first_row,
            added_to: state.next_row,
            removed: written.removed.iter().map(|row| row.0).collect(),
        };
        let mut changes = transaction.open_table(CHANGES).map_err(failed)?;
        changes.insert(state.seq, seal(Kind::Change, state.seq, &change)?.as_slice()).map_err(failed)?;
        settings.insert(STATE_KEY, seal(Kind::State, STATE_KEY, &state)?.as_slice()).map_err(failed)?;
        fields.finish(&mut settings, &state)?;
    }
    Ok(Ok(written))
}

/// Drops the changes before `seq`; the one at `seq` stays, because a snapshot is recognised by its nonce.
pub(super) fn prune(transaction: &WriteTransaction, seq: u64) -> Result<()> {
    let mut changes = transaction.open_table(CHANGES).map_err(failed)?;
    changes.retain_in(..seq, |_, _| false).map_err(failed)
}

impl<'t> Tables<'t> {
    fn open(transaction: &'t WriteTransaction) -> Result<Self> {
        Ok(Self {
            passages: transaction.open_table(PASSAGES).map_err(failed)?,
            embeddings: transaction.open_table(EMBEDDINGS).map_err(failed)?,
            ids: transaction.open_table(IDS).map_err(failed)?,
        })
    }

    /// Whether the batch can be applied, as far as that depends on the caller.
    fn check(&self, batch: &Batch<'_>, dimension: u32) -> Result<Result<()>> {
        for passage in &batch.put {
            if passage.embedding.len() != dimension as usize {
                let found = passage.embedding.len();
                return Ok(Err(Error::misuse(format!("an embedding has {found} numbers, {dimension} expected"))));
            }
            if let (Some(id), false) = (passage.id, batch.replace)
                && self.row(id)?.is_some()
                && !batch.delete.contains(&id)
            {
                let message =
                    format!("passage \"{id}\" exists already; upsert replaces it. Nothing of the batch was added");
                return Ok(Err(Error::misuse(message)));
            }
        }
        Ok(Ok(()))
    }

    fn row(&self, id: &str) -> Result<Option<RowId>> {
        let value = self.ids.get(id).map_err(failed)?;
        value.map(|value| Ok(RowId(unseal(Kind::Id, id, value.value())?))).transpose()
    }

    /// `row-17`, or the first of `row-17-2`, `row-17-3`, ... that nobody has taken, nor takes by this batch.
    fn free_id(&self, row: u64, named: &HashSet<&str>) -> Result<String> {
        let mut id = format!("row-{row}");
        let mut suffix = 1u64;
        while named.contains(id.as_str()) || self.row(&id)?.is_some() {
            suffix += 1;
            id = format!("row-{row}-{suffix}");
        }
        Ok(id)
    }

    fn remove(&mut self, id: &str, fields: &mut Update<'_>) -> Result<Option<RowId>> {
        let Some(row) = self.row(id)? else { return Ok(None) };
        self.ids.remove(id).map_err(failed)?;
        let removed = self.passages.remove(row.0).map_err(failed)?;
        if let (Some(removed), false) = (removed, fields.is_idle()) {
            fields.remove(row, &unseal(Kind::Passage, row.0, removed.value())?)?;
        }
        self.embeddings.remove(row.0).map_err(failed)?;
        Ok(Some(row))
    }

    fn insert(&mut self, row: u64, id: &str, passage: &NewPassage<'_>, fields: &mut Update<'_>) -> Result<()> {
        let record = PassageRecord {
            id: id.to_owned(),
            title: passage.title.map(str::to_owned),
            text: passage.text.to_owned(),
            metadata: passage.metadata.clone(),
        };
        if !fields.is_idle() {
            fields.add(RowId(row), &record)?;
        }
        self.passages.insert(row, seal(Kind::Passage, row, &record)?.as_slice()).map_err(failed)?;
        self.embeddings.insert(row, seal_embedding(row, passage.embedding)?.as_slice()).map_err(failed)?;
        self.ids.insert(id, seal(Kind::Id, id, &row)?.as_slice()).map_err(failed)?;
        Ok(())
    }
}

/// From the standard library's random hasher keys: unpredictability is not needed, difference is.
pub(crate) fn random_nonce() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(std::time::SystemTime::now())
}
