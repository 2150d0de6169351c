//! The best matches of a query, in one state of the index.

use tantivy::query::EnableScoring;
use tantivy::{DocId, Score};

use super::analysis::Analysis;
use super::index::{Fields, ROW};
use super::query::compile;
use super::{failed, guarded};
use crate::candidate::{Best, Candidate};
use crate::error::Result;
use crate::passage::RowId;
use crate::rows::Rows;

/// The index as it was at some moment, whatever is written since.
#[derive(Clone)]
pub(crate) struct Searcher {
    pub(super) searcher: tantivy::Searcher,
    pub(super) analysis: Analysis,
    pub(super) fields: Fields,
}

impl Searcher {
    /// Every row that can be found.
    pub(crate) fn rows(&self) -> Result<Rows> {
        guarded(|| {
            let mut rows = Rows::none();
            for segment in self.searcher.segment_readers() {
                let column = segment.fast_fields().u64(ROW).map_err(failed)?;
                segment.doc_ids_alive().filter_map(|document| column.first(document)).for_each(|row| {
                    rows.insert(RowId(row));
                });
            }
            Ok(rows)
        })
    }

    /// The `k` best among the rows that are `allowed` and have words of the query, best first; fewer if there are no more.
    /// Scores are BM25 with k1 = 1.2 and b = 0.75; lengths are rounded as Lucene rounds them, and rows that were removed
    /// count in a word's frequency until their segment is merged.
    pub(crate) fn search(
        &self,
        query: &str,
        k: usize,
        allowed: Option<&dyn Fn(RowId) -> bool>,
    ) -> Result<Vec<Candidate>> {
        let k = k.min(usize::try_from(self.searcher.num_docs()).unwrap_or(usize::MAX));
        if k == 0 {
            return Ok(Vec::new());
        }
        guarded(|| {
            let Some(query) = compile(query, &self.analysis, &self.fields, &self.searcher)? else {
                return Ok(Vec::new());
            };
            let weight = query.weight(EnableScoring::enabled_from_searcher(&self.searcher)).map_err(failed)?;
            let mut best = Best::new(k);
            for segment in self.searcher.segment_readers() {
                let rows = segment.fast_fields().u64(ROW).map_err(failed)?;
                let alive = segment.alive_bitset();
                let least = threshold(&best);
                let mut offer = |document: DocId, score: Score| {
                    if alive.is_none_or(|alive| alive.is_alive(document))
                        && let Some(row) = rows.first(document).map(RowId)
                        && allowed.is_none_or(|allowed| allowed(row))
                    {
                        best.offer(Candidate { row, score });
                    }
                    threshold(&best)
                };
                weight.for_each_pruning(least, segment, &mut offer).map_err(failed)?;
            }
            Ok(best.into_sorted())
        })
    }
}

/// Only scores above it are of interest. tantivy skips what equals it, which may still win by its row; so it is the
/// number just below the worst of the best.
fn threshold(best: &Best) -> f32 {
    best.floor().next_down().max(f32::MIN)
}
