//! One layer of the encoder: attention and feed-forward, each followed by the residual and its LayerNorm.

use std::ops::Range;

use super::linear::Linear;
use super::scratch::Scratch;
use crate::encoder::then;
use crate::error::Result;
use crate::kernels::{
    Aligned, Attention, AttentionScratch, InstructionSet, LayerNorm, Rows, RowsMut, Then, row_stride,
};
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
        self.project(tokens, &(0..tokens), scratch);
        let mut first = 0;
        for &length in lengths {
            let sequence = first..first + length;
            self.attend_rows(set, &sequence, &sequence, scratch);
            first += length;
        }
        self.feed_forward(set, &(0..tokens), scratch);
    }

    /// The same, but only for the first token of each sequence; afterwards its state is row `i` of the states, `i`
    /// being the sequence's place.
    pub(super) fn run_cls(&self, set: InstructionSet, lengths: &[usize], scratch: &mut Scratch) {
        let tokens = lengths.iter().sum();
        self.project_keys_and_values(tokens, &(0..tokens), scratch);
        self.finish_cls(set, lengths, scratch);
    }

    /// What is left of [`run_cls`](Self::run_cls) when the keys and values of all tokens are there.
    pub(super) fn finish_cls(&self, set: InstructionSet, lengths: &[usize], scratch: &mut Scratch) {
        let mut first = 0;
        for (sequence, &length) in lengths.iter().enumerate() {
            // `sequence <= first`: the row that is overwritten is never needed again.
            let width = scratch.stride;
            scratch.states.as_mut_slice().copy_within(first * width..(first + 1) * width, sequence * width);
            first += length;
        }
        let sequences = lengths.len();
        let query_stride = row_stride(self.section(), 16);
        let states = Rows { numbers: scratch.states.as_slice(), stride: scratch.stride, count: sequences };
        let out = RowsMut { numbers: scratch.queries.grown(sequences * query_stride), stride: query_stride };
        self.projections.apply(states, 0..self.query_panels(), out, Then::Store, &mut scratch.quantized);
        let Scratch { queries, projections, context, attention, stride, .. } = scratch;
        let mut first = 0;
        for (sequence, &length) in lengths.iter().enumerate() {
            let query = queries.as_slice().get(sequence * query_stride..).unwrap_or_default();
            let query = Rows { numbers: query, stride: query_stride, count: 1 };
            let context = context.as_mut_slice().get_mut(sequence * *stride..).unwrap_or_default();
            let context = RowsMut { numbers: context, stride: *stride };
            self.attend(set, query, self.projected(projections, &(first..first + length)), context, attention);
            first += length;
        }
        self.feed_forward(set, &(0..sequences), scratch);
    }

    /// The queries, keys and values of some of `tokens` states.
    pub(super) fn project(&self, tokens: usize, rows: &Range<usize>, scratch: &mut Scratch) {
        self.project_from(0, tokens, rows, scratch);
    }

    pub(super) fn project_keys_and_values(&self, tokens: usize, rows: &Range<usize>, scratch: &mut Scratch) {
        self.project_from(self.query_panels(), tokens, rows, scratch);
    }

    /// From panel `first` on.
    fn project_from(&self, first: usize, tokens: usize, rows: &Range<usize>, scratch: &mut Scratch) {
        let stride = self.projection_stride();
        let states = scratch.states.as_slice().get(rows.start * scratch.stride..).unwrap_or_default();
        let states = Rows { numbers: states, stride: scratch.stride, count: rows.len() };
        let out = scratch.projections.grown(tokens * stride).get_mut(rows.start * stride..).unwrap_or_default();
        let out = RowsMut { numbers: out, stride };
        self.projections.apply(states, first..self.projections.panels(), out, Then::Store, &mut scratch.quantized);
    }

    /// The distance between the rows of the projections.
    pub(super) fn projection_stride(&self) -> usize {
        row_stride(self.projections.columns(), 16)
    }

    /// Where a row of the projections has its keys and values.
    pub(super) fn keys_and_values(&self) -> Range<usize> {
        self.section()..3 * self.section()
    }

    /// Numbers of a row's queries, and of its keys, and of its values.
    fn section(&self) -> usize {
        self.projections.columns() / 3
    }

    fn query_panels(&self) -> usize {
        self.projections.panels() / 3
    }

    /// Rows of the projections.
    fn projected<'p>(&self, projections: &'p Aligned<f32>, rows: &Range<usize>) -> Rows<'p, f32> {
        let stride = self.projection_stride();
        let numbers = projections.as_slice().get(rows.start * stride..).unwrap_or_default();
        Rows { numbers, stride, count: rows.len() }
    }

    /// The context of some rows of a sequence, from the projections of all of its rows.
    pub(super) fn attend_rows(
        &self,
        set: InstructionSet,
        sequence: &Range<usize>,
        rows: &Range<usize>,
        scratch: &mut Scratch,
    ) {
        let Scratch { projections, context, attention, stride, .. } = scratch;
        let context = context.as_mut_slice().get_mut(rows.start * *stride..).unwrap_or_default();
        let context = RowsMut { numbers: context, stride: *stride };
        let (queries, sequence) = (self.projected(projections, rows), self.projected(projections, sequence));
        self.attend(set, queries, sequence, context, attention);
    }

    /// In f32, or as finely as what follows in 8 bits can tell.
    fn attend(
        &self,
        set: InstructionSet,
        queries: Rows<'_, f32>,
        sequence: Rows<'_, f32>,
        context: RowsMut<'_, f32>,
        scratch: &mut AttentionScratch,
    ) {
        let part = |section: usize| Rows {
            numbers: sequence.numbers.get(section * self.section()..).unwrap_or_default(),
            ..sequence
        };
        let width = self.width / self.heads;
        let (keys, values) = (part(1), part(2));
        let attention = Attention { heads: self.heads, width, queries, keys, values, context, scratch };
        match self.projections.integers() {
            Some(integers) => attention.apply_rounded(integers),
            None => attention.apply(set),
        }
    }

    /// Everything after attention, which is a matter of each row by itself.
    pub(super) fn feed_forward(&self, set: InstructionSet, rows: &Range<usize>, scratch: &mut Scratch) {
        let stride = scratch.stride;
        let inner_stride = row_stride(self.intermediate.columns(), 16);
        let states = scratch.states.as_mut_slice().get_mut(rows.start * stride..).unwrap_or_default();
        let context = scratch.context.as_slice().get(rows.start * stride..).unwrap_or_default();
        let blocks = states.chunks_mut(BLOCK * stride).zip(context.chunks(BLOCK * stride));
        for (first, (states, context)) in rows.clone().step_by(BLOCK).zip(blocks) {
            let count = BLOCK.min(rows.end - first);
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
