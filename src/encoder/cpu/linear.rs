//! A matrix product with bias, in the numbers that the weights are kept in.

use std::ops::Range;

use crate::error::Result;
use crate::kernels::{InstructionSet, IntegerSet, MatrixS8, PackedF32, PackedS8, Quantized, Rows, RowsMut, Then};
use crate::model::Weights;

/// One or more of the encoder's matrices side by side, each beginning at a panel of its own.
pub(super) struct Linear {
    set: InstructionSet,
    packed: Packed,
}

enum Packed {
    F32(PackedF32),
    S8(PackedS8),
}

impl Linear {
    /// Packs the matrices of `names` (without `.weight` and `.bias`), all of `depth` inputs.
    pub(super) fn load(set: InstructionSet, weights: &Weights, depth: usize, names: &[String]) -> Result<Self> {
        let mut biases = Vec::new();
        let mut tensors = Vec::new();
        for name in names {
            tensors.push(weights.get(&format!("{name}.weight"))?);
            biases.push(weights.get(&format!("{name}.bias"))?.to_f32());
        }
        let s8: Option<Vec<(&[u8], Vec<f32>)>> = tensors.iter().map(|tensor| tensor.as_s8()).collect();
        let packed = if let (Some(matrices), Some(integers)) = (s8, IntegerSet::within(set)) {
            let matrix = |((values, scales), bias)| MatrixS8 { values, scales, bias };
            let matrices = matrices.iter().map(|(values, scales)| (*values, scales.as_slice()));
            let matrices: Vec<MatrixS8<'_>> = matrices.zip(biases.iter().map(Vec::as_slice)).map(matrix).collect();
            Packed::S8(PackedS8::new(integers, depth, &matrices))
        } else {
            let matrices: Vec<Vec<f32>> = tensors.iter().map(|tensor| tensor.to_f32()).collect();
            let matrices: Vec<(&[f32], &[f32])> =
                matrices.iter().zip(&biases).map(|(matrix, bias)| (matrix.as_slice(), bias.as_slice())).collect();
            Packed::F32(PackedF32::new(set, depth, &matrices))
        };
        Ok(Self { set, packed })
    }

    pub(super) const fn panels(&self) -> usize {
        match &self.packed {
            Packed::F32(packed) => packed.panels(),
            Packed::S8(packed) => packed.panels(),
        }
    }

    /// Columns of the result, padding included.
    pub(super) const fn columns(&self) -> usize {
        match &self.packed {
            Packed::F32(packed) => packed.columns(),
            Packed::S8(packed) => packed.columns(),
        }
    }

    /// What its products of 8-bit numbers run on; `None` in f32.
    pub(super) const fn integers(&self) -> Option<IntegerSet> {
        match &self.packed {
            Packed::F32(_) => None,
            Packed::S8(packed) => Some(packed.set()),
        }
    }

    /// The product of the rows of `a` with the columns of `panels`; `room` is for the rows in 8 bits.
    pub(super) fn apply(
        &self,
        a: Rows<'_, f32>,
        panels: Range<usize>,
        out: RowsMut<'_, f32>,
        then: Then,
        room: &mut Quantized,
    ) {
        match &self.packed {
            Packed::F32(packed) => packed.multiply(a, panels, out, then),
            Packed::S8(packed) => {
                room.fill(self.set, packed.set(), a, packed.depth());
                packed.multiply(room, panels, out, then);
            }
        }
    }
}
