//! The golden models of `tests/golden`: in memory, to be changed in one place and written out again.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use half::{bf16, f16};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use serde::Deserialize;
use serde_json::Value;
use tempfile::TempDir;

use crate::model::Model;
use crate::{Error, Result};

/// Every golden model; what each is there for stands in `tests/golden/make.py`.
pub(crate) const GOLDEN: [&str; 12] = [
    "mean",
    "cls",
    "prompts",
    "gelu_new",
    "relu",
    "prefixed",
    "tinybert",
    "distilbert",
    "roberta",
    "electra",
    "electra_narrow",
    "newest",
];

/// A model that differs from a golden one in some files; `tests/golden/variants.py` says why each is there.
#[derive(Deserialize)]
pub(crate) struct Variant {
    base: String,
    /// From a file's name to its JSON, or to the file of `tests/golden/parts` that it is.
    files: BTreeMap<String, Value>,
    pub(crate) passages: Vec<Vec<f32>>,
    /// Absent where they are the passages'.
    pub(crate) queries: Option<Vec<Vec<f32>>>,
}

impl Variant {
    /// All of them by name.
    pub(crate) fn all() -> BTreeMap<String, Self> {
        let mut all: BTreeMap<String, Value> =
            serde_json::from_slice(&std::fs::read(golden_path("variants.json")).unwrap()).unwrap();
        all.remove("made_with").unwrap();
        all.into_iter().map(|(name, value)| (name, serde_json::from_value(value).unwrap())).collect()
    }

    pub(crate) fn fixture(&self) -> Fixture {
        let mut fixture = Fixture::golden(&self.base);
        for (file, content) in &self.files {
            match content {
                Value::String(part) => {
                    let part = golden_path("parts").join(format!("{part}.safetensors"));
                    fixture.put(file, std::fs::read(part).unwrap());
                }
                Value::Object(keys) if file == "config.json" => {
                    keys.iter().for_each(|(key, value)| fixture.set(file, key, value.clone()));
                }
                whole => fixture.put(file, whole.to_string()),
            }
        }
        fixture
    }
}

/// What sentence-transformers says about a golden model.
#[derive(Deserialize)]
pub(crate) struct Expected {
    pub(crate) max_tokens: usize,
    pub(crate) similarity: String,
    pub(crate) texts: Vec<String>,
    pub(crate) passages: Vec<Vec<f32>>,
    pub(crate) queries: Vec<Vec<f32>>,
    /// With the model's default prompt, where it has one.
    pub(crate) default: Option<Vec<Vec<f32>>>,
}

impl Expected {
    pub(crate) fn of(name: &str) -> Self {
        serde_json::from_slice(&std::fs::read(golden_path(name).join("expected.json")).unwrap()).unwrap()
    }

    pub(crate) fn texts(&self) -> Vec<&str> {
        self.texts.iter().map(String::as_str).collect()
    }
}

pub(crate) fn golden_path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

/// A tensor as safetensors keeps it.
#[derive(Clone)]
pub(crate) struct Raw {
    pub(crate) dtype: Dtype,
    pub(crate) shape: Vec<usize>,
    pub(crate) bytes: Vec<u8>,
}

/// A model's files, with the weights taken apart.
#[derive(Clone)]
pub(crate) struct Fixture {
    pub(crate) files: BTreeMap<String, Vec<u8>>,
    pub(crate) tensors: BTreeMap<String, Raw>,
}

/// What a row of a table does to a model.
pub(crate) type Change = fn(&mut Fixture);

/// A model on disk for as long as this lives.
pub(crate) struct Placed {
    pub(crate) path: PathBuf,
    pub(crate) root: TempDir,
}

impl Placed {
    pub(crate) fn open(&self) -> Result<Model> {
        Model::open(&self.path)
    }
}

impl Fixture {
    pub(crate) fn golden(name: &str) -> Self {
        let names = [
            "config.json",
            "tokenizer.json",
            "tokenizer_config.json",
            "modules.json",
            "1_Pooling/config.json",
            "sentence_bert_config.json",
            "config_sentence_transformers.json",
        ];
        let read = |file: &str| std::fs::read(golden_path(name).join(file)).unwrap();
        // A cross-encoder need not have them all.
        let there = names.iter().filter(|file| golden_path(name).join(file).exists());
        let mut files: BTreeMap<String, Vec<u8>> = there.map(|file| ((*file).to_owned(), read(file))).collect();
        // Of modules, which only some have.
        for file in [
            "2_Dense/config.json",
            "2_Dense/model.safetensors",
            "3_LayerNorm/config.json",
            "3_LayerNorm/model.safetensors",
            "4_Normalize/config.json",
        ] {
            files.extend(std::fs::read(golden_path(name).join(file)).ok().map(|bytes| (file.to_owned(), bytes)));
        }
        Self { files, tensors: Self::take_apart(&read("model.safetensors")) }
    }

    pub(crate) fn take_apart(safetensors: &[u8]) -> BTreeMap<String, Raw> {
        let raw = |view: &TensorView<'_>| Raw {
            dtype: view.dtype(),
            shape: view.shape().to_vec(),
            bytes: view.data().to_vec(),
        };
        let tensors = SafeTensors::deserialize(safetensors).unwrap().tensors();
        tensors.iter().map(|(name, view)| (name.clone(), raw(view))).collect()
    }

    pub(crate) fn put_together<'a>(tensors: impl IntoIterator<Item = (&'a String, &'a Raw)>) -> Vec<u8> {
        let view = |raw: &'a Raw| TensorView::new(raw.dtype, raw.shape.clone(), &raw.bytes).unwrap();
        safetensors::serialize(tensors.into_iter().map(|(name, raw)| (name, view(raw))), None).unwrap()
    }

    /// Changes a JSON file; one that is not there starts as `null`.
    pub(crate) fn edit(&mut self, file: &str, change: impl FnOnce(&mut Value)) {
        let mut value = self.files.get(file).map_or(Value::Null, |bytes| serde_json::from_slice(bytes).unwrap());
        change(&mut value);
        self.put(file, serde_json::to_vec(&value).unwrap());
    }

    /// Sets one key of an object in a JSON file.
    pub(crate) fn set(&mut self, file: &str, key: &str, to: impl Into<Value>) {
        self.edit(file, |value| value[key] = to.into());
    }

    pub(crate) fn put(&mut self, file: &str, bytes: impl Into<Vec<u8>>) {
        self.files.insert(file.to_owned(), bytes.into());
    }

    pub(crate) fn remove(&mut self, file: &str) {
        self.files.remove(file).unwrap();
    }

    /// Changes the numbers of an F32 tensor.
    pub(crate) fn numbers(&mut self, tensor: &str, change: impl FnOnce(&mut Vec<f32>)) {
        let raw = self.tensors.get_mut(tensor).unwrap();
        let mut numbers = raw.to_f32();
        change(&mut numbers);
        raw.bytes = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
    }

    /// Writes the model into a fresh directory called `model`.
    pub(crate) fn place(&self) -> Placed {
        self.place_as("model")
    }

    pub(crate) fn place_as(&self, name: &str) -> Placed {
        let placed = self.place_without_weights(name);
        std::fs::write(placed.path.join("model.safetensors"), Self::put_together(&self.tensors)).unwrap();
        placed
    }

    pub(crate) fn place_without_weights(&self, name: &str) -> Placed {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join(name);
        for (file, bytes) in &self.files {
            let file = path.join(file);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, bytes).unwrap();
        }
        Placed { path, root }
    }

    pub(crate) fn open(&self) -> Result<Model> {
        self.place().open()
    }

    /// The error that opening ends with.
    pub(crate) fn refused(&self) -> Error {
        self.open().err().expect("the model must be refused")
    }
}

impl Raw {
    pub(crate) fn to_f32(&self) -> Vec<f32> {
        assert_eq!(self.dtype, Dtype::F32);
        self.bytes.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
    }

    /// The same tensor in half the bits, and in full bits after that rounding.
    pub(crate) fn rounded(&self, dtype: Dtype) -> (Self, Self) {
        let round = |number: &f32| match dtype {
            Dtype::F16 => (f16::from_f32(*number).to_bits(), f16::from_f32(*number).to_f32()),
            _ => (bf16::from_f32(*number).to_bits(), bf16::from_f32(*number).to_f32()),
        };
        let (half, full): (Vec<u16>, Vec<f32>) = self.to_f32().iter().map(round).unzip();
        let half = half.iter().flat_map(|bits| bits.to_le_bytes()).collect();
        let full = full.iter().flat_map(|number| number.to_le_bytes()).collect();
        (
            Self { dtype, shape: self.shape.clone(), bytes: half },
            Self { dtype: Dtype::F32, shape: self.shape.clone(), bytes: full },
        )
    }
}

/// Whether `error` and its causes, one after the other, name `what`.
pub(crate) fn names(error: &Error, what: &str) -> bool {
    let mut layer: Option<&dyn std::error::Error> = Some(error);
    while let Some(error) = layer {
        if error.to_string().contains(what) {
            return true;
        }
        layer = error.source();
    }
    false
}
