//! A model with full weights to an artifact with s8 weights, and the drift that this costs.

use std::path::Path;

use super::{BiEncoder, BiEncoderOptions, Encoder};
use crate::error::{Error, Result};
use crate::model::{Drift, Model, Precision, write_artifact};

/// An artifact just made.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Quantized {
    /// The file's content. The same model and samples give the same bytes.
    pub artifact: Vec<u8>,
    /// The cosine to the full weights over the samples, rounded down to three decimals.
    pub drift: Drift,
}

/// Quantizes the model in `directory`, or of that name, to s8 weights and measures the drift over the passages in `samples`.
///
/// `name` is what the artifact calls itself; the licence is taken from the model's card, its `README.md`.
///
/// # Errors
/// As [`BiEncoder::open`]; `Misuse` if the model is quantized already or there are no samples.
pub fn quantize(directory: impl AsRef<Path>, name: &str, samples: &[&str]) -> Result<Quantized> {
    let directory = directory.as_ref();
    let full = Model::open(directory)?;
    if full.precision != Precision::F32 {
        return Err(Error::misuse(format!("{} is quantized already", directory.display())).with_path(directory));
    }
    if samples.is_empty() {
        return Err(Error::misuse("the drift cannot be measured without sample passages"));
    }
    let reference = BiEncoderOptions::default().build(full)?.encode_passages(samples)?;
    let quantized = Model::open(directory)?.quantized()?;
    let licence = quantized.licence.clone();
    let encoder = BiEncoderOptions::default().build(Model::open(directory)?.quantized()?)?;
    let drift = drift(&reference, &encoder, samples)?;
    Ok(Quantized { artifact: write_artifact(&quantized, name, licence, Some(drift))?, drift })
}

fn drift(reference: &[crate::Embedding], encoder: &BiEncoder, samples: &[&str]) -> Result<Drift> {
    let cosines: Vec<f64> = reference
        .iter()
        .zip(encoder.encode_passages(samples)?)
        .map(|(full, quantized)| cosine(full, &quantized))
        .collect();
    let mean = cosines.iter().sum::<f64>() / cosines.len() as f64;
    // Three decimals, rounded down: finer ones differ between instruction sets, and the artifact must not.
    let rounded = |cosine: f64| (cosine * 1e3).floor() / 1e3;
    Ok(Drift { mean_cosine: rounded(mean), min_cosine: rounded(cosines.iter().copied().fold(f64::INFINITY, f64::min)) })
}

fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
    match (dot(a, a) * dot(b, b)).sqrt() {
        // Without a direction: alike only if both are. NaN could not be written.
        0.0 => f64::from(u8::from(a == b)),
        norms => dot(a, b) / norms,
    }
}
