//! 8-bit products on x86-64: AVX-512 VNNI, AVX-VNNI, and AVX2.

use std::arch::x86_64::{
    __m256, __m256i, __m512, __m512i, _MM_HINT_T0, _mm_loadu_si128, _mm_prefetch, _mm256_add_epi32, _mm256_blend_epi16,
    _mm256_castsi256_ps, _mm256_cvtepi8_epi16, _mm256_cvtepi32_ps, _mm256_cvtps_epi32, _mm256_dpbusd_avx_epi32,
    _mm256_dpwssd_avx_epi32, _mm256_loadu_si256, _mm256_madd_epi16, _mm256_set1_epi32, _mm256_setzero_si256,
    _mm256_slli_epi32, _mm256_storeu_ps, _mm512_castsi512_ps, _mm512_cvtepi32_ps, _mm512_cvtps_epi32,
    _mm512_dpbusd_epi32, _mm512_dpwssd_epi32, _mm512_loadu_si512, _mm512_set1_epi32, _mm512_setzero_si512,
    _mm512_slli_epi32, _mm512_storeu_ps, _mm512_ternarylogic_epi32,
};

use super::integers::{IntegerKernel, Integers};
use crate::kernels::x86::{Avx2, Avx512};

/// This machine has AVX-512F and AVX512-VNNI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Vnni512(Avx512);

/// This machine has AVX2, FMA and AVX-VNNI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Vnni256(Avx2);

impl Vnni512 {
    pub(super) fn detect(avx512: Avx512) -> Option<Self> {
        is_x86_feature_detected!("avx512vnni").then_some(Self(avx512))
    }
}

impl Vnni256 {
    pub(crate) fn detect(avx2: Avx2) -> Option<Self> {
        is_x86_feature_detected!("avxvnni").then_some(Self(avx2))
    }

    pub(crate) const fn avx2(self) -> Avx2 {
        self.0
    }
}

/// Methods of [`Integers`] whose bodies need nothing but the instruction set, and the function that kernels run in.
macro_rules! methods {
    ($features:literal: $(fn $name:ident($($arg:ident: $kind:ty),*) $(-> $out:ty)? $body:block)*) => {
        $(
            #[inline(always)]
            #[expect(unsafe_code, reason = "calls a function of its instruction set")]
            fn $name(self, $($arg: $kind),*) $(-> $out)? {
                #[inline]
                #[target_feature(enable = $features)]
                fn body($($arg: $kind),*) $(-> $out)? $body
                // SAFETY: a value of this type proves that the machine has these features.
                unsafe { body($($arg),*) }
            }
        )*

        #[inline(always)]
        #[expect(unsafe_code, reason = "calls a function of its instruction set")]
        fn vectorize_integers<K: IntegerKernel>(self, kernel: K) {
            #[inline(never)]
            #[target_feature(enable = $features)]
            fn run<I: Integers, K: IntegerKernel>(integers: I, kernel: K) {
                kernel.run(integers);
            }
            // SAFETY: a value of this type proves that the machine has these features.
            unsafe { run(self, kernel) }
        }
    };
}

impl Integers for Vnni512 {
    type Floats = Avx512;
    type Sums = __m512i;
    type Operand = __m512i;
    type Weights = [i8; 64];
    type Pairs = [i32; 16];

    const GROUP: usize = 4;
    const ROWS: usize = 12;

    #[inline(always)]
    fn floats(self) -> Avx512 {
        self.0
    }

    #[inline(always)]
    fn split(weights: &[i8]) -> &[Self::Weights] {
        weights.as_chunks().0
    }

    #[inline(always)]
    fn split_pairs(pairs: &[i32]) -> &[Self::Pairs] {
        pairs.as_chunks().0
    }

    #[inline(always)]
    fn split_pairs_mut(pairs: &mut [i32]) -> &mut [Self::Pairs] {
        pairs.as_chunks_mut().0
    }

    methods! { "avx512f,avx512vnni":
        fn zero() -> __m512i { _mm512_setzero_si512() }
        fn splat(word: [u8; 4]) -> __m512i { _mm512_set1_epi32(i32::from_le_bytes(word)) }
        fn prefetch(weights: &[i8; 64]) {
            _mm_prefetch::<_MM_HINT_T0>(weights.as_ptr());
        }
        fn load(weights: &[i8; 64]) -> __m512i {
            // SAFETY: the reference is to 64 readable bytes, and the load asks for no alignment.
            unsafe { _mm512_loadu_si512(weights.as_ptr().cast()) }
        }
        fn add_products(sums: __m512i, activations: __m512i, weights: __m512i) -> __m512i {
            _mm512_dpbusd_epi32(sums, activations, weights)
        }
        fn to_floats(sums: __m512i) -> __m512 { _mm512_cvtepi32_ps(sums) }
        fn load_pairs(pairs: &[i32; 16]) -> __m512i {
            // SAFETY: the reference is to 64 readable bytes, and the load asks for no alignment.
            unsafe { _mm512_loadu_si512(pairs.as_ptr().cast()) }
        }
        fn pair(low: __m512, high: __m512) -> __m512 {
            // Both halves' bits by one instruction: those of `low` where the mask has ones, else those of `high`.
            const CHOOSE: i32 = 0b1101_1000;
            let (low, high) = (_mm512_cvtps_epi32(low), _mm512_slli_epi32::<16>(_mm512_cvtps_epi32(high)));
            _mm512_castsi512_ps(_mm512_ternarylogic_epi32::<CHOOSE>(high, low, _mm512_set1_epi32(0xffff)))
        }
        fn store_pairs(pairs: __m512, to: &mut [i32; 16]) {
            // SAFETY: the reference is to 64 writable bytes, and the store asks for no alignment.
            unsafe { _mm512_storeu_ps(to.as_mut_ptr().cast(), pairs) }
        }
        fn add_pairs(sums: __m512i, a: __m512i, b: __m512i) -> __m512i { _mm512_dpwssd_epi32(sums, a, b) }
    }
}

impl Integers for Vnni256 {
    type Floats = Avx2;
    type Sums = __m256i;
    type Operand = __m256i;
    type Weights = [i8; 32];
    type Pairs = [i32; 8];

    const GROUP: usize = 4;
    const ROWS: usize = 6;

    #[inline(always)]
    fn floats(self) -> Avx2 {
        self.0
    }

    #[inline(always)]
    fn split(weights: &[i8]) -> &[Self::Weights] {
        weights.as_chunks().0
    }

    #[inline(always)]
    fn split_pairs(pairs: &[i32]) -> &[Self::Pairs] {
        pairs.as_chunks().0
    }

    #[inline(always)]
    fn split_pairs_mut(pairs: &mut [i32]) -> &mut [Self::Pairs] {
        pairs.as_chunks_mut().0
    }

    methods! { "avx2,fma,f16c,avxvnni":
        fn zero() -> __m256i { _mm256_setzero_si256() }
        fn splat(word: [u8; 4]) -> __m256i { _mm256_set1_epi32(i32::from_le_bytes(word)) }
        fn prefetch(weights: &[i8; 32]) {
            _mm_prefetch::<_MM_HINT_T0>(weights.as_ptr());
        }
        fn load(weights: &[i8; 32]) -> __m256i {
            // SAFETY: the reference is to 32 readable bytes, and the load asks for no alignment.
            unsafe { _mm256_loadu_si256(weights.as_ptr().cast()) }
        }
        fn add_products(sums: __m256i, activations: __m256i, weights: __m256i) -> __m256i {
            _mm256_dpbusd_avx_epi32(sums, activations, weights)
        }
        fn to_floats(sums: __m256i) -> __m256 { _mm256_cvtepi32_ps(sums) }
        fn load_pairs(pairs: &[i32; 8]) -> __m256i {
            // SAFETY: the reference is to 32 readable bytes, and the load asks for no alignment.
            unsafe { _mm256_loadu_si256(pairs.as_ptr().cast()) }
        }
        fn pair(low: __m256, high: __m256) -> __m256 {
            let (low, high) = (_mm256_cvtps_epi32(low), _mm256_slli_epi32::<16>(_mm256_cvtps_epi32(high)));
            _mm256_castsi256_ps(_mm256_blend_epi16::<0b1010_1010>(low, high))
        }
        fn store_pairs(pairs: __m256, to: &mut [i32; 8]) {
            // SAFETY: the reference is to 32 writable bytes, and the store asks for no alignment.
            unsafe { _mm256_storeu_ps(to.as_mut_ptr().cast(), pairs) }
        }
        fn add_pairs(sums: __m256i, a: __m256i, b: __m256i) -> __m256i { _mm256_dpwssd_avx_epi32(sums, a, b) }
    }
}

impl Integers for Avx2 {
    type Floats = Self;
    type Sums = __m256i;
    type Operand = __m256i;
    type Weights = [i8; 16];
    type Pairs = [i32; 8];

    // `vpmaddubsw` would take four, but adds 255 * 127 up in 16 bits and saturates; with activations of 7 bits, which
    // fit, the mean cosine to f32 falls from 0.9987 to 0.9967. So pairs, widened to 16 bits and exact.
    const GROUP: usize = 2;
    const ROWS: usize = 6;

    #[inline(always)]
    fn floats(self) -> Self {
        self
    }

    #[inline(always)]
    fn split(weights: &[i8]) -> &[Self::Weights] {
        weights.as_chunks().0
    }

    #[inline(always)]
    fn split_pairs(pairs: &[i32]) -> &[Self::Pairs] {
        pairs.as_chunks().0
    }

    #[inline(always)]
    fn split_pairs_mut(pairs: &mut [i32]) -> &mut [Self::Pairs] {
        pairs.as_chunks_mut().0
    }

    methods! { "avx2,fma,f16c":
        fn zero() -> __m256i { _mm256_setzero_si256() }
        fn splat(word: [u8; 4]) -> __m256i { _mm256_set1_epi32(i32::from_le_bytes(word)) }
        fn prefetch(weights: &[i8; 16]) {
            _mm_prefetch::<_MM_HINT_T0>(weights.as_ptr());
        }
        fn load(weights: &[i8; 16]) -> __m256i {
            // SAFETY: the reference is to 16 readable bytes, and the load asks for no alignment.
            _mm256_cvtepi8_epi16(unsafe { _mm_loadu_si128(weights.as_ptr().cast()) })
        }
        fn add_products(sums: __m256i, activations: __m256i, weights: __m256i) -> __m256i {
            _mm256_add_epi32(sums, _mm256_madd_epi16(activations, weights))
        }
        fn to_floats(sums: __m256i) -> __m256 { _mm256_cvtepi32_ps(sums) }
        fn load_pairs(pairs: &[i32; 8]) -> __m256i {
            // SAFETY: the reference is to 32 readable bytes, and the load asks for no alignment.
            unsafe { _mm256_loadu_si256(pairs.as_ptr().cast()) }
        }
        fn pair(low: __m256, high: __m256) -> __m256 {
            let (low, high) = (_mm256_cvtps_epi32(low), _mm256_slli_epi32::<16>(_mm256_cvtps_epi32(high)));
            _mm256_castsi256_ps(_mm256_blend_epi16::<0b1010_1010>(low, high))
        }
        fn store_pairs(pairs: __m256, to: &mut [i32; 8]) {
            // SAFETY: the reference is to 32 writable bytes, and the store asks for no alignment.
            unsafe { _mm256_storeu_ps(to.as_mut_ptr().cast(), pairs) }
        }
        fn add_pairs(sums: __m256i, a: __m256i, b: __m256i) -> __m256i { _mm256_add_epi32(sums, _mm256_madd_epi16(a, b)) }
    }
}
