//! Texts of a few tokens under s8 weights: their activations stay in f32.
//!
//! Rounding activations to 8 bits costs little because the errors of many tokens cancel in the pooling. In the empty
//! text, which is `[CLS]` and `[SEP]`, nothing cancels: its cosine to the full weights would be 0.992, where ordinary
//! passages have 0.997 at least. Whether a text is short depends on that text alone, so its vector still does.

use std::sync::OnceLock;

use super::layer::Layer;
use super::load_layers;
use crate::encoder::{Batch, Wanted};
use crate::error::Result;
use crate::kernels::InstructionSet;
use crate::model::{EncoderConfig, Weights};

/// Tokens, special ones included, up to which a text is short.
const SHORT: usize = 4;

pub(super) const fn is_short(length: usize) -> bool {
    length <= SHORT
}

/// The layers once more, with the same weights in f32; made when the first short text comes.
pub(super) struct Careful {
    set: InstructionSet,
    config: EncoderConfig,
    weights: Weights,
    wanted: Wanted,
    layers: OnceLock<Vec<Layer>>,
}

impl Careful {
    pub(super) fn new(set: InstructionSet, config: &EncoderConfig, weights: &Weights, wanted: Wanted) -> Self {
        Self { set, config: config.clone(), weights: weights.clone(), wanted, layers: OnceLock::new() }
    }

    pub(super) fn layers(&self) -> Result<&[Layer]> {
        match self.layers.get() {
            Some(layers) => Ok(layers),
            None => {
                let layers = load_layers(self.set, &self.config, &self.weights.dequantized(), self.wanted)?;
                Ok(self.layers.get_or_init(|| layers))
            }
        }
    }
}

/// What `run` gives for the short sequences of `batch` and for the others, put together again in their order.
pub(super) fn split(
    batch: &Batch,
    width: usize,
    wanted: Wanted,
    mut run: impl FnMut(&Batch, bool) -> Result<Vec<f32>>,
) -> Result<Vec<f32>> {
    let mut parts = [Batch::default(), Batch::default()];
    let (mut ids, mut type_ids) = (batch.ids.as_slice(), batch.type_ids.as_slice());
    for (place, length) in batch.places.iter().zip(&batch.lengths) {
        let (sequence, rest) = ids.split_at_checked(*length).unwrap_or_default();
        let (types, rest_types) = type_ids.split_at_checked(*length).unwrap_or_default();
        (ids, type_ids) = (rest, rest_types);
        let [long, short] = &mut parts;
        let part = if is_short(*length) { short } else { long };
        part.places.push(*place);
        part.lengths.push(*length);
        part.ids.extend_from_slice(sequence);
        part.type_ids.extend_from_slice(types);
    }
    let [long, short] = &parts;
    let long = if long.lengths.is_empty() { Vec::new() } else { run(long, false)? };
    let short = run(short, true)?;
    let (mut long, mut short) = (long.as_slice(), short.as_slice());
    let mut states = Vec::with_capacity(long.len() + short.len());
    for length in &batch.lengths {
        let numbers = width * if wanted == Wanted::Cls { 1 } else { *length };
        let part = if is_short(*length) { &mut short } else { &mut long };
        let (sequence, rest) = part.split_at_checked(numbers).unwrap_or_default();
        states.extend_from_slice(sequence);
        *part = rest;
    }
    Ok(states)
}
