//! `marcato model`: what a model is, and artifacts.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use marcato::{CrossEncoder, ModelKind};
use serde_json::{Value, json};

use super::demo;
use crate::args::{BackendArg, EncoderArgs, Model, PrecisionArg};
use crate::open;
use crate::output::Output;

pub(crate) fn run(model: &Model, output: &mut Output) -> Result<()> {
    match model {
        Model::Info { model } => info(model.clone(), output),
        Model::Quantize { directory, output: path, name } => quantize(directory, path, name.as_deref(), output),
    }
}

fn info(model: Option<String>, output: &mut Output) -> Result<()> {
    if let Some(path) = model.as_deref().filter(|path| is_cross_encoder(Path::new(path))) {
        return cross_encoder_info(path, output);
    }
    let args = EncoderArgs { model, precision: PrecisionArg::Auto, backend: BackendArg::Cpu, threads: Some(1) };
    let encoder = open::encoder(&args)?;
    let info = encoder.info();
    let pairs = [
        ("kind", json!(ModelKind::BiEncoder.name())),
        ("name", json!(info.name)),
        ("architecture", json!(info.architecture)),
        ("parameters", json!(info.parameters)),
        ("layers", json!(info.layers)),
        ("dimension", json!(info.dimension)),
        ("pooling", json!(info.pooling)),
        ("normalized", json!(info.normalized)),
        ("similarity", json!(info.similarity.name())),
        ("max_tokens", json!(info.max_tokens)),
        ("precision", json!(info.precision.name())),
        ("drift", json!(info.drift)),
        ("licence", json!(info.licence)),
        ("fingerprint", json!(info.fingerprint)),
    ];
    print(&pairs, output)
}

fn cross_encoder_info(path: &str, output: &mut Output) -> Result<()> {
    let model = CrossEncoder::options().threads(1).open(path)?;
    let info = model.info();
    let pairs = [
        ("kind", json!(ModelKind::CrossEncoder.name())),
        ("name", json!(info.name)),
        ("architecture", json!(info.architecture)),
        ("parameters", json!(info.parameters)),
        ("layers", json!(info.layers)),
        ("labels", json!(info.labels)),
        ("activation", json!(info.activation.name())),
        ("max_tokens", json!(info.max_tokens)),
        ("precision", json!(info.precision.name())),
        ("drift", json!(info.drift)),
        ("licence", json!(info.licence)),
        ("fingerprint", json!(info.fingerprint)),
    ];
    print(&pairs, output)
}

/// Whether a cross-encoder is there; what is wrong with it otherwise is told when it is opened.
fn is_cross_encoder(path: &Path) -> bool {
    ModelKind::of(path).is_ok_and(|kind| kind == ModelKind::CrossEncoder)
}

fn print(pairs: &[(&str, Value)], output: &mut Output) -> Result<()> {
    if output.json {
        let object: serde_json::Map<_, _> =
            pairs.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect();
        return output.value(&object);
    }
    for (key, value) in pairs {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        if value != "null" {
            output.line(format!("{key:<13} {value}"))?;
        }
    }
    Ok(())
}

fn quantize(directory: &Path, path: &Path, name: Option<&str>, output: &mut Output) -> Result<()> {
    let folder = directory.file_name().map(|name| name.to_string_lossy().into_owned());
    let Some(name) = name.map(str::to_owned).or(folder) else {
        bail!("give the artifact a --name");
    };
    if is_cross_encoder(directory) {
        return quantize_cross_encoder(directory, path, &name, output);
    }
    let samples = demo::texts()?;
    let samples: Vec<&str> = samples.iter().map(String::as_str).collect();
    let quantized = marcato::quantize(directory, &name, &samples)?;
    fs::write(path, &quantized.artifact).with_context(|| format!("cannot write {}", path.display()))?;
    let (bytes, drift) = (quantized.artifact.len(), quantized.drift);
    if output.json {
        output.value(&json!({"name": name, "output": path, "bytes": bytes, "drift": drift}))
    } else {
        output.line(format!(
            "{}: {}, cosine to the full weights {:.3} on average, {:.3} at least, over {} passages",
            path.display(),
            indicatif::HumanBytes(bytes as u64),
            drift.mean_cosine,
            drift.min_cosine,
            samples.len()
        ))
    }
}

fn quantize_cross_encoder(directory: &Path, path: &Path, name: &str, output: &mut Output) -> Result<()> {
    let samples = demo::pairs()?;
    let samples: Vec<(&str, &str)> = samples.iter().map(|(query, text)| (query.as_str(), text.as_str())).collect();
    let quantized = CrossEncoder::quantize(directory, name, &samples)?;
    fs::write(path, &quantized.artifact).with_context(|| format!("cannot write {}", path.display()))?;
    let (bytes, drift) = (quantized.artifact.len(), quantized.drift);
    if output.json {
        output.value(&json!({"name": name, "output": path, "bytes": bytes, "drift": drift}))
    } else {
        output.line(format!(
            "{}: {}, logits {:.3} from those of the full weights on average, {:.3} at most, over {} pairs",
            path.display(),
            indicatif::HumanBytes(bytes as u64),
            drift.mean_error,
            drift.max_error,
            samples.len()
        ))
    }
}
