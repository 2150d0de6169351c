//! Which encoder a collection uses, loaded no sooner than a text has to be encoded.

use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;

use crate::bi_encoder::{BiEncoder, BiEncoderOptions, Encoder, Recalled};
use crate::error::{Error, Result};

/// The encoder of a collection.
#[derive(Clone)]
pub(super) enum EncoderChoice {
    /// The caller named none; loading it takes longer than opening a collection.
    Default(Arc<DefaultEncoder>),
    Given(Arc<dyn Encoder>),
    /// Passages and queries come with their embeddings, or nothing is encoded at all.
    Absent,
}

/// The built-in model for a new collection; for one that exists, the model that it was made with.
#[derive(Default)]
pub(super) struct DefaultEncoder {
    options: BiEncoderOptions,
    /// `None` is the built-in model.
    recalled: Option<Recalled>,
    loaded: OnceLock<BiEncoder>,
    /// Held while loading, for which others wait: loading it twice at once would take each of them longer.
    loading: Mutex<()>,
}

impl Default for EncoderChoice {
    fn default() -> Self {
        Self::Default(Arc::default())
    }
}

impl EncoderChoice {
    /// The default encoder, to be loaded with `options`.
    pub(super) fn default_with(options: BiEncoderOptions) -> Self {
        Self::Default(Arc::new(DefaultEncoder { options, ..DefaultEncoder::default() }))
    }

    /// The encoder, loaded.
    pub(super) fn get(&self) -> Result<&dyn Encoder> {
        match self {
            Self::Default(default) => default.get(),
            Self::Given(encoder) => Ok(encoder.as_ref()),
            Self::Absent => Err(Error::misuse(
                "this collection was opened without an encoder: hand in embeddings, or open it with one",
            )),
        }
    }

    /// Begins to load the encoder on a thread of its own, if it is not loaded yet.
    pub(super) fn preload(&self) {
        if let Self::Default(default) = self {
            let default = Arc::clone(default);
            // Whoever needs the encoder meets the error, if there is one, or loads it if there was no thread.
            let load = move || drop(default.get());
            let _ = std::thread::Builder::new().name("marcato-load".to_owned()).spawn(load);
        }
    }

    /// Whether the caller named it, as opposed to the default.
    pub(super) fn is_explicit(&self) -> bool {
        matches!(self, Self::Given(_))
    }

    /// The default encoder of a collection that was made with the model of that name and fingerprint.
    pub(super) fn recall(default: &DefaultEncoder, name: &str, fingerprint: &str) -> Result<Self> {
        let recalled = Some(Recalled::find(name, fingerprint)?);
        Ok(Self::Default(Arc::new(DefaultEncoder {
            options: default.options.clone(),
            recalled,
            ..DefaultEncoder::default()
        })))
    }
}

impl DefaultEncoder {
    fn get(&self) -> Result<&dyn Encoder> {
        if let Some(encoder) = self.loaded.get() {
            return Ok(encoder);
        }
        let _loading = self.loading.lock();
        match self.loaded.get() {
            Some(encoder) => Ok(encoder),
            None => {
                let loaded = match &self.recalled {
                    Some(recalled) => recalled.load(&self.options)?,
                    None => self.builtin()?,
                };
                Ok(self.loaded.get_or_init(|| loaded))
            }
        }
    }

    #[cfg(feature = "builtin")]
    fn builtin(&self) -> Result<BiEncoder> {
        self.options.clone().builtin()
    }

    #[cfg(not(feature = "builtin"))]
    fn builtin(&self) -> Result<BiEncoder> {
        Err(Error::misuse("this build has no built-in model: name an encoder, or hand in embeddings"))
    }

    /// The fingerprint of the built-in model, without loading it; `None` where there is none.
    #[cfg(feature = "builtin")]
    pub(super) fn builtin_fingerprint() -> Result<Option<String>> {
        crate::bi_encoder::builtin_fingerprint().map(Some)
    }

    #[cfg(not(feature = "builtin"))]
    pub(super) fn builtin_fingerprint() -> Result<Option<String>> {
        Ok(None)
    }
}
