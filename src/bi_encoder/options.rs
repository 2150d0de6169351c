//! How a bi-encoder is opened; every default with its reason.

use std::num::NonZero;
use std::path::Path;
use std::sync::Arc;

use super::{BiEncoder, Inner, ModelInfo};
use crate::encoder::{Backend, CandleBackend, CpuBackend};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Model, Precision};
use crate::similarity::Similarity;
use crate::text::Tokenizer;

/// Tokens that go through the encoder at once on one thread: enough rows to keep the matrix products busy, few enough
/// for their intermediate results to stay in a core's cache (256 was the fastest of 128 to 512 on Sapphire Rapids).
const BATCH_TOKENS: usize = 256;

/// What runs the encoder's forward pass. Both take the same weights and agree within the precision's stated error.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum BackendKind {
    /// Marcato's own: fused, without padding, in f32 or in 8-bit integers as the weights are.
    #[default]
    Cpu,
    /// `candle-transformers`, always in f32: the reference.
    Candle,
}

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
    backend: BackendKind,
    precision: Precision,
    threads: Option<usize>,
    batch_tokens: Option<usize>,
    similarity: Option<Similarity>,
}

impl BiEncoderOptions {
    /// What to keep the weights in; the model's own by default.
    pub fn precision(mut self, precision: Precision) -> Self {
        self.precision = precision;
        self
    }

    /// What runs the forward pass; Marcato's own by default.
    pub fn backend(mut self, backend: BackendKind) -> Self {
        self.backend = backend;
        self
    }

    /// Threads that encode, 1 or more; all cores by default.
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = Some(threads);
        self
    }

    /// Tokens that one thread takes at once; 256 by default. Changes speed and memory, never a vector.
    pub fn batch_tokens(mut self, tokens: usize) -> Self {
        self.batch_tokens = Some(tokens);
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
        let model = match self.precision {
            Precision::Int8 => model.quantized()?,
            Precision::F32 if model.precision != Precision::F32 => {
                return Err(Error::misuse(format!(
                    "model {} carries int8 weights only; open the directory with its full weights for f32",
                    model.name
                )));
            }
            Precision::F32 | Precision::Auto => model,
        };
        let threads = match self.threads {
            Some(0) => return Err(Error::misuse("an encoder needs at least one thread")),
            Some(threads) => threads,
            None => std::thread::available_parallelism().map_or(1, NonZero::get),
        };
        let batch_tokens = match self.batch_tokens {
            Some(0) => return Err(Error::misuse("a batch needs room for at least one token")),
            Some(tokens) => tokens,
            None => BATCH_TOKENS,
        };
        let (config, modules) = (&model.config, &model.modules);
        let tokenizer =
            Tokenizer::new(model.tokenizer.as_slice(), modules.max_tokens, modules.lowercase, config.vocabulary)?;
        let backend: Box<dyn Backend> = match self.backend {
            BackendKind::Cpu => Box::new(CpuBackend::new(config, &model.weights)?),
            BackendKind::Candle => Box::new(CandleBackend::new(config, &model.weights)?),
        };
        let info = ModelInfo {
            name: model.name.clone(),
            architecture: config.architecture.name().to_owned(),
            parameters: model.parameters(),
            layers: config.layers,
            dimension: config.width,
            pooling: modules.pooling.name().to_owned(),
            normalized: modules.normalize,
            similarity: self.similarity.unwrap_or(model.similarity),
            max_tokens: modules.max_tokens,
            precision: model.precision,
            drift: model.drift,
            licence: model.licence.clone(),
            fingerprint: model.fingerprint(),
        };
        let threads = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .thread_name(|index| format!("marcato-encode-{index}"))
            .build()
            .map_err(|source| Error::new(ErrorKind::Io, "cannot start the encoder's threads").with_source(source))?;
        Ok(BiEncoder(Arc::new(Inner {
            info,
            tokenizer,
            backend,
            pooling: modules.pooling,
            normalize: modules.normalize,
            prompts: modules.prompts.clone(),
            batch_tokens,
            threads,
        })))
    }
}
