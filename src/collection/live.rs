//! What queries see: a view and the store's reader of the same sequence number, exchanged together.
//!
//! Rows of a batch enter the view before its reader is exchanged, a few at a time, and rows that it removes leave
//! with the exchange. A query drops rows that its reader does not know, so it sees the batch whole or not at all.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Inner;
use super::filtered::{Matching, wants};
use super::plan::{Plan, Situation};
use super::view::{View, matrix_of};
use crate::candidate::Candidate;
use crate::error::Result;
use crate::filter::Filter;
use crate::index::VectorIndex;
use crate::kernels::similarity_f32;
use crate::passage::RowId;
use crate::similarity::Similarity;
use crate::store::Reader;

/// How often a filter is evaluated anew because a batch was written meanwhile. Then the state that it was evaluated in is
/// searched without a view.
const ATTEMPTS: usize = 3;

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

/// What is asked of the embeddings.
#[derive(Clone, Copy)]
pub(super) struct Ask<'q> {
    pub(super) query: &'q [f32],
    pub(super) k: usize,
    /// Whether to compare with each passage.
    pub(super) exact: bool,
    pub(super) filter: Option<&'q Filter>,
}

/// The rows most like a query, in the state of the store that `reader` sees.
pub(super) struct Dense {
    /// Best first, ties by row.
    pub(super) scored: Vec<Scored>,
    pub(super) reader: Arc<Reader>,
    pub(super) matching: Option<Arc<Matching>>,
    pub(super) plan: Plan,
    /// Candidates whose exact score was computed from the embedding as it is stored.
    pub(super) rescored: u64,
    pub(super) filter_time: Duration,
    pub(super) candidates_time: Duration,
    pub(super) rescore_time: Duration,
}

impl Inner {
    /// The `k` rows most like the query of those that the filter matches, all of them if there are fewer (invariant Q1):
    /// in the state that `pinned` sees, if another view has answered in it already, or else in the present one.
    pub(super) fn dense(&self, ask: Ask<'_>, pinned: Option<&Arc<Reader>>) -> Result<Dense> {
        if !ask.exact {
            // Loading takes no longer than reading every embedding from the store, and the next query needs it too.
            self.wait_while_loading();
        }
        let started = Instant::now();
        let mut attempts = 0;
        loop {
            let (reader, situation) = {
                let live = self.live.read();
                (Arc::clone(pinned.unwrap_or(&live.reader)), live.situation(ask.exact))
            };
            let matching = ask.filter.map(|filter| self.matching(&reader, filter)).transpose()?;
            let matches = matching.as_ref().map(|matching| matching.count);
            if (Situation { matches, ..situation }).wants_matrix() {
                self.lay_out_matrix()?;
            }
            let filter_time = started.elapsed();
            let live = self.live.read();
            let mut search = Search {
                ask,
                similarity: self.similarity,
                matching: matching.as_deref(),
                reader: &reader,
                rescored: 0,
                candidates_time: Duration::ZERO,
                rescore_time: Duration::ZERO,
            };
            attempts += 1;
            let current = pinned.is_none() && matching.is_none() || Arc::ptr_eq(&live.reader, &reader);
            let (scored, plan) = if current {
                search.reader = &live.reader;
                let plan = Situation { matches, ..live.situation(ask.exact) }.plan();
                (search.by(plan, &live.view)?, plan)
            } else if pinned.is_none() && attempts < ATTEMPTS {
                continue;
            } else {
                drop(live);
                (search.store()?, Plan::ScanStore)
            };
            let Search { rescored, candidates_time, rescore_time, reader, .. } = search;
            let reader = Arc::clone(reader);
            return Ok(Dense {
                scored,
                reader,
                matching: matching.clone(),
                plan,
                rescored,
                filter_time,
                candidates_time,
                rescore_time,
            });
        }
    }

    /// Lays the embeddings out in memory beside a graph, for queries whose filter leaves too few passages for a walk.
    /// Costs 2 bytes a number, from the first such query on.
    fn lay_out_matrix(&self) -> Result<()> {
        // With the lock nobody changes the view meanwhile. Without it the query does not wait, and reads the store.
        let Some(_writing) = self.writing.try_lock() else { return Ok(()) };
        let reader = {
            let live = self.live.read();
            if live.view.matrix().is_some() || live.view.is_absent() {
                return Ok(());
            }
            Arc::clone(&live.reader)
        };
        let matrix = matrix_of(&reader, self.similarity)?;
        self.live.write().view.set_matrix(matrix);
        Ok(())
    }
}

impl Live {
    fn situation(&self, exact: bool) -> Situation {
        Situation {
            passages: self.reader.state().passages,
            matches: None,
            exact,
            expansion: self.view.expansion(),
            matrix: self.view.matrix().is_some(),
        }
    }
}

/// One query under way.
struct Search<'s> {
    ask: Ask<'s>,
    similarity: Similarity,
    matching: Option<&'s Matching>,
    reader: &'s Arc<Reader>,
    rescored: u64,
    candidates_time: Duration,
    rescore_time: Duration,
}

impl Search<'_> {
    fn by(&mut self, plan: Plan, view: &View) -> Result<Vec<Scored>> {
        match (plan, view.matrix()) {
            (Plan::Nothing | Plan::Words, _) => Ok(Vec::new()),
            (Plan::Graph, _) => self.through(view),
            (Plan::Scan, Some(matrix)) => self.through(matrix),
            (Plan::Scan | Plan::ScanStore, _) => self.store(),
        }
    }

    /// How many there are to find.
    fn k(&self) -> usize {
        let passages = self.reader.state().passages;
        let most = self.matching.map_or(passages, |matching| matching.count);
        self.ask.k.min(usize::try_from(most).unwrap_or(usize::MAX))
    }

    /// What `index` finds, with exact scores.
    fn through(&mut self, index: &dyn VectorIndex) -> Result<Vec<Scored>> {
        let k = self.k();
        // Beyond k: rows that a writer has put in ahead, and neighbours that f16 rounding may rank otherwise.
        let mut wanted = k + 16;
        loop {
            let started = Instant::now();
            let candidates = match self.matching {
                None => index.search(self.ask.query, wanted)?,
                Some(matching) => index.search_among(self.ask.query, wanted, &matching.rows)?,
            };
            let found = Instant::now();
            self.candidates_time += found - started;
            let scored = self.rescore(index, &candidates)?;
            self.rescore_time += found.elapsed();
            if scored.len() >= k {
                return Ok(best(scored, k));
            }
            if candidates.len() < wanted {
                // The view has no more to give, yet there are k: a graph can lose sight of a row. The store has not.
                return self.store();
            }
            wanted = wanted.saturating_mul(4);
        }
    }

    /// Scores from the embeddings as they are stored, of which a view holds copies: reading and verifying those of the
    /// store for 26 candidates costs a tenth of a walk or more.
    fn rescore(&mut self, index: &dyn VectorIndex, candidates: &[Candidate]) -> Result<Vec<Scored>> {
        let mut scored = Vec::with_capacity(candidates.len());
        let mut embedding = Vec::new();
        for Candidate { row, .. } in candidates {
            embedding.clear();
            // A writer puts rows in ahead of the state that is searched.
            if row.0 < self.reader.state().next_row && index.embedding_into(*row, &mut embedding)? {
                scored.push(Scored { row: *row, score: similarity_f32(self.ask.query, &embedding, self.similarity) });
            }
        }
        self.rescored += scored.len() as u64;
        Ok(scored)
    }

    /// The same from the store alone, whatever the view.
    fn store(&mut self) -> Result<Vec<Scored>> {
        let (started, k) = (Instant::now(), self.k());
        let mut kept: Vec<Scored> = Vec::new();
        let mut keep = |row, embedding: &[_]| {
            kept.push(Scored { row, score: similarity_f32(self.ask.query, embedding, self.similarity) });
            if kept.len() >= 4 * k + 1024 {
                kept = best(std::mem::take(&mut kept), k);
            }
        };
        if let Some(listed) = self.matching.and_then(|matching| matching.rows.listed()) {
            let mut embedding = Vec::new();
            for row in listed {
                embedding.clear();
                self.reader.known_embedding_into(row, &mut embedding)?;
                self.rescored += 1;
                keep(row, &embedding);
            }
        } else {
            for entry in self.reader.embeddings()? {
                let (row, embedding) = entry?;
                if wants(self.matching, row) {
                    self.rescored += 1;
                    keep(row, &embedding);
                }
            }
        }
        let best = best(kept, k);
        self.rescore_time += started.elapsed();
        Ok(best)
    }
}

fn best(mut scored: Vec<Scored>, k: usize) -> Vec<Scored> {
    scored.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.row.cmp(&b.row)));
    scored.truncate(k);
    scored
}
