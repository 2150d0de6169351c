//! The tensors of the canonical encoder, by reference into the file that holds them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use half::{bf16, f16};
use safetensors::{Dtype, SafeTensors};
use sha2::{Digest, Sha256};

use super::artifact::SCALE_SUFFIX;
use super::blob::Blob;
use super::config::EncoderConfig;
use super::files::{ModelFiles, Place};
use super::head::Head;
use super::keys::parse_json;
use super::modules::{Module, inside, tensor};
use super::names::{Slot, slots};
use super::quantize::{dequantize_rows, quantize_rows};
use crate::error::{Error, Result};

/// The canonical tensors by name. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Weights(BTreeMap<String, Tensor>);

/// One tensor, row-major.
#[derive(Clone)]
pub(crate) struct Tensor {
    pub(crate) shape: Vec<usize>,
    data: Data,
}

#[derive(Clone)]
enum Data {
    F32(Blob),
    F16(Blob),
    Bf16(Blob),
    /// One s8 per number, one f32 scale per row.
    S8 {
        values: Blob,
        scales: Blob,
    },
}

/// A tensor as a safetensors file lists it.
pub(super) struct Entry {
    pub(super) dtype: Dtype,
    pub(super) shape: Vec<usize>,
    pub(super) bytes: Blob,
}

impl Weights {
    /// Those of the encoder in `folder` and of the modules or the head after it.
    pub(super) fn load(
        files: &ModelFiles,
        folder: &str,
        config: &EncoderConfig,
        modules: &[Module],
        head: Option<&Head>,
    ) -> Result<Self> {
        let names = config.architecture.names();
        // An artifact has the canonical tensors.
        let (mut entries, is_checkpoint) = match &files.place {
            Place::Directory(root) => (read_directory(root, folder)?, true),
            Place::Artifact(artifact) => (artifact.tensors(), false),
        };
        let prefix = names.prefix;
        // The prefix is detected from the names, not tried: a wrong guess would report the wrong tensor.
        let prefixed = !entries.contains_key("embeddings.word_embeddings.weight")
            && entries.contains_key(&format!("{prefix}embeddings.word_embeddings.weight"));
        let spelled = |canonical: &str| match (is_checkpoint, prefixed) {
            (false, _) => canonical.to_owned(),
            (true, false) => names.of(canonical),
            (true, true) => format!("{prefix}{}", names.of(canonical)),
        };
        let mut slots: Vec<(String, Slot)> =
            slots(config).into_iter().map(|slot| (spelled(&slot.name), slot)).collect();
        for module in modules {
            if let (Place::Directory(root), Some(folder)) = (&files.place, module.folder()) {
                let own = read_directory(root, folder)?;
                entries.extend(own.into_iter().map(|(name, entry)| (tensor(folder, &name), entry)));
            }
            slots.extend(module.tensors().into_iter().map(|(name, shape)| (name.clone(), Slot::full(name, shape))));
        }
        for (theirs, slot) in
            head.map(|head| head.slots(config, if prefixed { prefix } else { "" })).unwrap_or_default()
        {
            slots.push((if is_checkpoint { theirs } else { slot.name.clone() }, slot));
        }
        let mut tensors = BTreeMap::new();
        for (name, slot) in slots {
            let mut entry = entries.remove(&name).ok_or_else(|| {
                Error::model(format!("the weights of {} lack tensor \"{name}\"", files.location().display()))
            })?;
            if is_checkpoint && slot.skipped > 0 {
                entry = entry.without_rows(&name, &slot)?;
            }
            let scales = entries.remove(&format!("{name}{SCALE_SUFFIX}"));
            tensors.insert(slot.name.clone(), Tensor::check(&name, &slot, entry, scales)?);
        }
        let left = entries.keys().map(|name| name.strip_prefix(prefix).unwrap_or(name));
        if let Some(name) = left.into_iter().find(|name| !names.is_unused(name)) {
            return Err(Error::model(format!(
                "the weights hold tensor \"{name}\", which a {} encoder with {} layers and its modules do not have",
                names.model_type, config.layers
            )));
        }
        Ok(Self(tensors))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &Tensor)> {
        self.0.iter().map(|(name, tensor)| (name.as_str(), tensor))
    }

    /// The tensor of a canonical name; one that the configuration implies is always there.
    pub(crate) fn get(&self, name: &str) -> Result<&Tensor> {
        self.0.get(name).ok_or_else(|| Error::model(format!("the weights lack tensor \"{name}\"")))
    }

    pub(crate) fn is_quantized(&self) -> bool {
        self.0.values().any(|tensor| matches!(tensor.data, Data::S8 { .. }))
    }

    /// The same numbers with every tensor in f32.
    pub(crate) fn dequantized(&self) -> Self {
        let wide = |tensor: &Tensor| {
            let bytes = tensor.to_f32().into_iter().flat_map(f32::to_le_bytes).collect();
            Tensor { shape: tensor.shape.clone(), data: Data::F32(Blob::from_vec(bytes)) }
        };
        let wide = |(name, tensor): (&String, &Tensor)| match tensor.data {
            Data::S8 { .. } => (name.clone(), wide(tensor)),
            _ => (name.clone(), tensor.clone()),
        };
        Self(self.0.iter().map(wide).collect())
    }

    /// The same weights with matrices and the word table in s8.
    pub(super) fn quantized(&self, config: &EncoderConfig) -> Result<Self> {
        let mut tensors = self.0.clone();
        for slot in slots(config).into_iter().filter(|slot| slot.quantized) {
            if let Some(tensor) = tensors.get_mut(&slot.name) {
                let columns = slot.shape.last().copied().unwrap_or(1);
                let (values, scales) = quantize_rows(&tensor.to_f32(), columns);
                let values = values.iter().map(|value| value.cast_unsigned()).collect();
                let scales = scales.iter().flat_map(|scale| scale.to_le_bytes()).collect();
                tensor.data = Data::S8 { values: Blob::from_vec(values), scales: Blob::from_vec(scales) };
            }
        }
        Ok(Self(tensors))
    }
}

impl Entry {
    /// The rows of a checkpoint's table that the canonical one has: those after the skipped ones.
    fn without_rows(self, name: &str, slot: &Slot) -> Result<Self> {
        let mut whole = slot.shape.clone();
        whole.iter_mut().take(1).for_each(|rows| *rows += slot.skipped);
        if self.shape != whole {
            return Err(Error::model(format!("tensor \"{name}\" is {:?}, config.json implies {whole:?}", self.shape)));
        }
        let (rows, size) = (whole.first().copied().unwrap_or(1), self.bytes.as_slice().len());
        let bytes = self.bytes.slice(size / rows.max(1) * slot.skipped..size).unwrap_or(self.bytes);
        Ok(Self { dtype: self.dtype, shape: slot.shape.clone(), bytes })
    }
}

impl Tensor {
    /// Compares what the file has with what the shape of the model implies.
    fn check(name: &str, slot: &Slot, entry: Entry, scales: Option<Entry>) -> Result<Self> {
        let Slot { shape, quantized, .. } = slot;
        if entry.shape != *shape {
            return Err(Error::model(format!("tensor \"{name}\" is {:?}, config.json implies {shape:?}", entry.shape)));
        }
        let data = match (entry.dtype, scales) {
            (Dtype::F32, None) => Data::F32(entry.bytes),
            (Dtype::F16, None) => Data::F16(entry.bytes),
            (Dtype::BF16, None) => Data::Bf16(entry.bytes),
            (Dtype::I8, Some(scales)) if *quantized => {
                let rows = shape.first().copied().unwrap_or_default();
                if scales.dtype != Dtype::F32 || scales.shape != [rows] {
                    return Err(Error::model(format!(
                        "the scales of tensor \"{name}\" are {:?}, expected [{rows}] of F32",
                        scales.shape
                    )));
                }
                Data::S8 { values: entry.bytes, scales: scales.bytes }
            }
            (dtype, _) => {
                return Err(Error::model(format!(
                    "tensor \"{name}\" is of type {dtype:?}; F32, F16 and BF16 are supported"
                )));
            }
        };
        let tensor = Self { shape: shape.clone(), data };
        if tensor.is_finite() {
            Ok(tensor)
        } else {
            Err(Error::model(format!("tensor \"{name}\" holds NaN or infinity")))
        }
    }

    pub(crate) fn elements(&self) -> usize {
        self.shape.iter().product()
    }

    /// The numbers, dequantized where they are s8.
    pub(crate) fn to_f32(&self) -> Vec<f32> {
        match &self.data {
            Data::F32(bytes) => f32_from_le(bytes.as_slice()).collect(),
            Data::F16(bytes) => u16_from_le(bytes.as_slice()).map(|bits| f16::from_bits(bits).to_f32()).collect(),
            Data::Bf16(bytes) => u16_from_le(bytes.as_slice()).map(|bits| bf16::from_bits(bits).to_f32()).collect(),
            Data::S8 { values, scales } => {
                let columns = self.shape.last().copied().unwrap_or(1);
                dequantize_rows(values.as_slice(), f32_from_le(scales.as_slice()), columns)
            }
        }
    }

    /// The numbers of an s8 tensor as they are (two's complement) and a scale for each row; `None` for another.
    pub(crate) fn as_s8(&self) -> Option<(&[u8], Vec<f32>)> {
        match &self.data {
            Data::S8 { values, scales } => Some((values.as_slice(), f32_from_le(scales.as_slice()).collect())),
            _ => None,
        }
    }

    /// The same without borrowing the tensor.
    pub(crate) fn as_s8_blob(&self) -> Option<(Blob, Vec<f32>)> {
        match &self.data {
            Data::S8 { values, scales } => Some((values.clone(), f32_from_le(scales.as_slice()).collect())),
            _ => None,
        }
    }

    fn is_finite(&self) -> bool {
        match &self.data {
            Data::F32(bytes) | Data::S8 { scales: bytes, .. } => f32_from_le(bytes.as_slice()).all(f32::is_finite),
            Data::F16(bytes) => u16_from_le(bytes.as_slice()).all(|bits| f16::from_bits(bits).is_finite()),
            Data::Bf16(bytes) => u16_from_le(bytes.as_slice()).all(|bits| bf16::from_bits(bits).is_finite()),
        }
    }

    /// Adds the tensor to a fingerprint.
    pub(super) fn digest(&self, name: &str, hash: &mut Sha256) {
        let (kind, parts) = self.parts();
        hash.update(format!("{name}\0{kind:?}\0{:?}\0", self.shape));
        for part in parts {
            hash.update(part.as_slice());
        }
    }

    /// How a safetensors file keeps it: the type of the first part, and the parts (numbers, then scales if s8).
    pub(super) fn parts(&self) -> (Dtype, Vec<&Blob>) {
        match &self.data {
            Data::F32(bytes) => (Dtype::F32, vec![bytes]),
            Data::F16(bytes) => (Dtype::F16, vec![bytes]),
            Data::Bf16(bytes) => (Dtype::BF16, vec![bytes]),
            Data::S8 { values, scales } => (Dtype::I8, vec![values, scales]),
        }
    }
}

/// The header of one safetensors file as entries into it.
pub(super) fn parse_safetensors(file: &str, bytes: &Blob) -> Result<BTreeMap<String, Entry>> {
    let malformed = |source| Error::model(format!("{file} is not a valid safetensors file")).with_source(source);
    let (header, metadata) = SafeTensors::read_metadata(bytes.as_slice()).map_err(malformed)?;
    let start = header + size_of::<u64>();
    let mut entries = BTreeMap::new();
    for (name, info) in metadata.tensors() {
        let (from, to) = info.data_offsets;
        let bytes = bytes
            .slice(start + from..start + to)
            .ok_or_else(|| Error::model(format!("{file}: tensor \"{name}\" reaches beyond the end of the file")))?;
        entries.insert(name, Entry { dtype: info.dtype, shape: info.shape.clone(), bytes });
    }
    Ok(entries)
}

/// `model.safetensors` in a folder of the model, or the shards that its index lists.
fn read_directory(root: &Path, folder: &str) -> Result<BTreeMap<String, Entry>> {
    let whole = inside(folder, "model.safetensors");
    if let Some(path) = ModelFiles::weights_path(root, &whole)? {
        return parse_safetensors(&whole, &Blob::read(&path)?);
    }
    let index = inside(folder, "model.safetensors.index.json");
    let Some(path) = ModelFiles::weights_path(root, &index)? else {
        let pickled = ModelFiles::weights_path(root, &inside(folder, "pytorch_model.bin"))?.is_some();
        let why = if pickled {
            " (pytorch_model.bin is a pickle and is not read: save it with safe_serialization=True)"
        } else {
            ""
        };
        return Err(Error::model(format!("{} has no {whole}{why}", root.display())).with_path(root));
    };
    let index_json = parse_json(&index, Blob::read(&path)?.as_slice())?;
    let shards: BTreeSet<&str> = index_json
        .get("weight_map")
        .and_then(serde_json::Value::as_object)
        .ok_or_else(|| Error::model(format!("{index} lacks \"weight_map\"")))?
        .values()
        .filter_map(serde_json::Value::as_str)
        .collect();
    let mut entries = BTreeMap::new();
    for shard in shards {
        let shard = inside(folder, shard);
        let path = ModelFiles::weights_path(root, &shard)?.ok_or_else(|| {
            Error::model(format!("{} has no {shard}, which {index} lists", root.display())).with_path(root)
        })?;
        entries.append(&mut parse_safetensors(&shard, &Blob::read(&path)?)?);
    }
    Ok(entries)
}

pub(super) fn f32_from_le(bytes: &[u8]) -> impl Iterator<Item = f32> {
    bytes.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes))
}

fn u16_from_le(bytes: &[u8]) -> impl Iterator<Item = u16> {
    bytes.as_chunks::<2>().0.iter().map(|bytes| u16::from_le_bytes(*bytes))
}
