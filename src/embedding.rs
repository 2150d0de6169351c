//! The vector of one text, finite by construction: nothing else can reach a store or a view.

use std::ops::Deref;

use crate::error::{Error, Result};

/// The embedding of one query or passage: at least one number, all of them finite.
///
/// Reads as a slice of `f32`. Whether it is normalised is the encoder's affair; a collection with
/// [`Similarity::Cosine`](crate::Similarity::Cosine) brings it to unit length itself.
///
/// ```
/// use marcato::Embedding;
/// let embedding = Embedding::new(vec![0.6, 0.8])?;
/// assert_eq!(embedding.len(), 2);
/// assert!(Embedding::new(vec![f32::NAN]).is_err());
/// # Ok::<(), marcato::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Embedding(Vec<f32>);

impl Embedding {
    /// Checks `values` (any length but zero).
    ///
    /// # Errors
    /// `Misuse` if it is empty or a value is NaN or infinite.
    pub fn new(values: impl Into<Vec<f32>>) -> Result<Self> {
        let values = values.into();
        if values.is_empty() {
            return Err(Error::misuse("an embedding needs at least one number"));
        }
        if let Some(at) = values.iter().position(|value| !value.is_finite()) {
            let value = values.get(at).copied().unwrap_or_default();
            return Err(Error::misuse(format!("an embedding must be finite: component {at} is {value}")));
        }
        Ok(Self(values))
    }

    /// The numbers themselves.
    pub fn into_vec(self) -> Vec<f32> {
        self.0
    }
}

impl Deref for Embedding {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        &self.0
    }
}

impl TryFrom<Vec<f32>> for Embedding {
    type Error = Error;

    fn try_from(values: Vec<f32>) -> Result<Self> {
        Self::new(values)
    }
}
