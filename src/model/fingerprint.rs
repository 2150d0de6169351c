//! The identity of everything that a vector depends on.
//!
//! Collections keep it (invariant M2), so its form is as fixed as a file format: what a released program hashed for a
//! model, every later one has to hash. What is new is added after that, and only for models that have it.

use std::fmt::Write;

use sha2::{Digest, Sha256};

use super::Model;
use super::config::EncoderConfig;
use super::modules::{Module, Modules, Pooling, Prompts};

/// Hexadecimal sha256 of the shape, the modules, the tokenizer and the weights.
pub(super) fn compute(model: &Model) -> String {
    let mut hash = Sha256::new();
    hash.update(b"marcato model 1\0");
    hash.update(format!("{}\0{}\0", shape(&model.config), modules(&model.modules)));
    if let Some(head) = &model.head {
        hash.update(format!("{head:?}\0"));
    }
    hash.update(Sha256::digest(model.tokenizer.as_slice()));
    for (name, tensor) in model.weights.iter() {
        tensor.digest(name, &mut hash);
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Taken apart by name, so that no field is forgotten.
fn shape(config: &EncoderConfig) -> String {
    let EncoderConfig {
        architecture,
        vocabulary,
        width,
        layers,
        heads,
        feed_forward,
        activation,
        positions,
        token_types,
        norm_eps,
        embedding_width,
        padding,
    } = config;
    let mut shape = format!(
        "EncoderConfig {{ architecture: {architecture:?}, vocabulary: {vocabulary}, width: {width}, layers: {layers}, \
         heads: {heads}, feed_forward: {feed_forward}, activation: {activation:?}, positions: {positions}, \
         token_types: {token_types}, norm_eps: {norm_eps:?} }}"
    );
    // Writing to a string cannot fail.
    if embedding_width != width {
        let _ = write!(shape, " embedding_width: {embedding_width}");
    }
    if let Some(padding) = padding {
        let _ = write!(shape, " padding: {padding}");
    }
    shape
}

/// What a collection asks of a model: the prompts by other names are not part of it.
fn modules(modules: &Modules) -> String {
    let Modules { pooling: Pooling { modes, include_prompt }, after, max_tokens, lowercase, prompts, declared } =
        modules;
    let Prompts { query, passage, named: _, default: _ } = prompts;
    let pooling = modes.iter().map(|mode| format!("{mode:?}")).collect::<Vec<_>>().join("+");
    let mut text = format!(
        "Modules {{ pooling: {pooling}, normalize: {}, max_tokens: {max_tokens}, lowercase: {lowercase}, \
         prompts: Prompts {{ query: {query:?}, passage: {passage:?} }}, declared: {declared:?} }}",
        modules.is_normalized()
    );
    if !after.is_empty() && *after != [Module::Normalize] {
        let _ = write!(text, " after: {after:?}");
    }
    if !include_prompt {
        text.push_str(" include_prompt: false");
    }
    text
}
