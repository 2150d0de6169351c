//! The default backend: the whole forward pass on one core of the CPU, over packed weights and without padding.
//!
//! Sequences lie one after the other, so that everything but attention is a product over all tokens of the batch. One
//! thread takes a batch through the whole model: there is nothing to wait for inside. A text alone is shared by a [`team`].

mod careful;
mod cls;
mod embeddings;
mod layer;
mod linear;
mod scratch;
mod team;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use super::{Backend, Batch, Wanted};
use crate::error::{Error, Result};
use crate::kernels::{InstructionSet, IntegerSet, row_stride};
use crate::model::{EncoderConfig, Weights};
use careful::Careful;
use embeddings::Embeddings;
use layer::Layer;
use scratch::{Pool, Scratch};

/// The canonical encoder over packed weights.
pub(crate) struct CpuBackend(Arc<Model>);

/// What all threads of a [`team`] share.
struct Model {
    set: InstructionSet,
    width: usize,
    embeddings: Embeddings,
    layers: Vec<Layer>,
    /// For weights in s8 only.
    careful: Option<Careful>,
    scratch: Pool,
}

impl CpuBackend {
    /// On the best instruction set of this machine, for whatever may be wanted.
    #[cfg(test)]
    pub(crate) fn new(config: &EncoderConfig, weights: &Weights) -> Result<Self> {
        Self::with_instruction_set(InstructionSet::chosen(), config, weights, Wanted::Cls)
    }

    /// Either kind of states can be had; `wanted` are those that it is made ready for.
    pub(crate) fn with_instruction_set(
        set: InstructionSet,
        config: &EncoderConfig,
        weights: &Weights,
        wanted: Wanted,
    ) -> Result<Self> {
        Ok(Self(Arc::new(Model {
            set,
            width: config.width,
            embeddings: Embeddings::load(set, config, weights)?,
            layers: load_layers(set, config, weights, wanted)?,
            careful: weights.is_quantized().then(|| Careful::new(set, config, weights, wanted)),
            scratch: Pool::default(),
        })))
    }
}

impl Model {
    fn states(&self, batch: &Batch, wanted: Wanted) -> Result<Vec<f32>> {
        check(batch)?;
        match &self.careful {
            Some(careful) if batch.lengths.iter().any(|length| careful::is_short(*length)) => {
                let careful_layers = careful.layers()?;
                careful::split(batch, self.width, wanted, |part, short| {
                    let layers = if short { careful_layers } else { &self.layers };
                    self.scratch.with(|scratch| self.run(layers, part, wanted, scratch))
                })
            }
            _ => self.scratch.with(|scratch| self.run(&self.layers, batch, wanted, scratch)),
        }
    }

    fn run(&self, layers: &[Layer], batch: &Batch, wanted: Wanted, scratch: &mut Scratch) -> Result<Vec<f32>> {
        self.embed(batch, scratch)?;
        let (last, others) = layers.split_last().ok_or_else(|| Error::model("the encoder has no layers"))?;
        for layer in others {
            layer.run(self.set, &batch.lengths, scratch);
        }
        last.run_last(self.set, &batch.lengths, wanted, scratch);
        let rows = if wanted == Wanted::Cls { batch.lengths.len() } else { batch.ids.len() };
        Ok(self.collect(rows, scratch))
    }

    /// Room for a batch of so many tokens.
    fn make_room(&self, tokens: usize, scratch: &mut Scratch) {
        scratch.stride = row_stride(self.width.next_multiple_of(self.set.panel_columns()), 16);
        scratch.states.grown(tokens * scratch.stride);
        scratch.context.grown(tokens * scratch.stride);
    }

    fn embed(&self, batch: &Batch, scratch: &mut Scratch) -> Result<()> {
        self.make_room(batch.ids.len(), scratch);
        self.embeddings.embed(self.set, batch, scratch)
    }

    /// The first `rows` states, side by side.
    fn collect(&self, rows: usize, scratch: &Scratch) -> Vec<f32> {
        let mut states = Vec::with_capacity(rows * self.width);
        for row in scratch.states.as_slice().chunks(scratch.stride).take(rows) {
            states.extend_from_slice(row.get(..self.width).unwrap_or_default());
        }
        states
    }
}

impl Backend for CpuBackend {
    fn forward(&self, batch: &Batch, wanted: Wanted) -> Result<Vec<f32>> {
        self.0.states(batch, wanted)
    }

    fn forward_alone(&self, batch: &Batch, wanted: Wanted, threads: &rayon::ThreadPool) -> Result<Vec<f32>> {
        check(batch)?;
        match team::run(&self.0, batch, wanted, threads, team::Patience::None)? {
            Some(states) => Ok(states),
            None => self.0.states(batch, wanted),
        }
    }

    /// One thread takes a batch through the whole model.
    fn takes_batches_at_once(&self) -> bool {
        true
    }

    /// For s8 weights that of their products, which are nearly all of the work.
    fn instruction_set(&self) -> &'static str {
        match IntegerSet::within(self.0.set).filter(|_| self.0.careful.is_some()) {
            Some(integers) => integers.name(),
            None => self.0.set.name(),
        }
    }
}

fn check(batch: &Batch) -> Result<()> {
    let tokens = batch.ids.len();
    if batch.lengths.iter().sum::<usize>() == tokens && batch.type_ids.len() == tokens && !batch.lengths.contains(&0) {
        Ok(())
    } else {
        Err(Error::misuse("a batch's lengths do not fit its tokens"))
    }
}

fn load_layers(set: InstructionSet, config: &EncoderConfig, weights: &Weights, wanted: Wanted) -> Result<Vec<Layer>> {
    // Only the last layer can do without the states of all tokens.
    let of = |index| if index + 1 == config.layers { wanted } else { Wanted::All };
    (0..config.layers).map(|index| Layer::load(set, config, weights, index, of(index))).collect()
}
