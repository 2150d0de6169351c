//! The candle backend: `candle-transformers`' `BertModel` over the canonical weights. The reference in tests, and the
//! way to GPUs.

use std::collections::HashMap;

use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;
use candle_transformers::models::bert::{BertModel, Config, HiddenAct, PositionEmbeddingType};

use super::{Backend, Batch, Wanted};
use crate::error::{Error, Result};
use crate::model::{Activation, EncoderConfig, Weights};

/// The widest model whose sequences candle gets one by one. The matrix product below it (gemm 0.19) adds up in another
/// order where the product has at most 256 numbers or one row, so in a narrow model the bits of a short sequence would
/// depend on its neighbours.
const NARROW: usize = 128;

/// The canonical encoder in f32 on the CPU; s8 weights are dequantized when it is made.
pub(crate) struct CandleBackend {
    model: BertModel,
    device: Device,
    width: usize,
    /// The fewest columns of a product in the model.
    narrowest: usize,
}

impl CandleBackend {
    pub(crate) fn new(config: &EncoderConfig, weights: &Weights) -> Result<Self> {
        let device = Device::Cpu;
        let mut tensors = HashMap::new();
        for (name, tensor) in weights.iter() {
            let data = Tensor::from_vec(tensor.to_f32(), tensor.shape.as_slice(), &device).map_err(failed)?;
            tensors.insert(name.to_owned(), data);
        }
        let parameters = VarBuilder::from_tensors(tensors, DType::F32, &device);
        let model = BertModel::load(parameters, &candle_config(config)).map_err(failed)?;
        Ok(Self { model, device, width: config.width, narrowest: config.width.min(config.feed_forward) })
    }
}

impl Backend for CandleBackend {
    fn forward(&self, batch: &Batch, wanted: Wanted) -> Result<Vec<f32>> {
        let mut states = Vec::with_capacity(batch.ids.len() * self.width);
        let mut start = 0;
        // Sequences of one length at a time: padded ones would make a vector depend on its neighbours' lengths.
        let together = |a: &usize, b: &usize| a == b && *a > 1 && self.narrowest > NARROW;
        for run in batch.lengths.chunk_by(together) {
            let (sequences, length) = (run.len(), run.first().copied().unwrap_or_default());
            let end = start + sequences * length;
            let ids = batch.ids.get(start..end).unwrap_or_default();
            let type_ids = batch.type_ids.get(start..end).unwrap_or_default();
            let run = self.run(ids, type_ids, (sequences, length)).map_err(failed)?;
            match wanted {
                Wanted::All => states.extend(run),
                // Computed all the same: candle's model has no shorter way.
                Wanted::Cls => {
                    states.extend(
                        run.chunks_exact(length * self.width).flat_map(|states| states.iter().take(self.width)),
                    );
                }
            }
            start = end;
        }
        Ok(states)
    }

    /// candle spreads each operation over all threads itself, and its element-wise ones spin in a pool of their own:
    /// two batches at once fight for it (half the speed on two cores).
    fn takes_batches_at_once(&self) -> bool {
        false
    }

    /// Its own choice, which it does not tell.
    fn instruction_set(&self) -> &'static str {
        "candle"
    }
}

impl CandleBackend {
    fn run(&self, ids: &[u32], type_ids: &[u32], shape: (usize, usize)) -> candle_core::Result<Vec<f32>> {
        let ids = Tensor::from_slice(ids, shape, &self.device)?;
        let type_ids = Tensor::from_slice(type_ids, shape, &self.device)?;
        self.model.forward(&ids, &type_ids, None)?.flatten_all()?.to_vec1::<f32>()
    }
}

fn failed(source: candle_core::Error) -> Error {
    Error::model("candle cannot run this model").with_source(source)
}

/// candle's words for the shape. What is not in it has no effect on inference.
fn candle_config(config: &EncoderConfig) -> Config {
    Config {
        vocab_size: config.vocabulary,
        hidden_size: config.width,
        num_hidden_layers: config.layers,
        num_attention_heads: config.heads,
        intermediate_size: config.feed_forward,
        hidden_act: match config.activation {
            Activation::Gelu => HiddenAct::Gelu,
            Activation::GeluTanh => HiddenAct::GeluApproximate,
            Activation::Relu => HiddenAct::Relu,
        },
        max_position_embeddings: config.positions,
        type_vocab_size: config.token_types,
        layer_norm_eps: config.norm_eps,
        position_embedding_type: PositionEmbeddingType::Absolute,
        model_type: None,
        ..Config::default()
    }
}
