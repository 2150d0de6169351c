//! What the first token of a sequence finds in the others, without anybody's keys and values.
//!
//! Of a head with query `q`, the score of a token in state `x` is `q (W_k x + b_k) = (q W_k) x + q b_k`, whose last term is
//! the same for all and so nothing to the softmax; and since attention weights `p` add up to one, the head's result is
//! `sum of p (W_v x + b_v) = W_v (sum of p x) + b_v`. So two products of every token with a whole matrix become two of one
//! row, and attention compares with the states themselves. (Known as absorbing the matrices: DeepSeek-V2, arXiv 2405.04434,
//! section 2.1.2.) This is no gain for all tokens' queries: their rows are as wide as a state, not as a head.

use std::ops::Range;

use crate::error::Result;
use crate::kernels::{
    Aligned, Attention, AttentionScratch, InstructionSet, IntegerSet, PackedF32, Rows, RowsMut, Then,
};
use crate::model::{EncoderConfig, Weights};

/// The keys' and values' matrices of a layer. In `f32` always: a sequence has but one row for them.
pub(super) struct ClsAttention {
    set: InstructionSet,
    /// Of the states' products with 16 bits; `None` in `f32`.
    integers: Option<IntegerSet>,
    heads: usize,
    width: usize,
    /// Of each head, from a query to what a state is multiplied with.
    keys: PackedF32,
    /// Of each head, from a mean of states to the head's result.
    values: PackedF32,
}

/// Room for what lies between the products, of each sequence's first token.
#[derive(Default)]
pub(super) struct ClsScratch {
    /// `[sequence][head][width]`
    queries: Aligned<f32>,
    /// `[sequence][head][width]`
    means: Aligned<f32>,
    /// `[sequence][head][number of the head]`
    results: Aligned<f32>,
}

impl ClsAttention {
    /// Of the layer whose tensors begin with `layer`.
    pub(super) fn load(
        set: InstructionSet,
        integers: Option<IntegerSet>,
        config: &EncoderConfig,
        weights: &Weights,
        layer: &str,
    ) -> Result<Self> {
        let numbers = |part: &str| Ok(weights.get(&format!("{layer}.attention.self.{part}"))?.to_f32());
        let (keys, values, value_bias) = (numbers("key.weight")?, numbers("value.weight")?, numbers("value.bias")?);
        let (heads, width) = (config.heads, config.width);
        let head_width = width / heads;
        // The kernel divides by the root of the width that it is given, which is that of a state.
        let scale = (heads as f32).sqrt();
        let transposed = |head: &[f32]| -> Vec<f32> {
            (0..width).flat_map(|column| head.iter().skip(column).step_by(width).map(|key| key * scale)).collect()
        };
        let keys: Vec<Vec<f32>> = keys.chunks(head_width * width).map(transposed).collect();
        let no_bias = vec![0.0; width];
        let keys: Vec<(&[f32], &[f32])> = keys.iter().map(|head| (head.as_slice(), no_bias.as_slice())).collect();
        let values: Vec<(&[f32], &[f32])> =
            values.chunks(head_width * width).zip(value_bias.chunks(head_width)).collect();
        let (keys, values) = (PackedF32::new(set, head_width, &keys), PackedF32::new(set, width, &values));
        Ok(Self { set, integers, heads, width, keys, values })
    }

    /// The first tokens' context, a row for each sequence, from their queries and the states of all tokens.
    pub(super) fn apply(
        &self,
        lengths: &[usize],
        queries: Rows<'_, f32>,
        states: Rows<'_, f32>,
        context: RowsMut<'_, f32>,
        room: (&mut ClsScratch, &mut AttentionScratch),
    ) {
        let (ClsScratch { queries: absorbed, means, results }, scratch) = room;
        let (stride, result_stride) = (self.keys.columns(), self.values.columns());
        let head_width = self.width / self.heads;
        let absorbed = absorbed.grown(lengths.len() * stride);
        for head in 0..self.heads {
            let numbers = queries.numbers.get(head * head_width..).unwrap_or_default();
            let out = RowsMut { numbers: &mut *absorbed, stride };
            self.keys.multiply(Rows { numbers, ..queries }, self.panels_of(head, &self.keys), out, Then::Store);
        }
        let means = means.grown(lengths.len() * stride);
        let section = stride / self.heads;
        let mut numbers = states.numbers;
        for ((&count, queries), means) in lengths.iter().zip(absorbed.chunks(stride)).zip(means.chunks_mut(stride)) {
            let sequence = Rows { numbers, count, ..states };
            numbers = numbers.get(count * states.stride..).unwrap_or_default();
            let attention = Attention {
                heads: 1,
                width: self.width,
                queries: Rows { numbers: queries, stride: section, count: self.heads },
                keys: sequence,
                values: sequence,
                context: RowsMut { numbers: means, stride: section },
                scratch: &mut *scratch,
            };
            match self.integers {
                Some(integers) => attention.apply_rounded(integers),
                None => attention.apply(self.set),
            }
        }
        let results = results.grown(lengths.len() * result_stride);
        for head in 0..self.heads {
            let numbers = means.get(head * section..).unwrap_or_default();
            let rows = Rows { numbers, stride, count: lengths.len() };
            let out = RowsMut { numbers: &mut *results, stride: result_stride };
            self.values.multiply(rows, self.panels_of(head, &self.values), out, Then::Store);
        }
        // Panels are padded, a row's heads are not.
        for (context, results) in
            context.numbers.chunks_mut(context.stride).zip(results.chunks(result_stride)).take(lengths.len())
        {
            let heads = results.chunks(result_stride / self.heads);
            for (context, head) in context.chunks_mut(head_width).zip(heads) {
                context.iter_mut().zip(head).for_each(|(context, number)| *context = *number);
            }
        }
    }

    /// Those of one head among the panels of all.
    const fn panels_of(&self, head: usize, packed: &PackedF32) -> Range<usize> {
        let panels = packed.panels() / self.heads;
        head * panels..(head + 1) * panels
    }
}
