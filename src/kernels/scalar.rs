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
    let (query, query_rest) = query.as_chunks();
    let (row, row_rest) = row.as_chunks();
    let rest = (!query_rest.is_empty()).then(|| (filled(query_rest), filled(row_rest)));
    let chunks = query.iter().zip(row).map(|(query, row)| (*query, *row)).chain(rest);
    let (mut dot, mut query_square, mut row_square) = (Lanes::default(), Lanes::default(), Lanes::default());
    for (query, row) in chunks {
        let (query, row) = (query.map(f64::from), row.map(|value| f64::from(widen(value))));
        dot.add_products(&query, &row);
        if similarity == Similarity::Cosine {
            query_square.add_products(&query, &query);
            row_square.add_products(&row, &row);
        }
    }
    match similarity {
        Similarity::Dot => (dot.sum() as f32).clamp(f32::MIN, f32::MAX),
        Similarity::Cosine => {
            let norms = query_square.sum().sqrt() * row_square.sum().sqrt();
            // Plus zero, so that an opposite sign of nothing is no difference.
            if norms > 0.0 { ((dot.sum() / norms) as f32).clamp(-1.0, 1.0) + 0.0 } else { 0.0 }
        }
    }
}

/// One over the norm of a stored embedding, and 0 for a zero one, so that its cosine is 0 with everything.
pub(crate) fn inverse_norm_f16(row: &[f16]) -> f32 {
    let (chunks, rest) = row.as_chunks();
    let mut square = Lanes::default();
    for chunk in chunks.iter().copied().chain((!rest.is_empty()).then(|| filled(rest))) {
        let chunk = chunk.map(|value| f64::from(widen(value)));
        square.add_products(&chunk, &chunk);
    }
    let square = square.sum();
    if square > 0.0 { (1.0 / square.sqrt()) as f32 } else { 0.0 }
}

/// A sum of which each lane adds every eighth term in order.
#[derive(Default)]
struct Lanes([f64; LANES]);

impl Lanes {
    fn add_products(&mut self, a: &[f64; LANES], b: &[f64; LANES]) {
        for ((sum, a), b) in self.0.iter_mut().zip(a).zip(b) {
            *sum += a * b;
        }
    }

    fn sum(&self) -> f64 {
        self.0.iter().sum()
    }
}

/// The last numbers, and zeros, which change no sum.
fn filled<T: Copy + Default>(rest: &[T]) -> [T; LANES] {
    let mut filled = [T::default(); LANES];
    filled.iter_mut().zip(rest).for_each(|(place, value)| *place = *value);
    filled
}
