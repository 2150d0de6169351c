//! How a collection is opened; every default with its reason.

use std::fmt;
use std::ops::ControlFlow;
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;

use super::choice::EncoderChoice;
use super::{Collection, lifecycle};
use crate::bi_encoder::{BiEncoderOptions, Encoder};
use crate::error::{Error, Result};
use crate::field::Field;
use crate::language::Language;
use crate::medium::{FileSystem, Medium};
use crate::progress::Progress;
use crate::similarity::Similarity;

/// How a collection searches its embeddings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Index {
    /// Exactly up to 50,000 passages; above, by a graph where it is faster.
    #[default]
    Auto,
    /// By comparing with every passage.
    Exact,
    /// By walking a graph (HNSW), fitted to the data to find at least 97 of 100 of the true nearest; exactly if the
    /// data has too little structure for that.
    Hnsw,
}

impl Index {
    /// `"auto"`, `"exact"` or `"hnsw"`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Exact => "exact",
            Self::Hnsw => "hnsw",
        }
    }
}

impl fmt::Display for Index {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Index {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        match name {
            "auto" => Ok(Self::Auto),
            "exact" => Ok(Self::Exact),
            "hnsw" => Ok(Self::Hnsw),
            _ => Err(Error::misuse(format!("index \"{name}\" is not known; use auto, exact or hnsw"))),
        }
    }
}

/// Choices to make before opening a [`Collection`]. See the methods.
///
/// ```
/// use marcato::{Collection, Embedding, Passage, Similarity};
/// let points = Collection::options().embeddings(2, Similarity::Cosine).in_memory()?;
/// points.add([Passage::new("east").embedding(Embedding::new([1.0, 0.0])?)])?;
/// assert_eq!(points.len(), 1);
/// # Ok::<(), marcato::Error>(())
/// ```
#[must_use]
pub struct CollectionOptions {
    pub(super) encoder: EncoderChoice,
    pub(super) embeddings: Option<(usize, Similarity)>,
    pub(super) index: Index,
    pub(super) index_fields: Vec<Field>,
    pub(super) preload: bool,
    pub(super) language: Option<Language>,
    pub(super) medium: Arc<dyn Medium>,
    /// From how many passages on the graph is loaded [behind](super::behind); tests have it so with fewer.
    #[cfg(feature = "usearch")]
    pub(super) behind_from: u64,
    pub(super) on_progress: Option<Box<dyn FnMut(Progress) -> ControlFlow<()> + Send>>,
}

impl Default for CollectionOptions {
    fn default() -> Self {
        Self {
            encoder: EncoderChoice::default(),
            embeddings: None,
            index: Index::default(),
            index_fields: Vec::new(),
            preload: false,
            language: Some(Language::default()),
            medium: Arc::new(FileSystem),
            #[cfg(feature = "usearch")]
            behind_from: super::behind::BEHIND_ROWS,
            on_progress: None,
        }
    }
}

impl CollectionOptions {
    /// The encoder to use in place of the default one. A collection refuses another than the one it was made with.
    pub fn encoder(self, encoder: impl Encoder + 'static) -> Self {
        self.shared_encoder(Arc::new(encoder))
    }

    /// The same for an encoder that others use too.
    pub fn shared_encoder(mut self, encoder: Arc<dyn Encoder>) -> Self {
        self.encoder = EncoderChoice::Given(encoder);
        self
    }

    /// How the default encoder is loaded: on how many threads, by which backend. A new collection's default is the
    /// built-in model; that of one that exists is the model it was made with, if that is on this machine by its name.
    pub fn default_encoder(mut self, options: BiEncoderOptions) -> Self {
        self.encoder = EncoderChoice::default_with(options);
        self
    }

    /// No encoder: a new collection takes embeddings of `dimension` numbers from the caller, compared by `similarity`.
    /// An existing one must have been made so.
    pub fn embeddings(mut self, dimension: usize, similarity: Similarity) -> Self {
        self.encoder = EncoderChoice::Absent;
        self.embeddings = Some((dimension, similarity));
        self
    }

    /// Opens a collection whatever model it was made with, to read or delete passages. Texts cannot be encoded.
    pub fn without_encoder(mut self) -> Self {
        self.encoder = EncoderChoice::Absent;
        self
    }

    /// How a new collection searches; an existing one keeps what it was made with.
    pub fn index(mut self, index: Index) -> Self {
        self.index = index;
        self
    }

    /// Gives a new collection an index of `field`, so that filters on it read no passages. An existing one keeps what it
    /// has; see [`Collection::create_field_index`].
    pub fn index_field(mut self, field: impl Into<Field>) -> Self {
        self.index_fields.push(field.into());
        self
    }

    /// Loads the default encoder while the collection opens, and not when the first text has to be encoded: for programs
    /// that open one to ask it a question at once.
    pub fn preload(mut self) -> Self {
        self.preload = true;
        self
    }

    /// The language of a new collection's words, English by default; an existing one keeps what it was made with.
    pub fn language(mut self, language: Language) -> Self {
        self.language = Some(language);
        self
    }

    /// A new collection is searched by meaning only: no index of its words is kept.
    pub fn without_words(mut self) -> Self {
        self.language = None;
        self
    }

    /// Is told of long work while opening (mending after a crash, rebuilding the index), and may stop the latter.
    pub fn on_progress(mut self, on_progress: impl FnMut(Progress) -> ControlFlow<()> + Send + 'static) -> Self {
        self.on_progress = Some(Box::new(on_progress));
        self
    }

    /// Opens the collection in `path`.
    ///
    /// # Errors
    /// As [`Collection::open`].
    pub fn open(self, path: impl AsRef<Path>) -> Result<Collection> {
        lifecycle::open(self, path.as_ref(), false)
    }

    /// Opens the collection in `path` beside others that only read; writing is refused.
    ///
    /// # Errors
    /// As [`Collection::open`]; `Misuse` if a crash has to be mended first, for which it must be opened for writing.
    pub fn open_read_only(self, path: impl AsRef<Path>) -> Result<Collection> {
        lifecycle::open(self, path.as_ref(), true)
    }

    /// Makes a collection in `path`.
    ///
    /// # Errors
    /// As [`Collection::create`].
    pub fn create(self, path: impl AsRef<Path>) -> Result<Collection> {
        lifecycle::create(self, path.as_ref())
    }

    /// Opens the collection in `path`, or makes one.
    ///
    /// # Errors
    /// As [`Collection::open`] and [`Collection::create`].
    pub fn open_or_create(self, path: impl AsRef<Path>) -> Result<Collection> {
        if lifecycle::exists(&*self.medium, path.as_ref())? { self.open(path) } else { self.create(path) }
    }

    /// A collection that ends with its last handle.
    ///
    /// # Errors
    /// As [`Collection::in_memory`].
    pub fn in_memory(self) -> Result<Collection> {
        lifecycle::in_memory(self)
    }
}
