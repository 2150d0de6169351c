//! `marcato score`: pairs of query and passage to scores, in order, with bounded memory.

use std::io::stdin;

use anyhow::{Context, Result, bail};
use marcato::CrossEncoder;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::args::Score;
use crate::open;
use crate::output::Output;
use crate::read::lines::Lines;
use crate::read::object::object;

/// Pairs that are scored together.
const AT_ONCE: usize = 1024;

/// Bytes of text, after which pairs are scored however few they are.
const BYTES_AT_ONCE: usize = 64 << 20;

#[derive(Serialize)]
struct ScoreLine {
    score: ScoreValue,
}

#[derive(Serialize)]
#[serde(untagged)]
enum ScoreValue {
    One(f32),
    /// A score for each label.
    Several(Vec<f32>),
}

pub(crate) fn run(args: &Score, output: &mut Output) -> Result<()> {
    let model = open::cross_encoder(args)?;
    let mut pairs: Vec<(String, String)> = Vec::new();
    let mut bytes = 0;
    for line in Lines::new(stdin().lock()) {
        let (number, line) = line.context("cannot read standard input")?;
        let pair = pair(&line).with_context(|| format!("standard input:{number}"))?;
        bytes += pair.0.len() + pair.1.len();
        pairs.push(pair);
        if pairs.len() == AT_ONCE || bytes >= BYTES_AT_ONCE {
            score(&model, &pairs, output)?;
            pairs.clear();
            bytes = 0;
        }
    }
    score(&model, &pairs, output)
}

fn pair(line: &[u8]) -> Result<(String, String)> {
    let mut fields = object(line)?;
    Ok((text(&mut fields, "query")?, text(&mut fields, "passage")?))
}

fn text(fields: &mut Map<String, Value>, key: &str) -> Result<String> {
    match fields.shift_remove(key) {
        Some(Value::String(text)) => Ok(text),
        Some(_) => bail!("\"{key}\" is not a string"),
        None => bail!("there is no \"{key}\""),
    }
}

fn score(model: &CrossEncoder, pairs: &[(String, String)], output: &mut Output) -> Result<()> {
    let is_single = model.info().labels.len() == 1;
    for scores in model.score_labels(pairs)? {
        let score = match scores.as_slice() {
            [score] if is_single => ScoreValue::One(*score),
            _ => ScoreValue::Several(scores),
        };
        output.value(&ScoreLine { score })?;
    }
    output.flush()
}
