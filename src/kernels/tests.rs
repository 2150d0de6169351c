//! Every form of a kernel against the twin that defines it, on each instruction set of this machine.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test may end by panicking")]

use half::f16;
use proptest::prelude::*;

use super::scalar::{self, widen};
use super::{InstructionLevel, InstructionSet, dot_f16, dots_f16, inverse_norm_f16, similarity_f32};
use crate::error::ErrorKind;
use crate::similarity::Similarity;

fn sets() -> impl Iterator<Item = InstructionSet> {
    InstructionSet::ladder().into_iter().flatten()
}

/// How far an `f32` sum in any order may be off: half a unit for each product and each addition.
fn tolerance(query: &[f32], row: &[f16]) -> f32 {
    let magnitude: f32 = query.iter().zip(row).map(|(q, v)| (q * v.to_f32()).abs()).sum();
    (query.len() as f32 + 1.0) * f32::EPSILON * magnitude + f32::MIN_POSITIVE
}

fn query_value() -> impl Strategy<Value = f32> {
    prop_oneof![8 => -1.0_f32..1.0, 1 => Just(0.0), 1 => Just(-0.0), 1 => -1e30_f32..1e30, 1 => Just(1e-40)]
}

fn stored_value() -> impl Strategy<Value = f16> {
    let any_finite = any::<u16>().prop_map(f16::from_bits).prop_filter("finite", |value| value.is_finite());
    prop_oneof![
        8 => (-1.0_f32..1.0).prop_map(f16::from_f32),
        1 => any_finite,
        1 => prop::sample::select(vec![f16::MAX, f16::MIN, f16::MIN_POSITIVE_SUBNORMAL, f16::ZERO, f16::NEG_ZERO]),
    ]
}

fn pairs() -> impl Strategy<Value = (Vec<f32>, Vec<f16>)> {
    // One more of each than is used, so that the slices start at odd addresses.
    (0_usize..1100).prop_flat_map(|length| {
        (prop::collection::vec(query_value(), length + 1), prop::collection::vec(stored_value(), length + 1))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn dot_agrees_with_its_twin((query, row) in pairs()) {
        let (query, row) = (&query[1..], &row[1..]);
        let truth = scalar::dot_f16(query, row);
        for set in sets() {
            let dot = set.dot_f16(query, row);
            prop_assert!((dot - truth).abs() <= tolerance(query, row), "{set}: {dot} is not {truth}");
        }
    }

    #[test]
    fn many_dots_are_the_single_ones((query, row) in pairs(), count in 0_usize..12) {
        let query = &query[1..];
        // Each row another one, of the same numbers.
        let rotated = |by: usize| row[1..].iter().cycle().skip(by * 7).take(query.len()).copied().collect();
        let rows: Vec<Vec<f16>> = (0..count).map(rotated).collect();
        let scattered: Vec<&[f16]> = rows.iter().map(Vec::as_slice).collect();
        for set in sets() {
            let single: Vec<u32> = rows.iter().map(|row| set.dot_f16(query, row).to_bits()).collect();
            let mut dots = [vec![0.0; count], vec![0.0; count]];
            set.dots_f16(query, &rows.concat(), &mut dots[0]);
            set.scattered_dots_f16(query, &scattered, &mut dots[1]);
            for dots in dots.iter().filter(|_| !query.is_empty()) {
                prop_assert!(dots.iter().map(|dot| dot.to_bits()).eq(single.iter().copied()), "{set}");
            }
        }
    }

    #[test]
    fn similarity_is_the_dot_over_the_norms((query, row) in pairs()) {
        let (query, row) = (&query[1..], &row[1..]);
        let truth: f64 = query.iter().zip(row).map(|(&q, v)| f64::from(q) * v.to_f64()).sum();
        let (q, v) = (norm(query.iter().map(|&q| f64::from(q))), norm(row.iter().map(|v| v.to_f64())));
        let dot = f64::from(similarity_f32(query, row, Similarity::Dot));
        prop_assert!((dot - truth).abs() <= 1e-6 * q * v + 1e-30, "{dot} is not {truth}");
        let cosine = f64::from(similarity_f32(query, row, Similarity::Cosine));
        let truth = if q * v > 0.0 { truth / (q * v) } else { 0.0 };
        prop_assert!((cosine - truth).abs() <= 1e-6, "{cosine} is not {truth}");
        prop_assert!((f64::from(inverse_norm_f16(row)) * v - 1.0).abs() < 1e-6 || v == 0.0);
    }

    #[test]
    fn every_instruction_set_has_the_same_bits((query, row) in pairs()) {
        let (query, row) = (&query[1..], &row[1..]);
        let bits = |set: InstructionSet| {
            let scores = [Similarity::Cosine, Similarity::Dot].map(|similarity| set.similarity_f32(query, row, similarity));
            (scores.map(f32::to_bits), set.inverse_norm_f16(row).to_bits())
        };
        for set in sets() {
            prop_assert_eq!(bits(set), bits(InstructionSet::Portable), "{}", set);
        }
    }
}

fn norm(values: impl Iterator<Item = f64>) -> f64 {
    values.map(|value| value * value).sum::<f64>().sqrt()
}

/// The negative control: a kernel that forgets one product is caught by the tolerance of the tests above.
#[test]
fn a_missing_product_is_noticed() {
    let query: Vec<f32> = (0..384).map(|at| (at as f32 * 0.7).sin()).collect();
    let row: Vec<f16> = query.iter().map(|&q| f16::from_f32(q)).collect();
    let truth = scalar::dot_f16(&query, &row);
    for set in sets() {
        let mut lossy = query.clone();
        lossy[383] = 0.0;
        assert!((set.dot_f16(&lossy, &row) - truth).abs() > tolerance(&query, &row), "{set}");
    }
}

#[test]
fn widening_is_exact_for_every_finite_number() {
    for value in (0..=u16::MAX).map(f16::from_bits).filter(|value| value.is_finite()) {
        assert_eq!(widen(value).to_bits(), value.to_f32().to_bits(), "{value:?}");
    }
}

/// Golden bits, from the same sums in Python: they may not change with machine, compiler or instruction set.
#[test]
fn similarity_has_the_same_bits_everywhere() {
    let query: Vec<f32> = (0_u16..387).map(|at| f32::from(at % 13) / 7.0 - 0.9).collect();
    let row: Vec<f16> = (0_u16..387).map(|at| f16::from_f32(f32::from(at % 17) / 16.0 - 0.5)).collect();
    for set in sets() {
        assert_eq!(set.similarity_f32(&query, &row, Similarity::Cosine).to_bits(), 0xbc14c858, "{set}");
        assert_eq!(set.similarity_f32(&query, &row, Similarity::Dot).to_bits(), 0xbf12be2d, "{set}");
    }
}

#[test]
fn similarity_of_extremes_is_finite() {
    let huge = [f32::MAX; 32];
    let row = [f16::MAX; 32];
    assert_eq!(similarity_f32(&huge, &row, Similarity::Dot), f32::MAX);
    assert_eq!(similarity_f32(&huge, &row, Similarity::Cosine), 1.0);
    assert_eq!(similarity_f32(&[f32::MIN; 32], &row, Similarity::Dot), f32::MIN);
    assert_eq!(similarity_f32(&[0.0; 32], &row, Similarity::Cosine).to_bits(), 0);
    assert_eq!(similarity_f32(&[-1.0, 0.0], &[f16::ZERO, f16::ONE], Similarity::Cosine).to_bits(), 0);
}

#[test]
fn a_request_only_lowers_the_instruction_set() {
    let best = InstructionSet::choose(None);
    assert_eq!(InstructionSet::choose(Some("avx512")), best);
    assert_eq!(InstructionSet::choose(Some("no such set")), best);
    assert_eq!(InstructionSet::choose(Some("portable")), InstructionSet::Portable);
    assert!(["avx2", "portable"].contains(&InstructionSet::choose(Some("avx2")).name()));
    assert!(["avx-vnni", "avx2", "portable"].contains(&InstructionSet::choose(Some("avx-vnni")).name()));
}

#[test]
fn a_level_is_given_or_refused_by_name() {
    for level in InstructionLevel::ALL {
        assert_eq!(level.name().parse::<InstructionLevel>().unwrap(), level);
        let has = sets().any(|set| set.level() == level);
        match InstructionSet::at(level) {
            Ok(set) => assert!(has && set.level() == level),
            Err(error) => {
                assert!(!has && error.kind() == ErrorKind::Misuse);
                assert!(error.to_string().contains(level.name()) && error.to_string().contains("portable"), "{error}");
            }
        }
    }
    let error = "avx9".parse::<InstructionLevel>().unwrap_err().to_string();
    assert!(error.contains("avx9") && error.contains("avx-vnni"), "{error}");
}

#[test]
fn the_chosen_set_serves_the_public_kernels() {
    let query: Vec<f32> = (0..100).map(|at| at as f32).collect();
    let row = vec![f16::ONE; 100];
    let mut dots = [0.0; 2];
    dots_f16(&query, &row.repeat(2), &mut dots);
    assert_eq!((dot_f16(&query, &row), dots), (4950.0, [4950.0; 2]));
}
