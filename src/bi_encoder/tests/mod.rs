//! Tests of whole bi-encoders: parity with the reference, invariance, quantization.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod hostile;
mod invariance;
mod limits;
mod parity;
mod quantized;

use std::path::Path;

use super::BiEncoder;
use crate::Embedding;

fn open(path: &Path) -> BiEncoder {
    BiEncoder::options().threads(1).open(path).unwrap()
}

/// The bits of every number, so that equal means equal.
fn bits(embeddings: &[Embedding]) -> Vec<Vec<u32>> {
    embeddings.iter().map(|embedding| embedding.iter().map(|number| number.to_bits()).collect()).collect()
}

/// The largest difference of a component, relative to the largest component of the vector that it belongs to.
fn difference(found: &[Embedding], expected: &[Vec<f32>]) -> f32 {
    assert_eq!(found.len(), expected.len());
    let of_vector = |(found, expected): (&Embedding, &Vec<f32>)| {
        assert_eq!(found.len(), expected.len());
        let largest = expected.iter().fold(0_f32, |largest, number| largest.max(number.abs()));
        let apart = found.iter().zip(expected).fold(0_f32, |apart, (a, b)| apart.max((a - b).abs()));
        apart / largest
    };
    found.iter().zip(expected).map(of_vector).fold(0.0, f32::max)
}
