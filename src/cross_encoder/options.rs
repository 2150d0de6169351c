//! How a cross-encoder is opened; every default with its reason.

use std::path::Path;
use std::sync::Arc;

use super::{CrossEncoder, CrossEncoderInfo, Inner, ScoreActivation};
use crate::encoder::{BackendKind, Chain, EngineOptions, InstructionLevel};
use crate::error::{Error, Result};
use crate::model::{Head, Model, ModelKind, Precision};
use crate::text::PairTokenizer;

/// Choices to make before opening a [`CrossEncoder`].
///
/// ```
/// use marcato::{CrossEncoder, ScoreActivation};
/// let model = CrossEncoder::options().activation(ScoreActivation::Identity).threads(1).open("tests/golden/cross_bert")?;
/// assert_eq!(model.info().activation, ScoreActivation::Identity);
/// # Ok::<(), marcato::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct CrossEncoderOptions {
    engine: EngineOptions,
    activation: Option<ScoreActivation>,
    max_length: Option<usize>,
}

impl CrossEncoderOptions {
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

    /// Tokens that one thread takes at once; 256 by default. Changes speed and memory, never a score.
    pub fn batch_tokens(mut self, tokens: usize) -> Self {
        self.engine.batch_tokens = Some(tokens);
        self
    }

    /// Another activation than the model declares.
    pub fn activation(mut self, activation: ScoreActivation) -> Self {
        self.activation = Some(activation);
        self
    }

    /// Tokens of a pair that count, special ones included, instead of the model's own maximum: fewer are faster, more
    /// than its position table has are refused.
    pub fn max_length(mut self, tokens: usize) -> Self {
        self.max_length = Some(tokens);
        self
    }

    /// The model in `path`, a directory or an artifact.
    ///
    /// # Errors
    /// As [`CrossEncoder::open`]; `Misuse` for options that cannot be met.
    pub fn open(self, path: impl AsRef<Path>) -> Result<CrossEncoder> {
        self.build(Model::open(path.as_ref())?)
    }

    pub(super) fn build(self, model: Model) -> Result<CrossEncoder> {
        let kind = model.kind();
        let Some(head) = model.head.clone() else {
            return Err(kind.mistaken(ModelKind::CrossEncoder, &model.name));
        };
        let model = self.engine.precise(model)?;
        let activation = match self.activation {
            Some(activation) => activation,
            None => ScoreActivation::declared(head.declared.as_deref(), head.labels.len())?,
        };
        let tokenizer = self.tokenizer(&model, &head)?;
        let info = CrossEncoderInfo {
            name: model.name.clone(),
            architecture: model.config.architecture.name().to_owned(),
            parameters: model.parameters(),
            layers: model.config.layers,
            labels: head.labels.clone(),
            activation,
            max_tokens: tokenizer.max_tokens(),
            precision: model.precision,
            drift: model.score_drift,
            licence: model.licence.clone(),
            fingerprint: model.fingerprint(),
        };
        let chain = Chain::head(&head, model.config.width, &model.weights)?;
        let engine = self.engine.engine(&model)?;
        Ok(CrossEncoder(Arc::new(Inner { info, tokenizer, engine, chain })))
    }

    fn tokenizer(&self, model: &Model, head: &Head) -> Result<PairTokenizer> {
        let (json, vocabulary) = (model.tokenizer.as_slice(), model.config.vocabulary);
        let tokenizer = PairTokenizer::new(json, head.max_tokens, head.lowercase, vocabulary)?;
        let Some(max_length) = self.max_length else { return Ok(tokenizer) };
        let (least, most) = (tokenizer.special_tokens() + 1, model.config.positions);
        if (least..=most).contains(&max_length) {
            Ok(tokenizer.with_max_tokens(max_length))
        } else {
            Err(Error::misuse(format!(
                "a maximum length of {max_length} tokens does not fit model {}: {least} to {most} do",
                model.name
            )))
        }
    }
}
