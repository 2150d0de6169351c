//! `config_sentence_transformers.json`: prompts, and the similarity that a model declares.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::error::{Error, Result};
use crate::model::files::ModelFiles;
use crate::model::keys::Keys;
use crate::similarity::Similarity;

const FILE: &str = "config_sentence_transformers.json";

/// What is put in front of a text before it is tokenized, from the model's own configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Prompts {
    pub(crate) query: String,
    pub(crate) passage: String,
    /// All of them, as the model calls them.
    pub(crate) named: BTreeMap<String, String>,
    /// The name of the one for texts of which nothing is said.
    pub(crate) default: Option<String>,
}

pub(super) fn parse(files: &ModelFiles) -> Result<(Prompts, Option<Similarity>)> {
    let Some(bytes) = files.optional(FILE)? else { return Ok((Prompts::default(), None)) };
    let mut keys = Keys::parse(FILE, bytes.as_slice())?;
    let declared = keys
        .optional_text("similarity_fn_name")?
        .map(|name| {
            name.parse().map_err(|source| Error::model(format!("{FILE}: similarity_fn_name")).with_source(source))
        })
        .transpose()?;
    let prompts = match keys.take("prompts") {
        None => Map::new(),
        Some(Value::Object(prompts)) => prompts,
        Some(other) => return Err(Error::model(format!("{FILE}: \"prompts\" is {other}, expected an object"))),
    };
    let default = keys.optional_text("default_prompt_name")?;
    keys.only("model_type", &Value::String("SentenceTransformer".into()))?;
    keys.finish(&["__version__"])?;
    if let Some((name, prompt)) = prompts.iter().find(|(_, prompt)| !prompt.is_string() && !prompt.is_null()) {
        return Err(Error::model(format!("{FILE}: \"prompts\": \"{name}\" is {prompt}, expected a string")));
    }
    if let Some(name) = &default
        && !prompts.contains_key(name)
        && name != "query"
        && name != "document"
    {
        return Err(Error::model(format!("{FILE}: default_prompt_name \"{name}\" is not among the prompts")));
    }
    // The names that the reference's encode_query and encode_document look for, in their order. They do without the
    // default.
    let prompt = |name: &&str| prompts.get(*name).and_then(Value::as_str).map(str::to_owned);
    let query = prompt(&"query").unwrap_or_default();
    let passage = ["document", "passage", "corpus"].iter().find_map(prompt).unwrap_or_default();
    let named = prompts.iter().map(|(name, prompt)| (name.clone(), prompt.as_str().unwrap_or_default().to_owned()));
    Ok((Prompts { query, passage, named: named.collect(), default }, declared))
}
