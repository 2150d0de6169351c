//! A ranking's first passages in the order of a cross-encoder.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use anyhow::{Context, Result};
use marcato::eval::{Dataset, Run};
use marcato::{Collection, CrossEncoder, Error, ErrorKind};
use serde_json::json;

use super::{Subject, name, path};
use crate::args::Eval;
use crate::progress;

/// Where the texts of passages are, as an encoder sees them.
pub(super) enum Texts {
    None,
    Collection(Collection),
    Given(HashMap<String, String>),
}

impl Texts {
    pub(super) fn get(&self, id: &str) -> marcato::Result<Option<String>> {
        Ok(match self {
            Self::None => None,
            Self::Collection(collection) => collection.get(id)?.map(|passage| passage.text_to_encode()),
            Self::Given(texts) => texts.get(id).cloned(),
        })
    }
}

/// The judged queries of a given first stage, with the texts of their passages.
pub(super) fn candidates(args: &Eval, data: &Path, candidates: &Path) -> Result<Subject> {
    let dataset = Dataset::open(data, &args.split)?;
    let first = Run::read(candidates)?;
    // Rankings of queries nobody judged cost time and move no figure.
    let mut run = Run::default();
    for (query, _) in dataset.queries().filter(|(query, _)| first.contains(query)) {
        run.insert(query, first.ranking(query).iter().map(|ranked| (ranked.id.as_str(), ranked.score)))?;
    }
    let left_out = first.len() - run.len();
    let warning = format!("{left_out} queries of {} are not judged: left out", candidates.display());
    let wanted: HashSet<&str> =
        run.queries().flat_map(|query| run.ranking(query)).map(|ranked| ranked.id.as_str()).collect();
    let mut texts = HashMap::with_capacity(wanted.len());
    for passage in dataset.passages()? {
        let passage = passage?;
        if let Some(id) = passage.id.as_ref().filter(|id| wanted.contains(id.as_str())) {
            texts.insert(id.as_str().to_owned(), passage.text_to_encode());
        }
    }
    Ok(Subject {
        title: format!("{}, {}", name(data), args.split),
        facts: vec![("data", path(data)), ("split", json!(args.split)), ("candidates", path(candidates))],
        qrels: dataset.qrels().clone(),
        run,
        dataset: Some(dataset),
        texts: Texts::Given(texts),
        warnings: if left_out == 0 { Vec::new() } else { vec![warning] },
    })
}

/// Puts the first passages of each ranking in the order of their scores, and gives back the first stage's run.
pub(super) fn rerank(args: &Eval, cross_encoder: &CrossEncoder, subject: &mut Subject) -> Result<Run> {
    let bar = progress::queries(subject.run.len() as u64);
    bar.set_message("Reranking");
    let reranked = subject.run.rerank(args.rerank_top, |query, passages| {
        let unknown = |what: String| Error::new(ErrorKind::NotFound, what);
        let question = subject.dataset.as_ref().and_then(|dataset| dataset.query(query));
        let question = question.ok_or_else(|| unknown(format!("query \"{query}\" has no text")))?;
        let mut pairs = Vec::with_capacity(passages.len());
        for passage in passages {
            let text = subject.texts.get(&passage.id)?.ok_or_else(|| {
                unknown(format!("passage \"{}\", a candidate for query \"{query}\", is not in the data", passage.id))
            })?;
            pairs.push((question, text));
        }
        bar.inc(1);
        cross_encoder.score(&pairs)
    });
    bar.finish_and_clear();
    let reranked = reranked.with_context(|| format!("cannot rerank with {}", cross_encoder.info().name))?;
    subject.facts.push(("rerank", json!(cross_encoder.info().name)));
    subject.facts.push(("rerank_top", json!(args.rerank_top)));
    Ok(std::mem::replace(&mut subject.run, reranked))
}
