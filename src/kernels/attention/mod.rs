//! Attention of one sequence: `softmax(Q K^T / sqrt(width)) V` for each head, a tile of queries at a time.

mod f32;
mod s16;

use super::InstructionSet;
use super::aligned::Aligned;
use super::gemm::{Rows, RowsMut};
use super::simd::IntegerSet;

/// Room for one head's operands and one tile's scores; grows to the longest sequence seen.
#[derive(Default)]
pub(crate) struct AttentionScratch {
    /// `[block of keys][number of the head][key]`
    key_panels: Aligned<f32>,
    /// `[block of the head's numbers][position][number]`
    value_panels: Aligned<f32>,
    /// `[query of the tile][key]`
    scores: Aligned<f32>,
    /// What the products of 16-bit numbers take, two numbers in each of these.
    pairs: s16::Pairs,
}

/// One sequence's projections; a row's heads lie one after another.
pub(crate) struct Attention<'a> {
    pub(crate) heads: usize,
    /// Numbers per head.
    pub(crate) width: usize,
    /// All positions' queries, or only the first one's.
    pub(crate) queries: Rows<'a, f32>,
    pub(crate) keys: Rows<'a, f32>,
    pub(crate) values: Rows<'a, f32>,
    /// A row for each query.
    pub(crate) context: RowsMut<'a, f32>,
    pub(crate) scratch: &'a mut AttentionScratch,
}

impl Attention<'_> {
    /// In `f32`.
    pub(crate) fn apply(self, set: InstructionSet) {
        set.run(self);
    }

    /// With operands rounded to 16 bits, for what is rounded to 8 bits next.
    pub(crate) fn apply_rounded(self, set: IntegerSet) {
        set.run(self);
    }
}
