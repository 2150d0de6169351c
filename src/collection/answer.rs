//! The way of a query through its stages: candidates, rerankers, the choice among them, and what is told of it.

use std::time::Instant;

use super::candidates::{Candidates, FirstStage, Question};
use super::diversify::{MMR_POOL, collapse, diversify};
use super::filtered::warnings;
use super::fuse::{Found, Mode};
use super::highlight::Highlighter;
use super::plan::{Explanation, Times, Warning};
use super::query::{Asked, Query};
use super::ranking::Ranking;
use super::rerank::Read;
use crate::embedding::Embedding;
use crate::error::{Error, ErrorKind, Result};
use crate::passage::PassageId;

/// The ranking that answers a query, and how the first stage came to it.
pub(super) struct Answer {
    pub(super) ranking: Ranking,
    candidates: Candidates,
}

impl Query<'_> {
    pub(super) fn explained(&self) -> Result<Explanation> {
        let Answer { ranking, candidates } = self.answer()?;
        let started = Instant::now();
        let hits = ranking.hits(self.offset..ranking.len())?;
        let times = Times { fetch: started.elapsed(), ..candidates.times };
        let matching = candidates.matching.as_deref();
        let mut warnings = match (&self.filter, matching) {
            (Some(filter), Some(matching)) => warnings(filter, matching, &candidates.reader)?,
            _ => Vec::new(),
        };
        if let Some(field) = &self.collapse
            && !hits.is_empty()
            && hits.iter().all(|hit| field.written(hit.subject()).is_none())
        {
            warnings.push(Warning::NothingToCollapse(field.clone()));
        }
        Ok(Explanation {
            hits,
            mode: self.mode,
            plan: candidates.plan,
            passages: candidates.reader.state().passages,
            matches: matching.map(|matching| matching.count),
            read: matching.map_or(0, |matching| matching.read),
            rescored: candidates.rescored,
            times,
            warnings,
        })
    }

    pub(super) fn answer(&self) -> Result<Answer> {
        self.check()?;
        // An empty collection answers without loading a model.
        if self.collection.is_empty() && !matches!(self.asked, Asked::Embedding(_) | Asked::Passage(_)) {
            let candidates = Candidates::none(self.collection.reader());
            let ranking = Ranking::new(self.collection, candidates.reader.clone(), Vec::new());
            return Ok(Answer { ranking, candidates });
        }
        let started = Instant::now();
        let question = self.question()?;
        let encode = started.elapsed();
        let wanted = self.offset.saturating_add(self.top);
        let mut candidates = self.stages(&question, wanted)?;
        candidates.times.encode = encode;
        let mut found = std::mem::take(&mut candidates.found);
        if let Some(lambda) = self.mmr {
            let started = Instant::now();
            diversify(&candidates.reader, lambda, &mut found, wanted)?;
            candidates.times.rank += started.elapsed();
        }
        found.truncate(wanted);
        let highlighter = self.highlight.then(|| {
            let (text, embedding) = (question.text.as_deref(), question.embedding.as_ref());
            Highlighter::new(&self.collection.0, self.mode, text, embedding)
        });
        let ranking = Ranking::new(self.collection, candidates.reader.clone(), found).highlighted(highlighter);
        Ok(Answer { ranking, candidates })
    }

    /// The candidates after every stage but the last choice, at least `wanted` of them if there are as many.
    fn stages(&self, question: &Question, wanted: usize) -> Result<Candidates> {
        let pool = if self.mmr.is_some() { wanted.saturating_mul(5).max(MMR_POOL) } else { wanted };
        let mut room = self.stages.iter().map(|stage| stage.top).fold(pool, usize::max);
        let mut read = vec![Read::new(); self.stages.len()];
        let (mut times, mut rescored) = (Times::default(), 0);
        loop {
            let first = FirstStage {
                mode: self.mode,
                fusion: self.fusion,
                wanted: room,
                exact: self.exact,
                filter: self.filter.as_ref(),
            };
            let mut candidates = self.collection.0.candidates(question, first)?;
            times.add(&candidates.times);
            rescored += candidates.rescored;
            let started = Instant::now();
            let mut exhausted = candidates.found.len() < room;
            for (stage, read) in self.stages.iter().zip(&mut read) {
                stage.apply(question.text()?, &candidates.reader, &mut candidates.found, read)?;
            }
            if let Some(least) = self.min_score {
                let before = candidates.found.len();
                // A candidate that no reranker read has another kind of score.
                let score =
                    |found: &Found| if self.stages.is_empty() { Some(found.score) } else { found.scores.rerank };
                candidates.found.retain(|found| score(found).is_some_and(|score| score >= least));
                // What would come next scores less still.
                exhausted |= candidates.found.len() < before;
            }
            if let Some(field) = &self.collapse {
                collapse(&candidates.reader, field, &mut candidates.found)?;
            }
            times.rank += started.elapsed();
            if self.collapse.is_none() || exhausted || candidates.found.len() >= pool {
                return Ok(Candidates { times, rescored, ..candidates });
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
        if let Some(filter) = &self.filter {
            filter.check()?;
        }
        // Also where there is nothing to find yet: a program that asks so is wrong before its first passage.
        if self.mode != Mode::Dense {
            self.collection.0.check_words()?;
        }
        self.fusion.check()
    }

    pub(super) fn needs_embedding(&self) -> bool {
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
        let stored = reader.known_embedding(row)?;
        let passage = reader.known_passage(row)?;
        // A passage's marks are no operators.
        let text = [passage.title.unwrap_or_default(), passage.text].join(" ").replace(['"', '*'], " ");
        let embedding = Embedding::new(stored.iter().map(|value| value.to_f32()).collect::<Vec<f32>>())?;
        Ok(Question { text: Some(text), embedding: Some(embedding), except: Some(row) })
    }
}
