//! Products in `f32` and what is fused with them.

use proptest::prelude::*;

use super::{gelu, gelu_tanh, numbers, sets, sigmoid, silu};
use crate::kernels::{InstructionSet, PackedF32, Rows, RowsMut, Then};

/// Two matrices side by side, and rows to multiply with them. Rows begin at an odd address and an odd distance.
#[derive(Clone, Debug)]
struct Case {
    depth: usize,
    matrices: [(Vec<f32>, Vec<f32>); 2],
    a: Vec<f32>,
    stride: usize,
    count: usize,
}

fn cases() -> impl Strategy<Value = Case> {
    (1_usize..70, 1_usize..80, 1_usize..40, 0_usize..40, 0_usize..4).prop_flat_map(
        |(depth, left, right, count, gap)| {
            let matrix = |columns| (numbers(columns * depth), numbers(columns));
            let stride = depth + gap;
            (matrix(left), matrix(right), numbers(1 + count * stride)).prop_map(move |(left, right, a)| Case {
                depth,
                matrices: [left, right],
                a,
                stride,
                count,
            })
        },
    )
}

impl Case {
    fn packed(&self, set: InstructionSet) -> PackedF32 {
        let [(a, b), (c, d)] = &self.matrices;
        PackedF32::new(set, self.depth, &[(a, b), (c, d)])
    }

    fn multiply(&self, set: InstructionSet, rows: std::ops::Range<usize>, then: Then) -> Vec<f32> {
        let packed = self.packed(set);
        let mut out = vec![0.5; rows.len() * packed.columns()];
        let a = Rows { numbers: &self.a[1 + rows.start * self.stride..], stride: self.stride, count: rows.len() };
        let columns = packed.columns();
        packed.multiply(a, 0..packed.panels(), RowsMut { numbers: &mut out, stride: columns }, then);
        out
    }

    /// What defines the product: the exact sum, and how large the terms are in all.
    fn twin(&self, row: usize, matrix: usize, column: usize) -> (f64, f64) {
        let (weights, bias) = &self.matrices[matrix];
        let a = &self.a[1 + row * self.stride..][..self.depth];
        let weights = &weights[column * self.depth..][..self.depth];
        let terms =
            || a.iter().zip(weights).map(|(&a, &w)| f64::from(a) * f64::from(w)).chain([f64::from(bias[column])]);
        (terms().sum(), terms().map(f64::abs).sum())
    }

    /// The first number that is off, in words.
    fn wrong(&self, set: InstructionSet, out: &[f32], then: Then) -> Option<String> {
        let panel = set.panel_columns();
        let starts = [0, self.matrices[0].1.len().next_multiple_of(panel)];
        let columns = starts[1] + self.matrices[1].1.len().next_multiple_of(panel);
        for (row, out) in out.chunks(columns).enumerate() {
            for (matrix, start) in starts.into_iter().enumerate() {
                for column in 0..self.matrices[matrix].1.len() {
                    let (sum, magnitude) = self.twin(row, matrix, column);
                    let rounding = (self.depth as f64 + 2.0) * f64::from(f32::EPSILON) * magnitude;
                    let (truth, slack) = match then {
                        Then::Store => (sum, 0.0),
                        Then::Add => (sum + 0.5, 1e-7),
                        // The slope of a GELU is at most 1.13.
                        Then::Gelu => (gelu(sum), 3e-7),
                        Then::GeluCoarse => (gelu(sum), 1.6e-4),
                        Then::GeluTanh => (gelu_tanh(sum), 3e-7),
                        Then::Relu => (sum.max(0.0), 0.0),
                        Then::Silu => (silu(sum), 3e-7),
                        Then::Tanh => (sum.tanh(), 3e-7),
                        Then::Sigmoid => (sigmoid(sum), 3e-7),
                    };
                    let found = f64::from(out[start + column]);
                    let allowed = 1.2 * rounding + slack + truth.abs() * 3e-7 + 1e-38;
                    if (found - truth).abs() > allowed {
                        return Some(format!(
                            "{set} {then:?} [{row}][{matrix}:{column}] is {found}, not {truth} +- {allowed:e}"
                        ));
                    }
                }
            }
        }
        None
    }
}

const ALL: [Then; 9] = [
    Then::Store,
    Then::Add,
    Then::Gelu,
    Then::GeluCoarse,
    Then::GeluTanh,
    Then::Relu,
    Then::Silu,
    Then::Tanh,
    Then::Sigmoid,
];

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(60) })]

    #[test]
    fn a_product_agrees_with_its_twin(case in cases(), then in prop::sample::select(&ALL)) {
        for set in sets() {
            let wrong = case.wrong(set, &case.multiply(set, 0..case.count, then), then);
            prop_assert!(wrong.is_none(), "{}", wrong.unwrap());
        }
    }

    /// To the bit: a row's result does not depend on where in a tile it is, or on what is beside it.
    #[test]
    fn a_row_is_the_same_alone(case in cases(), then in prop::sample::select(&ALL)) {
        for set in sets() {
            let together = case.multiply(set, 0..case.count, then);
            let alone: Vec<f32> = (0..case.count).flat_map(|row| case.multiply(set, row..row + 1, then)).collect();
            let same = together.iter().zip(&alone).all(|(a, b)| a.to_bits() == b.to_bits());
            prop_assert!(same && together.len() == alone.len(), "{set}");
        }
    }

    #[test]
    fn panels_can_be_asked_for_alone(case in cases()) {
        for set in sets() {
            let packed = case.packed(set);
            let columns = packed.columns();
            let whole = case.multiply(set, 0..case.count, Then::Store);
            let second = case.matrices[0].1.len().div_ceil(set.panel_columns());
            let mut out = vec![f32::NAN; case.count * columns];
            let a = Rows { numbers: &case.a[1..], stride: case.stride, count: case.count };
            packed.multiply(a, second..packed.panels(), RowsMut { numbers: &mut out, stride: columns }, Then::Store);
            let start = second * set.panel_columns();
            for (out, whole) in out.chunks(columns).zip(whole.chunks(columns)) {
                prop_assert!(out[..start].iter().all(|number| number.is_nan()), "{set} wrote outside of the panels");
                prop_assert_eq!(&out[start..], &whole[start..]);
            }
        }
    }
}

/// The negative control: one weight that is off by little is noticed.
#[test]
fn a_wrong_weight_is_noticed() {
    let pattern = |length: usize| (0..length).map(|at| ((at * 7 % 11) as f32 - 5.0) / 8.0).collect::<Vec<f32>>();
    let matrices = [(pattern(50 * 64), pattern(50)), (pattern(3 * 64), pattern(3))];
    let case = Case { depth: 64, matrices, a: pattern(1 + 13 * 64), stride: 64, count: 13 };
    for set in sets() {
        let mut other = case.clone();
        other.matrices[0].0[49 * 64 + 63] += 0.01;
        let out = other.multiply(set, 0..13, Then::Store);
        assert!(other.wrong(set, &out, Then::Store).is_none() && case.wrong(set, &out, Then::Store).is_some(), "{set}");
    }
}

#[test]
fn activations_of_extremes() {
    let extremes = [0.0, -0.0, f32::MAX, f32::MIN, f32::INFINITY, 1e-45, -1e-45, 5.5, -5.5, 6.0, -6.0, 88.0, -88.0];
    for set in sets() {
        for (then, twin) in [
            (Then::Gelu, gelu as fn(f64) -> f64),
            (Then::GeluTanh, gelu_tanh),
            (Then::Relu, |x| x.max(0.0)),
            (Then::Silu, silu),
            (Then::Tanh, f64::tanh),
            (Then::Sigmoid, sigmoid),
        ] {
            for x in extremes {
                let packed = PackedF32::new(set, 1, &[(&[1.0], &[0.0])]);
                let mut out = vec![0.0; packed.columns()];
                let a = Rows { numbers: &[x], stride: 1, count: 1 };
                let columns = packed.columns();
                packed.multiply(a, 0..1, RowsMut { numbers: &mut out, stride: columns }, then);
                let truth = twin(f64::from(x));
                let agrees = (f64::from(out[0]) - truth).abs() <= 2.5e-7 + truth.abs() * 2e-7;
                assert!(agrees || f64::from(out[0]) == truth, "{set} {then:?}({x}) is {}", out[0]);
            }
            let packed = PackedF32::new(set, 1, &[(&[1.0], &[0.0])]);
            let columns = packed.columns();
            let mut out = vec![0.0; columns];
            let a = Rows { numbers: &[f32::NAN], stride: 1, count: 1 };
            packed.multiply(a, 0..1, RowsMut { numbers: &mut out, stride: columns }, then);
            assert!(out[0].is_nan(), "{set} {then:?} swallows NaN");
        }
    }
}

/// The activations over their whole range, at the accuracy that their documentation states.
#[test]
fn activations_keep_their_promise() {
    for set in sets() {
        for (then, twin, bound) in [
            (Then::Gelu, gelu as fn(f64) -> f64, 2.5e-7),
            (Then::GeluCoarse, gelu, 1.5e-4),
            (Then::GeluTanh, gelu_tanh, 2.5e-7),
            (Then::Silu, silu, 2.5e-7),
            (Then::Tanh, f64::tanh, 2.5e-7),
            (Then::Sigmoid, sigmoid, 2.5e-7),
        ] {
            let xs: Vec<f32> = (-90_000..90_000).map(|at| at as f32 / 10_000.0).collect();
            let packed = PackedF32::new(set, 1, &[(&[1.0], &[0.0])]);
            let stride = packed.columns();
            let mut out = vec![0.0; xs.len() * stride];
            let a = Rows { numbers: &xs, stride: 1, count: xs.len() };
            packed.multiply(a, 0..1, RowsMut { numbers: &mut out, stride }, then);
            for (x, out) in xs.iter().zip(out.iter().step_by(stride)) {
                let x = f64::from(*x);
                let truth = twin(x);
                let error = (f64::from(*out) - truth).abs() - truth.abs() * f64::from(f32::EPSILON);
                assert!(error <= bound, "{set} {then:?}({x}) is {out}, not {truth}");
            }
        }
    }
}
