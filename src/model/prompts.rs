//! The prompts of a model by the names that its own configuration gives them.

use std::collections::BTreeMap;

use serde_json::Value;

use super::files::ModelFiles;
use super::keys::parse_json;
use crate::error::Result;

const FILE: &str = "config_sentence_transformers.json";

/// Every prompt that is a string; `Modules` has refused what is neither that nor null.
pub(super) fn named_prompts(files: &ModelFiles) -> Result<BTreeMap<String, String>> {
    let Some(bytes) = files.optional(FILE)? else { return Ok(BTreeMap::new()) };
    let config = parse_json(FILE, bytes.as_slice())?;
    let prompts = config.get("prompts").and_then(Value::as_object).into_iter().flatten();
    Ok(prompts.filter_map(|(name, prompt)| Some((name.clone(), prompt.as_str()?.to_owned()))).collect())
}
