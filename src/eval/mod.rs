//! Is it any good? Judgements, rankings, and the measures over them, each as the tool has it that made it known.
//!
//! - [`Dataset`], [`Qrels`] and [`Run`] read and write the field's files: BEIR, TREC, MS MARCO.
//! - [`evaluate`] gives trec_eval's [`Measure`]s per query and as means; [`compare`] says whether two runs differ by
//!   more than chance.
//! - [`InformationRetrievalEvaluator`], [`EmbeddingSimilarityEvaluator`] and [`RerankingEvaluator`] give the figures
//!   that sentence-transformers' evaluators of those names give.
//!
//! Definitions and rules are in `docs/evaluation.md`.
//!
//! ```
//! use marcato::eval::{Measure, Qrels, Run, evaluate};
//! let qrels = Qrels::parse_trec("q1 0 london 2\nq1 0 paris 1\n")?;
//! let run = Run::parse_trec("q1 Q0 paris 1 0.9 mine\nq1 Q0 london 2 0.8 mine\nq1 Q0 oslo 3 0.7 mine\n")?;
//! let evaluation = evaluate(&qrels, &run, &[Measure::NdcgCut(10), Measure::Recall(1)])?;
//! assert_eq!(evaluation.mean(Measure::Recall(1)), Some(0.5));
//! # Ok::<(), marcato::Error>(())
//! ```

mod correlation;
mod dataset;
mod embedding_similarity;
mod evaluation;
mod information_retrieval;
mod lines;
mod measure;
mod qrels;
mod reranking;
mod run;
mod significance;

#[cfg(test)]
mod tests;

pub use correlation::{pearson, spearman};
pub use dataset::Dataset;
pub use embedding_similarity::{Correlation, EmbeddingSimilarity, EmbeddingSimilarityEvaluator, SimilarPair};
pub use evaluation::{Counts, Evaluation, evaluate};
pub use information_retrieval::InformationRetrievalEvaluator;
pub use measure::{Measure, ndcg, reciprocal_rank};
pub use qrels::Qrels;
pub use reranking::{Candidates, Reranked, RerankingEvaluator, RerankingFigures, RerankingSample};
pub use run::{Ranked, Run};
pub use significance::{Comparison, compare, paired_t_test, randomization_test};
