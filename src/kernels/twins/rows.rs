//! LayerNorm.

use proptest::prelude::*;

use super::{numbers, sets};
use crate::kernels::{LayerNorm, RowsMut};

/// What defines LayerNorm.
fn twin(row: &[f32], gamma: &[f32], beta: &[f32], eps: f64) -> Vec<f64> {
    let width = row.len() as f64;
    let mean = row.iter().map(|&x| f64::from(x)).sum::<f64>() / width;
    let variance = row.iter().map(|&x| (f64::from(x) - mean).powi(2)).sum::<f64>() / width;
    let scale = 1.0 / (variance + eps).sqrt();
    let place = |((&x, &g), &b): ((&f32, &f32), &f32)| (f64::from(x) - mean) * scale * f64::from(g) + f64::from(b);
    row.iter().zip(gamma).zip(beta).map(place).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]

    #[test]
    fn layer_norm_agrees_with_its_twin(
        (row, gamma, beta) in (1_usize..200).prop_flat_map(|width| (numbers(width + 1), numbers(width), numbers(width))),
        gap in 0_usize..3,
    ) {
        let width = gamma.len();
        let truth = twin(&row[1..], &gamma, &beta, 1e-12);
        for set in sets() {
            let stride = width + gap;
            // The same row twice, at an odd address, with something in between that must stay.
            let mut rows = vec![7.0; 1 + 2 * stride];
            rows[1..=width].copy_from_slice(&row[1..]);
            rows[1 + stride..1 + stride + width].copy_from_slice(&row[1..]);
            LayerNorm::new(&gamma, &beta, 1e-12).apply(set, RowsMut { numbers: &mut rows[1..], stride }, 2);
            prop_assert_eq!(&rows[1..=width], &rows[1 + stride..1 + stride + width]);
            prop_assert!(rows[1 + width..1 + stride].iter().all(|&number| number == 7.0));
            for ((found, truth), gamma) in rows[1..].iter().zip(&truth).zip(&gamma) {
                let allowed = 2e-5 * f64::from(gamma.abs()) + 1e-6 * (1.0 + truth.abs());
                prop_assert!((f64::from(*found) - truth).abs() <= allowed, "{set}: {found} is not {truth}");
            }
        }
    }
}

/// A narrow row far from zero: the mean of squares less the square of the mean would lose all of it.
#[test]
fn the_variance_of_a_narrow_row_survives() {
    let row: Vec<f32> = (0..384).map(|at| 1000.0 + (at % 7) as f32 / 64.0).collect();
    let (gamma, beta) = (vec![1.0; 384], vec![0.0; 384]);
    let truth = twin(&row, &gamma, &beta, 1e-12);
    for set in sets() {
        let mut rows = row.clone();
        LayerNorm::new(&gamma, &beta, 1e-12).apply(set, RowsMut { numbers: &mut rows, stride: 384 }, 1);
        let worst = rows.iter().zip(&truth).map(|(a, b)| (f64::from(*a) - b).abs()).fold(0.0, f64::max);
        assert!(worst < 5e-3, "{set}: {worst}");
    }
}

#[test]
fn a_constant_row_becomes_beta() {
    for set in sets() {
        let mut rows = vec![0.25; 37];
        let beta: Vec<f32> = (0..37).map(|at| at as f32).collect();
        LayerNorm::new(&[3.0; 37], &beta, 1e-12).apply(set, RowsMut { numbers: &mut rows, stride: 37 }, 1);
        assert_eq!(rows, beta, "{set}");
    }
}
