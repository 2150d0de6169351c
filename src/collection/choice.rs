//! Which encoder a collection uses, loaded no sooner than a text has to be encoded.

use std::sync::Arc;
#[cfg(feature = "builtin")]
use std::sync::OnceLock;

#[cfg(feature = "builtin")]
use crate::bi_encoder::BiEncoder;
use crate::bi_encoder::Encoder;
use crate::error::{Error, Result};

/// The encoder of a collection.
#[derive(Clone)]
pub(super) enum EncoderChoice {
    /// The one inside the program; loading it takes longer than opening a collection.
    #[cfg(feature = "builtin")]
    Builtin(Arc<OnceLock<BiEncoder>>),
    Given(Arc<dyn Encoder>),
    /// Passages and queries come with their embeddings, or nothing is encoded at all.
    Absent,
}

impl Default for EncoderChoice {
    #[cfg(feature = "builtin")]
    fn default() -> Self {
        Self::Builtin(Arc::default())
    }

    #[cfg(not(feature = "builtin"))]
    fn default() -> Self {
        Self::Absent
    }
}

impl EncoderChoice {
    /// The encoder, loaded.
    pub(super) fn get(&self) -> Result<&dyn Encoder> {
        match self {
            #[cfg(feature = "builtin")]
            Self::Builtin(cell) => match cell.get() {
                Some(encoder) => Ok(encoder),
                None => {
                    let loaded = BiEncoder::builtin()?;
                    Ok(cell.get_or_init(|| loaded))
                }
            },
            Self::Given(encoder) => Ok(encoder.as_ref()),
            Self::Absent => Err(Error::misuse(
                "this collection was opened without an encoder: hand in embeddings, or open it with one",
            )),
        }
    }

    /// The encoder's fingerprint, without loading it; `None` if there is no encoder.
    pub(super) fn fingerprint(&self) -> Result<Option<String>> {
        match self {
            #[cfg(feature = "builtin")]
            Self::Builtin(_) => crate::bi_encoder::builtin_fingerprint().map(Some),
            Self::Given(encoder) => Ok(Some(encoder.fingerprint().to_owned())),
            Self::Absent => Ok(None),
        }
    }

    /// Whether the caller named it, as opposed to the default.
    pub(super) fn is_explicit(&self) -> bool {
        matches!(self, Self::Given(_))
    }
}
