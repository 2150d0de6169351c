//! What is in these files? Reads a model as Hugging Face and sentence-transformers lay it out, or a Marcato artifact,
//! and turns it into one canonical post-norm encoder. No arithmetic happens here.
//!
//! The canonical tensor names are BERT's own, as `transformers` saves them without a prefix
//! (`encoder.layer.0.attention.self.query.weight`); [`names`] maps other architectures onto them. A key, module or
//! activation that is not implemented is an error that names it; nothing is silently assumed.

mod artifact;
mod blob;
mod config;
mod files;
mod fingerprint;
mod head;
mod keys;
mod kind;
mod locate;
mod modules;
mod names;
mod quantize;
mod weights;

#[cfg(test)]
pub(crate) mod tests;

use std::path::Path;

#[cfg(any(feature = "builtin", test))]
pub(crate) use artifact::artifact_fingerprint;
pub(crate) use artifact::write_artifact;
pub(crate) use blob::Blob;
pub(crate) use config::{Activation, EncoderConfig};
pub(crate) use head::{CLASSIFIER, DENSE, Head};
pub use kind::ModelKind;
pub use locate::{LocalModel, ModelName, ModelSource, Models};
pub(crate) use modules::{Dense, Module, Pooling, PoolingMode, Prompts};
pub(crate) use weights::Weights;

use crate::error::Result;
use crate::similarity::Similarity;
use artifact::Card;
use files::ModelFiles;
use modules::{ModuleList, Modules, inside};

/// The numbers that a model's weights are kept in, and with it the stated agreement with the reference.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Precision {
    /// What the model carries: `Int8` for a quantized artifact, `F32` for a Hugging Face directory.
    #[default]
    Auto,
    /// Full weights: every component within 1e-5 of sentence-transformers.
    F32,
    /// s8 weights per output channel: cosine to `F32` about 0.999.
    Int8,
}

impl Precision {
    /// `"auto"`, `"f32"` or `"int8"`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::F32 => "f32",
            Self::Int8 => "int8",
        }
    }
}

/// A canonical encoder with the sentence-transformers modules after it, not yet bound to a backend.
pub(crate) struct Model {
    /// Where it came from, for messages: a path, or the artifact's name.
    pub(crate) name: String,
    /// `apache-2.0` and the like, where the files say.
    pub(crate) licence: Option<String>,
    pub(crate) config: EncoderConfig,
    pub(crate) weights: Weights,
    pub(crate) tokenizer: Blob,
    pub(crate) modules: Modules,
    /// Of a cross-encoder, whose modules are then no more than the state of the first token.
    pub(crate) head: Option<Head>,
    pub(crate) similarity: Similarity,
    /// `F32` or `Int8`, never `Auto`.
    pub(crate) precision: Precision,
    pub(crate) drift: Option<Drift>,
    pub(crate) score_drift: Option<ScoreDrift>,
    /// As an artifact states it; otherwise it has to be computed.
    fingerprint: Option<String>,
    files: ModelFiles,
}

/// How far a quantized model is from its full weights, measured when it was made: cosine over sample passages.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub struct Drift {
    /// The mean cosine.
    pub mean_cosine: f64,
    /// The smallest.
    pub min_cosine: f64,
}

/// How far a quantized cross-encoder is from its full weights, measured when it was made: the difference of logits,
/// before any activation, over sample pairs and labels.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub struct ScoreDrift {
    /// The mean of the absolute differences.
    pub mean_error: f64,
    /// The largest.
    pub max_error: f64,
}

impl Model {
    /// Reads a Hugging Face directory, or an artifact if `path` is a file; if nothing is there, the model of that name.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        Self::read(ModelFiles::open(path)?)
    }

    /// Reads an artifact that is part of the program.
    pub(crate) fn from_static(bytes: &'static [u8], name: &str) -> Result<Self> {
        Self::read(ModelFiles::artifact(Blob::from_static(bytes), Path::new(name))?)
    }

    fn read(files: ModelFiles) -> Result<Self> {
        let list = match ModelKind::detect(&files)? {
            ModelKind::BiEncoder => Some(ModuleList::parse(&files)?),
            ModelKind::CrossEncoder => None,
        };
        let folder = list.as_ref().map_or("", |list| list.transformer.as_str());
        let config = EncoderConfig::parse(&files, folder)?;
        let (modules, head) = match &list {
            Some(list) => (Modules::parse(&files, list, &config)?, None),
            None => {
                let head = Head::parse(&files, &config)?;
                (Modules::before(&head), Some(head))
            }
        };
        let weights = Weights::load(&files, folder, &config, &modules.after, head.as_ref())?;
        let tokenizer = files.required(&inside(folder, "tokenizer.json"))?;
        let Card { name, licence, drift, score_drift, fingerprint, similarity } = files.card();
        let precision = if weights.is_quantized() { Precision::Int8 } else { Precision::F32 };
        let similarity = similarity.unwrap_or_else(|| modules.similarity(&name));
        Ok(Self {
            name,
            licence,
            config,
            weights,
            tokenizer,
            modules,
            head,
            similarity,
            precision,
            drift,
            score_drift,
            fingerprint,
            files,
        })
    }

    /// What the model is for.
    pub(crate) const fn kind(&self) -> ModelKind {
        if self.head.is_some() { ModelKind::CrossEncoder } else { ModelKind::BiEncoder }
    }

    /// The same model with s8 weights, as an artifact of it would be.
    pub(crate) fn quantized(mut self) -> Result<Self> {
        if self.precision == Precision::F32 {
            self.weights = self.weights.quantized(&self.config)?;
            self.precision = Precision::Int8;
        }
        Ok(self)
    }

    /// The identity of everything that a vector depends on: weights, tokenizer, modules, limits. Stored in each
    /// collection, so that it never mixes two models (invariant M2). Hexadecimal sha256.
    pub(crate) fn fingerprint(&self) -> String {
        self.fingerprint.clone().unwrap_or_else(|| fingerprint::compute(self))
    }

    /// Numbers in the weights that are used, scales not counted.
    pub(crate) fn parameters(&self) -> usize {
        self.weights.iter().map(|(_, tensor)| tensor.elements()).sum()
    }

    pub(crate) fn files(&self) -> &ModelFiles {
        &self.files
    }
}
