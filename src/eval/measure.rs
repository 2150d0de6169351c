//! Measures of one query's ranking, as trec_eval defines them; the mean over queries is the usual figure of a run.

use std::fmt;
use std::str::FromStr;

use super::Qrels;
use crate::error::{Error, Result};

/// A measure of a ranking, in 0..=1, by trec_eval's name.
///
/// A passage is relevant if its grade is 1 or more; passages nobody judged are not. R is the number of relevant
/// passages, k the number of first places that are looked at. A measure of a query without relevant passages is 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Measure {
    /// `ndcg_cut_k`, normalised discounted cumulative gain: the passage at rank r adds `grade / log2(r + 1)`, and the
    /// sum is divided by that of the best ranking there is (Järvelin and Kekäläinen 2002). Negative grades add nothing.
    NdcgCut(usize),
    /// `ndcg`: the same over the whole ranking.
    Ndcg,
    /// `recip_rank`: one over the rank of the first relevant passage.
    RecipRank,
    /// `recip_rank_cut_k`: the same, 0 beyond rank k. Its mean is MS MARCO's MRR@k. trec_eval has no such measure; it
    /// is `recip_rank` of the ranking cut at k.
    RecipRankCut(usize),
    /// `map_cut_k`, average precision: the precisions at the ranks of the relevant passages up to k, summed and divided
    /// by R (not by the lesser of k and R, as sentence-transformers does).
    MapCut(usize),
    /// `map`: the same over the whole ranking.
    Map,
    /// `P_k`: relevant passages among the first k, divided by k even if the ranking is shorter.
    P(usize),
    /// `recall_k`: relevant passages among the first k, divided by R.
    Recall(usize),
    /// `success_k`: 1 if a relevant passage is among the first k. sentence-transformers calls it accuracy@k.
    Success(usize),
    /// `Rprec`: relevant passages among the first R, divided by R.
    Rprec,
}

impl Measure {
    /// What a report has unless asked otherwise: the figures that BEIR, MS MARCO and TREC papers print.
    pub const USUAL: [Self; 16] = [
        Self::NdcgCut(10),
        Self::NdcgCut(100),
        Self::Ndcg,
        Self::RecipRankCut(10),
        Self::RecipRank,
        Self::MapCut(10),
        Self::MapCut(100),
        Self::Map,
        Self::P(1),
        Self::P(10),
        Self::Recall(10),
        Self::Recall(100),
        Self::Recall(1000),
        Self::Success(1),
        Self::Success(10),
        Self::Rprec,
    ];

    /// The measure of `ranking`: ids of passages, best first, each at most once.
    pub fn of<T: AsRef<str>>(self, qrels: &Qrels, query: &str, ranking: &[T]) -> f64 {
        let grades = ranking.iter().map(|id| qrels.grade(query, id.as_ref())).collect();
        Judged::new(grades, qrels.grades(query)).measure(self)
    }

    fn parts(self) -> (&'static str, Option<usize>) {
        match self {
            Self::NdcgCut(k) => ("ndcg_cut", Some(k)),
            Self::Ndcg => ("ndcg", None),
            Self::RecipRank => ("recip_rank", None),
            Self::RecipRankCut(k) => ("recip_rank_cut", Some(k)),
            Self::MapCut(k) => ("map_cut", Some(k)),
            Self::Map => ("map", None),
            Self::P(k) => ("P", Some(k)),
            Self::Recall(k) => ("recall", Some(k)),
            Self::Success(k) => ("success", Some(k)),
            Self::Rprec => ("Rprec", None),
        }
    }
}

/// As pytrec_eval writes it: `ndcg_cut_10`.
impl fmt::Display for Measure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.parts() {
            (name, None) => f.pad(name),
            (name, Some(k)) => f.pad(&format!("{name}_{k}")),
        }
    }
}

impl FromStr for Measure {
    type Err = Error;

    /// Takes trec_eval's form of an argument (`ndcg_cut.10`) too.
    fn from_str(text: &str) -> Result<Self> {
        let unknown = || {
            Error::misuse(format!(
                "no measure \"{text}\"; there are ndcg_cut_10, ndcg, recip_rank_cut_10, recip_rank, map_cut_100, map, \
                 P_10, recall_100 and success_1 with any number from 1, and Rprec"
            ))
        };
        let cut = text.rsplit_once(['_', '.']).and_then(|(name, k)| Some((name, k.parse::<usize>().ok()?)));
        Ok(match (text, cut) {
            (_, Some((_, 0))) => return Err(unknown()),
            ("ndcg", _) => Self::Ndcg,
            ("recip_rank", _) => Self::RecipRank,
            ("map", _) => Self::Map,
            ("Rprec", _) => Self::Rprec,
            (_, Some(("ndcg_cut", k))) => Self::NdcgCut(k),
            (_, Some(("recip_rank_cut", k))) => Self::RecipRankCut(k),
            (_, Some(("map_cut", k))) => Self::MapCut(k),
            (_, Some(("P", k))) => Self::P(k),
            (_, Some(("recall", k))) => Self::Recall(k),
            (_, Some(("success", k))) => Self::Success(k),
            _ => return Err(unknown()),
        })
    }
}

/// `ndcg_cut_k` of a ranking; see [`Measure::NdcgCut`].
///
/// ```
/// use marcato::eval::{Qrels, ndcg};
/// let qrels = Qrels::parse_tsv("query-id\tcorpus-id\tscore\nq\ta\t2\nq\tb\t1\n")?;
/// assert_eq!(ndcg(&qrels, "q", &["a", "b"], 10), 1.0);
/// assert!(ndcg(&qrels, "q", &["b", "a"], 10) < 0.9);
/// # Ok::<(), marcato::Error>(())
/// ```
pub fn ndcg<T: AsRef<str>>(qrels: &Qrels, query: &str, ranking: &[T], k: usize) -> f64 {
    Measure::NdcgCut(k).of(qrels, query, ranking)
}

/// `recip_rank_cut_k` of a ranking; see [`Measure::RecipRankCut`].
///
/// ```
/// use marcato::eval::{Qrels, reciprocal_rank};
/// let qrels = Qrels::parse_tsv("query-id\tcorpus-id\tscore\nq\tb\t1\n")?;
/// assert_eq!(reciprocal_rank(&qrels, "q", &["a", "b"], 10), 0.5);
/// assert_eq!(reciprocal_rank(&qrels, "q", &["a", "b"], 1), 0.0);
/// # Ok::<(), marcato::Error>(())
/// ```
pub fn reciprocal_rank<T: AsRef<str>>(qrels: &Qrels, query: &str, ranking: &[T], k: usize) -> f64 {
    Measure::RecipRankCut(k).of(qrels, query, ranking)
}

/// A ranking of which only the grades are left: all that a measure needs.
pub(super) struct Judged {
    /// In the order of the ranking; 0 for passages nobody judged.
    grades: Vec<i64>,
    /// The grades above 0 of all judged passages, descending: the best ranking there is.
    ideal: Vec<i64>,
}

impl Judged {
    pub(super) fn new(grades: Vec<i64>, judged: impl Iterator<Item = i64>) -> Self {
        let mut ideal: Vec<i64> = judged.filter(|grade| *grade > 0).collect();
        ideal.sort_unstable_by(|a, b| b.cmp(a));
        Self { grades, ideal }
    }

    /// How many passages are relevant.
    pub(super) fn relevant(&self) -> usize {
        self.ideal.len()
    }

    /// How many of the first `k` are relevant.
    pub(super) fn found(&self, k: usize) -> usize {
        self.grades.iter().take(k).filter(|grade| **grade > 0).count()
    }

    pub(super) fn measure(&self, measure: Measure) -> f64 {
        match measure {
            Measure::NdcgCut(k) => self.ndcg(k),
            Measure::Ndcg => self.ndcg(usize::MAX),
            Measure::RecipRank => self.reciprocal_rank(usize::MAX),
            Measure::RecipRankCut(k) => self.reciprocal_rank(k),
            Measure::MapCut(k) => ratio(self.precisions(k), self.relevant()),
            Measure::Map => ratio(self.precisions(usize::MAX), self.relevant()),
            Measure::P(k) => ratio(self.found(k) as f64, k),
            Measure::Recall(k) => ratio(self.found(k) as f64, self.relevant()),
            Measure::Success(k) => f64::from(self.found(k) > 0),
            Measure::Rprec => ratio(self.found(self.relevant()) as f64, self.relevant()),
        }
    }

    fn ndcg(&self, k: usize) -> f64 {
        let best = discounted(&self.ideal, k);
        if best > 0.0 { discounted(&self.grades, k) / best } else { 0.0 }
    }

    pub(super) fn reciprocal_rank(&self, k: usize) -> f64 {
        self.grades.iter().take(k).position(|grade| *grade > 0).map_or(0.0, |place| 1.0 / (place + 1) as f64)
    }

    /// The precisions at the ranks of the relevant passages among the first `k`, summed.
    pub(super) fn precisions(&self, k: usize) -> f64 {
        let relevant = self.grades.iter().take(k).zip(1u32..).filter(|(grade, _)| **grade > 0);
        relevant.zip(1u32..).map(|((_, rank), found)| f64::from(found) / f64::from(rank)).sum()
    }
}

fn discounted(grades: &[i64], k: usize) -> f64 {
    grades.iter().take(k).zip(2u32..).map(|(grade, rank)| (*grade).max(0) as f64 / f64::from(rank).log2()).sum()
}

fn ratio(part: f64, whole: usize) -> f64 {
    if whole == 0 { 0.0 } else { part / whole as f64 }
}
