//! Measures of one query's ranking, in 0..=1; the mean over queries is the usual figure of a collection.

use super::Qrels;

/// Normalised discounted cumulative gain of the first `k`: `ndcg_cut_k` of trec_eval, where a grade is its own gain
/// and the passage at rank r counts `1 / log2(r + 1)` of it (Järvelin and Kekäläinen 2002).
///
/// `ranking` is passage ids, best first, each at most once. 0 if nothing relevant was judged.
///
/// ```
/// use marcato::eval::{Qrels, ndcg};
/// let qrels = Qrels::parse_tsv("query-id\tcorpus-id\tscore\nq\ta\t2\nq\tb\t1\n")?;
/// assert_eq!(ndcg(&qrels, "q", &["a", "b"], 10), 1.0);
/// assert!(ndcg(&qrels, "q", &["b", "a"], 10) < 0.9);
/// # Ok::<(), marcato::Error>(())
/// ```
pub fn ndcg<T: AsRef<str>>(qrels: &Qrels, query: &str, ranking: &[T], k: usize) -> f64 {
    let gained = ranking.iter().map(|passage| qrels.grade(query, passage.as_ref()));
    let mut ideal: Vec<i64> = qrels.grades(query).filter(|grade| *grade > 0).collect();
    ideal.sort_unstable_by(|a, b| b.cmp(a));
    let best = discounted(ideal.into_iter(), k);
    if best > 0.0 { discounted(gained, k) / best } else { 0.0 }
}

fn discounted(grades: impl Iterator<Item = i64>, k: usize) -> f64 {
    grades.take(k).zip(2u32..).map(|(grade, rank)| grade.max(0) as f64 / f64::from(rank).log2()).sum()
}

/// One over the rank of the first relevant passage among the first `k` (MRR@k is its mean); 0 if there is none.
///
/// ```
/// use marcato::eval::{Qrels, reciprocal_rank};
/// let qrels = Qrels::parse_tsv("query-id\tcorpus-id\tscore\nq\tb\t1\n")?;
/// assert_eq!(reciprocal_rank(&qrels, "q", &["a", "b"], 10), 0.5);
/// assert_eq!(reciprocal_rank(&qrels, "q", &["a", "b"], 1), 0.0);
/// # Ok::<(), marcato::Error>(())
/// ```
pub fn reciprocal_rank<T: AsRef<str>>(qrels: &Qrels, query: &str, ranking: &[T], k: usize) -> f64 {
    let first = ranking.iter().take(k).position(|passage| qrels.grade(query, passage.as_ref()) > 0);
    first.map_or(0.0, |place| 1.0 / (place + 1) as f64)
}
