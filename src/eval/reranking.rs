//! Does a scorer put the right passages first? sentence-transformers' `CrossEncoderRerankingEvaluator`.

use std::cmp::Ordering;

use crate::error::{Error, Result};

/// A query with the passages to put in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RerankingSample {
    /// The query's text.
    pub query: String,
    /// The passages that answer it.
    pub positive: Vec<String>,
    /// The passages it competes with.
    pub candidates: Candidates,
}

/// What is ranked beside the positives.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Candidates {
    /// Passages that do not answer the query.
    Negative(Vec<String>),
    /// A first stage's ranking, best first, with any of the positives in it.
    Documents(Vec<String>),
}

/// Measures a scorer of (query, passage) pairs, such as a cross-encoder, by MAP, MRR@k and nDCG@k.
///
/// Passages of equal score share their places, as in scikit-learn's `ndcg_score` and `average_precision_score`; for the
/// reciprocal rank the one that came later is taken first, so that positives do not gain by being listed first.
/// (sentence-transformers leaves that order to the sort.)
///
/// ```
/// use marcato::eval::{Candidates, RerankingEvaluator, RerankingSample};
/// let samples = [RerankingSample {
///     query: "how big is London".into(),
///     positive: vec!["London has 9,787,426 inhabitants".into()],
///     candidates: Candidates::Negative(vec!["Oats are sown in early spring".into()]),
/// }];
/// let shares_a_word = |query: &str, passage: &str| query.split(' ').any(|word| passage.contains(word));
/// let score = |pairs: &[(&str, &str)]| Ok(pairs.iter().map(|(q, p)| f32::from(shares_a_word(q, p))).collect());
/// assert_eq!(RerankingEvaluator::default().evaluate(&samples, score)?.reranked.map, 1.0);
/// # Ok::<(), marcato::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RerankingEvaluator {
    /// The k of MRR@k and nDCG@k; 10 by default.
    pub at_k: usize,
    /// Whether positives that the first stage missed are scored too; true by default. Without, a cross-encoder cannot
    /// be better than the first stage's recall.
    pub always_rerank_positives: bool,
}

impl Default for RerankingEvaluator {
    fn default() -> Self {
        Self { at_k: 10, always_rerank_positives: true }
    }
}

/// Means over the samples.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct RerankingFigures {
    /// `map`.
    pub map: f64,
    /// `mrr@k`.
    pub mrr: f64,
    /// `ndcg@k`.
    pub ndcg: f64,
}

/// What [`RerankingEvaluator::evaluate`] found.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Reranked {
    /// In the scorer's order.
    pub reranked: RerankingFigures,
    /// In the first stage's (`base_map` and so on), over the samples that have [`Candidates::Documents`]; `None` if
    /// none has.
    pub base: Option<RerankingFigures>,
}

impl RerankingEvaluator {
    /// Scores the pairs of each sample with `score`, which gives a score per pair, and measures the orders.
    ///
    /// # Errors
    /// Those of `score`; `Misuse` if it gives another number of scores or one that is NaN, and if there are no samples
    /// or `at_k` is 0.
    pub fn evaluate(
        &self,
        samples: &[RerankingSample],
        mut score: impl FnMut(&[(&str, &str)]) -> Result<Vec<f32>>,
    ) -> Result<Reranked> {
        if samples.is_empty() || self.at_k == 0 {
            return Err(Error::misuse("a reranking needs at least one sample, and a cut of at least 1"));
        }
        let (mut reranked, mut base) = (Vec::with_capacity(samples.len()), Vec::new());
        for RerankingSample { query, positive, candidates } in samples {
            let is_positive = |passage: &&String| positive.contains(passage);
            let shown: Vec<(&String, bool)> = match candidates {
                Candidates::Negative(negative) => positive
                    .iter()
                    .map(|passage| (passage, true))
                    .chain(negative.iter().map(|passage| (passage, false)))
                    .collect(),
                Candidates::Documents(documents) => {
                    base.push(self.first_stage(positive, documents));
                    if self.always_rerank_positives {
                        let rest = documents.iter().filter(|passage| !is_positive(passage));
                        positive
                            .iter()
                            .map(|passage| (passage, true))
                            .chain(rest.map(|passage| (passage, false)))
                            .collect()
                    } else {
                        documents.iter().map(|passage| (passage, is_positive(&passage))).collect()
                    }
                }
            };
            if !shown.iter().any(|(_, relevant)| *relevant) {
                reranked.push(RerankingFigures::default());
                continue;
            }
            let pairs: Vec<(&str, &str)> =
                shown.iter().map(|(passage, _)| (query.as_str(), passage.as_str())).collect();
            let scores = score(&pairs)?;
            if scores.len() != pairs.len() || scores.iter().any(|score| score.is_nan()) {
                return Err(Error::misuse(format!(
                    "query \"{query}\": {} pairs were given {} scores, or one that is NaN",
                    pairs.len(),
                    scores.len()
                )));
            }
            reranked.push(self.figures(scores.into_iter().zip(shown.iter().map(|(_, relevant)| *relevant)).collect()));
        }
        Ok(Reranked { reranked: mean(&reranked), base: (!base.is_empty()).then(|| mean(&base)) })
    }

    /// The figures of the order that the documents are in; positives that are not among them come last.
    fn first_stage(&self, positive: &[String], documents: &[String]) -> RerankingFigures {
        let mut relevant: Vec<bool> = documents.iter().map(|passage| positive.contains(passage)).collect();
        let found = relevant.iter().filter(|relevant| **relevant).count();
        if found == 0 {
            return RerankingFigures::default();
        }
        relevant.extend(vec![true; positive.len().saturating_sub(found)]);
        self.figures(relevant.into_iter().enumerate().map(|(place, relevant)| (-(place as f32), relevant)).collect())
    }

    /// Of one sample: each passage's score and whether it is relevant.
    fn figures(&self, mut scored: Vec<(f32, bool)>) -> RerankingFigures {
        scored.reverse();
        scored.sort_by(|(a, _), (b, _)| b.partial_cmp(a).unwrap_or(Ordering::Equal));
        let relevant = scored.iter().filter(|(_, relevant)| *relevant).count();
        let first = scored.iter().take(self.at_k).position(|(_, relevant)| *relevant);
        let discount = |rank: usize| if rank <= self.at_k { 1.0 / (rank as f64 + 1.0).log2() } else { 0.0 };
        let (mut rank, mut found, mut gain, mut precisions) = (0, 0, 0.0, 0.0);
        for equals in scored.chunk_by(|(a, _), (b, _)| a == b) {
            let hits = equals.iter().filter(|(_, relevant)| *relevant).count();
            let discounts: f64 = (rank + 1..=rank + equals.len()).map(discount).sum();
            gain += discounts * hits as f64 / equals.len() as f64;
            (rank, found) = (rank + equals.len(), found + hits);
            precisions += hits as f64 * found as f64 / rank as f64;
        }
        RerankingFigures {
            map: precisions / relevant.max(1) as f64,
            mrr: first.map_or(0.0, |place| 1.0 / (place + 1) as f64),
            ndcg: gain / (1..=relevant.max(1)).map(discount).sum::<f64>(),
        }
    }
}

fn mean(figures: &[RerankingFigures]) -> RerankingFigures {
    let mean = |of: fn(&RerankingFigures) -> f64| figures.iter().map(of).sum::<f64>() / figures.len() as f64;
    RerankingFigures { map: mean(|of| of.map), mrr: mean(|of| of.mrr), ndcg: mean(|of| of.ndcg) }
}
