//! What a safetensors file has to hold, and the forms in which it may hold it.

use safetensors::Dtype;
use serde_json::json;

use super::fixture::{Change, Fixture, Placed, Raw, golden_path, names};
use crate::model::{Model, Precision};
use crate::{Error, ErrorKind};

const WORDS: &str = "embeddings.word_embeddings.weight";
const KEY: &str = "encoder.layer.1.attention.self.key.weight";
const BIAS: &str = "encoder.layer.0.output.dense.bias";
const INDEX: &str = "model.safetensors.index.json";

fn assert_refused(error: &Error, what: &str, words: &[&str]) {
    assert_eq!(error.kind(), ErrorKind::Model, "{what}: {error}");
    for word in words {
        assert!(names(error, word), "{what}: {error:?} does not name {word}");
    }
}

fn zeros(dtype: Dtype, shape: &[usize]) -> Raw {
    Raw { dtype, shape: shape.to_vec(), bytes: vec![0; shape.iter().product::<usize>() * dtype.bitsize() / 8] }
}

/// Every tensor's numbers, by name.
fn numbers(model: &Model) -> Vec<(String, Vec<f32>)> {
    model.weights.iter().map(|(name, tensor)| (name.to_owned(), tensor.to_f32())).collect()
}

#[test]
fn tensors_that_do_not_fit() {
    let rows: Vec<(&str, &str, Change)> = vec![
        ("missing matrix", KEY, |model| drop(model.tensors.remove(KEY))),
        ("missing bias", BIAS, |model| drop(model.tensors.remove(BIAS))),
        ("missing word table", WORDS, |model| drop(model.tensors.remove(WORDS))),
        ("transposed", "[56, 36]", |model| {
            model.tensors.get_mut("encoder.layer.0.intermediate.dense.weight").unwrap().shape.reverse();
        }),
        ("one dimension more", BIAS, |model| model.tensors.get_mut(BIAS).unwrap().shape.insert(0, 1)),
        ("one row more", WORDS, |model| {
            let table = model.tensors.get_mut(WORDS).unwrap();
            table.shape[0] += 1;
            table.bytes.extend([0; 36 * 4]);
        }),
        ("no rows", KEY, |model| drop(model.tensors.insert(KEY.into(), zeros(Dtype::F32, &[0, 36])))),
        ("fewer layers in the file", "encoder.layer.2.", |model| model.set("config.json", "num_hidden_layers", 3)),
        ("more layers in the file", "encoder.layer.1.", |model| model.set("config.json", "num_hidden_layers", 1)),
        ("a foreign tensor", "adapter.weight", |model| {
            model.tensors.insert("adapter.weight".into(), zeros(Dtype::F32, &[1]));
        }),
        ("a decoder's tensor", "crossattention", |model| {
            model.tensors.insert("encoder.layer.0.crossattention.self.key.bias".into(), zeros(Dtype::F32, &[36]));
        }),
        ("both with and without a prefix", WORDS, |model| {
            let table = model.tensors[WORDS].clone();
            model.tensors.insert(format!("bert.{WORDS}"), table);
        }),
        ("NaN", KEY, |model| model.numbers(KEY, |numbers| numbers[5] = f32::NAN)),
        ("infinity", WORDS, |model| model.numbers(WORDS, |numbers| *numbers.last_mut().unwrap() = f32::NEG_INFINITY)),
        ("F16 infinity", KEY, |model| {
            let mut raw = zeros(Dtype::F16, &[36, 36]);
            raw.bytes[..2].copy_from_slice(&0x7c00_u16.to_le_bytes());
            model.tensors.insert(KEY.into(), raw);
        }),
        ("BF16 NaN", KEY, |model| {
            let mut raw = zeros(Dtype::BF16, &[36, 36]);
            raw.bytes[..2].copy_from_slice(&0x7fc0_u16.to_le_bytes());
            model.tensors.insert(KEY.into(), raw);
        }),
        ("I64", "I64", |model| drop(model.tensors.insert(KEY.into(), zeros(Dtype::I64, &[36, 36])))),
        ("F64", "F64", |model| drop(model.tensors.insert(BIAS.into(), zeros(Dtype::F64, &[36])))),
        ("F8", "F8", |model| drop(model.tensors.insert(KEY.into(), zeros(Dtype::F8_E4M3, &[36, 36])))),
        ("I8 without scales", KEY, |model| drop(model.tensors.insert(KEY.into(), zeros(Dtype::I8, &[36, 36])))),
        ("I8 where full numbers belong", BIAS, |model| {
            model.tensors.insert(BIAS.into(), zeros(Dtype::I8, &[36]));
            model.tensors.insert(format!("{BIAS}.scale"), zeros(Dtype::F32, &[36]));
        }),
        ("too few scales", KEY, |model| {
            model.tensors.insert(KEY.into(), zeros(Dtype::I8, &[36, 36]));
            model.tensors.insert(format!("{KEY}.scale"), zeros(Dtype::F32, &[35]));
        }),
        ("scales of another type", KEY, |model| {
            model.tensors.insert(KEY.into(), zeros(Dtype::I8, &[36, 36]));
            model.tensors.insert(format!("{KEY}.scale"), zeros(Dtype::F16, &[36]));
        }),
        ("a scale that is NaN", KEY, |model| {
            model.tensors.insert(KEY.into(), zeros(Dtype::I8, &[36, 36]));
            let mut scales = zeros(Dtype::F32, &[36]);
            scales.bytes[..4].copy_from_slice(&f32::NAN.to_le_bytes());
            model.tensors.insert(format!("{KEY}.scale"), scales);
        }),
        ("scales of full numbers", KEY, |model| {
            model.tensors.insert(format!("{KEY}.scale"), zeros(Dtype::F32, &[36]));
        }),
    ];
    for (what, word, change) in rows {
        let mut fixture = Fixture::golden("mean");
        change(&mut fixture);
        let error = fixture.open().err().unwrap_or_else(|| panic!("{what} must be refused"));
        assert_refused(&error, what, &[word]);
    }
}

/// Position ids and heads are no weights of the encoder, whatever they hold.
#[test]
fn tensors_that_are_not_used() {
    let mut fixture = Fixture::golden("mean");
    fixture.tensors.insert("embeddings.position_ids".into(), zeros(Dtype::I64, &[1, 64]));
    fixture.tensors.insert("pooler.dense.weight".into(), zeros(Dtype::F64, &[36, 36]));
    fixture.tensors.insert("classifier.bias".into(), zeros(Dtype::U8, &[3]));
    let plain = Fixture::golden("mean").open().unwrap();
    let found = fixture.open().unwrap();
    assert_eq!(found.fingerprint(), plain.fingerprint());
    assert_eq!(found.parameters(), plain.parameters());
}

fn open_with(weights: &[u8]) -> Result<Model, Error> {
    let placed = Fixture::golden("mean").place_without_weights("model");
    std::fs::write(placed.path.join("model.safetensors"), weights).unwrap();
    placed.open()
}

#[test]
fn files_that_are_no_safetensors() {
    let sound = std::fs::read(golden_path("mean").join("model.safetensors")).unwrap();
    assert!(open_with(&sound).is_ok());
    let header = 8 + u64::from_le_bytes(sound[..8].try_into().unwrap()) as usize;
    let cuts = [0, 1, 7, 8, 9, header / 2, header - 1, header, header + 1, sound.len() / 2, sound.len() - 1];
    for cut in cuts {
        let error = open_with(&sound[..cut]).err().unwrap_or_else(|| panic!("cut to {cut} bytes"));
        assert_refused(&error, &format!("cut to {cut} bytes"), &["model.safetensors"]);
    }
    let with_length = |length: u64| [&length.to_le_bytes(), &sound[8..]].concat();
    let header = |json: &str| [&(json.len() as u64).to_le_bytes(), json.as_bytes()].concat();
    let malformed = [
        ("garbage", b"PK\x03\x04 this is no model".repeat(100)),
        ("zeros", vec![0; 4096]),
        ("trailing bytes", [sound.as_slice(), b"more"].concat()),
        ("an endless header", with_length(u64::MAX)),
        ("a header of 99 MB", with_length(99_000_000)),
        ("an empty header", with_length(0)),
        ("no JSON", header("{")),
        ("a list", header("[]")),
        ("offsets that overlap", header(r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}}"#)),
        ("offsets beyond the end", header(r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#)),
        ("an unknown type", header(r#"{"a":{"dtype":"F7","shape":[0],"data_offsets":[0,0]}}"#)),
        (
            "a shape that overflows",
            header(r#"{"a":{"dtype":"F32","shape":[4294967296,4294967296,4],"data_offsets":[0,0]}}"#),
        ),
    ];
    for (what, bytes) in malformed {
        let error = open_with(&bytes).err().unwrap_or_else(|| panic!("{what} must be refused"));
        assert_refused(&error, what, &["model.safetensors"]);
        assert!(std::error::Error::source(&error).is_some(), "{what}: {error} has lost its cause");
    }
    // Sound, but empty.
    assert_refused(&open_with(&header("{}")).err().unwrap(), "no tensors", &[WORDS]);
}

#[test]
fn half_precision_is_read_as_the_numbers_that_it_holds() {
    for dtype in [Dtype::F16, Dtype::BF16] {
        let (mut half, mut full) = (Fixture::golden("mean"), Fixture::golden("mean"));
        for (name, raw) in Fixture::golden("mean").tensors {
            let (rounded, widened) = raw.rounded(dtype);
            half.tensors.insert(name.clone(), rounded);
            full.tensors.insert(name, widened);
        }
        let (half, full) = (half.open().unwrap(), full.open().unwrap());
        assert_eq!(half.precision, Precision::F32);
        assert_eq!(numbers(&half), numbers(&full), "{dtype:?}");
        assert_ne!(numbers(&half), numbers(&Fixture::golden("mean").open().unwrap()), "{dtype:?} rounds");
    }
}

#[test]
fn a_prefix_is_taken_off() {
    let mut plain = Fixture::golden("prefixed");
    let stripped = plain.tensors.into_iter().map(|(name, raw)| (name.replace("bert.", ""), raw)).collect();
    plain.tensors = stripped;
    let prefixed = Fixture::golden("prefixed").open().unwrap();
    assert_eq!(plain.open().unwrap().fingerprint(), prefixed.fingerprint());
}

/// The golden model in `shards` files, its tensors dealt out in turn, with an index that `change` has seen.
fn sharded(shards: usize, change: impl FnOnce(&mut serde_json::Value)) -> Placed {
    let fixture = Fixture::golden("mean");
    let placed = fixture.place_without_weights("model");
    let file = |shard: usize| format!("model-{:05}-of-{shards:05}.safetensors", shard + 1);
    for shard in 0..shards {
        let mine = fixture.tensors.iter().enumerate().filter(|(at, _)| at % shards == shard);
        let bytes = Fixture::put_together(mine.map(|(_, tensor)| tensor));
        std::fs::write(placed.path.join(file(shard)), bytes).unwrap();
    }
    let map: serde_json::Map<_, _> =
        fixture.tensors.keys().enumerate().map(|(at, name)| (name.clone(), json!(file(at % shards)))).collect();
    let mut index = json!({"metadata": {"total_size": 1}, "weight_map": map});
    change(&mut index);
    std::fs::write(placed.path.join(INDEX), index.to_string()).unwrap();
    placed
}

#[test]
fn shards_are_one_model() {
    let whole = Fixture::golden("mean").open().unwrap();
    for shards in [1, 2, 5] {
        let model = sharded(shards, |_| ()).open().unwrap();
        assert_eq!(model.fingerprint(), whole.fingerprint(), "{shards} shards");
    }
}

#[test]
fn shards_that_do_not_make_a_model() {
    let refused = |placed: &Placed| placed.open().err().expect("the shards must be refused");
    let lost = sharded(3, |_| ());
    std::fs::remove_file(lost.path.join("model-00002-of-00003.safetensors")).unwrap();
    assert_refused(&refused(&lost), "a lost shard", &["model-00002-of-00003.safetensors", INDEX]);

    let cut = sharded(3, |_| ());
    std::fs::write(cut.path.join("model-00003-of-00003.safetensors"), b"{").unwrap();
    assert_refused(&refused(&cut), "a cut shard", &["model-00003-of-00003.safetensors"]);

    type Edit = fn(&mut serde_json::Value);
    let changes: Vec<(&str, &str, Edit)> = vec![
        ("no map", "weight_map", |index| drop(index.as_object_mut().unwrap().remove("weight_map"))),
        ("a list", "weight_map", |index| index["weight_map"] = json!(["model-00001-of-00003.safetensors"])),
        ("an empty map", WORDS, |index| index["weight_map"] = json!({})),
        ("no object", "weight_map", |index| *index = json!([])),
        ("a number", WORDS, |index| index["weight_map"] = json!({KEY: 7})),
        ("another file", "config.json", |index| index["weight_map"][KEY] = json!("config.json")),
    ];
    for (what, word, change) in changes {
        assert_refused(&refused(&sharded(3, change)), what, &[word]);
    }
    let malformed = sharded(2, |_| ());
    std::fs::write(malformed.path.join(INDEX), "{").unwrap();
    assert_refused(&refused(&malformed), "no JSON", &[INDEX]);
}
