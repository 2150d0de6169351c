//! Rankings of passages for queries: what a search engine answered.

use std::collections::{BTreeMap, HashSet};
use std::io::{self, Write};
use std::path::Path;

use super::lines::{Line, Lines};
use crate::error::{Error, Result};

/// Rankings for queries: query id to passages with their scores.
///
/// A ranking is in trec_eval's order whatever order it came in: by descending score, equal scores by descending id (by
/// bytes). Scores are `f32`, as trec_eval keeps them, so what is equal to it is equal here.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Run(BTreeMap<String, Vec<Ranked>>);

/// A passage in a ranking.
#[derive(Clone, Debug, PartialEq)]
pub struct Ranked {
    /// The passage's id.
    pub id: String,
    /// Higher is better; finite.
    pub score: f32,
}

impl Run {
    /// Reads a file in any of these forms, told apart by its first line:
    ///
    /// - TREC's: query, `Q0`, passage, rank, score and tag between white space; the rank is ignored, as trec_eval does
    /// - MS MARCO's runs: query, passage and rank between tabs; the score is one over the rank
    /// - MS MARCO's `top1000`: query, passage and their texts between tabs; the score is one over the place in the file
    ///
    /// # Errors
    /// `Misuse`, naming the file and the line; `NotFound` and `Io` from the file.
    pub fn read(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        Self::of_lines(Lines::open(path)?).map_err(|error| error.with_path(path))
    }

    /// Reads TREC's form, or another that [`read`](Self::read) knows.
    ///
    /// # Errors
    /// `Misuse`, naming the line: a missing field, a score that is no finite `f32`, a passage twice in a ranking.
    pub fn parse_trec(text: &str) -> Result<Self> {
        Self::of_lines(Lines::of("run", text))
    }

    fn of_lines(lines: impl Iterator<Item = Result<Line>>) -> Result<Self> {
        let (mut run, mut known) = (Self::default(), None);
        let mut seen: BTreeMap<String, HashSet<String>> = BTreeMap::new();
        for line in lines {
            let line = line?;
            let form = match known {
                Some(form) => form,
                None => *known.insert(Form::of(&line)?),
            };
            let fields = match form {
                Form::Trec => line.text.split_whitespace().collect(),
                Form::Ranks | Form::Texts => line.fields(),
            };
            let (query, id, score) = match (form, fields.as_slice()) {
                (Form::Trec, [query, _, id, _, score, _]) => (*query, *id, parse_score(score)),
                (Form::Ranks, [query, id, rank]) => (*query, *id, parse_rank(rank)),
                (Form::Texts, [query, id, _, _]) => {
                    let place = seen.get(*query).map_or(0, HashSet::len) + 1;
                    (*query, *id, Ok(1.0 / place as f32))
                }
                (form, _) => return Err(line.malformed(form.expected())),
            };
            let score = score.map_err(|why| line.malformed(why))?;
            if query.is_empty() || id.is_empty() {
                return Err(line.malformed("an id is empty"));
            }
            if !seen.entry(query.to_owned()).or_default().insert(id.to_owned()) {
                return Err(line.malformed(format!("passage \"{id}\" is ranked twice for query \"{query}\"")));
            }
            run.0.entry(query.to_owned()).or_default().push(Ranked { id: id.to_owned(), score });
        }
        run.0.values_mut().for_each(|ranking| sort(ranking));
        Ok(run)
    }

    /// Adds the ranking of a query, in any order.
    ///
    /// ```
    /// use marcato::eval::Run;
    /// let mut run = Run::default();
    /// run.insert("q1", [("a", 0.5), ("c", 0.7), ("b", 0.5)])?;
    /// let ids: Vec<&str> = run.ranking("q1").iter().map(|ranked| ranked.id.as_str()).collect();
    /// assert_eq!(ids, ["c", "b", "a"]);
    /// # Ok::<(), marcato::Error>(())
    /// ```
    ///
    /// # Errors
    /// `Misuse` for a query that has a ranking, a passage that is in it twice, an empty id, and a score that is NaN or
    /// infinite.
    pub fn insert<T: Into<String>>(&mut self, query: &str, scored: impl IntoIterator<Item = (T, f32)>) -> Result<()> {
        if query.is_empty() {
            return Err(Error::misuse("a query's id is empty"));
        }
        if self.0.contains_key(query) {
            return Err(Error::misuse(format!("query \"{query}\" has a ranking already")));
        }
        let mut ranking: Vec<Ranked> = scored.into_iter().map(|(id, score)| Ranked { id: id.into(), score }).collect();
        let mut seen = HashSet::with_capacity(ranking.len());
        for Ranked { id, score } in &ranking {
            let wrong = if id.is_empty() {
                "a passage has an empty id".to_owned()
            } else if !score.is_finite() {
                format!("passage \"{id}\" has the score {score}; scores are finite")
            } else if !seen.insert(id.as_str()) {
                format!("passage \"{id}\" is ranked twice")
            } else {
                continue;
            };
            return Err(Error::misuse(format!("query \"{query}\": {wrong}")));
        }
        sort(&mut ranking);
        self.0.insert(query.to_owned(), ranking);
        Ok(())
    }

    /// Writes TREC's form, best first; what [`read`](Self::read) reads back is equal. `tag` names the run.
    ///
    /// # Errors
    /// `Misuse` for an id or tag that is empty or has white space, which TREC's form cannot hold; `Io` from the writer.
    pub fn write_trec(&self, mut out: impl Write, tag: &str) -> Result<()> {
        let word = |word: &str| {
            if !word.is_empty() && !word.contains(char::is_whitespace) {
                return Ok(());
            }
            Err(Error::misuse(format!(
                "\"{word}\" has no place in a TREC run: no white space is allowed in ids and tags"
            )))
        };
        word(tag)?;
        for (query, ranking) in &self.0 {
            word(query)?;
            for (Ranked { id, score }, rank) in ranking.iter().zip(1u64..) {
                word(id)?;
                writeln!(out, "{query} Q0 {id} {rank} {score} {tag}").map_err(unwritten)?;
            }
        }
        out.flush().map_err(unwritten)
    }

    /// The ids of the queries that have rankings, in order.
    pub fn queries(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// How many queries have rankings.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are no rankings.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The ranking of a query, best first; empty if it has none.
    pub fn ranking(&self, query: &str) -> &[Ranked] {
        self.0.get(query).map_or(&[], Vec::as_slice)
    }

    /// Whether the query has a ranking, though it be empty.
    pub fn contains(&self, query: &str) -> bool {
        self.0.contains_key(query)
    }

    /// Takes each query's own id out of its ranking: BEIR's `ignore_identical_ids`, for collections whose queries are
    /// passages too.
    pub fn remove_identical_ids(&mut self) {
        for (query, ranking) in &mut self.0 {
            ranking.retain(|ranked| ranked.id != *query);
        }
    }

    /// The run with the first `top` passages of each ranking in the order of new scores; the others stay behind them,
    /// in their order, with scores that continue below.
    ///
    /// `score` is asked once per query, with its id and those passages, best first; it gives a score for each.
    ///
    /// ```
    /// use marcato::eval::Run;
    /// let run = Run::parse_trec("q Q0 a 1 3 t\nq Q0 b 2 2 t\nq Q0 c 3 1 t\n")?;
    /// let reranked = run.rerank(2, |_query, passages| Ok(passages.iter().map(|ranked| -ranked.score).collect()))?;
    /// let ids: Vec<&str> = reranked.ranking("q").iter().map(|ranked| ranked.id.as_str()).collect();
    /// assert_eq!(ids, ["b", "a", "c"]);
    /// # Ok::<(), marcato::Error>(())
    /// ```
    ///
    /// # Errors
    /// Those of `score`; `Misuse` if it gives another number of scores, or one that is not finite.
    pub fn rerank(&self, top: usize, mut score: impl FnMut(&str, &[Ranked]) -> Result<Vec<f32>>) -> Result<Self> {
        let mut reranked = Self::default();
        for (query, ranking) in self.rankings() {
            let (first, rest) = ranking.split_at(top.min(ranking.len()));
            let scores = score(query, first)?;
            if scores.len() != first.len() {
                return Err(Error::misuse(format!(
                    "query \"{query}\": {} passages were given {} scores",
                    first.len(),
                    scores.len()
                )));
            }
            let mut below = scores.iter().copied().fold(f32::MAX, f32::min);
            let rest = rest.iter().map(|ranked| {
                below = below.next_down();
                (ranked.id.clone(), below)
            });
            let first = first.iter().map(|ranked| ranked.id.clone()).zip(scores);
            reranked.insert(query, first.chain(rest).collect::<Vec<_>>())?;
        }
        Ok(reranked)
    }

    pub(super) fn rankings(&self) -> impl Iterator<Item = (&str, &[Ranked])> {
        self.0.iter().map(|(query, ranking)| (query.as_str(), ranking.as_slice()))
    }
}

/// By descending score, equal scores by descending id.
fn sort(ranking: &mut [Ranked]) {
    // -0 and 0 are equal to trec_eval, and apart to `total_cmp`.
    ranking.sort_by(|a, b| (b.score + 0.0).total_cmp(&(a.score + 0.0)).then_with(|| b.id.cmp(&a.id)));
}

fn parse_score(text: &str) -> Result<f32, String> {
    // By way of `f64`, as trec_eval does.
    let score = text.parse::<f64>().map_or(f32::NAN, |score| score as f32);
    if score.is_finite() { Ok(score) } else { Err(format!("the score \"{text}\" is not a finite number")) }
}

fn parse_rank(text: &str) -> Result<f32, String> {
    match text.parse::<u32>() {
        Ok(rank) if rank > 0 => Ok(1.0 / rank as f32),
        _ => Err(format!("the rank \"{text}\" is not a whole number from 1")),
    }
}

fn unwritten(source: io::Error) -> Error {
    Error::io("write", Path::new("the run"), source)
}

#[derive(Clone, Copy)]
enum Form {
    Trec,
    Ranks,
    Texts,
}

impl Form {
    fn of(first: &Line) -> Result<Self> {
        match first.text.split('\t').count() {
            3 => Ok(Self::Ranks),
            4 => Ok(Self::Texts),
            _ if first.text.split_whitespace().count() == 6 => Ok(Self::Trec),
            _ => Err(first.malformed(
                "not a run; expected \"query Q0 passage rank score tag\" (TREC) or MS MARCO's columns between tabs",
            )),
        }
    }

    fn expected(self) -> &'static str {
        match self {
            Self::Trec => "expected query, Q0, passage, rank, score and tag between white space",
            Self::Ranks => "expected query, passage and rank between tabs",
            Self::Texts => "expected query, passage, and the texts of both between tabs",
        }
    }
}
