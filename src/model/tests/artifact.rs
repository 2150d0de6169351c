//! The artifact format: what goes in comes out, and no damage goes unnoticed.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use serde_json::{Value, json};
use xxhash_rust::xxh3::xxh3_128;

use super::fixture::{Fixture, GOLDEN, Raw, golden_path, names};
use crate::model::files::ModelFiles;
use crate::model::fingerprint;
use crate::model::{Blob, Drift, Model, artifact_fingerprint, write_artifact};
use crate::{ErrorKind, Result, Similarity};

const DRIFT: Drift = Drift { mean_cosine: 0.9991, min_cosine: 0.9987 };

fn quantized(path: &Path) -> Model {
    Model::open(path).unwrap().quantized().unwrap()
}

fn written(golden: &str) -> Vec<u8> {
    write_artifact(&quantized(&golden_path(golden)), "some-model", Some("mit".into()), Some(DRIFT)).unwrap()
}

fn read(bytes: Vec<u8>) -> Result<Model> {
    Model::read(ModelFiles::artifact(Blob::from_vec(bytes), Path::new("test.marcato"))?)
}

fn refused(bytes: Vec<u8>, what: &str) -> crate::Error {
    read(bytes).err().unwrap_or_else(|| panic!("{what} must be refused"))
}

/// The format's twin, from its description alone.
struct Container {
    metadata: Value,
    tensors: BTreeMap<String, Raw>,
}

impl Container {
    fn open(bytes: &[u8]) -> Self {
        let (_, header) = SafeTensors::read_metadata(bytes).unwrap();
        let metadata = serde_json::from_str(&header.metadata().as_ref().unwrap()["marcato"]).unwrap();
        Self { metadata, tensors: Fixture::take_apart(bytes) }
    }

    /// The container with a checksum that is right for whatever it now holds.
    fn sealed(mut self) -> Vec<u8> {
        self.tensors.insert("checksum".into(), Raw { dtype: Dtype::U8, shape: vec![16], bytes: vec![0; 16] });
        let views = self
            .tensors
            .iter()
            .map(|(name, raw)| (name.clone(), TensorView::new(raw.dtype, raw.shape.clone(), &raw.bytes).unwrap()));
        let header = HashMap::from([("marcato".to_owned(), self.metadata.to_string())]);
        let mut bytes = safetensors::serialize(views, Some(header)).unwrap();
        let (length, header) = SafeTensors::read_metadata(&bytes).unwrap();
        let at = 8 + length + header.info("checksum").unwrap().data_offsets.0;
        let digest = xxh3_128(&bytes).to_le_bytes();
        bytes[at..at + 16].copy_from_slice(&digest);
        bytes
    }
}

#[test]
fn what_goes_in_comes_out() {
    for golden in GOLDEN {
        let before = quantized(&golden_path(golden));
        let bytes = written(golden);
        assert_eq!(bytes, written(golden), "{golden}: the same model twice");
        let after = read(bytes.clone()).unwrap();
        assert_eq!(after.name, "some-model");
        assert_eq!(after.licence.as_deref(), Some("mit"));
        assert_eq!(after.drift, Some(DRIFT));
        assert_eq!(after.config, before.config, "{golden}");
        assert_eq!(after.modules, before.modules, "{golden}");
        assert_eq!(after.similarity, before.similarity, "{golden}");
        assert_eq!(after.precision, before.precision, "{golden}");
        assert_eq!(after.tokenizer.as_slice(), before.tokenizer.as_slice(), "{golden}");
        assert_eq!(after.fingerprint(), before.fingerprint(), "{golden}: as stated");
        assert_eq!(fingerprint::compute(&after), before.fingerprint(), "{golden}: as computed");
        let numbers = |model: &Model| -> Vec<_> {
            model.weights.iter().map(|(name, tensor)| (name.to_owned(), tensor.to_f32())).collect()
        };
        assert_eq!(numbers(&after), numbers(&before), "{golden}");
        let leaked: &'static [u8] = Box::leak(bytes.into_boxed_slice());
        assert_eq!(artifact_fingerprint(leaked).unwrap(), before.fingerprint(), "{golden}");
        assert_eq!(Model::from_static(leaked, "built-in").unwrap().fingerprint(), before.fingerprint(), "{golden}");
    }
}

/// An artifact of an artifact is the artifact.
#[test]
fn written_again_it_is_the_same() {
    let bytes = written("mean");
    let again = write_artifact(&read(bytes.clone()).unwrap(), "some-model", Some("mit".into()), Some(DRIFT)).unwrap();
    assert_eq!(again, bytes);
}

/// The table in `artifact.rs`, row by row, read by safetensors alone.
#[test]
fn the_container_is_as_described() {
    let bytes = written("prefixed");
    let Container { metadata, tensors } = Container::open(&bytes);
    let fingerprint = quantized(&golden_path("prefixed")).fingerprint();
    let drift = json!({"mean_cosine": 0.9991, "min_cosine": 0.9987});
    assert_eq!(
        metadata,
        json!({"version": 1, "name": "some-model", "license": "mit", "fingerprint": fingerprint, "drift": drift})
    );
    let files: Vec<&str> = tensors.keys().filter_map(|name| name.strip_prefix("file:")).collect();
    let expected = [
        "1_Pooling/config.json",
        "config.json",
        "config_sentence_transformers.json",
        "modules.json",
        "sentence_bert_config.json",
        "tokenizer.json",
    ];
    assert_eq!(files, expected);
    for file in files {
        let original = std::fs::read(golden_path("prefixed").join(file)).unwrap();
        assert!(tensors[&format!("file:{file}")].bytes == original, "{file}");
    }
    // Canonical names: the checkpoint's prefix and heads are gone.
    assert!(!tensors.keys().any(|name| name.starts_with("bert.") || name.starts_with("cls.")));
    let words = &tensors["embeddings.word_embeddings.weight"];
    assert_eq!((words.dtype, &words.shape[..]), (Dtype::I8, &[203, 36][..]));
    let scales = &tensors["embeddings.word_embeddings.weight.scale"];
    assert_eq!((scales.dtype, &scales.shape[..]), (Dtype::F32, &[203][..]));
    assert_eq!(tensors["encoder.layer.0.output.dense.bias"].dtype, Dtype::F32);
    // Sealing what was found gives the same bytes: the checksum is what the table says it is.
    assert!(Container::open(&bytes).sealed() == bytes);
}

/// A flipped bit is an error: in the length, the header, the numbers, the files, the checksum.
#[test]
fn every_flipped_bit_is_noticed() {
    let sound = written("relu");
    let header = 8 + u64::from_le_bytes(sound[..8].try_into().unwrap()) as usize;
    let in_header = (0..header).step_by(header / 120).map(|at| (at, at % 8));
    let in_data = (header..sound.len()).step_by((sound.len() - header) / 150).map(|at| (at, at % 8));
    let length = (0..8).flat_map(|at| [(at, 0), (at, 7)]);
    let end = (sound.len() - 24..sound.len()).map(|at| (at, at % 8));
    let places: Vec<(usize, usize)> = length.chain(in_header).chain(in_data).chain(end).collect();
    assert!(places.len() >= 300);
    for (at, bit) in places {
        let mut damaged = sound.clone();
        damaged[at] ^= 1 << bit;
        let error = refused(damaged, &format!("bit {bit} of byte {at}"));
        let expected = matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Model | ErrorKind::Incompatible);
        assert!(expected && (at < header || error.kind() == ErrorKind::Corrupt), "bit {bit} of byte {at}: {error:?}");
        assert_eq!(error.path(), Some(Path::new("test.marcato")), "{error}");
        assert!(names(&error, "test.marcato"), "{error}");
    }
    assert!(read(sound).is_ok());
}

#[test]
fn every_truncation_is_noticed() {
    let sound = written("relu");
    let cuts = (0..sound.len()).step_by(sound.len() / 50).chain([1, 7, 8, 9, sound.len() - 16, sound.len() - 1]);
    for cut in cuts {
        let error = refused(sound[..cut].to_vec(), &format!("{cut} bytes"));
        assert!(matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Model), "{cut} bytes: {error:?}");
    }
    for grown in [b"\0".as_slice(), b"trailing"] {
        assert!(read([sound.as_slice(), grown].concat()).is_err());
    }
}

#[test]
fn a_later_version_is_refused_by_its_number() {
    for version in [2, 0, u32::MAX] {
        let mut container = Container::open(&written("relu"));
        container.metadata = json!({"version": version, "something": "new"});
        let error = refused(container.sealed(), "another version");
        assert_eq!(error.kind(), ErrorKind::Incompatible);
        assert!(names(&error, &format!("version {version},")), "{error}");
        assert!(names(&error, "marcato model quantize"), "{error}");
    }
}

#[test]
fn containers_that_are_sealed_but_wrong() {
    type Change = fn(&mut Container);
    let rows: Vec<(&str, ErrorKind, &str, Change)> = vec![
        ("no version", ErrorKind::Corrupt, "metadata", |found| found.metadata = json!({"name": "x"})),
        ("a list", ErrorKind::Corrupt, "metadata", |found| found.metadata = json!([])),
        ("no name", ErrorKind::Corrupt, "metadata", |found| {
            drop(found.metadata.as_object_mut().unwrap().remove("name"))
        }),
        ("a drift of text", ErrorKind::Corrupt, "metadata", |found| found.metadata["drift"] = json!("none")),
        ("an unknown similarity", ErrorKind::Model, "similarity", |found| found.metadata["similarity"] = json!("l2")),
        ("no config.json", ErrorKind::Model, "config.json", |found| drop(found.tensors.remove("file:config.json"))),
        ("no tokenizer", ErrorKind::Model, "tokenizer.json", |found| drop(found.tensors.remove("file:tokenizer.json"))),
        ("no pooling", ErrorKind::Model, "1_Pooling/config.json", |found| {
            drop(found.tensors.remove("file:1_Pooling/config.json"));
        }),
        ("no word table", ErrorKind::Model, "embeddings.word_embeddings.weight", |found| {
            drop(found.tensors.remove("embeddings.word_embeddings.weight"));
        }),
        ("no scales", ErrorKind::Model, "embeddings.word_embeddings.weight", |found| {
            drop(found.tensors.remove("embeddings.word_embeddings.weight.scale"));
        }),
        ("an endless scale", ErrorKind::Model, "embeddings.word_embeddings.weight", |found| {
            let scales = found.tensors.get_mut("embeddings.word_embeddings.weight.scale").unwrap();
            scales.bytes[..4].copy_from_slice(&f32::INFINITY.to_le_bytes());
        }),
        ("a foreign tensor", ErrorKind::Model, "stray", |found| {
            found.tensors.insert("stray".into(), Raw { dtype: Dtype::U8, shape: vec![1], bytes: vec![0] });
        }),
    ];
    for (what, kind, word, change) in rows {
        let mut container = Container::open(&written("relu"));
        change(&mut container);
        let error = refused(container.sealed(), what);
        assert_eq!(error.kind(), kind, "{what}: {error:?}");
        assert!(names(&error, word), "{what}: {error:?}");
    }
}

#[test]
fn a_file_that_is_no_artifact() {
    let error = Model::open(&golden_path("mean").join("model.safetensors")).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Model);
    assert!(names(&error, "marcato model quantize"), "{error}");
}

/// The table of known models goes by names, so a new name must not change what a model is for.
#[test]
fn another_name_keeps_the_similarity() {
    let fixture = Fixture::golden("relu");
    let known = fixture.place_as("msmarco-bert-base-dot-v5");
    let unknown = fixture.place_as("mine");
    for (placed, similarity) in [(&known, Similarity::Dot), (&unknown, Similarity::Cosine)] {
        for name in ["mine", "msmarco-bert-base-dot-v5"] {
            let model = quantized(&placed.path);
            assert_eq!(model.similarity, similarity);
            let artifact = write_artifact(&model, name, None, None).unwrap();
            assert_eq!(read(artifact).unwrap().similarity, similarity, "{similarity} called {name}");
        }
    }
}
