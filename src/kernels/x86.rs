//! Kernels for x86-64: AVX-512, and AVX2 with FMA and F16C.
//!
//! [`Avx512`] and [`Avx2`] are proofs: only `detect` makes one, on a machine that has the instructions, so the one
//! condition that their kernels need holds wherever a value of the type exists.

use std::arch::x86_64::{
    __m256, __m512, _MM_HINT_T1, _mm_add_ps, _mm_add_ss, _mm_cvtss_f32, _mm_loadu_si128, _mm_movehdup_ps,
    _mm_movehl_ps, _mm_prefetch, _mm256_add_ps, _mm256_castps256_ps128, _mm256_cvtph_ps, _mm256_extractf128_ps,
    _mm256_fmadd_ps, _mm256_loadu_ps, _mm256_loadu_si256, _mm256_setzero_ps, _mm512_cvtph_ps, _mm512_fmadd_ps,
    _mm512_loadu_ps, _mm512_reduce_add_ps, _mm512_setzero_ps,
};

use half::f16;

/// This machine has AVX-512F.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Avx512(());

/// This machine has AVX2, FMA and F16C.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Avx2(());

/// How far behind what is multiplied lies what is fetched meanwhile: in numbers that lie one after another (12 KiB; half of
/// it was slower), and in fours of scattered rows.
const AHEAD: usize = 6144;
const FOURS_AHEAD: usize = 4;

/// Independent sums: a fused multiply-add takes four cycles and two start in each, so one sum alone would wait.
const SUMS: usize = 4;

impl Avx512 {
    pub(super) fn detect() -> Option<Self> {
        is_x86_feature_detected!("avx512f").then_some(Self(()))
    }

    #[expect(unsafe_code, reason = "calls a kernel of its instruction set")]
    pub(super) fn dots_f16(self, query: &[f32], rows: &[f16], dots: &mut [f32]) {
        // SAFETY: `self` proves that the machine has AVX-512F.
        unsafe { dots_f16_avx512(query, rows, dots) }
    }

    #[expect(unsafe_code, reason = "calls a kernel of its instruction set")]
    pub(super) fn scattered_dots_f16(self, query: &[f32], rows: &[&[f16]], dots: &mut [f32]) {
        // SAFETY: `self` proves that the machine has AVX-512F.
        unsafe { scattered_dots_f16_avx512(query, rows, dots) }
    }
}

impl Avx2 {
    pub(super) fn detect() -> Option<Self> {
        let all =
            is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") && is_x86_feature_detected!("f16c");
        all.then_some(Self(()))
    }

    #[expect(unsafe_code, reason = "calls a kernel of its instruction set")]
    pub(super) fn dots_f16(self, query: &[f32], rows: &[f16], dots: &mut [f32]) {
        // SAFETY: `self` proves that the machine has AVX2, FMA and F16C.
        unsafe { dots_f16_avx2(query, rows, dots) }
    }
}

#[target_feature(enable = "avx512f")]
fn dots_f16_avx512(query: &[f32], rows: &[f16], dots: &mut [f32]) {
    let width = query.len().max(1);
    let (fours, ones) = dots.as_chunks_mut::<4>();
    let (of_fours, of_ones) = rows.split_at_checked(fours.len() * 4 * width).unwrap_or_default();
    for (rows, dots) in of_fours.chunks_exact(4 * width).zip(fours) {
        let mut each = rows.chunks_exact(width);
        if let (Some(a), Some(b), Some(c), Some(d)) = (each.next(), each.next(), each.next(), each.next()) {
            let rows = [a, b, c, d];
            *dots = four_dots_f16_avx512(query, rows, rows.map(|row| row.as_ptr().wrapping_add(AHEAD)));
        }
    }
    for (row, dot) in of_ones.chunks_exact(width).zip(ones) {
        *dot = dot_f16_avx512(query, row);
    }
}

#[target_feature(enable = "avx512f")]
fn scattered_dots_f16_avx512(query: &[f32], rows: &[&[f16]], dots: &mut [f32]) {
    let (fours, ones) = dots.as_chunks_mut::<4>();
    let (of_fours, of_ones) = rows.as_chunks::<4>();
    for (at, (rows, dots)) in of_fours.iter().zip(fours).enumerate() {
        let ahead = of_fours.get(at + FOURS_AHEAD).unwrap_or(rows);
        *dots = four_dots_f16_avx512(query, *rows, ahead.map(<[f16]>::as_ptr));
    }
    for (row, dot) in of_ones.iter().zip(ones) {
        *dot = dot_f16_avx512(query, row);
    }
}

/// Four rows at once: the query is loaded once for them, and their sums do not wait for each other. Meanwhile the memory
/// at the addresses `ahead` is fetched, to be multiplied later: what the machine foresees by itself ends with a page.
#[inline]
#[target_feature(enable = "avx512f")]
fn four_dots_f16_avx512(query: &[f32], rows: [&[f16]; 4], ahead: [*const f16; 4]) -> [f32; 4] {
    let (query, query_rest) = query.as_chunks::<16>();
    let [(a, a_rest), (b, b_rest), (c, c_rest), (d, d_rest)] = rows.map(|row| row.as_chunks::<16>());
    let [a_ahead, b_ahead, c_ahead, d_ahead] = ahead;
    let mut sums = [_mm512_setzero_ps(); 4];
    for (step, ((((query, a), b), c), d)) in query.iter().zip(a).zip(b).zip(c).zip(d).enumerate() {
        // A cache line is two steps long: two of the four rows' lines in each.
        let (one, other) = if step % 2 == 0 { (a_ahead, b_ahead) } else { (c_ahead, d_ahead) };
        for row in [one, other] {
            // Nothing is read, wherever the address leads. As far as L2: straight to L1 took 1.8 times as long on Zen 4.
            _mm_prefetch::<_MM_HINT_T1>(row.wrapping_add(step / 2 * 32).cast());
        }
        let query = load_f32x16(query);
        for (sum, row) in sums.iter_mut().zip([a, b, c, d]) {
            *sum = _mm512_fmadd_ps(query, load_f16x16(row), *sum);
        }
    }
    if !query_rest.is_empty() {
        let query = load_f32x16(&padded(query_rest));
        for (sum, row) in sums.iter_mut().zip([a_rest, b_rest, c_rest, d_rest]) {
            *sum = _mm512_fmadd_ps(query, load_f16x16(&padded(row)), *sum);
        }
    }
    let [a, b, c, d] = sums;
    [_mm512_reduce_add_ps(a), _mm512_reduce_add_ps(b), _mm512_reduce_add_ps(c), _mm512_reduce_add_ps(d)]
}

/// One row, added up as each of four is.
#[inline]
#[target_feature(enable = "avx512f")]
fn dot_f16_avx512(query: &[f32], row: &[f16]) -> f32 {
    let (query, query_rest) = query.as_chunks::<16>();
    let (row, row_rest) = row.as_chunks::<16>();
    let mut sum = _mm512_setzero_ps();
    for (query, row) in query.iter().zip(row) {
        sum = _mm512_fmadd_ps(load_f32x16(query), load_f16x16(row), sum);
    }
    if !query_rest.is_empty() {
        sum = _mm512_fmadd_ps(load_f32x16(&padded(query_rest)), load_f16x16(&padded(row_rest)), sum);
    }
    _mm512_reduce_add_ps(sum)
}

#[target_feature(enable = "avx2,fma,f16c")]
fn dots_f16_avx2(query: &[f32], rows: &[f16], dots: &mut [f32]) {
    for (row, dot) in rows.chunks_exact(query.len().max(1)).zip(dots) {
        *dot = dot_f16_avx2(query, row);
    }
}

#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn dot_f16_avx2(query: &[f32], row: &[f16]) -> f32 {
    let (query, query_rest) = query.as_chunks::<8>();
    let (row, row_rest) = row.as_chunks::<8>();
    let (query_fours, query_ones) = query.as_chunks::<SUMS>();
    let (row_fours, row_ones) = row.as_chunks::<SUMS>();
    let mut sums = [_mm256_setzero_ps(); SUMS];
    for (query, row) in query_fours.iter().zip(row_fours) {
        for ((sum, query), row) in sums.iter_mut().zip(query).zip(row) {
            *sum = _mm256_fmadd_ps(load_f32x8(query), load_f16x8(row), *sum);
        }
    }
    let [mut a, b, c, d] = sums;
    for (query, row) in query_ones.iter().zip(row_ones) {
        a = _mm256_fmadd_ps(load_f32x8(query), load_f16x8(row), a);
    }
    if !query_rest.is_empty() {
        a = _mm256_fmadd_ps(load_f32x8(&padded(query_rest)), load_f16x8(&padded(row_rest)), a);
    }
    let eight = _mm256_add_ps(_mm256_add_ps(a, b), _mm256_add_ps(c, d));
    let four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps::<1>(eight));
    let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)))
}

/// What is left after the whole registers, filled up with zeros, which add nothing.
fn padded<T: Copy + Default, const N: usize>(rest: &[T]) -> [T; N] {
    let mut filled = [T::default(); N];
    for (place, &value) in filled.iter_mut().zip(rest) {
        *place = value;
    }
    filled
}

#[inline]
#[target_feature(enable = "avx512f")]
#[expect(unsafe_code, reason = "a load through a pointer")]
fn load_f32x16(values: &[f32; 16]) -> __m512 {
    // SAFETY: the reference is to 64 readable bytes, and the load asks for no alignment.
    unsafe { _mm512_loadu_ps(values.as_ptr()) }
}

#[inline]
#[target_feature(enable = "avx512f")]
#[expect(unsafe_code, reason = "a load through a pointer")]
fn load_f16x16(values: &[f16; 16]) -> __m512 {
    // SAFETY: the reference is to 32 readable bytes (`f16` is a `u16` inside), and the load asks for no alignment.
    _mm512_cvtph_ps(unsafe { _mm256_loadu_si256(values.as_ptr().cast()) })
}

#[inline]
#[target_feature(enable = "avx2")]
#[expect(unsafe_code, reason = "a load through a pointer")]
fn load_f32x8(values: &[f32; 8]) -> __m256 {
    // SAFETY: the reference is to 32 readable bytes, and the load asks for no alignment.
    unsafe { _mm256_loadu_ps(values.as_ptr()) }
}

#[inline]
#[target_feature(enable = "avx2,f16c")]
#[expect(unsafe_code, reason = "a load through a pointer")]
fn load_f16x8(values: &[f16; 8]) -> __m256 {
    // SAFETY: the reference is to 16 readable bytes (`f16` is a `u16` inside), and the load asks for no alignment.
    _mm256_cvtph_ps(unsafe { _mm_loadu_si128(values.as_ptr().cast()) })
}
