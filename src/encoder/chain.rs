//! The modules or the head that a pooled vector goes through, over packed weights: always in `f32`, on either backend.

use super::pooling::normalize;
use super::then;
use crate::error::Result;
use crate::kernels::{InstructionSet, LayerNorm, PackedF32, Rows, RowsMut, Then};
use crate::model::{Activation, CLASSIFIER, DENSE, Dense, Head, Module, Weights};

/// The epsilon of `torch.nn.LayerNorm`; the module has no key for another.
const NORM_EPS: f32 = 1e-5;

/// Dense, LayerNorm and Normalize in the model's order.
pub(crate) struct Chain {
    set: InstructionSet,
    steps: Vec<Step>,
}

enum Step {
    Dense { packed: PackedF32, inputs: usize, outputs: usize, activation: Then },
    LayerNorm(LayerNorm),
    Normalize,
}

impl Chain {
    pub(crate) fn load(modules: &[Module], weights: &Weights) -> Result<Self> {
        let set = InstructionSet::chosen();
        let step = |module: &Module| match module {
            Module::Dense(dense) => load_dense(set, dense, weights),
            Module::LayerNorm(norm) => {
                let numbers = |name| Ok(weights.get(&norm.tensor(name))?.to_f32());
                Ok(Step::LayerNorm(LayerNorm::new(&numbers("norm.weight")?, &numbers("norm.bias")?, NORM_EPS)))
            }
            Module::Normalize => Ok(Step::Normalize),
        };
        Ok(Self { set, steps: modules.iter().map(step).collect::<Result<_>>()? })
    }

    /// The two products of a cross-encoder's head.
    pub(crate) fn head(head: &Head, width: usize, weights: &Weights) -> Result<Self> {
        let set = InstructionSet::chosen();
        let step = |name: &str, outputs, activation| {
            let numbers = |part: &str| Ok(weights.get(&format!("{name}.{part}"))?.to_f32());
            Ok(pack(set, (&numbers("weight")?, &numbers("bias")?), width, outputs, activation))
        };
        let steps =
            vec![step(DENSE, width, head.activation)?, step(CLASSIFIER, head.labels.len(), Activation::Identity)?];
        Ok(Self { set, steps })
    }

    /// What becomes of `count` vectors that lie one after the other. Each result depends on its own vector alone.
    pub(crate) fn apply(&self, mut vectors: Vec<f32>, count: usize) -> Vec<f32> {
        for step in &self.steps {
            let width = vectors.len() / count.max(1);
            match step {
                Step::Dense { packed, inputs, outputs, activation } => {
                    let stride = packed.columns();
                    let mut out = vec![0.0; count * stride];
                    let rows = Rows { numbers: &vectors, stride: *inputs, count };
                    packed.multiply(rows, 0..packed.panels(), RowsMut { numbers: &mut out, stride }, *activation);
                    let rows = out.chunks(stride.max(1)).flat_map(|row| row.iter().take(*outputs));
                    vectors = rows.copied().collect();
                }
                Step::LayerNorm(norm) => norm.apply(self.set, RowsMut { numbers: &mut vectors, stride: width }, count),
                Step::Normalize => vectors.chunks_mut(width.max(1)).for_each(normalize),
            }
        }
        vectors
    }
}

fn load_dense(set: InstructionSet, dense: &Dense, weights: &Weights) -> Result<Step> {
    let matrix = weights.get(&dense.tensor("linear.weight"))?.to_f32();
    let bias = if dense.bias { weights.get(&dense.tensor("linear.bias"))?.to_f32() } else { vec![0.0; dense.outputs] };
    Ok(pack(set, (&matrix, &bias), dense.inputs, dense.outputs, dense.activation))
}

fn pack(
    set: InstructionSet,
    matrix_and_bias: (&[f32], &[f32]),
    inputs: usize,
    outputs: usize,
    activation: Activation,
) -> Step {
    Step::Dense {
        packed: PackedF32::new(set, inputs, &[matrix_and_bias]),
        inputs,
        outputs,
        activation: then(activation),
    }
}
