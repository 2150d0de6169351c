//! The exact view: every row is compared with the query.
//!
//! The rows' embeddings lie one after another in one matrix, without gaps, so a scan runs at the speed of memory:
//! up to some tens of thousands of rows it is also the quickest view.

use std::cmp::Ordering;
use std::collections::{BinaryHeap, HashMap};
use std::thread;

use half::f16;

use super::{Candidate, Direction, VectorIndex, check_dimension, check_embedding};
use crate::error::Result;
use crate::kernels;
use crate::passage::RowId;
use crate::rows::Rows;
use crate::similarity::Similarity;

/// Rows whose scores are computed before they are ranked: enough to hide the call, few enough to stay in L1.
const BLOCK: usize = 64;

/// The least matrix that is worth a thread of its own: at 10 GB/s it takes 200 µs to read, a thread 30 µs to start.
const BYTES_PER_THREAD: usize = 2 << 20;

/// A view that is always right.
pub(crate) struct ExactIndex {
    dimension: usize,
    similarity: Similarity,
    threads: usize,
    /// The embedding of `rows[slot]` is the `slot`th run of `dimension` numbers.
    matrix: Vec<f16>,
    rows: Vec<RowId>,
    /// What a row's inner product with the query's direction is multiplied with: one over its norm for the cosine,
    /// which is then the true one however the row is scaled, and one for the dot product.
    scales: Vec<f32>,
    slots: HashMap<RowId, usize>,
}

impl ExactIndex {
    pub(crate) fn new(dimension: usize, similarity: Similarity) -> Result<Self> {
        Ok(Self {
            dimension: check_dimension(dimension)?,
            similarity,
            threads: 1,
            matrix: Vec::new(),
            rows: Vec::new(),
            scales: Vec::new(),
            slots: HashMap::new(),
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
        self.matrix.reserve(additional.saturating_mul(self.dimension));
        self.rows.reserve(additional);
        self.scales.reserve(additional);
        self.slots.reserve(additional);
    }

    fn scan(&self, query: &Direction, k: usize) -> Vec<Candidate> {
        let share = self.share(self.rows.len());
        let parts =
            self.matrix.chunks(share * self.dimension).zip(self.rows.chunks(share).zip(self.scales.chunks(share)));
        in_parallel(k, parts, |best, (matrix, (rows, scales))| best.scan(query, matrix, rows, scales))
    }

    /// The slots of the rows in `rows`, ascending but for rows that were moved.
    fn slots_of(&self, rows: &Rows) -> Vec<usize> {
        match rows.listed() {
            // Looking up a row costs about as much as four tests whether one belongs.
            Some(listed) if rows.count(0) < self.rows.len() as u64 / 4 => {
                listed.filter_map(|row| self.slots.get(&row).copied()).collect()
            }
            _ => (0..).zip(&self.rows).filter(|(_, row)| rows.contains(**row)).map(|(slot, _)| slot).collect(),
        }
    }

    fn scan_slots(&self, query: &Direction, k: usize, slots: &[usize]) -> Vec<Candidate> {
        in_parallel(k, slots.chunks(self.share(slots.len())), |best, slots| {
            // Neighbours are multiplied together.
            for run in slots.chunk_by(|a, b| a + 1 == *b) {
                let Some(first) = run.first() else { continue };
                let (of_matrix, of_rows) = (first * self.dimension.., *first..first + run.len());
                if let (Some(matrix), Some(rows), Some(scales)) = (
                    self.matrix.get(of_matrix).and_then(|rest| rest.get(..run.len() * self.dimension)),
                    self.rows.get(of_rows.clone()),
                    self.scales.get(of_rows),
                ) {
                    best.scan(query, matrix, rows, scales);
                }
            }
        })
    }

    /// How many of `rows` rows one thread takes.
    fn share(&self, rows: usize) -> usize {
        let shares = (rows * self.dimension * size_of::<f16>() / BYTES_PER_THREAD).clamp(1, self.threads);
        rows.div_ceil(shares).max(1)
    }
}

/// The best `k` of all parts, each part scanned by a thread of its own, the first by this one.
fn in_parallel<P: Copy + Send>(
    k: usize,
    mut parts: impl Iterator<Item = P>,
    scan: impl Fn(&mut Best, P) + Sync,
) -> Vec<Candidate> {
    let mut best = Best::new(k);
    let Some(first) = parts.next() else { return Vec::new() };
    thread::scope(|scope| {
        let mut helpers = Vec::new();
        for part in parts {
            let scan = &scan;
            let work = move || {
                let mut best = Best::new(k);
                scan(&mut best, part);
                best
            };
            // A machine that is out of threads still gets its answer.
            match thread::Builder::new().spawn_scoped(scope, work) {
                Ok(helper) => helpers.push(helper),
                Err(_) => scan(&mut best, part),
            }
        }
        scan(&mut best, first);
        for helper in helpers {
            match helper.join() {
                Ok(theirs) => theirs.heap.into_iter().for_each(|Ranked(candidate)| best.offer(candidate)),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
    });
    best.into_sorted()
}

impl VectorIndex for ExactIndex {
    fn len(&self) -> usize {
        self.rows.len()
    }

    fn contains(&self, row: RowId) -> bool {
        self.slots.contains_key(&row)
    }

    fn insert(&mut self, row: RowId, embedding: &[f16]) -> Result<()> {
        check_embedding(embedding, self.dimension)?;
        if self.slots.contains_key(&row) {
            return Ok(());
        }
        self.slots.insert(row, self.rows.len());
        self.rows.push(row);
        self.matrix.extend_from_slice(embedding);
        self.scales.push(match self.similarity {
            Similarity::Cosine => kernels::inverse_norm_f16(embedding),
            Similarity::Dot => 1.0,
        });
        Ok(())
    }

    /// The last row moves into the gap.
    fn remove(&mut self, row: RowId) -> Result<()> {
        let Some(slot) = self.slots.remove(&row) else { return Ok(()) };
        self.rows.swap_remove(slot);
        self.scales.swap_remove(slot);
        let last = self.matrix.len() - self.dimension;
        self.matrix.copy_within(last.., slot * self.dimension);
        self.matrix.truncate(last);
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
        let slots = self.slots_of(rows);
        Ok(self.scan_slots(&query, k.min(slots.len()), &slots))
    }

    fn embedding_into(&self, row: RowId, out: &mut Vec<f16>) -> Result<bool> {
        let Some(slot) = self.slots.get(&row) else { return Ok(false) };
        let start = slot * self.dimension;
        out.extend_from_slice(self.matrix.get(start..start + self.dimension).unwrap_or_default());
        Ok(true)
    }
}

/// The best `k` candidates seen so far.
struct Best {
    k: usize,
    /// The worst of them on top.
    heap: BinaryHeap<Ranked>,
    /// What scores less is not among the best.
    floor: f32,
}

impl Best {
    fn new(k: usize) -> Self {
        Self { k, heap: BinaryHeap::with_capacity(k), floor: f32::NEG_INFINITY }
    }

    fn scan(&mut self, query: &Direction, matrix: &[f16], rows: &[RowId], scales: &[f32]) {
        let mut dots = [0.0; BLOCK];
        let blocks = matrix.chunks(BLOCK * query.unit.len()).zip(rows.chunks(BLOCK).zip(scales.chunks(BLOCK)));
        for (matrix, (rows, scales)) in blocks {
            let Some(dots) = dots.get_mut(..rows.len()) else { return };
            kernels::dots_f16(&query.unit, matrix, dots);
            for ((&row, &scale), &dot) in rows.iter().zip(scales).zip(&*dots) {
                let score = query.score(dot * scale);
                // Nearly every row ends here: the heap is asked about few.
                if score >= self.floor {
                    self.offer(Candidate { row, score });
                }
            }
        }
    }

    fn offer(&mut self, candidate: Candidate) {
        if self.heap.len() < self.k {
            self.heap.push(Ranked(candidate));
        } else if let Some(mut worst) = self.heap.peek_mut()
            && candidate.rank(&worst.0) == Ordering::Less
        {
            *worst = Ranked(candidate);
        }
        if self.heap.len() == self.k
            && let Some(Ranked(worst)) = self.heap.peek()
        {
            self.floor = worst.score;
        }
    }

    fn into_sorted(self) -> Vec<Candidate> {
        self.heap.into_sorted_vec().into_iter().map(|Ranked(candidate)| candidate).collect()
    }
}

/// A candidate in the order of [`Candidate::rank`]: the greatest is the worst.
struct Ranked(Candidate);

impl Ord for Ranked {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.rank(&other.0)
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
