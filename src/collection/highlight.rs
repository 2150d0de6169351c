//! Why a passage was found: its best sentence, and where the query's words are.

use std::ops::Range;

use unicode_segmentation::UnicodeSegmentation;

use super::Inner;
use super::diversify::dot;
use super::fuse::Mode;
use crate::embedding::Embedding;
use crate::error::Result;

/// Sentences of a passage that are looked at: a book in one passage would be encoded whole otherwise.
const MAX_SENTENCES: usize = 64;

/// Places in the text of a hit, in bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Highlight {
    /// The sentence nearest to the query: by its embedding, or by its words where only words were searched or nothing
    /// can be encoded. Sentences end where Unicode says; of a long text the first 64 are looked at.
    pub sentence: Range<usize>,
    /// The words of the query, reduced to stems as in the search, in order.
    pub words: Vec<Range<usize>>,
}

/// What highlights the hits of one query.
#[derive(Clone, Debug)]
pub(super) struct Highlighter {
    text: Option<String>,
    /// `None` where sentences are compared by their words.
    embedding: Option<Embedding>,
}

impl Highlighter {
    pub(super) fn new(inner: &Inner, mode: Mode, text: Option<&str>, embedding: Option<&Embedding>) -> Self {
        let embedding = embedding.filter(|_| mode != Mode::Lexical && inner.encoder.get().is_ok());
        Self { text: text.map(str::to_owned), embedding: embedding.cloned() }
    }

    /// A highlight for each text, all their sentences encoded together.
    pub(super) fn highlights(&self, inner: &Inner, texts: &[&str]) -> Result<Vec<Highlight>> {
        let sentences: Vec<Vec<Range<usize>>> = texts.iter().map(|text| sentences(text)).collect();
        let words: Vec<Vec<Range<usize>>> = texts.iter().map(|text| self.words(inner, text)).collect();
        let mut scores = match &self.embedding {
            Some(query) => {
                let spans = texts.iter().zip(&sentences);
                let all: Vec<&str> = spans
                    .flat_map(|(text, ranges)| ranges.iter().filter_map(move |range| text.get(range.clone())))
                    .collect();
                let encoded = inner.encoder.get()?.encode_passages(&all)?;
                encoded.iter().map(|sentence| dot(query, sentence) / dot(sentence, sentence).sqrt()).collect()
            }
            None => {
                let inside = |sentence: &Range<usize>, words: &[Range<usize>]| {
                    words.iter().filter(|word| sentence.contains(&word.start)).count() as f32
                };
                let all = sentences.iter().zip(&words);
                all.flat_map(|(ranges, words)| ranges.iter().map(move |range| inside(range, words)))
                    .collect::<Vec<f32>>()
            }
        }
        .into_iter();
        let best = |ranges: Vec<Range<usize>>| {
            let scored = ranges.into_iter().zip(&mut scores);
            // The first of the best.
            let best = scored.fold(None, |best: Option<(Range<usize>, f32)>, (range, score)| match best {
                Some((_, most)) if score.total_cmp(&most).is_le() => best,
                _ => Some((range, score)),
            });
            best.map_or(0..0, |(range, _)| range)
        };
        let sentences: Vec<Range<usize>> = sentences.into_iter().map(best).collect();
        Ok(sentences.into_iter().zip(words).map(|(sentence, words)| Highlight { sentence, words }).collect())
    }

    #[cfg(feature = "lexical")]
    fn words(&self, inner: &Inner, text: &str) -> Vec<Range<usize>> {
        let analysis = crate::lexical::Analysis::new(inner.lexical.language().unwrap_or_default());
        self.text.as_deref().map(|query| analysis.matches(query, text)).unwrap_or_default()
    }

    #[cfg(not(feature = "lexical"))]
    fn words(&self, _inner: &Inner, _text: &str) -> Vec<Range<usize>> {
        Vec::new()
    }
}

/// Where the sentences of a text are, without the blanks around them.
fn sentences(text: &str) -> Vec<Range<usize>> {
    let trimmed = text.split_sentence_bound_indices().map(|(start, sentence)| {
        let start = start + (sentence.len() - sentence.trim_start().len());
        start..start + sentence.trim().len()
    });
    trimmed.filter(|range| !range.is_empty()).take(MAX_SENTENCES).collect()
}
