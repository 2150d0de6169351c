//! The exact view: every row is compared with the query.
//!
//! The rows' embeddings lie one after another in a matrix, without gaps, so a scan runs at the speed of memory: up to some
//! tens of thousands of rows it is also the quickest view.

use std::sync::{Mutex, PoisonError};
use std::thread;

use half::f16;

use super::matrix::Matrix;
use super::slot_map::SlotMap;
use super::{Direction, VectorIndex, check_dimension, check_embedding, scale_of};
use crate::candidate::{Best, Candidate};
use crate::error::Result;
use crate::kernels;
use crate::passage::RowId;
use crate::rows::Rows;
use crate::similarity::Similarity;

/// Rows whose scores are computed before they are ranked: enough to hide the call, few enough to stay in L1.
const BLOCK: usize = 64;

/// The same where they are scattered: more, because within a block those to come are fetched ahead.
const SCATTERED: usize = 256;

/// The least matrix that is worth a thread of its own: at 10 GB/s it takes 200 µs to read, a thread 30 µs to start.
const BYTES_PER_THREAD: usize = 2 << 20;

/// Rows that a thread takes at a time. Halves of the matrix would be slower: a thread that starts late, or is held up,
/// would be waited for.
const PART: usize = 512;

/// A view that is always right.
pub(crate) struct ExactIndex {
    dimension: usize,
    similarity: Similarity,
    threads: usize,
    /// The embedding of `rows[slot]` is the row `slot`.
    matrix: Matrix,
    rows: Vec<RowId>,
    /// [`scale_of`] each.
    scales: Vec<f32>,
    slots: SlotMap,
}

impl ExactIndex {
    pub(crate) fn new(dimension: usize, similarity: Similarity) -> Result<Self> {
        let dimension = check_dimension(dimension)?;
        Ok(Self {
            dimension,
            similarity,
            threads: 1,
            matrix: Matrix::new(dimension),
            rows: Vec::new(),
            scales: Vec::new(),
            slots: SlotMap::default(),
        })
    }

    /// Lets a scan of more than 4 MiB use up to `threads` threads. The answer does not depend on it.
    #[must_use]
    pub(crate) fn threads(mut self, threads: usize) -> Self {
        self.threads = threads.max(1);
        self
    }

    /// Makes room for `additional` rows at once.
    pub(crate) fn reserve(&mut self, additional: usize) {
        self.matrix.reserve(additional);
        self.rows.reserve(additional);
        self.scales.reserve(additional);
    }

    /// In no particular order.
    #[cfg(feature = "usearch")]
    pub(super) fn rows(&self) -> &[RowId] {
        &self.rows
    }

    fn scan(&self, query: &Direction, k: usize) -> Vec<Candidate> {
        let threads = self.threads_for(self.rows.len());
        in_parallel(k, threads, self.matrix.parts(PART), |best, (first, embeddings)| {
            let (rows, scales) = (self.rows.get(first..), self.scales.get(first..));
            best.scan(query, embeddings, rows.unwrap_or_default(), scales.unwrap_or_default());
        })
    }

    fn scan_among(&self, query: &Direction, k: usize, rows: &Rows) -> Vec<Candidate> {
        let count = usize::try_from(rows.count(0)).unwrap_or(usize::MAX);
        // Where more are listed than there are, those here are sought in the list: the view of the rows beside a graph is a
        // hundredth of it.
        if rows.listed().is_some() && count <= self.rows.len() {
            // Finding their slots is a good part of the work, and shared too.
            return in_parallel(k.min(count), self.threads_for(count), rows.parts(PART), |best, (first, count)| {
                let listed = rows.listed_from(first).into_iter().flatten().take(count);
                best.scan_slots(query, self, &self.slots.slots_of(listed, count));
            });
        }
        let matching = (0..).zip(&self.rows).filter(|(_, row)| rows.contains(**row));
        let slots: Vec<usize> = matching.map(|(slot, _)| slot).collect();
        let threads = self.threads_for(slots.len());
        in_parallel(k.min(slots.len()), threads, slots.chunks(PART), |best, slots| best.scan_slots(query, self, slots))
    }

    /// How many threads `rows` rows are worth.
    fn threads_for(&self, rows: usize) -> usize {
        (rows * self.dimension * size_of::<f16>() / BYTES_PER_THREAD).clamp(1, self.threads)
    }
}

/// The best `k` of all parts, of which each of `threads` threads, this one among them, takes one after another.
fn in_parallel<P>(
    k: usize,
    threads: usize,
    parts: impl Iterator<Item = P> + Send,
    scan: impl Fn(&mut Best, P) + Sync,
) -> Vec<Candidate> {
    let parts = Mutex::new(parts);
    let next = || parts.lock().unwrap_or_else(PoisonError::into_inner).next();
    let work = || {
        let mut best = Best::new(k);
        while let Some(part) = next() {
            scan(&mut best, part);
        }
        best
    };
    let best = thread::scope(|scope| {
        // A machine that is out of threads still gets its answer.
        let helper = |_| thread::Builder::new().spawn_scoped(scope, work).ok();
        let helpers: Vec<_> = (1..threads).filter_map(helper).collect();
        let mut best = work();
        for helper in helpers {
            match helper.join() {
                Ok(theirs) => best.merge(theirs),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        best
    });
    best.into_sorted()
}

impl VectorIndex for ExactIndex {
    fn len(&self) -> usize {
        self.rows.len()
    }

    fn contains(&self, row: RowId) -> bool {
        self.slots.contains(row)
    }

    fn insert(&mut self, row: RowId, embedding: &[f16]) -> Result<()> {
        check_embedding(embedding, self.dimension)?;
        if self.slots.contains(row) {
            return Ok(());
        }
        // First, because it can fail.
        self.matrix.push(embedding)?;
        self.slots.insert(row, self.rows.len());
        self.rows.push(row);
        self.scales.push(scale_of(embedding, self.similarity));
        Ok(())
    }

    /// The last row moves into the gap.
    fn remove(&mut self, row: RowId) -> Result<()> {
        let Some(slot) = self.slots.remove(row) else { return Ok(()) };
        self.rows.swap_remove(slot);
        self.scales.swap_remove(slot);
        self.matrix.swap_remove(slot);
        if let Some(&moved) = self.rows.get(slot) {
            self.slots.insert(moved, slot);
        }
        Ok(())
    }

    fn search(&self, query: &[f32], k: usize) -> Result<Vec<Candidate>> {
        let query = Direction::new(query, self.dimension, self.similarity)?;
        Ok(self.scan(&query, k.min(self.len())))
    }

    fn search_among(&self, query: &[f32], k: usize, rows: &Rows) -> Result<Vec<Candidate>> {
        let query = Direction::new(query, self.dimension, self.similarity)?;
        Ok(self.scan_among(&query, k, rows))
    }

    fn embedding_into(&self, row: RowId, out: &mut Vec<f16>) -> Result<bool> {
        let Some(slot) = self.slots.get(row) else { return Ok(false) };
        out.extend_from_slice(self.matrix.row(slot));
        Ok(true)
    }
}

impl Best {
    /// The first of `rows` and `scales` are those of `embeddings`; there may be more.
    fn scan(&mut self, query: &Direction, embeddings: &[f16], rows: &[RowId], scales: &[f32]) {
        let (width, mut dots) = (query.unit.len(), [0.0; BLOCK]);
        let blocks = embeddings.chunks(BLOCK * width).zip(rows.chunks(BLOCK).zip(scales.chunks(BLOCK)));
        for (embeddings, (rows, scales)) in blocks {
            let Some(dots) = dots.get_mut(..embeddings.len() / width) else { return };
            kernels::dots_f16(&query.unit, embeddings, dots);
            for ((&row, &scale), &dot) in rows.iter().zip(scales).zip(&*dots) {
                let score = query.score(dot * scale);
                // Nearly every row ends here: the heap is asked about few.
                if score >= self.floor() {
                    self.offer(Candidate { row, score });
                }
            }
        }
    }

    /// The same for slots of `index`, in whatever order.
    fn scan_slots(&mut self, query: &Direction, index: &ExactIndex, slots: &[usize]) {
        slots.chunks(SCATTERED).for_each(|slots| self.scan_block(query, index, slots));
    }

    fn scan_block(&mut self, query: &Direction, index: &ExactIndex, slots: &[usize]) {
        let (mut dots, mut scales) = ([0.0; SCATTERED], [0.0; SCATTERED]);
        let mut embeddings: [&[f16]; SCATTERED] = [&[]; SCATTERED];
        for ((&slot, embedding), scale) in slots.iter().zip(&mut embeddings).zip(&mut scales) {
            *embedding = index.matrix.row(slot);
            *scale = index.scales.get(slot).copied().unwrap_or_default();
        }
        let (Some(embeddings), Some(dots)) = (embeddings.get(..slots.len()), dots.get_mut(..slots.len())) else {
            return;
        };
        kernels::scattered_dots_f16(&query.unit, embeddings, dots);
        for ((&slot, &dot), &scale) in slots.iter().zip(&*dots).zip(&scales) {
            let score = query.score(dot * scale);
            if score >= self.floor()
                && let Some(&row) = index.rows.get(slot)
            {
                self.offer(Candidate { row, score });
            }
        }
    }
}
