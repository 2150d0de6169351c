//! A question to a collection.

use std::time::Instant;

use super::filtered::warnings;
use super::live::{Ask, Scored};
use super::plan::{Explanation, Times};
use super::{Collection, Hit};
use crate::embedding::Embedding;
use crate::error::{Error, Result};
use crate::filter::Filter;
use crate::passage::PassageId;
use crate::store::Reader;

/// A query that is being put together; [`run`](Self::run) answers it.
#[derive(Clone, Debug)]
#[must_use = "a query does nothing until it is run"]
pub struct Query<'c> {
    collection: &'c Collection,
    asked: Asked,
    top: usize,
    exact: bool,
    filter: Option<Filter>,
}

#[derive(Clone, Debug)]
enum Asked {
    Text(String),
    Embedding(Embedding),
}

impl Collection {
    /// A query by meaning: the passages most similar to `text`.
    pub fn query(&self, text: impl Into<String>) -> Query<'_> {
        Query { collection: self, asked: Asked::Text(text.into()), top: 10, exact: false, filter: None }
    }

    /// A query by an embedding of the caller's own.
    pub fn query_embedding(&self, embedding: Embedding) -> Query<'_> {
        Query { collection: self, asked: Asked::Embedding(embedding), top: 10, exact: false, filter: None }
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

    /// Finds among the passages that `filter` matches alone; under several filters among those that all of them match.
    ///
    /// ```
    /// use marcato::{Collection, Embedding, Filter, Passage, Similarity};
    /// let points = Collection::options().embeddings(2, Similarity::Cosine).in_memory()?;
    /// let east = Embedding::new([1.0, 0.0])?;
    /// let point = |year: u32| Passage::new("east").id(year.to_string()).field("year", year).embedding(east.clone());
    /// points.add((2010..2014).map(point))?;
    /// let hits = points.query_embedding(east.clone()).filter(Filter::field("year").gt(2011)).run()?;
    /// assert_eq!(hits.len(), 2);
    /// let hits = points.query_embedding(east).filter("year = 2010 or year = 2013".parse()?).run()?;
    /// assert_eq!(hits[0].id.as_str(), "2010");
    /// # Ok::<(), marcato::Error>(())
    /// ```
    pub fn filter(mut self, filter: Filter) -> Self {
        self.filter = Some(match self.filter.take() {
            Some(already) => already.and(filter),
            None => filter,
        });
        self
    }

    /// The passages found, best first; equal scores in the order in which the passages were last added.
    ///
    /// # Errors
    /// `Misuse` for `top(0)`, a filter that is too large or too deep, an embedding of another width, or a text where
    /// there is no encoder; the encoder's errors; `Corrupt` or `Io` from the store.
    pub fn run(self) -> Result<Vec<Hit>> {
        Ok(self.answer(false)?.hits)
    }

    /// The same, with how the answer came about, how long each stage took, and warnings of what it does not show.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn explain(self) -> Result<Explanation> {
        self.answer(true)
    }

    fn answer(self, warn: bool) -> Result<Explanation> {
        if self.top == 0 {
            return Err(Error::misuse("top must be at least 1"));
        }
        if let Some(filter) = &self.filter {
            filter.check()?;
        }
        let inner = &self.collection.0;
        let started = Instant::now();
        let embedding = match self.asked {
            Asked::Embedding(embedding) => embedding,
            // An empty collection answers without loading a model.
            Asked::Text(_) if self.collection.is_empty() => return Ok(Explanation::nothing()),
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
        let encode = started.elapsed();
        let ask = Ask { query: &embedding, k: self.top, exact: self.exact, filter: self.filter.as_ref() };
        let dense = inner.dense(ask)?;
        let started = Instant::now();
        let hits = fetch(&dense.scored, &dense.reader)?;
        let fetch = started.elapsed();
        let matching = dense.matching.as_deref();
        let warnings = match (&self.filter, matching) {
            (Some(filter), Some(matching)) if warn => warnings(filter, matching, &dense.reader)?,
            _ => Vec::new(),
        };
        Ok(Explanation {
            hits,
            plan: dense.plan,
            passages: dense.reader.state().passages,
            matches: matching.map(|matching| matching.count),
            read: matching.map_or(0, |matching| matching.read),
            rescored: dense.rescored,
            times: Times {
                encode,
                filter: dense.filter_time,
                candidates: dense.candidates_time,
                rescore: dense.rescore_time,
                fetch,
            },
            warnings,
        })
    }
}

fn fetch(scored: &[Scored], reader: &Reader) -> Result<Vec<Hit>> {
    let mut hits = Vec::with_capacity(scored.len());
    for Scored { row, score } in scored {
        let stored = reader.passage(*row)?.ok_or_else(|| {
            Error::corrupt(format!("row {row} has an embedding but no passage; restore the collection from a copy"))
        })?;
        hits.push(Hit {
            id: PassageId::from(stored.id),
            score: *score,
            title: stored.title,
            text: stored.text,
            metadata: stored.metadata,
        });
    }
    Ok(hits)
}
