//! Tests of the views, and the data that they share.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test may end by panicking")]

#[cfg(feature = "usearch")]
mod calibration;
mod exact;
#[cfg(feature = "usearch")]
mod hnsw;
#[cfg(all(feature = "usearch", unix))]
mod pipe;
mod slot_map;
#[cfg(feature = "usearch")]
mod snapshot;

use half::f16;

use super::VectorIndex;
use crate::candidate::Candidate;
use crate::passage::RowId;

/// Repeatable numbers: SplitMix64, and normal ones by Box and Muller.
struct Dice(u64);

impl Dice {
    fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.bits() % limit as u64) as usize
    }

    fn uniform(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn normal(&mut self) -> f32 {
        let radius = (-2.0 * (1.0 - self.uniform()).ln()).sqrt();
        (radius * (std::f64::consts::TAU * self.uniform()).cos()) as f32
    }

    fn gaussian(&mut self, dimension: usize) -> Vec<f32> {
        unit((0..dimension).map(|_| self.normal()).collect())
    }
}

/// Embeddings around centres, as those of texts on topics are; without centres, the hardest there are.
struct Source {
    dice: Dice,
    dimension: usize,
    centres: Vec<Vec<f32>>,
    /// The cosine of an embedding with its centre.
    closeness: f32,
}

impl Source {
    fn clustered(seed: u64, dimension: usize, centres: usize, closeness: f32) -> Self {
        let mut dice = Dice(seed);
        let centres = (0..centres).map(|_| dice.gaussian(dimension)).collect();
        Self { dice, dimension, centres, closeness }
    }

    fn isotropic(seed: u64, dimension: usize) -> Self {
        Self::clustered(seed, dimension, 0, 0.0)
    }

    fn draw(&mut self) -> Vec<f32> {
        let noise = self.dice.gaussian(self.dimension);
        if self.centres.is_empty() {
            return noise;
        }
        let at = self.dice.below(self.centres.len());
        let spread = (1.0 - self.closeness.powi(2)).sqrt();
        unit(self.centres[at].iter().zip(&noise).map(|(c, n)| self.closeness * c + spread * n).collect())
    }
}

fn unit(mut values: Vec<f32>) -> Vec<f32> {
    let norm = values.iter().map(|value| value * value).sum::<f32>().sqrt();
    values.iter_mut().for_each(|value| *value /= norm);
    values
}

fn stored(values: &[f32]) -> Vec<f16> {
    values.iter().map(|&value| f16::from_f32(value)).collect()
}

fn rows(candidates: &[Candidate]) -> Vec<RowId> {
    candidates.iter().map(|candidate| candidate.row).collect()
}

/// The share of what `truth` finds that `index` finds too, over all queries.
fn recall(index: &dyn VectorIndex, truth: &dyn VectorIndex, queries: &[Vec<f32>], k: usize) -> f64 {
    let mut found = 0;
    let mut wanted = 0;
    for query in queries {
        let ours = rows(&index.search(query, k).unwrap());
        let theirs = rows(&truth.search(query, k).unwrap());
        wanted += theirs.len();
        found += theirs.iter().filter(|row| ours.contains(row)).count();
    }
    f64::from(u32::try_from(found).unwrap()) / f64::from(u32::try_from(wanted).unwrap())
}
