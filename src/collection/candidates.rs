//! The first stage of a query: the rows that answer it by meaning, by words, or by both, in one state of the store.

use std::sync::Arc;
use std::time::Duration;

use super::Inner;
use super::filtered::Matching;
use super::fuse::{DEPTH, Found, Fusion, Mode};
use super::hit::Scores;
use super::live::{Ask, Dense};
use super::plan::{Plan, Times};
use crate::embedding::Embedding;
use crate::error::{Error, Result};
use crate::filter::Filter;
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

/// How candidates are sought.
#[derive(Clone, Copy)]
pub(super) struct FirstStage<'q> {
    pub(super) mode: Mode,
    pub(super) fusion: Fusion,
    /// As many as are needed, if there are as many.
    pub(super) wanted: usize,
    pub(super) exact: bool,
    pub(super) filter: Option<&'q Filter>,
}

/// Rows that may be answers, best first.
pub(super) struct Candidates {
    pub(super) found: Vec<Found>,
    pub(super) reader: Arc<Reader>,
    pub(super) matching: Option<Arc<Matching>>,
    pub(super) plan: Plan,
    pub(super) rescored: u64,
    pub(super) times: Times,
}

/// The best rows by words.
struct Words {
    found: Vec<(RowId, f32)>,
    reader: Arc<Reader>,
    matching: Option<Arc<Matching>>,
    filter_time: Duration,
    words_time: Duration,
}

impl Inner {
    /// The best rows by meaning, words or both.
    pub(super) fn candidates(&self, question: &Question, stage: FirstStage<'_>) -> Result<Candidates> {
        let room = stage.wanted.saturating_add(usize::from(question.except.is_some()));
        let FirstStage { mode, fusion, exact, filter, .. } = stage;
        let mut candidates = match mode {
            Mode::Dense => {
                let ask = Ask { query: question.embedding()?, k: room, exact, filter };
                Candidates::by_meaning(self.dense(ask, None)?)
            }
            Mode::Lexical => Candidates::by_words(self.words(question.text()?, room, filter)?),
            Mode::Hybrid => {
                let depth = room.max(DEPTH);
                let ask = Ask { query: question.embedding()?, k: depth, exact, filter };
                // Words first: that view follows the store when it is asked, the other one is always there already.
                let words = self.words(question.text()?, depth, filter)?;
                let dense = self.dense(ask, Some(&words.reader))?;
                let by_meaning: Vec<(RowId, f32)> = dense.scored.iter().map(|found| (found.row, found.score)).collect();
                let found = fusion.fuse(&by_meaning, &words.found, depth);
                let mut candidates = Candidates { found, ..Candidates::by_meaning(dense) };
                candidates.times.filter += words.filter_time;
                candidates.times.words = words.words_time;
                candidates
            }
        };
        candidates.found.retain(|found| Some(found.row) != question.except);
        Ok(candidates)
    }

    pub(super) fn encode_queries(&self, texts: &[&str]) -> Result<Vec<Embedding>> {
        let embeddings = self.encoder.get()?.encode_queries(texts)?;
        if embeddings.len() == texts.len() {
            Ok(embeddings)
        } else {
            Err(Error::misuse(format!("the encoder gave {} embeddings for {} queries", embeddings.len(), texts.len())))
        }
    }

    /// Whether there is an index of words to ask.
    pub(super) fn check_words(&self) -> Result<()> {
        #[cfg(feature = "lexical")]
        return self.lexical.searched().map(drop);
        #[cfg(not(feature = "lexical"))]
        Err(built_without_words())
    }

    /// The `depth` best matches of a text's words among the rows that the filter matches.
    #[cfg(feature = "lexical")]
    fn words(&self, text: &str, depth: usize, filter: Option<&Filter>) -> Result<Words> {
        use std::time::Instant;

        use super::filtered::wants;

        let started = Instant::now();
        let (searcher, reader) = self.lexical.search(self)?;
        let followed = Instant::now();
        let matching = filter.map(|filter| self.matching(&reader, filter)).transpose()?;
        let filtered = Instant::now();
        let allowed = |row| wants(matching.as_deref(), row);
        let allowed: Option<&dyn Fn(RowId) -> bool> = if matching.is_some() { Some(&allowed) } else { None };
        let found = searcher.search(text, depth, allowed)?;
        let found = found.into_iter().map(|found| (found.row, found.score)).collect();
        let words_time = (followed - started) + filtered.elapsed();
        Ok(Words { found, reader, matching, filter_time: filtered - followed, words_time })
    }

    #[cfg(not(feature = "lexical"))]
    fn words(&self, _text: &str, _depth: usize, _filter: Option<&Filter>) -> Result<Words> {
        Err(built_without_words())
    }
}

impl Candidates {
    /// None, of a collection that has none.
    pub(super) fn none(reader: Arc<Reader>) -> Self {
        Self { found: Vec::new(), reader, matching: None, plan: Plan::Nothing, rescored: 0, times: Times::default() }
    }

    fn by_meaning(dense: Dense) -> Self {
        let found = dense.scored.iter().map(|found| Found {
            row: found.row,
            score: found.score,
            scores: Scores { dense: Some(found.score), ..Scores::default() },
        });
        Self {
            found: found.collect(),
            reader: dense.reader,
            matching: dense.matching,
            plan: dense.plan,
            rescored: dense.rescored,
            times: Times {
                filter: dense.filter_time,
                candidates: dense.candidates_time,
                rescore: dense.rescore_time,
                ..Times::default()
            },
        }
    }

    fn by_words(words: Words) -> Self {
        let found = words.found.iter().map(|(row, score)| Found {
            row: *row,
            score: *score,
            scores: Scores { lexical: Some(*score), ..Scores::default() },
        });
        Self {
            found: found.collect(),
            reader: words.reader,
            matching: words.matching,
            plan: Plan::Words,
            rescored: 0,
            times: Times { filter: words.filter_time, words: words.words_time, ..Times::default() },
        }
    }
}

#[cfg(not(feature = "lexical"))]
fn built_without_words() -> Error {
    Error::misuse("this program was built without the feature \"lexical\": use the mode dense")
}
