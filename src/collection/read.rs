//! Passages by their ids, in a consistent state of the collection.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use super::Collection;
use super::options::Index;
use crate::embedding::Embedding;
use crate::error::Result;
use crate::language::Language;
use crate::passage::Passage;
use crate::similarity::Similarity;
use crate::store::Reader;

/// What a collection is and how large.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CollectionStats {
    /// Passages that are there.
    pub passages: u64,
    /// Numbers per embedding.
    pub dimension: usize,
    /// How embeddings are compared.
    pub similarity: Similarity,
    /// The name of the encoder that it was made with; empty if passages bring their own embeddings.
    pub encoder: String,
    /// That encoder's fingerprint.
    pub fingerprint: String,
    /// How it searches at its present size: `Exact` or `Hnsw`.
    pub index: Index,
    /// How it was made to search, which with `Auto` leaves the choice to its size.
    pub index_setting: Index,
    /// The language in which its words are searched; `None` if they are not.
    pub language: Option<Language>,
    /// Why the index of words has to be built anew, or had to, if its file was of no use. Unlike the index of
    /// embeddings it is looked at when words are first searched, not on opening.
    pub words_rebuilt: Option<String>,
    /// Changes so far: the sequence number of the last one.
    pub seq: u64,
    /// Bytes that its files take on disk; 0 in memory. The store's file grows by doubling, and what of it was never written
    /// takes nothing where the file system says so (on Unix; elsewhere its length counts).
    pub bytes: u64,
}

impl Collection {
    /// How many passages there are.
    pub fn len(&self) -> u64 {
        self.reader().state().passages
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether there is a passage with this id.
    ///
    /// # Errors
    /// `Corrupt` or `Io` from the store.
    pub fn contains(&self, id: impl AsRef<str>) -> Result<bool> {
        Ok(self.reader().row(id.as_ref())?.is_some())
    }

    /// The passage with this id, without its embedding.
    ///
    /// # Errors
    /// `Corrupt` or `Io` from the store.
    pub fn get(&self, id: impl AsRef<str>) -> Result<Option<Passage>> {
        let reader = self.reader();
        match reader.row(id.as_ref())? {
            Some(row) => Ok(Some(reader.known_passage(row)?.into())),
            None => Ok(None),
        }
    }

    /// The stored embedding of the passage with this id: f16 numbers, of unit length if compared by cosine.
    ///
    /// # Errors
    /// `Corrupt` or `Io` from the store.
    pub fn embedding(&self, id: impl AsRef<str>) -> Result<Option<Embedding>> {
        let reader = self.reader();
        let Some(row) = reader.row(id.as_ref())? else { return Ok(None) };
        let stored = reader.known_embedding(row)?;
        Embedding::new(stored.iter().map(|value| value.to_f32()).collect::<Vec<f32>>()).map(Some)
    }

    /// Every passage, without embeddings, in the order in which they were last added.
    ///
    /// The iterator sees the collection as it is now, whatever is written meanwhile; while it lives, the collection
    /// stays open, and the space of deleted passages is not used again.
    ///
    /// # Errors
    /// `Corrupt` or `Io` from the store, here or from the iterator.
    pub fn iter(&self) -> Result<impl Iterator<Item = Result<Passage>> + use<>> {
        let passages = self.reader().passages()?;
        // A handle of its own, because the store closes with the last one.
        let open = self.clone();
        Ok(passages.map(move |passage| {
            let _ = &open;
            passage.map(Passage::from)
        }))
    }

    /// What the collection is and how large.
    pub fn stats(&self) -> CollectionStats {
        let settings = self.0.store.settings();
        let reader = self.reader();
        CollectionStats {
            passages: reader.state().passages,
            dimension: self.0.dimension,
            similarity: self.0.similarity,
            encoder: settings.encoder.clone(),
            fingerprint: settings.fingerprint.clone(),
            index: if self.0.live.read().view.is_exact() { Index::Exact } else { Index::Hnsw },
            index_setting: self.0.index,
            #[cfg(feature = "lexical")]
            language: self.0.lexical.language(),
            #[cfg(feature = "lexical")]
            words_rebuilt: self.0.lexical.rebuilt(),
            #[cfg(not(feature = "lexical"))]
            language: None,
            #[cfg(not(feature = "lexical"))]
            words_rebuilt: None,
            seq: reader.state().seq,
            bytes: self.path().map_or(0, bytes_under),
        }
    }

    pub(super) fn reader(&self) -> Arc<Reader> {
        Arc::clone(&self.0.live.read().reader)
    }
}

/// What the files in a collection's directory and its `views` take; what cannot be read counts nothing.
fn bytes_under(directory: &Path) -> u64 {
    let files = |directory: &Path| {
        let entries = fs::read_dir(directory).into_iter().flatten().flatten();
        let size = |entry: fs::DirEntry| entry.metadata().ok().filter(fs::Metadata::is_file).map(|file| taken(&file));
        entries.filter_map(size).sum::<u64>()
    };
    files(directory) + files(&directory.join("views"))
}

#[cfg(unix)]
fn taken(file: &fs::Metadata) -> u64 {
    /// Of `st_blocks`, whatever the blocks of the file system.
    const BLOCK: u64 = 512;
    std::os::unix::fs::MetadataExt::blocks(file) * BLOCK
}

#[cfg(not(unix))]
fn taken(file: &fs::Metadata) -> u64 {
    file.len()
}
