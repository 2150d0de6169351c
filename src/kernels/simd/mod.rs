//! Registers of `f32` behind one trait, so that a kernel is written once and compiled for each instruction set.
//!
//! A [`Kernel`] is generic code that is inlined as a whole into one function with the instruction set's features
//! enabled ([`Simd::vectorize`]). Everything on the way down must be `inline(always)`: what is not would be compiled
//! without the features, which is correct but slow.

mod integers;
#[cfg(target_arch = "x86_64")]
mod integers_x86;
mod portable;
#[cfg(target_arch = "x86_64")]
mod x86;

use half::f16;

use super::InstructionSet;
pub(crate) use integers::{IntegerKernel, IntegerSet, Integers};
#[cfg(target_arch = "x86_64")]
pub(crate) use integers_x86::Vnni256;
pub(crate) use portable::Portable;

/// Columns of a panel are this many registers wide.
pub(crate) const VECTORS: usize = 2;

/// The most rows that a tile of any instruction set has.
pub(crate) const MAX_ROWS: usize = 12;

/// The most columns that a panel of any instruction set has.
pub(crate) const MAX_COLUMNS: usize = 32;

/// What runs on registers of a kind that it does not name.
pub(crate) trait Kernel {
    fn run<S: Simd>(self, simd: S);
}

/// A proof that the machine has an instruction set, and what that set does.
///
/// `min` and `max` give `b` if either number is NaN. Sums over lanes have one order, always the same.
pub(crate) trait Simd: Copy {
    /// Numbers in a register.
    const LANES: usize;
    /// Rows of a tile of a matrix product: as many sums as fit into the registers beside the operands.
    const ROWS: usize;
    /// Columns of a tile, and of a panel of packed weights.
    const COLUMNS: usize = VECTORS * Self::LANES;

    type Floats: Copy;
    /// `[f32; LANES]`.
    type Array: Copy + Default + AsRef<[f32]> + AsMut<[f32]>;
    /// `[Floats; LANES]`.
    type Square: AsRef<[Self::Floats]> + AsMut<[Self::Floats]>;
    /// `[f16; LANES]`.
    type Halves: Copy + Default + AsMut<[f16]>;
    /// `[u8; LANES]`.
    type Bytes: Copy + Default + AsRef<[u8]> + AsMut<[u8]>;

    /// `values` register by register, and what is left.
    fn split(values: &[f32]) -> (&[Self::Array], &[f32]);
    fn split_mut(values: &mut [f32]) -> (&mut [Self::Array], &mut [f32]);
    fn split_halves(values: &[f16]) -> (&[Self::Halves], &[f16]);
    fn split_bytes(values: &mut [u8]) -> (&mut [Self::Bytes], &mut [u8]);

    fn load(self, from: &Self::Array) -> Self::Floats;
    /// Exact for everything finite.
    fn load_halves(self, from: &Self::Halves) -> Self::Floats;
    /// Brings memory that is needed in a while as near as L2, if the machine has a way to; straight to L1 took 1.8 times as
    /// long on Zen 4. Nothing is read, wherever the address leads.
    fn prefetch_l2(self, from: *const f16);
    /// Brings what is needed soon as near as L1, if the machine has a way to.
    fn prefetch(self, from: &Self::Array);
    fn store(self, value: Self::Floats, to: &mut Self::Array);
    fn splat(self, value: f32) -> Self::Floats;
    fn add(self, a: Self::Floats, b: Self::Floats) -> Self::Floats;
    fn sub(self, a: Self::Floats, b: Self::Floats) -> Self::Floats;
    fn mul(self, a: Self::Floats, b: Self::Floats) -> Self::Floats;
    fn div(self, a: Self::Floats, b: Self::Floats) -> Self::Floats;
    /// `a * b + c`, rounded once where the machine can.
    fn mul_add(self, a: Self::Floats, b: Self::Floats, c: Self::Floats) -> Self::Floats;
    fn min(self, a: Self::Floats, b: Self::Floats) -> Self::Floats;
    fn max(self, a: Self::Floats, b: Self::Floats) -> Self::Floats;
    fn abs(self, a: Self::Floats) -> Self::Floats;
    /// Two to the power of the integer in the low bits of each number's representation, -127 (zero) to 127.
    fn power_of_low_bits(self, a: Self::Floats) -> Self::Floats;
    /// As many registers as each has lanes, all zero.
    fn square(self) -> Self::Square;
    /// Rows to columns.
    fn transpose(self, rows: Self::Square) -> Self::Square;
    /// The sum of all lanes.
    fn sum(self, a: Self::Floats) -> f32;
    fn smallest(self, a: Self::Floats) -> f32;
    fn largest(self, a: Self::Floats) -> f32;
    /// The nearest integers (ties to even), which must be in 0..=255.
    fn store_bytes(self, a: Self::Floats, to: &mut Self::Bytes);

    /// Runs `kernel` in a function compiled for this instruction set.
    fn vectorize<K: Kernel>(self, kernel: K);
}

impl InstructionSet {
    /// Runs `kernel` on this instruction set.
    pub(crate) fn run<K: Kernel>(self, kernel: K) {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(set) => set.vectorize(kernel),
            #[cfg(target_arch = "x86_64")]
            Self::AvxVnni(set) => set.avx2().vectorize(kernel),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(set) => set.vectorize(kernel),
            Self::Portable => Portable.vectorize(kernel),
        }
    }

    /// Columns of a panel of packed `f32` weights.
    pub(crate) const fn panel_columns(self) -> usize {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(_) => super::x86::Avx512::COLUMNS,
            #[cfg(target_arch = "x86_64")]
            Self::AvxVnni(_) | Self::Avx2(_) => super::x86::Avx2::COLUMNS,
            Self::Portable => Portable::COLUMNS,
        }
    }
}

/// `rest` in the first lanes, `filler` in the others.
#[inline(always)]
pub(crate) fn fill<S: Simd>(simd: S, rest: &[f32], filler: f32) -> S::Floats {
    let mut array = S::Array::default();
    array.as_mut().fill(filler);
    for (place, &value) in array.as_mut().iter_mut().zip(rest) {
        *place = value;
    }
    simd.load(&array)
}

/// The first lanes of `value` to `rest`.
#[inline(always)]
pub(crate) fn store_rest<S: Simd>(simd: S, value: S::Floats, rest: &mut [f32]) {
    let mut array = S::Array::default();
    simd.store(value, &mut array);
    for (place, &value) in rest.iter_mut().zip(array.as_ref()) {
        *place = value;
    }
}
