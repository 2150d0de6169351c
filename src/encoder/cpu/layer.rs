//! One layer of the encoder: attention and feed-forward, each followed by the residual and its LayerNorm.

use std::ops::Range;

use super::cls::ClsAttention;
use super::linear::Linear;
use super::scratch::Scratch;
use crate::encoder::{Wanted, then};
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
    /// In the place of keys and values where first tokens alone are of use: in the last layer, if that is expected.
    cls: Option<ClsAttention>,
    attention_output: Linear,
    attention_norm: LayerNorm,
    intermediate: Linear,
    activation: Then,
    output: Linear,
    output_norm: LayerNorm,
}

impl Layer {
    /// Layer `index`, of which `wanted` is expected to be asked.
    pub(super) fn load(
        set: InstructionSet,
        config: &EncoderConfig,
        weights: &Weights,
        index: usize,
        wanted: Wanted,
    ) -> Result<Self> {
        let layer = format!("encoder.layer.{index}");
        let name = |part: &str| format!("{layer}.{part}");
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
        let cls = match wanted {
            Wanted::Cls => Some(ClsAttention::load(set, output.integers(), config, weights, &layer)?),
            Wanted::All => None,
        };
        Ok(Self {
            heads: config.heads,
            width,
            projections: linear(width, &["attention.self.query", "attention.self.key", "attention.self.value"])?,
            cls,
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

    /// The states that are wanted of the last layer.
    pub(super) fn run_last(&self, set: InstructionSet, lengths: &[usize], wanted: Wanted, scratch: &mut Scratch) {
        match wanted {
            Wanted::All => self.run(set, lengths, scratch),
            Wanted::Cls => self.run_cls(set, lengths, scratch),
        }
    }

    /// Only the first token of each sequence; afterwards its state is row `i` of the states, `i` being the sequence's
    /// place.
    fn run_cls(&self, set: InstructionSet, lengths: &[usize], scratch: &mut Scratch) {
        let Some(cls) = &self.cls else {
            self.run(set, lengths, scratch);
            return keep_first_tokens(lengths, scratch);
        };
        let sequences = lengths.len();
        let tokens = lengths.iter().sum();
        let Scratch { states, context, stride, queries, quantized, attention, cls: room, .. } = scratch;
        let stride = *stride;
        let states = Rows { numbers: states.as_slice(), stride, count: tokens };
        // The states have to stay where they are until attention is done.
        let firsts = context.as_mut_slice();
        for (first, row) in starts(lengths).zip(firsts.chunks_mut(stride)) {
            row.copy_from_slice(states.numbers.get(first * stride..(first + 1) * stride).unwrap_or_default());
        }
        let firsts = Rows { numbers: &*firsts, stride, count: sequences };
        let query_stride = row_stride(self.section(), 16);
        let queries = queries.grown(sequences * query_stride);
        let out = RowsMut { numbers: &mut *queries, stride: query_stride };
        self.projections.apply(firsts, 0..self.query_panels(), out, Then::Store, quantized);
        let queries = Rows { numbers: &*queries, stride: query_stride, count: sequences };
        let context = RowsMut { numbers: context.as_mut_slice(), stride };
        cls.apply(lengths, queries, states, context, (room, attention));
        keep_first_tokens(lengths, scratch);
        self.feed_forward(set, &(0..sequences), scratch);
    }

    /// The queries, keys and values of some of `tokens` states.
    pub(super) fn project(&self, tokens: usize, rows: &Range<usize>, scratch: &mut Scratch) {
        let stride = self.projection_stride();
        let states = scratch.states.as_slice().get(rows.start * scratch.stride..).unwrap_or_default();
        let states = Rows { numbers: states, stride: scratch.stride, count: rows.len() };
        let out = scratch.projections.grown(tokens * stride).get_mut(rows.start * stride..).unwrap_or_default();
        let out = RowsMut { numbers: out, stride };
        self.projections.apply(states, 0..self.projections.panels(), out, Then::Store, &mut scratch.quantized);
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

/// The row of each sequence's first token.
fn starts(lengths: &[usize]) -> impl Iterator<Item = usize> {
    lengths.iter().scan(0, |next, length| {
        let start = *next;
        *next += length;
        Some(start)
    })
}

/// Moves the first token's state of each sequence to the row of the sequence's place.
fn keep_first_tokens(lengths: &[usize], scratch: &mut Scratch) {
    let stride = scratch.stride;
    for (place, first) in starts(lengths).enumerate() {
        // `place <= first`: the row that is overwritten is never needed again.
        scratch.states.as_mut_slice().copy_within(first * stride..(first + 1) * stride, place * stride);
    }
}
