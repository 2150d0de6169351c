//! The best matches of a query, in one state of the index.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use tantivy::query::EnableScoring;
use tantivy::{DocId, Score};

use super::analysis::Analysis;
use super::index::{Fields, ROW};
use super::query::compile;
use super::{failed, guarded};
use crate::error::Result;
use crate::passage::RowId;
use crate::rows::Rows;

/// A row that has words of a query.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Match {
    pub(crate) row: RowId,
    /// BM25 with k1 = 1.2 and b = 0.75; lengths are rounded as Lucene rounds them, and rows that were removed count in
    /// a word's frequency until their segment is merged.
    pub(crate) score: f32,
}

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

    /// The `k` best matches among the rows that are `allowed`, best first, equal scores by ascending row; fewer if no
    /// more rows match.
    pub(crate) fn search(&self, query: &str, k: usize, allowed: Option<&dyn Fn(RowId) -> bool>) -> Result<Vec<Match>> {
        let k = k.min(usize::try_from(self.searcher.num_docs()).unwrap_or(usize::MAX));
        if k == 0 {
            return Ok(Vec::new());
        }
        guarded(|| {
            let Some(query) = compile(query, &self.analysis, &self.fields, &self.searcher)? else {
                return Ok(Vec::new());
            };
            let weight = query.weight(EnableScoring::enabled_from_searcher(&self.searcher)).map_err(failed)?;
            let mut best = Best { k, heap: BinaryHeap::with_capacity(k + 1) };
            for segment in self.searcher.segment_readers() {
                let rows = segment.fast_fields().u64(ROW).map_err(failed)?;
                let alive = segment.alive_bitset();
                let threshold = best.threshold();
                let mut offer = |document: DocId, score: Score| {
                    if alive.is_none_or(|alive| alive.is_alive(document))
                        && let Some(row) = rows.first(document).map(RowId)
                        && allowed.is_none_or(|allowed| allowed(row))
                    {
                        best.offer(Match { row, score });
                    }
                    best.threshold()
                };
                weight.for_each_pruning(threshold, segment, &mut offer).map_err(failed)?;
            }
            Ok(best.heap.into_sorted_vec().into_iter().map(|Ranked(found)| found).collect())
        })
    }
}

/// The best `k` matches seen so far, the worst of them on top.
struct Best {
    k: usize,
    heap: BinaryHeap<Ranked>,
}

impl Best {
    fn offer(&mut self, found: Match) {
        self.heap.push(Ranked(found));
        if self.heap.len() > self.k {
            self.heap.pop();
        }
    }

    /// Only scores above it are of interest. tantivy skips what equals it, which may still win by its row; so it is the
    /// number just below the worst.
    fn threshold(&self) -> f32 {
        match self.heap.peek() {
            Some(Ranked(worst)) if self.heap.len() >= self.k => worst.score.next_down(),
            _ => f32::MIN,
        }
    }
}

/// A match in the order of results: the greatest is the worst.
struct Ranked(Match);

impl Ord for Ranked {
    fn cmp(&self, other: &Self) -> Ordering {
        other.0.score.total_cmp(&self.0.score).then(self.0.row.cmp(&other.0.row))
    }
}

impl PartialOrd for Ranked {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Ranked {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Ranked {}
