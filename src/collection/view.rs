//! The vector view of one collection: the kind that fits its size.

use std::ops::ControlFlow;

use crate::candidate::Candidate;
use crate::error::Result;
use crate::index::{ExactIndex, VectorIndex};
#[cfg(feature = "usearch")]
use crate::index::{HnswIndex, Trials};
use crate::passage::RowId;
use crate::progress::{OnProgress, Stage, report};
use crate::rows::Rows;
use crate::similarity::Similarity;
use crate::store::Reader;
use half::f16;

use super::options::Index;

/// Up to here a collection with [`Index::Auto`] is scanned exactly.
///
/// Measured on two Zen 4 cores with embeddings of width 384 (2026-11): a scan of 100,000 takes 2.8 ms, so one of 50,000
/// about what encoding the query does; it needs no snapshot and never misses. A graph answers 100,000 in 0.4 ms but
/// takes a minute and a half to build.
pub(super) const EXACT_ROWS: u64 = 50_000;

/// The recall@10 that is promised. Where a graph cannot reach it, as on isotropic embeddings (0.93 at the largest
/// expansion, at 8 times the cost of a scan), the view is exact instead.
#[cfg(feature = "usearch")]
const PROMISED_RECALL: f32 = 0.97;

/// Rows per unit of search expansion below which a scan is faster than the graph: a unit costs 7 us, a row 45 ns.
#[cfg(feature = "usearch")]
const ROWS_PER_EXPANSION: usize = 150;

/// A view smaller than this is not calibrated: the least expansion visits a good part of it.
#[cfg(feature = "usearch")]
const CALIBRATED_ROWS: usize = 512;

/// Rows between two reports of progress.
const REPORT_EVERY: u64 = 1024;

pub(super) enum View {
    /// A graph that is still being made: the store is read in its place.
    #[cfg(feature = "usearch")]
    Absent,
    Exact(ExactIndex),
    /// A graph, and beside it the matrix that filtered queries scan, once there was one.
    #[cfg(feature = "usearch")]
    Hnsw(Box<HnswIndex>, Option<ExactIndex>),
}

impl View {
    pub(super) fn is_exact(&self) -> bool {
        matches!(self, Self::Exact(_))
    }

    /// Whether the store has to be read in its place.
    pub(super) fn is_absent(&self) -> bool {
        match self {
            #[cfg(feature = "usearch")]
            Self::Absent => true,
            _ => false,
        }
    }

    /// The kind that a collection of `passages` gets.
    pub(super) fn kind(index: Index, passages: u64) -> Index {
        match index {
            _ if cfg!(not(feature = "usearch")) => Index::Exact,
            Index::Auto if passages > EXACT_ROWS => Index::Hnsw,
            Index::Auto => Index::Exact,
            chosen => chosen,
        }
    }

    /// An exact or approximate view of everything that `reader` sees; exact too where a graph is not
    /// [worth it](Self::tune).
    #[cfg_attr(
        not(feature = "usearch"),
        expect(clippy::only_used_in_recursion, reason = "what a graph is worth depends on `index`")
    )]
    pub(super) fn build(
        kind: Index,
        index: Index,
        reader: &Reader,
        similarity: Similarity,
        on_progress: OnProgress<'_>,
    ) -> Result<Self> {
        let total = reader.state().passages;
        let mut view = match kind {
            #[cfg(feature = "usearch")]
            Index::Hnsw => Self::Hnsw(Box::new(HnswIndex::new(reader.dimension(), similarity)?), None),
            _ => Self::Exact(empty_matrix(reader, similarity)?),
        };
        for (done, entry) in (0u64..).zip(reader.embeddings()?) {
            if done.is_multiple_of(REPORT_EVERY) && !view.is_exact() {
                report(on_progress, Stage::Index, done, total)?;
            }
            let (row, embedding) = entry?;
            view.insert(row, &embedding)?;
        }
        #[cfg(feature = "usearch")]
        let worth_it = settle(view.trials()?, |trials| view.tune(trials, index))?;
        #[cfg(not(feature = "usearch"))]
        let worth_it = true;
        if worth_it { Ok(view) } else { Self::build(Index::Exact, index, reader, similarity, on_progress) }
    }

    /// What [`tune`](Self::tune) needs, if there is anything to tune: by far the greater part of that work.
    #[cfg(feature = "usearch")]
    pub(super) fn trials(&self) -> Result<Option<Trials>> {
        match self {
            Self::Hnsw(graph, _) if graph.len() >= CALIBRATED_ROWS => graph.trials(PROMISED_RECALL).map(Some),
            _ => Ok(None),
        }
    }

    /// A step towards fitting the search of an approximate view to its data, to be taken again until it says something.
    /// False if an exact view would serve better: always if the graph cannot keep its promise, and under [`Index::Auto`]
    /// also if a scan is faster.
    #[cfg(feature = "usearch")]
    pub(super) fn tune(&mut self, trials: &mut Trials, index: Index) -> Result<Option<bool>> {
        let Self::Hnsw(graph, _) = self else { return Ok(Some(true)) };
        let Some(found) = trials.step(graph)? else { return Ok(None) };
        let faster = graph.len() > ROWS_PER_EXPANSION * found.expansion_search;
        Ok(Some(found.recall >= PROMISED_RECALL && (faster || index == Index::Hnsw)))
    }

    /// The part of the view that is dead weight, in 0..=1.
    pub(super) fn dead_fraction(&self) -> f32 {
        match self {
            #[cfg(feature = "usearch")]
            Self::Hnsw(index, _) => index.dead_fraction(),
            _ => 0.0,
        }
    }

    fn index(&self) -> Option<&dyn VectorIndex> {
        match self {
            #[cfg(feature = "usearch")]
            Self::Absent => None,
            Self::Exact(index) => Some(index),
            #[cfg(feature = "usearch")]
            Self::Hnsw(index, _) => Some(&**index),
        }
    }

    /// The matrix of all rows, if there is one.
    pub(super) fn matrix(&self) -> Option<&ExactIndex> {
        match self {
            #[cfg(feature = "usearch")]
            Self::Absent => None,
            Self::Exact(matrix) => Some(matrix),
            #[cfg(feature = "usearch")]
            Self::Hnsw(_, matrix) => matrix.as_ref(),
        }
    }

    /// Puts a matrix of the same rows beside a graph.
    pub(super) fn set_matrix(&mut self, beside: ExactIndex) {
        match self {
            #[cfg(feature = "usearch")]
            Self::Hnsw(_, matrix) => *matrix = Some(beside),
            _ => drop(beside),
        }
    }

    /// How many candidates a walk keeps; 0 if there is no graph.
    pub(super) fn expansion(&self) -> usize {
        match self {
            #[cfg(feature = "usearch")]
            Self::Hnsw(graph, _) => graph.expansion_search(),
            _ => 0,
        }
    }

    /// Does to each part of the view what is done to all of it.
    fn each(&mut self, mut change: impl FnMut(&mut dyn VectorIndex) -> Result<()>) -> Result<()> {
        match self {
            #[cfg(feature = "usearch")]
            Self::Absent => Ok(()),
            Self::Exact(index) => change(index),
            #[cfg(feature = "usearch")]
            Self::Hnsw(graph, matrix) => {
                change(&mut **graph)?;
                matrix.as_mut().map_or(Ok(()), |matrix| change(matrix))
            }
        }
    }
}

/// What [`View::tune`] says in the end; true if there is nothing to tune.
#[cfg(feature = "usearch")]
pub(super) fn settle(
    trials: Option<Trials>,
    mut tune: impl FnMut(&mut Trials) -> Result<Option<bool>>,
) -> Result<bool> {
    let Some(mut trials) = trials else { return Ok(true) };
    loop {
        if let Some(worth_it) = tune(&mut trials)? {
            return Ok(worth_it);
        }
    }
}

/// A matrix with room for all rows of `reader`.
fn empty_matrix(reader: &Reader, similarity: Similarity) -> Result<ExactIndex> {
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let mut matrix = ExactIndex::new(reader.dimension(), similarity)?.threads(threads);
    matrix.reserve(usize::try_from(reader.state().passages).unwrap_or_default());
    Ok(matrix)
}

/// A matrix of all rows of `reader`.
pub(super) fn matrix_of(reader: &Reader, similarity: Similarity) -> Result<ExactIndex> {
    let mut matrix = empty_matrix(reader, similarity)?;
    for entry in reader.embeddings()? {
        let (row, embedding) = entry?;
        matrix.insert(row, &embedding)?;
    }
    Ok(matrix)
}

impl VectorIndex for View {
    fn len(&self) -> usize {
        self.index().map_or(0, VectorIndex::len)
    }

    fn contains(&self, row: RowId) -> bool {
        self.index().is_some_and(|index| index.contains(row))
    }

    fn insert(&mut self, row: RowId, embedding: &[f16]) -> Result<()> {
        self.each(|index| index.insert(row, embedding))
    }

    fn remove(&mut self, row: RowId) -> Result<()> {
        self.each(|index| index.remove(row))
    }

    fn search(&self, query: &[f32], k: usize) -> Result<Vec<Candidate>> {
        self.index().map_or_else(|| Ok(Vec::new()), |index| index.search(query, k))
    }

    fn search_among(&self, query: &[f32], k: usize, rows: &Rows) -> Result<Vec<Candidate>> {
        self.index().map_or_else(|| Ok(Vec::new()), |index| index.search_among(query, k, rows))
    }

    fn embedding_into(&self, row: RowId, out: &mut Vec<f16>) -> Result<bool> {
        self.index().map_or(Ok(false), |index| index.embedding_into(row, out))
    }
}

/// For work whose caller does not watch.
pub(super) fn unwatched() -> impl FnMut(crate::progress::Progress) -> ControlFlow<()> {
    |_| ControlFlow::Continue(())
}
