//! The space of passages that are gone, given back.

use std::ops::ControlFlow;

use super::Collection;
use super::lifecycle::store_path;
use super::recover::{checkpoint, rebuild};
use crate::error::Result;
use crate::progress::Progress;

impl Collection {
    /// Rewrites the collection without the space of deleted and replaced passages, in the store and in the indexes. It needs
    /// as much free space as the compacted collection takes; every record is verified on the way, and the old file is
    /// replaced only by a whole new one.
    ///
    /// Queries go on meanwhile; writers wait. Space that is free inside the file is used again by later passages
    /// also without this.
    ///
    /// ```
    /// use marcato::{Collection, Embedding, Passage, Similarity};
    /// use std::ops::ControlFlow;
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let path = folder.path().join("points");
    /// let points = Collection::options().embeddings(2, Similarity::Cosine).create(&path)?;
    /// points.add((0..1000).map(|n| Passage::new("east").id(n.to_string()).embedding(Embedding::new([1.0, 0.0]).unwrap())))?;
    /// points.delete((1..1000).map(|n| n.to_string()))?;
    /// let before = points.stats().bytes;
    /// points.compact(|_| ControlFlow::Continue(()))?;
    /// assert!(points.stats().bytes < before && points.len() == 1);
    /// # Ok::<(), marcato::Error>(())
    /// ```
    ///
    /// # Errors
    /// `Misuse` if the collection was opened read-only; `Corrupt` if a record is not what was written; `Full`, `Io`;
    /// `Cancelled` after the store was compacted and before the indexes were.
    pub fn compact(&self, mut on_progress: impl FnMut(Progress) -> ControlFlow<()>) -> Result<()> {
        let inner = &*self.0;
        inner.store.check_writable()?;
        inner.wait_for_index();
        let mut tail = inner.writing.lock();
        // Brings the snapshots up to date, so that the log is forgotten and not copied.
        #[cfg(feature = "lexical")]
        inner.lexical.save(inner, 1)?;
        checkpoint(inner, &mut tail, false)?;
        if let Some(directory) = &inner.directory {
            inner.store.compact(&store_path(directory))?;
            self.renew_reader()?;
            inner.store.close_unread();
        }
        let dead = inner.live.read().view.dead_fraction() > 0.0;
        if dead {
            rebuild(inner, &mut tail, &mut on_progress)?;
        }
        #[cfg(feature = "lexical")]
        inner.lexical.compact(inner)?;
        Ok(())
    }
}
