//! From token states to the vector of a text, as sentence-transformers' Pooling does it.

use crate::model::{Pooling, PoolingMode};

/// The pooled vector from the states `[length, width]` of one sequence without padding, of which the first `prompt` are
/// of a prompt: `width` numbers for each mode.
pub(crate) fn pool(states: &[f32], width: usize, pooling: &Pooling, prompt: usize) -> Vec<f32> {
    let skipped = if pooling.include_prompt { 0 } else { prompt };
    pooling.modes.iter().flat_map(|mode| pool_by(*mode, states, width.max(1), skipped)).collect()
}

fn pool_by(mode: PoolingMode, states: &[f32], width: usize, skipped: usize) -> Vec<f32> {
    // Where a prompt is all there is, nothing is left to pool, and what comes out is the reference's: zeros, and for
    // the first token and the maximum what they are of masks that are zero throughout.
    let tokens = || states.chunks_exact(width).skip(skipped);
    let count = tokens().len() as f32;
    match mode {
        PoolingMode::Cls => tokens().next().or_else(|| states.get(..width)).map(<[f32]>::to_vec).unwrap_or_default(),
        PoolingMode::LastToken => tokens().next_back().map_or_else(|| vec![0.0; width], <[f32]>::to_vec),
        PoolingMode::Max => tokens().fold(vec![f32::NEG_INFINITY; width], |mut largest, token| {
            largest.iter_mut().zip(token).for_each(|(largest, state)| *largest = largest.max(*state));
            largest
        }),
        PoolingMode::Mean => divided(sum(tokens().map(|token| (token, 1.0)), width), count),
        PoolingMode::MeanSqrtLen => divided(sum(tokens().map(|token| (token, 1.0)), width), count.sqrt()),
        PoolingMode::WeightedMean => {
            // Positions are those in the whole sequence, the prompt too.
            let weighted = || tokens().zip(skipped + 1..).map(|(token, position)| (token, position as f32));
            divided(sum(weighted(), width), weighted().map(|(_, weight)| weight).sum())
        }
    }
}

fn sum<'a>(tokens: impl Iterator<Item = (&'a [f32], f32)>, width: usize) -> Vec<f32> {
    tokens.fold(vec![0.0; width], |mut sum, (token, weight)| {
        sum.iter_mut().zip(token).for_each(|(sum, state)| *sum += state * weight);
        sum
    })
}

fn divided(mut sum: Vec<f32>, by: f32) -> Vec<f32> {
    let by = by.max(1e-9);
    sum.iter_mut().for_each(|sum| *sum /= by);
    sum
}

/// To unit length; a vector shorter than 1e-12 is divided by that instead, as `torch.nn.functional.normalize` does.
pub(crate) fn normalize(vector: &mut [f32]) {
    let norm = vector.iter().map(|value| value * value).sum::<f32>().sqrt().max(1e-12);
    vector.iter_mut().for_each(|value| *value /= norm);
}
