//! How alike two embeddings are: the function that a model was trained for.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Result};

/// The similarity of two embeddings; higher is more alike. The names are sentence-transformers' `SimilarityFunction`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Similarity {
    /// The cosine of the angle between them, in -1..=1.
    #[default]
    Cosine,
    /// Their inner product, unbounded.
    Dot,
}

impl Similarity {
    /// `"cosine"` or `"dot"`, as in `similarity_fn_name`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cosine => "cosine",
            Self::Dot => "dot",
        }
    }
}

impl fmt::Display for Similarity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Similarity {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        match name {
            "cosine" => Ok(Self::Cosine),
            "dot" | "dot_product" => Ok(Self::Dot),
            _ => Err(Error::misuse(format!("similarity \"{name}\" is not supported; use \"cosine\" or \"dot\""))),
        }
    }
}
