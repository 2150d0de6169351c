//! A run measured: every measure of every judged query, and the means.

use std::collections::BTreeMap;

use super::measure::Judged;
use super::{Measure, Qrels, Run};
use crate::error::{Error, Result};

/// Measures `run` on every query that `qrels` has, as `trec_eval -c` does: a judged query without a ranking counts with
/// 0, and is named by [`Evaluation::warnings`]. Rankings of queries that nobody judged are left out of the figures.
///
/// # Errors
/// `Misuse` if nothing was judged, if no query has both judgements and a ranking, or if `measures` is empty.
pub fn evaluate(qrels: &Qrels, run: &Run, measures: &[Measure]) -> Result<Evaluation> {
    if qrels.is_empty() {
        return Err(Error::misuse("the qrels are empty: nothing can be measured without judgements"));
    }
    if measures.is_empty() {
        return Err(Error::misuse("no measure was asked for"));
    }
    if !qrels.queries().any(|query| run.contains(query)) {
        return Err(Error::misuse(format!(
            "the run and the qrels have no query in common; the run's ids are like \"{}\", the qrels' like \"{}\"",
            run.queries().next().unwrap_or_default(),
            qrels.queries().next().unwrap_or_default()
        )));
    }
    let (mut counts, mut queries, mut without_relevant) = (Counts::default(), BTreeMap::new(), Vec::new());
    for query in qrels.queries() {
        let ranking = run.ranking(query);
        let grades = ranking.iter().map(|ranked| qrels.grade(query, &ranked.id)).collect();
        let judged = Judged::new(grades, qrels.grades(query));
        counts.queries += 1;
        counts.retrieved += ranking.len();
        counts.relevant += judged.relevant();
        counts.relevant_retrieved += judged.found(usize::MAX);
        if judged.relevant() == 0 {
            without_relevant.push(query.to_owned());
        }
        queries.insert(query.to_owned(), measures.iter().map(|measure| judged.measure(*measure)).collect());
    }
    Ok(Evaluation {
        measures: measures.to_vec(),
        counts,
        queries,
        missing: qrels.queries().filter(|query| !run.contains(query)).map(str::to_owned).collect(),
        unjudged: run.queries().filter(|query| !qrels.contains(query)).map(str::to_owned).collect(),
        without_relevant,
    })
}

/// What [`evaluate`] found.
#[derive(Clone, Debug, PartialEq)]
pub struct Evaluation {
    measures: Vec<Measure>,
    counts: Counts,
    /// The values of `measures`, in their order.
    queries: BTreeMap<String, Vec<f64>>,
    missing: Vec<String>,
    unjudged: Vec<String>,
    without_relevant: Vec<String>,
}

/// Totals over the judged queries, by trec_eval's names `num_q`, `num_ret`, `num_rel` and `num_rel_ret`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counts {
    /// Queries that have judgements.
    pub queries: usize,
    /// Passages in their rankings.
    pub retrieved: usize,
    /// Passages that are relevant to them.
    pub relevant: usize,
    /// Relevant passages in their rankings.
    pub relevant_retrieved: usize,
}

impl Evaluation {
    /// What was measured, in the order it was asked for.
    pub fn measures(&self) -> &[Measure] {
        &self.measures
    }

    /// The mean over all judged queries; `None` if `measure` was not asked for.
    pub fn mean(&self, measure: Measure) -> Option<f64> {
        let values = self.values(measure)?;
        Some(values.map(|(_, value)| value).sum::<f64>() / self.queries.len() as f64)
    }

    /// The value for each judged query, by its id; `None` if `measure` was not asked for.
    pub fn values(&self, measure: Measure) -> Option<impl Iterator<Item = (&str, f64)> + use<'_>> {
        let at = self.measures.iter().position(|asked| *asked == measure)?;
        Some(self.queries.iter().filter_map(move |(query, values)| Some((query.as_str(), *values.get(at)?))))
    }

    /// Every measure of one query; `None` if it has no judgements.
    pub fn query(&self, query: &str) -> Option<impl Iterator<Item = (Measure, f64)> + use<'_>> {
        Some(self.measures.iter().copied().zip(self.queries.get(query)?.iter().copied()))
    }

    /// The ids of the judged queries, in order.
    pub fn queries(&self) -> impl Iterator<Item = &str> {
        self.queries.keys().map(String::as_str)
    }

    /// The totals.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Judged queries that the run has no ranking of; each counts with 0.
    pub fn missing(&self) -> &[String] {
        &self.missing
    }

    /// What is odd about the run or the judgements and moves the figures, a sentence each; empty if nothing is.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        let mut warn = |queries: &[String], what: &str| {
            if let Some(first) = queries.first() {
                let (count, plural) = (queries.len(), if queries.len() == 1 { "query" } else { "queries" });
                let example = if count == 1 { String::new() } else { "the first is ".to_owned() };
                warnings.push(format!("{count} {plural} ({example}\"{first}\") {what}"));
            }
        };
        warn(&self.missing, "judged but without a ranking: counted as 0");
        warn(&self.unjudged, "ranked but not judged: left out");
        warn(&self.without_relevant, "judged without a single relevant passage: counted as 0");
        warnings
    }
}
