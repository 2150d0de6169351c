//! `marcato bench`: how fast a model is on this machine.

use std::fmt;
use std::fs;
use std::num::NonZero;
use std::path::Path;
use std::thread::available_parallelism;
use std::time::Instant;

use anyhow::{Result, bail};
use marcato::{BiEncoder, CrossEncoder, Encoder, Passage};
use serde::Serialize;

use super::demo;
use crate::args::{Bench, Score};
use crate::output::Output;
use crate::read::{self, Item};
use crate::{open, progress};

/// Texts that are encoded before anything is timed: caches fill, and buffers reach their size.
const WARM_UP: usize = 64;

/// What was measured.
#[derive(Serialize)]
struct Measured {
    model: String,
    precision: &'static str,
    instruction_set: &'static str,
    threads: usize,
    rounds: usize,
    load_milliseconds: f64,
    #[serde(flatten)]
    figures: Figures,
    /// The most memory that the process has had; where the system tells.
    #[serde(skip_serializing_if = "Option::is_none")]
    peak_memory_bytes: Option<u64>,
}

/// What a model is good for, by its kind.
#[derive(Serialize)]
#[serde(untagged)]
enum Figures {
    BiEncoder {
        passages: usize,
        tokens: usize,
        passages_per_second: Spread,
        tokens_per_second: Spread,
        queries: usize,
        query_milliseconds: Percentiles,
    },
    /// A round is the passages with one of the queries.
    CrossEncoder { pairs: usize, pairs_per_second: Spread, rank_milliseconds: Percentiles },
}

/// A figure over several rounds.
#[derive(Serialize)]
struct Spread {
    median: f64,
    min: f64,
    max: f64,
}

#[derive(Serialize)]
struct Percentiles {
    p50: f64,
    p99: f64,
}

pub(crate) fn run(args: &Bench, output: &mut Output) -> Result<()> {
    let passages = texts(args.passages.as_deref(), args.limit, demo::texts)?;
    let queries = texts(args.queries.as_deref(), args.limit, demo::questions)?;
    let passages: Vec<&str> = passages.iter().map(String::as_str).collect();
    let queries: Vec<&str> = queries.iter().map(String::as_str).collect();
    let started = Instant::now();
    let measured = if open::is_cross_encoder(&args.encoder) {
        let encoder = open::cross_encoder(&Score::from(&args.encoder))?;
        let load_milliseconds = milliseconds(started);
        let (info, figures) = (encoder.info(), cross_encoder(&encoder, &passages, &queries, args.rounds)?);
        let (model, precision) = (info.name.clone(), info.precision.name());
        measured(args, model, precision, encoder.instruction_set(), load_milliseconds, figures)
    } else {
        let encoder = open::encoder(&args.encoder)?;
        let load_milliseconds = milliseconds(started);
        let (info, figures) = (encoder.info(), bi_encoder(&encoder, &passages, &queries, args.rounds)?);
        let (model, precision) = (info.name.clone(), info.precision.name());
        measured(args, model, precision, encoder.instruction_set(), load_milliseconds, figures)
    };
    if output.json {
        return output.value(&measured);
    }
    output.line(measured.to_string().trim_end())
}

fn measured(
    args: &Bench,
    model: String,
    precision: &'static str,
    instruction_set: &'static str,
    load_milliseconds: f64,
    figures: Figures,
) -> Measured {
    let threads = args.encoder.threads.unwrap_or_else(|| available_parallelism().map_or(1, NonZero::get));
    let rounds = args.rounds;
    let peak_memory_bytes = peak_memory();
    Measured { model, precision, instruction_set, threads, rounds, load_milliseconds, figures, peak_memory_bytes }
}

/// The texts of `path`, as an encoder sees them, or those that come with the program.
fn texts(path: Option<&Path>, limit: Option<usize>, own: fn() -> Result<Vec<String>>) -> Result<Vec<String>> {
    let most = limit.unwrap_or(usize::MAX);
    let Some(path) = path else { return Ok(own()?.into_iter().take(most).collect()) };
    let sources = read::sources(&[path.to_owned()])?;
    let bar = progress::reading(read::total_bytes(&sources));
    let text = |item| match item? {
        Item::Passage(passage) => Ok(Passage::text_to_encode(&passage)),
        Item::Invalid(error) => Err(error),
    };
    let texts: Vec<String> = read::all(&sources, &bar).map(text).take(most).collect::<Result<_>>()?;
    bar.finish_and_clear();
    if texts.is_empty() {
        bail!("{} holds no passage", path.display());
    }
    Ok(texts)
}

fn bi_encoder(encoder: &BiEncoder, passages: &[&str], queries: &[&str], rounds: usize) -> Result<Figures> {
    let tokens = passages.iter().map(|text| encoder.count_tokens(text)).sum::<marcato::Result<usize>>()?;
    encoder.encode_passages(passages.get(..WARM_UP).unwrap_or(passages))?;
    for query in queries.iter().take(WARM_UP) {
        encoder.encode_queries(&[query])?;
    }
    let (mut seconds, mut latencies) = (Vec::new(), Vec::new());
    each_round(rounds, |_| {
        let started = Instant::now();
        encoder.encode_passages(passages)?;
        seconds.push(started.elapsed().as_secs_f64());
        for query in queries {
            let started = Instant::now();
            encoder.encode_queries(&[query])?;
            latencies.push(milliseconds(started));
        }
        Ok(())
    })?;
    Ok(Figures::BiEncoder {
        passages: passages.len(),
        tokens,
        passages_per_second: Spread::of_rates(passages.len(), &seconds),
        tokens_per_second: Spread::of_rates(tokens, &seconds),
        queries: queries.len(),
        query_milliseconds: Percentiles::of(latencies),
    })
}

fn cross_encoder(encoder: &CrossEncoder, passages: &[&str], queries: &[&str], rounds: usize) -> Result<Figures> {
    let pairs = |round: usize| -> Vec<(&str, &str)> {
        let query = queries.iter().cycle().nth(round).copied().unwrap_or_default();
        passages.iter().map(|passage| (query, *passage)).collect()
    };
    encoder.score_labels(pairs(0).get(..WARM_UP).unwrap_or(&pairs(0)))?;
    let mut seconds = Vec::new();
    each_round(rounds, |round| {
        let pairs = pairs(round);
        let started = Instant::now();
        encoder.score_labels(&pairs)?;
        seconds.push(started.elapsed().as_secs_f64());
        Ok(())
    })?;
    Ok(Figures::CrossEncoder {
        pairs: passages.len(),
        pairs_per_second: Spread::of_rates(passages.len(), &seconds),
        rank_milliseconds: Percentiles::of(seconds.iter().map(|seconds| seconds * 1e3).collect()),
    })
}

fn each_round(rounds: usize, mut round: impl FnMut(usize) -> Result<()>) -> Result<()> {
    let bar = progress::rounds(rounds as u64);
    bar.set_message("Measuring");
    for number in 0..rounds {
        round(number)?;
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(())
}

fn milliseconds(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1e3
}

/// Linux alone counts it for every process.
fn peak_memory() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(peak.trim().strip_suffix("kB")?.trim_end().parse::<u64>().ok()? << 10)
}

impl Spread {
    fn of_rates(count: usize, seconds: &[f64]) -> Self {
        let rates = sorted(seconds.iter().map(|seconds| count as f64 / seconds).collect());
        let at = |place: usize| rates.get(place).copied().unwrap_or_default();
        Self { median: at(rates.len() / 2), min: at(0), max: at(rates.len().saturating_sub(1)) }
    }
}

impl Percentiles {
    fn of(values: Vec<f64>) -> Self {
        let values = sorted(values);
        // The nearest rank: the least value that this part of all values does not exceed.
        let at = |part: f64| {
            let rank = (part * values.len() as f64).ceil() as usize;
            values.get(rank.saturating_sub(1)).copied().unwrap_or_default()
        };
        Self { p50: at(0.5), p99: at(0.99) }
    }
}

fn sorted(mut values: Vec<f64>) -> Vec<f64> {
    values.sort_by(f64::total_cmp);
    values
}

impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rounds = self.rounds;
        writeln!(f, "{}: {}, {}, {} threads", self.model, self.precision, self.instruction_set, self.threads)?;
        writeln!(f, "  load      {:.1} ms", self.load_milliseconds)?;
        match &self.figures {
            Figures::BiEncoder {
                passages,
                tokens,
                passages_per_second,
                tokens_per_second,
                queries,
                query_milliseconds: Percentiles { p50, p99 },
            } => {
                writeln!(f, "  passages  {passages_per_second}, median of {rounds} rounds of {passages}")?;
                writeln!(f, "  tokens    {tokens_per_second}, {tokens} in a round")?;
                writeln!(f, "  query     {p50:.2} ms p50, {p99:.2} ms p99, {rounds} rounds of {queries}")?;
            }
            Figures::CrossEncoder { pairs, pairs_per_second, rank_milliseconds: Percentiles { p50, .. } } => {
                writeln!(f, "  pairs     {pairs_per_second}, median of {rounds} rounds of {pairs}")?;
                writeln!(f, "  query     {p50:.1} ms to rank {pairs} passages")?;
            }
        }
        if let Some(bytes) = self.peak_memory_bytes {
            writeln!(f, "  memory    {} at its peak", indicatif::HumanBytes(bytes))?;
        }
        Ok(())
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.0}/s ({:.0} to {:.0})", self.median, self.min, self.max)
    }
}

#[cfg(test)]
mod tests {
    use super::{Percentiles, Spread};

    #[test]
    fn spreads_and_percentiles() {
        let Spread { median, min, max } = Spread::of_rates(12, &[1.0, 4.0, 2.0]);
        assert_eq!((median, min, max), (6.0, 3.0, 12.0));
        let Percentiles { p50, p99 } = Percentiles::of((1..=200).rev().map(f64::from).collect());
        assert_eq!((p50, p99), (100.0, 198.0));
        let Percentiles { p50, p99 } = Percentiles::of(vec![7.0]);
        assert_eq!((p50, p99), (7.0, 7.0));
    }
}
