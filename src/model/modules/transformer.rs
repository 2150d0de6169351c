//! `sentence_bert_config.json`: truncation and lower-casing. Never what `tokenizer.json` bakes in, which is that of its
//! training run.

use serde_json::{Value, json};

use super::inside;
use crate::error::{Error, Result};
use crate::model::config::EncoderConfig;
use crate::model::files::ModelFiles;
use crate::model::keys::Keys;

/// In the order in which the reference looks for them; the first that has any keys counts.
const FILES: [&str; 3] =
    ["sentence_bert_config.json", "sentence_roberta_config.json", "sentence_distilbert_config.json"];

/// What a Transformer is there for, as newer versions say it in three keys.
pub(in crate::model) struct Task {
    transformer_task: &'static str,
    module_output_name: &'static str,
    method_output_name: &'static str,
}

/// Of a bi-encoder: the states of all tokens.
pub(super) const FEATURE_EXTRACTION: Task = Task {
    transformer_task: "feature-extraction",
    module_output_name: "token_embeddings",
    method_output_name: "last_hidden_state",
};

/// Of a cross-encoder: its head and all.
pub(in crate::model) const CLASSIFICATION: Task =
    Task { transformer_task: "sequence-classification", module_output_name: "scores", method_output_name: "logits" };

/// The most tokens of a text or pair, and whether it is lower-cased.
pub(in crate::model) fn parse(
    files: &ModelFiles,
    folder: &str,
    config: &EncoderConfig,
    task: &Task,
) -> Result<(usize, bool)> {
    let mut max_tokens = None;
    let mut lowercase = false;
    let mut source = String::new();
    for file in FILES.map(|file| inside(folder, file)) {
        let Some(bytes) = files.optional(&file)? else { continue };
        let mut keys = Keys::parse(&file, bytes.as_slice())?;
        if keys.is_empty() {
            continue;
        }
        max_tokens = keys.optional_count("max_seq_length", 1 << 20)?;
        lowercase = keys.flag("do_lower_case", false)?;
        // What newer versions add; other values are for other kinds of models.
        keys.only("transformer_task", &json!(task.transformer_task))?;
        keys.only("module_output_name", &json!(task.module_output_name))?;
        let text = json!({"method": "forward", "method_output_name": task.method_output_name});
        keys.only("modality_config", &json!({"text": text}))?;
        keys.finish(&["unpad_inputs"])?;
        source = file;
        break;
    }
    if max_tokens.is_none()
        && let Some(bytes) = files.optional(&inside(folder, "tokenizer_config.json"))?
    {
        // As the reference does: the tokenizer's limit, cut to the position table. transformers writes 1e30 for "none".
        let mut keys = Keys::parse("tokenizer_config.json", bytes.as_slice())?;
        keys.only("truncation_side", &json!("right"))?;
        max_tokens = keys
            .take("model_max_length")
            .as_ref()
            .and_then(Value::as_u64)
            .and_then(|limit| usize::try_from(limit).ok())
            .map(|limit| limit.min(config.positions));
    }
    let max_tokens = max_tokens.unwrap_or(config.positions);
    if max_tokens > config.positions {
        return Err(Error::model(format!(
            "{source}: max_seq_length is {max_tokens}, but the model has {} positions",
            config.positions
        )));
    }
    // [CLS] and [SEP] take two; the tokenizer crate misbehaves with no room for text.
    if max_tokens < 3 {
        return Err(Error::model(format!("a maximum of {max_tokens} tokens leaves no room for text")));
    }
    Ok((max_tokens, lowercase))
}
