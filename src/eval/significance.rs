//! Is one run better than another, or was it luck? Paired tests over the same queries.

use statrs::distribution::{ContinuousCDF, StudentsT};

use super::{Evaluation, Measure};
use crate::error::{Error, Result};

/// Two runs by one measure, over the same queries.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Comparison {
    /// What was compared.
    pub measure: Measure,
    /// The mean of the run.
    pub mean: f64,
    /// The mean of the baseline.
    pub baseline: f64,
    /// Queries on which the run is better.
    pub better: usize,
    /// Queries on which it is worse; on all others it is the same.
    pub worse: usize,
    /// [`paired_t_test`]'s p; `None` for a single query.
    pub t_test: Option<f64>,
    /// [`randomization_test`]'s p.
    pub randomization: f64,
}

/// Compares `run` with `baseline` by each measure that both have.
///
/// Each p is for one measure by itself: who looks at twenty finds one below 0.05 by chance.
///
/// # Errors
/// `Misuse` if they were not evaluated on the same queries.
pub fn compare(run: &Evaluation, baseline: &Evaluation) -> Result<Vec<Comparison>> {
    if !run.queries().eq(baseline.queries()) {
        return Err(Error::misuse("the two runs were not evaluated on the same queries"));
    }
    let mut comparisons = Vec::new();
    for &measure in run.measures() {
        let (Some(first), Some(second)) = (run.values(measure), baseline.values(measure)) else { continue };
        let first: Vec<f64> = first.map(|(_, value)| value).collect();
        let second: Vec<f64> = second.map(|(_, value)| value).collect();
        let differences = differences(&first, &second)?;
        let count = differences.len() as f64;
        comparisons.push(Comparison {
            measure,
            mean: first.iter().sum::<f64>() / count,
            baseline: second.iter().sum::<f64>() / count,
            better: differences.iter().filter(|difference| **difference > 0.0).count(),
            worse: differences.iter().filter(|difference| **difference < 0.0).count(),
            t_test: if first.len() > 1 { Some(paired_t_test(&first, &second)?.1) } else { None },
            randomization: randomization_test(&first, &second)?,
        });
    }
    Ok(comparisons)
}

/// Student's t of the paired differences `first[n] - second[n]`, and its two-sided p: how likely a t as far from 0 is,
/// were the differences drawn from a normal distribution around 0.
///
/// If nothing differs, t is 0 and p is 1 (0 / 0 by the formula); if everything differs by the same, t is infinite and p
/// 0.
///
/// # Errors
/// `Misuse` for lengths that differ, fewer than two pairs, and values that are not finite.
pub fn paired_t_test(first: &[f64], second: &[f64]) -> Result<(f64, f64)> {
    let differences = differences(first, second)?;
    let count = differences.len() as f64;
    let distribution = StudentsT::new(0.0, 1.0, count - 1.0)
        .map_err(|source| Error::misuse("a t-test needs at least two pairs").with_source(source))?;
    let mean = differences.iter().sum::<f64>() / count;
    let variance = differences.iter().map(|difference| (difference - mean).powi(2)).sum::<f64>() / (count - 1.0);
    if mean == 0.0 {
        return Ok((0.0, 1.0));
    }
    let t = mean / (variance / count).sqrt();
    let p = if t.is_finite() { 2.0 * distribution.cdf(-t.abs()) } else { 0.0 };
    Ok((t, p))
}

/// Fisher's randomization test, two-sided: how likely a difference of the means as far from 0 is, were the two names of
/// each pair put on by tossing a coin. It assumes no distribution (Smucker, Allan and Carterette 2007).
///
/// Up to 16 pairs that differ, all assignments are counted and p is exact. Beyond, 100,000 are drawn from a generator
/// with a fixed seed, so that p is the same on every machine, and within 0.004 of the exact one (three standard errors
/// at p = 0.2; less where p is small).
///
/// # Errors
/// `Misuse` for lengths that differ, no pairs, and values that are not finite.
pub fn randomization_test(first: &[f64], second: &[f64]) -> Result<f64> {
    // A pair that does not differ is the same under both assignments.
    let differences: Vec<f64> =
        differences(first, second)?.into_iter().filter(|difference| *difference != 0.0).collect();
    let observed = differences.iter().sum::<f64>().abs();
    // Sums of the same terms in other signs differ in their last digits.
    let threshold = observed * (1.0 - 1e-12) - f64::EPSILON * differences.iter().map(|value| value.abs()).sum::<f64>();
    let as_far = |mut signs: Signs| {
        let sum: f64 = differences.iter().map(|value| if signs.next() { *value } else { -value }).sum();
        sum.abs() >= threshold
    };
    if differences.len() <= EXACT_PAIRS {
        let all = 1u64 << differences.len();
        let far = (0..all).filter(|signs| as_far(Signs { bits: *signs, left: 64, state: 0 })).count();
        return Ok(far as f64 / all as f64);
    }
    let far = (0..ASSIGNMENTS).filter(|number| as_far(Signs { bits: 0, left: 0, state: splitmix(*number) })).count();
    // The observed assignment is one of them, so that p is never 0.
    Ok((far + 1) as f64 / (ASSIGNMENTS + 1) as f64)
}

/// Pairs up to which every assignment is counted.
const EXACT_PAIRS: usize = 16;

/// Assignments drawn beyond.
const ASSIGNMENTS: u64 = 100_000;

/// Coin tosses from SplitMix64, 64 a draw. Written out so that no generator's new version changes a published p.
struct Signs {
    bits: u64,
    left: u32,
    state: u64,
}

impl Signs {
    fn next(&mut self) -> bool {
        if self.left == 0 {
            self.state = self.state.wrapping_add(GOLDEN_GAMMA);
            (self.bits, self.left) = (splitmix(self.state), 64);
        }
        let sign = self.bits & 1 == 1;
        (self.bits, self.left) = (self.bits >> 1, self.left - 1);
        sign
    }
}

const GOLDEN_GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;

/// The output function of SplitMix64 (Steele, Lea and Flood 2014).
fn splitmix(state: u64) -> u64 {
    let mixed = state.wrapping_add(GOLDEN_GAMMA);
    let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

fn differences(first: &[f64], second: &[f64]) -> Result<Vec<f64>> {
    if first.len() != second.len() || first.is_empty() {
        return Err(Error::misuse(format!("a paired test of {} with {} values", first.len(), second.len())));
    }
    let differences: Vec<f64> = first.iter().zip(second).map(|(first, second)| first - second).collect();
    if differences.iter().any(|difference| !difference.is_finite()) {
        return Err(Error::misuse("a paired test needs finite values"));
    }
    Ok(differences)
}
