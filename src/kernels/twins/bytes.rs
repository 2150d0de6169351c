//! Activations in 8 bits, and products of 8-bit numbers.

use proptest::prelude::*;

use super::{integer_sets, numbers, sets};
use crate::kernels::{InstructionSet, IntegerSet, MatrixS8, PackedS8, Quantized, Rows, RowsMut, Then};

/// The byte of number `at` of a row, as the set reads it.
fn byte(quantized: &Quantized, integers: IntegerSet, row: usize, at: usize) -> u8 {
    let size = 4 / integers.group();
    let start = row * quantized.stride() + at * size;
    let bytes = &quantized.bytes()[start..start + size];
    assert!(bytes[1..].iter().all(|&byte| size == 1 || byte == 0));
    bytes[0]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(100) })]

    /// A byte stands for a number no further away than half a step, and some number has each end of the range.
    #[test]
    fn bytes_stand_for_the_numbers(
        (width, rows) in (1_usize..300).prop_flat_map(|width| (Just(width), numbers(1 + 3 * width))),
        before in numbers(500),
    ) {
        for set in sets() {
            for integers in integer_sets() {
                let mut quantized = Quantized::default();
                quantized.fill(set, integers, Rows { numbers: &before, stride: 500, count: 1 }, 500);
                quantized.fill(set, integers, Rows { numbers: &rows[1..], stride: width, count: 3 }, width);
                prop_assert_eq!(quantized.count(), 3);
                for (row, numbers) in rows[1..].chunks(width).enumerate() {
                    let facts = quantized.facts()[row];
                    for (at, &number) in numbers.iter().enumerate() {
                        let byte = f64::from(byte(&quantized, integers, row, at));
                        let found = f64::from(facts.least) + byte * f64::from(facts.scale);
                        // Half a step, and three roundings of up to 255 steps.
                        let allowed = 0.5001 * f64::from(facts.scale) + f64::from(number.abs()) * 1e-6 + 1e-30;
                        prop_assert!((found - f64::from(number)).abs() <= allowed, "{set}: {found} is not {number}");
                    }
                    let bytes: Vec<u8> = (0..width).map(|at| byte(&quantized, integers, row, at)).collect();
                    prop_assert!(facts.scale == 0.0 || bytes.contains(&0) && bytes.contains(&255), "{bytes:?}");
                }
            }
        }
    }
}

#[test]
fn a_row_that_is_not_finite_is_poisoned() {
    for set in sets() {
        for integers in integer_sets() {
            for wrong in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
                for place in [0, 20, 36] {
                    let mut row = vec![1.0; 37];
                    row[place] = wrong;
                    let mut quantized = Quantized::default();
                    quantized.fill(set, integers, Rows { numbers: &row, stride: 37, count: 1 }, 37);
                    assert!(quantized.facts()[0].scale.is_nan(), "{set} {wrong} at {place}");
                }
            }
            let mut quantized = Quantized::default();
            quantized.fill(set, integers, Rows { numbers: &[f32::MAX, f32::MIN], stride: 2, count: 1 }, 2);
            assert!(quantized.facts()[0].scale.is_nan(), "{set}: a range beyond f32");
            quantized.fill(set, integers, Rows { numbers: &[2.5; 5], stride: 5, count: 1 }, 5);
            assert_eq!((quantized.facts()[0].scale, quantized.facts()[0].least), (0.0, 2.5), "{set}: a constant row");
        }
    }
}

#[derive(Clone, Debug)]
struct Case {
    depth: usize,
    /// Values, scales and biases of two matrices.
    matrices: [(Vec<u8>, Vec<f32>, Vec<f32>); 2],
    rows: Vec<f32>,
    count: usize,
}

fn cases() -> impl Strategy<Value = Case> {
    (1_usize..150, 1_usize..80, 1_usize..40, 0_usize..30).prop_flat_map(|(depth, left, right, count)| {
        // -127..=127, the ends often: sums of products of extremes must neither saturate nor wrap.
        let value = prop_oneof![4 => -127_i8..=127, 1 => Just(127_i8), 1 => Just(-127_i8)].prop_map(i8::cast_unsigned);
        let matrix = move |columns: usize| {
            let values = prop::collection::vec(value.clone(), columns * depth);
            (values, prop::collection::vec(0.0_f32..0.1, columns), numbers(columns))
        };
        (matrix(left), matrix(right), numbers(count * depth)).prop_map(move |(left, right, rows)| Case {
            depth,
            matrices: [left, right],
            rows,
            count,
        })
    })
}

impl Case {
    fn packed(&self, set: IntegerSet) -> PackedS8 {
        let matrices = self.matrices.each_ref().map(|(values, scales, bias)| MatrixS8 { values, scales, bias });
        PackedS8::new(set, self.depth, &matrices)
    }

    fn quantized(&self, set: IntegerSet, rows: std::ops::Range<usize>) -> Quantized {
        let mut quantized = Quantized::default();
        let count = rows.len();
        let numbers = &self.rows[rows.start * self.depth..];
        quantized.fill(InstructionSet::chosen(), set, Rows { numbers, stride: self.depth, count }, self.depth);
        quantized
    }

    fn multiply(&self, set: IntegerSet, rows: std::ops::Range<usize>, then: Then) -> Vec<f32> {
        let packed = self.packed(set);
        let quantized = self.quantized(set, rows);
        let columns = packed.columns();
        let mut out = vec![0.5; quantized.count() * columns];
        packed.multiply(&quantized, 0..packed.panels(), RowsMut { numbers: &mut out, stride: columns }, then);
        out
    }

    /// What defines the product: whole numbers, added up exactly. The first number that is off, in words.
    fn wrong(&self, set: IntegerSet, out: &[f32], then: Then) -> Option<String> {
        let quantized = self.quantized(set, 0..self.count);
        let starts = [0, self.matrices[0].1.len().next_multiple_of(set.panel_columns())];
        let stride = starts[1] + self.matrices[1].1.len().next_multiple_of(set.panel_columns());
        for (row, out) in out.chunks(stride).enumerate() {
            let facts = quantized.facts()[row];
            for ((values, scales, bias), start) in self.matrices.iter().zip(starts) {
                for (column, values) in values.chunks(self.depth).enumerate() {
                    let values = values.iter().map(|value| i64::from(value.cast_signed()));
                    let products = values.clone().enumerate();
                    let sum: i64 = products.map(|(at, value)| value * i64::from(byte(&quantized, set, row, at))).sum();
                    let scale = f64::from(scales[column]);
                    let parts = [
                        sum as f64 * scale * f64::from(facts.scale),
                        values.sum::<i64>() as f64 * scale * f64::from(facts.least),
                        f64::from(bias[column]),
                        if then == Then::Add { 0.5 } else { 0.0 },
                    ];
                    let (truth, found) = (parts.iter().sum::<f64>(), f64::from(out[start + column]));
                    let allowed = 5e-7 * parts.iter().map(|part| part.abs()).sum::<f64>() + 1e-37;
                    if (found - truth).abs() > allowed {
                        return Some(format!("{set:?} [{row}][{column}] is {found}, not {truth} +- {allowed:e}"));
                    }
                }
            }
        }
        None
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(60) })]

    #[test]
    fn a_product_of_bytes_agrees_with_its_twin(case in cases(), add in any::<bool>()) {
        for set in integer_sets() {
            let then = if add { Then::Add } else { Then::Store };
            let wrong = case.wrong(set, &case.multiply(set, 0..case.count, then), then);
            prop_assert!(wrong.is_none(), "{}", wrong.unwrap());
        }
    }

    /// To the bit: neither a row's bytes nor its result depend on what is beside it.
    #[test]
    fn a_row_of_bytes_is_the_same_alone(case in cases(), then in prop::sample::select(&[Then::Add, Then::GeluCoarse])) {
        for set in integer_sets() {
            let together = case.multiply(set, 0..case.count, then);
            let alone: Vec<f32> = (0..case.count).flat_map(|row| case.multiply(set, row..row + 1, then)).collect();
            let same = together.iter().zip(&alone).all(|(a, b)| a.to_bits() == b.to_bits());
            prop_assert!(same && together.len() == alone.len(), "{set:?}");
        }
    }
}

/// All at the ends of their ranges, over the depth of a large model: the sums are exact, wherever the products add up.
#[test]
fn extremes_do_not_saturate() {
    let (depth, columns) = (4096, 33);
    let values = vec![127_i8.cast_unsigned(); depth * columns];
    let matrices = [(values, vec![1.0; columns], vec![0.0; columns]), (vec![129; depth], vec![1.0], vec![0.0])];
    // One zero in each row, so that the range is 0..=255 and a byte is the number itself.
    let rows: Vec<f32> = (0..13 * depth).map(|at| if at % depth == 0 { 0.0 } else { 255.0 }).collect();
    let case = Case { depth, matrices, rows, count: 13 };
    for set in integer_sets() {
        let out = case.multiply(set, 0..13, Then::Store);
        assert_eq!(out[0], 127.0 * 255.0 * 4095.0, "{set:?}");
        let wrong = case.wrong(set, &out, Then::Store);
        assert!(wrong.is_none(), "{}", wrong.unwrap());
    }
}

/// The negative control: one weight that is off by one step is noticed.
#[test]
fn a_wrong_byte_is_noticed() {
    let values: Vec<u8> = (0..50 * 64_u32).map(|at| ((at * 37 % 255) as u8).wrapping_add(129)).collect();
    let matrices = [(values, vec![0.01; 50], vec![0.5; 50]), (vec![3; 64], vec![0.01], vec![0.5])];
    let rows: Vec<f32> = (0..13 * 64).map(|at| ((at * 7 % 11) as f32 - 5.0) / 8.0).collect();
    let case = Case { depth: 64, matrices, rows, count: 13 };
    for set in integer_sets() {
        let mut other = case.clone();
        other.matrices[0].0[49 * 64 + 63] = other.matrices[0].0[49 * 64 + 63].wrapping_add(1);
        let out = other.multiply(set, 0..13, Then::Store);
        assert!(other.wrong(set, &out, Then::Store).is_none() && case.wrong(set, &out, Then::Store).is_some());
    }
}
