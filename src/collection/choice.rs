//! Which encoder a collection uses, loaded no sooner than a text has to be encoded.

use std::sync::Arc;
#[cfg(feature = "builtin")]
use std::sync::OnceLock;

#[cfg(feature = "builtin")]
use parking_lot::Mutex;

#[cfg(feature = "builtin")]
use crate::bi_encoder::BiEncoder;
use crate::bi_encoder::Encoder;
use crate::error::{Error, Result};

/// The encoder of a collection.
#[derive(Clone)]
pub(super) enum EncoderChoice {
    /// The one inside the program; loading it takes longer than opening a collection.
    #[cfg(feature = "builtin")]
    Builtin(Arc<Builtin>),
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
            Self::Builtin(builtin) => Ok(builtin.get()?),
            Self::Given(encoder) => Ok(encoder.as_ref()),
            Self::Absent => Err(Error::misuse(
                "this collection was opened without an encoder: hand in embeddings, or open it with one",
            )),
        }
    }

    /// Begins to load the encoder on a thread of its own, if it is not loaded yet.
    pub(super) fn preload(&self) {
        #[cfg(feature = "builtin")]
        if let Self::Builtin(builtin) = self {
            let builtin = Arc::clone(builtin);
            // Whoever needs the encoder meets the error, if there is one, or loads it if there was no thread.
            let load = move || drop(builtin.get());
            let _ = std::thread::Builder::new().name("marcato-load".to_owned()).spawn(load);
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

/// The built-in model, loaded once by whoever needs it first.
#[cfg(feature = "builtin")]
#[derive(Default)]
pub(super) struct Builtin {
    loaded: OnceLock<BiEncoder>,
    /// Held while loading, for which others wait: loading it twice at once would take each of them longer.
    loading: Mutex<()>,
}

#[cfg(feature = "builtin")]
impl Builtin {
    fn get(&self) -> Result<&BiEncoder> {
        if let Some(encoder) = self.loaded.get() {
            return Ok(encoder);
        }
        let _loading = self.loading.lock();
        match self.loaded.get() {
            Some(encoder) => Ok(encoder),
            None => {
                let encoder = BiEncoder::builtin()?;
                Ok(self.loaded.get_or_init(|| encoder))
            }
        }
    }
}
