//! Two rankings into one: by meaning and by words.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;

use super::hit::Scores;
use crate::error::{Error, Result};
use crate::passage::RowId;

/// What a query searches by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Mode {
    /// Meaning: the passages whose embeddings are most similar to the query's.
    #[default]
    Dense,
    /// Words: the passages that have the query's words, by BM25. Passages that have none are not found.
    Lexical,
    /// Both, made into one ranking by [`Fusion`].
    Hybrid,
}

impl Mode {
    /// `"dense"`, `"lexical"` or `"hybrid"`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Dense => "dense",
            Self::Lexical => "lexical",
            Self::Hybrid => "hybrid",
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Mode {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        [Self::Dense, Self::Lexical, Self::Hybrid]
            .into_iter()
            .find(|mode| mode.name() == name)
            .ok_or_else(|| Error::misuse(format!("mode \"{name}\" is not known; use dense, lexical or hybrid")))
    }
}

/// How the rankings by meaning and by words become one.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Fusion {
    /// The weighted mean of the scores, each stretched over 0 to 1 within the best 100 of its ranking.
    Weighted {
        /// The weight of meaning, in 0 to 1; words have the rest.
        dense: f32,
    },
    /// Reciprocal rank fusion: the sum of `1 / (k + rank)`, whatever the scores.
    ReciprocalRank {
        /// How little the first ranks stand out; 60 is usual.
        k: f32,
    },
}

impl Default for Fusion {
    fn default() -> Self {
        Self::Weighted { dense: 0.5 }
    }
}

/// How much of each ranking is fused at least.
pub(super) const DEPTH: usize = 100;

/// A row on its way to be a hit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Found {
    pub(super) row: RowId,
    pub(super) score: f32,
    pub(super) scores: Scores,
}

impl Fusion {
    pub(super) fn check(self) -> Result<()> {
        match self {
            Self::Weighted { dense } if !(0.0..=1.0).contains(&dense) => {
                Err(Error::misuse(format!("the weight of meaning is from 0 to 1, not {dense}")))
            }
            Self::ReciprocalRank { k } if !(k.is_finite() && k >= 0.0) => {
                Err(Error::misuse(format!("the k of reciprocal rank fusion is a number from 0, not {k}")))
            }
            _ => Ok(()),
        }
    }

    /// One ranking out of two, best first, equal scores by row. Each is given best first; `dense` goes as deep as there
    /// are passages or as was asked, `lexical` may have ended for want of matches.
    pub(super) fn fuse(self, dense: &[(RowId, f32)], lexical: &[(RowId, f32)], depth: usize) -> Vec<Found> {
        let mut rows: HashMap<RowId, Scores> = HashMap::with_capacity(dense.len() + lexical.len());
        let mut sums: HashMap<RowId, f32> = HashMap::with_capacity(dense.len() + lexical.len());
        for (row, score) in dense {
            rows.entry(*row).or_default().dense = Some(*score);
        }
        for (row, score) in lexical {
            rows.entry(*row).or_default().lexical = Some(*score);
        }
        match self {
            Self::Weighted { dense: weight } => {
                let least = |ranking: &[(RowId, f32)]| ranking.last().map_or(0.0, |(_, score)| *score);
                // Where words ended early, the passages after them have none, so their score is 0.
                let lexical_floor = if lexical.len() < depth { 0.0 } else { least(lexical) };
                add(&mut sums, weight, stretched(dense, least(dense)));
                add(&mut sums, 1.0 - weight, stretched(lexical, lexical_floor));
            }
            Self::ReciprocalRank { k } => {
                let reciprocal = |ranking: &[(RowId, f32)]| {
                    let share = |(rank, (row, _)): (u16, &(RowId, f32))| (*row, 1.0 / (k + 1.0 + f32::from(rank)));
                    (0..u16::MAX).zip(ranking).map(share).collect::<Vec<_>>()
                };
                add(&mut sums, 1.0, reciprocal(dense));
                add(&mut sums, 1.0, reciprocal(lexical));
            }
        }
        let ranked = rows.into_iter().map(|(row, scores)| {
            let score = sums.get(&row).copied().unwrap_or_default();
            Found { row, score, scores: Scores { fused: Some(score), ..scores } }
        });
        let mut ranked: Vec<Found> = ranked.collect();
        ranked.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.row.cmp(&b.row)));
        ranked
    }
}

fn add(sums: &mut HashMap<RowId, f32>, weight: f32, ranking: impl IntoIterator<Item = (RowId, f32)>) {
    for (row, score) in ranking {
        *sums.entry(row).or_default() += weight * score;
    }
}

/// Scores over 0 to 1, from `floor` to the best; all 1 if they are equal.
fn stretched(ranking: &[(RowId, f32)], floor: f32) -> impl Iterator<Item = (RowId, f32)> + '_ {
    let best = ranking.first().map_or(0.0, |(_, score)| *score);
    let span = best - floor;
    ranking.iter().map(move |(row, score)| (*row, if span > 0.0 { (score - floor) / span } else { 1.0 }))
}
