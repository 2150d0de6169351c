//! The lexical view: which passages have a query's words in them, by BM25 over an inverted index.
//!
//! Like every view it is disposable: it holds words and row ids, and is rebuilt from the store at any doubt. The index
//! is tantivy's and lives in memory; on disk it is one snapshot, whose checksum has been verified before tantivy sees
//! a byte of it. tantivy is named in this folder only.

mod analysis;
mod index;
mod query;
mod search;

#[cfg(test)]
mod tests;

use std::panic::{AssertUnwindSafe, catch_unwind};

pub(crate) use analysis::Analysis;
pub(crate) use index::{Document, LexicalIndex};
pub(crate) use search::Searcher;

use crate::error::{Error, ErrorKind, Result};

/// `work`, with a panic of tantivy's as an error: no query is worth the caller's process.
fn guarded<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    let broken = || Error::new(ErrorKind::Io, "the lexical index failed; open the collection again");
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| Err(broken()))
}

fn failed(error: impl Into<tantivy::TantivyError>) -> Error {
    Error::new(ErrorKind::Io, "the lexical index failed; open the collection again").with_source(error.into())
}
