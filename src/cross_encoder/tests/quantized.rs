//! Artifacts of cross-encoders: the same everywhere, and as close to the full weights as they say.

use std::path::PathBuf;

use tempfile::TempDir;

use super::{GOLDEN, Questions, bits, logits, open};
use crate::cross_encoder::{CrossEncoder, QuantizedCrossEncoder};
use crate::model::ModelKind;
use crate::model::tests::fixture::golden_path;
use crate::{BiEncoder, ErrorKind, Precision};

fn made(golden: &str) -> QuantizedCrossEncoder {
    CrossEncoder::quantize(golden_path(golden), "some-model", &Questions::read().pairs()).unwrap()
}

/// The artifact as a file, for as long as the directory lives.
fn placed(artifact: &[u8]) -> (TempDir, PathBuf) {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("model.marcato");
    std::fs::write(&path, artifact).unwrap();
    (root, path)
}

#[test]
fn an_artifact_is_its_directory_quantized() {
    let questions = Questions::read();
    for golden in GOLDEN {
        let artifact = made(golden).artifact;
        assert!(artifact == made(golden).artifact, "{golden}: other bytes the second time");
        let (_root, path) = placed(&artifact);
        assert_eq!(ModelKind::of(&path).unwrap(), ModelKind::CrossEncoder);
        let directory =
            CrossEncoder::options().threads(1).precision(Precision::Int8).open(golden_path(golden)).unwrap();
        let from_artifact = open(&path);
        let scores = |model: &CrossEncoder| bits(&model.score_labels(&questions.pairs()).unwrap());
        assert!(scores(&from_artifact) == scores(&directory), "{golden}");
        let (found, expected) = (from_artifact.info(), directory.info());
        assert_eq!(found.fingerprint, expected.fingerprint, "{golden}");
        assert_ne!(found.fingerprint, open(&golden_path(golden)).info().fingerprint, "{golden}: as the full weights'");
        assert_eq!((found.precision, &found.labels), (Precision::Int8, &expected.labels), "{golden}");
        assert_eq!((found.activation, found.max_tokens), (expected.activation, expected.max_tokens), "{golden}");
        assert_eq!((found.parameters, found.name.as_str()), (expected.parameters, "some-model"), "{golden}");
    }
}

#[test]
fn the_drift_is_what_it_says() {
    let questions = Questions::read();
    for golden in GOLDEN {
        let QuantizedCrossEncoder { artifact, drift } = made(golden);
        let (_root, path) = placed(&artifact);
        assert_eq!(open(&path).info().drift, Some(drift), "{golden}");
        let full = logits(&golden_path(golden), &questions.pairs()).concat();
        let quantized = logits(&path, &questions.pairs()).concat();
        let errors: Vec<f64> = full.iter().zip(&quantized).map(|(a, b)| f64::from((a - b).abs())).collect();
        let mean = errors.iter().sum::<f64>() / errors.len() as f64;
        let largest = errors.iter().copied().fold(0.0, f64::max);
        println!("{golden}: mean {mean:.4}, largest {largest:.4}, says {drift:?}");
        for (stated, measured) in [(drift.mean_error, mean), (drift.max_error, largest)] {
            assert!((0.0..1e-3 + 1e-9).contains(&(stated - measured)), "{golden}: {measured} is not {stated}");
        }
        assert!(drift.mean_error > 0.0 && drift.max_error < 1.0, "{golden}: {drift:?}");
    }
}

#[test]
fn what_cannot_be_quantized() {
    let misuse = CrossEncoder::quantize(golden_path("cross_bert"), "none", &[]).unwrap_err();
    assert_eq!(misuse.kind(), ErrorKind::Misuse);
    let (_root, artifact) = placed(&made("cross_bert").artifact);
    let twice = CrossEncoder::quantize(&artifact, "twice", &[("query", "passage")]).unwrap_err();
    assert_eq!((twice.kind(), twice.path()), (ErrorKind::Misuse, Some(artifact.as_path())));
    let full = CrossEncoder::options().precision(Precision::F32).open(&artifact).unwrap_err();
    assert_eq!(full.kind(), ErrorKind::Misuse);
    let other = BiEncoder::open(&artifact).unwrap_err();
    assert!(other.kind() == ErrorKind::Misuse && other.to_string().contains("cross-encoder"), "{other}");
}

#[test]
fn a_damaged_artifact_is_an_error() {
    let sound = made("cross_electra").artifact;
    for at in (0..sound.len()).step_by(sound.len() / 20) {
        let mut damaged = sound.clone();
        damaged[at] ^= 0x10;
        let (_root, path) = placed(&damaged);
        let error = CrossEncoder::open(&path).unwrap_err();
        assert!(!matches!(error.kind(), ErrorKind::Misuse | ErrorKind::Io), "byte {at}: {error:?}");
    }
}
