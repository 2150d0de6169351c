//! What a model's files are for, told before anything else is read.

use std::path::Path;

use serde_json::Value;

use super::files::ModelFiles;
use super::keys::parse_json;
use crate::error::{Error, Result};

/// What a model turns into what.
///
/// ```
/// use marcato::ModelKind;
/// assert_eq!(ModelKind::of("tests/golden/cross_bert")?, ModelKind::CrossEncoder);
/// # Ok::<(), marcato::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ModelKind {
    /// A text to an embedding: [`BiEncoder`](crate::BiEncoder).
    BiEncoder,
    /// A pair of texts to scores: [`CrossEncoder`](crate::CrossEncoder).
    CrossEncoder,
}

impl ModelKind {
    /// The kind of the model in `path`, a directory or an artifact, as sentence-transformers tells it: by `model_type` in
    /// `config_sentence_transformers.json` beside a `modules.json`; without modules, a sequence classification model
    /// (`architectures` in `config.json`) is a cross-encoder.
    ///
    /// # Errors
    /// `NotFound`, `Io`, `Corrupt` or `Model` for files that are not there or not JSON.
    pub fn of(path: impl AsRef<Path>) -> Result<Self> {
        Self::detect(&ModelFiles::open(path.as_ref())?)
    }

    /// `"bi-encoder"` or `"cross-encoder"`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::BiEncoder => "bi-encoder",
            Self::CrossEncoder => "cross-encoder",
        }
    }

    pub(super) fn detect(files: &ModelFiles) -> Result<Self> {
        let is_cross_encoder = if files.optional("modules.json")?.is_some() {
            let file = "config_sentence_transformers.json";
            let config = files.optional(file)?.map(|bytes| parse_json(file, bytes.as_slice())).transpose()?;
            config.is_some_and(|config| config.get("model_type").and_then(Value::as_str) == Some("CrossEncoder"))
        } else {
            let config = parse_json("config.json", files.required("config.json")?.as_slice())?;
            let classifies = |class: &Value| class.as_str().is_some_and(|name| name.ends_with(CLASSIFICATION));
            let classes = config.get("architectures").and_then(Value::as_array);
            classes.is_some_and(|classes| classes.iter().any(classifies))
        };
        Ok(if is_cross_encoder { Self::CrossEncoder } else { Self::BiEncoder })
    }

    /// Refuses the model called `name`, which is of this kind, unless it is `wanted`.
    pub(crate) fn expect(self, wanted: Self, name: &str) -> Result<()> {
        if self == wanted { Ok(()) } else { Err(self.mistaken(wanted, name)) }
    }

    /// The error of taking the model called `name`, which is of this kind, for a `wanted` one.
    pub(crate) fn mistaken(self, wanted: Self, name: &str) -> Error {
        let remedy = match self {
            Self::BiEncoder => "it turns a text into an embedding (BiEncoder, `marcato encode`)",
            Self::CrossEncoder => "it scores pairs of texts (CrossEncoder, `marcato score`)",
        };
        Error::misuse(format!("model {name} is a {}, and a {} is needed: {remedy}", self.name(), wanted.name()))
    }
}

/// How transformers calls its classes with a head that classifies a sequence.
const CLASSIFICATION: &str = "ForSequenceClassification";
