//! The innermost loop in `f32`: some rows times one panel, every sum in a register.

use super::end_of;
use crate::kernels::simd::{Kernel, Simd, VECTORS};

/// `out[r][c] = sum over k of a[r][k] * panel[k][c] + bias[c]` for `count` rows (1 to [`Simd::ROWS`]) and a panel's
/// columns; added to what is there if `ADD`.
///
/// Rows are `stride` apart in `a` and `out_stride` in `out`; an empty bias is none; `ahead` is what
/// will be multiplied later.
#[inline(always)]
pub(in crate::kernels) fn tile<S: Simd, const ADD: bool>(
    simd: S,
    count: usize,
    (a, stride): (&[f32], usize),
    (panel, bias, ahead): (&[f32], &[f32], &[f32]),
    (out, out_stride): (&mut [f32], usize),
) {
    macro_rules! by_rows {
        ($($rows:literal)*) => {
            match count {
                $($rows if $rows <= S::ROWS => {
                    simd.vectorize(Tile::<$rows, ADD> { a, stride, panel, bias, ahead, out, out_stride });
                })*
                _ => unreachable_count(count),
            }
        };
    }
    by_rows!(1 2 3 4 5 6 7 8 9 10 11 12);
}

#[cold]
fn unreachable_count(count: usize) {
    debug_assert!(count == 0, "a tile has no more rows than the instruction set allows, got {count}");
}

struct Tile<'a, const ROWS: usize, const ADD: bool> {
    a: &'a [f32],
    stride: usize,
    panel: &'a [f32],
    bias: &'a [f32],
    ahead: &'a [f32],
    out: &'a mut [f32],
    out_stride: usize,
}

impl<const ROWS: usize, const ADD: bool> Kernel for Tile<'_, ROWS, ADD> {
    #[inline(always)]
    #[expect(unsafe_code, reason = "a check of each index would cost as much as the arithmetic")]
    fn run<S: Simd>(self, simd: S) {
        let Self { a, stride, out, out_stride, .. } = self;
        let panel = S::split(self.panel).0.as_chunks::<VECTORS>().0;
        let depth = panel.len();
        // Once for all rows: as many checks as rows would take a twentieth of the time.
        assert!(a.len() >= end_of(ROWS, stride, depth), "a tile's rows lie within the activations");
        assert!(out.len() >= end_of(ROWS, out_stride, S::COLUMNS), "a tile's results lie within the result");
        let ahead = S::split(self.ahead).0;
        let mut sums = [[simd.splat(0.0); VECTORS]; ROWS];
        for (k, [left, right]) in panel.iter().enumerate() {
            let (left, right) = (simd.load(left), simd.load(right));
            if let Some(ahead) = ahead.get(k) {
                simd.prefetch(ahead);
            }
            for (row, [sum_left, sum_right]) in sums.iter_mut().enumerate() {
                // SAFETY: `row < ROWS` and `k < panel.len() == depth`, of which the largest place was asserted to be there.
                let a = simd.splat(unsafe { *a.get_unchecked(row * stride + k) });
                *sum_left = simd.mul_add(a, left, *sum_left);
                *sum_right = simd.mul_add(a, right, *sum_right);
            }
        }
        let mut biases = [simd.splat(0.0); VECTORS];
        for (lanes, bias) in biases.iter_mut().zip(S::split(self.bias).0) {
            *lanes = simd.load(bias);
        }
        for (row, sums) in sums.into_iter().enumerate() {
            let start = row * out_stride;
            // SAFETY: `row < ROWS`, of which the last one's end was asserted to be there.
            let out = unsafe { out.get_unchecked_mut(start..start + S::COLUMNS) };
            for ((sum, bias), out) in sums.into_iter().zip(biases).zip(S::split_mut(out).0) {
                let sum = simd.add(sum, bias);
                simd.store(if ADD { simd.add(simd.load(out), sum) } else { sum }, out);
            }
        }
    }
}
