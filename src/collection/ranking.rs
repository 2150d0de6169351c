//! The answer to a query before its passages are read.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use super::fuse::Found;
use super::highlight::Highlighter;
use super::{Collection, Hit};
use crate::error::Result;
use crate::passage::PassageId;
use crate::store::Reader;

/// Which passages answer a query, best first, in the collection as it was when it was asked.
///
/// While it lives, the collection stays open, and the space of deleted passages is not used again.
#[derive(Clone)]
pub struct Ranking {
    // The store closes with the last handle.
    collection: Collection,
    reader: Arc<Reader>,
    found: Vec<Found>,
    highlighter: Option<Highlighter>,
}

impl Ranking {
    pub(super) fn new(collection: &Collection, reader: Arc<Reader>, found: Vec<Found>) -> Self {
        Self { collection: collection.clone(), reader, found, highlighter: None }
    }

    /// With highlights in its hits.
    pub(super) fn highlighted(self, highlighter: Option<Highlighter>) -> Self {
        Self { highlighter, ..self }
    }

    /// How many passages it has.
    pub fn len(&self) -> usize {
        self.found.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// The hits with these ranks, the best being 0; what is beyond the end is left out.
    ///
    /// # Errors
    /// `Corrupt` or `Io` from the store; the encoder's, for highlights.
    pub fn hits(&self, ranks: Range<usize>) -> Result<Vec<Hit>> {
        let ranks = ranks.start.min(self.len())..ranks.end.min(self.len());
        let found = self.found.get(ranks).unwrap_or_default();
        let mut hits = found.iter().map(|found| self.hit(found)).collect::<Result<Vec<Hit>>>()?;
        if let Some(highlighter) = &self.highlighter {
            let texts: Vec<&str> = hits.iter().map(|hit| hit.text.as_str()).collect();
            let highlights = highlighter.highlights(&self.collection.0, &texts)?;
            hits.iter_mut().zip(highlights).for_each(|(hit, highlight)| hit.highlight = Some(highlight));
        }
        Ok(hits)
    }

    fn hit(&self, found: &Found) -> Result<Hit> {
        let stored = self.reader.known_passage(found.row)?;
        Ok(Hit {
            id: PassageId::from(stored.id),
            score: found.score,
            scores: found.scores,
            title: stored.title,
            text: stored.text,
            metadata: stored.metadata,
            highlight: None,
        })
    }
}

impl fmt::Debug for Ranking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ranking")
            .field("collection", &self.collection)
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}
