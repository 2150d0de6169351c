//! "I have texts; find the relevant ones": the handle, and the only place where store, views and encoder meet.

mod answer;
mod backup;
#[cfg(feature = "usearch")]
mod behind;
mod candidates;
mod check;
mod choice;
mod commit;
mod compact;
mod diversify;
mod exchange;
mod fields;
mod filtered;
mod fuse;
#[cfg(feature = "usearch")]
mod graph_file;
mod highlight;
mod hit;
mod holder;
mod ingest;
#[cfg(feature = "lexical")]
mod lexical_view;
mod lifecycle;
mod live;
mod options;
mod plan;
mod query;
mod ranking;
mod read;
mod recover;
mod reembed;
mod rerank;
mod view;
mod write;

#[cfg(test)]
mod tests;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};

pub use check::{CheckReport, Part, Problem};
pub use fuse::{Fusion, Mode};
pub use highlight::Highlight;
pub use hit::{Hit, Scores};
pub use ingest::{Ingest, Ingested};
pub use options::{CollectionOptions, Index};
pub use plan::{Explanation, Plan, Times, Warning};
pub use query::Query;
pub use ranking::Ranking;
pub use read::CollectionStats;
pub use recover::OpenReport;
pub use rerank::{DEFAULT_RERANK_TOP, Reranker};
pub use write::Written;

use crate::error::Result;
use crate::similarity::Similarity;
use crate::store::Store;
#[cfg(feature = "usearch")]
use behind::Behind;
use choice::EncoderChoice;
use commit::Queue;
use filtered::Remembered;
use holder::Holder;
#[cfg(feature = "lexical")]
use lexical_view::LexicalView;
use live::Live;
use recover::Tail;

/// Passages that can be found by meaning, in a directory or in memory.
///
/// A handle is cheap to clone, `Send + Sync`, and every method takes `&self`. Any number of threads may query while
/// one writes: encoding holds no lock, and a query sees a batch whole or not at all. Writers take turns, and batches that
/// wait are written together, with one fsync. Another
/// process, or another handle that was not cloned from this one, gets
/// [`ErrorKind::Locked`](crate::ErrorKind::Locked).
///
/// What returned `Ok` is durable, all of the batch; the index is a view that is brought up to date from the store, and
/// rebuilt if its file is lost or damaged.
///
/// ```
/// # #[cfg(feature = "builtin")] {
/// use marcato::{Collection, Passage};
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("notes.marcato");
/// let notes = Collection::open_or_create(&path)?;
/// notes.add([
///     Passage::new("London has 9,787,426 inhabitants at the 2011 census").id("london").field("year", 2011),
///     Passage::new("Oats are sown in spring").id("oats"),
/// ])?;
/// let hits = notes.query("How many people live in London?").top(1).run()?;
/// assert_eq!(hits[0].id.as_str(), "london");
/// # }
/// # Ok::<(), marcato::Error>(())
/// ```
pub struct Collection(Arc<Inner>);

struct Inner {
    /// Dropped before the store, whose lock decides.
    _holder: Option<Holder>,
    store: Store,
    live: RwLock<Live>,
    queue: Queue,
    /// Held by whoever writes; what it guards is how far the snapshot on disk is behind.
    writing: Mutex<Tail>,
    #[cfg(feature = "usearch")]
    behind: Arc<Behind>,
    remembered: Remembered,
    encoder: EncoderChoice,
    dimension: usize,
    similarity: Similarity,
    index: Index,
    /// `None` in memory.
    directory: Option<PathBuf>,
    report: Mutex<OpenReport>,
    #[cfg(feature = "lexical")]
    lexical: LexicalView,
}

impl Collection {
    /// Opens the collection in the directory `path`, with the model that it was made with: the built-in one, or one that
    /// is found on this machine by its name ([`Models`](crate::Models)). It is loaded when a text has to be encoded.
    ///
    /// The index of a large collection is loaded after this has returned. A query by meaning waits for it; nothing else does,
    /// and a query that is [`exact`](Query::exact) does not.
    ///
    /// # Errors
    /// `NotFound`; `Locked` if another process has it; `Incompatible` if that model was not found; `Corrupt`.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::options().open(path)
    }

    /// Makes a collection in the directory `path`, with the built-in model. The directory may exist if it is empty.
    ///
    /// # Errors
    /// `Misuse` if there is one already, or files that are not a collection's; `Io`, `Full`.
    pub fn create(path: impl AsRef<Path>) -> Result<Self> {
        Self::options().create(path)
    }

    /// Opens the collection in `path`, or makes one.
    ///
    /// # Errors
    /// As [`open`](Self::open) and [`create`](Self::create).
    pub fn open_or_create(path: impl AsRef<Path>) -> Result<Self> {
        Self::options().open_or_create(path)
    }

    /// A collection that ends with its last handle.
    ///
    /// # Errors
    /// As the encoder's, when it is loaded.
    pub fn in_memory() -> Result<Self> {
        Self::options().in_memory()
    }

    /// Choices to make before opening: another encoder, your own embeddings, the kind of index.
    pub fn options() -> CollectionOptions {
        CollectionOptions::default()
    }

    /// The directory that it is in; `None` in memory.
    pub fn path(&self) -> Option<&Path> {
        self.0.directory.as_deref()
    }

    /// What happened when it was opened, as far as it is known by now: the index of a large collection is loaded while it
    /// is in use already.
    pub fn open_report(&self) -> OpenReport {
        self.0.report.lock().clone()
    }
}

impl fmt::Debug for Collection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Collection")
            .field("path", &self.0.directory)
            .field("dimension", &self.0.dimension)
            .field("similarity", &self.0.similarity)
            .finish_non_exhaustive()
    }
}
