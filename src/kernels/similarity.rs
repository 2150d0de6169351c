//! Scores that users see: the same bits on every machine.
//!
//! Products are exact in `f64` and are added in a fixed order, without fused operations. That is nearly correctly
//! rounded and cannot overflow; each instruction set gives the same, only not as fast.

use half::f16;

use super::InstructionSet;
use super::scalar::widen;
use super::simd::{Kernel, Simd};
use crate::similarity::Similarity;

/// Sums that are added up side by side: the order of addition is part of the definition.
const LANES: usize = 8;

/// How alike `query` and a stored embedding are. The cosine is of true norms, in -1..=1, and 0 if either is zero; a dot
/// product beyond `f32` saturates. So finite input has a finite score.
pub(crate) fn similarity_f32(query: &[f32], row: &[f16], similarity: Similarity) -> f32 {
    InstructionSet::chosen().similarity_f32(query, row, similarity)
}

/// One over the norm of a stored embedding, and 0 for a zero one, so that its cosine is 0 with everything.
pub(crate) fn inverse_norm_f16(row: &[f16]) -> f32 {
    InstructionSet::chosen().inverse_norm_f16(row)
}

impl InstructionSet {
    pub(super) fn similarity_f32(self, query: &[f32], row: &[f16], similarity: Similarity) -> f32 {
        debug_assert_eq!(query.len(), row.len(), "both have the collection's dimension");
        let mut score = 0.0;
        self.run(Score { query, row, similarity, score: &mut score });
        score
    }

    pub(super) fn inverse_norm_f16(self, row: &[f16]) -> f32 {
        let mut inverse = 0.0;
        self.run(InverseNorm { row, inverse: &mut inverse });
        inverse
    }
}

struct Score<'a> {
    query: &'a [f32],
    row: &'a [f16],
    similarity: Similarity,
    score: &'a mut f32,
}

impl Kernel for Score<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        let (query, query_rest) = self.query.as_chunks();
        let (row, row_rest) = self.row.as_chunks();
        let rest = (!query_rest.is_empty()).then(|| (filled(query_rest), filled(row_rest)));
        let chunks = query.iter().zip(row).map(|(query, row)| (*query, *row)).chain(rest);
        let (mut dot, mut query_square, mut row_square) = (Lanes::default(), Lanes::default(), Lanes::default());
        for (query, row) in chunks {
            let (query, row) = (doubles(&query, |value| value), doubles(&row, widen));
            dot.add_products(&query, &row);
            if self.similarity == Similarity::Cosine {
                query_square.add_products(&query, &query);
                row_square.add_products(&row, &row);
            }
        }
        *self.score = match self.similarity {
            Similarity::Dot => (dot.sum() as f32).clamp(f32::MIN, f32::MAX),
            Similarity::Cosine => {
                let norms = query_square.sum().sqrt() * row_square.sum().sqrt();
                // Plus zero, so that an opposite sign of nothing is no difference.
                if norms > 0.0 { ((dot.sum() / norms) as f32).clamp(-1.0, 1.0) + 0.0 } else { 0.0 }
            }
        };
    }
}

struct InverseNorm<'a> {
    row: &'a [f16],
    inverse: &'a mut f32,
}

impl Kernel for InverseNorm<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        let (chunks, rest) = self.row.as_chunks();
        let mut square = Lanes::default();
        for chunk in chunks.iter().copied().chain((!rest.is_empty()).then(|| filled(rest))) {
            let chunk = doubles(&chunk, widen);
            square.add_products(&chunk, &chunk);
        }
        let square = square.sum();
        *self.inverse = if square > 0.0 { (1.0 / square.sqrt()) as f32 } else { 0.0 };
    }
}

/// A sum of which each lane adds every eighth term in order.
#[derive(Default)]
struct Lanes([f64; LANES]);

impl Lanes {
    #[inline(always)]
    fn add_products(&mut self, a: &[f64; LANES], b: &[f64; LANES]) {
        for ((sum, a), b) in self.0.iter_mut().zip(a).zip(b) {
            *sum += a * b;
        }
    }

    #[inline(always)]
    fn sum(&self) -> f64 {
        self.0.iter().sum()
    }
}

#[inline(always)]
fn doubles<T: Copy>(values: &[T; LANES], widen: impl Fn(T) -> f32) -> [f64; LANES] {
    // Not `map`, which is compiled for any machine.
    let mut doubles = [0.0; LANES];
    for (double, &value) in doubles.iter_mut().zip(values) {
        *double = f64::from(widen(value));
    }
    doubles
}

/// The last numbers, and zeros, which change no sum.
#[inline(always)]
fn filled<T: Copy + Default>(rest: &[T]) -> [T; LANES] {
    let mut filled = [T::default(); LANES];
    filled.iter_mut().zip(rest).for_each(|(place, value)| *place = *value);
    filled
}
