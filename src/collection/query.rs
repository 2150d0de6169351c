//! A question to a collection: how it is put together, and the way of its answer through the stages.

use std::sync::Arc;

use super::candidates::Question;
use super::diversify::{MMR_POOL, collapse, diversify};
use super::fuse::{Found, Fusion, Mode};
use super::highlight::Highlighter;
use super::ranking::Ranking;
use super::rerank::{Read, Reranker, Stage};
use super::{Collection, Hit};
use crate::embedding::Embedding;
use crate::error::{Error, ErrorKind, Result};
use crate::passage::PassageId;
use crate::store::Reader;

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
    collection: &'c Collection,
    asked: Asked,
    mode: Mode,
    fusion: Fusion,
    top: usize,
    offset: usize,
    min_score: Option<f32>,
    stages: Vec<Stage<'c>>,
    collapse: Option<String>,
    mmr: Option<f32>,
    highlight: bool,
    exact: bool,
}

#[derive(Clone, Debug)]
enum Asked {
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
        let texts: Vec<&str> = texts.iter().map(AsRef::as_ref).collect();
        let queries: Vec<Query<'c>> = texts.iter().map(|text| shape(self.query(*text))).collect();
        if self.is_empty() || !queries.iter().any(Query::needs_embedding) {
            return queries.into_iter().map(Query::run).collect();
        }
        let embeddings = self.0.encode_queries(&texts)?;
        let asked = texts.iter().zip(embeddings).map(|(text, embedding)| Asked::Encoded((*text).to_owned(), embedding));
        queries.into_iter().zip(asked).map(|(query, asked)| Query { asked, ..query }.run()).collect()
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

    /// Leaves out what scores less, by the score that ranks: that of the last stage.
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

    /// Keeps the best of the passages that have the same value in this field of their metadata. Those without the field
    /// are all kept.
    pub fn collapse(mut self, field: impl Into<String>) -> Self {
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

    /// The passages found, best first; equal scores in the order in which the passages were last added.
    ///
    /// # Errors
    /// `Misuse` for `top(0)` and other numbers out of their range, an embedding of another width, a text where there is no encoder, words of an embedding,
    /// or words of a collection that was made without; `NotFound` for more like a passage that is not there; the
    /// encoder's errors; `Corrupt` or `Io` from the store.
    pub fn run(self) -> Result<Vec<Hit>> {
        let offset = self.offset;
        let ranking = self.rank()?;
        ranking.hits(offset..ranking.len())
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
        self.check()?;
        // An empty collection answers without loading a model.
        if self.collection.is_empty() && !matches!(self.asked, Asked::Embedding(_) | Asked::Passage(_)) {
            return Ok(Ranking::new(self.collection, self.collection.reader(), Vec::new()));
        }
        let question = self.question()?;
        let wanted = self.offset.saturating_add(self.top);
        let (mut found, reader) = self.stages(&question, wanted)?;
        if let Some(lambda) = self.mmr {
            diversify(&reader, lambda, &mut found, wanted)?;
        }
        found.truncate(wanted);
        let highlighter = self.highlight.then(|| {
            let (text, embedding) = (question.text.as_deref(), question.embedding.as_ref());
            Highlighter::new(&self.collection.0, self.mode, text, embedding)
        });
        Ok(Ranking::new(self.collection, reader, found).highlighted(highlighter))
    }

    /// The candidates after every stage but the last choice, at least `wanted` of them if there are as many.
    fn stages(&self, question: &Question, wanted: usize) -> Result<(Vec<Found>, Arc<Reader>)> {
        let pool = if self.mmr.is_some() { wanted.saturating_mul(5).max(MMR_POOL) } else { wanted };
        let mut room = self.stages.iter().map(|stage| stage.top).fold(pool, usize::max);
        let mut read = vec![Read::new(); self.stages.len()];
        loop {
            let (mut found, reader) =
                self.collection.0.candidates(question, self.mode, self.fusion, room, self.exact)?;
            let mut exhausted = found.len() < room;
            for (stage, read) in self.stages.iter().zip(&mut read) {
                stage.apply(question.text()?, &reader, &mut found, read)?;
            }
            if let Some(least) = self.min_score {
                let before = found.len();
                found.retain(|found| found.score >= least);
                // What would come next scores less still.
                exhausted |= found.len() < before;
            }
            let Some(field) = &self.collapse else { return Ok((found, reader)) };
            collapse(&reader, field, &mut found)?;
            if exhausted || found.len() >= pool {
                return Ok((found, reader));
            }
            room = room.saturating_mul(4);
        }
    }

    fn check(&self) -> Result<()> {
        if self.top == 0 {
            return Err(Error::misuse("top must be at least 1"));
        }
        if self.min_score.is_some_and(f32::is_nan) {
            return Err(Error::misuse("the least score must be a number"));
        }
        if let Some(lambda) = self.mmr.filter(|lambda| !(0.0..=1.0).contains(lambda)) {
            return Err(Error::misuse(format!(
                "the lambda of maximal marginal relevance is from 0 to 1, not {lambda}"
            )));
        }
        if self.stages.iter().any(|stage| stage.top == 0) {
            return Err(Error::misuse("a reranker needs at least 1 candidate"));
        }
        self.fusion.check()
    }

    fn needs_embedding(&self) -> bool {
        self.mode != Mode::Lexical
    }

    fn question(&self) -> Result<Question> {
        let inner = &self.collection.0;
        let question = match &self.asked {
            Asked::Embedding(embedding) => Question { text: None, embedding: Some(embedding.clone()), except: None },
            Asked::Encoded(text, embedding) => {
                Question { text: Some(text.clone()), embedding: Some(embedding.clone()), except: None }
            }
            Asked::Text(text) => {
                let embedding = if self.needs_embedding() { inner.encode_queries(&[text])?.pop() } else { None };
                Question { text: Some(text.clone()), embedding, except: None }
            }
            Asked::Passage(id) => self.like(id)?,
        };
        if let Some(embedding) = &question.embedding
            && embedding.len() != inner.dimension
        {
            return Err(Error::misuse(format!(
                "the query's embedding has {} numbers, the collection's have {}",
                embedding.len(),
                inner.dimension
            )));
        }
        Ok(question)
    }

    fn like(&self, id: &PassageId) -> Result<Question> {
        let reader = self.collection.reader();
        let missing = || Error::new(ErrorKind::NotFound, format!("there is no passage \"{id}\" to find more like"));
        let row = reader.row(id.as_str())?.ok_or_else(missing)?;
        let stored = reader.embedding(row)?.ok_or_else(missing)?;
        let passage = reader.passage(row)?.ok_or_else(missing)?;
        // A passage's marks are no operators.
        let text = [passage.title.unwrap_or_default(), passage.text].join(" ").replace(['"', '*'], " ");
        let embedding = Embedding::new(stored.iter().map(|value| value.to_f32()).collect::<Vec<f32>>())?;
        Ok(Question { text: Some(text), embedding: Some(embedding), except: Some(row) })
    }
}
