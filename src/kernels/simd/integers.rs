//! Registers of 32-bit sums of 8-bit products behind one trait, and the choice among them.

use super::{InstructionSet, Simd};

#[cfg(target_arch = "x86_64")]
use super::integers_x86::{Vnni256, Vnni512};
#[cfg(target_arch = "x86_64")]
use crate::kernels::x86::Avx2;

/// What runs on registers of a kind that it does not name.
pub(crate) trait IntegerKernel {
    fn run<I: Integers>(self, integers: I);
}

/// A proof that the machine has an instruction set, and how that set multiplies 8-bit numbers.
///
/// Every column of a product has its next [`GROUP`](Self::GROUP) weights side by side, so that one step adds as many
/// products to each sum. A group of activations fills 32 bits: two of them are spread to 16 bits each.
pub(crate) trait Integers: Copy {
    /// As many columns as this has lanes fit into a register of sums.
    type Floats: Simd;
    type Sums: Copy;
    type Operand: Copy;
    /// A group of weights for each lane.
    type Weights;
    /// `[i32; LANES]`, each two numbers of 16 bits.
    type Pairs;

    /// Weights that one step takes: 4 or 2.
    const GROUP: usize;
    /// Rows of a tile.
    const ROWS: usize;

    fn floats(self) -> Self::Floats;
    fn split(weights: &[i8]) -> &[Self::Weights];
    fn zero(self) -> Self::Sums;
    /// A group of activations for each lane.
    fn splat(self, word: [u8; 4]) -> Self::Operand;
    fn load(self, weights: &Self::Weights) -> Self::Operand;
    /// Brings what is needed soon nearer.
    fn prefetch(self, weights: &Self::Weights);
    /// Each lane of `sums` plus its products. Exact: nothing saturates, and 16,000 steps do not wrap.
    fn add_products(self, sums: Self::Sums, activations: Self::Operand, weights: Self::Operand) -> Self::Sums;
    fn to_floats(self, sums: Self::Sums) -> <Self::Floats as Simd>::Floats;

    fn split_pairs(pairs: &[i32]) -> &[Self::Pairs];
    fn split_pairs_mut(pairs: &mut [i32]) -> &mut [Self::Pairs];
    fn load_pairs(self, pairs: &Self::Pairs) -> Self::Operand;
    /// The nearest integers, which must be in -32768..=32767: `low` in the low halves. The register is of bits.
    fn pair(
        self,
        low: <Self::Floats as Simd>::Floats,
        high: <Self::Floats as Simd>::Floats,
    ) -> <Self::Floats as Simd>::Floats;
    fn store_pairs(self, pairs: <Self::Floats as Simd>::Floats, to: &mut Self::Pairs);
    /// Each lane of `sums` plus its two products of 16-bit numbers; wraps beyond 32 bits.
    fn add_pairs(self, sums: Self::Sums, a: Self::Operand, b: Self::Operand) -> Self::Sums;

    /// Runs `kernel` in a function compiled for this instruction set.
    fn vectorize_integers<K: IntegerKernel>(self, kernel: K);
}

/// The instruction set for 8-bit products.
///
/// There is no portable one: plain Rust multiplies `f32` several times faster than it does bytes, so such a machine
/// takes the dequantized weights, which is also the more accurate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IntegerSet {
    #[cfg(target_arch = "x86_64")]
    Avx512Vnni(Vnni512),
    #[cfg(target_arch = "x86_64")]
    AvxVnni(Vnni256),
    #[cfg(target_arch = "x86_64")]
    Avx2(Avx2),
}

impl IntegerSet {
    /// The best one that is not above `set`, if there is any.
    pub(crate) fn within(set: InstructionSet) -> Option<Self> {
        Self::ladder(set).into_iter().flatten().next()
    }

    /// Best first; a rung that this machine lacks is `None`.
    #[cfg(target_arch = "x86_64")]
    pub(crate) fn ladder(set: InstructionSet) -> [Option<Self>; 3] {
        let (avx512, vnni, avx2) = match set {
            InstructionSet::Avx512(avx512) => (Some(avx512), Avx2::detect().and_then(Vnni256::detect), Avx2::detect()),
            InstructionSet::AvxVnni(vnni) => (None, Some(vnni), Some(vnni.avx2())),
            InstructionSet::Avx2(avx2) => (None, None, Some(avx2)),
            InstructionSet::Portable => (None, None, None),
        };
        [avx512.and_then(Vnni512::detect).map(Self::Avx512Vnni), vnni.map(Self::AvxVnni), avx2.map(Self::Avx2)]
    }

    /// Best first; a rung that this machine lacks is `None`.
    #[cfg(not(target_arch = "x86_64"))]
    pub(crate) fn ladder(_: InstructionSet) -> [Option<Self>; 0] {
        []
    }

    /// `"avx512-vnni"`, `"avx-vnni"` or `"avx2"`.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512Vnni(_) => "avx512-vnni",
            #[cfg(target_arch = "x86_64")]
            Self::AvxVnni(_) => "avx-vnni",
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(_) => "avx2",
        }
    }

    /// Runs `kernel` on this instruction set.
    #[cfg_attr(not(target_arch = "x86_64"), expect(unused_variables, reason = "there is no set to run it on"))]
    pub(crate) fn run<K: IntegerKernel>(self, kernel: K) {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512Vnni(set) => set.vectorize_integers(kernel),
            #[cfg(target_arch = "x86_64")]
            Self::AvxVnni(set) => set.vectorize_integers(kernel),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(set) => set.vectorize_integers(kernel),
        }
    }

    /// Weights of a column that lie side by side, [`Integers::GROUP`].
    pub(crate) const fn group(self) -> usize {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512Vnni(_) => Vnni512::GROUP,
            #[cfg(target_arch = "x86_64")]
            Self::AvxVnni(_) => Vnni256::GROUP,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(_) => Avx2::GROUP,
        }
    }

    /// Columns of a panel of packed weights.
    pub(crate) const fn panel_columns(self) -> usize {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512Vnni(_) => <Vnni512 as Integers>::Floats::COLUMNS,
            #[cfg(target_arch = "x86_64")]
            Self::AvxVnni(_) | Self::Avx2(_) => Avx2::COLUMNS,
        }
    }
}
