//! sentence-transformers' `InformationRetrievalEvaluator`: its measures, where they are not trec_eval's.

use std::collections::BTreeMap;

use super::measure::Judged;
use super::{Measure, Qrels, Run};
use crate::error::{Error, Result};

/// Measures a run as sentence-transformers' evaluator of this name does, at its default cuts.
///
/// It differs from [`evaluate`](super::evaluate) in four rules: a grade above 0 is as good as any other, equal scores
/// go by ascending id, `map@k` divides by the lesser of k and R, and queries without a relevant passage do not count.
///
/// ```
/// use marcato::eval::{InformationRetrievalEvaluator, Qrels, Run};
/// let qrels = Qrels::parse_trec("q 0 a 3\nq 0 b 1\n")?;
/// let run = Run::parse_trec("q Q0 b 1 0.5 t\nq Q0 a 2 0.4 t\n")?;
/// let figures = InformationRetrievalEvaluator::default().evaluate(&qrels, &run)?;
/// assert_eq!(figures["ndcg@10"], 1.0);
/// assert_eq!(figures["recall@1"], 0.5);
/// # Ok::<(), marcato::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InformationRetrievalEvaluator {
    /// The k of `mrr@k`.
    pub mrr_at_k: Vec<usize>,
    /// The k of `ndcg@k`.
    pub ndcg_at_k: Vec<usize>,
    /// The k of `accuracy@k`.
    pub accuracy_at_k: Vec<usize>,
    /// The k of `precision@k` and `recall@k`.
    pub precision_recall_at_k: Vec<usize>,
    /// The k of `map@k`.
    pub map_at_k: Vec<usize>,
}

impl Default for InformationRetrievalEvaluator {
    fn default() -> Self {
        Self {
            mrr_at_k: vec![10],
            ndcg_at_k: vec![10],
            accuracy_at_k: vec![1, 3, 5, 10],
            precision_recall_at_k: vec![1, 3, 5, 10],
            map_at_k: vec![100],
        }
    }
}

impl InformationRetrievalEvaluator {
    /// The means over the queries that have a relevant passage, by sentence-transformers' names without the similarity
    /// in front: `ndcg@10`, `map@100`. A query without a ranking counts with 0.
    ///
    /// # Errors
    /// `Misuse` if no query has a relevant passage, and for a k of 0.
    pub fn evaluate(&self, qrels: &Qrels, run: &Run) -> Result<BTreeMap<String, f64>> {
        let queries: Vec<Judged> =
            qrels.queries().map(|query| judge(qrels, query, run)).filter(|judged| judged.relevant() > 0).collect();
        if queries.is_empty() {
            return Err(Error::misuse("the qrels have no query with a relevant passage"));
        }
        let named: [(&str, &[usize], Figure); 6] = [
            ("accuracy", &self.accuracy_at_k, |judged, k| judged.measure(Measure::Success(k))),
            ("precision", &self.precision_recall_at_k, |judged, k| judged.measure(Measure::P(k))),
            ("recall", &self.precision_recall_at_k, |judged, k| judged.measure(Measure::Recall(k))),
            ("ndcg", &self.ndcg_at_k, |judged, k| judged.measure(Measure::NdcgCut(k))),
            ("mrr", &self.mrr_at_k, |judged, k| judged.measure(Measure::RecipRankCut(k))),
            ("map", &self.map_at_k, |judged, k| judged.precisions(k) / k.min(judged.relevant()) as f64),
        ];
        let mut figures = BTreeMap::new();
        for (name, cuts, measure) in named {
            for &k in cuts {
                if k == 0 {
                    return Err(Error::misuse(format!("{name}@0: a cut is at least 1")));
                }
                let sum: f64 = queries.iter().map(|judged| measure(judged, k)).sum();
                figures.insert(format!("{name}@{k}"), sum / queries.len() as f64);
            }
        }
        Ok(figures)
    }
}

/// A figure of one query at a cut.
type Figure = fn(&Judged, usize) -> f64;

fn judge(qrels: &Qrels, query: &str, run: &Run) -> Judged {
    let mut ranking: Vec<_> = run.ranking(query).iter().collect();
    ranking.sort_by(|a, b| (b.score + 0.0).total_cmp(&(a.score + 0.0)).then_with(|| a.id.cmp(&b.id)));
    let one = |grade: i64| i64::from(grade > 0);
    let grades = ranking.into_iter().map(|ranked| one(qrels.grade(query, &ranked.id))).collect();
    Judged::new(grades, qrels.grades(query).map(one))
}
