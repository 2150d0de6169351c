//! A whole model in one file: a safetensors container, so that every tool of the field can look inside.
//!
//! Format version 1:
//!
//! | in the container | what it is |
//! |---|---|
//! | `__metadata__["marcato"]` | JSON: `version` (1), `name`, `license`, `fingerprint`, `drift` {`mean_cosine`, `min_cosine`} of a bi-encoder, `score_drift` {`mean_error`, `max_error`} of a cross-encoder, `similarity` where files and name imply another |
//! | a tensor by its canonical name, I8 | s8 numbers, row-major; matrices `[out, in]`, the word table `[vocabulary, width]` |
//! | that name + `.scale`, F32 `[rows]` | one scale per row: number = s8 * scale |
//! | any other tensor by its canonical name, F32, F16 or BF16 | as the full weights have it, but for RoBERTa's position table, which begins at the row of `pad_token_id` |
//! | a module's folder + `.` + its tensor's name (`2_Dense.linear.weight`) | likewise, never s8 |
//! | `file:` + name, U8 | a file of the model as it was: `config.json`, `tokenizer.json`, `modules.json`, ... |
//! | `checksum`, U8 `[16]` | xxh3-128, little-endian, of the whole file with these 16 bytes zero |
//!
//! The writer sorts as the safetensors crate does (by type, then name), so the same model gives the same bytes.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::Xxh3Default;

use super::blob::Blob;
use super::weights::{Entry, parse_safetensors};
use super::{Drift, Model, ScoreDrift};
use crate::error::{Error, ErrorKind, Result};
use crate::similarity::Similarity;

const VERSION: u32 = 1;
const METADATA_KEY: &str = "marcato";
const FILE_PREFIX: &str = "file:";
const CHECKSUM: &str = "checksum";
pub(super) const SCALE_SUFFIX: &str = ".scale";

/// Who made a model and under which terms.
#[derive(Clone, Debug)]
pub(crate) struct Card {
    pub(crate) name: String,
    pub(crate) licence: Option<String>,
    pub(crate) drift: Option<Drift>,
    pub(crate) score_drift: Option<ScoreDrift>,
    /// Of an artifact, as it was written; a directory's has to be computed.
    pub(crate) fingerprint: Option<String>,
    /// Of an artifact, where its name would say otherwise.
    pub(crate) similarity: Option<Similarity>,
}

#[derive(Serialize, Deserialize)]
struct Metadata {
    version: u32,
    name: String,
    license: Option<String>,
    fingerprint: String,
    drift: Option<Drift>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    score_drift: Option<ScoreDrift>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    similarity: Option<String>,
}

/// An opened artifact, checked against its checksum.
pub(crate) struct Artifact {
    location: PathBuf,
    card: Card,
    files: BTreeMap<String, Blob>,
    tensors: BTreeMap<String, (Dtype, Vec<usize>, Blob)>,
}

impl Artifact {
    pub(super) fn parse(bytes: Blob, location: &Path) -> Result<Self> {
        let name = location.display().to_string();
        let located = |error: Error| error.with_path(location);
        let mut entries = parse_safetensors(&name, &bytes).map_err(located)?;
        let metadata = parse_metadata(&name, &bytes).map_err(located)?;
        verify(&name, bytes.as_slice()).map_err(located)?;
        entries.remove(CHECKSUM);
        let mut files = BTreeMap::new();
        let mut tensors = BTreeMap::new();
        for (name, Entry { dtype, shape, bytes }) in entries {
            match name.strip_prefix(FILE_PREFIX) {
                Some(file) => drop(files.insert(file.to_owned(), bytes)),
                None => drop(tensors.insert(name, (dtype, shape, bytes))),
            }
        }
        let Metadata { name, license: licence, fingerprint, drift, score_drift, similarity, .. } = metadata;
        let unknown = |source| located(Error::model(format!("artifact {name}: similarity")).with_source(source));
        let similarity = similarity.map(|name| name.parse()).transpose().map_err(unknown)?;
        let card = Card { name, licence, drift, score_drift, fingerprint: Some(fingerprint), similarity };
        Ok(Self { location: location.to_owned(), card, files, tensors })
    }

    pub(super) fn location(&self) -> &Path {
        &self.location
    }

    pub(super) fn card(&self) -> &Card {
        &self.card
    }

    pub(super) fn file(&self, name: &str) -> Option<Blob> {
        self.files.get(name).cloned()
    }

    pub(super) fn tensors(&self) -> BTreeMap<String, Entry> {
        let entry = |(dtype, shape, bytes): &(Dtype, Vec<usize>, Blob)| Entry {
            dtype: *dtype,
            shape: shape.clone(),
            bytes: bytes.clone(),
        };
        self.tensors.iter().map(|(name, tensor)| (name.clone(), entry(tensor))).collect()
    }
}

/// The fingerprint that the artifact in `bytes` says it has, without reading the rest of it.
#[cfg(any(feature = "builtin", test))]
pub(crate) fn artifact_fingerprint(bytes: &'static [u8]) -> Result<String> {
    Ok(parse_metadata("built-in", &Blob::from_static(bytes))?.fingerprint)
}

fn parse_metadata(name: &str, bytes: &Blob) -> Result<Metadata> {
    let (_, header) = SafeTensors::read_metadata(bytes.as_slice())
        .map_err(|source| Error::model(format!("{name} is not a valid safetensors file")).with_source(source))?;
    let json = header.metadata().as_ref().and_then(|metadata| metadata.get(METADATA_KEY)).ok_or_else(|| {
        Error::model(format!(
            "{name} is not a Marcato artifact: make one with `marcato model quantize`, or name the model's directory"
        ))
    })?;
    // The version first: a later one may have other fields.
    #[derive(Deserialize)]
    struct Version {
        version: u32,
    }
    let malformed =
        |source| Error::corrupt(format!("the metadata of artifact {name} is malformed")).with_source(source);
    let Version { version } = serde_json::from_str(json).map_err(malformed)?;
    if version != VERSION {
        return Err(Error::new(
            ErrorKind::Incompatible,
            format!(
                "artifact {name} has format version {version}, this program reads {VERSION}; make it again with `marcato model quantize`"
            ),
        ));
    }
    serde_json::from_str(json).map_err(malformed)
}

/// Compares the whole file with its checksum, so that a flipped bit is an error and not another vector.
fn verify(name: &str, whole: &[u8]) -> Result<()> {
    let stored = checksum_position(whole).and_then(|at| Some((at, whole.get(at..at + 16)?.try_into().ok()?)));
    match stored {
        Some((at, stored)) if digest(whole, at) == u128::from_le_bytes(stored) => Ok(()),
        _ => Err(Error::corrupt(format!(
            "artifact {name} is damaged: its checksum does not match; fetch or make it again"
        ))),
    }
}

/// xxh3-128 of `whole` with the 16 bytes from `at` on taken as zero.
fn digest(whole: &[u8], at: usize) -> u128 {
    let mut hash = Xxh3Default::new();
    hash.update(whole.get(..at).unwrap_or_default());
    hash.update(&[0; 16]);
    hash.update(whole.get(at + 16..).unwrap_or_default());
    hash.digest128()
}

/// The bytes of `model` as an artifact; `model` must have been [`quantized`](Model::quantized). The drift of a
/// cross-encoder's scores is the model's own.
pub(crate) fn write_artifact(
    model: &Model,
    name: &str,
    license: Option<String>,
    drift: Option<Drift>,
) -> Result<Vec<u8>> {
    let failed = |source| Error::model("cannot lay out the artifact").with_source(source);
    // The table of known models goes by a model's name, and the artifact may have another than the directory had.
    let similarity = (model.modules.similarity(name) != model.similarity).then(|| model.similarity.name().to_owned());
    let fingerprint = model.fingerprint();
    let (name, score_drift) = (name.to_owned(), model.score_drift);
    let metadata = Metadata { version: VERSION, name, license, fingerprint, drift, score_drift, similarity };
    let json = serde_json::to_string(&metadata)
        .map_err(|source| Error::model("cannot write the metadata").with_source(source))?;
    let prefixed = |(name, bytes): (String, Blob)| (format!("{FILE_PREFIX}{name}"), bytes);
    let files: Vec<(String, Blob)> = model.files().taken()?.into_iter().map(prefixed).collect();
    let mut views = vec![(CHECKSUM.to_owned(), TensorView::new(Dtype::U8, vec![16], &[0; 16]).map_err(failed)?)];
    for (name, bytes) in &files {
        let bytes = bytes.as_slice();
        views.push((name.clone(), TensorView::new(Dtype::U8, vec![bytes.len()], bytes).map_err(failed)?));
    }
    for (name, tensor) in model.weights.iter() {
        let (dtype, parts) = tensor.parts();
        for (part, bytes) in parts.into_iter().enumerate() {
            let view = match part {
                0 => (name.to_owned(), TensorView::new(dtype, tensor.shape.clone(), bytes.as_slice())),
                _ => {
                    let rows = tensor.shape.iter().take(1).copied().collect();
                    (format!("{name}{SCALE_SUFFIX}"), TensorView::new(Dtype::F32, rows, bytes.as_slice()))
                }
            };
            views.push((view.0, view.1.map_err(failed)?));
        }
    }
    let header = HashMap::from([(METADATA_KEY.to_owned(), json)]);
    let mut bytes = safetensors::serialize(views, Some(header)).map_err(failed)?;
    let at = checksum_position(&bytes).ok_or_else(|| Error::model("cannot lay out the artifact"))?;
    let digest = digest(&bytes, at).to_le_bytes();
    if let Some(place) = bytes.get_mut(at..at + 16) {
        place.copy_from_slice(&digest);
    }
    Ok(bytes)
}

/// Where in a container the checksum is.
fn checksum_position(bytes: &[u8]) -> Option<usize> {
    let (header, metadata) = SafeTensors::read_metadata(bytes).ok()?;
    Some(header + size_of::<u64>() + metadata.info(CHECKSUM)?.data_offsets.0)
}
