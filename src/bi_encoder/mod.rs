//! Text to embedding: a model's tokenizer, encoder, pooling and normalisation joined into one call.

mod encoder;
mod options;
mod quantize;

#[cfg(test)]
mod tests;

use std::fmt;
use std::path::Path;
use std::sync::Arc;

pub use encoder::Encoder;
pub use options::BiEncoderOptions;
pub use quantize::{Quantized, quantize};

use crate::embedding::Embedding;
use crate::encoder::{Batch, Engine, Wanted, normalize, pool};
use crate::error::Result;
use crate::model::{Drift, Pooling, Precision, Prompts};
use crate::similarity::Similarity;
use crate::text::{Tokenizer, Tokens};

/// A sentence-transformers bi-encoder, ready to run. Cheap to clone; `Send + Sync`; every call may run beside others.
///
/// The vector of a text depends on that text alone, never on what is encoded with it.
///
/// ```
/// # #[cfg(feature = "builtin")] {
/// use marcato::{BiEncoder, Encoder};
/// let encoder = BiEncoder::builtin()?;
/// let passages = encoder.encode_passages(&["The cat sits outside", "A plane is taking off"])?;
/// let query = &encoder.encode_queries(&["Where is the pet?"])?[0];
/// let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
/// assert!(dot(query, &passages[0]) > dot(query, &passages[1]));
/// # }
/// # Ok::<(), marcato::Error>(())
/// ```
#[derive(Clone)]
pub struct BiEncoder(Arc<Inner>);

struct Inner {
    info: ModelInfo,
    tokenizer: Tokenizer,
    engine: Engine,
    pooling: Pooling,
    normalize: bool,
    prompts: Prompts,
}

/// What a model is.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ModelInfo {
    /// Its name, or the name of its directory.
    pub name: String,
    /// `model_type` of its configuration, such as `bert`.
    pub architecture: String,
    /// Numbers in the weights that are used.
    pub parameters: usize,
    /// Layers of the encoder.
    pub layers: usize,
    /// Numbers per embedding.
    pub dimension: usize,
    /// How token states become one vector: `mean` or `cls`.
    pub pooling: String,
    /// Whether embeddings have unit length.
    pub normalized: bool,
    /// The similarity that it declares, or the caller's choice.
    pub similarity: Similarity,
    /// Tokens of a text that count.
    pub max_tokens: usize,
    /// What its weights are kept in.
    pub precision: Precision,
    /// For a quantized artifact, how far it is from the full weights.
    pub drift: Option<Drift>,
    /// Its licence, where the files say.
    pub licence: Option<String>,
    /// Changes whenever the vector of any text would.
    pub fingerprint: String,
}

impl BiEncoder {
    /// The model inside the program: all-MiniLM-L6-v2, 384 numbers, 256 tokens, cosine.
    ///
    /// # Errors
    /// None in a sound build; `Corrupt` if the program's file was damaged.
    #[cfg(feature = "builtin")]
    pub fn builtin() -> Result<Self> {
        Self::options().builtin()
    }

    /// The model in `path`: a sentence-transformers directory, or an artifact made by `marcato model quantize`.
    ///
    /// # Errors
    /// `NotFound`, `Io`, `Corrupt`, `Incompatible`, or `Model` for whatever is malformed or not supported, by name.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::options().open(path)
    }

    /// Choices to make before opening.
    pub fn options() -> BiEncoderOptions {
        BiEncoderOptions::default()
    }

    /// What the model is.
    pub fn info(&self) -> &ModelInfo {
        &self.0.info
    }

    /// How many tokens of `text` reach its embedding when it is encoded as a passage, special ones and the model's
    /// prompt included: [`max_tokens`](ModelInfo::max_tokens) at most.
    ///
    /// # Errors
    /// `Model` if the tokenizer refuses the text.
    pub fn count_tokens(&self, text: &str) -> Result<usize> {
        Ok(self.0.tokenize(text, &self.0.prompts.passage)?.ids.len())
    }

    /// The vector instructions that it runs on, such as `avx512-vnni`: the best that this machine has for the model's
    /// precision.
    pub fn instruction_set(&self) -> &'static str {
        self.0.engine.instruction_set()
    }
}

impl Encoder for BiEncoder {
    fn encode_queries(&self, texts: &[&str]) -> Result<Vec<Embedding>> {
        self.0.encode(texts, &self.0.prompts.query)
    }

    fn encode_passages(&self, texts: &[&str]) -> Result<Vec<Embedding>> {
        self.0.encode(texts, &self.0.prompts.passage)
    }

    fn dimension(&self) -> usize {
        self.0.info.dimension
    }

    fn similarity(&self) -> Similarity {
        self.0.info.similarity
    }

    fn fingerprint(&self) -> &str {
        &self.0.info.fingerprint
    }

    fn max_tokens(&self) -> usize {
        self.0.info.max_tokens
    }

    fn name(&self) -> &str {
        &self.0.info.name
    }
}

/// The fingerprint of the built-in model, without loading it.
#[cfg(feature = "builtin")]
pub(crate) fn builtin_fingerprint() -> Result<String> {
    crate::model::artifact_fingerprint(marcato_builtin::ARTIFACT)
}

impl Inner {
    fn encode(&self, texts: &[&str], prompt: &str) -> Result<Vec<Embedding>> {
        let tokenize = |text: &&str| self.tokenize(text, prompt);
        let wanted = match self.pooling {
            Pooling::Cls => Wanted::Cls,
            Pooling::Mean => Wanted::All,
        };
        self.engine.run(texts, tokenize, wanted, |batch, states| self.embed(batch, wanted, states))
    }

    fn tokenize(&self, text: &str, prompt: &str) -> Result<Tokens> {
        if prompt.is_empty() { self.tokenizer.encode(text) } else { self.tokenizer.encode(&format!("{prompt}{text}")) }
    }

    /// The embedding of each sequence of `batch` from its states.
    fn embed(&self, batch: &Batch, wanted: Wanted, states: &[f32]) -> Result<Vec<Embedding>> {
        let width = self.info.dimension;
        let mut rest = states;
        let embed = |length: &usize| {
            let rows = if wanted == Wanted::Cls { 1 } else { *length };
            let (sequence, after) = rest.split_at_checked(rows * width).unwrap_or_default();
            rest = after;
            let mut vector = pool(sequence, width, self.pooling);
            if self.normalize {
                normalize(&mut vector);
            }
            Embedding::new(vector)
        };
        batch.lengths.iter().map(embed).collect()
    }
}

impl fmt::Debug for BiEncoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("BiEncoder").field(&self.0.info).finish()
    }
}
