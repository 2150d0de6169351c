//! The read transaction: the store as it was at one sequence number.

use std::ops::Bound;
use std::sync::Arc;

use half::f16;
use redb::{Key, Range, ReadOnlyTable, ReadTransaction, ReadableTableMetadata};

use super::codec::{
    Change, Kind, LexicalSettings, PassageRecord, Settings, State, unseal, unseal_embedding, unseal_embedding_into,
};
use super::fields::FieldIndexes;
use super::schema::{CHANGES, EMBEDDINGS, IDS, LEXICAL_KEY, PASSAGES, SETTINGS, SETTINGS_KEY, STATE_KEY};
use super::{failed, guarded};
use crate::error::{Error, Result};
use crate::field::Subject;
use crate::passage::{Metadata, Passage, RowId, text_to_encode};

/// A consistent view of every table.
pub(crate) struct Reader {
    state: State,
    dimension: usize,
    passages: ReadOnlyTable<u64, &'static [u8]>,
    embeddings: ReadOnlyTable<u64, &'static [u8]>,
    ids: ReadOnlyTable<&'static str, &'static [u8]>,
    changes: ReadOnlyTable<u64, &'static [u8]>,
    pub(super) fields: FieldIndexes,
    lease: Arc<()>,
}

/// A passage that came out of the store, which always has an id.
pub(crate) struct StoredPassage {
    pub(crate) row: RowId,
    pub(crate) id: String,
    pub(crate) title: Option<String>,
    pub(crate) text: String,
    pub(crate) metadata: Metadata,
}

impl Reader {
    pub(super) fn settings(transaction: &ReadTransaction) -> Result<Settings> {
        let table = transaction.open_table(SETTINGS).map_err(failed)?;
        let value = table.get(SETTINGS_KEY).map_err(failed)?;
        let value =
            value.ok_or_else(|| Error::corrupt("the store lacks its settings; restore the collection from a copy"))?;
        unseal(Kind::Settings, SETTINGS_KEY, value.value())
    }

    pub(super) fn lexical_settings(transaction: &ReadTransaction) -> Result<LexicalSettings> {
        let table = transaction.open_table(SETTINGS).map_err(failed)?;
        match table.get(LEXICAL_KEY).map_err(failed)? {
            Some(value) => unseal(Kind::Lexical, LEXICAL_KEY, value.value()),
            None => Ok(LexicalSettings::default()),
        }
    }

    pub(super) fn new(transaction: &ReadTransaction, lease: Arc<()>, settings: &Settings) -> Result<Self> {
        let table = transaction.open_table(SETTINGS).map_err(failed)?;
        let state = table.get(STATE_KEY).map_err(failed)?;
        let state =
            state.ok_or_else(|| Error::corrupt("the store lacks its state; restore the collection from a copy"))?;
        let state = unseal(Kind::State, STATE_KEY, state.value())?;
        Ok(Self {
            fields: FieldIndexes::open(transaction, &state)?,
            state,
            dimension: settings.dimension as usize,
            passages: transaction.open_table(PASSAGES).map_err(failed)?,
            embeddings: transaction.open_table(EMBEDDINGS).map_err(failed)?,
            ids: transaction.open_table(IDS).map_err(failed)?,
            changes: transaction.open_table(CHANGES).map_err(failed)?,
            lease,
        })
    }

    /// Walks the tables in which something is looked up that need not be there: keys that are out of order, as after pages
    /// changed places, would be passed over. Rows, which are known to be there, are noticed when they are missing.
    pub(super) fn check_order(&self) -> Result<()> {
        check_keys(&self.ids, "ids")?;
        check_keys(&self.changes, "changes")?;
        self.fields.check_order()
    }

    /// Compares the tables' sizes with each other and with the counter: a store that lost a table must not pass for
    /// an empty one.
    pub(super) fn check_counts(&self) -> Result<()> {
        let counts = [
            self.passages.len().map_err(failed)?,
            self.embeddings.len().map_err(failed)?,
            self.ids.len().map_err(failed)?,
        ];
        if counts.iter().all(|count| *count == self.state.passages) {
            Ok(())
        } else {
            Err(Error::corrupt(format!(
                "the store is damaged: it counts {} passages but holds {counts:?} texts, embeddings and ids; restore the collection from a copy",
                self.state.passages
            )))
        }
    }

    pub(crate) fn state(&self) -> &State {
        &self.state
    }

    /// Numbers per embedding.
    pub(crate) fn dimension(&self) -> usize {
        self.dimension
    }

    pub(crate) fn row(&self, id: &str) -> Result<Option<RowId>> {
        guarded(|| {
            let value = self.ids.get(id).map_err(failed)?;
            value.map(|value| Ok(RowId(unseal(Kind::Id, id, value.value())?))).transpose()
        })
    }

    /// The passage of a row that was found in an index of this very state.
    pub(crate) fn known_passage(&self, row: RowId) -> Result<StoredPassage> {
        self.passage(row)?.ok_or_else(|| lost(row))
    }

    /// The embedding of such a row.
    pub(crate) fn known_embedding(&self, row: RowId) -> Result<Vec<f16>> {
        self.embedding(row)?.ok_or_else(|| lost(row))
    }

    /// Appends the embedding of such a row to `out`.
    pub(crate) fn known_embedding_into(&self, row: RowId, out: &mut Vec<f16>) -> Result<()> {
        if self.embedding_into(row, out)? { Ok(()) } else { Err(lost(row)) }
    }

    pub(crate) fn passage(&self, row: RowId) -> Result<Option<StoredPassage>> {
        guarded(|| {
            let value = self.passages.get(row.0).map_err(failed)?;
            value.map(|value| StoredPassage::parse(row.0, value.value())).transpose()
        })
    }

    pub(crate) fn embedding(&self, row: RowId) -> Result<Option<Vec<f16>>> {
        guarded(|| {
            let value = self.embeddings.get(row.0).map_err(failed)?;
            value.map(|value| unseal_embedding(row.0, value.value(), self.dimension)).transpose()
        })
    }

    /// Appends the embedding of `row` to `out`; false if the row is not there.
    pub(crate) fn embedding_into(&self, row: RowId, out: &mut Vec<f16>) -> Result<bool> {
        guarded(|| match self.embeddings.get(row.0).map_err(failed)? {
            Some(value) => unseal_embedding_into(row.0, value.value(), self.dimension, out).map(|()| true),
            None => Ok(false),
        })
    }

    /// Every passage in the order of rows, which is the order of insertion.
    pub(crate) fn passages(&self) -> Result<impl Iterator<Item = Result<StoredPassage>> + use<>> {
        let range = guarded(|| self.passages.range::<u64>(..).map_err(failed))?;
        Ok(self.entries(range, Some(self.state.passages), StoredPassage::parse))
    }

    /// The passages behind `row`, in the order of rows; all of them without one.
    pub(crate) fn passages_after(
        &self,
        row: Option<RowId>,
    ) -> Result<impl Iterator<Item = Result<StoredPassage>> + use<>> {
        let behind = row.map_or(Bound::Unbounded, |row| Bound::Excluded(row.0));
        let range = guarded(|| self.passages.range((behind, Bound::Unbounded)).map_err(failed))?;
        let total = row.is_none().then_some(self.state.passages);
        Ok(self.entries(range, total, StoredPassage::parse))
    }

    /// Every embedding in the order of rows.
    pub(crate) fn embeddings(&self) -> Result<impl Iterator<Item = Result<(RowId, Vec<f16>)>> + use<>> {
        let dimension = self.dimension;
        let range = guarded(|| self.embeddings.range::<u64>(..).map_err(failed))?;
        let total = Some(self.state.passages);
        Ok(self.entries(range, total, move |row, value| Ok((RowId(row), unseal_embedding(row, value, dimension)?))))
    }

    /// The change numbered `seq`, if the log still has it.
    pub(crate) fn change(&self, seq: u64) -> Result<Option<Change>> {
        guarded(|| {
            let value = self.changes.get(seq).map_err(failed)?;
            value.map(|value| unseal(Kind::Change, seq, value.value())).transpose()
        })
    }

    /// The changes after `seq`, in order. Complete if the log still has `seq` itself or `seq` is 0.
    pub(crate) fn changes_after(&self, seq: u64) -> Result<impl Iterator<Item = Result<Change>> + use<>> {
        let range = guarded(|| self.changes.range((Bound::Excluded(seq), Bound::Unbounded)).map_err(failed))?;
        let total = (seq <= self.state.seq).then(|| self.state.seq - seq).filter(|_| self.has_change(seq));
        Ok(self.entries(range, total, |seq, value| unseal(Kind::Change, seq, value)))
    }

    /// Rows added or removed after `seq`, as far as the log says.
    pub(crate) fn rows_after(&self, seq: u64) -> Result<u64> {
        self.changes_after(seq)?.try_fold(0, |rows, change| {
            let change = change?;
            Ok(rows + change.added_to.saturating_sub(change.added_from) + change.removed.len() as u64)
        })
    }

    fn has_change(&self, seq: u64) -> bool {
        seq == 0 && self.state.seq == 0 || matches!(self.change(seq), Ok(Some(_)))
    }

    /// What `parse` makes of each entry, of which there are `total` if that is known. A record that it refuses does not hide
    /// those behind it; an error of redb's, a key that is out of order, or too few of them is the last.
    fn entries<T, P: Fn(u64, &[u8]) -> Result<T>>(
        &self,
        mut range: Range<'static, u64, &'static [u8]>,
        total: Option<u64>,
        parse: P,
    ) -> impl Iterator<Item = Result<T>> + use<T, P> {
        let (lease, mut ended) = (Arc::clone(&self.lease), false);
        let (mut last, mut count) = (None, 0);
        std::iter::from_fn(move || {
            let _ = &lease;
            if ended {
                return None;
            }
            match guarded(|| range.next().transpose().map_err(failed)) {
                Ok(Some((key, value))) => {
                    let key = key.value();
                    ended = last.is_some_and(|last| last >= key);
                    (last, count) = (Some(key), count + 1);
                    Some(if ended { Err(out_of_order()) } else { guarded(|| parse(key, value.value())) })
                }
                // redb would repeat its error for ever.
                outcome => {
                    ended = true;
                    let complete = total.is_none_or(|total| total == count);
                    outcome.err().or_else(|| (!complete).then(out_of_order)).map(Err)
                }
            }
        })
    }
}

/// Walks the keys of a table: they ascend, and there are as many as it says.
pub(super) fn check_keys<K: Key + 'static>(table: &ReadOnlyTable<K, &'static [u8]>, name: &str) -> Result<()> {
    guarded(|| {
        let (mut last, mut count) = (Vec::new(), 0);
        for entry in table.range::<K::SelfType<'_>>(..).map_err(failed)? {
            let (key, _) = entry.map_err(failed)?;
            let key = key.value();
            let key = K::as_bytes(&key);
            if count > 0 && K::compare(&last, key.as_ref()).is_ge() {
                return Err(out_of_order());
            }
            last.clear();
            last.extend_from_slice(key.as_ref());
            count += 1;
        }
        if table.len().map_err(failed)? == count { Ok(()) } else { Err(out_of_order()) }
    })
    .map_err(|error| Error::new(error.kind(), format!("the table of {name}: {error}")).with_source(error))
}

fn out_of_order() -> Error {
    Error::corrupt("the store is damaged: records are out of order or missing; restore the collection from a copy")
}

fn lost(row: RowId) -> Error {
    Error::corrupt(format!("the store is damaged: {row} is lost; restore the collection from a copy"))
}

impl StoredPassage {
    /// What an encoder sees.
    pub(crate) fn text_to_encode(&self) -> String {
        text_to_encode(self.title.as_deref(), &self.text)
    }

    /// What fields of it are looked up in.
    pub(crate) fn subject(&self) -> Subject<'_> {
        Subject { id: &self.id, title: self.title.as_deref(), text: &self.text, metadata: &self.metadata }
    }

    fn parse(row: u64, bytes: &[u8]) -> Result<Self> {
        let PassageRecord { id, title, text, metadata } = unseal(Kind::Passage, row, bytes)?;
        let metadata = serde_json::from_str(&metadata).map_err(|source| {
            Error::corrupt(format!("the metadata of passage \"{id}\" is malformed")).with_source(source)
        })?;
        Ok(Self { row: RowId(row), id, title, text, metadata })
    }
}

impl From<StoredPassage> for Passage {
    fn from(stored: StoredPassage) -> Self {
        let mut passage = Self::new(stored.text).id(stored.id).metadata(stored.metadata);
        passage.title = stored.title;
        passage
    }
}
