//! Attention in `f32`, a tile of queries at a time.

use std::ops::Range;

use super::Attention;
use crate::kernels::aligned::row_stride;
use crate::kernels::gemm::{Rows, tile};
use crate::kernels::rowwise::{Mask, softmax_unscaled};
use crate::kernels::simd::{Kernel, MAX_COLUMNS, MAX_ROWS, Simd, fill};

impl Kernel for Attention<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let (width, length) = (self.width, self.keys.count);
        let key_blocks = length.div_ceil(S::COLUMNS);
        let value_blocks = width.div_ceil(S::COLUMNS);
        let key_block = width * S::COLUMNS;
        let value_block = length * S::COLUMNS;
        let padded = key_blocks * S::COLUMNS;
        let stride = row_stride(padded, 16);
        let keys = self.scratch.key_panels.grown(key_blocks * key_block);
        let values = self.scratch.value_panels.grown(value_blocks * value_block);
        let scores = self.scratch.scores.grown(MAX_ROWS * stride);
        let mask = Mask::new(simd, length);
        let scale = 1.0 / (width as f32).sqrt();
        let mut sums = [0.0; MAX_ROWS * MAX_COLUMNS];
        for head in 0..self.heads {
            pack_keys(simd, self.keys, head * width..(head + 1) * width, keys);
            pack_values::<S>(self.values, head * width..(head + 1) * width, values);
            for first in (0..self.queries.count).step_by(S::ROWS) {
                let count = S::ROWS.min(self.queries.count - first);
                let rows = self.queries.numbers.get(first * self.queries.stride + head * width..).unwrap_or_default();
                for (block, panel) in keys.chunks_exact(key_block).take(key_blocks).enumerate() {
                    let out = scores.get_mut(block * S::COLUMNS..).unwrap_or_default();
                    tile::<S, false>(simd, count, (rows, self.queries.stride), (panel, &[], &[]), (out, stride));
                }
                let mut inverses = [0.0; MAX_ROWS];
                for (row, inverse) in scores.chunks_exact_mut(stride).zip(&mut inverses).take(count) {
                    if let Some(row) = row.get_mut(..padded) {
                        *inverse = 1.0 / softmax_unscaled(simd, row, &mask, scale);
                    }
                }
                for (block, panel) in values.chunks_exact(value_block).take(value_blocks).enumerate() {
                    tile::<S, false>(simd, count, (scores, stride), (panel, &[], &[]), (&mut sums, S::COLUMNS));
                    let columns = S::COLUMNS.min(width - block * S::COLUMNS);
                    for (row, (sums, &inverse)) in sums.chunks_exact(S::COLUMNS).zip(&inverses).take(count).enumerate()
                    {
                        let start = (first + row) * self.context.stride + head * width + block * S::COLUMNS;
                        let context = self.context.numbers.get_mut(start..start + columns).unwrap_or_default();
                        context.iter_mut().zip(sums).for_each(|(context, sum)| *context = sum * inverse);
                    }
                }
            }
        }
    }
}

/// Keys as a panel of weights: `[block][number of the head][key]`, zeros for keys beyond the last.
#[inline(always)]
fn pack_keys<S: Simd>(simd: S, keys: Rows<'_, f32>, columns: Range<usize>, packed: &mut [f32]) {
    let block_numbers = columns.len() * S::COLUMNS;
    for (first, block) in (0..keys.count).step_by(S::COLUMNS).zip(packed.chunks_exact_mut(block_numbers.max(1))) {
        for key in (0..S::COLUMNS).step_by(S::LANES) {
            for number in (0..columns.len()).step_by(S::LANES) {
                let mut square = simd.square();
                for (row, lanes) in (first + key..keys.count).zip(square.as_mut()) {
                    let start = row * keys.stride + columns.start + number;
                    let end = start + S::LANES.min(columns.len() - number);
                    let numbers = keys.numbers.get(start..end).unwrap_or_default();
                    *lanes = match S::split(numbers) {
                        ([whole], []) => simd.load(whole),
                        (_, rest) => fill(simd, rest, 0.0),
                    };
                }
                let places = block.chunks_exact_mut(S::COLUMNS).skip(number);
                for (place, lanes) in places.zip(simd.transpose(square).as_ref()) {
                    if let Some(place) = S::split_mut(place).0.get_mut(key / S::LANES) {
                        simd.store(*lanes, place);
                    }
                }
            }
        }
    }
}

/// Values as panels of weights: `[block of the head's numbers][position][number]`, zeros beyond the head's width.
#[inline(always)]
fn pack_values<S: Simd>(values: Rows<'_, f32>, columns: Range<usize>, packed: &mut [f32]) {
    let blocks = packed.chunks_exact_mut((values.count * S::COLUMNS).max(1));
    for (first, block) in columns.clone().step_by(S::COLUMNS).zip(blocks) {
        let last = columns.end.min(first + S::COLUMNS);
        for (row, place) in block.chunks_exact_mut(S::COLUMNS).enumerate() {
            let start = row * values.stride;
            let numbers = values.numbers.get(start + first..start + last).unwrap_or_default();
            let (copied, padding) = place.split_at_mut(numbers.len());
            copied.copy_from_slice(numbers);
            padding.fill(0.0);
        }
    }
}
