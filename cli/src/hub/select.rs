//! Which files of a repository make the model: the others (other formats, other frameworks, code) stay on the hub.

use anyhow::{Result, bail};
use serde_json::Value;

use super::digest::Expected;
use super::listing::{Listed, Listing};

/// The list of a sentence-transformers model's modules, which names folders.
pub(super) const MODULES: &str = "modules.json";

/// The most bytes of a configuration file or tokenizer, of a file of weights, and of all together.
const MAX_CONFIG_BYTES: u64 = 64 << 20;
const MAX_WEIGHTS_BYTES: u64 = 8 << 30;
const MAX_TOTAL_BYTES: u64 = 16 << 30;

const SMALL: [&str; 11] = [
    MODULES,
    "config.json",
    "config_sentence_transformers.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
    // The licence is in it.
    "README.md",
];
const WEIGHTS: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";
const PICKLED: [&str; 3] = ["pytorch_model.bin", "pytorch_model.bin.index.json", "model.pt"];

/// A file to get.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    /// A plain relative path.
    pub(super) name: String,
    pub(super) bytes: u64,
    pub(super) content: Expected,
}

/// The folders that `modules.json` names.
pub(super) fn folders(modules: &[u8]) -> Result<Vec<String>> {
    let modules: Vec<Value> = match serde_json::from_slice(modules) {
        Ok(Value::Array(modules)) => modules,
        _ => bail!("{MODULES} does not hold a list of modules"),
    };
    let mut folders = Vec::new();
    for module in &modules {
        let folder = module.get("path").and_then(Value::as_str).unwrap_or_default();
        let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        if folder.is_empty() {
            continue;
        }
        if folder.starts_with('.') || folder.len() > 96 || !folder.chars().all(plain) {
            bail!("{MODULES} names the folder {folder:?}, which is not a plain name");
        }
        folders.push(folder.to_owned());
    }
    Ok(folders)
}

/// One file by its name, with a size and a content that can be checked.
pub(super) fn wanted(listing: &Listing, name: &str) -> Result<Wanted> {
    let Some(Listed { bytes: Some(bytes), content: Some(content) }) = listing.files.get(name) else {
        bail!("the hub does not say what {name} holds, so it could not be verified");
    };
    let most = if name.ends_with(".safetensors") { MAX_WEIGHTS_BYTES } else { MAX_CONFIG_BYTES };
    if *bytes > most {
        bail!("{name} has {bytes} bytes; such a file may have {most}");
    }
    Ok(Wanted { name: name.to_owned(), bytes: *bytes, content: content.clone() })
}

/// The model's files, small ones first. Refuses what Marcato could not use before anything large is loaded.
pub(super) fn select(listing: &Listing, folders: &[String]) -> Result<Vec<Wanted>> {
    let places: Vec<String> =
        std::iter::once(String::new()).chain(folders.iter().map(|folder| format!("{folder}/"))).collect();
    let has = |name: &str| listing.files.contains_key(name);
    if !places.iter().any(|place| has(&format!("{place}config.json"))) {
        bail!("there is no config.json in it: it is not a model of Hugging Face's transformers");
    }
    let mut names = Vec::new();
    let mut weighted = false;
    for place in &places {
        names.extend(SMALL.iter().map(|name| format!("{place}{name}")).filter(|name| has(name)));
        let here = |name: &&String| name.strip_prefix(place.as_str()).is_some_and(|name| !name.contains('/'));
        let in_place = listing.files.keys().filter(here);
        let base = |name: &&String| is_length_limit(name.strip_prefix(place.as_str()).unwrap_or_default());
        names.extend(in_place.filter(base).cloned());
        let weights = weights(listing, place);
        if weights.is_empty() && PICKLED.iter().any(|name| has(&format!("{place}{name}"))) {
            bail!(
                "the weights in {} are pickled only, which Marcato does not read, because that can run code; save the model \
                 with safetensors, or see whether a conversion waits among its pull requests (NAME@refs/pr/N)",
                if place.is_empty() { "it" } else { place.trim_end_matches('/') }
            );
        }
        weighted |= !weights.is_empty();
        names.extend(weights);
    }
    if !weighted {
        bail!("there are no weights in it: {WEIGHTS} is expected");
    }
    let mut files = names.iter().map(|name| wanted(listing, name)).collect::<Result<Vec<_>>>()?;
    files.sort_by(|a, b| a.name.cmp(&b.name));
    files.dedup_by(|a, b| a.name == b.name);
    files.sort_by_key(|file| file.name.ends_with(".safetensors"));
    let total = files.iter().fold(0u64, |total, file| total.saturating_add(file.bytes));
    if total > MAX_TOTAL_BYTES {
        bail!("it has {total} bytes; a model may have {MAX_TOTAL_BYTES}");
    }
    Ok(files)
}

/// `sentence_bert_config.json`, of which there is a kind for each old architecture.
fn is_length_limit(name: &str) -> bool {
    let kind = name.strip_prefix("sentence_").and_then(|rest| rest.strip_suffix("_config.json"));
    kind.is_some_and(|kind| !kind.is_empty() && kind.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-'))
}

/// The safetensors in a place: the single file, or else the parts with their index.
fn weights(listing: &Listing, place: &str) -> Vec<String> {
    let single = format!("{place}{WEIGHTS}");
    if listing.files.contains_key(&single) {
        return vec![single];
    }
    let index = format!("{place}{INDEX}");
    if !listing.files.contains_key(&index) {
        return Vec::new();
    }
    let is_part = |name: &&String| {
        let part = name.strip_prefix(place).and_then(|name| name.strip_prefix("model-")?.strip_suffix(".safetensors"));
        part.and_then(|part| part.split_once("-of-")).is_some_and(|(number, of)| {
            [number, of].iter().all(|digits| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()))
        })
    };
    listing.files.keys().filter(is_part).cloned().chain([index]).collect()
}
