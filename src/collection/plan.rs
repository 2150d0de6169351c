//! How a query finds its candidates, and what it tells of it.

use std::fmt;
use std::time::Duration;

use super::{Hit, Mode};
use crate::field::Field;

/// How candidates are found. All ways give the same passages but for what a graph misses; a filter is exact in each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Plan {
    /// There is nothing to compare.
    Nothing,
    /// The query is compared with every passage, or every passage that matches the filter, in memory.
    Scan,
    /// The same, with embeddings that are read from the store.
    ScanStore,
    /// A graph is walked; with a filter, through all passages, of which only those that match are kept.
    Graph,
    /// Nothing is compared: the words of the query are looked up in the index of words.
    Words,
}

/// What a collection offers to a query.
#[derive(Clone, Copy, Debug)]
pub(super) struct Situation {
    pub(super) passages: u64,
    /// How many match the filter; `None` without one.
    pub(super) matches: Option<u64>,
    /// Whether every passage is to be compared.
    pub(super) exact: bool,
    /// How many candidates a walk of the graph keeps; 0 if there is no graph.
    pub(super) expansion: usize,
    /// Whether all embeddings are in memory beside the graph.
    pub(super) matrix: bool,
}

/// Matches below which embeddings are read from the store rather than laid out in memory beside the graph: at 1.7 us a
/// row at most (reading, verifying and scoring 26 of 20,000 took 45 us), these take about as long as a walk.
pub(super) const STORE_ROWS: u64 = 256;

/// Rows that a scan of scattered rows compares in the time in which a graph keeps one more candidate.
///
/// A walk under a filter that one passage in `s` matches goes through `s` times as many nodes. So with `n` passages and
/// expansion `e` it costs as much as a scan of the `m` matches where `m * m = SCANNED_PER_EXPANSION * e * n`.
///
/// Reckoned from 7 us for a unit of expansion and 64 ns for a scattered row, and borne out by `cargo bench --bench filter
/// -- crossover` on two cores of Emerald Rapids (2026-11, 100,000 passages, expansion 64): where 33,000 match, the walk
/// takes 0.9 ms and the scan 1.4; where 25,000 match, the scan takes 1.1 ms. By the formula they are equal at 26,500.
const SCANNED_PER_EXPANSION: u64 = 110;

impl Situation {
    pub(super) fn plan(&self) -> Plan {
        let candidates = self.matches.unwrap_or(self.passages);
        let in_memory = if self.matrix { Plan::Scan } else { Plan::ScanStore };
        match self.matches {
            _ if candidates == 0 => Plan::Nothing,
            _ if self.expansion == 0 || self.exact => in_memory,
            None => Plan::Graph,
            Some(matches) => {
                let per_match = u128::from(SCANNED_PER_EXPANSION).saturating_mul(self.expansion as u128);
                if u128::from(matches).pow(2) <= per_match.saturating_mul(u128::from(self.passages)) {
                    in_memory
                } else {
                    Plan::Graph
                }
            }
        }
    }

    /// Whether it is worth laying the embeddings out in memory first, and for all that come after.
    pub(super) fn wants_matrix(&self) -> bool {
        self.plan() == Plan::ScanStore && self.matches.is_some_and(|matches| matches > STORE_ROWS)
    }
}

/// A query's answer, and how it came about. Made by [`Query::explain`](super::Query::explain); prints as a table.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Explanation {
    /// What [`run`](super::Query::run) gives.
    pub hits: Vec<Hit>,
    /// What was searched by.
    pub mode: Mode,
    /// How candidates were found; in [`Mode::Hybrid`], those by meaning.
    pub plan: Plan,
    /// Passages in the collection.
    pub passages: u64,
    /// Passages that match the filter; `None` without one.
    pub matches: Option<u64>,
    /// Passages that were read to know which match. Those that an index answers for are not, and an answer is remembered
    /// until something is written.
    pub read: u64,
    /// Candidates whose exact score was computed from the embedding as it is stored.
    pub rescored: u64,
    /// How long each stage took.
    pub times: Times,
    /// What the hits alone do not show.
    pub warnings: Vec<Warning>,
}

/// How long the stages of a query took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Times {
    /// Text to embedding.
    pub encode: Duration,
    /// Filter to matching passages.
    pub filter: Duration,
    /// Embedding to candidates.
    pub candidates: Duration,
    /// Candidates to scores.
    pub rescore: Duration,
    /// Words to candidates.
    pub words: Duration,
    /// Candidates to their last order: rerankers, thresholds, groups and diversity.
    pub rank: Duration,
    /// Passages from the store, and highlights.
    pub fetch: Duration,
}

impl Times {
    pub(super) fn add(&mut self, other: &Self) {
        self.encode += other.encode;
        self.filter += other.filter;
        self.candidates += other.candidates;
        self.rescore += other.rescore;
        self.words += other.words;
        self.rank += other.rank;
        self.fetch += other.fetch;
    }
}

/// What a query's hits alone do not show.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Warning {
    /// No passage has this field that the filter names.
    UnknownField(Field),
    /// Passages had to be read, because the field has no index.
    UnindexedField {
        /// The field.
        field: Field,
        /// How many were read.
        read: u64,
    },
    /// No hit has this field by which hits are collapsed, so none was left out.
    NothingToCollapse(Field),
    /// The filter matches no passage at all, whatever the question.
    NoMatch,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownField(field) => write!(f, "no passage has a field {field}"),
            Self::UnindexedField { field, read } => {
                write!(f, "the field {field} has no index, so {read} passages were read; make one for it")
            }
            Self::NothingToCollapse(field) => write!(f, "no hit has the field {field}, so hits were not collapsed"),
            Self::NoMatch => f.write_str("the filter matches no passage"),
        }
    }
}

impl Plan {
    /// `"nothing"`, `"scan"`, `"scan-store"`, `"graph"` or `"words"`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Scan => "scan",
            Self::ScanStore => "scan-store",
            Self::Graph => "graph",
            Self::Words => "words",
        }
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nothing => "nothing to compare",
            Self::Scan => "compare with each",
            Self::ScanStore => "compare with each, from the store",
            Self::Graph => "walk the graph",
            Self::Words => "look up the words",
        })
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = |f: &mut fmt::Formatter<'_>, stage: &str, time: Duration, what: String| {
            writeln!(f, "{stage:<11}{:>10.3} ms  {what}", time.as_secs_f64() * 1e3)
        };
        let Times { encode, filter, candidates, rescore, words, rank, fetch } = self.times;
        writeln!(f, "plan       {}: {}", self.mode, self.plan)?;
        line(f, "encode", encode, String::new())?;
        let matches = self.matches.map_or_else(
            || "no filter".to_owned(),
            |matches| format!("{matches} of {} passages match, {} were read", self.passages, self.read),
        );
        line(f, "filter", filter, matches)?;
        line(f, "candidates", candidates, String::new())?;
        line(f, "rescore", rescore, format!("{} candidates", self.rescored))?;
        line(f, "words", words, String::new())?;
        line(f, "rank", rank, String::new())?;
        line(f, "fetch", fetch, format!("{} hits", self.hits.len()))?;
        for warning in &self.warnings {
            writeln!(f, "warning    {warning}")?;
        }
        Ok(())
    }
}
