//! Which sequences go through the encoder together.

use std::collections::HashMap;
use std::hash::Hash;

use crate::text::Tokens;

/// Sequences one after the other, without padding; at least one, each of at least one token.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Batch {
    /// Where each sequence came from: its place in the caller's list.
    pub(crate) places: Vec<usize>,
    /// Tokens of each sequence.
    pub(crate) lengths: Vec<usize>,
    /// The sequences' token ids, `sum(lengths)` in all.
    pub(crate) ids: Vec<u32>,
    /// The same of their token types.
    pub(crate) type_ids: Vec<u32>,
}

impl Batch {
    /// The row of the position table that each token has; see [`EncoderConfig::padding`](crate::model::EncoderConfig).
    pub(super) fn position_rows(&self, padding: Option<u32>) -> impl Iterator<Item = usize> {
        let mut rest = self.ids.as_slice();
        self.lengths.iter().flat_map(move |length| {
            let (sequence, after) = rest.split_at_checked(*length).unwrap_or_default();
            rest = after;
            let mut next = usize::from(padding.is_some());
            sequence.iter().map(move |id| {
                if padding == Some(*id) {
                    return 0;
                }
                next += 1;
                next - 1
            })
        })
    }

    fn push(&mut self, place: usize, tokens: &Tokens) {
        self.places.push(place);
        self.lengths.push(tokens.ids.len());
        self.ids.extend_from_slice(&tokens.ids);
        self.type_ids.extend_from_slice(&tokens.type_ids);
    }
}

/// Each text once, in the order of first appearance, and for each of `texts` its place among those.
pub(crate) fn distinct<S: Copy + Eq + Hash>(texts: &[S]) -> (Vec<S>, Vec<usize>) {
    let (mut distinct, mut seen) = (Vec::new(), HashMap::new());
    let place = |text: &S| {
        *seen.entry(*text).or_insert_with(|| {
            distinct.push(*text);
            distinct.len() - 1
        })
    };
    let places = texts.iter().map(place).collect();
    (distinct, places)
}

/// No share is smaller: with fewer rows, reading the weights takes as long as multiplying with them.
const SHARE_TOKENS: usize = 64;

/// Batches of at most `budget` tokens (or one sequence), longest first.
pub(crate) fn plan(sequences: &[Tokens], budget: usize) -> Vec<Batch> {
    plan_for_threads(sequences, budget, 1)
}

/// The same for `threads` that take one batch after another, in order: none with several sequences has more tokens than
/// each thread's share of those that are left (or [`SHARE_TOKENS`]), so that all threads end together.
pub(crate) fn plan_for_threads(sequences: &[Tokens], budget: usize, threads: usize) -> Vec<Batch> {
    let mut order: Vec<(usize, &Tokens)> = sequences.iter().enumerate().collect();
    order.sort_by_key(|(place, tokens)| (std::cmp::Reverse(tokens.ids.len()), *place));
    let mut left: usize = sequences.iter().map(|tokens| tokens.ids.len()).sum();
    let mut batches: Vec<Batch> = Vec::new();
    let mut room = 0;
    for (place, tokens) in order {
        let length = tokens.ids.len();
        match batches.last_mut() {
            Some(batch) if batch.ids.len() + length <= room => batch.push(place, tokens),
            _ => {
                room = budget.min(left.div_ceil(threads).max(SHARE_TOKENS));
                let mut batch = Batch::default();
                batch.push(place, tokens);
                batches.push(batch);
            }
        }
        left -= length;
    }
    batches
}
