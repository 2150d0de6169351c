//! Four lanes in plain Rust: one 128-bit register of SSE2 or NEON, as the compiler sees fit.

use half::f16;

use super::super::scalar::widen;
use super::{Kernel, Simd};

/// Any machine.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Portable;

const LANES: usize = 4;

/// Whether a fused multiply-add is one instruction; elsewhere it is a call into the C library.
const FUSED: bool = cfg!(any(target_arch = "aarch64", target_feature = "fma"));

#[inline(always)]
fn zip([a, b, c, d]: [f32; LANES], [p, q, r, s]: [f32; LANES], f: impl Fn(f32, f32) -> f32) -> [f32; LANES] {
    [f(a, p), f(b, q), f(c, r), f(d, s)]
}

#[inline(always)]
fn fused(a: f32, b: f32, c: f32) -> f32 {
    if FUSED { a.mul_add(b, c) } else { a * b + c }
}

/// Not `f32::min`, whose rule for NaN is another than the vector instructions'.
#[inline(always)]
fn smaller(a: f32, b: f32) -> f32 {
    if a < b { a } else { b }
}

#[inline(always)]
fn larger(a: f32, b: f32) -> f32 {
    if a > b { a } else { b }
}

impl Simd for Portable {
    const LANES: usize = LANES;
    // AArch64 has 32 registers, the others at least 16.
    const ROWS: usize = if cfg!(target_arch = "aarch64") { 12 } else { 6 };

    type Floats = [f32; LANES];
    type Array = [f32; LANES];
    type Square = [[f32; LANES]; LANES];
    type Halves = [f16; LANES];
    type Bytes = [u8; LANES];

    #[inline(always)]
    fn split(values: &[f32]) -> (&[Self::Array], &[f32]) {
        values.as_chunks()
    }

    #[inline(always)]
    fn split_mut(values: &mut [f32]) -> (&mut [Self::Array], &mut [f32]) {
        values.as_chunks_mut()
    }

    #[inline(always)]
    fn split_halves(values: &[f16]) -> (&[Self::Halves], &[f16]) {
        values.as_chunks()
    }

    #[inline(always)]
    fn split_bytes(values: &mut [u8]) -> (&mut [Self::Bytes], &mut [u8]) {
        values.as_chunks_mut()
    }

    #[inline(always)]
    fn load(self, from: &Self::Array) -> Self::Floats {
        *from
    }

    #[inline(always)]
    fn load_halves(self, [a, b, c, d]: &Self::Halves) -> Self::Floats {
        [widen(*a), widen(*b), widen(*c), widen(*d)]
    }

    #[inline(always)]
    fn prefetch_l2(self, _: *const f16) {}

    #[inline(always)]
    fn prefetch(self, _: &Self::Array) {}

    #[inline(always)]
    fn store(self, value: Self::Floats, to: &mut Self::Array) {
        *to = value;
    }

    #[inline(always)]
    fn splat(self, value: f32) -> Self::Floats {
        [value; LANES]
    }

    #[inline(always)]
    fn add(self, a: Self::Floats, b: Self::Floats) -> Self::Floats {
        zip(a, b, |a, b| a + b)
    }

    #[inline(always)]
    fn sub(self, a: Self::Floats, b: Self::Floats) -> Self::Floats {
        zip(a, b, |a, b| a - b)
    }

    #[inline(always)]
    fn mul(self, a: Self::Floats, b: Self::Floats) -> Self::Floats {
        zip(a, b, |a, b| a * b)
    }

    #[inline(always)]
    fn div(self, a: Self::Floats, b: Self::Floats) -> Self::Floats {
        zip(a, b, |a, b| a / b)
    }

    #[inline(always)]
    fn mul_add(
        self,
        [a, b, c, d]: Self::Floats,
        [p, q, r, s]: Self::Floats,
        [w, x, y, z]: Self::Floats,
    ) -> Self::Floats {
        [fused(a, p, w), fused(b, q, x), fused(c, r, y), fused(d, s, z)]
    }

    #[inline(always)]
    fn min(self, a: Self::Floats, b: Self::Floats) -> Self::Floats {
        zip(a, b, smaller)
    }

    #[inline(always)]
    fn max(self, a: Self::Floats, b: Self::Floats) -> Self::Floats {
        zip(a, b, larger)
    }

    #[inline(always)]
    fn abs(self, a: Self::Floats) -> Self::Floats {
        a.map(f32::abs)
    }

    #[inline(always)]
    fn power_of_low_bits(self, a: Self::Floats) -> Self::Floats {
        a.map(|value| f32::from_bits((value.to_bits() << 23).wrapping_add(127 << 23)))
    }

    #[inline(always)]
    fn square(self) -> Self::Square {
        [[0.0; LANES]; LANES]
    }

    #[inline(always)]
    fn transpose(self, rows: Self::Square) -> Self::Square {
        let [[a, b, c, d], [e, f, g, h], [i, j, k, l], [m, n, o, p]] = rows;
        [[a, e, i, m], [b, f, j, n], [c, g, k, o], [d, h, l, p]]
    }

    #[inline(always)]
    fn sum(self, [a, b, c, d]: Self::Floats) -> f32 {
        (a + c) + (b + d)
    }

    #[inline(always)]
    fn smallest(self, [a, b, c, d]: Self::Floats) -> f32 {
        smaller(smaller(a, c), smaller(b, d))
    }

    #[inline(always)]
    fn largest(self, [a, b, c, d]: Self::Floats) -> f32 {
        larger(larger(a, c), larger(b, d))
    }

    #[inline(always)]
    #[expect(clippy::cast_possible_truncation, reason = "the low byte of an integer in 0..=255")]
    fn store_bytes(self, a: Self::Floats, to: &mut Self::Bytes) {
        // Adding 1.5 * 2^23 rounds to an integer and leaves it in the low bits.
        const ROUND: f32 = 12_582_912.0;
        *to = a.map(|value| (value + ROUND).to_bits() as u8);
    }

    #[inline(always)]
    fn vectorize<K: Kernel>(self, kernel: K) {
        kernel.run(self);
    }
}
