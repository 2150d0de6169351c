//! Copies of a collection, made while it is in use, and collections from copies.

use std::path::Path;

use super::lifecycle::{exists, make_directory, store_path};
use super::{Collection, holder};
use crate::error::{Error, ErrorKind, Result};
use crate::medium::FileSystem;
use crate::store::Store;

impl Collection {
    /// Copies the collection as it is now into the directory `path`, which is made, or may be there if it is empty. The
    /// copy is a collection like any other: every record of it has been read and verified, and its indexes are built when
    /// it is opened. It appears whole or not at all. Others go on reading and writing meanwhile; while the copy is made,
    /// the space of deleted passages is not used again.
    ///
    /// A collection in memory is saved so too.
    ///
    /// ```
    /// use marcato::{Collection, Embedding, Passage, Similarity};
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let (monday, path) = (folder.path().join("monday"), folder.path().join("points"));
    /// let points = Collection::options().embeddings(2, Similarity::Cosine).in_memory()?;
    /// points.add([Passage::new("east").embedding(Embedding::new([1.0, 0.0])?)])?;
    /// points.backup(&monday)?;
    /// Collection::restore(&monday, &path)?;
    /// assert_eq!(Collection::options().embeddings(2, Similarity::Cosine).open(&path)?.len(), 1);
    /// # Ok::<(), marcato::Error>(())
    /// ```
    ///
    /// # Errors
    /// `Misuse` if there is a collection already, or files that are not a collection's; `Corrupt` if a record is not what
    /// was written; `Io`, `Full`.
    pub fn backup(&self, path: impl AsRef<Path>) -> Result<()> {
        copy(&self.0.store, path.as_ref())
    }

    /// Makes a collection in the directory `path` from the one in `backup`, which stays as it is.
    ///
    /// # Errors
    /// `NotFound` if there is none in `backup`; `Locked` if somebody writes it; the others as those of
    /// [`backup`](Self::backup).
    pub fn restore(backup: impl AsRef<Path>, path: impl AsRef<Path>) -> Result<()> {
        let (backup, path) = (backup.as_ref(), path.as_ref());
        if !exists(&FileSystem, backup)? {
            let message = format!("there is no collection in {} to restore from; check the path", backup.display());
            return Err(Error::new(ErrorKind::NotFound, message).with_path(backup));
        }
        let store = Store::open_read_only(&store_path(backup)).map_err(|error| holder::named(error, backup))?;
        copy(&store, path)
    }
}

fn copy(store: &Store, directory: &Path) -> Result<()> {
    make_directory(&FileSystem, directory)?;
    store.copy(&store_path(directory))
}
