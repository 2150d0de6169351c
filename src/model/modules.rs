//! What sentence-transformers does around the encoder: `modules.json`, pooling, truncation, prompts, similarity.

use serde_json::Value;

use super::config::EncoderConfig;
use super::files::ModelFiles;
use super::head::Head;
use super::keys::{Keys, parse_json};
use crate::error::{Error, Result};
use crate::similarity::Similarity;

/// How the states of a text's tokens become one vector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pooling {
    /// The state of the first token.
    Cls,
    /// The mean over all tokens, special ones too.
    Mean,
}

impl Pooling {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Cls => "cls",
            Self::Mean => "mean",
        }
    }
}

/// What is put in front of a text before it is tokenized, from the model's own configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Prompts {
    pub(crate) query: String,
    pub(crate) passage: String,
}

/// The modules after the Transformer, and how text is prepared for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Modules {
    pub(crate) pooling: Pooling,
    pub(crate) normalize: bool,
    /// Tokens per text, special ones included; the rest is cut off.
    pub(crate) max_tokens: usize,
    pub(crate) lowercase: bool,
    pub(crate) prompts: Prompts,
    declared: Option<Similarity>,
}

impl Modules {
    pub(super) fn parse(files: &ModelFiles, config: &EncoderConfig) -> Result<Self> {
        let (pooling_path, normalize) = parse_modules(files)?;
        let pooling = parse_pooling(files, &pooling_path, config.width)?;
        let (max_tokens, lowercase) = parse_transformer(files, config)?;
        let (prompts, declared) = parse_sentence_transformers(files)?;
        Ok(Self { pooling, normalize, max_tokens, lowercase, prompts, declared })
    }

    /// What comes before the head of a cross-encoder: the state of the first token as it is.
    pub(super) fn before(head: &Head) -> Self {
        Self {
            pooling: Pooling::Cls,
            normalize: false,
            max_tokens: head.max_tokens,
            lowercase: head.lowercase,
            prompts: Prompts::default(),
            declared: None,
        }
    }

    /// Declared, or implied by a final Normalize, or known from the model's name, or cosine.
    pub(super) fn similarity(&self, name: &str) -> Similarity {
        // Sentence Transformers' published list of models tuned for dot product; none of them declares it.
        let known_dot = ["-dot-prod-", "-ance-", "-tas-b", "-dot-v"].iter().any(|part| name.contains(part));
        match self.declared {
            Some(similarity) => similarity,
            None if !self.normalize && known_dot => Similarity::Dot,
            None => Similarity::Cosine,
        }
    }
}

/// Checks that `modules.json` is Transformer, Pooling and perhaps Normalize; gives the pooling's folder.
fn parse_modules(files: &ModelFiles) -> Result<(String, bool)> {
    let Value::Array(modules) = parse_json("modules.json", files.required("modules.json")?.as_slice())? else {
        return Err(Error::model("modules.json must hold a list of modules"));
    };
    let mut kinds = Vec::new();
    for module in &modules {
        let text = |key| module.get(key).and_then(Value::as_str);
        let kind = text("type").ok_or_else(|| Error::model("modules.json: a module lacks \"type\""))?;
        let short = kind.strip_prefix("sentence_transformers.").and_then(|rest| rest.rsplit('.').next());
        kinds.push((short.unwrap_or(kind), text("path").unwrap_or_default(), kind));
    }
    match kinds.as_slice() {
        [("Transformer", path, _), ("Pooling", pooling, _), rest @ ..] => {
            if !path.is_empty() {
                return Err(Error::model(format!(
                    "modules.json: a Transformer in a folder of its own (\"{path}\") is not supported yet"
                )));
            }
            match rest {
                [] => Ok(((*pooling).to_owned(), false)),
                [("Normalize", ..)] => Ok(((*pooling).to_owned(), true)),
                [("Normalize", ..), (_, _, kind), ..] | [(_, _, kind), ..] => {
                    Err(Error::model(format!("modules.json: module \"{kind}\" is not supported yet after Pooling")))
                }
            }
        }
        _ => Err(Error::model(format!(
            "modules.json: expected Transformer, Pooling and perhaps Normalize, found {}",
            kinds.iter().map(|(_, _, kind)| *kind).collect::<Vec<_>>().join(", ")
        ))),
    }
}

fn parse_pooling(files: &ModelFiles, folder: &str, width: usize) -> Result<Pooling> {
    let file = format!("{folder}/config.json");
    let mut keys = Keys::parse(&file, files.required(&file)?.as_slice())?;
    let dimension = keys.count("word_embedding_dimension", 1 << 14)?;
    if dimension != width {
        return Err(Error::model(format!(
            "{file}: word_embedding_dimension is {dimension}, config.json implies {width}"
        )));
    }
    keys.only("include_prompt", &Value::Bool(true))?;
    let mut chosen = Vec::new();
    for mode in ["cls_token", "mean_tokens", "max_tokens", "mean_sqrt_len_tokens", "weightedmean_tokens", "lasttoken"] {
        if keys.flag(&format!("pooling_mode_{mode}"), false)? {
            chosen.push(mode);
        }
    }
    keys.finish(&[])?;
    match chosen.as_slice() {
        ["cls_token"] => Ok(Pooling::Cls),
        ["mean_tokens"] => Ok(Pooling::Mean),
        [] => Err(Error::model(format!("{file} chooses no pooling mode"))),
        modes => Err(Error::model(format!(
            "{file}: pooling mode {} is not supported yet; cls_token or mean_tokens alone is",
            modes.join(" + ")
        ))),
    }
}

/// Truncation and lower-casing: never what `tokenizer.json` bakes in, which is that of its training run.
fn parse_transformer(files: &ModelFiles, config: &EncoderConfig) -> Result<(usize, bool)> {
    let mut max_tokens = None;
    let mut lowercase = false;
    if let Some(bytes) = files.optional("sentence_bert_config.json")? {
        let mut keys = Keys::parse("sentence_bert_config.json", bytes.as_slice())?;
        max_tokens = keys.optional_count("max_seq_length", 1 << 20)?;
        lowercase = keys.flag("do_lower_case", false)?;
        keys.finish(&[])?;
    }
    if max_tokens.is_none()
        && let Some(bytes) = files.optional("tokenizer_config.json")?
    {
        // As the reference does: the tokenizer's limit, cut to the position table. transformers writes 1e30 for "none".
        max_tokens = Keys::parse("tokenizer_config.json", bytes.as_slice())?
            .take("model_max_length")
            .and_then(|value| value.as_u64())
            .and_then(|limit| usize::try_from(limit).ok())
            .map(|limit| limit.min(config.positions));
    }
    let max_tokens = max_tokens.unwrap_or(config.positions);
    if max_tokens > config.positions {
        return Err(Error::model(format!(
            "sentence_bert_config.json: max_seq_length is {max_tokens}, but the model has {} positions",
            config.positions
        )));
    }
    // [CLS] and [SEP] take two; the tokenizer crate misbehaves with no room for text.
    if max_tokens < 3 {
        return Err(Error::model(format!("a maximum of {max_tokens} tokens leaves no room for text")));
    }
    Ok((max_tokens, lowercase))
}

fn parse_sentence_transformers(files: &ModelFiles) -> Result<(Prompts, Option<Similarity>)> {
    let file = "config_sentence_transformers.json";
    let Some(bytes) = files.optional(file)? else { return Ok((Prompts::default(), None)) };
    let mut keys = Keys::parse(file, bytes.as_slice())?;
    let declared = keys
        .optional_text("similarity_fn_name")?
        .map(|name| {
            name.parse().map_err(|source| Error::model(format!("{file}: similarity_fn_name")).with_source(source))
        })
        .transpose()?;
    let prompts = match keys.take("prompts") {
        None => serde_json::Map::new(),
        Some(Value::Object(prompts)) => prompts,
        Some(other) => return Err(Error::model(format!("{file}: \"prompts\" is {other}, expected an object"))),
    };
    let default = keys.optional_text("default_prompt_name")?;
    keys.only("model_type", &Value::String("SentenceTransformer".into()))?;
    keys.finish(&["__version__"])?;
    if let Some((name, prompt)) = prompts.iter().find(|(_, prompt)| !prompt.is_string() && !prompt.is_null()) {
        return Err(Error::model(format!("{file}: \"prompts\": \"{name}\" is {prompt}, expected a string")));
    }
    // The default is for the reference's encode; its encode_query and encode_document do without one.
    if let Some(name) = default.filter(|name| !prompts.contains_key(name) && name != "query" && name != "document") {
        return Err(Error::model(format!("{file}: default_prompt_name \"{name}\" is not among the prompts")));
    }
    // The names that encode_query and encode_document look for, in their order.
    let prompt = |name: &&str| prompts.get(*name).and_then(Value::as_str).map(str::to_owned);
    let query = prompt(&"query").unwrap_or_default();
    let passage = ["document", "passage", "corpus"].iter().find_map(prompt).unwrap_or_default();
    Ok((Prompts { query, passage }, declared))
}
