//! What queries see: a view and the store's reader of the same sequence number, exchanged together.
//!
//! Rows of a batch enter the view before its reader is exchanged, a few at a time, and rows that it removes leave
//! with the exchange. A query drops rows that its reader does not know, so it sees the batch whole or not at all.

use std::sync::Arc;

use super::view::View;
use crate::error::Result;
use crate::index::VectorIndex;
use crate::kernels::similarity_f32;
use crate::passage::RowId;
use crate::similarity::Similarity;
use crate::store::Reader;

pub(super) struct Live {
    pub(super) view: View,
    pub(super) reader: Arc<Reader>,
}

/// A row with its final score.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Scored {
    pub(super) row: RowId,
    pub(super) score: f32,
}

impl Live {
    /// The `k` rows most like `query`, all of them if there are fewer (invariant Q1), best first, ties by row.
    pub(super) fn search(&self, query: &[f32], k: usize, similarity: Similarity, exact: bool) -> Result<Vec<Scored>> {
        let passages = usize::try_from(self.reader.state().passages).unwrap_or(usize::MAX);
        let k = k.min(passages);
        if exact && !self.view.is_exact() {
            return self.scan(query, k, similarity);
        }
        // Beyond k: rows that a writer has put in ahead, and neighbours that f16 rounding may rank otherwise.
        let mut wanted = k + 16;
        loop {
            let candidates = self.view.search(query, wanted)?;
            let mut scored = Vec::with_capacity(candidates.len());
            let mut embedding = Vec::new();
            for candidate in &candidates {
                embedding.clear();
                if self.reader.embedding_into(candidate.row, &mut embedding)? {
                    scored.push(Scored { row: candidate.row, score: similarity_f32(query, &embedding, similarity) });
                }
            }
            if scored.len() >= k {
                return Ok(best(scored, k));
            }
            if candidates.len() < wanted {
                // The view has no more to give, yet there are k: a graph can lose sight of a row. The store has not.
                return self.scan(query, k, similarity);
            }
            wanted = wanted.saturating_mul(4);
        }
    }

    /// The same from the store alone, whatever the view.
    fn scan(&self, query: &[f32], k: usize, similarity: Similarity) -> Result<Vec<Scored>> {
        let mut kept: Vec<Scored> = Vec::new();
        for entry in self.reader.embeddings()? {
            let (row, embedding) = entry?;
            kept.push(Scored { row, score: similarity_f32(query, &embedding, similarity) });
            if kept.len() >= 4 * k + 1024 {
                kept = best(kept, k);
            }
        }
        Ok(best(kept, k))
    }
}

fn best(mut scored: Vec<Scored>, k: usize) -> Vec<Scored> {
    scored.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.row.cmp(&b.row)));
    scored.truncate(k);
    scored
}
