//! A cross-encoder with full weights to an artifact with s8 weights, and the drift that this costs.

use std::path::Path;

use super::{CrossEncoder, CrossEncoderOptions, Pair};
use crate::error::{Error, Result};
use crate::model::{Model, ModelKind, Precision, ScoreDrift, write_artifact};

/// An artifact just made.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct QuantizedCrossEncoder {
    /// The file's content. The same model and samples give the same bytes.
    pub artifact: Vec<u8>,
    /// The difference of logits to the full weights over the samples, rounded up to three decimals.
    pub drift: ScoreDrift,
}

impl CrossEncoder {
    /// Quantizes the model in `directory` to s8 weights and measures the drift over the pairs of query and passage in
    /// `samples`. The head keeps its full weights.
    ///
    /// `name` is what the artifact calls itself; the licence is taken from the model's card, its `README.md`.
    ///
    /// # Errors
    /// As [`CrossEncoder::open`]; `Misuse` if the model is quantized already or there are no samples.
    pub fn quantize(
        directory: impl AsRef<Path>,
        name: &str,
        samples: &[(&str, &str)],
    ) -> Result<QuantizedCrossEncoder> {
        let directory = directory.as_ref();
        let full = Model::open(directory)?;
        full.kind().expect(ModelKind::CrossEncoder, &full.name)?;
        if full.precision != Precision::F32 {
            return Err(Error::misuse(format!("{} is quantized already", directory.display())).with_path(directory));
        }
        if samples.is_empty() {
            return Err(Error::misuse("the drift cannot be measured without sample pairs"));
        }
        let reference = logits(full, samples)?;
        let mut quantized = Model::open(directory)?.quantized()?;
        let drift = drift(&reference, &logits(Model::open(directory)?.quantized()?, samples)?);
        quantized.score_drift = Some(drift);
        let licence = quantized.licence.clone();
        Ok(QuantizedCrossEncoder { artifact: write_artifact(&quantized, name, licence, None)?, drift })
    }
}

/// Of each pair and label, one after the other.
fn logits(model: Model, samples: &[Pair<'_>]) -> Result<Vec<f32>> {
    Ok(CrossEncoderOptions::default().build(model)?.0.logits(samples)?.concat())
}

fn drift(reference: &[f32], quantized: &[f32]) -> ScoreDrift {
    let differences = reference.iter().zip(quantized).map(|(a, b)| f64::from((a - b).abs()));
    let (mut sum, mut largest) = (0.0, 0_f64);
    for difference in differences {
        sum += difference;
        largest = largest.max(difference);
    }
    // Three decimals, rounded up: finer ones differ between instruction sets, and the artifact must not.
    let rounded = |error: f64| (error * 1e3).ceil() / 1e3;
    ScoreDrift { mean_error: rounded(sum / reference.len().max(1) as f64), max_error: rounded(largest) }
}
