//! Products of activations with weights that were packed once:
//! `out[r][c] = then(sum over k of a[r][k] * w[c][k] + bias[c])`.
//!
//! Weights lie in panels of as many columns as a tile has, `[panel][k][column]`, so that a tile reads them in one
//! stream. A number of the result is one sum over `k` in ascending order, whatever tile its row falls into: a row's
//! result does not depend on the rows beside it.

mod f32;
mod s8;
mod tile;

pub(crate) use f32::PackedF32;
pub(crate) use s8::{MatrixS8, PackedS8};
pub(super) use tile::tile;

use super::math;
use super::simd::{Kernel, Simd, VECTORS};

/// What happens to a number of the result before it is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Then {
    Store,
    /// Added to what is there.
    Add,
    Gelu,
    /// GELU within 1.5e-4, for what is rounded to 8 bits next.
    GeluCoarse,
    GeluTanh,
    Relu,
    Silu,
    Tanh,
    Sigmoid,
}

/// Rows of numbers, `stride` apart.
#[derive(Clone, Copy)]
pub(crate) struct Rows<'a, T> {
    pub(crate) numbers: &'a [T],
    pub(crate) stride: usize,
    pub(crate) count: usize,
}

/// The same, to be written.
pub(crate) struct RowsMut<'a, T> {
    pub(crate) numbers: &'a mut [T],
    pub(crate) stride: usize,
}

impl Then {
    /// Whether results are added to what is there.
    const fn adds(self) -> bool {
        matches!(self, Self::Add)
    }
}

/// Where the last of some rows, `stride` apart and `width` long, ends. Beyond all numbers rather than wrapped: reads and
/// writes without checks rest on it.
pub(super) const fn end_of(rows: usize, stride: usize, width: usize) -> usize {
    stride.saturating_mul(rows.saturating_sub(1)).saturating_add(width)
}

/// Rows of a tile such that all tiles have about as many: a tile of few rows waits for its own sums.
const fn even(rows: usize, most: usize) -> usize {
    if rows == 0 { most } else { rows.div_ceil(rows.div_ceil(most)) }
}

/// Applies the activation of `then` to a tile of the result: `count` rows of a panel's columns, while they are in the
/// nearest cache.
#[inline(always)]
fn activate<S: Simd>(simd: S, then: Then, out: &mut [f32], stride: usize, count: usize) {
    match then {
        Then::Store | Then::Add => {}
        Then::Gelu => simd.vectorize(Activate { out, stride, count, function: Gelu }),
        Then::GeluCoarse => simd.vectorize(Activate { out, stride, count, function: GeluCoarse }),
        Then::GeluTanh => simd.vectorize(Activate { out, stride, count, function: GeluTanh }),
        Then::Relu => simd.vectorize(Activate { out, stride, count, function: Relu }),
        Then::Silu => simd.vectorize(Activate { out, stride, count, function: Silu }),
        Then::Tanh => simd.vectorize(Activate { out, stride, count, function: Tanh }),
        Then::Sigmoid => simd.vectorize(Activate { out, stride, count, function: Sigmoid }),
    }
}

/// An activation as a type, so that the choice is made once per tile.
trait Function {
    fn apply<S: Simd>(&self, simd: S, x: S::Floats) -> S::Floats;
}

struct Gelu;
struct GeluCoarse;
struct GeluTanh;
struct Relu;
struct Silu;
struct Tanh;
struct Sigmoid;

impl Function for Gelu {
    #[inline(always)]
    fn apply<S: Simd>(&self, simd: S, x: S::Floats) -> S::Floats {
        math::gelu(simd, x)
    }
}

impl Function for GeluCoarse {
    #[inline(always)]
    fn apply<S: Simd>(&self, simd: S, x: S::Floats) -> S::Floats {
        math::gelu_coarse(simd, x)
    }
}

impl Function for GeluTanh {
    #[inline(always)]
    fn apply<S: Simd>(&self, simd: S, x: S::Floats) -> S::Floats {
        math::gelu_tanh(simd, x)
    }
}

impl Function for Relu {
    #[inline(always)]
    fn apply<S: Simd>(&self, simd: S, x: S::Floats) -> S::Floats {
        math::relu(simd, x)
    }
}

impl Function for Silu {
    #[inline(always)]
    fn apply<S: Simd>(&self, simd: S, x: S::Floats) -> S::Floats {
        math::silu(simd, x)
    }
}

impl Function for Tanh {
    #[inline(always)]
    fn apply<S: Simd>(&self, simd: S, x: S::Floats) -> S::Floats {
        math::tanh(simd, x)
    }
}

impl Function for Sigmoid {
    #[inline(always)]
    fn apply<S: Simd>(&self, simd: S, x: S::Floats) -> S::Floats {
        math::sigmoid(simd, x)
    }
}

struct Activate<'a, F> {
    out: &'a mut [f32],
    stride: usize,
    count: usize,
    function: F,
}

impl<F: Function> Kernel for Activate<'_, F> {
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        for row in self.out.chunks_mut(self.stride.max(1)).take(self.count) {
            for out in S::split_mut(row).0.iter_mut().take(VECTORS) {
                simd.store(self.function.apply(simd, simd.load(out)), out);
            }
        }
    }
}
