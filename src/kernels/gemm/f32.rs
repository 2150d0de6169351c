//! Products in `f32`.

use std::ops::Range;

use super::{Rows, RowsMut, Then, activate, even, tile};
use crate::kernels::InstructionSet;
use crate::kernels::aligned::Aligned;
use crate::kernels::simd::{Kernel, Simd, VECTORS};

/// Matrices side by side, each beginning with a panel of its own, packed for one instruction set.
pub(crate) struct PackedF32 {
    set: InstructionSet,
    depth: usize,
    panels: usize,
    numbers: Aligned<f32>,
    bias: Aligned<f32>,
}

impl PackedF32 {
    /// Packs matrices `[columns][depth]` (as PyTorch keeps them: a row is an output) with a bias per column.
    pub(crate) fn new(set: InstructionSet, depth: usize, matrices: &[(&[f32], &[f32])]) -> Self {
        let columns = set.panel_columns();
        let panels = matrices.iter().map(|(_, bias)| bias.len().div_ceil(columns)).sum();
        let mut numbers = Aligned::zeros(panels * depth * columns);
        let mut padded_bias = Aligned::zeros(panels * columns);
        let mut packed = numbers.as_mut_slice().chunks_exact_mut((depth * columns).max(1));
        let mut biases = padded_bias.as_mut_slice().chunks_exact_mut(columns);
        for (matrix, bias) in matrices {
            let groups = matrix.chunks(columns * depth.max(1)).zip(bias.chunks(columns));
            for ((group, bias), (panel, padded_bias)) in groups.zip(packed.by_ref().zip(biases.by_ref())) {
                for (column, row) in group.chunks_exact(depth.max(1)).enumerate() {
                    let places = panel.iter_mut().skip(column).step_by(columns);
                    places.zip(row).for_each(|(place, number)| *place = *number);
                }
                padded_bias.iter_mut().zip(bias).for_each(|(place, number)| *place = *number);
            }
        }
        Self { set, depth, panels, numbers, bias: padded_bias }
    }

    pub(crate) const fn panels(&self) -> usize {
        self.panels
    }

    /// Columns of the result, the padding of panels included.
    pub(crate) const fn columns(&self) -> usize {
        self.panels * self.set.panel_columns()
    }

    /// The product of the rows of `a` with the columns of `panels`, to the same columns of `out`.
    pub(crate) fn multiply(&self, a: Rows<'_, f32>, panels: Range<usize>, out: RowsMut<'_, f32>, then: Then) {
        self.set.run(Product { weights: self, a, panels, out, then });
    }
}

struct Product<'a> {
    weights: &'a PackedF32,
    a: Rows<'a, f32>,
    panels: Range<usize>,
    out: RowsMut<'a, f32>,
    then: Then,
}

impl Kernel for Product<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self { weights, a, panels, out, then } = self;
        let panel_numbers = weights.depth * S::COLUMNS;
        for panel in panels {
            let numbers = weights.numbers.as_slice().get(panel * panel_numbers..(panel + 1) * panel_numbers);
            let bias = weights.bias.as_slice().get(panel * S::COLUMNS..(panel + 1) * S::COLUMNS);
            let (Some(numbers), Some(bias)) = (numbers, bias) else { break };
            let next = weights.numbers.as_slice().get((panel + 1) * panel_numbers..).unwrap_or_default();
            let next = next.get(..panel_numbers).unwrap_or_default();
            // Each of the first tiles fetches a register of the next panel for each step of its own.
            let mut ahead = next.chunks(panel_numbers.div_ceil(VECTORS).max(1));
            let tile_rows = even(a.count, S::ROWS);
            for first in (0..a.count).step_by(tile_rows) {
                let count = tile_rows.min(a.count - first);
                let ahead = ahead.next().unwrap_or_default();
                let rows = (a.numbers.get(first * a.stride..).unwrap_or_default(), a.stride);
                let out_numbers = out.numbers.get_mut(first * out.stride + panel * S::COLUMNS..).unwrap_or_default();
                if then.adds() {
                    tile::<S, true>(simd, count, rows, (numbers, bias, ahead), (out_numbers, out.stride));
                } else {
                    tile::<S, false>(simd, count, rows, (numbers, bias, ahead), (&mut *out_numbers, out.stride));
                    activate(simd, then, out_numbers, out.stride, count);
                }
            }
        }
    }
}
