//! Tests of whole cross-encoders: parity with the reference, invariance, declarations, quantization.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod declared;
mod invariance;
mod parity;
mod quantized;
mod refusals;

use std::path::Path;

use serde::Deserialize;

use super::{CrossEncoder, ScoreActivation};
use crate::model::tests::fixture::golden_path;

/// Every golden cross-encoder; what each is there for stands in `tests/golden/make_cross.py`.
const GOLDEN: [&str; 8] = [
    "cross_bert",
    "cross_bert_labels",
    "cross_distilbert",
    "cross_distilbert_labels",
    "cross_roberta",
    "cross_roberta_labels",
    "cross_electra",
    "cross_electra_labels",
];

/// What the f32 path promises, relative to the score's size where that is more than 1.
const TOLERANCE: f32 = 1e-5;

/// What all golden cross-encoders are asked.
#[derive(Deserialize)]
struct Questions {
    pairs: Vec<(String, String)>,
    query: String,
    passages: Vec<String>,
}

/// What sentence-transformers says about one of them.
#[derive(Deserialize)]
struct Expected {
    max_tokens: usize,
    activation: String,
    labels: Vec<String>,
    logits: Vec<Vec<f32>>,
    scores: Vec<Vec<f32>>,
    ranked: Option<Vec<(usize, f32)>>,
}

impl Questions {
    fn read() -> Self {
        serde_json::from_slice(&std::fs::read(golden_path("pairs.json")).unwrap()).unwrap()
    }

    fn pairs(&self) -> Vec<(&str, &str)> {
        self.pairs.iter().map(|(query, passage)| (query.as_str(), passage.as_str())).collect()
    }
}

impl Expected {
    fn of(golden: &str) -> Self {
        serde_json::from_slice(&std::fs::read(golden_path(golden).join("expected.json")).unwrap()).unwrap()
    }
}

fn open(path: &Path) -> CrossEncoder {
    CrossEncoder::options().threads(1).open(path).unwrap()
}

fn logits(path: &Path, pairs: &[(&str, &str)]) -> Vec<Vec<f32>> {
    let options = CrossEncoder::options().threads(1).activation(ScoreActivation::Identity);
    options.open(path).unwrap().score_labels(pairs).unwrap()
}

/// The bits of every score, so that equal means equal.
fn bits(scores: &[Vec<f32>]) -> Vec<Vec<u32>> {
    scores.iter().map(|scores| scores.iter().map(|score| score.to_bits()).collect()).collect()
}

/// The largest difference, relative to the size of what was expected where that is more than 1.
fn difference(found: &[Vec<f32>], expected: &[Vec<f32>]) -> f32 {
    assert_eq!(found.len(), expected.len());
    let of_pair = |(found, expected): (&Vec<f32>, &Vec<f32>)| {
        assert_eq!(found.len(), expected.len());
        let apart = |(a, b): (&f32, &f32)| (a - b).abs() / b.abs().max(1.0);
        found.iter().zip(expected).map(apart).fold(0.0, f32::max)
    };
    found.iter().zip(expected).map(of_pair).fold(0.0, f32::max)
}
