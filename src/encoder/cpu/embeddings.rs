//! Token ids to the states that enter the first layer.

use crate::encoder::Batch;
use crate::error::{Error, Result};
use crate::kernels::{InstructionSet, LayerNorm, RowsMut};
use crate::model::{Blob, EncoderConfig, Weights};

/// The three tables and the LayerNorm over their sum.
pub(super) struct Embeddings {
    words: Words,
    positions: Vec<f32>,
    token_types: Vec<f32>,
    width: usize,
    norm: LayerNorm,
}

/// The word table; in s8 it stays where the model's file has it, and a row is dequantized each time that it is used,
/// which costs less than the memory.
enum Words {
    F32(Vec<f32>),
    S8 { values: Blob, scales: Vec<f32> },
}

impl Embeddings {
    pub(super) fn load(config: &EncoderConfig, weights: &Weights) -> Result<Self> {
        let table = |name: &str| Ok(weights.get(&format!("embeddings.{name}"))?.to_f32());
        let words = weights.get("embeddings.word_embeddings.weight")?;
        let words = match words.as_s8_blob() {
            Some((values, scales)) => Words::S8 { values, scales },
            None => Words::F32(words.to_f32()),
        };
        let (gamma, beta) = (table("LayerNorm.weight")?, table("LayerNorm.bias")?);
        Ok(Self {
            words,
            positions: table("position_embeddings.weight")?,
            token_types: table("token_type_embeddings.weight")?,
            width: config.width,
            norm: LayerNorm::new(&gamma, &beta, config.norm_eps as f32),
        })
    }

    /// The state of each token of `batch` to a row of `states`.
    pub(super) fn embed(&self, set: InstructionSet, batch: &Batch, states: RowsMut<'_, f32>) -> Result<()> {
        let RowsMut { numbers, stride } = states;
        let positions = batch.lengths.iter().flat_map(|&length| 0..length);
        let tokens = batch.ids.iter().zip(&batch.type_ids).zip(positions);
        let mut count = 0;
        for (((&id, &type_id), position), state) in tokens.zip(numbers.chunks_mut(stride)) {
            let state = state.get_mut(..self.width).unwrap_or_default();
            self.word(id, state).ok_or_else(|| outside("token id", id))?;
            let token_type =
                row(&self.token_types, type_id, self.width).ok_or_else(|| outside("token type", type_id))?;
            let position = self.positions.chunks_exact(self.width).nth(position).ok_or_else(|| {
                Error::model(format!("a sequence has more tokens than the model has positions ({position} or more)"))
            })?;
            for ((state, token_type), position) in state.iter_mut().zip(token_type).zip(position) {
                *state = *state + token_type + position;
            }
            count += 1;
        }
        self.norm.apply(set, RowsMut { numbers, stride }, count);
        Ok(())
    }

    /// Row `id` of the word table to `state`; `None` if there is no such row.
    fn word(&self, id: u32, state: &mut [f32]) -> Option<()> {
        match &self.words {
            Words::F32(table) => state.copy_from_slice(row(table, id, self.width)?),
            Words::S8 { values, scales } => {
                let scale = scales.get(usize::try_from(id).ok()?)?;
                let values = row(values.as_slice(), id, self.width)?;
                state.iter_mut().zip(values).for_each(|(state, value)| *state = f32::from(value.cast_signed()) * scale);
            }
        }
        Some(())
    }
}

fn row<T>(table: &[T], row: u32, width: usize) -> Option<&[T]> {
    let start = usize::try_from(row).ok()?.checked_mul(width)?;
    table.get(start..start.checked_add(width)?)
}

fn outside(what: &str, value: u32) -> Error {
    Error::model(format!("{what} {value} is outside of the model's table"))
}
