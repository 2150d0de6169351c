//! Products of 8-bit numbers: s8 weights with a scale for each column, u8 activations with a scale and a least value
//! for each row.
//!
//! With `a = least + scale_a * qa` and `w = scale_w * qw`, a result is
//! `scale_a * scale_w * sum(qa * qw) + least * scale_w * sum(qw) + bias`: the sums are exact, and the second term
//! needs only the column's sum of weights.

use std::ops::Range;

use super::{RowsMut, Then, activate, end_of, even};
use crate::kernels::aligned::Aligned;
use crate::kernels::quantize::{Quantized, RowFacts};
use crate::kernels::simd::{IntegerKernel, IntegerSet, Integers, Simd, VECTORS};

/// A matrix `[columns][depth]` in s8 (as PyTorch keeps it: a row is an output), with a scale and a bias per column.
pub(crate) struct MatrixS8<'a> {
    /// Two's complement.
    pub(crate) values: &'a [u8],
    pub(crate) scales: &'a [f32],
    pub(crate) bias: &'a [f32],
}

/// Matrices side by side, each beginning with a panel of its own, packed for one instruction set:
/// `[panel][group of k][column][k within the group]`, zeros where there is no weight.
pub(crate) struct PackedS8 {
    set: IntegerSet,
    depth: usize,
    panels: usize,
    numbers: Aligned<i8>,
    /// For each panel the scales of its columns, then their scaled sums of weights, then their biases.
    columns: Aligned<f32>,
}

impl PackedS8 {
    pub(crate) fn new(set: IntegerSet, depth: usize, matrices: &[MatrixS8<'_>]) -> Self {
        let (width, group) = (set.panel_columns(), set.group());
        let panel_numbers = depth.next_multiple_of(group) * width;
        let panels = matrices.iter().map(|matrix| matrix.bias.len().div_ceil(width)).sum();
        let mut numbers = Aligned::<i8>::zeros(panels * panel_numbers);
        let mut columns = Aligned::zeros(panels * 3 * width);
        let mut packed = numbers.as_mut_slice().chunks_exact_mut(panel_numbers.max(1));
        let mut facts = columns.as_mut_slice().chunks_exact_mut(3 * width);
        for matrix in matrices {
            let groups = matrix.values.chunks(width * depth.max(1)).zip(matrix.scales.chunks(width));
            for (((values, scales), bias), (panel, facts)) in
                groups.zip(matrix.bias.chunks(width)).zip(packed.by_ref().zip(facts.by_ref()))
            {
                let (fact_scales, rest) = facts.split_at_mut(width);
                let (fact_sums, fact_bias) = rest.split_at_mut(width);
                let rows = values.chunks_exact(depth.max(1)).zip(scales).zip(bias);
                let facts = fact_scales.iter_mut().zip(fact_sums).zip(fact_bias);
                for (column, (((row, scale), bias), ((fact_scale, fact_sum), fact_bias))) in rows.zip(facts).enumerate()
                {
                    let groups = panel.chunks_exact_mut(group).skip(column).step_by(width);
                    let mut sum = 0_i32;
                    for (group, values) in groups.zip(row.chunks(group)) {
                        for (place, value) in group.iter_mut().zip(values) {
                            *place = value.cast_signed();
                            sum += i32::from(*place);
                        }
                    }
                    (*fact_scale, *fact_sum, *fact_bias) = (*scale, sum as f32 * scale, *bias);
                }
            }
        }
        Self { set, depth, panels, numbers, columns }
    }

    /// What `a` of [`multiply`](Self::multiply) must have been filled for.
    pub(crate) const fn set(&self) -> IntegerSet {
        self.set
    }

    pub(crate) const fn depth(&self) -> usize {
        self.depth
    }

    pub(crate) const fn panels(&self) -> usize {
        self.panels
    }

    /// Columns of the result, the padding of panels included.
    pub(crate) const fn columns(&self) -> usize {
        self.panels * self.set.panel_columns()
    }

    /// The product of the rows of `a` with the columns of `panels`, to the same columns of `out`.
    pub(crate) fn multiply(&self, a: &Quantized, panels: Range<usize>, out: RowsMut<'_, f32>, then: Then) {
        self.set.run(Product { weights: self, a, panels, out, then });
    }
}

struct Product<'a> {
    weights: &'a PackedS8,
    a: &'a Quantized,
    panels: Range<usize>,
    out: RowsMut<'a, f32>,
    then: Then,
}

impl IntegerKernel for Product<'_> {
    #[inline(always)]
    fn run<I: Integers>(self, integers: I) {
        let Self { weights, a, panels, out, then } = self;
        let width = I::Floats::COLUMNS;
        let panel_numbers = weights.depth.next_multiple_of(I::GROUP) * width;
        let stride = a.stride();
        for panel in panels {
            let numbers = weights.numbers.as_slice().get(panel * panel_numbers..(panel + 1) * panel_numbers);
            let columns = weights.columns.as_slice().get(panel * 3 * width..(panel + 1) * 3 * width);
            let (Some(numbers), Some(columns)) = (numbers, columns) else { break };
            let next = weights.numbers.as_slice().get((panel + 1) * panel_numbers..).unwrap_or_default();
            let next = next.get(..panel_numbers).unwrap_or_default();
            // Each of the first tiles fetches a register of the next panel for each step of its own.
            let mut ahead = next.chunks(panel_numbers.div_ceil(VECTORS).max(1));
            let tile_rows = even(a.count(), I::ROWS);
            for first in (0..a.count()).step_by(tile_rows) {
                let count = tile_rows.min(a.count() - first);
                let ahead = ahead.next().unwrap_or_default();
                let rows = Lines {
                    bytes: a.bytes().get(first * stride..).unwrap_or_default(),
                    stride,
                    facts: a.facts().get(first..first + count).unwrap_or_default(),
                };
                let out_numbers = out.numbers.get_mut(first * out.stride + panel * width..).unwrap_or_default();
                if then.adds() {
                    tile::<I, true>(integers, rows, (numbers, columns, ahead), (out_numbers, out.stride));
                } else {
                    tile::<I, false>(integers, rows, (numbers, columns, ahead), (&mut *out_numbers, out.stride));
                    activate(integers.floats(), then, out_numbers, out.stride, count);
                }
            }
        }
    }
}

/// The rows of a tile.
#[derive(Clone, Copy)]
struct Lines<'a> {
    bytes: &'a [u8],
    stride: usize,
    facts: &'a [RowFacts],
}

/// The results of some rows (1 to [`Integers::ROWS`]) and one panel's columns, added to what is there if `ADD`; `ahead`
/// is what will be multiplied later.
#[inline(always)]
fn tile<I: Integers, const ADD: bool>(
    integers: I,
    rows: Lines<'_>,
    (panel, columns, ahead): (&[i8], &[f32], &[i8]),
    (out, out_stride): (&mut [f32], usize),
) {
    macro_rules! by_rows {
        ($($rows:literal)*) => {
            match rows.facts.len() {
                $($rows if $rows <= I::ROWS => {
                    integers.vectorize_integers(Tile::<$rows, ADD> { rows, panel, columns, ahead, out, out_stride });
                })*
                count => debug_assert!(count == 0, "a tile has no more rows than the instruction set allows"),
            }
        };
    }
    by_rows!(1 2 3 4 5 6 7 8 9 10 11 12);
}

struct Tile<'a, const ROWS: usize, const ADD: bool> {
    rows: Lines<'a>,
    panel: &'a [i8],
    /// Scales, scaled sums of weights, biases.
    columns: &'a [f32],
    ahead: &'a [i8],
    out: &'a mut [f32],
    out_stride: usize,
}

impl<const ROWS: usize, const ADD: bool> IntegerKernel for Tile<'_, ROWS, ADD> {
    #[inline(always)]
    #[expect(unsafe_code, reason = "a check of each index would cost as much as the arithmetic")]
    fn run<I: Integers>(self, integers: I) {
        let Self { rows: Lines { bytes, stride, facts }, out, out_stride, .. } = self;
        let panel = I::split(self.panel).as_chunks::<VECTORS>().0;
        let depth = panel.len();
        let (words, stride) = (bytes.as_chunks().0, stride / 4);
        // Once for all rows: as many checks as rows would take a twentieth of the time.
        assert!(words.len() >= end_of(ROWS, stride, depth), "a tile's rows lie within the activations");
        assert!(out.len() >= end_of(ROWS, out_stride, I::Floats::COLUMNS), "a tile's results lie within the result");
        let Some(facts) = facts.first_chunk::<ROWS>() else { return };
        let ahead = I::split(self.ahead);
        for row in 0..ROWS {
            let start = row * out_stride;
            // SAFETY: `row < ROWS`, of which the last one's end was asserted to be there.
            let out = unsafe { out.get_unchecked(start..start + I::Floats::COLUMNS) };
            // A store waits for its line as a load does, and there is room for few that wait.
            I::Floats::split(out).0.iter().for_each(|out| integers.floats().prefetch(out));
        }
        let mut sums = [[integers.zero(); VECTORS]; ROWS];
        for (k, [left, right]) in panel.iter().enumerate() {
            let (left, right) = (integers.load(left), integers.load(right));
            if let Some(ahead) = ahead.get(k) {
                integers.prefetch(ahead);
            }
            for (row, [sum_left, sum_right]) in sums.iter_mut().enumerate() {
                // SAFETY: `row < ROWS` and `k < panel.len() == depth`, of which the largest place was asserted to be there.
                let a = integers.splat(unsafe { *words.get_unchecked(row * stride + k) });
                *sum_left = integers.add_products(*sum_left, a, left);
                *sum_right = integers.add_products(*sum_right, a, right);
            }
        }
        let simd = integers.floats();
        let load = |array| simd.load(array);
        let [scales, column_sums, biases] = I::Floats::split(self.columns).0.as_chunks::<VECTORS>().0 else { return };
        let (scales, column_sums, biases) =
            (scales.each_ref().map(load), column_sums.each_ref().map(load), biases.each_ref().map(load));
        let mut values = [[simd.splat(0.0); VECTORS]; ROWS];
        for ((values, sums), facts) in values.iter_mut().zip(sums).zip(facts) {
            let (scale, least) = (simd.splat(facts.scale), simd.splat(facts.least));
            let columns = scales.into_iter().zip(column_sums).zip(biases);
            for ((value, sum), ((column_scale, column_sum), bias)) in values.iter_mut().zip(sums).zip(columns) {
                let shift = simd.mul_add(least, column_sum, bias);
                *value = simd.mul_add(integers.to_floats(sum), simd.mul(scale, column_scale), shift);
            }
        }
        // A loop of its own: with both in one the compiler no longer unrolls it, and keeps all sums in memory.
        for (row, values) in values.into_iter().enumerate() {
            let start = row * out_stride;
            // SAFETY: `row < ROWS`, of which the last one's end was asserted to be there.
            let out = unsafe { out.get_unchecked_mut(start..start + I::Floats::COLUMNS) };
            for (value, out) in values.into_iter().zip(I::Floats::split_mut(out).0) {
                simd.store(if ADD { simd.add(simd.load(out), value) } else { value }, out);
            }
        }
    }
}
