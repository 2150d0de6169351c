//! The table of architectures: what each calls the tensors of the canonical encoder, whose names are BERT's.

use super::config::EncoderConfig;
use crate::error::{Error, Result};

/// A family of checkpoints with its own tensor names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Architecture {
    /// BERT, and with it MiniLM and TinyBERT.
    Bert,
}

impl Architecture {
    /// From `model_type` in `config.json`.
    pub(super) fn parse(model_type: Option<&str>) -> Result<Self> {
        match model_type {
            Some("bert") => Ok(Self::Bert),
            Some(other) => Err(Error::model(format!(
                "config.json: \"model_type\": \"{other}\" is not supported yet; bert is (MiniLM and TinyBERT are of that type)"
            ))),
            None => Err(Error::model("config.json lacks \"model_type\"")),
        }
    }

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Bert => "bert",
        }
    }

    /// Heads on top of the encoder save it under this prefix; the plain encoder saves it under none.
    pub(super) const fn prefix(self) -> &'static str {
        match self {
            Self::Bert => "bert.",
        }
    }

    /// Whether a tensor (prefix taken off) belongs to something that a bi-encoder does not run.
    pub(super) fn is_unused(self, name: &str) -> bool {
        match self {
            Self::Bert => {
                name == "embeddings.position_ids"
                    || ["pooler.", "cls.", "classifier."].iter().any(|head| name.starts_with(head))
            }
        }
    }
}

/// A tensor of the canonical encoder: its name and shape, and whether an artifact keeps it in s8.
pub(super) struct Slot {
    pub(super) name: String,
    pub(super) shape: Vec<usize>,
    pub(super) quantized: bool,
}

/// Every tensor that the canonical encoder of this shape has.
pub(super) fn slots(config: &EncoderConfig) -> Vec<Slot> {
    let (width, feed_forward) = (config.width, config.feed_forward);
    let mut slots = Vec::new();
    let mut slot =
        |name: String, shape: &[usize], quantized| slots.push(Slot { name, shape: shape.to_vec(), quantized });
    slot("embeddings.word_embeddings.weight".into(), &[config.vocabulary, width], true);
    slot("embeddings.position_embeddings.weight".into(), &[config.positions, width], false);
    slot("embeddings.token_type_embeddings.weight".into(), &[config.token_types, width], false);
    slot("embeddings.LayerNorm.weight".into(), &[width], false);
    slot("embeddings.LayerNorm.bias".into(), &[width], false);
    for layer in 0..config.layers {
        let matrices = [
            ("attention.self.query", width, width),
            ("attention.self.key", width, width),
            ("attention.self.value", width, width),
            ("attention.output.dense", width, width),
            ("intermediate.dense", feed_forward, width),
            ("output.dense", width, feed_forward),
        ];
        for (name, rows, columns) in matrices {
            slot(format!("encoder.layer.{layer}.{name}.weight"), &[rows, columns], true);
            slot(format!("encoder.layer.{layer}.{name}.bias"), &[rows], false);
        }
        for name in ["attention.output.LayerNorm", "output.LayerNorm"] {
            slot(format!("encoder.layer.{layer}.{name}.weight"), &[width], false);
            slot(format!("encoder.layer.{layer}.{name}.bias"), &[width], false);
        }
    }
    slots
}
