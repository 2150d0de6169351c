//! `config.json` to the shape of the canonical encoder: every key is read, or known to have no effect, or refused.

use serde_json::{Value, json};

use super::files::ModelFiles;
use super::keys::Keys;
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
    /// Rows of the position table.
    pub(crate) positions: usize,
    pub(crate) token_types: usize,
    pub(crate) norm_eps: f64,
}

/// The non-linearity of the feed-forward block. Exact and approximate GELU are different functions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Activation {
    /// `x * Phi(x)` by the error function.
    Gelu,
    /// The tanh approximation (`gelu_new`, `gelu_pytorch_tanh`).
    GeluTanh,
    Relu,
}

impl Activation {
    fn parse(name: &str) -> Result<Self> {
        match name {
            "gelu" | "gelu_python" => Ok(Self::Gelu),
            "gelu_new" | "gelu_pytorch_tanh" => Ok(Self::GeluTanh),
            "relu" => Ok(Self::Relu),
            _ => Err(Error::model(format!(
                "config.json: \"hidden_act\": \"{name}\" is not supported; gelu, gelu_new and relu are"
            ))),
        }
    }
}

impl EncoderConfig {
    pub(super) fn parse(files: &ModelFiles) -> Result<Self> {
        let mut keys = Keys::parse("config.json", files.required("config.json")?.as_slice())?;
        let architecture = Architecture::parse(keys.optional_text("model_type")?.as_deref())?;
        let activation = keys.optional_text("hidden_act")?;
        let config = Self {
            architecture,
            vocabulary: keys.count("vocab_size", 1 << 24)?,
            width: keys.count("hidden_size", 1 << 14)?,
            layers: keys.count("num_hidden_layers", 256)?,
            heads: keys.count("num_attention_heads", 1 << 10)?,
            feed_forward: keys.count("intermediate_size", 1 << 16)?,
            // transformers' default where the key is absent.
            activation: Activation::parse(activation.as_deref().unwrap_or("gelu"))?,
            positions: keys.count("max_position_embeddings", 1 << 20)?,
            token_types: keys.count("type_vocab_size", 1 << 10)?,
            norm_eps: norm_eps(keys.take("layer_norm_eps"))?,
        };
        if !config.width.is_multiple_of(config.heads) {
            return Err(Error::model(format!(
                "config.json: hidden_size {} is not a multiple of num_attention_heads {}",
                config.width, config.heads
            )));
        }
        keys.only("position_embedding_type", &json!("absolute"))?;
        keys.only("is_decoder", &json!(false))?;
        keys.only("add_cross_attention", &json!(false))?;
        keys.only("embedding_size", &json!(config.width))?;
        keys.only("pruned_heads", &json!({}))?;
        keys.finish(WITHOUT_EFFECT)?;
        Ok(config)
    }
}

/// LayerNorm's epsilon, 1e-12 (transformers' default for BERT) if the file has none.
fn norm_eps(value: Option<Value>) -> Result<f64> {
    let Some(value) = value else { return Ok(1e-12) };
    value.as_f64().filter(|eps| *eps > 0.0 && *eps < 1.0).ok_or_else(|| {
        Error::model(format!("config.json: \"layer_norm_eps\" is {value}, expected a small positive number"))
    })
}

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
