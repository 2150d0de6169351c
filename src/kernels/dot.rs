//! Inner products of a query with stored embeddings, as fast as memory gives them.

use half::f16;

use super::InstructionSet;
use super::scalar::widen;
use super::simd::{Kernel, Simd, fill};

/// Independent sums: a fused multiply-add takes four cycles and two start in each, so one sum alone would wait.
const SUMS: usize = 4;

/// Numbers in a cache line.
const LINE: usize = 32;

/// How far behind what is multiplied lies what is fetched meanwhile: in numbers that lie one after another, and in rows
/// that are scattered.
const AHEAD: usize = 6144;
const ROWS_AHEAD: usize = 16;

impl InstructionSet {
    pub(super) fn dots_f16(self, query: &[f32], rows: &[f16], dots: &mut [f32]) {
        if self == Self::Portable {
            for (row, place) in rows.chunks_exact(query.len().max(1)).zip(dots) {
                *place = portable_dot(query, row);
            }
        } else {
            self.run(Dots { query, rows, dots });
        }
    }

    pub(super) fn scattered_dots_f16(self, query: &[f32], rows: &[&[f16]], dots: &mut [f32]) {
        if self == Self::Portable {
            for (row, place) in rows.iter().zip(dots) {
                *place = portable_dot(query, row);
            }
        } else {
            self.run(ScatteredDots { query, rows, dots });
        }
    }

    /// One row alone.
    #[cfg(test)]
    pub(super) fn dot_f16(self, query: &[f32], row: &[f16]) -> f32 {
        let mut dots = [0.0];
        self.dots_f16(query, row, &mut dots);
        dots[0]
    }
}

struct Dots<'a> {
    query: &'a [f32],
    rows: &'a [f16],
    dots: &'a mut [f32],
}

impl Kernel for Dots<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        for (row, place) in self.rows.chunks_exact(self.query.len().max(1)).zip(self.dots) {
            *place = dot(simd, self.query, row, row.as_ptr().wrapping_add(AHEAD));
        }
    }
}

struct ScatteredDots<'a> {
    query: &'a [f32],
    rows: &'a [&'a [f16]],
    dots: &'a mut [f32],
}

impl Kernel for ScatteredDots<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        for (at, (row, place)) in self.rows.iter().zip(self.dots).enumerate() {
            let ahead = self.rows.get(at + ROWS_AHEAD).unwrap_or(row);
            *place = dot(simd, self.query, row, ahead.as_ptr());
        }
    }
}

/// One row, from its beginning to its end: several at once would be as many streams, which the machine does not foresee.
/// Meanwhile as much memory at the address `ahead` is fetched, because what it does foresee ends with a page.
#[inline(always)]
fn dot<S: Simd>(simd: S, query: &[f32], row: &[f16], ahead: *const f16) -> f32 {
    let ((query, query_rest), (row, row_rest)) = (S::split(query), S::split_halves(row));
    let ((query_fours, query_ones), (row_fours, row_ones)) = (query.as_chunks::<SUMS>(), row.as_chunks::<SUMS>());
    let mut sums = [simd.splat(0.0); SUMS];
    for (step, (query, row)) in query_fours.iter().zip(row_fours).enumerate() {
        let step = SUMS * S::LANES * step;
        for line in (step..step + SUMS * S::LANES).step_by(LINE) {
            simd.prefetch_l2(ahead.wrapping_add(line));
        }
        for ((sum, query), row) in sums.iter_mut().zip(query).zip(row) {
            *sum = simd.mul_add(simd.load(query), simd.load_halves(row), *sum);
        }
    }
    let [mut a, b, c, d] = sums;
    for (query, row) in query_ones.iter().zip(row_ones) {
        a = simd.mul_add(simd.load(query), simd.load_halves(row), a);
    }
    if !query_rest.is_empty() {
        let mut row = S::Halves::default();
        row.as_mut().iter_mut().zip(row_rest).for_each(|(place, value)| *place = *value);
        a = simd.mul_add(fill(simd, query_rest, 0.0), simd.load_halves(&row), a);
    }
    simd.sum(simd.add(simd.add(a, b), simd.add(c, d)))
}

/// In a form that the compiler vectorizes by itself: four lanes at a time, as the kernel above has them without vector
/// instructions, take half as long again.
fn portable_dot(query: &[f32], row: &[f16]) -> f32 {
    const LANES: usize = 8;
    let (query_lanes, query_rest) = query.as_chunks::<LANES>();
    let (row_lanes, row_rest) = row.as_chunks::<LANES>();
    let mut sums = [0.0_f32; LANES];
    for (query, row) in query_lanes.iter().zip(row_lanes) {
        for ((sum, &q), &v) in sums.iter_mut().zip(query).zip(row) {
            *sum += q * widen(v);
        }
    }
    let rest: f32 = query_rest.iter().zip(row_rest).map(|(&q, &v)| q * widen(v)).sum();
    sums.iter().sum::<f32>() + rest
}
