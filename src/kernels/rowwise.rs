//! What is done to each row of activations by itself: LayerNorm, softmax, and rounding to 8 bits.

use super::InstructionSet;
use super::aligned::Aligned;
use super::gemm::RowsMut;
use super::math::{exp_of_nonpositive, whole_times_exp2};
use super::simd::{Integers, Kernel, MAX_ROWS, Simd, VECTORS, fill, store_rest};

/// LayerNorm's parameters.
pub(crate) struct LayerNorm {
    gamma: Aligned<f32>,
    beta: Aligned<f32>,
    eps: f32,
}

impl LayerNorm {
    pub(crate) fn new(gamma: &[f32], beta: &[f32], eps: f32) -> Self {
        let aligned = |numbers: &[f32]| {
            let mut aligned = Aligned::zeros(numbers.len());
            aligned.as_mut_slice().copy_from_slice(numbers);
            aligned
        };
        Self { gamma: aligned(gamma), beta: aligned(beta), eps }
    }

    /// Brings `count` rows to mean 0 and variance 1, then scales and shifts them, in place.
    pub(crate) fn apply(&self, set: InstructionSet, rows: RowsMut<'_, f32>, count: usize) {
        set.run(Normalize { norm: self, rows, count });
    }
}

struct Normalize<'a> {
    norm: &'a LayerNorm,
    rows: RowsMut<'a, f32>,
    count: usize,
}

impl Kernel for Normalize<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let width = self.norm.gamma.as_slice().len();
        for row in self.rows.numbers.chunks_mut(self.rows.stride.max(1)).take(self.count) {
            if let Some(row) = row.get_mut(..width) {
                normalize(simd, self.norm, row);
            }
        }
    }
}

/// Two passes for the variance: the mean of squares less the square of the mean loses everything in a narrow row.
#[inline(always)]
fn normalize<S: Simd>(simd: S, norm: &LayerNorm, row: &mut [f32]) {
    let width = row.len() as f32;
    let mean = sum_of(simd, row, 0.0, |_, x| x) / width;
    let mean_lanes = simd.splat(mean);
    let square = |simd: S, x| {
        let distance = simd.sub(x, mean_lanes);
        simd.mul(distance, distance)
    };
    let variance = sum_of(simd, row, mean, square) / width;
    let inverse = simd.splat(1.0 / (variance + norm.eps).sqrt());
    let scaled = |x, gamma, beta| simd.mul_add(simd.mul(simd.sub(x, mean_lanes), inverse), gamma, beta);
    let (row, rest) = S::split_mut(row);
    let (gamma, gamma_rest) = S::split(norm.gamma.as_slice());
    let (beta, beta_rest) = S::split(norm.beta.as_slice());
    for ((x, gamma), beta) in row.iter_mut().zip(gamma).zip(beta) {
        simd.store(scaled(simd.load(x), simd.load(gamma), simd.load(beta)), x);
    }
    if !rest.is_empty() {
        let (gamma, beta) = (fill(simd, gamma_rest, 0.0), fill(simd, beta_rest, 0.0));
        store_rest(simd, scaled(fill(simd, rest, 0.0), gamma, beta), rest);
    }
}

/// The sum of `f` over `row`; lanes beyond its end hold `filler`, of which `f` must be 0.
#[inline(always)]
fn sum_of<S: Simd>(simd: S, row: &[f32], filler: f32, f: impl Fn(S, S::Floats) -> S::Floats) -> f32 {
    let (row, rest) = S::split(row);
    let (fours, ones) = row.as_chunks::<4>();
    // Four sums, so that an addition need not wait for the one before it.
    let mut sums = [simd.splat(0.0); 4];
    for four in fours {
        for (sum, x) in sums.iter_mut().zip(four) {
            *sum = simd.add(*sum, f(simd, simd.load(x)));
        }
    }
    let [mut a, b, c, d] = sums;
    for x in ones {
        a = simd.add(a, f(simd, simd.load(x)));
    }
    if !rest.is_empty() {
        a = simd.add(a, f(simd, fill(simd, rest, filler)));
    }
    simd.sum(simd.add(simd.add(a, b), simd.add(c, d)))
}

/// The numbers of a row that count: all but those of its last block (a panel's columns) that are beyond its length.
pub(super) struct Mask<S: Simd>([S::Floats; VECTORS]);

impl<S: Simd> Mask<S> {
    #[inline(always)]
    pub(super) fn new(simd: S, length: usize) -> Self {
        let beyond = length.next_multiple_of(S::COLUMNS) - length;
        let registers: [usize; VECTORS] = std::array::from_fn(|at| (VECTORS - 1 - at) * S::LANES);
        Self(registers.map(|after| {
            let mut lanes = S::Array::default();
            let count = S::LANES - beyond.saturating_sub(after).min(S::LANES);
            for (at, lane) in lanes.as_mut().iter_mut().enumerate() {
                *lane = if at < count { f32::INFINITY } else { f32::NEG_INFINITY };
            }
            simd.load(&lanes)
        }))
    }

    /// Makes the numbers beyond the row's length negative infinity, and finds the largest one.
    ///
    /// NaN becomes infinity, and NaN again as soon as it is taken from itself. By registers, since a load of what was
    /// stored in parts would wait for all of it.
    #[inline(always)]
    fn largest(&self, simd: S, row: &mut [f32]) -> S::Floats {
        let row = S::split_mut(row).0.as_chunks_mut::<VECTORS>().0;
        let mut largest = [simd.splat(f32::NEG_INFINITY); VECTORS];
        if let Some((last, others)) = row.split_last_mut() {
            for block in others.iter() {
                largest.iter_mut().zip(block).for_each(|(largest, x)| *largest = simd.max(*largest, simd.load(x)));
            }
            for ((largest, x), mask) in largest.iter_mut().zip(last).zip(self.0) {
                let masked = simd.min(simd.load(x), mask);
                simd.store(masked, x);
                *largest = simd.max(*largest, masked);
            }
        }
        let [left, right] = largest;
        simd.splat(simd.largest(simd.max(left, right)))
    }
}

/// `exp(scale * (x - max))` for the numbers of a row within `mask`, 0 for the others; returns the sum.
///
/// The row's own length is a whole number of blocks. `scale` is positive.
#[inline(always)]
pub(super) fn softmax_unscaled<S: Simd>(simd: S, row: &mut [f32], mask: &Mask<S>, scale: f32) -> f32 {
    let largest = mask.largest(simd, row);
    let scale = simd.splat(scale);
    let mut sum = simd.splat(0.0);
    for x in S::split_mut(row).0 {
        let exp = exp_of_nonpositive(simd, simd.mul(simd.sub(simd.load(x), largest), scale));
        sum = simd.add(sum, exp);
        simd.store(exp, x);
    }
    simd.sum(sum)
}

/// `2^(x - max)` for the numbers of a tile's rows within `mask`, 1 being [`WHOLE`](super::math::WHOLE), rounded; 0 for the
/// others. Those of two registers side by side make pairs. `sums`, one for each row, become those of what was rounded; NaN
/// if a number is not finite.
///
/// Rows of `scores` and of `weights` are as far apart as said, and the first `padded` numbers of a row, whole blocks, are
/// its own. Nobody waits for a sum: it scales what the weights are multiplied with, not the weights. And every step is
/// done for all rows before the next, since what goes on inside a register at its end is a chain of waits.
#[inline(always)]
pub(super) fn softmax_weights<I: Integers>(
    integers: I,
    mask: &Mask<I::Floats>,
    (scores, stride, padded): (&mut [f32], usize, usize),
    (weights, weight_stride): (&mut [i32], usize),
    sums: &mut [f32],
) {
    let simd = integers.floats();
    let mut largest = [simd.splat(0.0); MAX_ROWS];
    for (row, largest) in scores.chunks_exact_mut(stride).zip(&mut largest).take(sums.len()) {
        *largest = mask.largest(simd, row.get_mut(..padded).unwrap_or_default());
    }
    let mut lanes = [simd.splat(0.0); MAX_ROWS];
    let rows = scores.chunks_exact(stride).zip(weights.chunks_exact_mut(weight_stride));
    for ((row, weights), (largest, lanes)) in rows.zip(largest.iter().zip(&mut lanes)).take(sums.len()) {
        let mut sums = [simd.splat(0.0); VECTORS];
        let blocks = I::Floats::split(row.get(..padded).unwrap_or_default()).0.as_chunks::<VECTORS>().0;
        for ([low, high], weights) in blocks.iter().zip(I::split_pairs_mut(weights)) {
            let low = whole_times_exp2(simd, simd.sub(simd.load(low), *largest));
            let high = whole_times_exp2(simd, simd.sub(simd.load(high), *largest));
            let [low_sum, high_sum] = sums;
            sums = [simd.add(low_sum, low), simd.add(high_sum, high)];
            integers.store_pairs(integers.pair(low, high), weights);
        }
        let [low, high] = sums;
        *lanes = simd.add(low, high);
    }
    for (sum, lanes) in sums.iter_mut().zip(lanes) {
        *sum = simd.sum(lanes);
    }
}
