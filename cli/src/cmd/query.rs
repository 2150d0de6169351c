//! `marcato query`: the passages that answer a question.

use std::io::{BufReader, stdin};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use marcato::{Collection, Explanation, Hit, Metadata, Mode, Query, Reranker, Scores, Warning};
use serde::Serialize;
use serde_json::{Value, json};

use crate::args::Query as Args;
use crate::open;
use crate::output::{Output, excerpt};
use crate::read::lines::Lines;

/// Questions from standard input that are encoded together.
const BATCH: usize = 64;

/// A hit as JSON.
#[derive(Serialize)]
struct HitLine<'a> {
    /// Which of several questions it answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    query: Option<&'a str>,
    rank: usize,
    id: &'a str,
    score: f32,
    /// What each stage said, where more than one did.
    #[serde(skip_serializing_if = "Option::is_none")]
    scores: Option<StageScores>,
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<&'a str>,
    text: &'a str,
    metadata: &'a Metadata,
    #[serde(skip_serializing_if = "Option::is_none")]
    highlight: Option<Value>,
}

/// A hit's scores as JSON: `f32` each, so that a number is printed as it is everywhere else.
#[derive(Serialize)]
struct StageScores {
    #[serde(skip_serializing_if = "Option::is_none")]
    dense: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lexical: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fused: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rerank: Option<f32>,
}

pub(crate) fn run(args: &Args, output: &mut Output) -> Result<()> {
    let mode = open::mode(args.mode);
    if args.fusion.is_some() && mode != Mode::Hybrid {
        bail!("--fusion makes one ranking of two, and --mode {mode} has one: use --mode hybrid");
    }
    if mode == Mode::Lexical {
        if args.exact {
            bail!("--exact compares every embedding, and --mode lexical compares none: use --mode dense or hybrid");
        }
        if args.encoder.model.is_some() {
            bail!("--model encodes the question, and --mode lexical has nothing encoded: use --mode dense or hybrid");
        }
    }
    let stages = stages(args)?;
    let collection = open::for_reading(&args.collection, || match mode {
        Mode::Lexical => Ok(open::without_encoder()),
        _ => Ok(open::with_encoder(&args.encoder)?.preload()),
    })?;
    let told = collection.open_report().rebuilt.is_some();
    let shape = |query| shape(query, args, &stages);
    let mut printer = Printer { args, output, warned: Vec::new() };
    match (&args.like, args.text.as_deref()) {
        (Some(id), _) => printer.print(&shape(collection.query_like(id.as_str())).explain()?, None)?,
        (None, Some("-")) => answer_lines(&collection, &shape, &mut printer)?,
        (None, text) => printer.print(&shape(collection.query(text.unwrap_or_default())).explain()?, None)?,
    }
    // A large index is loaded for the first question, and its damage found then.
    if !told {
        open::report(&collection);
    }
    // Without words nobody has looked at their index.
    if mode != Mode::Dense
        && let Some(reason) = collection.stats().words_rebuilt
    {
        eprintln!("note: the index of words was rebuilt from the store: {reason}");
    }
    Ok(())
}

/// The rerankers, each with how many candidates it reads.
fn stages(args: &Args) -> Result<Vec<(Box<dyn Reranker>, usize)>> {
    if args.rerank_top.len() > args.rerank.len() {
        bail!("--rerank-top is given {} times, --rerank {} times", args.rerank_top.len(), args.rerank.len());
    }
    let tops = args.rerank_top.iter().copied().map(Some).chain(std::iter::repeat(None));
    let mut stages: Vec<(Box<dyn Reranker>, usize)> = Vec::new();
    for (name, top) in args.rerank.iter().zip(tops) {
        stages.push((Box::new(open::reranker(name, &args.encoder)?), top.unwrap_or(marcato::DEFAULT_RERANK_TOP)));
    }
    Ok(stages)
}

fn shape<'c>(query: Query<'c>, args: &'c Args, stages: &'c [(Box<dyn Reranker>, usize)]) -> Query<'c> {
    let mut query =
        query.mode(open::mode(args.mode)).top(args.top).offset(args.offset).exact(args.exact).highlight(args.highlight);
    if let Some(fusion) = args.fusion {
        query = query.fusion(open::fusion(fusion));
    }
    for (reranker, top) in stages {
        query = query.rerank(reranker.as_ref(), *top);
    }
    if let Some(min_score) = args.min_score {
        query = query.min_score(min_score);
    }
    if let Some(field) = &args.collapse {
        query = query.collapse(field.as_str());
    }
    if let Some(lambda) = args.mmr {
        query = query.mmr(lambda);
    }
    if let Some(filter) = &args.filter {
        query = query.filter(filter.clone());
    }
    query
}

/// A question of standard input.
struct Question {
    id: String,
    text: String,
}

fn answer_lines<'c>(
    collection: &'c Collection,
    shape: &impl Fn(Query<'c>) -> Query<'c>,
    printer: &mut Printer<'_>,
) -> Result<()> {
    let mut questions: Vec<Question> = Vec::new();
    let mut lines = Lines::new(BufReader::new(stdin()));
    while let Some(line) = lines.next() {
        let (number, line) = line.context("cannot read standard input")?;
        let (id, text) = question(&line).with_context(|| format!("standard input:{number}"))?;
        questions.push(Question { id: id.unwrap_or_else(|| number.to_string()), text });
        // Whoever waits for an answer before asking on gets it at once.
        if questions.len() == BATCH || !lines.is_ready() {
            answer(collection, &questions, shape, printer)?;
            questions.clear();
        }
    }
    answer(collection, &questions, shape, printer)
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

fn answer<'c>(
    collection: &'c Collection,
    questions: &[Question],
    shape: &impl Fn(Query<'c>) -> Query<'c>,
    printer: &mut Printer<'_>,
) -> Result<()> {
    let texts: Vec<&str> = questions.iter().map(|question| question.text.as_str()).collect();
    for (Question { id, text }, answer) in questions.iter().zip(collection.explain_batch(&texts, shape)?) {
        if !printer.output.json {
            printer.output.line(format!("\n> {text}"))?;
        }
        printer.print(&answer, Some(id))?;
    }
    printer.output.flush()
}

/// Where answers go.
struct Printer<'a> {
    args: &'a Args,
    output: &'a mut Output,
    /// Each warning is given once, however many questions there are.
    warned: Vec<Warning>,
}

impl Printer<'_> {
    fn print(&mut self, answer: &Explanation, query: Option<&str>) -> Result<()> {
        self.explain(answer)?;
        for (place, hit) in answer.hits.iter().enumerate() {
            let Hit { id, score, title, text, metadata, .. } = hit;
            let rank = self.args.offset + place + 1;
            if self.output.json {
                let (title, scores, highlight) = (title.as_deref(), scores(hit), highlight(hit));
                let (id, score) = (id.as_str(), *score);
                self.output.value(&HitLine { query, rank, id, score, scores, title, text, metadata, highlight })?;
            } else {
                let title = title.as_ref().map_or(String::new(), |title| format!("{title}: "));
                let shown = marked(hit).unwrap_or_else(|| excerpt(text, 120));
                self.output.line(format!("{rank:>2}  {score:.3}  {id}  {title}{shown}"))?;
            }
        }
        Ok(())
    }

    /// What the hits alone do not show, on standard error, so that standard output holds hits and nothing else.
    fn explain(&mut self, answer: &Explanation) -> Result<()> {
        match (self.args.explain, self.output.json) {
            (true, true) => eprintln!("{}", serde_json::to_string(&explanation_line(answer))?),
            (true, false) => eprint!("{answer}"),
            (false, _) => {
                for warning in answer.warnings.iter().filter(|warning| !self.warned.contains(warning)) {
                    eprintln!("warning: {warning}");
                }
                self.warned.extend_from_slice(&answer.warnings);
            }
        }
        Ok(())
    }
}

fn explanation_line(explanation: &Explanation) -> Value {
    let milliseconds = |time: Duration| time.as_secs_f64() * 1e3;
    let times = explanation.times;
    json!({
        "mode": explanation.mode.name(),
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
            "words": milliseconds(times.words),
            "rank": milliseconds(times.rank),
            "fetch": milliseconds(times.fetch),
        },
        "warnings": explanation.warnings.iter().map(ToString::to_string).collect::<Vec<_>>(),
    })
}

fn scores(hit: &Hit) -> Option<StageScores> {
    let Scores { dense, lexical, fused, rerank, .. } = hit.scores;
    let several = [dense, lexical, fused, rerank].iter().flatten().count() > 1;
    several.then_some(StageScores { dense, lexical, fused, rerank })
}

fn highlight(hit: &Hit) -> Option<Value> {
    let highlight = hit.highlight.as_ref()?;
    let (start, end) = (highlight.sentence.start, highlight.sentence.end);
    let words: Vec<[usize; 2]> = highlight.words.iter().map(|word| [word.start, word.end]).collect();
    Some(json!({"sentence": {"start": start, "end": end, "text": hit.text.get(start..end)}, "words": words}))
}

/// The sentence that answers best, with the query's words between asterisks.
fn marked(hit: &Hit) -> Option<String> {
    let highlight = hit.highlight.as_ref()?;
    let mut marked = String::new();
    let mut at = highlight.sentence.start;
    for word in &highlight.words {
        if word.start < at || word.end > highlight.sentence.end {
            continue;
        }
        marked += hit.text.get(at..word.start)?;
        marked += &format!("*{}*", hit.text.get(word.clone())?);
        at = word.end;
    }
    marked += hit.text.get(at..highlight.sentence.end)?;
    Some(excerpt(&marked, 300))
}
