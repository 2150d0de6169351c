//! A row that a search found, and the best of many.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use crate::passage::RowId;

#[cfg(test)]
mod tests;

/// A row that a view found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Candidate {
    pub(crate) row: RowId,
    /// What the view thinks of it; higher is better.
    pub(crate) score: f32,
}

impl Candidate {
    /// Best first; equal scores by row, so that the order never depends on how a view is laid out.
    pub(crate) fn rank(&self, other: &Self) -> Ordering {
        other.score.total_cmp(&self.score).then(self.row.cmp(&other.row))
    }
}

/// The best `k` candidates seen so far.
pub(crate) struct Best {
    k: usize,
    /// The worst of them on top.
    heap: BinaryHeap<Worst>,
    floor: f32,
}

impl Best {
    pub(crate) fn new(k: usize) -> Self {
        Self { k, heap: BinaryHeap::with_capacity(k), floor: f32::NEG_INFINITY }
    }

    /// What scores less is not among the best; what scores as much may be, by its row.
    #[inline]
    pub(crate) fn floor(&self) -> f32 {
        self.floor
    }

    pub(crate) fn offer(&mut self, candidate: Candidate) {
        if self.heap.len() < self.k {
            self.heap.push(Worst(candidate));
        } else if let Some(mut worst) = self.heap.peek_mut()
            && candidate.rank(&worst.0) == Ordering::Less
        {
            *worst = Worst(candidate);
        }
        if self.heap.len() == self.k
            && let Some(Worst(worst)) = self.heap.peek()
        {
            self.floor = worst.score;
        }
    }

    pub(crate) fn merge(&mut self, other: Self) {
        other.heap.into_iter().for_each(|Worst(candidate)| self.offer(candidate));
    }

    pub(crate) fn into_sorted(self) -> Vec<Candidate> {
        self.heap.into_sorted_vec().into_iter().map(|Worst(candidate)| candidate).collect()
    }
}

/// A candidate in the order of [`Candidate::rank`]: the greatest is the worst.
struct Worst(Candidate);

impl Ord for Worst {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.rank(&other.0)
    }
}

impl PartialOrd for Worst {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Worst {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Worst {}
