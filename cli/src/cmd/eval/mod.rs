//! `marcato eval`: a ranking measured against judgements, and against another ranking.

mod page;
mod plot;
mod report;
mod rerank;
mod search;

use std::fs::{self, File};
use std::io::BufWriter;
use std::path::Path;

use anyhow::{Context, Result, bail};
use marcato::eval::{Dataset, Qrels, Run, compare, evaluate};
use serde_json::Value;

use crate::args::Eval;
use crate::open;
use crate::output::Output;
use report::{Baseline, Report};
use rerank::Texts;

/// What is to be measured, and what is known about it.
struct Subject {
    title: String,
    /// What it was made of, for the report.
    facts: Vec<(&'static str, Value)>,
    qrels: Qrels,
    run: Run,
    /// Where the texts of queries are, if the run was made here.
    dataset: Option<Dataset>,
    texts: Texts,
    warnings: Vec<String>,
}

pub(crate) fn run(args: &Eval, output: &mut Output) -> Result<()> {
    // Whatever may fail at once comes before the search, which may take hours.
    let mut baseline =
        args.baseline.as_ref().map(|path| Ok::<_, anyhow::Error>((name(path), Run::read(path)?))).transpose()?;
    let cross_encoder = args.rerank.as_ref().map(|model| open::reranker(model, &args.encoder)).transpose()?;
    for path in args.html.iter().chain(args.run.iter().filter(|_| args.qrels.is_none())) {
        check_writable(path)?;
    }
    let mut subject = match (&args.qrels, &args.run, &args.data, &args.candidates) {
        (Some(qrels), Some(run), ..) => made_elsewhere(qrels, run)?,
        (None, _, Some(data), Some(candidates)) => rerank::candidates(args, data, candidates)?,
        (None, _, Some(data), None) => search::answered(args, data)?,
        _ => bail!("either --data, or --run with --qrels"),
    };
    if args.ignore_identical_ids {
        subject.run.remove_identical_ids();
    }
    if let Some(cross_encoder) = &cross_encoder {
        let first_stage = rerank::rerank(args, cross_encoder, &mut subject)?;
        baseline = baseline.or(Some(("first stage".to_owned(), first_stage)));
    }
    if args.qrels.is_none()
        && let Some(path) = &args.run
    {
        let file = File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
        let tag = format!("marcato-{}", if cross_encoder.is_some() { "rerank" } else { open::mode(args.mode).name() });
        subject
            .run
            .write_trec(BufWriter::new(file), &tag)
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    let evaluation = evaluate(&subject.qrels, &subject.run, &args.measures)?;
    let mut warnings = std::mem::take(&mut subject.warnings);
    warnings.extend(evaluation.warnings());
    let baseline = match baseline {
        Some((name, mut run)) => {
            if args.ignore_identical_ids {
                run.remove_identical_ids();
            }
            let other = evaluate(&subject.qrels, &run, &args.measures)
                .with_context(|| format!("cannot compare with {name}"))?;
            warnings.extend(other.warnings().iter().map(|warning| format!("{name}: {warning}")));
            Some(Baseline { name, comparisons: compare(&evaluation, &other)?, run, evaluation: other })
        }
        None => None,
    };
    for warning in &warnings {
        eprintln!("warning: {warning}");
    }
    let report = Report { title: subject.title.clone(), facts: subject.facts.clone(), evaluation, baseline, warnings };
    if let Some(path) = &args.html {
        let page = page::page(&report, &subject)?;
        fs::write(path, page).with_context(|| format!("cannot write {}", path.display()))?;
    }
    if output.json { output.value(&report.json(args.per_query)) } else { report.print(args.per_query, output) }
}

/// A run and judgements from files.
fn made_elsewhere(qrels: &Path, run: &Path) -> Result<Subject> {
    Ok(Subject {
        title: name(run),
        facts: vec![("run", path(run)), ("qrels", path(qrels))],
        qrels: Qrels::read(qrels)?,
        run: Run::read(run)?,
        dataset: None,
        texts: Texts::None,
        warnings: Vec::new(),
    })
}

fn path(path: &Path) -> Value {
    Value::String(path.display().to_string())
}

/// The last part of a path, as people call the thing.
fn name(path: &Path) -> String {
    path.canonicalize()
        .ok()
        .as_deref()
        .unwrap_or(path)
        .file_name()
        .unwrap_or(path.as_os_str())
        .to_string_lossy()
        .into_owned()
}

fn check_writable(path: &Path) -> Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if path.is_dir() {
        bail!("cannot write {}: it is a directory", path.display());
    }
    if !folder.is_dir() {
        bail!("cannot write {}: there is no directory {}", path.display(), folder.display());
    }
    Ok(())
}
