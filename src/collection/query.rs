//! A question to a collection, as it is put together.

use super::fuse::{Fusion, Mode};
use super::plan::Explanation;
use super::ranking::Ranking;
use super::rerank::{Reranker, Stage};
use super::{Collection, Hit};
use crate::embedding::Embedding;
use crate::error::Result;
use crate::field::Field;
use crate::filter::Filter;
use crate::passage::PassageId;

/// A query that is being put together; [`run`](Self::run) answers it.
///
/// ```
/// # #[cfg(all(feature = "builtin", feature = "lexical"))] {
/// use marcato::{Collection, Mode};
/// let parts = Collection::in_memory()?;
/// parts.add(["The pump XJ-900 needs a new seal", "Water is raised by machines of many kinds"])?;
/// let hits = parts.query("xj-900").mode(Mode::Lexical).run()?;
/// assert_eq!(hits.len(), 1);
/// # }
/// # Ok::<(), marcato::Error>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "a query does nothing until it is run"]
pub struct Query<'c> {
    pub(super) collection: &'c Collection,
    pub(super) asked: Asked,
    pub(super) mode: Mode,
    pub(super) fusion: Fusion,
    pub(super) top: usize,
    pub(super) offset: usize,
    pub(super) min_score: Option<f32>,
    pub(super) stages: Vec<Stage<'c>>,
    pub(super) collapse: Option<Field>,
    pub(super) mmr: Option<f32>,
    pub(super) highlight: bool,
    pub(super) exact: bool,
    pub(super) filter: Option<Filter>,
}

#[derive(Clone, Debug)]
pub(super) enum Asked {
    Text(String),
    Embedding(Embedding),
    /// A text whose embedding is there already.
    Encoded(String, Embedding),
    Passage(PassageId),
}

impl Collection {
    /// A query by text: by its meaning, unless another [`mode`](Query::mode) is set.
    pub fn query(&self, text: impl Into<String>) -> Query<'_> {
        self.ask(Asked::Text(text.into()))
    }

    /// A query by an embedding of the caller's own.
    pub fn query_embedding(&self, embedding: Embedding) -> Query<'_> {
        self.ask(Asked::Embedding(embedding))
    }

    /// More like the passage with this id: by its embedding, its words, or both. It is not among the answers.
    ///
    /// ```
    /// # #[cfg(feature = "builtin")] {
    /// use marcato::{Collection, Passage};
    /// let notes = Collection::in_memory()?;
    /// notes.add([Passage::new("The roof leaks").id("roof"), Passage::new("The gutter drips").id("gutter")])?;
    /// let hits = notes.query_like("roof").run()?;
    /// assert_eq!(hits.len(), 1);
    /// assert_eq!(hits[0].id.as_str(), "gutter");
    /// # }
    /// # Ok::<(), marcato::Error>(())
    /// ```
    pub fn query_like(&self, id: impl Into<PassageId>) -> Query<'_> {
        self.ask(Asked::Passage(id.into()))
    }

    /// Several questions at once: their texts are encoded together, which is quicker than one after the other, and
    /// each is answered as `shape` makes it.
    ///
    /// ```
    /// # #[cfg(feature = "builtin")] {
    /// use marcato::Collection;
    /// let notes = Collection::in_memory()?;
    /// notes.add(["Oats are sown in spring", "London lies on the Thames"])?;
    /// let answers = notes.query_batch(&["when to sow", "English rivers"], |query| query.top(1))?;
    /// assert!(answers[0][0].text.starts_with("Oats") && answers[1][0].text.starts_with("London"));
    /// # }
    /// # Ok::<(), marcato::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Query::run`].
    pub fn query_batch<'c, T: AsRef<str>>(
        &'c self,
        texts: &[T],
        shape: impl Fn(Query<'c>) -> Query<'c>,
    ) -> Result<Vec<Vec<Hit>>> {
        self.batch(texts, shape)?.into_iter().map(Query::run).collect()
    }

    /// The same, with how each answer came about.
    ///
    /// # Errors
    /// As [`Query::run`].
    pub fn explain_batch<'c, T: AsRef<str>>(
        &'c self,
        texts: &[T],
        shape: impl Fn(Query<'c>) -> Query<'c>,
    ) -> Result<Vec<Explanation>> {
        self.batch(texts, shape)?.into_iter().map(Query::explain).collect()
    }

    fn batch<'c, T: AsRef<str>>(
        &'c self,
        texts: &[T],
        shape: impl Fn(Query<'c>) -> Query<'c>,
    ) -> Result<Vec<Query<'c>>> {
        let texts: Vec<&str> = texts.iter().map(AsRef::as_ref).collect();
        let queries: Vec<Query<'c>> = texts.iter().map(|text| shape(self.query(*text))).collect();
        if self.is_empty() || !queries.iter().any(Query::needs_embedding) {
            return Ok(queries);
        }
        let embeddings = self.0.encode_queries(&texts)?;
        let asked = texts.iter().zip(embeddings).map(|(text, embedding)| Asked::Encoded((*text).to_owned(), embedding));
        Ok(queries.into_iter().zip(asked).map(|(query, asked)| Query { asked, ..query }).collect())
    }

    /// A text together with an embedding that is not its encoder's.
    #[cfg(all(test, feature = "lexical"))]
    pub(super) fn ask_both(&self, text: &str, embedding: Embedding) -> Query<'_> {
        self.ask(Asked::Encoded(text.to_owned(), embedding))
    }

    fn ask(&self, asked: Asked) -> Query<'_> {
        Query {
            collection: self,
            asked,
            mode: Mode::default(),
            fusion: Fusion::default(),
            top: 10,
            offset: 0,
            min_score: None,
            stages: Vec::new(),
            collapse: None,
            mmr: None,
            highlight: false,
            exact: false,
            filter: None,
        }
    }
}

impl<'c> Query<'c> {
    /// What to search by: meaning by default.
    ///
    /// In the words of a text, `"quoted phrases"` must occur as they stand, and a word with a star (`cens*`) is the
    /// beginning of one; every other word counts if it occurs.
    pub fn mode(mut self, mode: Mode) -> Self {
        self.mode = mode;
        self
    }

    /// How [`Mode::Hybrid`] makes one ranking out of two.
    pub fn fusion(mut self, fusion: Fusion) -> Self {
        self.fusion = fusion;
        self
    }

    /// How many passages to find, 10 by default. All of them are found if there are no more.
    pub fn top(mut self, top: usize) -> Self {
        self.top = top;
        self
    }

    /// How many of the best to leave out, for one page after the other. Each page is a query of its own, so what is
    /// written in between shows; [`rank`](Self::rank) gives pages of one moment.
    pub fn offset(mut self, offset: usize) -> Self {
        self.offset = offset;
        self
    }

    /// Leaves out what scores less, by the score that ranks; after a reranker also what none has read.
    pub fn min_score(mut self, min_score: f32) -> Self {
        self.min_score = Some(min_score);
        self
    }

    /// Lets `reranker` read the best `top` candidates and order them by its scores; those after them stay as they were,
    /// with their own scores. A second call reranks the result again, so a quick model can choose for a slow one.
    ///
    /// [`DEFAULT_RERANK_TOP`](crate::DEFAULT_RERANK_TOP) says how many candidates are worth it as a rule.
    ///
    /// ```
    /// # #[cfg(feature = "builtin")] {
    /// use marcato::{Collection, Reranker, Result};
    /// /// Prefers what is brief.
    /// struct Brevity;
    /// impl Reranker for Brevity {
    ///     fn scores(&self, _query: &str, passages: &[&str]) -> Result<Vec<f32>> {
    ///         Ok(passages.iter().map(|passage| -(passage.len() as f32)).collect())
    ///     }
    /// }
    /// let notes = Collection::in_memory()?;
    /// notes.add(["The slater comes on Monday to mend the roof", "Roof: Monday"])?;
    /// let hits = notes.query("who mends the roof?").rerank(&Brevity, 50).run()?;
    /// assert_eq!(hits[0].text, "Roof: Monday");
    /// assert_eq!(hits[0].scores.rerank, Some(-12.0));
    /// # }
    /// # Ok::<(), marcato::Error>(())
    /// ```
    pub fn rerank(mut self, reranker: &'c dyn Reranker, top: usize) -> Self {
        self.stages.push(Stage { reranker, top });
        self
    }

    /// Keeps the best of the passages that have the same value in this field, such as `source` or `author.name`. Those
    /// without the field are all kept.
    pub fn collapse(mut self, field: impl Into<Field>) -> Self {
        self.collapse = Some(field.into());
        self
    }

    /// Orders by maximal marginal relevance: `lambda` times the score, stretched over 0 to 1 among the candidates, less
    /// the rest times the likeness to the nearest passage above. 1 changes nothing; 0.5 to 0.8 keep near-duplicates apart.
    pub fn mmr(mut self, lambda: f32) -> Self {
        self.mmr = Some(lambda);
        self
    }

    /// Whether hits tell which sentence answers best, and where the query's words are. Takes the time of encoding the
    /// sentences, unless only words are searched.
    pub fn highlight(mut self, highlight: bool) -> Self {
        self.highlight = highlight;
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
    /// `Misuse` for `top(0)` and other numbers out of their range, a filter that is too large or too deep, an embedding of
    /// another width, a text where there is no encoder, words of an embedding or of a collection without; `NotFound` for more like a passage that is not there; the
    /// encoder's errors; `Corrupt` or `Io` from the store.
    pub fn run(self) -> Result<Vec<Hit>> {
        let offset = self.offset;
        let ranking = self.rank()?;
        ranking.hits(offset..ranking.len())
    }

    /// The same, with how the answer came about, how long each stage took, and warnings of what it does not show.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn explain(self) -> Result<Explanation> {
        self.explained()
    }

    /// The ranking of the best `offset + top` passages, as the collection is now: its pages are stable whatever is
    /// written meanwhile, and a passage's text is read when its page is.
    ///
    /// ```
    /// # #[cfg(feature = "builtin")] {
    /// use marcato::Collection;
    /// let notes = Collection::in_memory()?;
    /// notes.add(["one", "two", "three"])?;
    /// let ranking = notes.query("a number").top(100).rank()?;
    /// let first = ranking.hits(0..2)?;
    /// notes.delete([first[0].id.clone()])?;
    /// assert_eq!((ranking.len(), ranking.hits(2..3)?.len()), (3, 1));
    /// # }
    /// # Ok::<(), marcato::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn rank(self) -> Result<Ranking> {
        Ok(self.answer()?.ranking)
    }
}
