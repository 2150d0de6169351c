//! From the states of first tokens to logits: the classification head of a cross-encoder.

use crate::error::Result;
use crate::kernels::{Aligned, InstructionSet, PackedF32, Rows, RowsMut, Then, row_stride};
use crate::model::{CLASSIFIER, DENSE, Head, HeadActivation, Weights};

/// A head over packed weights. Always in f32: it is a thousandth of the encoder's work, and the last to round.
pub(crate) struct Classifier {
    width: usize,
    labels: usize,
    dense: PackedF32,
    activation: HeadActivation,
    output: PackedF32,
}

impl Classifier {
    pub(crate) fn new(head: &Head, width: usize, weights: &Weights) -> Result<Self> {
        let set = InstructionSet::chosen();
        let packed = |name: &str| -> Result<PackedF32> {
            let numbers = |part: &str| Ok(weights.get(&format!("{name}.{part}"))?.to_f32());
            Ok(PackedF32::new(set, width, &[(&numbers("weight")?, &numbers("bias")?)]))
        };
        let (dense, output) = (packed(DENSE)?, packed(CLASSIFIER)?);
        Ok(Self { width, labels: head.labels.len(), dense, activation: head.activation, output })
    }

    /// The logits `[count, labels]` of states `[count, width]`, row-major. A row depends on its own state alone.
    pub(crate) fn logits(&self, states: &[f32]) -> Vec<Vec<f32>> {
        let count = states.len() / self.width.max(1);
        let stride = row_stride(self.dense.columns().max(self.width), 16);
        let mut input = Aligned::zeros(count * stride);
        for (row, state) in input.as_mut_slice().chunks_mut(stride).zip(states.chunks_exact(self.width.max(1))) {
            row.iter_mut().zip(state).for_each(|(place, number)| *place = *number);
        }
        let mut inner = Aligned::zeros(count * stride);
        let then = match self.activation {
            HeadActivation::Gelu => Then::Gelu,
            HeadActivation::Relu => Then::Relu,
            HeadActivation::Tanh => Then::Store,
        };
        multiply(&self.dense, &input, &mut inner, (stride, stride, count), then);
        if self.activation == HeadActivation::Tanh {
            inner.as_mut_slice().iter_mut().for_each(|number| *number = number.tanh());
        }
        let out_stride = row_stride(self.output.columns(), 16);
        let mut out = Aligned::zeros(count * out_stride);
        multiply(&self.output, &inner, &mut out, (stride, out_stride, count), Then::Store);
        let rows = out.as_slice().chunks(out_stride).take(count);
        rows.map(|row| row.get(..self.labels).unwrap_or_default().to_vec()).collect()
    }
}

fn multiply(
    weights: &PackedF32,
    input: &Aligned<f32>,
    out: &mut Aligned<f32>,
    (stride, out_stride, count): (usize, usize, usize),
    then: Then,
) {
    let input = Rows { numbers: input.as_slice(), stride, count };
    let out = RowsMut { numbers: out.as_mut_slice(), stride: out_stride };
    weights.multiply(input, 0..weights.panels(), out, then);
}
