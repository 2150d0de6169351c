//! Fewer of the same: one hit of each group, or hits that differ from those before them.

use std::collections::HashSet;

use half::f16;

use super::fuse::Found;
use crate::error::Result;
use crate::field::Field;
use crate::store::Reader;

/// How many candidates the choice by maximal marginal relevance has at least.
pub(super) const MMR_POOL: usize = 100;

/// Leaves the best of those that have the same value in the field. A passage without the field is a group of its own.
pub(super) fn collapse(reader: &Reader, field: &Field, found: &mut Vec<Found>) -> Result<()> {
    let mut seen = HashSet::new();
    let mut kept = Vec::with_capacity(found.len());
    for candidate in found.drain(..) {
        let passage = reader.known_passage(candidate.row)?;
        if field.written(passage.subject()).is_none_or(|value| seen.insert(value)) {
            kept.push(candidate);
        }
    }
    *found = kept;
    Ok(())
}

/// Carbonell and Goldstein's maximal marginal relevance: the next is always the one with the most of `lambda` times its
/// score, stretched over 0 to 1, less the rest times its greatest cosine with those chosen before. `wanted` are chosen.
pub(super) fn diversify(reader: &Reader, lambda: f32, found: &mut Vec<Found>, wanted: usize) -> Result<()> {
    let mut pool = Vec::with_capacity(found.len());
    let (least, most) =
        found.iter().fold((f32::MAX, f32::MIN), |(least, most), found| (least.min(found.score), most.max(found.score)));
    for candidate in found.drain(..) {
        let relevance = if most > least { (candidate.score - least) / (most - least) } else { 1.0 };
        let embedding = unit(&reader.known_embedding(candidate.row)?);
        pool.push(Candidate { found: candidate, relevance, embedding, nearest: None });
    }
    while found.len() < wanted {
        let gain = |candidate: &Candidate| {
            lambda * candidate.relevance - (1.0 - lambda) * candidate.nearest.unwrap_or_default()
        };
        // The first of the greatest, so that equal gains keep the order of relevance.
        let best = pool.iter().enumerate().fold(None, |best, (at, candidate)| match best {
            Some((_, greatest)) if gain(candidate) <= greatest => best,
            _ => Some((at, gain(candidate))),
        });
        let Some((at, _)) = best else { break };
        let chosen = pool.remove(at);
        for candidate in &mut pool {
            let cosine = dot(&candidate.embedding, &chosen.embedding);
            candidate.nearest = Some(candidate.nearest.map_or(cosine, |nearest| nearest.max(cosine)));
        }
        found.push(chosen.found);
    }
    Ok(())
}

struct Candidate {
    found: Found,
    relevance: f32,
    embedding: Vec<f32>,
    /// The greatest cosine with any that is chosen.
    nearest: Option<f32>,
}

fn unit(embedding: &[f16]) -> Vec<f32> {
    let values: Vec<f32> = embedding.iter().map(|value| value.to_f32()).collect();
    let norm = dot(&values, &values).sqrt();
    values.into_iter().map(|value| if norm > 0.0 { value / norm } else { value }).collect()
}

pub(super) fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}
