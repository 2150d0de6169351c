//! What is done to each row of activations by itself: LayerNorm, softmax, and rounding to 8 bits.

use super::InstructionSet;
use super::aligned::Aligned;
use super::gemm::RowsMut;
use super::math::exp_of_nonpositive;
use super::simd::{Kernel, Simd, fill, store_rest};

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

/// `exp(scale * (x - max))` for the first `length` numbers of a row, 0 for the others; returns the sum.
///
/// The row's own length is a whole number of registers. `scale` is positive.
#[inline(always)]
pub(super) fn softmax_unscaled<S: Simd>(simd: S, row: &mut [f32], length: usize, scale: f32) -> f32 {
    if let Some(beyond) = row.get_mut(length..) {
        beyond.fill(f32::NEG_INFINITY);
    }
    let row = S::split_mut(row).0;
    let mut largest = simd.splat(f32::NEG_INFINITY);
    for x in row.iter() {
        largest = simd.max(largest, simd.load(x));
    }
    let largest = simd.splat(simd.largest(largest));
    let scale = simd.splat(scale);
    let mut sum = simd.splat(0.0);
    for x in row {
        let exp = exp_of_nonpositive(simd, simd.mul(simd.sub(simd.load(x), largest), scale));
        sum = simd.add(sum, exp);
        simd.store(exp, x);
    }
    simd.sum(sum)
}
