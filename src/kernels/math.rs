//! Functions of one number, a register at a time.

use super::simd::Simd;

/// `2^23 * 1.5`: added to a small number, it leaves the nearest integer in the low bits.
const ROUND: f32 = 12_582_912.0;

/// `exp(x)` for `x <= 0` within 2 units in the last place; 0 below -88, and where the result would be subnormal.
#[inline(always)]
pub(super) fn exp_of_nonpositive<S: Simd>(simd: S, x: S::Floats) -> S::Floats {
    // ln 2 in two parts, the first with few enough bits for its multiples to be exact.
    const LN_2_HIGH: f32 = 355.0 / 512.0;
    const LN_2_LOW: f32 = -2.121_944_4e-4;
    let x = simd.max(simd.splat(-88.02), x);
    let shifted = simd.mul_add(x, simd.splat(std::f32::consts::LOG2_E), simd.splat(ROUND));
    let whole = simd.sub(shifted, simd.splat(ROUND));
    let rest = simd.mul_add(whole, simd.splat(-LN_2_HIGH), x);
    let rest = simd.mul_add(whole, simd.splat(-LN_2_LOW), rest);
    // 1 + r + r^2 q(r), minimax for the relative error on |r| <= ln(2)/2: 3e-9.
    let q = polynomial(simd, rest, &[1.381_459_9e-3, 8.368_717e-3, 4.166_839e-2, 1.666_652_1e-1, 4.999_999_4e-1]);
    let q = simd.mul_add(q, rest, simd.splat(1.0));
    let value = simd.mul_add(q, rest, simd.splat(1.0));
    simd.mul(value, simd.power_of_low_bits(shifted))
}

/// The steps of [`whole_times_exp2`]: a power of two.
pub(super) const WHOLE: f32 = 4096.0;

/// `WHOLE * 2^x` for `x <= 0` within 1.02e-4 of itself, exact where `x` is whole, for what is rounded to an integer next. As
/// of -125 for anything below it, since a subnormal number would cost a hundred times as much.
#[inline(always)]
pub(super) fn whole_times_exp2<S: Simd>(simd: S, x: S::Floats) -> S::Floats {
    // Minimax for the relative error on |r| <= 1/2, among those that are 1 at 0.
    const POWERS: [f32; 4] = [WHOLE * 5.500_891_8e-2, WHOLE * 2.422_11e-1, WHOLE * 6.932_829_6e-1, WHOLE];
    let x = simd.max(simd.splat(-125.0), x);
    let shifted = simd.add(x, simd.splat(ROUND));
    let rest = simd.sub(x, simd.sub(shifted, simd.splat(ROUND)));
    simd.mul(polynomial(simd, rest, &POWERS), simd.power_of_low_bits(shifted))
}

/// GELU by the error function, within 2.5e-7 beside the rounding of the result.
///
/// `x * Phi(x) = max(x, 0) - r(|x|)` with `r(a) = a * (1 - Phi(a))`, which is at most 0.17: an absolute error of its
/// polynomial is one of the result, without cancellation anywhere. Minimax on 0..=5.5, 3.3e-8; above that `r` < 1.1e-7.
#[inline(always)]
pub(super) fn gelu<S: Simd>(simd: S, x: S::Floats) -> S::Floats {
    const END: f32 = 5.5;
    // Such that NaN stays NaN.
    let a = simd.min(simd.splat(END), simd.abs(x));
    let centred = simd.mul_add(a, simd.splat(2.0 / END), simd.splat(-1.0));
    let r = polynomial(
        simd,
        centred,
        &[
            2.375_727e-3,
            -8.141_6e-3,
            -2.169_643e-3,
            3.837_737_4e-2,
            -3.424_079_7e-2,
            -5.956_74e-2,
            1.275_409_5e-1,
            -2.822_224e-2,
            -1.612_882_9e-1,
            2.161_794_5e-1,
            -5.165_712e-2,
            -1.767_834_9e-1,
            2.719_026_5e-1,
            -2.068_359e-1,
            9.455_805e-2,
            -2.500_749_2e-2,
            2.979_769e-3,
        ],
    );
    simd.sub(simd.max(simd.splat(0.0), x), simd.mul(r, a))
}

/// [`gelu`] within 1.5e-4: for results that are rounded to 8 bits next, in steps of 1e-2 or so.
#[inline(always)]
pub(super) fn gelu_coarse<S: Simd>(simd: S, x: S::Floats) -> S::Floats {
    // Such that NaN stays NaN.
    let a = simd.min(simd.splat(3.875), simd.abs(x));
    let coefficients =
        [6.975_812e-4, -1.063_269_4e-2, 6.118_656e-2, -1.490_769_5e-1, 5.449_208_2e-2, 3.838_040_5e-1, -4.990_368_8e-1];
    simd.mul_add(polynomial(simd, a, &coefficients), a, simd.max(simd.splat(0.0), x))
}

/// GELU by its approximation with tanh: `x * sigmoid(2u)`, `u = sqrt(2/pi) * (x + 0.044715 x^3)`.
#[inline(always)]
pub(super) fn gelu_tanh<S: Simd>(simd: S, x: S::Floats) -> S::Floats {
    const MINUS_TWICE_ROOT: f32 = -2.0 * 0.797_884_6;
    let a = simd.abs(x);
    let cubic = simd.mul_add(simd.mul(a, a), simd.splat(0.044_715), simd.splat(1.0));
    let exp = exp_of_nonpositive(simd, simd.mul(simd.mul(a, simd.splat(MINUS_TWICE_ROOT)), cubic));
    // sigmoid(-2|u|); with it the same split as in `gelu`.
    let below = simd.div(exp, simd.add(exp, simd.splat(1.0)));
    let a = simd.min(simd.splat(f32::MAX), a);
    simd.sub(simd.max(simd.splat(0.0), x), simd.mul(a, below))
}

#[inline(always)]
pub(super) fn relu<S: Simd>(simd: S, x: S::Floats) -> S::Floats {
    simd.max(simd.splat(0.0), x)
}

/// `x * sigmoid(x)`, within 2.5e-7 beside the rounding of the result; the same split as in [`gelu`].
#[inline(always)]
pub(super) fn silu<S: Simd>(simd: S, x: S::Floats) -> S::Floats {
    let a = simd.abs(x);
    let exp = exp_of_nonpositive(simd, simd.mul(a, simd.splat(-1.0)));
    let below = simd.div(exp, simd.add(exp, simd.splat(1.0)));
    let a = simd.min(simd.splat(f32::MAX), a);
    simd.sub(simd.max(simd.splat(0.0), x), simd.mul(a, below))
}

/// `tanh(x)` within 2.5e-7: `(1 - e) / (1 + e)` with `e = exp(-2|x|)`, and the sign of `x`.
#[inline(always)]
pub(super) fn tanh<S: Simd>(simd: S, x: S::Floats) -> S::Floats {
    // Beyond 10 it is 1; the limit keeps the quotient that gives the sign finite. Such that NaN stays NaN.
    let x = simd.max(simd.splat(-10.0), simd.min(simd.splat(10.0), x));
    let a = simd.abs(x);
    let sign = simd.div(x, simd.max(simd.splat(f32::MIN_POSITIVE), a));
    let exp = exp_of_nonpositive(simd, simd.mul(a, simd.splat(-2.0)));
    let ratio = simd.div(simd.sub(simd.splat(1.0), exp), simd.add(simd.splat(1.0), exp));
    simd.mul(sign, ratio)
}

/// `1 / (1 + exp(-x))` within 2.5e-7.
#[inline(always)]
pub(super) fn sigmoid<S: Simd>(simd: S, x: S::Floats) -> S::Floats {
    let half = simd.splat(0.5);
    simd.mul_add(tanh(simd, simd.mul(x, half)), half, half)
}

/// Horner's scheme, the highest power first.
#[inline(always)]
fn polynomial<S: Simd, const N: usize>(simd: S, x: S::Floats, coefficients: &[f32; N]) -> S::Floats {
    let mut sum = simd.splat(0.0);
    for (at, &coefficient) in coefficients.iter().enumerate() {
        sum = if at == 0 { simd.splat(coefficient) } else { simd.mul_add(sum, x, simd.splat(coefficient)) };
    }
    sum
}
