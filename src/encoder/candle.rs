//! The candle backend: `candle-transformers`' `BertEncoder` over the canonical weights. The reference in tests, and the
//! way to GPUs.
//!
//! The embeddings before it are put together here: candle's own have no way to leave out token types, to count
//! positions as RoBERTa does, or to be narrower than the layers.

use std::collections::HashMap;

use candle_core::{DType, Device, Tensor};
use candle_nn::{Embedding, LayerNorm, Linear, Module, VarBuilder, embedding, layer_norm, linear};
use candle_transformers::models::bert::{BertEncoder, Config, HiddenAct, PositionEmbeddingType};

use super::{Backend, BackendKind, Batch, Wanted};
use crate::error::{Error, Result};
use crate::model::{Activation, EncoderConfig, Weights};

/// The widest model whose sequences candle gets one by one. The matrix product below it (gemm 0.19) adds up in another
/// order where the product has at most 256 numbers or one row, so in a narrow model the bits of a short sequence would
/// depend on its neighbours.
const NARROW: usize = 128;

/// The canonical encoder in f32 on the CPU; s8 weights are dequantized when it is made.
pub(crate) struct CandleBackend {
    words: Embedding,
    positions: Embedding,
    padding: Option<u32>,
    token_types: Option<Embedding>,
    reads_token_types: bool,
    norm: LayerNorm,
    projection: Option<Linear>,
    encoder: BertEncoder,
    device: Device,
    width: usize,
    /// The fewest columns of a product in the model.
    narrowest: usize,
}

impl CandleBackend {
    pub(crate) fn new(kind: BackendKind, config: &EncoderConfig, weights: &Weights) -> Result<Self> {
        let device = device(kind)?;
        let mut tensors = HashMap::new();
        for (name, tensor) in weights.iter() {
            let data = Tensor::from_vec(tensor.to_f32(), tensor.shape.as_slice(), &device).map_err(failed)?;
            tensors.insert(name.to_owned(), data);
        }
        let parameters = VarBuilder::from_tensors(tensors, DType::F32, &device);
        Self::load(config, &candle_config(config)?, &parameters).map_err(failed)
    }

    fn load(config: &EncoderConfig, candle_config: &Config, parameters: &VarBuilder<'_>) -> candle_core::Result<Self> {
        let (width, table_width) = (config.width, config.embedding_width);
        let tables = parameters.pp("embeddings");
        let table = |name: &str, rows| embedding(rows, table_width, tables.pp(name));
        let token_types = (config.token_types > 0).then(|| table("token_type_embeddings", config.token_types));
        let projection =
            (table_width != width).then(|| linear(table_width, width, parameters.pp("embeddings_project")));
        Ok(Self {
            words: table("word_embeddings", config.vocabulary)?,
            positions: table("position_embeddings", config.position_rows())?,
            padding: config.padding,
            token_types: token_types.transpose()?,
            reads_token_types: config.architecture.reads_token_types(),
            norm: layer_norm(table_width, config.norm_eps, tables.pp("LayerNorm"))?,
            projection: projection.transpose()?,
            encoder: BertEncoder::load(parameters.pp("encoder"), candle_config)?,
            device: parameters.device().clone(),
            width,
            narrowest: width.min(config.feed_forward),
        })
    }
}

impl Backend for CandleBackend {
    fn forward(&self, batch: &Batch, wanted: Wanted) -> Result<Vec<f32>> {
        let mut states = Vec::with_capacity(batch.ids.len() * self.width);
        let mut start = 0;
        let position = |row| u32::try_from(row).unwrap_or(u32::MAX);
        let positions: Vec<u32> = batch.position_rows(self.padding).map(position).collect();
        // Sequences of one length at a time: padded ones would make a vector depend on its neighbours' lengths.
        let together = |a: &usize, b: &usize| a == b && *a > 1 && self.narrowest > NARROW;
        for run in batch.lengths.chunk_by(together) {
            let (sequences, length) = (run.len(), run.first().copied().unwrap_or_default());
            let end = start + sequences * length;
            let part = |of: &[u32]| {
                Tensor::from_slice(of.get(start..end).unwrap_or_default(), (sequences, length), &self.device)
            };
            let inputs = [&batch.ids, &batch.type_ids, &positions].map(|of| part(of).map_err(failed));
            let [ids, type_ids, positions] = inputs;
            let run = self.run(&ids?, &type_ids?, &positions?).map_err(failed)?;
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

    fn forward_alone(&self, batch: &Batch, wanted: Wanted, _threads: &rayon::ThreadPool) -> Result<Vec<f32>> {
        self.forward(batch, wanted)
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
    /// Row-major `[sequences, length, width]` from inputs of `[sequences, length]`.
    fn run(&self, ids: &Tensor, type_ids: &Tensor, positions: &Tensor) -> candle_core::Result<Vec<f32>> {
        let mut states = self.words.forward(ids)?;
        if let Some(token_types) = &self.token_types {
            let of_token = if self.reads_token_types { type_ids.clone() } else { type_ids.zeros_like()? };
            states = (states + token_types.forward(&of_token)?)?;
        }
        states = self.norm.forward(&(states + self.positions.forward(positions)?)?)?;
        if let Some(projection) = &self.projection {
            states = projection.forward(&states)?;
        }
        // Nothing is masked: no sequence here is padded.
        let mask = Tensor::zeros((1, 1, 1, 1), DType::F32, &self.device)?;
        self.encoder.forward(&states, &mask)?.flatten_all()?.to_vec1::<f32>()
    }
}

/// The first device of its kind. A build without the feature for it is told apart by candle itself.
fn device(kind: BackendKind) -> Result<Device> {
    let (device, name, feature) = match kind {
        BackendKind::Cpu | BackendKind::Candle => return Ok(Device::Cpu),
        BackendKind::Cuda => (Device::new_cuda(0), "NVIDIA", "cuda"),
        BackendKind::Metal => (Device::new_metal(0), "Apple", "metal"),
    };
    device.map_err(|source| {
        Error::misuse(format!(
            "no {name} GPU can be used; take the cpu backend, or build with --features {feature} on a machine that has one"
        ))
        .with_source(source)
    })
}

fn failed(source: candle_core::Error) -> Error {
    Error::model("candle cannot run this model").with_source(source)
}

/// candle's words for the shape. What is not in it has no effect on inference.
fn candle_config(config: &EncoderConfig) -> Result<Config> {
    let hidden_act = match config.activation {
        Activation::Gelu => HiddenAct::Gelu,
        Activation::GeluTanh => HiddenAct::GeluApproximate,
        Activation::Relu => HiddenAct::Relu,
        other => {
            return Err(Error::model(format!(
                "the candle backend has no activation \"{}\"; the cpu backend has",
                other.name()
            )));
        }
    };
    Ok(Config {
        vocab_size: config.vocabulary,
        hidden_size: config.width,
        num_hidden_layers: config.layers,
        num_attention_heads: config.heads,
        intermediate_size: config.feed_forward,
        hidden_act,
        max_position_embeddings: config.positions,
        type_vocab_size: config.token_types,
        layer_norm_eps: config.norm_eps,
        position_embedding_type: PositionEmbeddingType::Absolute,
        model_type: None,
        ..Config::default()
    })
}
