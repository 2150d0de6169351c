//! Correlation coefficients.

use crate::error::{Error, Result};

/// Pearson's r: how far `y` is a linear function of `x`, in -1..=1.
///
/// ```
/// use marcato::eval::{pearson, spearman};
/// assert!((pearson(&[1.0, 2.0, 3.0], &[1.0, 4.0, 9.0])? - 0.98974).abs() < 1e-5);
/// assert!((spearman(&[1.0, 2.0, 3.0], &[1.0, 4.0, 9.0])? - 1.0).abs() < 1e-12);
/// # Ok::<(), marcato::Error>(())
/// ```
///
/// # Errors
/// `Misuse` where it is not defined: lengths that differ, fewer than two values, values all equal or not finite.
pub fn pearson(x: &[f64], y: &[f64]) -> Result<f64> {
    if x.len() != y.len() {
        return Err(Error::misuse(format!("a correlation of {} with {} values", x.len(), y.len())));
    }
    if x.iter().chain(y).any(|value| !value.is_finite()) {
        return Err(Error::misuse("a correlation needs finite values"));
    }
    let varies = |values: &[f64]| values.windows(2).any(|pair| matches!(pair, [a, b] if a != b));
    if !varies(x) || !varies(y) {
        return Err(Error::misuse("a correlation needs values that differ, on both sides"));
    }
    let deviations = |values: &[f64]| {
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let deviations: Vec<f64> = values.iter().map(|value| value - mean).collect();
        // To unit length before they meet, so that no product overflows.
        let largest = deviations.iter().fold(0.0, |largest: f64, value| largest.max(value.abs()));
        let norm = largest * deviations.iter().map(|value| (value / largest).powi(2)).sum::<f64>().sqrt();
        deviations.into_iter().map(|value| value / norm).collect::<Vec<_>>()
    };
    let r: f64 = deviations(x).iter().zip(deviations(y)).map(|(x, y)| x * y).sum();
    Ok(r.clamp(-1.0, 1.0))
}

/// Spearman's rho: Pearson's r of the ranks, equal values sharing the mean of theirs. How far `y` grows with `x`.
///
/// # Errors
/// As [`pearson`].
pub fn spearman(x: &[f64], y: &[f64]) -> Result<f64> {
    pearson(&ranks(x), &ranks(y))
}

/// Ranks from 1; equal values share the mean of theirs. NaN stays, to be refused.
fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<(usize, f64)> = values.iter().map(|value| value + 0.0).enumerate().collect();
    order.sort_by(|(_, a), (_, b)| a.total_cmp(b));
    let mut ranks = Vec::with_capacity(order.len());
    let mut before = 0;
    for equals in order.chunk_by(|(_, a), (_, b)| a == b) {
        let rank = before as f64 + (equals.len() as f64 + 1.0) / 2.0;
        ranks.extend(equals.iter().map(|(at, value)| (*at, if value.is_finite() { rank } else { f64::NAN })));
        before += equals.len();
    }
    ranks.sort_by_key(|(at, _)| *at);
    ranks.into_iter().map(|(_, rank)| rank).collect()
}
