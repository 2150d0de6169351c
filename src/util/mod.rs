//! Embeddings compared in memory, for those who want no collection: named as in `sentence_transformers.util`, and with
//! its results.

#[cfg(test)]
mod tests;

use std::cmp::Ordering;

use crate::embedding::Embedding;
use crate::error::{Error, Result};
use crate::kernels::{InstructionSet, PackedF32, Rows, RowsMut, Then};
use crate::similarity::Similarity;

/// Queries that are scored together: their matrix stays in a core's cache.
const QUERIES: usize = 64;

/// Embeddings of the corpus that are scored together.
const CORPUS: usize = 1024;

/// One entry of the corpus that [`semantic_search`] found.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct CorpusHit {
    /// Its place in the corpus, from 0.
    pub corpus_id: usize,
    /// Higher is more alike.
    pub score: f32,
}

/// The cosine of each of `a` with each of `b`: `a.len()` rows of `b.len()` numbers in -1..=1, 0 for a zero vector.
///
/// ```
/// use marcato::{Embedding, util::cos_sim};
/// let (x, y) = (Embedding::new([2.0, 0.0])?, Embedding::new([3.0, 3.0])?);
/// let scores = cos_sim(&[x.clone()], &[x, y])?;
/// assert!((scores[0][0] - 1.0).abs() < 1e-6 && (scores[0][1] - 0.707_107).abs() < 1e-6);
/// # Ok::<(), marcato::Error>(())
/// ```
///
/// # Errors
/// `Misuse` if not all embeddings have the same length.
pub fn cos_sim(a: &[Embedding], b: &[Embedding]) -> Result<Vec<Vec<f32>>> {
    scores(a, b, Similarity::Cosine)
}

/// The inner product of each of `a` with each of `b`: `a.len()` rows of `b.len()` numbers; infinite where it is beyond
/// `f32`.
///
/// # Errors
/// `Misuse` if not all embeddings have the same length.
pub fn dot_score(a: &[Embedding], b: &[Embedding]) -> Result<Vec<Vec<f32>>> {
    scores(a, b, Similarity::Dot)
}

/// The `top_k` entries of `corpus` most alike to each of `queries`: for each query at most `top_k` hits, best first,
/// equal scores by ascending `corpus_id`.
///
/// Scores every pair, in blocks that need no more than some megabytes whatever the size of the corpus, on the calling
/// thread. For more than a few hundred thousand entries, or to keep them, use a [`Collection`](crate::Collection).
///
/// ```
/// use marcato::{Embedding, Similarity, util::semantic_search};
/// let corpus = [[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]].map(Embedding::new).into_iter().collect::<Result<Vec<_>, _>>()?;
/// let hits = semantic_search(&[Embedding::new([1.0, 0.1])?], &corpus, 2, Similarity::Cosine)?;
/// assert_eq!(hits[0].iter().map(|hit| hit.corpus_id).collect::<Vec<_>>(), [0, 2]);
/// # Ok::<(), marcato::Error>(())
/// ```
///
/// # Errors
/// `Misuse` if not all embeddings have the same length.
pub fn semantic_search(
    queries: &[Embedding],
    corpus: &[Embedding],
    top_k: usize,
    similarity: Similarity,
) -> Result<Vec<Vec<CorpusHit>>> {
    let mut found = vec![Vec::new(); queries.len()];
    for_each_block(queries, corpus, similarity, |first_query, first_entry, scores| {
        for (hits, scores) in found.iter_mut().skip(first_query).zip(scores) {
            hits.extend((first_entry..).zip(scores).map(|(corpus_id, score)| CorpusHit { corpus_id, score }));
            if hits.len() > top_k {
                hits.select_nth_unstable_by(top_k, best_first);
                hits.truncate(top_k);
            }
        }
    })?;
    found.iter_mut().for_each(|hits| hits.sort_unstable_by(best_first));
    Ok(found)
}

fn best_first(a: &CorpusHit, b: &CorpusHit) -> Ordering {
    b.score.total_cmp(&a.score).then(a.corpus_id.cmp(&b.corpus_id))
}

fn scores(a: &[Embedding], b: &[Embedding], similarity: Similarity) -> Result<Vec<Vec<f32>>> {
    let mut rows = vec![Vec::with_capacity(b.len()); a.len()];
    for_each_block(a, b, similarity, |first, _, scores| {
        rows.iter_mut().skip(first).zip(scores).for_each(|(row, scores)| row.extend(scores));
    })?;
    Ok(rows)
}

/// Gives `take` the scores of blocks of `a` with blocks of `b`, a row for each of `a`, with the places where the blocks
/// begin; for each row those of `b` come in order.
fn for_each_block(
    a: &[Embedding],
    b: &[Embedding],
    similarity: Similarity,
    mut take: impl FnMut(usize, usize, Vec<Vec<f32>>),
) -> Result<()> {
    let width = same_width(a, b)?;
    let set = InstructionSet::chosen();
    let no_bias = [0.0; QUERIES];
    for (block_a, a) in a.chunks(QUERIES).enumerate() {
        let matrix = matrix(a, similarity);
        let packed = PackedF32::new(set, width, &[(&matrix, no_bias.get(..a.len()).unwrap_or_default())]);
        let stride = packed.columns();
        for (block_b, b) in b.chunks(CORPUS).enumerate() {
            let mut out = vec![0.0; b.len() * stride];
            let rows = self::matrix(b, similarity);
            let rows = Rows { numbers: &rows, stride: width, count: b.len() };
            packed.multiply(rows, 0..packed.panels(), RowsMut { numbers: &mut out, stride }, Then::Store);
            let of =
                |column| out.iter().skip(column).step_by(stride).map(|score| bounded(*score, similarity)).collect();
            take(block_a * QUERIES, block_b * CORPUS, (0..a.len()).map(of).collect());
        }
    }
    Ok(())
}

/// Plus zero, so that equal scores are equal whatever the sign of nothing.
fn bounded(score: f32, similarity: Similarity) -> f32 {
    match similarity {
        Similarity::Cosine => score.clamp(-1.0, 1.0) + 0.0,
        Similarity::Dot => score + 0.0,
    }
}

/// The embeddings one after the other; of unit length for the cosine.
fn matrix(embeddings: &[Embedding], similarity: Similarity) -> Vec<f32> {
    match similarity {
        Similarity::Dot => embeddings.iter().flat_map(|embedding| embedding.iter().copied()).collect(),
        Similarity::Cosine => embeddings.iter().flat_map(unit).collect(),
    }
}

/// In `f64`, in which no `f32`'s square overflows or vanishes.
fn unit(embedding: &Embedding) -> impl Iterator<Item = f32> {
    let norm = embedding.iter().map(|number| f64::from(*number).powi(2)).sum::<f64>().sqrt();
    let scale = if norm > 0.0 { norm.recip() } else { 0.0 };
    embedding.iter().map(move |number| (f64::from(*number) * scale) as f32)
}

fn same_width(a: &[Embedding], b: &[Embedding]) -> Result<usize> {
    let mut widths = a.iter().chain(b).map(|embedding| embedding.len());
    let width = widths.next().unwrap_or_default();
    match widths.find(|other| *other != width) {
        Some(other) => Err(Error::misuse(format!(
            "embeddings of {width} and of {other} numbers cannot be compared: they are from different models"
        ))),
        None => Ok(width),
    }
}
