//! Attention with operands rounded to 16 bits: twice as fast as `f32`, and on every machine with 8-bit products.
//!
//! A key's or value's step is that of its head in its sequence, a query's is its own, so a result depends on nothing
//! beside its sequence. Two products share 32 bits; which two is free, and they are always a register's width apart:
//! so a pair is made of two registers, lane by lane.
//!
//! bf16 has half the bits and, on Sapphire Rapids, a quarter of the speed (86 GFLOPS a core, where f32 has 177).

use std::ops::Range;

use super::Attention;
use crate::kernels::aligned::{Aligned, row_stride};
use crate::kernels::gemm::{Rows, end_of};
use crate::kernels::math::WHOLE;
use crate::kernels::rowwise::{Mask, softmax_weights};
use crate::kernels::simd::{IntegerKernel, Integers, MAX_COLUMNS, MAX_ROWS, Simd, VECTORS, fill};

/// The largest number of 16 bits.
const LARGEST: f32 = 32_767.0;

/// Room for one head's operands in pairs.
#[derive(Default)]
pub(super) struct Pairs {
    /// `[query of the tile][pair of the head's numbers]`
    queries: Aligned<i32>,
    /// `[block of keys][pair of the head's numbers][key]`
    keys: Aligned<i32>,
    /// `[query of the tile][pair of keys]`
    weights: Aligned<i32>,
    /// `[block of the head's numbers][pair of keys][number]`
    values: Aligned<i32>,
}

impl IntegerKernel for Attention<'_> {
    #[inline(always)]
    fn run<I: Integers>(self, integers: I) {
        let (lanes, columns) = (I::Floats::LANES, I::Floats::COLUMNS);
        let (width, length) = (self.width, self.keys.count);
        let (head_blocks, key_blocks) = (width.div_ceil(columns), length.div_ceil(columns));
        let head_pairs = head_blocks * lanes;
        // Of the last block's keys those beyond the first register's are the second halves of pairs.
        let key_pairs = length / columns * lanes + (length % columns).min(lanes);
        let (key_block, value_block) = (head_pairs * columns, key_pairs * columns);
        let padded = key_blocks * columns;
        let (stride, weight_stride) = (row_stride(padded, 16), row_stride(key_blocks * lanes, 16));
        let keys = self.scratch.pairs.keys.grown(key_blocks * key_block);
        let values = self.scratch.pairs.values.grown(head_blocks * value_block);
        let queries = self.scratch.pairs.queries.grown(MAX_ROWS * head_pairs);
        let weights = self.scratch.pairs.weights.grown(MAX_ROWS * weight_stride);
        let scores = self.scratch.scores.grown(MAX_ROWS * stride);
        // Such that sums of `width` products do not wrap, and sums of a weight and a value for each key.
        let most =
            (f64::from(i32::MAX) / width.next_multiple_of(2) as f64).sqrt().floor().min(f64::from(LARGEST)) as f32;
        let value_most =
            (f64::from(i32::MAX) / (f64::from(WHOLE) * length as f64)).floor().min(f64::from(LARGEST)) as f32;
        let mask = Mask::new(integers.floats(), length);
        let scale = std::f32::consts::LOG2_E / (width as f32).sqrt();
        for head in 0..self.heads {
            let numbers = head * width..(head + 1) * width;
            let key_step = pack_keys(integers, self.keys, numbers.clone(), most, keys);
            let value_step = pack_values(integers, self.values, numbers.clone(), value_most, (key_pairs, values));
            for first in (0..self.queries.count).step_by(I::ROWS) {
                let count = I::ROWS.min(self.queries.count - first);
                let mut steps = [0.0; MAX_ROWS];
                let steps = steps.get_mut(..count).unwrap_or_default();
                pack_queries(integers, self.queries, first, numbers.clone(), most, (head_pairs, queries), steps);
                steps.iter_mut().for_each(|step| *step *= key_step * scale);
                for (block, panel) in keys.chunks_exact(key_block.max(1)).take(key_blocks).enumerate() {
                    let operands = Operands { a: queries, stride: head_pairs, depth: head_pairs, panel, steps };
                    let out = (scores.get_mut(block * columns..).unwrap_or_default(), stride);
                    if length - block * columns > lanes {
                        tile::<I, VECTORS>(integers, count, operands, out);
                    } else {
                        tile::<I, 1>(integers, count, operands, out);
                    }
                }
                // Early: a store waits for its line as a load does.
                for row in first..first + count {
                    let start = row * self.context.stride;
                    let context = self.context.numbers.get(start + numbers.start..start + numbers.end);
                    let context = I::Floats::split(context.unwrap_or_default()).0;
                    context.iter().for_each(|numbers| integers.floats().prefetch(numbers));
                }
                softmax_weights(integers, &mask, (scores, stride, padded), (weights, weight_stride), steps);
                steps.iter_mut().for_each(|sum| *sum = value_step / *sum);
                for (block, panel) in values.chunks_exact(value_block.max(1)).take(head_blocks).enumerate() {
                    let operands = Operands { a: weights, stride: weight_stride, depth: key_pairs, panel, steps };
                    let start = first * self.context.stride + head * width + block * columns;
                    let context = self.context.numbers.get_mut(start..).unwrap_or_default();
                    let left = width - block * columns;
                    if left >= columns {
                        tile::<I, VECTORS>(integers, count, operands, (context, self.context.stride));
                        continue;
                    }
                    let mut sums = [0.0; MAX_ROWS * MAX_COLUMNS];
                    tile::<I, VECTORS>(integers, count, operands, (&mut sums, columns));
                    for (context, sums) in
                        context.chunks_mut(self.context.stride).zip(sums.chunks_exact(columns)).take(count)
                    {
                        context.iter_mut().zip(sums).take(left).for_each(|(context, sum)| *context = *sum);
                    }
                }
            }
        }
    }
}

/// The numbers of one head in one row.
#[inline(always)]
fn part<'a>(rows: Rows<'a, f32>, row: usize, numbers: &Range<usize>) -> &'a [f32] {
    let start = row * rows.stride;
    rows.numbers.get(start + numbers.start..start + numbers.end).unwrap_or_default()
}

/// Up to a panel's columns of numbers, zeros beyond them.
#[inline(always)]
fn load<S: Simd>(simd: S, numbers: &[f32]) -> [S::Floats; VECTORS] {
    match S::split(numbers) {
        ([left, right], []) => [simd.load(left), simd.load(right)],
        ([left], rest) => [simd.load(left), fill(simd, rest, 0.0)],
        (_, rest) => [fill(simd, rest, 0.0), simd.splat(0.0)],
    }
}

/// The largest magnitude among numbers, and NaN if one is not finite.
#[derive(Clone, Copy)]
struct Size<S: Simd> {
    most: S::Floats,
    poison: S::Floats,
}

impl<S: Simd> Size<S> {
    #[inline(always)]
    fn new(simd: S) -> Self {
        Self { most: simd.splat(0.0), poison: simd.splat(0.0) }
    }

    #[inline(always)]
    fn with(self, simd: S, [left, right]: [S::Floats; VECTORS]) -> Self {
        // First of both, since what is found so far is waited for.
        let most = simd.max(simd.abs(left), simd.abs(right));
        let poison = simd.mul_add(left, simd.splat(0.0), simd.mul(right, simd.splat(0.0)));
        Self { most: simd.max(self.most, most), poison: simd.add(self.poison, poison) }
    }

    /// Steps per unit, and a step, such that the largest number is `most` of them.
    #[inline(always)]
    fn steps(self, simd: S, most: f32) -> (f32, f32) {
        let size = simd.largest(self.most) + simd.sum(self.poison);
        if size.is_nan() {
            (0.0, f32::NAN)
        } else if size > 1e-30 {
            (most / size, size / most)
        } else {
            (0.0, 0.0)
        }
    }
}

/// Rounds one head of some queries, from `first` on, as many as there are `steps`, which become theirs.
///
/// Each pass is over all of them, since what goes on inside a register at its end is a chain of waits.
#[inline(always)]
fn pack_queries<I: Integers>(
    integers: I,
    queries: Rows<'_, f32>,
    first: usize,
    numbers: Range<usize>,
    most: f32,
    (head_pairs, packed): (usize, &mut [i32]),
    steps: &mut [f32],
) {
    let simd = integers.floats();
    let blocks = |row: usize| {
        part(queries, first + row, &numbers).chunks(I::Floats::COLUMNS).map(move |block| load(simd, block))
    };
    let mut inverses = [0.0; MAX_ROWS];
    for (row, (step, inverse)) in steps.iter_mut().zip(&mut inverses).enumerate() {
        (*inverse, *step) = blocks(row).fold(Size::new(simd), |size, block| size.with(simd, block)).steps(simd, most);
    }
    let packed = packed.chunks_exact_mut(head_pairs.max(1)).zip(inverses).take(steps.len());
    for (row, (packed, inverse)) in packed.enumerate() {
        let inverse = simd.splat(inverse);
        for ([low, high], place) in blocks(row).zip(I::split_pairs_mut(packed)) {
            integers.store_pairs(integers.pair(simd.mul(low, inverse), simd.mul(high, inverse)), place);
        }
    }
}

/// The step of one head over all rows.
#[inline(always)]
fn steps<S: Simd>(simd: S, rows: Rows<'_, f32>, numbers: &Range<usize>, most: f32) -> (f32, f32) {
    let mut size = Size::new(simd);
    for row in 0..rows.count {
        for block in part(rows, row, numbers).chunks(S::COLUMNS) {
            size = size.with(simd, load(simd, block));
        }
    }
    size.steps(simd, most)
}

/// Keys as a panel of weights, `[block][pair of numbers][key]`, zeros for keys beyond the last; returns the step.
#[inline(always)]
fn pack_keys<I: Integers>(
    integers: I,
    keys: Rows<'_, f32>,
    numbers: Range<usize>,
    most: f32,
    packed: &mut [i32],
) -> f32 {
    let simd = integers.floats();
    let (lanes, columns) = (I::Floats::LANES, I::Floats::COLUMNS);
    let (inverse, step) = steps(simd, keys, &numbers, most);
    let inverse = simd.splat(inverse);
    let block_pairs = numbers.len().div_ceil(columns) * lanes * columns;
    for (first, block) in (0..keys.count).step_by(columns).zip(packed.chunks_exact_mut(block_pairs.max(1))) {
        for half in 0..VECTORS {
            let first = first + half * lanes;
            if first >= keys.count {
                break;
            }
            for (at, places) in block.chunks_exact_mut(lanes * columns).enumerate() {
                let mut square = simd.square();
                for (row, pairs) in (first..keys.count).zip(square.as_mut()) {
                    let key = part(keys, row, &numbers).chunks(columns).nth(at).unwrap_or_default();
                    let [low, high] = load(simd, key);
                    *pairs = integers.pair(simd.mul(low, inverse), simd.mul(high, inverse));
                }
                for (place, pairs) in places.chunks_exact_mut(columns).zip(simd.transpose(square).as_ref()) {
                    if let Some(place) = I::split_pairs_mut(place).get_mut(half) {
                        integers.store_pairs(*pairs, place);
                    }
                }
            }
        }
    }
    step
}

/// Values as panels of weights, `[block of numbers][pair of keys][number]`, zeros beyond the last; returns the step.
#[inline(always)]
fn pack_values<I: Integers>(
    integers: I,
    values: Rows<'_, f32>,
    numbers: Range<usize>,
    most: f32,
    (key_pairs, packed): (usize, &mut [i32]),
) -> f32 {
    let simd = integers.floats();
    let (lanes, columns) = (I::Floats::LANES, I::Floats::COLUMNS);
    let (inverse, step) = steps(simd, values, &numbers, most);
    let inverse = simd.splat(inverse);
    let blocks = packed.chunks_exact_mut((key_pairs * columns).max(1));
    for (block, places) in numbers.clone().step_by(columns).zip(blocks) {
        let numbers = block..numbers.end.min(block + columns);
        for (pair, place) in places.chunks_exact_mut(columns).enumerate() {
            let row = pair / lanes * columns + pair % lanes;
            let value = |row| load(simd, if row < values.count { part(values, row, &numbers) } else { &[] });
            for ((low, high), place) in value(row).into_iter().zip(value(row + lanes)).zip(I::split_pairs_mut(place)) {
                integers.store_pairs(integers.pair(simd.mul(low, inverse), simd.mul(high, inverse)), place);
            }
        }
    }
    step
}

/// What a tile multiplies: rows `stride` apart and `depth` pairs long with a panel, each row's sums by its step.
#[derive(Clone, Copy)]
struct Operands<'a> {
    a: &'a [i32],
    stride: usize,
    depth: usize,
    panel: &'a [i32],
    steps: &'a [f32],
}

/// The results of `count` rows (1 to [`Integers::ROWS`]) and the first `V` registers of a panel's columns.
#[inline(always)]
fn tile<I: Integers, const V: usize>(
    integers: I,
    count: usize,
    operands: Operands<'_>,
    (out, out_stride): (&mut [f32], usize),
) {
    macro_rules! by_rows {
        ($($rows:literal)*) => {
            match count {
                $($rows if $rows <= I::ROWS => {
                    integers.vectorize_integers(Tile::<$rows, V> { operands, out, out_stride });
                })*
                count => debug_assert!(count == 0, "a tile has no more rows than the instruction set allows"),
            }
        };
    }
    by_rows!(1 2 3 4 5 6 7 8 9 10 11 12);
}

struct Tile<'a, const ROWS: usize, const V: usize> {
    operands: Operands<'a>,
    out: &'a mut [f32],
    out_stride: usize,
}

impl<const ROWS: usize, const V: usize> IntegerKernel for Tile<'_, ROWS, V> {
    #[inline(always)]
    #[expect(unsafe_code, reason = "a check of each index would cost as much as the arithmetic")]
    fn run<I: Integers>(self, integers: I) {
        let simd = integers.floats();
        let Operands { a, stride, depth, panel, steps } = self.operands;
        let Self { out, out_stride, .. } = self;
        // Once for all rows: as many checks as rows would take a tenth of the time.
        assert!(a.len() >= end_of(ROWS, stride, depth), "a tile's rows lie within the operand");
        assert!(out.len() >= end_of(ROWS, out_stride, V * I::Floats::LANES), "a tile's results lie within the result");
        let Some(steps) = steps.first_chunk::<ROWS>() else { return };
        let panel = I::split_pairs(panel).as_chunks::<VECTORS>().0;
        let panel = panel.get(..depth).unwrap_or_default();
        let mut sums = [[integers.zero(); V]; ROWS];
        for (k, columns) in panel.iter().enumerate() {
            let mut loaded = [integers.splat([0; 4]); V];
            loaded.iter_mut().zip(columns).for_each(|(loaded, pairs)| *loaded = integers.load_pairs(pairs));
            for (row, sums) in sums.iter_mut().enumerate() {
                // SAFETY: `row < ROWS` and `k < panel.len() <= depth`, of which the largest place was asserted to be there.
                let a = integers.splat(unsafe { *a.get_unchecked(row * stride + k) }.to_le_bytes());
                for (sum, loaded) in sums.iter_mut().zip(loaded) {
                    *sum = integers.add_pairs(*sum, a, loaded);
                }
            }
        }
        for ((row, sums), step) in sums.into_iter().enumerate().zip(steps) {
            let start = row * out_stride;
            // SAFETY: `row < ROWS`, of which the last one's end was asserted to be there.
            let out = unsafe { out.get_unchecked_mut(start..start + V * I::Floats::LANES) };
            let step = simd.splat(*step);
            for (sum, out) in sums.into_iter().zip(I::Floats::split_mut(out).0) {
                simd.store(simd.mul(integers.to_floats(sum), step), out);
            }
        }
    }
}
