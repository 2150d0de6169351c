//! How far a search has to walk in this graph: found by trial.

use super::{EXPANSION_SEARCH, HnswIndex, refused, without};
use crate::error::Result;
use crate::index::Direction;
use crate::passage::RowId;

/// How many queries [`HnswIndex::calibrate`] asks, and for how many rows each.
const CALIBRATION_QUERIES: usize = 48;
const CALIBRATION_TOP: usize = 10;

/// What [`HnswIndex::calibrate`] settled on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Calibration {
    pub(crate) expansion_search: usize,
    /// The share of the true ten nearest that was found with it.
    pub(crate) recall: f32,
}

/// Questions to a graph with the right answers to them.
pub(crate) struct Trials(Vec<Trial>);

/// A question, and how far the true answers to it go: by distance rather than by row, since of many copies of a text
/// any is as good as another.
struct Trial {
    query: Vec<f32>,
    row: RowId,
    wanted: usize,
    farthest: Option<f32>,
}

impl HnswIndex {
    /// The recall that [`calibrate`](Self::calibrate) aims at by default. Its sample of 480 has a standard error of
    /// 0.006, so what is promised (0.97) is below.
    pub(crate) const TARGET_RECALL: f32 = 0.985;

    /// What [`calibrate`](Self::calibrate) asks. It takes some tens of scans through the graph's own storage, beside
    /// which queries go on.
    ///
    /// The queries are stored embeddings under noise, and those themselves do not count. How much noise was measured,
    /// on eight sets of 10,000 to 100,000 embeddings from clustered to isotropic. At a cosine of 0.8 independent
    /// queries found 0.983 or more with what was picked; without noise, which is too easy, as little as 0.95; at 0.7
    /// one set was given 1024 where 64 is enough.
    pub(crate) fn trials(&self) -> Result<Trials> {
        let mut noise = Noise(0);
        let mut trials = Vec::new();
        for row in self.spread(CALIBRATION_QUERIES) {
            let query = noise.away_from(&self.stored(row)?);
            let query = Direction::new(&query, self.dimension, self.similarity)?.unit;
            let _slot = self.slots.take();
            let others = self.graph.exact_search(&query, CALIBRATION_TOP + 1).map_err(refused)?;
            let mut distances = without(row, others);
            distances.truncate(CALIBRATION_TOP);
            trials.push(Trial { query, row, wanted: distances.len(), farthest: distances.last().copied() });
        }
        Ok(Trials(trials))
    }

    /// Picks the smallest search expansion that finds `target_recall` of the true ten nearest, or the largest there
    /// is. Data without structure needs far more than the usual 64, and nothing but a trial tells.
    pub(crate) fn calibrate(&mut self, trials: &Trials, target_recall: f32) -> Result<Calibration> {
        let Trials(trials) = trials;
        let wanted: usize = trials.iter().map(|trial| trial.wanted).sum();
        let mut calibration = Calibration { expansion_search: self.expansion_search(), recall: 1.0 };
        for expansion in EXPANSION_SEARCH {
            self.graph.change_expansion_search(expansion);
            let mut found = 0;
            for trial in trials {
                let others = self.graph.search(&trial.query, CALIBRATION_TOP + 1).map_err(refused)?;
                let near = without(trial.row, others).into_iter().filter(|&distance| Some(distance) <= trial.farthest);
                found += near.count().min(trial.wanted);
            }
            let recall = if wanted == 0 { 1.0 } else { found as f32 / wanted as f32 };
            calibration = Calibration { expansion_search: expansion, recall };
            if recall >= target_recall {
                break;
            }
        }
        Ok(calibration)
    }
}

/// Repeatable noise: SplitMix64 (Steele, Lea and Flood, 2014).
struct Noise(u64);

impl Noise {
    /// `stored` with noise of three quarters of its length: at a cosine of about 0.8 from it.
    fn away_from(&mut self, stored: &[f32]) -> Vec<f32> {
        let square = |values: &[f32]| values.iter().map(|&value| f64::from(value).powi(2)).sum::<f64>();
        let noise: Vec<f32> = stored.iter().map(|_| self.next()).collect();
        let scale = (0.75 * (square(stored) / square(&noise).max(f64::MIN_POSITIVE)).sqrt()) as f32;
        stored.iter().zip(noise).map(|(value, noise)| value + scale * noise).collect()
    }

    /// In -1..1.
    fn next(&mut self) -> f32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)).cast_signed() as f32 / i64::MAX as f32
    }
}
