//! The kernels in plain Rust: the twin that defines each of them, and the portable form that the compiler vectorizes.

use half::f16;

use crate::similarity::Similarity;

/// Eight accumulators fill one 256-bit register of `f32` or two 128-bit ones; the order of addition is part of the
/// definition of [`similarity_f32`].
const LANES: usize = 8;

/// Defines the kernel: the inner product, exact but for the rounding at the end. A product of an `f32` and an
/// `f16` needs 35 bits, so `f64` holds each one exactly.
#[cfg(test)]
pub(super) fn dot_f16(query: &[f32], row: &[f16]) -> f32 {
    let sum: f64 = query.iter().zip(row).map(|(&q, &v)| f64::from(q) * f64::from(v.to_f32())).sum();
    sum as f32
}

/// The same for machines whose instructions have no form of their own.
pub(super) fn dot_f16_portable(query: &[f32], row: &[f16]) -> f32 {
    let (query_lanes, query_rest) = query.as_chunks::<LANES>();
    let (row_lanes, row_rest) = row.as_chunks::<LANES>();
    let mut sums = [0.0_f32; LANES];
    for (query, row) in query_lanes.iter().zip(row_lanes) {
        for ((sum, &q), &v) in sums.iter_mut().zip(query).zip(row) {
            *sum += q * widen(v);
        }
    }
    let rest: f32 = query_rest.iter().zip(row_rest).map(|(&q, &v)| q * widen(v)).sum();
    sums.iter().sum::<f32>() + rest
}

/// [`super::dots_f16`] in the same way.
pub(super) fn dots_f16_portable(query: &[f32], rows: &[f16], dots: &mut [f32]) {
    for (row, dot) in rows.chunks_exact(query.len().max(1)).zip(dots) {
        *dot = dot_f16_portable(query, row);
    }
}

/// `f16` to `f32` without a branch, exact for everything finite, which is all that a view holds.
///
/// `f16::to_f32` asks for the machine's features at each call, which keeps the compiler from vectorizing the loop.
/// Shifted into place, the exponent is short by 112, and a multiplication by 2^112 mends normal and subnormal numbers
/// alike.
pub(super) fn widen(value: f16) -> f32 {
    const TWO_POW_112: f32 = f32::from_bits((127 + 112) << 23);
    let bits = u32::from(value.to_bits());
    let magnitude = f32::from_bits((bits & 0x7fff) << 13) * TWO_POW_112;
    f32::from_bits(magnitude.to_bits() | (bits & 0x8000) << 16)
}

/// The score that users see: how alike `query` and a stored embedding are, the same bits on every machine.
///
/// Products are exact in `f64` and are added in a fixed order over eight lanes, without fused operations; that is
/// nearly correctly rounded and cannot overflow. The cosine is of true norms, in -1..=1, and 0 if either is zero; a dot
/// product beyond `f32` saturates. So finite input has a finite score.
pub(crate) fn similarity_f32(query: &[f32], row: &[f16], similarity: Similarity) -> f32 {
    debug_assert_eq!(query.len(), row.len(), "both have the collection's dimension");
    let dot = lanes(query.iter().zip(row).map(|(&q, &v)| f64::from(q) * f64::from(widen(v))));
    match similarity {
        Similarity::Dot => (dot as f32).clamp(f32::MIN, f32::MAX),
        Similarity::Cosine => {
            let query_square = lanes(query.iter().map(|&q| f64::from(q) * f64::from(q)));
            let row_square = lanes(row.iter().map(|&v| f64::from(widen(v)) * f64::from(widen(v))));
            let norms = query_square.sqrt() * row_square.sqrt();
            // Plus zero, so that an opposite sign of nothing is no difference.
            if norms > 0.0 { ((dot / norms) as f32).clamp(-1.0, 1.0) + 0.0 } else { 0.0 }
        }
    }
}

/// One over the norm of a stored embedding, and 0 for a zero one, so that its cosine is 0 with everything.
pub(crate) fn inverse_norm_f16(row: &[f16]) -> f32 {
    let square = lanes(row.iter().map(|&v| f64::from(widen(v)) * f64::from(widen(v))));
    if square > 0.0 { (1.0 / square.sqrt()) as f32 } else { 0.0 }
}

fn lanes(terms: impl Iterator<Item = f64>) -> f64 {
    let mut sums = [0.0_f64; LANES];
    for (at, term) in terms.enumerate() {
        if let Some(sum) = sums.get_mut(at % LANES) {
            *sum += term;
        }
    }
    sums.iter().sum()
}
