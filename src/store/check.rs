//! Every record read, and every table held against the others.

use std::collections::BTreeMap;

use xxhash_rust::xxh3::Xxh3Default;

use super::fields::keys;
use super::reader::Reader;
use crate::error::{Error, ErrorKind, Result};
use crate::passage::RowId;
use crate::progress::{OnProgress, Stage, report};
use crate::similarity::Similarity;

/// Records between two reports of progress.
const REPORT_EVERY: u64 = 1024;

/// Something that is not as it was written.
#[derive(Debug)]
pub(crate) enum Flaw {
    /// Of the passages, their ids and embeddings, or the log.
    Record(String),
    /// Of the index of a field.
    Field(String),
}

/// The entries of one field index: their number and the sum of their hashes, so that two lists of any order and length
/// are compared in no space.
type Digest = (u64, u64);

impl Reader {
    /// Hands each flaw to `found`, which may end the check with an error: records that cannot be read, passages without
    /// their id or embedding, embeddings that no search may see, a log that does not lead to the present state, and
    /// indexes of fields that are not what the passages say.
    pub(crate) fn check(
        &self,
        similarity: Similarity,
        on_progress: OnProgress<'_>,
        found: &mut dyn FnMut(Flaw) -> Result<()>,
    ) -> Result<()> {
        for outcome in [self.check_counts(), self.check_order()] {
            outcome.or_else(|error| found(Flaw::Record(error.to_string())))?;
        }
        let all_read = self.check_passages(similarity, on_progress, found)?;
        self.check_log(&mut |what| found(Flaw::Record(what)))?;
        // What a passage that cannot be read would be found under is not known.
        if all_read { self.check_fields(found) } else { Ok(()) }
    }

    /// Whether every passage could be read.
    fn check_passages(
        &self,
        similarity: Similarity,
        on_progress: OnProgress<'_>,
        found: &mut dyn FnMut(Flaw) -> Result<()>,
    ) -> Result<bool> {
        let mut found = |what: String| found(Flaw::Record(what));
        let (total, mut all_read) = (self.state().passages, true);
        for (done, passage) in (0..).zip(self.passages()?) {
            if u64::is_multiple_of(done, REPORT_EVERY) {
                report(on_progress, Stage::Check, done, total)?;
            }
            let passage = match passage {
                Ok(passage) => passage,
                Err(error) => {
                    all_read = false;
                    found(message(&error))?;
                    continue;
                }
            };
            let name = format!("passage \"{}\" (row {})", passage.id, passage.row.0);
            if passage.row.0 >= self.state().next_row {
                found(format!("{name} has a row that has not been given out"))?;
            }
            match self.row(&passage.id) {
                Ok(Some(row)) if row == passage.row => {}
                Ok(_) => found(format!("{name} is not found by its id"))?,
                Err(error) => found(message(&error))?,
            }
            match self.embedding(passage.row) {
                Ok(Some(embedding)) => {
                    let square: f64 = embedding.iter().map(|value| f64::from(*value).powi(2)).sum();
                    if !square.is_finite() {
                        found(format!("the embedding of {name} is not finite"))?;
                    } else if similarity == Similarity::Cosine && !(0.9..1.1).contains(&square) {
                        found(format!("the embedding of {name} is not of unit length"))?;
                    }
                }
                Ok(None) => found(format!("{name} has no embedding"))?,
                Err(error) => found(message(&error))?,
            }
        }
        report(on_progress, Stage::Check, total, total)?;
        Ok(all_read)
    }

    /// The log is without gaps, its rows ascend, and it ends where the collection stands.
    fn check_log(&self, found: &mut dyn FnMut(String) -> Result<()>) -> Result<()> {
        let state = self.state();
        let first = (0..=state.seq).rev().take_while(|seq| matches!(self.change(*seq), Ok(Some(_)))).last();
        if first.is_none() && state.seq > 0 {
            return found(format!("the log lacks the last change, number {}", state.seq));
        }
        let before = first.map_or(0, |first| first.saturating_sub(1));
        let (mut row, mut nonce) = (0, state.nonce);
        for change in self.changes_after(before)? {
            let change = match change {
                Ok(change) => change,
                Err(error) => {
                    found(message(&error))?;
                    continue;
                }
            };
            if change.added_from < row || change.added_to < change.added_from || change.added_to > state.next_row {
                found(format!("the log adds the rows {}..{} out of order", change.added_from, change.added_to))?;
            }
            (row, nonce) = (change.added_to, change.nonce);
        }
        if nonce != state.nonce {
            found("the log ends elsewhere than the state".to_owned())?;
        }
        // What is below was to be forgotten, or a change in between is gone.
        match self.changes_after(0)?.count() as u64 {
            count if count == first.map_or(0, |first| state.seq - first + 1) => Ok(()),
            _ => found("the log has a gap".to_owned()),
        }
    }

    fn check_fields(&self, found: &mut dyn FnMut(Flaw) -> Result<()>) -> Result<()> {
        let indexed = self.fields.indexed();
        if indexed.is_empty() {
            return Ok(());
        }
        let mut expected: BTreeMap<u32, Digest> = BTreeMap::new();
        for passage in self.passages()? {
            let passage = passage?;
            keys(indexed, passage.row, passage.subject(), &mut |number, key, _| {
                count(expected.entry(number).or_default(), &key, passage.row);
            });
        }
        let mut stored: BTreeMap<u32, Digest> = BTreeMap::new();
        let walked = self.fields.each(&mut |number, key, row| count(stored.entry(number).or_default(), key, row));
        for (number, field) in indexed {
            let wrong = match &walked {
                Err(error) => message(error),
                Ok(()) if expected.get(number) != stored.get(number) => "it is not what the passages say".to_owned(),
                Ok(()) => continue,
            };
            let remedy = "drop the index and make it again";
            found(Flaw::Field(format!("the index of the field {field} is wrong: {wrong}; {remedy}")))?;
        }
        Ok(())
    }
}

fn count((number, sum): &mut Digest, key: &[u8], row: RowId) {
    let mut hash = Xxh3Default::new();
    hash.update(key);
    // Those of one key are of one block, and share their higher bits.
    hash.update(&(row.0 as u32).to_le_bytes());
    *number += 1;
    *sum = sum.wrapping_add(hash.digest());
}

/// An error that is a flaw, with its causes.
fn message(error: &Error) -> String {
    let mut message = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        message.push_str(": ");
        message.push_str(&error.to_string());
        cause = error.source();
    }
    message
}

impl Flaw {
    /// For whoever stops at the first.
    pub(crate) fn into_error(self) -> Error {
        match self {
            Self::Record(what) if what.contains("restore the collection") => Error::new(ErrorKind::Corrupt, what),
            Self::Record(what) => {
                Error::corrupt(format!("the store is damaged: {what}; restore the collection from a copy"))
            }
            Self::Field(what) => Error::new(ErrorKind::Corrupt, what),
        }
    }
}
