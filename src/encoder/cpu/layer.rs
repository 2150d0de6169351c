//! One layer of the encoder: attention and feed-forward, each followed by the residual and its LayerNorm.

use super::linear::Linear;
use super::scratch::Scratch;
use crate::encoder::then;
use crate::error::Result;
use crate::kernels::{Attention, InstructionSet, LayerNorm, Rows, RowsMut, Then, row_stride};
use crate::model::{Activation, EncoderConfig, Weights};

/// Rows that go through the feed-forward block together: its intermediate result stays in a core's cache.
const BLOCK: usize = 48;

pub(super) struct Layer {
    heads: usize,
    width: usize,
    /// Queries, keys and values side by side.
    projections: Linear,
    attention_output: Linear,
    attention_norm: LayerNorm,
    intermediate: Linear,
    activation: Then,
    output: Linear,
    output_norm: LayerNorm,
}

impl Layer {
    pub(super) fn load(set: InstructionSet, config: &EncoderConfig, weights: &Weights, index: usize) -> Result<Self> {
        let name = |part: &str| format!("encoder.layer.{index}.{part}");
        let linear = |depth, parts: &[&str]| {
            let names: Vec<String> = parts.iter().map(|part| name(part)).collect();
            Linear::load(set, weights, depth, &names)
        };
        let norm = |part: &str| -> Result<LayerNorm> {
            let numbers = |kind: &str| Ok(weights.get(&name(&format!("{part}.LayerNorm.{kind}")))?.to_f32());
            Ok(LayerNorm::new(&numbers("weight")?, &numbers("bias")?, config.norm_eps as f32))
        };
        let width = config.width;
        let output = linear(config.feed_forward, &["output.dense"])?;
        Ok(Self {
            heads: config.heads,
            width,
            projections: linear(width, &["attention.self.query", "attention.self.key", "attention.self.value"])?,
            attention_output: linear(width, &["attention.output.dense"])?,
            attention_norm: norm("attention.output")?,
            intermediate: linear(width, &["intermediate.dense"])?,
            activation: match config.activation {
                Activation::Gelu if output.integers().is_some() => Then::GeluCoarse,
                other => then(other),
            },
            output,
            output_norm: norm("output")?,
        })
    }

    /// The states of all tokens of sequences of these `lengths`, in place.
    pub(super) fn run(&self, set: InstructionSet, lengths: &[usize], scratch: &mut Scratch) {
        let tokens = lengths.iter().sum();
        let stride = self.project(tokens, scratch, 0);
        let section = self.projections.columns() / 3;
        let mut first = 0;
        for &length in lengths {
            let rows = scratch.projections.as_slice().get(first * stride..).unwrap_or_default();
            let part = |section_index: usize| Rows {
                numbers: rows.get(section_index * section..).unwrap_or_default(),
                stride,
                count: length,
            };
            let context = scratch.context.as_mut_slice().get_mut(first * scratch.stride..).unwrap_or_default();
            let attention = Attention {
                heads: self.heads,
                width: self.width / self.heads,
                queries: part(0),
                keys: part(1),
                values: part(2),
                context: RowsMut { numbers: context, stride: scratch.stride },
                scratch: &mut scratch.attention,
            };
            self.attend(set, attention);
            first += length;
        }
        self.feed_forward(set, tokens, scratch);
    }

    /// The same, but only for the first token of each sequence; afterwards its state is row `i` of the states, `i`
    /// being the sequence's place.
    pub(super) fn run_cls(&self, set: InstructionSet, lengths: &[usize], scratch: &mut Scratch) {
        let tokens = lengths.iter().sum();
        let query_panels = self.projections.panels() / 3;
        let section = self.projections.columns() / 3;
        let stride = self.project(tokens, scratch, query_panels);
        let mut first = 0;
        for (sequence, &length) in lengths.iter().enumerate() {
            // `sequence <= first`: the row that is overwritten is never needed again.
            let width = scratch.stride;
            scratch.states.as_mut_slice().copy_within(first * width..(first + 1) * width, sequence * width);
            first += length;
        }
        let sequences = lengths.len();
        let mut queries = std::mem::take(&mut scratch.queries);
        let query_stride = row_stride(section, 16);
        let query_rows = queries.grown(sequences * query_stride);
        let states = Rows { numbers: scratch.states.as_slice(), stride: scratch.stride, count: sequences };
        let out = RowsMut { numbers: query_rows, stride: query_stride };
        self.projections.apply(states, 0..query_panels, out, Then::Store, &mut scratch.quantized);
        let mut first = 0;
        for (sequence, &length) in lengths.iter().enumerate() {
            let rows = scratch.projections.as_slice().get(first * stride..).unwrap_or_default();
            let part = |section_index: usize| Rows {
                numbers: rows.get(section_index * section..).unwrap_or_default(),
                stride,
                count: length,
            };
            let context = scratch.context.as_mut_slice().get_mut(sequence * scratch.stride..).unwrap_or_default();
            let query = queries.as_slice().get(sequence * query_stride..).unwrap_or_default();
            let attention = Attention {
                heads: self.heads,
                width: self.width / self.heads,
                queries: Rows { numbers: query, stride: query_stride, count: 1 },
                keys: part(1),
                values: part(2),
                context: RowsMut { numbers: context, stride: scratch.stride },
                scratch: &mut scratch.attention,
            };
            self.attend(set, attention);
            first += length;
        }
        scratch.queries = queries;
        self.feed_forward(set, sequences, scratch);
    }

    /// In f32, or as finely as what follows in 8 bits can tell.
    fn attend(&self, set: InstructionSet, attention: Attention<'_>) {
        match self.projections.integers() {
            Some(integers) => attention.apply_rounded(integers),
            None => attention.apply(set),
        }
    }

    /// Queries, keys and values of all states, from panel `first` on; returns the distance between rows.
    fn project(&self, tokens: usize, scratch: &mut Scratch, first: usize) -> usize {
        let stride = row_stride(self.projections.columns(), 16);
        let states = Rows { numbers: scratch.states.as_slice(), stride: scratch.stride, count: tokens };
        let out = RowsMut { numbers: scratch.projections.grown(tokens * stride), stride };
        self.projections.apply(states, first..self.projections.panels(), out, Then::Store, &mut scratch.quantized);
        stride
    }

    /// Everything after attention, which is a matter of each row by itself.
    fn feed_forward(&self, set: InstructionSet, rows: usize, scratch: &mut Scratch) {
        let stride = scratch.stride;
        let inner_stride = row_stride(self.intermediate.columns(), 16);
        let states = scratch.states.as_mut_slice().chunks_mut(BLOCK * stride);
        let context = scratch.context.as_slice().chunks(BLOCK * stride);
        for (first, (states, context)) in (0..rows).step_by(BLOCK).zip(states.zip(context)) {
            let count = BLOCK.min(rows - first);
            let context = Rows { numbers: context, stride, count };
            let out = RowsMut { numbers: states, stride };
            self.attention_output.apply(
                context,
                0..self.attention_output.panels(),
                out,
                Then::Add,
                &mut scratch.quantized,
            );
            self.attention_norm.apply(set, RowsMut { numbers: states, stride }, count);
            let inner = scratch.inner.grown(BLOCK * inner_stride);
            let out = RowsMut { numbers: &mut *inner, stride: inner_stride };
            let input = Rows { numbers: &*states, stride, count };
            self.intermediate.apply(input, 0..self.intermediate.panels(), out, self.activation, &mut scratch.quantized);
            let input = Rows { numbers: &*inner, stride: inner_stride, count };
            let out = RowsMut { numbers: &mut *states, stride };
            self.output.apply(input, 0..self.output.panels(), out, Then::Add, &mut scratch.quantized);
            self.output_norm.apply(set, RowsMut { numbers: states, stride }, count);
        }
    }
}
