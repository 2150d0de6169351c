//! A pair of texts to a score: a model's tokenizer, encoder and classification head joined into one call.

mod activation;
mod options;
mod quantize;

#[cfg(test)]
mod tests;

use std::fmt;
use std::path::Path;
use std::sync::Arc;

pub use activation::ScoreActivation;
pub use options::CrossEncoderOptions;
pub use quantize::QuantizedCrossEncoder;

use crate::encoder::{Batch, Chain, Engine, Wanted};
use crate::error::{Error, Result};
use crate::model::{Precision, ScoreDrift};
use crate::text::PairTokenizer;

/// A sentence-transformers cross-encoder, ready to run. Cheap to clone; `Send + Sync`; every call may run beside others.
///
/// It reads query and passage together, which is slower than comparing embeddings and tells better which passage
/// answers: let it rank the first hundred hits of a search. The score of a pair depends on that pair alone, never on
/// what is scored with it.
///
/// ```
/// use marcato::CrossEncoder;
/// // A tiny model with random weights: it shows the shapes, not which passage is better.
/// let model = CrossEncoder::open("tests/golden/cross_bert")?;
/// let scores = model.score(&[("How big is London?", "London has 9,787,426 inhabitants"), ("capital", "Paris")])?;
/// assert_eq!(scores.len(), 2);
///
/// let ranked = model.rank("How big is London?", &["Paris is a city", "London has 9,787,426 inhabitants"], 1)?;
/// assert_eq!(ranked.len(), 1);
/// println!("passage {} is the best, with {:.3}", ranked[0].index, ranked[0].score);
/// # Ok::<(), marcato::Error>(())
/// ```
#[derive(Clone)]
pub struct CrossEncoder(Arc<Inner>);

struct Inner {
    info: CrossEncoderInfo,
    tokenizer: PairTokenizer,
    engine: Engine,
    chain: Chain,
}

/// What a cross-encoder is.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct CrossEncoderInfo {
    /// Its name, or the name of its directory.
    pub name: String,
    /// `model_type` of its configuration, such as `bert`.
    pub architecture: String,
    /// Numbers in the weights that are used, the head's too.
    pub parameters: usize,
    /// Layers of the encoder.
    pub layers: usize,
    /// What its scores of a pair are called, in order; a reranker has one.
    pub labels: Vec<String>,
    /// What turns logits into scores: as it declares, or the caller's choice.
    pub activation: ScoreActivation,
    /// Tokens of a pair that count, special ones included.
    pub max_tokens: usize,
    /// What its weights are kept in.
    pub precision: Precision,
    /// For a quantized artifact, how far it is from the full weights.
    pub drift: Option<ScoreDrift>,
    /// Its licence, where the files say.
    pub licence: Option<String>,
    /// Changes whenever the score of any pair would.
    pub fingerprint: String,
}

/// A passage's place in a ranking.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Ranked {
    /// Which of the passages it is, counted from 0 in the order that they were given.
    pub index: usize,
    /// Its score; higher is better.
    pub score: f32,
}

impl CrossEncoder {
    /// The model in `path`: a directory as sentence-transformers or transformers saves one, or an artifact made by
    /// `marcato model quantize`.
    ///
    /// # Errors
    /// `NotFound`, `Io`, `Corrupt`, `Incompatible`, `Misuse` if it is a bi-encoder, or `Model` for whatever is malformed
    /// or not supported, by name.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::options().open(path)
    }

    /// Choices to make before opening.
    pub fn options() -> CrossEncoderOptions {
        CrossEncoderOptions::default()
    }

    /// What the model is.
    pub fn info(&self) -> &CrossEncoderInfo {
        &self.0.info
    }

    /// The vector instructions that it runs on, such as `avx512-vnni`: the best that this machine has for the model's
    /// precision.
    pub fn instruction_set(&self) -> &'static str {
        self.0.engine.instruction_set()
    }

    /// One score for each pair of query and passage, in order, from a model with one label.
    ///
    /// # Errors
    /// `Misuse` if the model has several labels: see [`score_labels`](Self::score_labels). `Model` for a pair that its
    /// tokenizer refuses, or a score that is not finite.
    pub fn score<Q: AsRef<str>, P: AsRef<str>>(&self, pairs: &[(Q, P)]) -> Result<Vec<f32>> {
        self.needs_one_label()?;
        Ok(self.score_labels(pairs)?.into_iter().flatten().collect())
    }

    /// As many scores for each pair as the model has labels: `[pairs][labels]`, in the order of
    /// [`labels`](CrossEncoderInfo::labels).
    ///
    /// # Errors
    /// `Model` for a pair that its tokenizer refuses, or a score that is not finite.
    pub fn score_labels<Q: AsRef<str>, P: AsRef<str>>(&self, pairs: &[(Q, P)]) -> Result<Vec<Vec<f32>>> {
        let pairs: Vec<Pair<'_>> = pairs.iter().map(|(query, passage)| (query.as_ref(), passage.as_ref())).collect();
        let mut scores = self.0.logits(&pairs)?;
        scores.iter_mut().for_each(|logits| self.0.info.activation.apply(logits));
        Ok(scores)
    }

    /// The best `top_k` of `passages` for `query`, best first; equal scores in the order given. `usize::MAX` ranks all.
    ///
    /// # Errors
    /// As [`score`](Self::score).
    pub fn rank(&self, query: &str, passages: &[impl AsRef<str>], top_k: usize) -> Result<Vec<Ranked>> {
        let pairs: Vec<Pair<'_>> = passages.iter().map(|passage| (query, passage.as_ref())).collect();
        let scores = self.score(&pairs)?;
        let mut ranked: Vec<Ranked> =
            scores.into_iter().enumerate().map(|(index, score)| Ranked { index, score }).collect();
        // Stable: equal scores keep their order.
        ranked.sort_by(|a, b| b.score.total_cmp(&a.score));
        ranked.truncate(top_k);
        Ok(ranked)
    }

    fn needs_one_label(&self) -> Result<()> {
        let CrossEncoderInfo { name, labels, .. } = self.info();
        if labels.len() == 1 {
            return Ok(());
        }
        Err(Error::misuse(format!(
            "model {name} has {} labels ({}), not one score: use score_labels",
            labels.len(),
            labels.join(", ")
        )))
    }
}

/// Query and passage.
type Pair<'a> = (&'a str, &'a str);

impl Inner {
    /// The logits of each pair, in order; pairs that are the same are computed once.
    fn logits(&self, pairs: &[Pair<'_>]) -> Result<Vec<Vec<f32>>> {
        let tokenize = |(query, passage): &Pair<'_>| self.tokenizer.encode(query, passage);
        self.engine.run(pairs, tokenize, Wanted::Cls, |batch, states| self.finish(batch, states))
    }

    /// The logits of each sequence of `batch` from the states of their first tokens.
    fn finish(&self, batch: &Batch, states: &[f32]) -> Result<Vec<Vec<f32>>> {
        let logits = self.chain.apply(states.to_vec(), batch.lengths.len());
        if logits.iter().any(|logit| !logit.is_finite()) {
            return Err(Error::model(format!("model {} gives a score that is not finite", self.info.name)));
        }
        Ok(logits.chunks(self.info.labels.len()).map(<[f32]>::to_vec).collect())
    }
}

impl fmt::Debug for CrossEncoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CrossEncoder").field(&self.0.info).finish()
    }
}
