//! `config.json` to the shape of the canonical encoder: every key is read, or known to have no effect, or refused.

use serde_json::{Value, json};

use super::files::ModelFiles;
use super::keys::Keys;
use super::modules::inside;
use super::names::Architecture;
use crate::error::{Error, Result};

/// The shape of a canonical post-norm encoder.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct EncoderConfig {
    pub(crate) architecture: Architecture,
    /// Rows of the word table.
    pub(crate) vocabulary: usize,
    /// Numbers per token state (`hidden_size`).
    pub(crate) width: usize,
    pub(crate) layers: usize,
    pub(crate) heads: usize,
    /// Numbers per token between the two feed-forward matrices (`intermediate_size`).
    pub(crate) feed_forward: usize,
    pub(crate) activation: Activation,
    /// The most tokens of a sequence.
    pub(crate) positions: usize,
    /// Rows of the token-type table; 0 where there is none.
    pub(crate) token_types: usize,
    pub(crate) norm_eps: f64,
    /// Columns of the tables (`embedding_size`); where that is not the width, a projection leads there.
    pub(crate) embedding_width: usize,
    /// RoBERTa's `pad_token_id`: a token of that id has row 0 of the position table and is not counted, the others have
    /// rows 1, 2, and so on. Elsewhere every token counts, from row 0.
    pub(crate) padding: Option<u32>,
}

/// The non-linearity of the feed-forward block, and of a Dense module. Exact and approximate GELU are different functions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Activation {
    /// `x * Phi(x)` by the error function.
    Gelu,
    /// The approximation of it by tanh.
    GeluTanh,
    Identity,
    Relu,
    Sigmoid,
    /// `x * sigmoid(x)`, also called swish.
    Silu,
    Tanh,
}

impl Activation {
    /// By the names of `ACT2FN` in transformers: those that are the same function share a row. `gelu_10`, which clips,
    /// and `quick_gelu`, another approximation, are other functions.
    fn parse(key: &str, name: &str) -> Result<Self> {
        match name {
            "gelu" | "gelu_python" => Ok(Self::Gelu),
            "gelu_accurate" | "gelu_fast" | "gelu_new" | "gelu_python_tanh" | "gelu_pytorch_tanh" => Ok(Self::GeluTanh),
            "linear" => Ok(Self::Identity),
            "relu" => Ok(Self::Relu),
            "sigmoid" => Ok(Self::Sigmoid),
            "silu" | "swish" => Ok(Self::Silu),
            "tanh" => Ok(Self::Tanh),
            _ => Err(Error::model(format!(
                "config.json: \"{key}\": \"{name}\" is not supported; gelu, gelu_new, linear, relu, sigmoid, silu and tanh are"
            ))),
        }
    }

    /// One of the names that it has in `config.json`.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Gelu => "gelu",
            Self::GeluTanh => "gelu_new",
            Self::Identity => "linear",
            Self::Relu => "relu",
            Self::Sigmoid => "sigmoid",
            Self::Silu => "silu",
            Self::Tanh => "tanh",
        }
    }
}

impl EncoderConfig {
    /// From the `config.json` in `folder`.
    pub(super) fn parse(files: &ModelFiles, folder: &str) -> Result<Self> {
        let mut keys = Keys::parse("config.json", files.required(&inside(folder, "config.json"))?.as_slice())?;
        let architecture = Architecture::parse(keys.optional_text("model_type")?.as_deref())?;
        let names = architecture.names();
        let own = &names.keys;
        let activation = keys.optional_text(own.activation)?;
        let width = keys.count(own.width, MAX_WIDTH)?;
        let rows = keys.count("max_position_embeddings", 1 << 20)?;
        let padding = if names.skips_padding {
            // transformers' default where the key is absent.
            Some(keys.optional_id("pad_token_id")?.unwrap_or(1))
        } else {
            None
        };
        let config = Self {
            architecture,
            vocabulary: keys.count("vocab_size", 1 << 24)?,
            width,
            layers: keys.count(own.layers, 256)?,
            heads: keys.count(own.heads, 1 << 10)?,
            feed_forward: keys.count(own.feed_forward, 1 << 16)?,
            // transformers' default where the key is absent.
            activation: Activation::parse(own.activation, activation.as_deref().unwrap_or("gelu"))?,
            positions: positions(rows, padding)?,
            token_types: own.token_types.map_or(Ok(0), |key| keys.count(key, 1 << 10))?,
            norm_eps: norm_eps(own.norm_eps.and_then(|key| keys.take(key)))?,
            embedding_width: if names.projects_embeddings { keys.count("embedding_size", MAX_WIDTH)? } else { width },
            padding,
        };
        if !config.width.is_multiple_of(config.heads) {
            return Err(Error::model(format!(
                "config.json: {} {} is not a multiple of {} {}",
                own.width, config.width, own.heads, config.heads
            )));
        }
        keys.only("position_embedding_type", &json!("absolute"))?;
        keys.only("is_decoder", &json!(false))?;
        keys.only("is_encoder_decoder", &json!(false))?;
        keys.only("add_cross_attention", &json!(false))?;
        keys.only("embedding_size", &json!(config.width))?;
        keys.only("pruned_heads", &json!({}))?;
        keys.finish(&[WITHOUT_EFFECT, own.without_effect].concat())?;
        Ok(config)
    }

    /// Rows of the position table.
    pub(crate) fn position_rows(&self) -> usize {
        self.positions + usize::from(self.padding.is_some())
    }
}

/// What is left of a position table of `rows` for the tokens of a sequence.
fn positions(rows: usize, padding: Option<u32>) -> Result<usize> {
    let Some(padding) = padding else { return Ok(rows) };
    let left = usize::try_from(padding).ok().and_then(|padding| rows.checked_sub(padding)?.checked_sub(1));
    left.filter(|left| *left > 0).ok_or_else(|| {
        Error::model(format!(
            "config.json: \"pad_token_id\" {padding} leaves no positions: \"max_position_embeddings\" is {rows}"
        ))
    })
}

/// LayerNorm's epsilon, 1e-12 (transformers' default for BERT) if the file has none.
fn norm_eps(value: Option<Value>) -> Result<f64> {
    let Some(value) = value else { return Ok(1e-12) };
    value.as_f64().filter(|eps| *eps > 0.0 && *eps < 1.0).ok_or_else(|| {
        Error::model(format!("config.json: \"layer_norm_eps\" is {value}, expected a small positive number"))
    })
}

/// The widest states that are read, sixteen times those of the largest BERT.
const MAX_WIDTH: usize = 1 << 14;

/// Keys that concern training, generation, bookkeeping, or heads: those of a cross-encoder are read with its head.
const WITHOUT_EFFECT: &[&str] = &[
    "_name_or_path",
    "_attn_implementation_autoset",
    "_num_labels",
    "architectures",
    "attention_probs_dropout_prob",
    "bos_token_id",
    "chunk_size_feed_forward",
    "classifier_dropout",
    "cross_attention_hidden_size",
    "directionality",
    "dtype",
    "eos_token_id",
    "eos_token_ids",
    "finetuning_task",
    "gradient_checkpointing",
    "hidden_dropout_prob",
    "id2label",
    "initializer_range",
    "label2id",
    "model_max_length",
    "num_labels",
    "output_attentions",
    "output_hidden_states",
    "output_past",
    "pad_token_id",
    "pooler_fc_size",
    "pooler_num_attention_heads",
    "pooler_num_fc_layers",
    "pooler_size_per_head",
    "pooler_type",
    "problem_type",
    "return_dict",
    "sbert_ce_default_activation_function",
    "sentence_transformers",
    "sep_token_id",
    "cls_token_id",
    "mask_token_id",
    "tie_word_embeddings",
    "tokenizer_class",
    "torch_dtype",
    "torchscript",
    "transformers_version",
    "use_bfloat16",
    "use_cache",
    "xla_device",
];
