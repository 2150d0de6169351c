//! A closer look at the first candidates, by a model that reads query and passage together.

use std::collections::HashMap;
use std::fmt;

use super::fuse::Found;
use crate::cross_encoder::CrossEncoder;
use crate::error::{Error, Result};
use crate::passage::RowId;
use crate::store::Reader;

/// How many candidates a cross-encoder reads, where nothing else is said.
pub const DEFAULT_RERANK_TOP: usize = 50;

/// What tells how well passages answer a query by reading both. [`CrossEncoder`] does; implement it to bring your own.
pub trait Reranker: Send + Sync {
    /// One score for each passage, in order; higher is better. A passage comes as it is encoded: title and text.
    ///
    /// # Errors
    /// Yours; the query ends with them.
    fn scores(&self, query: &str, passages: &[&str]) -> Result<Vec<f32>>;
}

impl Reranker for CrossEncoder {
    fn scores(&self, query: &str, passages: &[&str]) -> Result<Vec<f32>> {
        self.score(&passages.iter().map(|passage| (query, *passage)).collect::<Vec<_>>())
    }
}

/// A reranker and how many candidates it reads.
#[derive(Clone, Copy)]
pub(super) struct Stage<'c> {
    pub(super) reranker: &'c dyn Reranker,
    pub(super) top: usize,
}

/// What a stage has read, so that it never reads a passage twice for one query.
pub(super) type Read = HashMap<RowId, f32>;

impl Stage<'_> {
    /// Orders the first `top` by the reranker's scores, equal ones as they were; the others stay behind them.
    pub(super) fn apply(&self, query: &str, reader: &Reader, found: &mut [Found], read: &mut Read) -> Result<()> {
        let (first, _) = found.split_at_mut(self.top.min(found.len()));
        let unread: Vec<RowId> = first.iter().map(|found| found.row).filter(|row| !read.contains_key(row)).collect();
        let mut texts = Vec::with_capacity(unread.len());
        for row in &unread {
            texts.push(reader.known_passage(*row)?.text_to_encode());
        }
        if !texts.is_empty() {
            let scores = self.reranker.scores(query, &texts.iter().map(String::as_str).collect::<Vec<_>>())?;
            if scores.len() != texts.len() {
                return Err(Error::misuse(format!(
                    "the reranker gave {} scores for {} passages",
                    scores.len(),
                    texts.len()
                )));
            }
            if let Some(score) = scores.iter().find(|score| !score.is_finite()) {
                return Err(Error::misuse(format!("the reranker gave the score {score}; scores must be finite")));
            }
            read.extend(unread.into_iter().zip(scores));
        }
        for found in first.iter_mut() {
            if let Some(score) = read.get(&found.row) {
                (found.score, found.scores.rerank) = (*score, Some(*score));
            }
        }
        first.sort_by(|a, b| b.score.total_cmp(&a.score));
        Ok(())
    }
}

impl fmt::Debug for Stage<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stage").field("top", &self.top).finish_non_exhaustive()
    }
}
