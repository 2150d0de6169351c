//! Artifacts made by `quantize`: the same everywhere, and as close to the full weights as they say.

use std::path::Path;

use safetensors::Dtype;
use tempfile::TempDir;

use super::{bits, open};
use crate::bi_encoder::{BiEncoder, Encoder, Quantized, quantize};
use crate::model::Precision;
use crate::model::tests::fixture::{Expected, Fixture, GOLDEN, golden_path};
use crate::{Embedding, ErrorKind};

fn made(golden: &str) -> Quantized {
    quantize(golden_path(golden), "some-model", &Expected::of(golden).texts()).unwrap()
}

/// The artifact as a file, for as long as the directory lives.
fn placed(artifact: &[u8]) -> (TempDir, std::path::PathBuf) {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("model.marcato");
    std::fs::write(&path, artifact).unwrap();
    (root, path)
}

fn int8(path: &Path) -> BiEncoder {
    BiEncoder::options().threads(1).precision(Precision::Int8).open(path).unwrap()
}

fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
    dot(a, b) / (dot(a, a).sqrt() * dot(b, b).sqrt())
}

#[test]
fn an_artifact_is_its_directory_quantized() {
    for golden in GOLDEN {
        let artifact = made(golden).artifact;
        assert!(artifact == made(golden).artifact, "{golden}: other bytes the second time");
        let (_root, path) = placed(&artifact);
        let (from_artifact, from_directory) = (open(&path), int8(&golden_path(golden)));
        let expected = Expected::of(golden);
        let texts = expected.texts();
        for (found, expected) in [
            (from_artifact.encode_passages(&texts).unwrap(), from_directory.encode_passages(&texts).unwrap()),
            (from_artifact.encode_queries(&texts).unwrap(), from_directory.encode_queries(&texts).unwrap()),
        ] {
            assert!(bits(&found) == bits(&expected), "{golden}");
        }
        let (found, expected) = (from_artifact.info(), from_directory.info());
        assert_eq!(found.fingerprint, expected.fingerprint, "{golden}");
        assert_ne!(found.fingerprint, open(&golden_path(golden)).info().fingerprint, "{golden}: as the full weights'");
        assert_eq!((found.precision, expected.precision), (Precision::Int8, Precision::Int8));
        assert_eq!((found.similarity, found.max_tokens), (expected.similarity, expected.max_tokens), "{golden}");
        assert_eq!((&found.pooling, found.normalized), (&expected.pooling, expected.normalized), "{golden}");
        assert_eq!(found.parameters, expected.parameters, "{golden}");
        assert_eq!(found.name, "some-model");
    }
}

#[test]
fn the_drift_is_what_it_says() {
    for golden in GOLDEN {
        let Quantized { artifact, drift } = made(golden);
        let (_root, path) = placed(&artifact);
        let encoder = open(&path);
        assert_eq!(encoder.info().drift, Some(drift), "{golden}");
        let texts = Expected::of(golden).texts;
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let pairs: Vec<(Embedding, Embedding)> = open(&golden_path(golden))
            .encode_passages(&texts)
            .unwrap()
            .into_iter()
            .zip(encoder.encode_passages(&texts).unwrap())
            .collect();
        let cosines: Vec<f64> = pairs.iter().map(|(full, quantized)| cosine(full, quantized)).collect();
        let mean = cosines.iter().sum::<f64>() / cosines.len() as f64;
        let smallest = cosines.iter().copied().fold(1.0, f64::min);
        println!("{golden}: mean {mean:.6}, smallest {smallest:.6}, says {drift:?}");
        for (measured, stated) in [(mean, drift.mean_cosine), (smallest, drift.min_cosine)] {
            assert!((0.0..1e-3 + 1e-9).contains(&(measured - stated)), "{golden}: {measured} is not {stated}");
        }
        assert!(drift.min_cosine > 0.98 && drift.mean_cosine < 1.0, "{golden}: {drift:?}");
    }
}

#[test]
fn what_cannot_be_quantized() {
    let (_root, artifact) = placed(&made("mean").artifact);
    let misuse = quantize(golden_path("mean"), "none", &[]).unwrap_err();
    assert_eq!(misuse.kind(), ErrorKind::Misuse);
    let twice = quantize(&artifact, "twice", &["text"]).unwrap_err();
    assert_eq!(twice.kind(), ErrorKind::Misuse);
    assert_eq!(twice.path(), Some(artifact.as_path()));
    assert_eq!(quantize(golden_path("gone"), "gone", &["text"]).unwrap_err().kind(), ErrorKind::NotFound);
}

#[test]
fn full_precision_is_not_in_an_artifact() {
    let (_root, artifact) = placed(&made("mean").artifact);
    let error = BiEncoder::options().precision(Precision::F32).open(&artifact).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Misuse);
    assert!(error.to_string().contains("some-model") && error.to_string().contains("f32"), "{error}");
    assert_eq!(int8(&artifact).info().fingerprint, open(&artifact).info().fingerprint);
    let full = BiEncoder::options().precision(Precision::F32).open(golden_path("mean")).unwrap();
    assert_eq!(full.info().precision, Precision::F32);
}

#[test]
fn a_damaged_artifact_is_an_error() {
    let sound = made("relu").artifact;
    for at in (0..sound.len()).step_by(sound.len() / 20) {
        let mut damaged = sound.clone();
        damaged[at] ^= 0x10;
        let (_root, path) = placed(&damaged);
        let error = BiEncoder::open(&path).unwrap_err();
        assert!(!matches!(error.kind(), ErrorKind::Misuse | ErrorKind::Io), "byte {at}: {error:?}");
        let (_root, path) = placed(&sound[..at]);
        assert!(BiEncoder::open(&path).is_err(), "{at} bytes");
    }
}

/// A model that says nothing about a text: its cosine is no number, and must not become the artifact's drift.
#[test]
fn vectors_of_zeros_have_a_drift() {
    let mut fixture = Fixture::golden("relu");
    for part in ["weight", "bias"] {
        fixture.numbers(&format!("encoder.layer.0.output.LayerNorm.{part}"), |numbers| numbers.fill(0.0));
    }
    let directory = fixture.place();
    assert!(open(&directory.path).encode_passages(&["text"]).unwrap()[0].iter().all(|number| *number == 0.0));
    let Quantized { artifact, drift } = quantize(&directory.path, "zeros", &["text"]).unwrap();
    assert!(drift.mean_cosine.is_finite() && drift.min_cosine.is_finite(), "{drift:?}");
    let (_root, path) = placed(&artifact);
    assert_eq!(open(&path).info().drift, Some(drift));
}

/// Weights in half precision are read into f32: the vectors are those of the rounded numbers.
#[test]
fn half_precision_gives_the_vectors_of_its_numbers() {
    let expected = Expected::of("cls");
    let texts = expected.texts();
    let exact = open(&golden_path("cls")).encode_passages(&texts).unwrap();
    for (dtype, closeness) in [(Dtype::F16, 0.999_99), (Dtype::BF16, 0.999)] {
        let (mut half, mut full) = (Fixture::golden("cls"), Fixture::golden("cls"));
        for (name, raw) in Fixture::golden("cls").tensors {
            let (rounded, widened) = raw.rounded(dtype);
            half.tensors.insert(name.clone(), rounded);
            full.tensors.insert(name, widened);
        }
        let vectors = |fixture: &Fixture| open(&fixture.place().path).encode_passages(&texts).unwrap();
        let found = vectors(&half);
        assert!(bits(&found) == bits(&vectors(&full)), "{dtype:?}");
        let smallest = found.iter().zip(&exact).map(|(a, b)| cosine(a, b)).fold(1.0, f64::min);
        assert!(smallest > closeness && smallest < 1.0, "{dtype:?}: {smallest}");
    }
}
