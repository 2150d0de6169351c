//! `marcato demo`: the whole thing on a small corpus of our own, offline, with the built-in model.

use std::time::Instant;

use anyhow::{Context, Result};
use marcato::eval::{Qrels, ndcg, reciprocal_rank};
use marcato::{BiEncoder, Collection, Encoder, Passage};
use serde::Deserialize;
use serde_json::json;

use crate::output::{Output, excerpt};
use crate::progress;

const CORPUS: &str = include_str!("../../demo/corpus.jsonl");
const QUERIES: &str = include_str!("../../demo/queries.jsonl");
const QRELS: &str = include_str!("../../demo/qrels.tsv");

/// Questions that are answered in full.
const SHOWN: usize = 5;

/// One of so many passages is paired with a question, whether it answers or not.
const PAIRED_EACH: usize = 20;

/// How deep the measures look.
const DEPTH: usize = 10;

#[derive(Deserialize)]
struct Entry {
    #[serde(rename = "_id")]
    id: String,
    #[serde(default)]
    title: String,
    text: String,
    #[serde(default)]
    field: String,
}

/// The demo's passages as an encoder sees them: also the samples on which drift is measured.
pub(crate) fn texts() -> Result<Vec<String>> {
    Ok(passages()?.iter().map(Passage::text_to_encode).collect())
}

/// Each question of the demo with its answers and with passages from all over the corpus: the samples on which the drift
/// of scores is measured.
pub(crate) fn pairs() -> Result<Vec<(String, String)>> {
    let (passages, qrels) = (passages()?, Qrels::parse_tsv(QRELS)?);
    let mut pairs = Vec::new();
    for (number, query) in entries(QUERIES)?.into_iter().enumerate() {
        let is_answer =
            |passage: &Passage| passage.id.as_ref().is_some_and(|id| qrels.grade(&query.id, id.as_str()) > 0);
        let chosen = |(at, passage): &(usize, &Passage)| at % PAIRED_EACH == number % PAIRED_EACH || is_answer(passage);
        let chosen = passages.iter().enumerate().filter(chosen);
        pairs.extend(chosen.map(|(_, passage)| (query.text.clone(), passage.text_to_encode())));
    }
    Ok(pairs)
}

fn passages() -> Result<Vec<Passage>> {
    let passage = |entry: Entry| Passage::new(entry.text).id(entry.id).title(entry.title).field("field", entry.field);
    Ok(entries(CORPUS)?.into_iter().map(passage).collect())
}

fn entries(jsonl: &str) -> Result<Vec<Entry>> {
    jsonl.lines().map(|line| serde_json::from_str(line).context("the demo's data is malformed")).collect()
}

pub(crate) fn run(output: &mut Output) -> Result<()> {
    let encoder = BiEncoder::builtin()?;
    let name = encoder.name().to_owned();
    let collection = Collection::options().encoder(encoder).in_memory()?;
    let passages = passages()?;
    let total = passages.len();
    let bar = progress::passages(total as u64);
    bar.set_message("Indexing");
    let started = Instant::now();
    for part in passages.chunks(32) {
        collection.add(part.to_vec())?;
        bar.inc(part.len() as u64);
    }
    let rate = total as f64 / started.elapsed().as_secs_f64();
    bar.finish_and_clear();
    if !output.json {
        output.line(format!("Indexed {total} passages with {name}, offline, at {rate:.0} passages/s.\n"))?;
    }
    let qrels = Qrels::parse_tsv(QRELS)?;
    let queries = entries(QUERIES)?;
    let (mut gain, mut reciprocal, mut milliseconds) = (0.0, 0.0, Vec::new());
    for (number, query) in queries.iter().enumerate() {
        let started = Instant::now();
        let hits = collection.query(&query.text).top(DEPTH).run()?;
        milliseconds.push(started.elapsed().as_secs_f64() * 1e3);
        let ranking: Vec<&str> = hits.iter().map(|hit| hit.id.as_str()).collect();
        gain += ndcg(&qrels, &query.id, &ranking, DEPTH);
        reciprocal += reciprocal_rank(&qrels, &query.id, &ranking, DEPTH);
        if number < SHOWN && !output.json {
            output.line(format!("> {}", query.text))?;
            for hit in hits.iter().take(3) {
                let title = hit.title.as_deref().unwrap_or_default();
                output.line(format!("  {:.3}  {title}: {}", hit.score, excerpt(&hit.text, 100)))?;
            }
            output.line("")?;
        }
    }
    let count = queries.len() as f64;
    milliseconds.sort_by(f64::total_cmp);
    let median = milliseconds.get(milliseconds.len() / 2).copied().unwrap_or_default();
    let (gain, reciprocal) = (gain / count, reciprocal / count);
    if output.json {
        return output.value(&json!({
            "passages": total, "queries": queries.len(), "ndcg@10": gain, "mrr@10": reciprocal,
            "passages_per_second": rate, "milliseconds_per_query": median,
        }));
    }
    output.line(format!("Over {} judged questions: nDCG@10 {gain:.3}, MRR@10 {reciprocal:.3}.", queries.len()))?;
    output.line(format!("{rate:.0} passages/s, {median:.1} ms per query (median).\n"))?;
    output.line("Now your own text:")?;
    output.line("  marcato add notes.marcato ~/notes")?;
    output.line("  marcato query notes.marcato \"what did we decide about the roof\"")
}
