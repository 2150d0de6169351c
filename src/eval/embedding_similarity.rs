//! Do similar sentences have similar embeddings? sentence-transformers' `EmbeddingSimilarityEvaluator`.

use super::{pearson, spearman};
use crate::Encoder;
use crate::embedding::Embedding;
use crate::error::{Error, Result};

/// Two sentences, and how alike people find them (any scale, higher is more alike).
#[derive(Clone, Debug, PartialEq)]
pub struct SimilarPair {
    /// One of them.
    pub sentence1: String,
    /// The other.
    pub sentence2: String,
    /// The judgement; finite.
    pub score: f64,
}

/// Correlates the similarity of embeddings with that of human judgement, as on the STS benchmark.
///
/// ```
/// # #[cfg(feature = "builtin")] {
/// use marcato::BiEncoder;
/// use marcato::eval::{EmbeddingSimilarityEvaluator, SimilarPair};
/// let pair = |a: &str, b: &str, score| SimilarPair { sentence1: a.into(), sentence2: b.into(), score };
/// let evaluator = EmbeddingSimilarityEvaluator::new([
///     pair("A man plays the guitar", "Someone is playing a guitar", 4.8),
///     pair("A man plays the guitar", "A boy eats an apple", 0.4),
///     pair("A plane takes off", "An aircraft is departing", 4.6),
/// ]);
/// assert!(evaluator.evaluate(&BiEncoder::builtin()?)?.cosine.pearson > 0.9);
/// # }
/// # Ok::<(), marcato::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct EmbeddingSimilarityEvaluator {
    pairs: Vec<SimilarPair>,
}

/// How well a similarity of embeddings agrees with judgements.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Correlation {
    /// Pearson's r.
    pub pearson: f64,
    /// Spearman's rho.
    pub spearman: f64,
}

/// The correlation by each similarity. Distances are negated, so that higher is more alike everywhere.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct EmbeddingSimilarity {
    /// By the cosine.
    pub cosine: Correlation,
    /// By the inner product.
    pub dot: Correlation,
    /// By the Euclidean distance.
    pub euclidean: Correlation,
    /// By the Manhattan distance.
    pub manhattan: Correlation,
}

impl EmbeddingSimilarityEvaluator {
    /// Over these pairs.
    pub fn new(pairs: impl IntoIterator<Item = SimilarPair>) -> Self {
        Self { pairs: pairs.into_iter().collect() }
    }

    /// Encodes both sentences of each pair, as passages, and correlates.
    ///
    /// # Errors
    /// The encoder's; `Misuse` as [`EmbeddingSimilarity::of`].
    pub fn evaluate(&self, encoder: &(impl Encoder + ?Sized)) -> Result<EmbeddingSimilarity> {
        let encode = |sentence: fn(&SimilarPair) -> &str| {
            encoder.encode_passages(&self.pairs.iter().map(sentence).collect::<Vec<_>>())
        };
        let scores: Vec<f64> = self.pairs.iter().map(|pair| pair.score).collect();
        EmbeddingSimilarity::of(&encode(|pair| &pair.sentence1)?, &encode(|pair| &pair.sentence2)?, &scores)
    }
}

impl EmbeddingSimilarity {
    /// Correlates the similarity of `first[n]` and `second[n]` with `scores[n]`.
    ///
    /// # Errors
    /// `Misuse` for lengths or widths that differ, and where a correlation is not defined: fewer than two pairs, scores
    /// or similarities that are all equal, scores that are not finite.
    pub fn of(first: &[Embedding], second: &[Embedding], scores: &[f64]) -> Result<Self> {
        if first.len() != scores.len() || second.len() != scores.len() {
            return Err(Error::misuse(format!(
                "{} and {} embeddings for {} scores; there must be as many of each",
                first.len(),
                second.len(),
                scores.len()
            )));
        }
        if let Some((a, b)) = first.iter().zip(second).find(|(a, b)| a.len() != b.len()) {
            return Err(Error::misuse(format!("a pair of embeddings of {} and {} numbers", a.len(), b.len())));
        }
        let correlate = |similarity: fn(&[f32], &[f32]) -> f64| {
            let similarities: Vec<f64> = first.iter().zip(second).map(|(a, b)| similarity(a, b)).collect();
            Ok(Correlation { pearson: pearson(scores, &similarities)?, spearman: spearman(scores, &similarities)? })
        };
        Ok(Self {
            cosine: correlate(|a, b| {
                let norms = dot(a, a).sqrt() * dot(b, b).sqrt();
                // A vector without direction is like nothing.
                if norms > 0.0 { dot(a, b) / norms } else { 0.0 }
            })?,
            dot: correlate(dot)?,
            euclidean: correlate(|a, b| -sum(a, b, |a, b| (a - b).powi(2)).sqrt())?,
            manhattan: correlate(|a, b| -sum(a, b, |a, b| (a - b).abs()))?,
        })
    }

    /// The greatest Pearson's r and the greatest Spearman's rho: `pearson_max` and `spearman_max`.
    pub fn max(&self) -> Correlation {
        let all = [self.cosine, self.dot, self.euclidean, self.manhattan];
        let max = |of: fn(&Correlation) -> f64| all.iter().map(of).fold(f64::NEG_INFINITY, f64::max);
        Correlation { pearson: max(|of| of.pearson), spearman: max(|of| of.spearman) }
    }
}

fn dot(a: &[f32], b: &[f32]) -> f64 {
    sum(a, b, |a, b| a * b)
}

fn sum(a: &[f32], b: &[f32], term: impl Fn(f64, f64) -> f64) -> f64 {
    a.iter().zip(b).map(|(a, b)| term(f64::from(*a), f64::from(*b))).sum()
}
