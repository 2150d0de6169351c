//! From token states to the vector of a text, as the modules of sentence-transformers do it.

use crate::model::Pooling;

/// One vector of `width` from the states `[length, width]` of one sequence without padding.
pub(crate) fn pool(states: &[f32], width: usize, pooling: Pooling) -> Vec<f32> {
    let mut tokens = states.chunks_exact(width.max(1));
    match pooling {
        Pooling::Cls => tokens.next().map(<[f32]>::to_vec).unwrap_or_default(),
        Pooling::Mean => {
            let mut sum = vec![0f32; width];
            let mut count = 0u32;
            for token in tokens {
                sum.iter_mut().zip(token).for_each(|(sum, state)| *sum += state);
                count = count.saturating_add(1);
            }
            let count = count.max(1) as f32;
            sum.iter_mut().for_each(|sum| *sum /= count);
            sum
        }
    }
}

/// To unit length; a vector shorter than 1e-12 is divided by that instead, as `torch.nn.functional.normalize` does.
pub(crate) fn normalize(vector: &mut [f32]) {
    let norm = vector.iter().map(|value| value * value).sum::<f32>().sqrt().max(1e-12);
    vector.iter_mut().for_each(|value| *value /= norm);
}
