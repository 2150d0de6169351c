//! Rows to s8 and back.

use proptest::prelude::*;

use super::fixture::golden_path;
use crate::model::quantize::{dequantize_rows, quantize_rows};
use crate::model::{Model, Precision};

fn there_and_back(numbers: &[f32], columns: usize) -> (Vec<i8>, Vec<f32>, Vec<f32>) {
    let (values, scales) = quantize_rows(numbers, columns);
    let bytes: Vec<u8> = values.iter().map(|value| value.cast_unsigned()).collect();
    let back = dequantize_rows(&bytes, scales.iter().copied(), columns);
    (values, scales, back)
}

/// Half a step of the row, and a little for the rounding of the product; subnormal scales are steps themselves.
fn tolerance(scale: f32) -> f64 {
    f64::from(scale) * 0.5 * (1.0 + 1e-4) + 128.0 * f64::from(f32::from_bits(1))
}

fn number() -> impl Strategy<Value = f32> {
    prop_oneof![
        8 => -1.0_f32..1.0,
        2 => -1e30_f32..1e30,
        2 => -1e-30_f32..1e-30,
        1 => prop_oneof![Just(0.0), Just(-0.0), Just(f32::MIN_POSITIVE), Just(f32::from_bits(1)), Just(1e-40)],
        1 => prop_oneof![Just(f32::MAX), Just(f32::MIN), Just(f32::MAX / 127.0)],
    ]
}

fn rows() -> impl Strategy<Value = (Vec<f32>, usize)> {
    (1_usize..6, 1_usize..40)
        .prop_flat_map(|(rows, columns)| (proptest::collection::vec(number(), rows * columns), Just(columns)))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2000) })]

    #[test]
    fn numbers_come_back_within_half_a_step((numbers, columns) in rows()) {
        let (values, scales, back) = there_and_back(&numbers, columns);
        prop_assert_eq!(values.len(), numbers.len());
        prop_assert_eq!(scales.len(), numbers.len() / columns);
        for (at, (number, back)) in numbers.iter().zip(&back).enumerate() {
            let scale = scales[at / columns];
            prop_assert!(back.is_finite(), "{number} comes back as {back} at scale {scale}");
            let off = (f64::from(*number) - f64::from(*back)).abs();
            prop_assert!(off <= tolerance(scale), "{number} comes back as {back} at scale {scale}");
        }
    }

    #[test]
    fn the_largest_of_a_row_uses_the_whole_range((numbers, columns) in rows()) {
        let (values, scales, _) = there_and_back(&numbers, columns);
        for (row, scale) in values.chunks_exact(columns).zip(scales) {
            let largest = row.iter().map(|value| value.unsigned_abs()).max().unwrap();
            prop_assert!(largest <= 127);
            prop_assert!(scale < 1e-38 || largest == 127, "{largest} at scale {scale}");
        }
    }

    #[test]
    fn a_row_depends_on_itself_alone((numbers, columns) in rows()) {
        let (values, scales, _) = there_and_back(&numbers, columns);
        for (at, row) in numbers.chunks_exact(columns).enumerate() {
            let (alone, scale, _) = there_and_back(row, columns);
            prop_assert_eq!(&alone[..], &values[at * columns..][..columns]);
            prop_assert_eq!(scale[0].to_bits(), scales[at].to_bits());
        }
    }

    /// What has been rounded once is not rounded again: quantizing an opened artifact changes nothing.
    #[test]
    fn quantizing_twice_is_quantizing_once(row in proptest::collection::vec(-1.0_f32..1.0, 1..40)) {
        let (values, _, back) = there_and_back(&row, row.len());
        prop_assert_eq!(there_and_back(&back, row.len()).0, values);
    }
}

#[test]
fn special_rows() {
    let rows: [(&[f32], &[i8], f32); 6] = [
        (&[0.0, -0.0, 0.0], &[0, 0, 0], 0.0),
        (&[127.0, -127.0, 0.4, 0.6, -0.5, 1.5, 2.5], &[127, -127, 0, 1, 0, 2, 2], 1.0),
        (&[-1.0], &[-127], 1.0 / 127.0),
        (&[f32::from_bits(1), 0.0], &[0, 0], 0.0),
        (&[254.0, 1.0, 3.0], &[127, 0, 2], 2.0),
        (&[], &[], f32::NAN),
    ];
    for (numbers, expected, scale) in rows {
        let (values, scales, back) = there_and_back(numbers, numbers.len());
        assert_eq!(values, expected, "{numbers:?}");
        assert_eq!(back.len(), numbers.len());
        assert!(scales.iter().all(|found| *found == scale), "{numbers:?}: {scales:?}");
    }
    let (_, _, back) = there_and_back(&[f32::MAX, f32::MIN], 2);
    assert!(back.iter().all(|number| number.is_finite()), "{back:?}");
}

#[test]
fn matrices_and_words_are_quantized_and_the_rest_is_not() {
    let full = Model::open(&golden_path("cls")).unwrap();
    assert_eq!(full.precision, Precision::F32);
    let before: Vec<(String, Vec<f32>)> =
        full.weights.iter().map(|(name, tensor)| (name.to_owned(), tensor.to_f32())).collect();
    let (elements, name) = (full.parameters(), full.name.clone());
    let quantized = full.quantized().unwrap();
    assert_eq!(quantized.precision, Precision::Int8);
    assert_eq!((quantized.parameters(), &quantized.name), (elements, &name));
    for ((name, before), (_, after)) in before.iter().zip(quantized.weights.iter()) {
        let after = after.to_f32();
        let small = ["bias", "LayerNorm.weight", "position_embeddings.weight", "token_type_embeddings.weight"];
        if small.iter().any(|end| name.ends_with(end)) {
            assert_eq!(*before, after, "{name} must be kept in full");
        } else {
            let largest = before.iter().fold(0_f32, |largest, number| largest.max(number.abs()));
            let off = before.iter().zip(&after).fold(0_f32, |off, (a, b)| off.max((a - b).abs()));
            assert!(off > 0.0 && off <= largest / 250.0, "{name}: {off} of {largest}");
        }
    }
    let again = quantized.fingerprint();
    assert_eq!(
        Model::open(&golden_path("cls")).unwrap().quantized().unwrap().quantized().unwrap().fingerprint(),
        again
    );
}
