//! `marcato model`: what a model is, and artifacts.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde_json::json;

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
    let args = EncoderArgs { model, precision: PrecisionArg::Auto, backend: BackendArg::Cpu, threads: Some(1) };
    let encoder = open::encoder(&args)?;
    let info = encoder.info();
    let pairs = [
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
    if output.json {
        let object: serde_json::Map<_, _> = pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
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
