//! What sentence-transformers does around the encoder: the modules that `modules.json` lists, truncation, prompts,
//! similarity.

mod after;
mod pooling;
mod prompts;
mod transformer;

use serde_json::Value;
use transformer::FEATURE_EXTRACTION;

pub(super) use after::tensor;
pub(crate) use after::{Dense, Module};
pub(crate) use pooling::{Pooling, PoolingMode};
pub(crate) use prompts::Prompts;
pub(super) use transformer::{CLASSIFICATION, parse as parse_transformer};

use super::config::EncoderConfig;
use super::files::ModelFiles;
use super::head::Head;
use super::keys::parse_json;
use crate::error::{Error, Result};
use crate::similarity::Similarity;

/// The modules after the Transformer, and how text is prepared for it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Modules {
    pub(crate) pooling: Pooling,
    /// What a pooled vector goes through, in this order.
    pub(crate) after: Vec<Module>,
    /// Tokens per text, special ones included; the rest is cut off.
    pub(crate) max_tokens: usize,
    pub(crate) lowercase: bool,
    pub(crate) prompts: Prompts,
    pub(super) declared: Option<Similarity>,
}

impl Modules {
    pub(super) fn parse(files: &ModelFiles, list: &ModuleList, config: &EncoderConfig) -> Result<Self> {
        let pooling = Pooling::parse(files, &list.pooling, config.width)?;
        let after = after::parse(files, &list.after, pooling.dimension(config.width))?;
        let (max_tokens, lowercase) = parse_transformer(files, &list.transformer, config, &FEATURE_EXTRACTION)?;
        let (prompts, declared) = prompts::parse(files)?;
        Ok(Self { pooling, after, max_tokens, lowercase, prompts, declared })
    }

    /// What comes before the head of a cross-encoder: the state of the first token as it is.
    pub(super) fn before(head: &Head) -> Self {
        Self {
            pooling: Pooling { modes: vec![PoolingMode::Cls], include_prompt: true },
            after: Vec::new(),
            max_tokens: head.max_tokens,
            lowercase: head.lowercase,
            prompts: Prompts::default(),
            declared: None,
        }
    }

    /// Numbers per embedding, from token states of `width`.
    pub(crate) fn dimension(&self, width: usize) -> usize {
        let pooled = self.pooling.dimension(width);
        self.after.iter().fold(pooled, |dimension, module| module.dimension(dimension))
    }

    /// Whether embeddings have unit length.
    pub(crate) fn is_normalized(&self) -> bool {
        self.after.last() == Some(&Module::Normalize)
    }

    /// Declared, or implied by a final Normalize, or known from the model's name, or cosine.
    pub(super) fn similarity(&self, name: &str) -> Similarity {
        // Sentence Transformers' published list of models tuned for dot product; none of them declares it.
        let known_dot = ["-dot-prod-", "-ance-", "-tas-b", "-dot-v"].iter().any(|part| name.contains(part));
        match self.declared {
            Some(similarity) => similarity,
            None if !self.is_normalized() && known_dot => Similarity::Dot,
            None => Similarity::Cosine,
        }
    }
}

/// `modules.json`: one Transformer, one Pooling, and what comes after them.
pub(super) struct ModuleList {
    /// The folder of the encoder's files; empty for the model's own.
    pub(super) transformer: String,
    pooling: String,
    after: Vec<Entry>,
}

/// A module as it is listed.
struct Entry {
    /// The name of its class, such as `Dense`.
    kind: String,
    folder: String,
    /// The path of its class.
    class: String,
}

impl ModuleList {
    pub(super) fn parse(files: &ModelFiles) -> Result<Self> {
        let Value::Array(modules) = parse_json("modules.json", files.required("modules.json")?.as_slice())? else {
            return Err(Error::model("modules.json must hold a list of modules"));
        };
        let mut entries = modules.iter().map(Entry::parse).collect::<Result<Vec<_>>>()?.into_iter();
        match (entries.next(), entries.next()) {
            (Some(transformer), Some(pooling)) if transformer.kind == "Transformer" && pooling.kind == "Pooling" => {
                Ok(Self { transformer: transformer.folder, pooling: pooling.folder, after: entries.collect() })
            }
            (first, second) => Err(Error::model(format!(
                "modules.json: expected a Transformer, a Pooling and what comes after it, found {}",
                first.into_iter().chain(second).chain(entries).map(|entry| entry.class).collect::<Vec<_>>().join(", ")
            ))),
        }
    }
}

impl Entry {
    fn parse(module: &Value) -> Result<Self> {
        let text = |key| module.get(key).and_then(Value::as_str);
        let class = text("type").ok_or_else(|| Error::model("modules.json: a module lacks \"type\""))?;
        // Older and newer versions keep the same classes in other places.
        let kind = class.strip_prefix("sentence_transformers.").and_then(|rest| rest.rsplit('.').next());
        Ok(Self {
            kind: kind.unwrap_or(class).to_owned(),
            folder: text("path").unwrap_or_default().to_owned(),
            class: class.to_owned(),
        })
    }
}

/// The name of a file in a folder of the model, of which the empty one is its own.
pub(super) fn inside(folder: &str, file: &str) -> String {
    if folder.is_empty() { file.to_owned() } else { format!("{folder}/{file}") }
}
