//! The judged queries of a test collection, answered by a collection of ours.

use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result};
use marcato::eval::{Dataset, Run};
use marcato::{Collection, Embedding, Index, Mode, Passage, Similarity};
use serde_json::json;

use super::rerank::Texts;
use super::{Subject, name, path};
use crate::args::Eval;
use crate::{open, progress};

/// Passages that are encoded together.
const BATCH: usize = 256;

pub(super) fn answered(args: &Eval, data: &Path) -> Result<Subject> {
    let dataset = Dataset::open(data, &args.split)?;
    let collection = match &args.collection {
        Some(path) => open::for_reading(path, || open::with_encoder(&args.encoder))?,
        None => indexed(args, &dataset)?,
    };
    let (run, milliseconds) = ask(args, &collection, &dataset)?;
    let stats = collection.stats();
    let mut facts = vec![
        ("data", path(data)),
        ("split", json!(args.split)),
        ("passages", json!(stats.passages)),
        ("model", json!(if stats.encoder.is_empty() { "none" } else { &stats.encoder })),
        ("mode", json!(open::mode(args.mode).name())),
        ("milliseconds_per_query", json!((milliseconds * 10.0).round() / 10.0)),
    ];
    if let Some(collection) = &args.collection {
        facts.insert(2, ("collection", path(collection)));
    }
    let warnings = missing_passages(&collection, &dataset)?;
    Ok(Subject {
        title: format!("{}, {}", name(data), args.split),
        facts,
        qrels: dataset.qrels().clone(),
        run,
        dataset: Some(dataset),
        texts: Texts::Collection(collection),
        warnings,
    })
}

/// The passages of the test collection in memory, to be compared one by one.
fn indexed(args: &Eval, dataset: &Dataset) -> Result<Collection> {
    // Words need no embeddings, which are what takes time: all passages get the same.
    let words_only = open::mode(args.mode) == Mode::Lexical;
    let options = match words_only {
        true => Collection::options().embeddings(1, Similarity::Dot),
        false => Collection::options().encoder(open::encoder(&args.encoder)?),
    };
    let collection = options.index(Index::Exact).in_memory()?;
    // Counted first, which costs little beside encoding, so that the bar knows its end. It also finds a broken line
    // before the work is done.
    let mut total = 0;
    for passage in dataset.passages()? {
        passage?;
        total += 1;
    }
    let bar = progress::passages(total);
    bar.set_message("Indexing");
    let mut batch: Vec<Passage> = Vec::with_capacity(BATCH);
    let add = |batch: &mut Vec<Passage>| -> Result<()> {
        let count = batch.len() as u64;
        let path = dataset.passages_path();
        collection.add(batch.drain(..)).with_context(|| format!("cannot index {}", path.display()))?;
        bar.inc(count);
        Ok(())
    };
    for passage in dataset.passages()? {
        let passage = passage?;
        batch.push(if words_only { passage.embedding(Embedding::new([1.0])?) } else { passage });
        if batch.len() == BATCH {
            add(&mut batch)?;
        }
    }
    add(&mut batch)?;
    bar.finish_and_clear();
    Ok(collection)
}

/// The rankings, and the median time of a query.
fn ask(args: &Eval, collection: &Collection, dataset: &Dataset) -> Result<(Run, f64)> {
    let bar = progress::queries(dataset.qrels().len() as u64);
    bar.set_message("Asking");
    let (mut run, mut milliseconds) = (Run::default(), Vec::new());
    for (id, text) in dataset.queries() {
        let started = Instant::now();
        let asked = collection.query(text).mode(open::mode(args.mode)).top(args.top).exact(args.exact);
        let hits = asked.run().with_context(|| format!("query \"{id}\""))?;
        milliseconds.push(started.elapsed().as_secs_f64() * 1e3);
        run.insert(id, hits.iter().map(|hit| (hit.id.as_str(), hit.score)))?;
        bar.inc(1);
    }
    bar.finish_and_clear();
    milliseconds.sort_by(f64::total_cmp);
    Ok((run, milliseconds.get(milliseconds.len() / 2).copied().unwrap_or_default()))
}

/// A relevant passage that is not there can never be found: said, so that nobody blames the search.
fn missing_passages(collection: &Collection, dataset: &Dataset) -> Result<Vec<String>> {
    let qrels = dataset.qrels();
    let (mut missing, mut relevant, mut first) = (0, 0, None);
    for query in qrels.queries() {
        for (passage, _) in qrels.judgements(query).filter(|(_, grade)| *grade > 0) {
            relevant += 1;
            if !collection.contains(passage)? {
                missing += 1;
                first = first.or(Some((passage, query)));
            }
        }
    }
    let warn = |(passage, query)| {
        format!(
            "{missing} of {relevant} relevant passages are not in the collection, the first is \"{passage}\" for query \
             \"{query}\": counted as not found"
        )
    };
    Ok(first.map(warn).into_iter().collect())
}
