//! A question to a collection.

use std::sync::Arc;

use super::{Collection, Hit};
use crate::embedding::Embedding;
use crate::error::{Error, Result};
use crate::passage::PassageId;

/// A query that is being put together; [`run`](Self::run) answers it.
#[derive(Clone, Debug)]
#[must_use = "a query does nothing until it is run"]
pub struct Query<'c> {
    collection: &'c Collection,
    asked: Asked,
    top: usize,
    exact: bool,
}

#[derive(Clone, Debug)]
enum Asked {
    Text(String),
    Embedding(Embedding),
}

impl Collection {
    /// A query by meaning: the passages most similar to `text`.
    pub fn query(&self, text: impl Into<String>) -> Query<'_> {
        Query { collection: self, asked: Asked::Text(text.into()), top: 10, exact: false }
    }

    /// A query by an embedding of the caller's own.
    pub fn query_embedding(&self, embedding: Embedding) -> Query<'_> {
        Query { collection: self, asked: Asked::Embedding(embedding), top: 10, exact: false }
    }
}

impl Query<'_> {
    /// How many passages to find, 10 by default. All of them are found if there are no more.
    pub fn top(mut self, top: usize) -> Self {
        self.top = top;
        self
    }

    /// Whether to compare with every passage even where an approximate index would do.
    pub fn exact(mut self, exact: bool) -> Self {
        self.exact = exact;
        self
    }

    /// The passages found, best first; equal scores in the order in which the passages were last added.
    ///
    /// # Errors
    /// `Misuse` for `top(0)`, an embedding of another width, or a text where there is no encoder; the encoder's
    /// errors; `Corrupt` or `Io` from the store.
    pub fn run(self) -> Result<Vec<Hit>> {
        if self.top == 0 {
            return Err(Error::misuse("top must be at least 1"));
        }
        let inner = &self.collection.0;
        let embedding = match self.asked {
            Asked::Embedding(embedding) => embedding,
            // An empty collection answers without loading a model.
            Asked::Text(_) if self.collection.is_empty() => return Ok(Vec::new()),
            Asked::Text(text) => {
                let encoded = inner.encoder.get()?.encode_queries(&[&text])?;
                encoded
                    .into_iter()
                    .next()
                    .ok_or_else(|| Error::misuse("the encoder gave no embedding for the query"))?
            }
        };
        if embedding.len() != inner.dimension {
            return Err(Error::misuse(format!(
                "the query's embedding has {} numbers, the collection's have {}",
                embedding.len(),
                inner.dimension
            )));
        }
        let (scored, reader) = {
            let live = inner.live.read();
            (live.search(&embedding, self.top, inner.similarity, self.exact)?, Arc::clone(&live.reader))
        };
        let mut hits = Vec::with_capacity(scored.len());
        for scored in scored {
            let stored = reader.passage(scored.row)?.ok_or_else(|| {
                Error::corrupt(format!(
                    "row {} has an embedding but no passage; restore the collection from a copy",
                    scored.row
                ))
            })?;
            hits.push(Hit {
                id: PassageId::from(stored.id),
                score: scored.score,
                title: stored.title,
                text: stored.text,
                metadata: stored.metadata,
            });
        }
        Ok(hits)
    }
}
