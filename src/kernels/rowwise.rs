//! What is done to each row of activations by itself: LayerNorm, softmax, and rounding to 8 bits.

use super::InstructionSet;
use super::aligned::Aligned;
use super::gemm::RowsMut;
use super::math::{exp_of_nonpositive, exp2_of_nonpositive};
use super::simd::{Integers, Kernel, Simd, VECTORS, fill, store_rest};

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

/// The softmax to the base of two of the numbers of a row within `mask`, in shares of `whole`, rounded; 0 for the
/// others. Those of two registers side by side make pairs. Returns the sum of exponentials, NaN if a number is not
/// finite.
#[inline(always)]
pub(super) fn softmax_shares<I: Integers>(
    integers: I,
    row: &mut [f32],
    mask: &Mask<I::Floats>,
    whole: f32,
    shares: &mut [i32],
) -> f32 {
    let simd = integers.floats();
    let largest = mask.largest(simd, row);
    let row = I::Floats::split_mut(row).0;
    let mut sum = simd.splat(0.0);
    for x in row.iter_mut() {
        let exp = exp2_of_nonpositive(simd, simd.sub(simd.load(x), largest));
        sum = simd.add(sum, exp);
        simd.store(exp, x);
    }
    let sum = simd.sum(sum);
    let factor = simd.splat(whole / sum);
    for ([low, high], shares) in row.as_chunks::<VECTORS>().0.iter().zip(I::split_pairs_mut(shares)) {
        let share = |x| simd.mul(simd.load(x), factor);
        integers.store_pairs(integers.pair(share(low), share(high)), shares);
    }
    sum
}
