//! The head of a cross-encoder: what a sequence classification model puts on the state of the first token.
//!
//! Every architecture's head is the same canonical one, `logits = classifier(activation(dense(state)))`, under other
//! names and with another activation. The canonical names are BERT's: `pooler.dense` and `classifier`.

use serde_json::Value;

use super::config::{Activation, EncoderConfig};
use super::files::ModelFiles;
use super::keys::{Keys, parse_json};
use super::modules::{CLASSIFICATION, parse_transformer};
use super::names::{Architecture, Slot};
use crate::error::{Error, Result};

/// A classification head, and how pairs are prepared for its model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    /// What each number of the result is called, in order (`id2label`); at least one.
    pub(crate) labels: Vec<String>,
    /// Between the two matrices.
    pub(crate) activation: Activation,
    /// The function that the model declares to be applied to its logits, as it spells it.
    pub(crate) declared: Option<String>,
    /// Tokens per pair, special ones included; the rest is cut off.
    pub(crate) max_tokens: usize,
    pub(crate) lowercase: bool,
}

/// The canonical name of a head's first matrix; it has a `.weight` and a `.bias`.
pub(crate) const DENSE: &str = "pooler.dense";
/// Of its second.
pub(crate) const CLASSIFIER: &str = "classifier";

/// One row of the table of heads: what an architecture calls the canonical head's parts.
struct Row {
    dense: &'static str,
    /// Whether the first matrix is saved with the encoder, under its prefix.
    dense_is_prefixed: bool,
    activation: Activation,
    classifier: &'static str,
}

const fn row(architecture: Architecture) -> Row {
    match architecture {
        Architecture::Bert => {
            Row { dense: DENSE, dense_is_prefixed: true, activation: Activation::Tanh, classifier: CLASSIFIER }
        }
        Architecture::DistilBert => Row {
            dense: "pre_classifier",
            dense_is_prefixed: false,
            activation: Activation::Relu,
            classifier: "classifier",
        },
        Architecture::Roberta => Row {
            dense: "classifier.dense",
            dense_is_prefixed: false,
            activation: Activation::Tanh,
            classifier: "classifier.out_proj",
        },
        // The exact GELU, whatever the encoder's own is.
        Architecture::Electra => Row {
            dense: "classifier.dense",
            dense_is_prefixed: false,
            activation: Activation::Gelu,
            classifier: "classifier.out_proj",
        },
    }
}

impl Head {
    pub(super) fn parse(files: &ModelFiles, config: &EncoderConfig) -> Result<Self> {
        let mut keys = Keys::parse("config.json", files.required("config.json")?.as_slice())?;
        let labels = parse_labels(&mut keys)?;
        let (max_tokens, lowercase) = parse_transformer(files, "", config, &CLASSIFICATION)?;
        let activation = row(config.architecture).activation;
        Ok(Self { labels, activation, declared: parse_declared(files, &mut keys)?, max_tokens, lowercase })
    }

    /// The head's tensors, each after the name that it has in a checkpoint whose encoder is saved under `prefix`.
    pub(super) fn slots(&self, config: &EncoderConfig, prefix: &str) -> Vec<(String, Slot)> {
        let Row { dense, dense_is_prefixed, classifier, .. } = row(config.architecture);
        let dense = if dense_is_prefixed { format!("{prefix}{dense}") } else { dense.to_owned() };
        let mut slots = Vec::new();
        for (canonical, theirs, rows) in
            [(DENSE, dense.as_str(), config.width), (CLASSIFIER, classifier, self.labels.len())]
        {
            for (part, shape) in [("weight", vec![rows, config.width]), ("bias", vec![rows])] {
                slots.push((format!("{theirs}.{part}"), Slot::full(format!("{canonical}.{part}"), shape)));
            }
        }
        slots
    }
}

/// The names of the labels. transformers' default is two, `LABEL_0` and `LABEL_1`.
fn parse_labels(keys: &mut Keys) -> Result<Vec<String>> {
    let count = keys.optional_count("num_labels", MAX_LABELS)?;
    let Some(names) = keys.take("id2label") else {
        return Ok((0..count.unwrap_or(2)).map(|label| format!("LABEL_{label}")).collect());
    };
    let malformed = || {
        Error::model(format!("config.json: \"id2label\" must name the labels 0, 1, ... in order, {MAX_LABELS} at most"))
    };
    let names = names.as_object().filter(|names| (1..=MAX_LABELS).contains(&names.len())).ok_or_else(malformed)?;
    let named = |label: usize| {
        names.get(&label.to_string()).map(|name| name.as_str().map_or_else(|| name.to_string(), str::to_owned))
    };
    let labels = (0..names.len()).map(named).collect::<Option<Vec<_>>>().ok_or_else(malformed)?;
    match count {
        Some(count) if count != labels.len() => Err(Error::model(format!(
            "config.json: \"num_labels\" is {count}, but \"id2label\" names {}",
            labels.len()
        ))),
        _ => Ok(labels),
    }
}

/// Far more than any classifier in use has; the head's matrix stays small.
const MAX_LABELS: usize = 1 << 12;

/// The activation that the model declares, in the reference's order: as the newest sentence-transformers writes it
/// (beside a `modules.json`), as version 4 did, or as those before it.
fn parse_declared(files: &ModelFiles, config: &mut Keys) -> Result<Option<String>> {
    let current = parse_sentence_transformers(files)?;
    let version_4 = match config.take("sentence_transformers") {
        None => None,
        Some(Value::Object(object)) => match object.get("activation_fn") {
            None | Some(Value::Null) => None,
            Some(Value::String(name)) => Some(name.clone()),
            Some(other) => {
                return Err(Error::model(format!("config.json: \"activation_fn\" is {other}, expected a string")));
            }
        },
        Some(other) => {
            return Err(Error::model(format!("config.json: \"sentence_transformers\" is {other}, expected an object")));
        }
    };
    let before = config.optional_text("sbert_ce_default_activation_function")?;
    Ok(current.or(version_4).or(before))
}

/// Checks `modules.json` and `config_sentence_transformers.json`, where there are any; gives the declared activation.
fn parse_sentence_transformers(files: &ModelFiles) -> Result<Option<String>> {
    let Some(modules) = files.optional("modules.json")? else { return Ok(None) };
    check_modules(&parse_json("modules.json", modules.as_slice())?)?;
    let file = "config_sentence_transformers.json";
    let mut keys = Keys::parse(file, files.required(file)?.as_slice())?;
    let declared = keys.optional_text("activation_fn")?;
    // The reference puts a default prompt in front of the query; other prompts have to be asked for.
    if let Some(name) = keys.optional_text("default_prompt_name")? {
        return Err(Error::model(format!(
            "{file}: \"default_prompt_name\": \"{name}\" is not supported for cross-encoders"
        )));
    }
    // `keep_in_fp32_modules` keeps a head out of half precision, which is not used here.
    keys.finish(&["__version__", "keep_in_fp32_modules", "model_type", "prompts"])?;
    Ok(declared)
}

/// Newer cross-encoders list their modules; a Transformer with its own classification head is the only one that runs.
fn check_modules(modules: &Value) -> Result<()> {
    let modules = modules.as_array().ok_or_else(|| Error::model("modules.json must hold a list of modules"))?;
    let text = |module: &Value, key| module.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let kinds: Vec<String> = modules.iter().map(|module| text(module, "type")).collect();
    let ours = |kind: &String| kind.starts_with("sentence_transformers.") && kind.ends_with(".Transformer");
    match (modules.as_slice(), kinds.as_slice()) {
        ([module], [kind]) if ours(kind) => match text(module, "path").as_str() {
            "" => Ok(()),
            path => Err(Error::model(format!(
                "modules.json: a Transformer in a folder of its own (\"{path}\") is not supported for cross-encoders"
            ))),
        },
        _ => Err(Error::model(format!(
            "modules.json: a cross-encoder of one Transformer is supported, this one has {}",
            kinds.join(", ")
        ))),
    }
}
