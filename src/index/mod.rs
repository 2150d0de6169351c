//! The vector views: which stored embeddings are nearest to a query.
//!
//! A view is disposable. It holds row ids and embeddings and nothing else, and is rebuilt from the store at any doubt.
//! [`ExactIndex`] compares the query with every row; `HnswIndex` walks a graph and finds nearly the same. Both promise
//! what [`VectorIndex`] says. Scores here only rank candidates: a collection rescores the best of them with
//! [`similarity_f32`](crate::kernels::similarity_f32), so users see the same figure from either view.

mod exact;
#[cfg(feature = "usearch")]
mod hnsw;
mod matrix;
#[cfg(feature = "usearch")]
mod pipe;
mod slot_map;
#[cfg(feature = "usearch")]
mod slots;
#[cfg(test)]
mod tests;

use half::f16;

pub(crate) use exact::ExactIndex;
#[cfg(feature = "usearch")]
pub(crate) use hnsw::{HnswIndex, Trials};

use crate::candidate::Candidate;
use crate::error::{Error, Result};
use crate::kernels::inverse_norm_f16;
use crate::passage::RowId;
use crate::rows::Rows;
use crate::similarity::Similarity;

/// The widest embedding that a view takes: more than any encoder makes, and low enough that no size overflows.
pub(crate) const MAX_DIMENSION: usize = 1 << 16;

/// A view of the embeddings of a collection.
///
/// Nothing non-finite and nothing of the wrong width gets in (invariant U1). Replaying a part of the log twice does no
/// harm: inserting a row that is there and removing one that is not do nothing.
pub(crate) trait VectorIndex: Send + Sync {
    /// How many rows can be found.
    fn len(&self) -> usize;

    /// Whether `row` can be found.
    fn contains(&self, row: RowId) -> bool;

    /// Adds a row, unless it is there.
    ///
    /// # Errors
    /// `Misuse` for the wrong width or a number that is not finite; what the view held before stays.
    fn insert(&mut self, row: RowId, embedding: &[f16]) -> Result<()>;

    /// Takes a row out, if it is there.
    fn remove(&mut self, row: RowId) -> Result<()>;

    /// The `k` rows most like `query` (all if there are fewer), best first, equal scores by ascending row.
    ///
    /// # Errors
    /// `Misuse` for a query of the wrong width or with a number that is not finite.
    fn search(&self, query: &[f32], k: usize) -> Result<Vec<Candidate>>;

    /// The same among `rows` alone: never one that is not of them.
    fn search_among(&self, query: &[f32], k: usize, rows: &Rows) -> Result<Vec<Candidate>>;

    /// Appends the embedding of `row` to `out`, bit for bit as it was inserted; false if the row is not there.
    fn embedding_into(&self, row: RowId, out: &mut Vec<f16>) -> Result<bool>;
}

fn check_dimension(dimension: usize) -> Result<usize> {
    if (1..=MAX_DIMENSION).contains(&dimension) {
        Ok(dimension)
    } else {
        Err(Error::misuse(format!("an embedding has 1 to {MAX_DIMENSION} numbers, not {dimension}")))
    }
}

fn check_width(found: usize, dimension: usize) -> Result<()> {
    if found == dimension {
        Ok(())
    } else {
        Err(Error::misuse(format!("the collection's embeddings have {dimension} numbers, this one has {found}")))
    }
}

fn check_embedding(embedding: &[f16], dimension: usize) -> Result<()> {
    check_width(embedding.len(), dimension)?;
    match embedding.iter().position(|value| !value.is_finite()) {
        None => Ok(()),
        Some(at) => Err(Error::misuse(format!(
            "an embedding must be finite: component {at} is not (stored numbers end at {})",
            f16::MAX
        ))),
    }
}

/// What a row's inner product with the query's direction is multiplied with: one over its norm for the cosine, which is then
/// the true one however the row is scaled, and one for the dot product.
fn scale_of(embedding: &[f16], similarity: Similarity) -> f32 {
    match similarity {
        Similarity::Cosine => inverse_norm_f16(embedding),
        Similarity::Dot => 1.0,
    }
}

/// A query as length and direction.
///
/// The views multiply with the direction alone. That ranks the same, and neither a long query overflows `f32` (or the
/// `f16` that usearch turns it into) nor does a short one vanish.
struct Direction {
    unit: Vec<f32>,
    length: f64,
    similarity: Similarity,
}

impl Direction {
    fn new(query: &[f32], dimension: usize, similarity: Similarity) -> Result<Self> {
        check_width(query.len(), dimension)?;
        if let Some(at) = query.iter().position(|value| !value.is_finite()) {
            return Err(Error::misuse(format!("a query's embedding must be finite: component {at} is not")));
        }
        let length = query.iter().map(|&value| f64::from(value).powi(2)).sum::<f64>().sqrt();
        let scale = if length > 0.0 { length.recip() } else { 0.0 };
        let unit = query.iter().map(|&value| (f64::from(value) * scale) as f32).collect();
        Ok(Self { unit, length, similarity })
    }

    /// The similarity of the query with itself.
    fn score_of_itself(&self) -> f32 {
        match self.similarity {
            Similarity::Cosine => f32::from(self.length > 0.0),
            Similarity::Dot => self.score(self.length as f32),
        }
    }

    /// The similarity of the query, from that of its direction.
    fn score(&self, of_direction: f32) -> f32 {
        let score = match self.similarity {
            Similarity::Cosine => of_direction,
            Similarity::Dot => ((f64::from(of_direction) * self.length) as f32).clamp(f32::MIN, f32::MAX),
        };
        // Turns -0 into 0, which `total_cmp` would rank apart.
        score + 0.0
    }
}
