//! `marcato query`: the passages that answer a question.

use std::io::stdin;
use std::time::Duration;

use anyhow::{Context, Result};
use marcato::{Collection, Explanation, Hit, Metadata, Warning};
use serde::Serialize;
use serde_json::{Value, json};

use crate::args::Query;
use crate::open;
use crate::output::{Output, excerpt};
use crate::read::lines::Lines;

/// A hit as JSON.
#[derive(Serialize)]
struct HitLine<'a> {
    /// Which of several questions it answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    query: Option<&'a str>,
    rank: usize,
    id: &'a str,
    score: f32,
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<&'a str>,
    text: &'a str,
    metadata: &'a Metadata,
}

pub(crate) fn run(args: &Query, output: &mut Output) -> Result<()> {
    let collection = open::for_reading(&args.collection, || Ok(open::with_encoder(&args.encoder)?.preload()))?;
    let mut warned = Vec::new();
    if args.text != "-" {
        return answer(&collection, args, None, &args.text, &mut warned, output);
    }
    for line in Lines::new(stdin().lock()) {
        let (number, line) = line.context("cannot read standard input")?;
        let (id, text) = question(&line).with_context(|| format!("standard input:{number}"))?;
        let id = id.unwrap_or_else(|| number.to_string());
        if !output.json {
            output.line(format!("\n> {text}"))?;
        }
        answer(&collection, args, Some(&id), &text, &mut warned, output)?;
        output.flush()?;
    }
    Ok(())
}

/// The id and text of a line: `{"id" or "_id", "text"}`, or the line itself.
fn question(line: &[u8]) -> Result<(Option<String>, String)> {
    if let Ok(Value::Object(fields)) = serde_json::from_slice(line)
        && let Some(Value::String(text)) = fields.get("text")
    {
        let id = fields.get("id").or_else(|| fields.get("_id"));
        let id = id.map(|id| id.as_str().map_or_else(|| id.to_string(), str::to_owned));
        return Ok((id, text.clone()));
    }
    Ok((None, std::str::from_utf8(line).context("not valid UTF-8")?.to_owned()))
}

fn answer(
    collection: &Collection,
    args: &Query,
    query: Option<&str>,
    text: &str,
    warned: &mut Vec<Warning>,
    output: &mut Output,
) -> Result<()> {
    let mut asked = collection.query(text).top(args.top).exact(args.exact);
    if let Some(filter) = &args.filter {
        asked = asked.filter(filter.clone());
    }
    let explanation = asked.explain()?;
    explain(&explanation, args.explain, output.json, warned)?;
    for (place, hit) in explanation.hits.iter().enumerate() {
        let Hit { id, score, title, text, metadata, .. } = hit;
        let rank = place + 1;
        if output.json {
            let title = title.as_deref();
            output.value(&HitLine { query, rank, id: id.as_str(), score: *score, title, text, metadata })?;
        } else {
            let title = title.as_ref().map_or(String::new(), |title| format!("{title}: "));
            output.line(format!("{rank:>2}  {score:.3}  {id}  {title}{}", excerpt(text, 120)))?;
        }
    }
    Ok(())
}

/// What the hits alone do not show, on standard error, so that standard output holds hits and nothing else. Each warning
/// once, however many questions there are.
fn explain(explanation: &Explanation, whole: bool, json: bool, warned: &mut Vec<Warning>) -> Result<()> {
    match (whole, json) {
        (true, true) => eprintln!("{}", serde_json::to_string(&explanation_line(explanation))?),
        (true, false) => eprint!("{explanation}"),
        (false, _) => {
            for warning in explanation.warnings.iter().filter(|warning| !warned.contains(warning)) {
                eprintln!("warning: {warning}");
            }
            warned.extend_from_slice(&explanation.warnings);
        }
    }
    Ok(())
}

fn explanation_line(explanation: &Explanation) -> Value {
    let milliseconds = |time: Duration| time.as_secs_f64() * 1e3;
    let times = explanation.times;
    json!({
        "plan": explanation.plan.name(),
        "passages": explanation.passages,
        "matches": explanation.matches,
        "read": explanation.read,
        "rescored": explanation.rescored,
        "hits": explanation.hits.len(),
        "milliseconds": {
            "encode": milliseconds(times.encode),
            "filter": milliseconds(times.filter),
            "candidates": milliseconds(times.candidates),
            "rescore": milliseconds(times.rescore),
            "fetch": milliseconds(times.fetch),
        },
        "warnings": explanation.warnings.iter().map(ToString::to_string).collect::<Vec<_>>(),
    })
}
