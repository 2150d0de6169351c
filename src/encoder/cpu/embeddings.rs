//! Token ids to the states that enter the first layer.

use super::linear::Linear;
use super::scratch::Scratch;
use crate::encoder::Batch;
use crate::error::{Error, Result};
use crate::kernels::{InstructionSet, LayerNorm, Rows, RowsMut, Then, row_stride};
use crate::model::{Blob, EncoderConfig, Weights};

/// The tables, the LayerNorm over their sum, and where their width is another than the layers' the way from one to the
/// other.
pub(super) struct Embeddings {
    words: Words,
    positions: Vec<f32>,
    padding: Option<u32>,
    /// Empty where there is no such table.
    token_types: Vec<f32>,
    reads_token_types: bool,
    width: usize,
    norm: LayerNorm,
    projection: Option<Linear>,
}

/// The word table; in s8 it stays where the model's file has it, and a row is dequantized each time that it is used,
/// which costs less than the memory.
enum Words {
    F32(Vec<f32>),
    S8 { values: Blob, scales: Vec<f32> },
}

impl Embeddings {
    pub(super) fn load(set: InstructionSet, config: &EncoderConfig, weights: &Weights) -> Result<Self> {
        let table = |name: &str| Ok(weights.get(&format!("embeddings.{name}"))?.to_f32());
        let words = weights.get("embeddings.word_embeddings.weight")?;
        let words = match words.as_s8_blob() {
            Some((values, scales)) => Words::S8 { values, scales },
            None => Words::F32(words.to_f32()),
        };
        let (gamma, beta) = (table("LayerNorm.weight")?, table("LayerNorm.bias")?);
        let width = config.embedding_width;
        let token_types = if config.token_types > 0 { table("token_type_embeddings.weight")? } else { Vec::new() };
        let project = || Linear::load(set, weights, width, &["embeddings_project".to_owned()]);
        Ok(Self {
            words,
            positions: table("position_embeddings.weight")?,
            padding: config.padding,
            token_types,
            reads_token_types: config.architecture.reads_token_types(),
            width,
            norm: LayerNorm::new(&gamma, &beta, config.norm_eps as f32),
            projection: (width != config.width).then(project).transpose()?,
        })
    }

    /// The state of each token of `batch` to a row of the states.
    pub(super) fn embed(&self, set: InstructionSet, batch: &Batch, scratch: &mut Scratch) -> Result<()> {
        let tokens = batch.ids.len();
        let states = RowsMut { numbers: scratch.states.grown(tokens * scratch.stride), stride: scratch.stride };
        let Some(projection) = &self.projection else { return self.sum(set, batch, states) };
        let stride = row_stride(self.width, 16);
        let sums = scratch.inner.grown(tokens * stride);
        self.sum(set, batch, RowsMut { numbers: &mut *sums, stride })?;
        let sums = Rows { numbers: sums, stride, count: tokens };
        projection.apply(sums, 0..projection.panels(), states, Then::Store, &mut scratch.quantized);
        Ok(())
    }

    /// The normalized sum of the tables' rows for each token.
    fn sum(&self, set: InstructionSet, batch: &Batch, sums: RowsMut<'_, f32>) -> Result<()> {
        let RowsMut { numbers, stride } = sums;
        let tokens = batch.ids.iter().zip(&batch.type_ids).zip(batch.position_rows(self.padding));
        let mut count = 0;
        for (((&id, &type_id), position), sum) in tokens.zip(numbers.chunks_mut(stride)) {
            let sum = sum.get_mut(..self.width).unwrap_or_default();
            self.word(id, sum).ok_or_else(|| outside("token id", id))?;
            if !self.token_types.is_empty() {
                let type_id = if self.reads_token_types { type_id } else { 0 };
                let token_type =
                    row(&self.token_types, type_id, self.width).ok_or_else(|| outside("token type", type_id))?;
                sum.iter_mut().zip(token_type).for_each(|(sum, number)| *sum += number);
            }
            let position = self.positions.chunks_exact(self.width).nth(position).ok_or_else(|| {
                Error::model(format!("a sequence has more tokens than the model has positions ({position} or more)"))
            })?;
            sum.iter_mut().zip(position).for_each(|(sum, number)| *sum += number);
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
