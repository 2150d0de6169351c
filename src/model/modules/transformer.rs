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

/// The most tokens of a text, and whether it is lower-cased.
pub(super) fn parse(files: &ModelFiles, folder: &str, config: &EncoderConfig) -> Result<(usize, bool)> {
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
        keys.only("transformer_task", &json!("feature-extraction"))?;
        keys.only("module_output_name", &json!("token_embeddings"))?;
        keys.only(
            "modality_config",
            &json!({"text": {"method": "forward", "method_output_name": "last_hidden_state"}}),
        )?;
        keys.finish(&["unpad_inputs"])?;
        source = file;
        break;
    }
    if max_tokens.is_none()
        && let Some(bytes) = files.optional(&inside(folder, "tokenizer_config.json"))?
    {
        // As the reference does: the tokenizer's limit, cut to the position table. transformers writes 1e30 for "none".
        max_tokens = Keys::parse("tokenizer_config.json", bytes.as_slice())?
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
