//! Text to embedding: a model's tokenizer, encoder, pooling and normalisation joined into one call.

mod encoder;
mod options;
mod quantize;
mod recall;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

pub use encoder::Encoder;
pub use options::BiEncoderOptions;
pub use quantize::{Quantized, quantize};
pub(crate) use recall::Recalled;

use crate::embedding::Embedding;
use crate::encoder::{Batch, Chain, Engine, Wanted, pool};
use crate::error::{Error, Result};
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
    /// Numbers per token state.
    width: usize,
    pooling: Pooling,
    chain: Chain,
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
    /// How token states become one vector: `cls`, `max`, `mean`, `mean_sqrt_len_tokens`, `weightedmean` or `lasttoken`,
    /// or several of them with `+` between, whose vectors come one after the other.
    pub pooling: String,
    /// Whether embeddings have unit length.
    pub normalized: bool,
    /// What its configuration puts before texts, by name.
    pub prompts: BTreeMap<String, String>,
    /// The name of the prompt for texts of which nothing else is said.
    pub default_prompt_name: Option<String>,
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

    /// The model in a path, which is a sentence-transformers directory or an artifact made by `marcato model quantize`;
    /// or if nothing is there, the model of that [name](crate::ModelName) on this machine, such as
    /// `sentence-transformers/msmarco-MiniLM-L6-v3`. [`Models`](crate::Models) says where it is looked for. The network
    /// is never asked: `marcato model pull NAME` does that.
    ///
    /// # Errors
    /// `NotFound`, `Io`, `Corrupt`, `Incompatible`, or `Model` for whatever is malformed or not supported, by name.
    pub fn open(model: impl AsRef<Path>) -> Result<Self> {
        Self::options().open(model)
    }

    /// Choices to make before opening.
    pub fn options() -> BiEncoderOptions {
        BiEncoderOptions::default()
    }

    /// One embedding per text, in order, with the prompt that the model's configuration calls `prompt_name`, or with
    /// its default prompt, if it has one. [`encode_queries`](Encoder::encode_queries) and
    /// [`encode_passages`](Encoder::encode_passages) are for search: they have prompts of their own and no default.
    ///
    /// # Errors
    /// `Misuse` if the model has no prompt of that name; otherwise as those.
    pub fn encode(&self, texts: &[&str], prompt_name: Option<&str>) -> Result<Vec<Embedding>> {
        self.0.encode(texts, self.0.prompt(prompt_name)?)
    }

    /// What the model is.
    pub fn info(&self) -> &ModelInfo {
        &self.0.info
    }

    /// How many tokens the encoder runs for `text` as a passage, special ones and the model's prompt included:
    /// [`max_tokens`](ModelInfo::max_tokens) at most.
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
        // Pooled away where the model says so, which is of no text without one.
        let prompt_tokens = match prompt {
            "" => 0,
            _ if self.pooling.include_prompt => 0,
            prompt => self.tokenizer.prompt_tokens(prompt)?,
        };
        let tokenize = |text: &&str| self.tokenize(text, prompt);
        let wanted = if self.pooling.is_cls_alone(prompt_tokens) { Wanted::Cls } else { Wanted::All };
        self.engine.run(texts, tokenize, wanted, |batch, states| self.embed(batch, wanted, states, prompt_tokens))
    }

    fn prompt(&self, name: Option<&str>) -> Result<&str> {
        let Prompts { named, default, .. } = &self.prompts;
        match (name, default) {
            (None, None) => Ok(""),
            (None, Some(default)) => Ok(named.get(default).map_or("", String::as_str)),
            (Some(name), _) => match named.get(name) {
                Some(prompt) => Ok(prompt.as_str()),
                // Which every model of the reference has, if only as the empty text.
                None if name == "query" || name == "document" => Ok(""),
                None => {
                    let all = named.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
                    let all = if all.is_empty() { "none".to_owned() } else { all };
                    Err(Error::misuse(format!("model {} has no prompt \"{name}\"; it has: {all}", self.info.name)))
                }
            },
        }
    }

    fn tokenize(&self, text: &str, prompt: &str) -> Result<Tokens> {
        if prompt.is_empty() { self.tokenizer.encode(text) } else { self.tokenizer.encode(&format!("{prompt}{text}")) }
    }

    /// The embedding of each sequence of `batch` from its states.
    fn embed(&self, batch: &Batch, wanted: Wanted, states: &[f32], prompt_tokens: usize) -> Result<Vec<Embedding>> {
        let mut rest = states;
        let pool = |length: &usize| {
            let rows = if wanted == Wanted::Cls { 1 } else { *length };
            let (sequence, after) = rest.split_at_checked(rows * self.width).unwrap_or_default();
            rest = after;
            pool(sequence, self.width, &self.pooling, prompt_tokens)
        };
        let pooled = batch.lengths.iter().flat_map(pool).collect();
        let vectors = self.chain.apply(pooled, batch.lengths.len());
        let embedding = |vector: &[f32]| {
            Embedding::new(vector).map_err(|source| {
                Error::model(format!("model {} gives an embedding that is not finite", self.info.name))
                    .with_source(source)
            })
        };
        vectors.chunks(self.info.dimension).map(embedding).collect()
    }
}

impl fmt::Debug for BiEncoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("BiEncoder").field(&self.0.info).finish()
    }
}
