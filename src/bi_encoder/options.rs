//! How a bi-encoder is opened; every default with its reason.

use std::path::Path;
use std::sync::Arc;

use super::{BiEncoder, Inner, ModelInfo};
use crate::encoder::{BackendKind, Chain, EngineOptions, InstructionLevel};
use crate::error::Result;
use crate::model::{Model, ModelKind, Precision};
use crate::similarity::Similarity;
use crate::text::Tokenizer;

/// Choices to make before opening a [`BiEncoder`].
///
/// ```
/// # #[cfg(feature = "builtin")] {
/// use marcato::BiEncoder;
/// let encoder = BiEncoder::options().threads(1).builtin()?;
/// assert_eq!(encoder.info().dimension, 384);
/// # }
/// # Ok::<(), marcato::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct BiEncoderOptions {
    engine: EngineOptions,
    similarity: Option<Similarity>,
}

impl BiEncoderOptions {
    /// What to keep the weights in; the model's own by default.
    pub fn precision(mut self, precision: Precision) -> Self {
        self.engine.precision = precision;
        self
    }

    /// What runs the forward pass; Marcato's own by default.
    pub fn backend(mut self, backend: BackendKind) -> Self {
        self.engine.backend = backend;
        self
    }

    /// Threads that encode, 1 or more; all cores by default.
    pub fn threads(mut self, threads: usize) -> Self {
        self.engine.threads = Some(threads);
        self
    }

    /// The vector instructions to run on, to reproduce another machine's results; the best there are by default, or those
    /// of the environment variable `MARCATO_ISA`. A level that this machine lacks is `Misuse` on opening.
    pub fn instructions(mut self, level: InstructionLevel) -> Self {
        self.engine.instructions = Some(level);
        self
    }

    /// Tokens that one thread takes at once; 256 by default. Changes speed and memory, never a vector.
    pub fn batch_tokens(mut self, tokens: usize) -> Self {
        self.engine.batch_tokens = Some(tokens);
        self
    }

    /// Another similarity than the model declares.
    pub fn similarity(mut self, similarity: Similarity) -> Self {
        self.similarity = Some(similarity);
        self
    }

    /// The model inside the program.
    ///
    /// # Errors
    /// As [`BiEncoder::builtin`]; `Misuse` for options that cannot be met.
    #[cfg(feature = "builtin")]
    pub fn builtin(self) -> Result<BiEncoder> {
        self.build(Model::from_static(marcato_builtin::ARTIFACT, "built-in")?)
    }

    /// The model in `path`, a directory or an artifact.
    ///
    /// # Errors
    /// As [`BiEncoder::open`]; `Misuse` for options that cannot be met.
    pub fn open(self, path: impl AsRef<Path>) -> Result<BiEncoder> {
        self.build(Model::open(path.as_ref())?)
    }

    pub(super) fn build(self, model: Model) -> Result<BiEncoder> {
        model.kind().expect(ModelKind::BiEncoder, &model.name)?;
        let model = self.engine.precise(model)?;
        let (config, modules, json) = (&model.config, &model.modules, model.tokenizer.as_slice());
        let tokenizer = || Tokenizer::new(json, modules.max_tokens, modules.lowercase, config.vocabulary);
        let (engine, tokenizer) = self.engine.engine_and(&model, tokenizer)?;
        let info = ModelInfo {
            name: model.name.clone(),
            architecture: config.architecture.name().to_owned(),
            parameters: model.parameters(),
            layers: config.layers,
            dimension: modules.dimension(config.width),
            pooling: modules.pooling.name(),
            normalized: modules.is_normalized(),
            prompts: modules.prompts.named.clone(),
            default_prompt_name: modules.prompts.default.clone(),
            similarity: self.similarity.unwrap_or(model.similarity),
            max_tokens: modules.max_tokens,
            precision: model.precision,
            drift: model.drift,
            licence: model.licence.clone(),
            fingerprint: model.fingerprint(),
        };
        Ok(BiEncoder(Arc::new(Inner {
            info,
            tokenizer,
            engine,
            width: config.width,
            pooling: modules.pooling.clone(),
            chain: Chain::load(&modules.after, &model.weights)?,
            prompts: modules.prompts.clone(),
        })))
    }
}
