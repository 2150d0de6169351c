//! The first stage of a query: the rows that answer it by meaning, by words, or by both.

use std::sync::Arc;

use super::Inner;
use super::fuse::{DEPTH, Found, Fusion, Mode};
use super::hit::Scores;
use super::live::Live;
use crate::embedding::Embedding;
use crate::error::{Error, Result};
use crate::passage::RowId;
use crate::store::Reader;

/// What is asked, as the stages need it.
#[derive(Clone, Debug)]
pub(super) struct Question {
    /// The words, if there are any.
    pub(super) text: Option<String>,
    /// The meaning, if the mode needs it.
    pub(super) embedding: Option<Embedding>,
    /// A row that is no answer: the one that was asked with.
    pub(super) except: Option<RowId>,
}

impl Question {
    pub(super) fn text(&self) -> Result<&str> {
        self.text
            .as_deref()
            .ok_or_else(|| Error::misuse("an embedding has no words: ask by text, or in the mode dense"))
    }

    fn embedding(&self) -> Result<&[f32]> {
        self.embedding.as_deref().ok_or_else(|| Error::misuse("the encoder gave no embedding for the query"))
    }
}

impl Inner {
    /// The best rows by meaning, words or both: at least the `wanted` best rows, if there are as many.
    pub(super) fn candidates(
        &self,
        question: &Question,
        mode: Mode,
        fusion: Fusion,
        wanted: usize,
        exact: bool,
    ) -> Result<(Vec<Found>, Arc<Reader>)> {
        let room = wanted.saturating_add(usize::from(question.except.is_some()));
        let (mut found, reader) = match mode {
            Mode::Dense => {
                let live = self.live.read();
                let dense = live.search(question.embedding()?, room, self.similarity, exact)?;
                let found = dense.into_iter().map(|found| Found {
                    row: found.row,
                    score: found.score,
                    scores: Scores { dense: Some(found.score), ..Scores::default() },
                });
                (found.collect::<Vec<_>>(), Arc::clone(&live.reader))
            }
            Mode::Lexical => {
                let (lexical, reader) = self.search_words(question.text()?, room, |live| Arc::clone(&live.reader))?;
                let found = lexical.into_iter().map(|(row, score)| Found {
                    row,
                    score,
                    scores: Scores { lexical: Some(score), ..Scores::default() },
                });
                (found.collect(), reader)
            }
            Mode::Hybrid => {
                let depth = room.max(DEPTH);
                let embedding = question.embedding()?;
                let (lexical, (dense, reader)) = self.search_words(question.text()?, depth, |live| {
                    (live.search(embedding, depth, self.similarity, exact), Arc::clone(&live.reader))
                })?;
                let dense: Vec<(RowId, f32)> = dense?.into_iter().map(|found| (found.row, found.score)).collect();
                (fusion.fuse(&dense, &lexical, depth), reader)
            }
        };
        found.retain(|found| Some(found.row) != question.except);
        Ok((found, reader))
    }

    pub(super) fn encode_queries(&self, texts: &[impl AsRef<str>]) -> Result<Vec<Embedding>> {
        let texts: Vec<&str> = texts.iter().map(AsRef::as_ref).collect();
        let embeddings = self.encoder.get()?.encode_queries(&texts)?;
        if embeddings.len() == texts.len() {
            Ok(embeddings)
        } else {
            Err(Error::misuse(format!("the encoder gave {} embeddings for {} queries", embeddings.len(), texts.len())))
        }
    }

    /// The best matches of a text's words, and what `meanwhile` makes of the rest of the collection at the same change.
    #[cfg(feature = "lexical")]
    fn search_words<T>(
        &self,
        text: &str,
        depth: usize,
        meanwhile: impl FnOnce(&Live) -> T,
    ) -> Result<(Vec<(RowId, f32)>, T)> {
        let (searcher, live) = self.lexical.search(self)?;
        let rest = meanwhile(&live);
        drop(live);
        let matches = searcher.search(text, depth, None)?;
        Ok((matches.into_iter().map(|found| (found.row, found.score)).collect(), rest))
    }

    #[cfg(not(feature = "lexical"))]
    fn search_words<T>(
        &self,
        _text: &str,
        _depth: usize,
        _meanwhile: impl FnOnce(&Live) -> T,
    ) -> Result<(Vec<(RowId, f32)>, T)> {
        Err(Error::misuse("this program was built without the feature \"lexical\": use the mode dense"))
    }
}
