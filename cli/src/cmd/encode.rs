//! `marcato encode`: texts to embeddings, in order, with bounded memory.

use std::io::stdin;

use anyhow::{Context, Result, bail};
use marcato::{BiEncoder, Encoder};
use serde_json::{Value, json};

use crate::args::{Encode, Kind};
use crate::open;
use crate::output::Output;
use crate::read::lines::Lines;

/// Texts that are encoded together.
const AT_ONCE: usize = 1024;

pub(crate) fn run(args: &Encode, output: &mut Output) -> Result<()> {
    let options = open::options(&args.encoder);
    let options = match args.batch_tokens {
        Some(tokens) => options.batch_tokens(tokens),
        None => options,
    };
    let encoder = open::load(args.encoder.model.as_deref(), options)?;
    if let Some(name) = &args.prompt {
        // A prompt that is not there is told even if no text comes.
        encoder.encode(&[], Some(name))?;
    }
    let mut texts: Vec<String> = Vec::new();
    for line in Lines::new(stdin().lock()) {
        let (number, line) = line.context("cannot read standard input")?;
        texts.push(text(&line).with_context(|| format!("standard input:{number}"))?);
        if texts.len() == AT_ONCE {
            encode(&encoder, args, &texts, output)?;
            texts.clear();
        }
    }
    encode(&encoder, args, &texts, output)
}

fn text(line: &[u8]) -> Result<String> {
    let value: Value = serde_json::from_slice(line).context("not valid JSON")?;
    match value.get("text") {
        Some(Value::String(text)) => Ok(text.clone()),
        Some(_) => bail!("\"text\" is not a string"),
        None => bail!("there is no \"text\""),
    }
}

fn encode(encoder: &BiEncoder, args: &Encode, texts: &[String], output: &mut Output) -> Result<()> {
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let embeddings = match (&args.prompt, args.kind) {
        (Some(name), _) => encoder.encode(&texts, Some(name))?,
        (None, Kind::Query) => encoder.encode_queries(&texts)?,
        (None, Kind::Passage) => encoder.encode_passages(&texts)?,
    };
    for embedding in embeddings {
        output.value(&json!({"embedding": embedding.to_vec()}))?;
    }
    output.flush()
}
