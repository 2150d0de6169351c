//! Is it any good? Judgements, rankings, and the measures of information retrieval over them, as `trec_eval` has them.

mod metrics;
mod qrels;

#[cfg(test)]
mod tests;

pub use metrics::{ndcg, reciprocal_rank};
pub use qrels::Qrels;
