//! The slow twins that define the encoder's kernels, in `f64`, and the tests of each kernel against its twin.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test may end by panicking")]

mod attention;
mod bytes;
mod product;
mod rows;

use proptest::prelude::*;

use super::{InstructionSet, IntegerSet};

fn sets() -> impl Iterator<Item = InstructionSet> {
    InstructionSet::ladder().into_iter().flatten()
}

/// Every set for 8-bit products of this machine, also below the best.
fn integer_sets() -> impl Iterator<Item = IntegerSet> {
    InstructionSet::ladder().into_iter().flatten().take(1).flat_map(IntegerSet::ladder).flatten()
}

/// Numbers of the size that activations have, with zeros and outliers among them.
fn number() -> impl Strategy<Value = f32> {
    prop_oneof![12 => -3.0_f32..3.0, 1 => Just(0.0), 1 => Just(-0.0), 1 => -1000.0_f32..1000.0, 1 => Just(1e-40)]
}

fn numbers(length: usize) -> impl Strategy<Value = Vec<f32>> {
    prop::collection::vec(number(), length)
}

/// The error function by its series of positive terms.
fn erf(x: f64) -> f64 {
    if x.abs() > 6.0 {
        return x.signum();
    }
    let (mut term, mut sum) = (x, x);
    for n in 1..200 {
        term *= 2.0 * x * x / f64::from(2 * n + 1);
        sum += term;
    }
    sum * (-x * x).exp() * 2.0 / std::f64::consts::PI.sqrt()
}

pub(super) fn gelu(x: f64) -> f64 {
    0.5 * x * (1.0 + erf(x / std::f64::consts::SQRT_2))
}

pub(super) fn gelu_tanh(x: f64) -> f64 {
    0.5 * x * (1.0 + ((2.0 / std::f64::consts::PI).sqrt() * (x + 0.044_715 * x * x * x)).tanh())
}

pub(super) fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

pub(super) fn silu(x: f64) -> f64 {
    x * sigmoid(x)
}

#[test]
fn erf_has_its_known_values() {
    for (x, value) in [(0.5, 0.520_499_877_813_046_5), (1.0, 0.842_700_792_949_714_9), (3.0, 0.999_977_909_503_001_4)] {
        assert!((erf(x) - value).abs() < 1e-14 && (erf(-x) + value).abs() < 1e-14);
    }
}
