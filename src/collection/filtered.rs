//! Which rows a filter matches, exactly, in one state of the store.
//!
//! Each part of a filter is known as two sets: rows that surely match, and rows that perhaps do. An index gives both at
//! once, without one they are nothing and everything, and `and`, `or` and `not` work on both. Only the passages between
//! the two are read.

use std::collections::VecDeque;
use std::ops::Bound;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use super::Inner;
use super::plan::Warning;
use crate::atom::Number;
use crate::error::Result;
use crate::field::{Field, Found};
use crate::filter::{Comparison, Expression, Filter, FilterValue, Literal, Test};
use crate::passage::RowId;
use crate::rows::Rows;
use crate::store::{Entry, EntryKind, EntryRange, Reader};

/// Filters whose rows are remembered: programs ask many questions under few of them.
const REMEMBERED: usize = 64;

/// An unindexed field is worth a warning in a collection of more passages than this: reading and parsing so many is
/// reckoned to take longer than encoding the query.
const UNINDEXED_PASSAGES: u64 = 10_000;

/// The rows that a filter matches, in the state of the store that one reader sees.
#[derive(Debug)]
pub(super) struct Matching {
    pub(super) rows: Rows,
    pub(super) count: u64,
    /// How many passages had to be read to know.
    pub(super) read: u64,
}

/// What recent filters match, as long as nothing is written.
#[derive(Default)]
pub(super) struct Remembered(Mutex<Recent>);

#[derive(Default)]
struct Recent {
    reader: Weak<Reader>,
    filters: VecDeque<(Filter, Arc<Matching>)>,
}

impl Inner {
    /// The rows that `filter` matches in what `reader` sees.
    pub(super) fn matching(&self, reader: &Arc<Reader>, filter: &Filter) -> Result<Arc<Matching>> {
        filter.check()?;
        let here = Arc::downgrade(reader);
        {
            let recent = self.remembered.0.lock();
            if recent.reader.ptr_eq(&here)
                && let Some((_, matching)) = recent.filters.iter().find(|(known, _)| known == filter)
            {
                return Ok(Arc::clone(matching));
            }
        }
        let matching = Arc::new(Matching::of(filter, reader)?);
        let mut recent = self.remembered.0.lock();
        if !recent.reader.ptr_eq(&here) {
            *recent = Recent { reader: here, filters: VecDeque::new() };
        }
        if recent.filters.len() >= REMEMBERED {
            recent.filters.pop_front();
        }
        recent.filters.push_back((filter.clone(), Arc::clone(&matching)));
        Ok(matching)
    }
}

impl Matching {
    fn of(filter: &Filter, reader: &Reader) -> Result<Self> {
        let Range { sure, perhaps } = range(filter, reader)?;
        let unsure = perhaps.and(!sure.clone());
        let (mut rows, mut read) = (sure, 0);
        if let Some(listed) = unsure.listed() {
            for row in listed {
                read += 1;
                if filter.matches(reader.known_passage(row)?.subject()) {
                    rows.insert(row);
                }
            }
        } else {
            for passage in reader.passages()? {
                let passage = passage?;
                if unsure.contains(passage.row) {
                    read += 1;
                    if filter.matches(passage.subject()) {
                        rows.insert(passage.row);
                    }
                }
            }
        }
        let count = rows.count(reader.state().passages);
        Ok(Self { rows, count, read })
    }
}

/// Between which sets the set of matching rows lies.
struct Range {
    sure: Rows,
    perhaps: Rows,
}

impl Range {
    fn exactly(rows: Rows) -> Self {
        Self { sure: rows.clone(), perhaps: rows }
    }

    fn unknown() -> Self {
        Self { sure: Rows::none(), perhaps: Rows::all() }
    }
}

fn range(filter: &Filter, reader: &Reader) -> Result<Range> {
    match filter.expression() {
        Expression::All(parts) => {
            let mut all = Range::exactly(Rows::all());
            for part in parts {
                let part = range(part, reader)?;
                all = Range { sure: all.sure.and(part.sure), perhaps: all.perhaps.and(part.perhaps) };
                if all.perhaps.is_none() {
                    break;
                }
            }
            Ok(all)
        }
        Expression::Any(parts) => {
            let mut any = Range::exactly(Rows::none());
            for part in parts {
                let part = range(part, reader)?;
                any = Range { sure: any.sure.or(part.sure), perhaps: any.perhaps.or(part.perhaps) };
            }
            Ok(any)
        }
        Expression::Not(part) => {
            let Range { sure, perhaps } = range(part, reader)?;
            Ok(Range { sure: !perhaps, perhaps: !sure })
        }
        Expression::Test(field, test) if field.is_id() => by_id(test, reader),
        Expression::Test(field, test) => by_index(field, test, reader),
        Expression::Refused(_) => Ok(Range::exactly(Rows::none())),
    }
}

/// Ids are always indexed, by the store's own map.
fn by_id(test: &Test, reader: &Reader) -> Result<Range> {
    let values = match test {
        Test::Exists => return Ok(Range::exactly(Rows::all())),
        Test::Compare(Comparison::Eq, value) => std::slice::from_ref(value),
        Test::In(values) => values.as_slice(),
        Test::Compare(..) | Test::Contains(_) => return Ok(Range::unknown()),
    };
    let mut rows = Rows::none();
    for value in values {
        match value.literal() {
            Literal::Text(id) => reader.row(id)?.into_iter().for_each(|row| rows.insert(row)),
            Literal::Date(..) => return Ok(Range::unknown()),
            Literal::Bool(_) | Literal::Number(_) | Literal::NotFinite(_) => {}
        }
    }
    Ok(Range::exactly(rows))
}

fn by_index(field: &Field, test: &Test, reader: &Reader) -> Result<Range> {
    let entries = |kind, range| reader.indexed_rows(field, kind, range);
    let everything = (Bound::Unbounded, Bound::Unbounded);
    let Some(present) = entries(EntryKind::Present, everything)? else { return Ok(Range::unknown()) };
    let mut sure = Rows::none();
    let mut add = |rows: Option<Rows>| sure = std::mem::take(&mut sure).or(rows.unwrap_or_default());
    let perhaps = match test {
        Test::Exists => return Ok(Range::exactly(present)),
        Test::Compare(Comparison::Ne, _) => {
            add(reader.rows_where(field, |atom| test.holds(atom))?);
            Rows::none()
        }
        Test::Compare(comparison, value) => {
            let (kind, range) = entries_of(*comparison, value);
            add(entries(kind, range)?);
            Rows::none()
        }
        Test::In(values) => {
            for value in values {
                let (kind, range) = entries_of(Comparison::Eq, value);
                add(entries(kind, range)?);
            }
            Rows::none()
        }
        // An element of a list must be the string; by itself it may have more around it. An index does not tell them
        // apart, but for the string itself, which is both.
        Test::Contains(value) => {
            let (kind, range) = entries_of(Comparison::Eq, value);
            if let Literal::Text(_) = value.literal() {
                add(entries(kind, range)?);
                reader.rows_where(field, |atom| test.holds(atom))?.unwrap_or_default()
            } else {
                entries(kind, range)?.unwrap_or_default()
            }
        }
    };
    let long = if asks_long_texts(test) { entries(EntryKind::LongText, everything)? } else { None };
    let perhaps = perhaps.or(long.unwrap_or_default()).or(sure.clone());
    Ok(Range { sure, perhaps })
}

/// The entries of the values that lie so to `value`.
fn entries_of(comparison: Comparison, value: &FilterValue) -> (EntryKind, EntryRange<'_>) {
    // A day or an instant: from its start up to its end.
    if let Literal::Date(_, span) = value.literal() {
        let (start, end) = (Entry::Date(span.start), Entry::Date(span.end));
        let range = match comparison {
            Comparison::Lt => (Bound::Unbounded, Bound::Excluded(start)),
            Comparison::Le => (Bound::Unbounded, Bound::Excluded(end)),
            Comparison::Gt => (Bound::Included(end), Bound::Unbounded),
            Comparison::Ge => (Bound::Included(start), Bound::Unbounded),
            Comparison::Eq | Comparison::Ne => (Bound::Included(start), Bound::Excluded(end)),
        };
        return (EntryKind::Date, range);
    }
    let entry = match value.literal() {
        Literal::Bool(value) => Entry::Bool(*value),
        Literal::Number(number) => Entry::Number(Number::of(number)),
        Literal::Text(text) | Literal::Date(text, _) | Literal::NotFinite(text) => Entry::Text(text),
    };
    let range = match comparison {
        Comparison::Lt => (Bound::Unbounded, Bound::Excluded(entry)),
        Comparison::Le => (Bound::Unbounded, Bound::Included(entry)),
        Comparison::Gt => (Bound::Excluded(entry), Bound::Unbounded),
        Comparison::Ge => (Bound::Included(entry), Bound::Unbounded),
        Comparison::Eq | Comparison::Ne => (Bound::Included(entry), Bound::Included(entry)),
    };
    (entry.kind(), range)
}

/// Whether a string that is too long for an index may pass `test`. A date that is so long is in it as a date.
fn asks_long_texts(test: &Test) -> bool {
    let is_long = |value: &FilterValue| match value.literal() {
        Literal::Text(text) => Entry::of_text(text) == Entry::LongText,
        _ => false,
    };
    match test {
        Test::Exists => false,
        Test::Compare(Comparison::Eq, value) => is_long(value),
        Test::Compare(Comparison::Ne, _) => true,
        Test::Compare(_, value) | Test::Contains(value) => matches!(value.literal(), Literal::Text(_)),
        Test::In(values) => values.iter().any(is_long),
    }
}

/// What the answer to `filter` does not show: fields that no passage has, and fields that cost reading passages.
pub(super) fn warnings(filter: &Filter, matching: &Matching, reader: &Reader) -> Result<Vec<Warning>> {
    let passages = reader.state().passages;
    let mut unknown: Vec<&Field> = Vec::new();
    let mut unindexed = Vec::new();
    for field in filter.fields().into_iter().filter(|field| !field.is_id()) {
        let all = (Bound::Unbounded, Bound::Unbounded);
        match reader.indexed_rows(field, EntryKind::Present, all)? {
            Some(rows) if !rows.is_none() => {}
            Some(_) => unknown.push(field),
            None => {
                unknown.push(field);
                unindexed.push(field);
            }
        }
    }
    if unknown.iter().any(|field| unindexed.contains(field)) {
        for passage in reader.passages()? {
            let passage = passage?;
            unknown.retain(|field| !field.find(passage.subject(), &mut |found| found == Found::Present));
            if unknown.is_empty() {
                break;
            }
        }
    }
    let mut warnings: Vec<Warning> =
        if passages == 0 { Vec::new() } else { unknown.into_iter().cloned().map(Warning::UnknownField).collect() };
    if passages > UNINDEXED_PASSAGES && matching.read > 0 {
        let slow = |field: &Field| Warning::UnindexedField { field: field.clone(), read: matching.read };
        warnings.extend(unindexed.into_iter().map(slow));
    }
    if passages > 0 && matching.count == 0 {
        warnings.push(Warning::NoMatch);
    }
    Ok(warnings)
}

/// Whether a scan of the store goes over `row`.
pub(super) fn wants(matching: Option<&Matching>, row: RowId) -> bool {
    matching.is_none_or(|matching| matching.rows.contains(row))
}
