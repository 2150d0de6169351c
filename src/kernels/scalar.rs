//! `f16` in plain Rust, for machines without instructions for it and for what must have the same bits everywhere.

use half::f16;

/// Defines the kernel: the inner product, exact but for the rounding at the end. A product of an `f32` and an
/// `f16` needs 35 bits, so `f64` holds each one exactly.
#[cfg(test)]
pub(super) fn dot_f16(query: &[f32], row: &[f16]) -> f32 {
    let sum: f64 = query.iter().zip(row).map(|(&q, &v)| f64::from(q) * f64::from(v.to_f32())).sum();
    sum as f32
}

/// `f16` to `f32` without a branch, exact for everything finite, which is all that a view holds.
///
/// `f16::to_f32` asks for the machine's features at each call, which keeps the compiler from vectorizing the loop.
/// Shifted into place, the exponent is short by 112, and a multiplication by 2^112 mends normal and subnormal numbers
/// alike.
#[inline(always)]
pub(super) fn widen(value: f16) -> f32 {
    const TWO_POW_112: f32 = f32::from_bits((127 + 112) << 23);
    let bits = u32::from(value.to_bits());
    let magnitude = f32::from_bits((bits & 0x7fff) << 13) * TWO_POW_112;
    f32::from_bits(magnitude.to_bits() | (bits & 0x8000) << 16)
}
