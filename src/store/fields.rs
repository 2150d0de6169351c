//! Field indexes: for each value of a field the rows that have it, kept in the transaction that changes the rows.
//!
//! Part of the truth, and yet a fold of it: what they were brought up to date with is written down, and if that is not
//! where the store stands, because a program wrote that does not know them, or if their table is lost, readers pass them
//! over and the next opening for writing builds them anew.

use std::collections::BTreeMap;
use std::ops::Bound;

use redb::{ReadOnlyTable, ReadTransaction, ReadableTable, Table, WriteTransaction};

use super::codec::{Fields, IndexedField, Kind, PassageRecord, State, seal, seal_rows, unseal, unseal_rows};
use super::entry::{Entry, EntryKind, Key};
use super::reader::{Reader, check_keys};
use super::schema::{FIELDS, FIELDS_KEY, PASSAGES, SETTINGS, STATE_KEY};
use super::{Store, failed, guarded};
use crate::atom::Atom;
use crate::error::{Error, Result};
use crate::field::{Field, Found, Subject};
use crate::passage::{Metadata, RowId};
use crate::rows::{Block, Gathering, Rows};

/// Entries that are held in memory while an index is built.
const ENTRIES_AT_ONCE: usize = 1 << 18;

/// The most fields that can be indexed: each costs time with every batch.
pub(crate) const MAX_INDEXED_FIELDS: usize = 64;

/// The indexes as a reader sees them.
#[derive(Default)]
pub(super) struct FieldIndexes {
    indexed: Vec<(u32, Field)>,
    table: Option<ReadOnlyTable<&'static [u8], &'static [u8]>>,
}

/// Entries of one kind, as bounds of their order. [`Bound::Unbounded`] ends with the kind.
pub(crate) type EntryRange<'a> = (Bound<Entry<'a>>, Bound<Entry<'a>>);

impl FieldIndexes {
    pub(super) fn open(transaction: &ReadTransaction, state: &State) -> Result<Self> {
        let settings = transaction.open_table(SETTINGS).map_err(failed)?;
        let fields = read(&settings)?;
        if fields.indexed.is_empty() || fields.nonce != state.nonce {
            return Ok(Self::default());
        }
        let table = match transaction.open_table(FIELDS) {
            Err(redb::TableError::TableDoesNotExist(_)) => return Ok(Self::default()),
            table => table.map_err(failed)?,
        };
        let indexed = fields.indexed.into_iter().map(|field| (field.number, Field::path(field.names))).collect();
        Ok(Self { indexed, table: Some(table) })
    }

    /// The fields that have an index, with their numbers.
    pub(super) fn indexed(&self) -> &[(u32, Field)] {
        &self.indexed
    }

    pub(super) fn check_order(&self) -> Result<()> {
        self.table.as_ref().map_or(Ok(()), |table| check_keys(table, "field indexes"))
    }

    /// Every row of every entry: the number of its field, its key and the row.
    pub(super) fn each(&self, see: &mut dyn FnMut(u32, &[u8], RowId)) -> Result<()> {
        let Some(table) = &self.table else { return Ok(()) };
        guarded(|| {
            for entry in table.range::<&[u8]>(..).map_err(failed)? {
                let (key, value) = entry.map_err(failed)?;
                let (number, _) = key.value().split_first_chunk::<4>().ok_or_else(malformed)?;
                let block = Key::parse(key.value()).ok_or_else(malformed)?.block;
                let rows = unseal_rows(key.value(), block, value.value())?;
                rows.low_bits().for_each(|low| see(u32::from_be_bytes(*number), key.value(), RowId(low.into())));
            }
            Ok(())
        })
    }
}

impl Reader {
    /// The fields that have an index.
    pub(crate) fn indexed_fields(&self) -> impl Iterator<Item = &Field> {
        self.fields.indexed.iter().map(|(_, field)| field)
    }

    /// The rows found under the entries of `kind` in `range`; `None` if `field` has no index.
    pub(crate) fn indexed_rows(&self, field: &Field, kind: EntryKind, range: EntryRange<'_>) -> Result<Option<Rows>> {
        self.walk(field, kind, range, &mut |_| Ok(true))
    }

    /// The rows that have a value of `field` for which `holds`; `None` if it has no index. Strings that are too long
    /// to be indexed are not asked about.
    pub(crate) fn rows_where(&self, field: &Field, mut holds: impl FnMut(Atom<'_>) -> bool) -> Result<Option<Rows>> {
        let mut rows = Rows::none();
        for kind in [EntryKind::Bool, EntryKind::Number, EntryKind::Text] {
            let unbounded = (Bound::Unbounded, Bound::Unbounded);
            let found = self.walk(field, kind, unbounded, &mut |key| {
                let value = key.value().ok_or_else(malformed)?;
                Ok(holds(key.atom(&value).ok_or_else(malformed)?))
            })?;
            let Some(found) = found else { return Ok(None) };
            rows = rows.or(found);
        }
        Ok(Some(rows))
    }

    fn walk(
        &self,
        field: &Field,
        kind: EntryKind,
        (low, high): EntryRange<'_>,
        wanted: &mut dyn FnMut(&Key<'_>) -> Result<bool>,
    ) -> Result<Option<Rows>> {
        let (number, table) =
            match (self.fields.indexed.iter().find(|(_, indexed)| indexed == field), &self.fields.table) {
                (Some((number, _)), Some(table)) => (*number, table),
                _ => return Ok(None),
            };
        // No block has this number, so it is behind all blocks of an entry.
        let behind = |entry: Entry<'_>| entry.key(number, u64::MAX);
        let low = match low {
            Bound::Included(entry) => entry.prefix(number),
            Bound::Excluded(entry) => behind(entry),
            Bound::Unbounded => kind.prefix(number),
        };
        let high = match high {
            Bound::Included(entry) => behind(entry),
            Bound::Excluded(entry) => entry.prefix(number),
            Bound::Unbounded => [kind.prefix(number).as_slice(), &[u8::MAX; 12]].concat(),
        };
        guarded(|| {
            if low >= high {
                return Ok(Some(Rows::none()));
            }
            let mut rows = Gathering::default();
            for entry in table.range::<&[u8]>(low.as_slice()..high.as_slice()).map_err(failed)? {
                let (key, value) = entry.map_err(failed)?;
                let parsed = Key::parse(key.value()).ok_or_else(malformed)?;
                if wanted(&parsed)? {
                    rows.add(parsed.block, unseal_rows(key.value(), parsed.block, value.value())?);
                }
            }
            Ok(Some(rows.into_rows()))
        })
    }
}

impl Store {
    /// Makes an index of `field` over what is there; false if there is one.
    pub(crate) fn create_field_index(&self, field: &Field) -> Result<bool> {
        self.in_transaction(|transaction| create(transaction, field))
    }

    /// Drops the index of `field`; false if there is none.
    pub(crate) fn drop_field_index(&self, field: &Field) -> Result<bool> {
        self.in_transaction(|transaction| drop_index(transaction, field))
    }

    /// Builds the indexes anew if they do not agree with the rows.
    pub(super) fn mend_field_indexes(&self) -> Result<()> {
        let stale = guarded(|| {
            let (transaction, _lease) = self.begin_read()?;
            let settings = transaction.open_table(SETTINGS).map_err(failed)?;
            let fields = read(&settings)?;
            let used = FieldIndexes::open(&transaction, &state(&settings)?)?;
            Ok(used.indexed.len() < fields.indexed.len())
        })?;
        if stale { self.in_transaction(rebuild) } else { Ok(()) }
    }
}

fn create(transaction: &WriteTransaction, field: &Field) -> Result<bool> {
    let mut settings = transaction.open_table(SETTINGS).map_err(failed)?;
    let (mut fields, state) = (read(&settings)?, state(&settings)?);
    let names: Vec<String> = field.names().into_iter().map(str::to_owned).collect();
    if fields.indexed.iter().any(|indexed| indexed.names == names) {
        return Ok(false);
    }
    if fields.indexed.len() >= MAX_INDEXED_FIELDS {
        return Err(Error::misuse(format!(
            "{MAX_INDEXED_FIELDS} fields can be indexed; drop the index of another before that of {field} is made"
        )));
    }
    let indexed = IndexedField { number: fields.next, names };
    fields.next = fields.next.checked_add(1).ok_or_else(|| Error::misuse("too many indexes have been made"))?;
    build(transaction, vec![(indexed.number, field.clone())])?;
    fields.indexed.push(indexed);
    fields.nonce = state.nonce;
    save(&mut settings, &fields)?;
    Ok(true)
}

fn drop_index(transaction: &WriteTransaction, field: &Field) -> Result<bool> {
    let mut settings = transaction.open_table(SETTINGS).map_err(failed)?;
    let mut fields = read(&settings)?;
    let names = field.names();
    let Some(place) = fields.indexed.iter().position(|indexed| indexed.names == names) else { return Ok(false) };
    let number = fields.indexed.remove(place).number;
    let mut table = transaction.open_table(FIELDS).map_err(failed)?;
    let (low, high) = (number.to_be_bytes(), number.saturating_add(1).to_be_bytes());
    table.retain_in(low.as_slice()..high.as_slice(), |_, _| false).map_err(failed)?;
    save(&mut settings, &fields)?;
    Ok(true)
}

fn rebuild(transaction: &WriteTransaction) -> Result<()> {
    let mut settings = transaction.open_table(SETTINGS).map_err(failed)?;
    let (mut fields, state) = (read(&settings)?, state(&settings)?);
    transaction.delete_table(FIELDS).map_err(failed)?;
    build(transaction, fields.indexed.iter().map(|field| (field.number, Field::path(field.names.iter()))).collect())?;
    fields.nonce = state.nonce;
    save(&mut settings, &fields)
}

fn build(transaction: &WriteTransaction, indexed: Vec<(u32, Field)>) -> Result<()> {
    let table = transaction.open_table(FIELDS).map_err(failed)?;
    let mut update = Update { indexed, table: Some(table), entries: BTreeMap::new() };
    let passages = transaction.open_table(PASSAGES).map_err(failed)?;
    for entry in passages.range::<u64>(..).map_err(failed)? {
        let (row, value) = entry.map_err(failed)?;
        let record = unseal(Kind::Passage, row.value(), value.value())?;
        update.add(RowId(row.value()), &record)?;
        if update.entries.len() > ENTRIES_AT_ONCE {
            update.write()?;
        }
    }
    update.write()
}

/// What a batch changes in the indexes.
pub(super) struct Update<'t> {
    indexed: Vec<(u32, Field)>,
    /// `None` if nothing is indexed, or the indexes are stale already.
    table: Option<Table<'t, &'static [u8], &'static [u8]>>,
    entries: BTreeMap<Vec<u8>, Change>,
}

/// Rows that come to an entry and rows that leave it.
#[derive(Default)]
struct Change {
    block: u64,
    added: Block,
    removed: Block,
}

impl<'t> Update<'t> {
    pub(super) fn begin(
        transaction: &'t WriteTransaction,
        settings: &impl ReadableTable<&'static str, &'static [u8]>,
        state: &State,
    ) -> Result<Self> {
        let fields = read(settings)?;
        let current = !fields.indexed.is_empty() && fields.nonce == state.nonce;
        let table = current.then(|| transaction.open_table(FIELDS).map_err(failed)).transpose()?;
        let indexed = fields.indexed.into_iter().filter(|_| current);
        let indexed = indexed.map(|field| (field.number, Field::path(field.names))).collect();
        Ok(Self { indexed, table, entries: BTreeMap::new() })
    }

    /// Whether it wants to know about the rows at all.
    pub(super) fn is_idle(&self) -> bool {
        self.table.is_none()
    }

    pub(super) fn add(&mut self, row: RowId, record: &PassageRecord) -> Result<()> {
        self.note(row, record, |change| {
            change.added.insert(row);
            change.removed.remove(row);
        })
    }

    pub(super) fn remove(&mut self, row: RowId, record: &PassageRecord) -> Result<()> {
        self.note(row, record, |change| {
            change.added.remove(row);
            change.removed.insert(row);
        })
    }

    fn note(&mut self, row: RowId, record: &PassageRecord, apply: impl Fn(&mut Change)) -> Result<()> {
        let Self { indexed, entries, .. } = self;
        let metadata: Metadata = serde_json::from_str(&record.metadata).map_err(|source| {
            Error::corrupt(format!("the metadata of passage \"{}\" is malformed", record.id)).with_source(source)
        })?;
        let subject =
            Subject { id: &record.id, title: record.title.as_deref(), text: &record.text, metadata: &metadata };
        keys(indexed, row, subject, &mut |_, key, block| {
            let change = entries.entry(key).or_default();
            change.block = block;
            apply(change);
        });
        Ok(())
    }

    /// Writes the changes; the settings say that the indexes agree with `state` again.
    pub(super) fn finish(mut self, settings: &mut Table<'_, &'static str, &'static [u8]>, state: &State) -> Result<()> {
        if self.is_idle() {
            return Ok(());
        }
        self.write()?;
        let mut fields = read(settings)?;
        fields.nonce = state.nonce;
        save(settings, &fields)
    }

    fn write(&mut self) -> Result<()> {
        let Some(table) = &mut self.table else { return Ok(()) };
        for (key, change) in std::mem::take(&mut self.entries) {
            let mut rows = match table.get(key.as_slice()).map_err(failed)? {
                Some(value) => unseal_rows(&key, change.block, value.value())?,
                None => Block::default(),
            };
            rows.subtract(&change.removed);
            rows.union(&change.added);
            if rows.is_empty() {
                table.remove(key.as_slice()).map_err(failed)?;
            } else {
                table.insert(key.as_slice(), seal_rows(&key, &rows)?.as_slice()).map_err(failed)?;
            }
        }
        Ok(())
    }
}

/// What a passage is found under: the number of the field, the key and its block. None twice.
pub(super) fn keys(indexed: &[(u32, Field)], row: RowId, subject: Subject<'_>, see: &mut dyn FnMut(u32, Vec<u8>, u64)) {
    let block = Block::number(row);
    for (number, field) in indexed {
        let mut keys = Vec::new();
        field.find(subject, &mut |found| {
            let mut put = |entry: Entry<'_>| keys.push(entry.key(*number, block));
            match found {
                Found::Present => put(Entry::Present),
                Found::Atom { atom, .. } => Entry::of(atom).for_each(put),
            }
            false
        });
        keys.sort_unstable();
        keys.dedup();
        keys.into_iter().for_each(|key| see(*number, key, block));
    }
}

fn read(settings: &impl ReadableTable<&'static str, &'static [u8]>) -> Result<Fields> {
    match settings.get(FIELDS_KEY).map_err(failed)? {
        Some(value) => unseal(Kind::Fields, FIELDS_KEY, value.value()),
        None => Ok(Fields::default()),
    }
}

fn save(settings: &mut Table<'_, &'static str, &'static [u8]>, fields: &Fields) -> Result<()> {
    settings.insert(FIELDS_KEY, seal(Kind::Fields, FIELDS_KEY, fields)?.as_slice()).map_err(failed)?;
    Ok(())
}

fn state(settings: &impl ReadableTable<&'static str, &'static [u8]>) -> Result<State> {
    match settings.get(STATE_KEY).map_err(failed)? {
        Some(value) => unseal(Kind::State, STATE_KEY, value.value()),
        None => Err(Error::corrupt("the store lacks its state; restore the collection from a copy")),
    }
}

fn malformed() -> Error {
    Error::corrupt("a field index in the store is damaged: drop it and make it again")
}
