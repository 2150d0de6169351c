//! AVX-512 (sixteen lanes) and AVX2 with FMA (eight) behind [`Simd`].

use std::arch::x86_64::{
    __m256, __m512, _MM_HINT_T0, _MM_HINT_T1, _mm_add_ps, _mm_add_ss, _mm_cvtss_f32, _mm_loadu_si128, _mm_max_ps,
    _mm_max_ss, _mm_min_ps, _mm_min_ss, _mm_movehdup_ps, _mm_movehl_ps, _mm_packs_epi32, _mm_packus_epi16,
    _mm_prefetch, _mm_storel_epi64, _mm_storeu_si128, _mm256_add_epi32, _mm256_add_ps, _mm256_andnot_ps,
    _mm256_castps_si256, _mm256_castps256_ps128, _mm256_castsi256_ps, _mm256_castsi256_si128, _mm256_cvtph_ps,
    _mm256_cvtps_epi32, _mm256_div_ps, _mm256_extractf128_ps, _mm256_extracti128_si256, _mm256_fmadd_ps,
    _mm256_loadu_ps, _mm256_loadu_si256, _mm256_max_ps, _mm256_min_ps, _mm256_mul_ps, _mm256_permute2f128_ps,
    _mm256_set1_epi32, _mm256_set1_ps, _mm256_setzero_ps, _mm256_shuffle_ps, _mm256_slli_epi32, _mm256_storeu_ps,
    _mm256_sub_ps, _mm256_unpackhi_ps, _mm256_unpacklo_ps, _mm512_abs_ps, _mm512_add_epi32, _mm512_add_ps,
    _mm512_castps_si512, _mm512_castsi512_ps, _mm512_cvtph_ps, _mm512_cvtps_epi32, _mm512_cvtusepi32_epi8,
    _mm512_div_ps, _mm512_fmadd_ps, _mm512_loadu_ps, _mm512_max_ps, _mm512_min_ps, _mm512_mul_ps, _mm512_reduce_add_ps,
    _mm512_reduce_max_ps, _mm512_reduce_min_ps, _mm512_set1_epi32, _mm512_set1_ps, _mm512_setzero_ps,
    _mm512_shuffle_f32x4, _mm512_shuffle_ps, _mm512_slli_epi32, _mm512_storeu_ps, _mm512_sub_ps, _mm512_unpackhi_ps,
    _mm512_unpacklo_ps,
};

use half::f16;

use super::super::x86::{Avx2, Avx512};
use super::{Kernel, Simd};

/// Methods of [`Simd`] whose bodies need nothing but the instruction set.
macro_rules! methods {
    ($features:literal: $(fn $name:ident($($arg:ident: $kind:ty),*) $(-> $out:ty)? $body:block)*) => {$(
        #[inline(always)]
        #[expect(unsafe_code, reason = "calls a function of its instruction set")]
        fn $name(self, $($arg: $kind),*) $(-> $out)? {
            #[inline]
            #[target_feature(enable = $features)]
            fn body($($arg: $kind),*) $(-> $out)? $body
            // SAFETY: a value of this type proves that the machine has these features.
            unsafe { body($($arg),*) }
        }
    )*};
}

/// The rest of the trait, which only differs in the number of lanes.
macro_rules! slices {
    ($lanes:literal) => {
        type Array = [f32; $lanes];
        type Halves = [f16; $lanes];
        type Bytes = [u8; $lanes];

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
    };
}

impl Simd for Avx512 {
    const LANES: usize = 16;
    const ROWS: usize = 12;

    type Floats = __m512;
    type Square = [__m512; 16];
    slices!(16);

    methods! { "avx512f":
        fn load(from: &[f32; 16]) -> __m512 {
            // SAFETY: the reference is to 64 readable bytes, and the load asks for no alignment.
            unsafe { _mm512_loadu_ps(from.as_ptr()) }
        }
        fn load_halves(from: &[f16; 16]) -> __m512 {
            // SAFETY: the reference is to 32 readable bytes (`f16` is a `u16` inside), and the load asks for no alignment.
            _mm512_cvtph_ps(unsafe { _mm256_loadu_si256(from.as_ptr().cast()) })
        }
        fn prefetch_l2(from: *const f16) {
            _mm_prefetch::<_MM_HINT_T1>(from.cast());
        }
        fn prefetch(from: &[f32; 16]) {
            _mm_prefetch::<_MM_HINT_T0>(from.as_ptr().cast());
        }
        fn store(value: __m512, to: &mut [f32; 16]) {
            // SAFETY: the reference is to 64 writable bytes, and the store asks for no alignment.
            unsafe { _mm512_storeu_ps(to.as_mut_ptr(), value) }
        }
        fn splat(value: f32) -> __m512 { _mm512_set1_ps(value) }
        fn add(a: __m512, b: __m512) -> __m512 { _mm512_add_ps(a, b) }
        fn sub(a: __m512, b: __m512) -> __m512 { _mm512_sub_ps(a, b) }
        fn mul(a: __m512, b: __m512) -> __m512 { _mm512_mul_ps(a, b) }
        fn div(a: __m512, b: __m512) -> __m512 { _mm512_div_ps(a, b) }
        fn mul_add(a: __m512, b: __m512, c: __m512) -> __m512 { _mm512_fmadd_ps(a, b, c) }
        fn min(a: __m512, b: __m512) -> __m512 { _mm512_min_ps(a, b) }
        fn max(a: __m512, b: __m512) -> __m512 { _mm512_max_ps(a, b) }
        fn abs(a: __m512) -> __m512 { _mm512_abs_ps(a) }
        fn power_of_low_bits(a: __m512) -> __m512 {
            let exponent = _mm512_slli_epi32::<23>(_mm512_castps_si512(a));
            _mm512_castsi512_ps(_mm512_add_epi32(exponent, _mm512_set1_epi32(127 << 23)))
        }
        fn square() -> [__m512; 16] { [_mm512_setzero_ps(); 16] }
        fn transpose(rows: [__m512; 16]) -> [__m512; 16] { transpose_16(rows) }
        fn sum(a: __m512) -> f32 { _mm512_reduce_add_ps(a) }
        fn smallest(a: __m512) -> f32 { _mm512_reduce_min_ps(a) }
        fn largest(a: __m512) -> f32 { _mm512_reduce_max_ps(a) }
        fn store_bytes(a: __m512, to: &mut [u8; 16]) {
            let bytes = _mm512_cvtusepi32_epi8(_mm512_cvtps_epi32(a));
            // SAFETY: the reference is to 16 writable bytes, and the store asks for no alignment.
            unsafe { _mm_storeu_si128(to.as_mut_ptr().cast(), bytes) }
        }
    }

    #[inline(always)]
    #[expect(unsafe_code, reason = "calls a function of its instruction set")]
    fn vectorize<K: Kernel>(self, kernel: K) {
        #[inline(never)]
        #[target_feature(enable = "avx512f")]
        fn run<K: Kernel>(simd: Avx512, kernel: K) {
            kernel.run(simd);
        }
        // SAFETY: `self` proves that the machine has AVX-512F.
        unsafe { run(self, kernel) }
    }
}

impl Simd for Avx2 {
    const LANES: usize = 8;
    const ROWS: usize = 6;

    type Floats = __m256;
    type Square = [__m256; 8];
    slices!(8);

    methods! { "avx2,fma,f16c":
        fn load(from: &[f32; 8]) -> __m256 {
            // SAFETY: the reference is to 32 readable bytes, and the load asks for no alignment.
            unsafe { _mm256_loadu_ps(from.as_ptr()) }
        }
        fn load_halves(from: &[f16; 8]) -> __m256 {
            // SAFETY: the reference is to 16 readable bytes (`f16` is a `u16` inside), and the load asks for no alignment.
            _mm256_cvtph_ps(unsafe { _mm_loadu_si128(from.as_ptr().cast()) })
        }
        fn prefetch_l2(from: *const f16) {
            _mm_prefetch::<_MM_HINT_T1>(from.cast());
        }
        fn prefetch(from: &[f32; 8]) {
            _mm_prefetch::<_MM_HINT_T0>(from.as_ptr().cast());
        }
        fn store(value: __m256, to: &mut [f32; 8]) {
            // SAFETY: the reference is to 32 writable bytes, and the store asks for no alignment.
            unsafe { _mm256_storeu_ps(to.as_mut_ptr(), value) }
        }
        fn splat(value: f32) -> __m256 { _mm256_set1_ps(value) }
        fn add(a: __m256, b: __m256) -> __m256 { _mm256_add_ps(a, b) }
        fn sub(a: __m256, b: __m256) -> __m256 { _mm256_sub_ps(a, b) }
        fn mul(a: __m256, b: __m256) -> __m256 { _mm256_mul_ps(a, b) }
        fn div(a: __m256, b: __m256) -> __m256 { _mm256_div_ps(a, b) }
        fn mul_add(a: __m256, b: __m256, c: __m256) -> __m256 { _mm256_fmadd_ps(a, b, c) }
        fn min(a: __m256, b: __m256) -> __m256 { _mm256_min_ps(a, b) }
        fn max(a: __m256, b: __m256) -> __m256 { _mm256_max_ps(a, b) }
        fn abs(a: __m256) -> __m256 { _mm256_andnot_ps(_mm256_set1_ps(-0.0), a) }
        fn power_of_low_bits(a: __m256) -> __m256 {
            let exponent = _mm256_slli_epi32::<23>(_mm256_castps_si256(a));
            _mm256_castsi256_ps(_mm256_add_epi32(exponent, _mm256_set1_epi32(127 << 23)))
        }
        fn square() -> [__m256; 8] { [_mm256_setzero_ps(); 8] }
        fn transpose(rows: [__m256; 8]) -> [__m256; 8] { transpose_8(rows) }
        fn sum(a: __m256) -> f32 {
            let four = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps::<1>(a));
            let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
            _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)))
        }
        fn smallest(a: __m256) -> f32 {
            let four = _mm_min_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps::<1>(a));
            let two = _mm_min_ps(four, _mm_movehl_ps(four, four));
            _mm_cvtss_f32(_mm_min_ss(two, _mm_movehdup_ps(two)))
        }
        fn largest(a: __m256) -> f32 {
            let four = _mm_max_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps::<1>(a));
            let two = _mm_max_ps(four, _mm_movehl_ps(four, four));
            _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)))
        }
        fn store_bytes(a: __m256, to: &mut [u8; 8]) {
            let eight = _mm256_cvtps_epi32(a);
            let words = _mm_packs_epi32(_mm256_castsi256_si128(eight), _mm256_extracti128_si256::<1>(eight));
            let bytes = _mm_packus_epi16(words, words);
            // SAFETY: the reference is to the 8 bytes that are written, and the store asks for no alignment.
            unsafe { _mm_storel_epi64(to.as_mut_ptr().cast(), bytes) }
        }
    }

    #[inline(always)]
    #[expect(unsafe_code, reason = "calls a function of its instruction set")]
    fn vectorize<K: Kernel>(self, kernel: K) {
        #[inline(never)]
        #[target_feature(enable = "avx2,fma,f16c")]
        fn run<K: Kernel>(simd: Avx2, kernel: K) {
            kernel.run(simd);
        }
        // SAFETY: `self` proves that the machine has AVX2, FMA and F16C.
        unsafe { run(self, kernel) }
    }
}

/// Four numbers of each of four rows, in every 128 bits: rows to columns.
#[inline]
#[target_feature(enable = "avx512f")]
fn transpose_fours_512([a, b, c, d]: [__m512; 4]) -> [__m512; 4] {
    let (ab_low, ab_high) = (_mm512_unpacklo_ps(a, b), _mm512_unpackhi_ps(a, b));
    let (cd_low, cd_high) = (_mm512_unpacklo_ps(c, d), _mm512_unpackhi_ps(c, d));
    [
        _mm512_shuffle_ps::<0x44>(ab_low, cd_low),
        _mm512_shuffle_ps::<0xee>(ab_low, cd_low),
        _mm512_shuffle_ps::<0x44>(ab_high, cd_high),
        _mm512_shuffle_ps::<0xee>(ab_high, cd_high),
    ]
}

/// The same of 128 bits at a time.
#[inline]
#[target_feature(enable = "avx512f")]
fn transpose_quarters([a, b, c, d]: [__m512; 4]) -> [__m512; 4] {
    let (ab_low, ab_high) = (_mm512_shuffle_f32x4::<0x44>(a, b), _mm512_shuffle_f32x4::<0xee>(a, b));
    let (cd_low, cd_high) = (_mm512_shuffle_f32x4::<0x44>(c, d), _mm512_shuffle_f32x4::<0xee>(c, d));
    [
        _mm512_shuffle_f32x4::<0x88>(ab_low, cd_low),
        _mm512_shuffle_f32x4::<0xdd>(ab_low, cd_low),
        _mm512_shuffle_f32x4::<0x88>(ab_high, cd_high),
        _mm512_shuffle_f32x4::<0xdd>(ab_high, cd_high),
    ]
}

#[inline]
#[target_feature(enable = "avx512f")]
fn transpose_16([a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p]: [__m512; 16]) -> [__m512; 16] {
    let [a, b, c, d] = transpose_fours_512([a, b, c, d]);
    let [e, f, g, h] = transpose_fours_512([e, f, g, h]);
    let [i, j, k, l] = transpose_fours_512([i, j, k, l]);
    let [m, n, o, p] = transpose_fours_512([m, n, o, p]);
    let [a, e, i, m] = transpose_quarters([a, e, i, m]);
    let [b, f, j, n] = transpose_quarters([b, f, j, n]);
    let [c, g, k, o] = transpose_quarters([c, g, k, o]);
    let [d, h, l, p] = transpose_quarters([d, h, l, p]);
    [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p]
}

#[inline]
#[target_feature(enable = "avx2")]
fn transpose_fours_256([a, b, c, d]: [__m256; 4]) -> [__m256; 4] {
    let (ab_low, ab_high) = (_mm256_unpacklo_ps(a, b), _mm256_unpackhi_ps(a, b));
    let (cd_low, cd_high) = (_mm256_unpacklo_ps(c, d), _mm256_unpackhi_ps(c, d));
    [
        _mm256_shuffle_ps::<0x44>(ab_low, cd_low),
        _mm256_shuffle_ps::<0xee>(ab_low, cd_low),
        _mm256_shuffle_ps::<0x44>(ab_high, cd_high),
        _mm256_shuffle_ps::<0xee>(ab_high, cd_high),
    ]
}

#[inline]
#[target_feature(enable = "avx2")]
fn transpose_8([a, b, c, d, e, f, g, h]: [__m256; 8]) -> [__m256; 8] {
    let [a, b, c, d] = transpose_fours_256([a, b, c, d]);
    let [e, f, g, h] = transpose_fours_256([e, f, g, h]);
    [
        _mm256_permute2f128_ps::<0x20>(a, e),
        _mm256_permute2f128_ps::<0x20>(b, f),
        _mm256_permute2f128_ps::<0x20>(c, g),
        _mm256_permute2f128_ps::<0x20>(d, h),
        _mm256_permute2f128_ps::<0x31>(a, e),
        _mm256_permute2f128_ps::<0x31>(b, f),
        _mm256_permute2f128_ps::<0x31>(c, g),
        _mm256_permute2f128_ps::<0x31>(d, h),
    ]
}
