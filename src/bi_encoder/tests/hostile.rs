//! Model directories made to break whoever opens them: each ends in an error that names the thing, none in a panic, an
//! abort or an endless wait.
//!
//! What a file of its own kind can do is in the tests of `model` and `text`; here whole directories are opened, and a
//! text encoded, as an application would.

use serde_json::{Value, json};

use crate::bi_encoder::{BiEncoder, Encoder};
use crate::model::tests::fixture::{Change, Fixture, Placed, names};
use crate::{Error, ErrorKind};

const WORDS: &str = "embeddings.word_embeddings.weight";

fn opened(placed: &Placed) -> Result<(), Error> {
    let encoder = BiEncoder::options().threads(1).open(&placed.path)?;
    encoder.encode_passages(&["a text \u{4e16} of words", ""]).map(drop)
}

fn assert_refused(result: Result<(), Error>, what: &str, words: &[&str]) {
    let error = result.err().unwrap_or_else(|| panic!("{what} must be refused"));
    assert_eq!(error.kind(), ErrorKind::Model, "{what}: {error:?}");
    for word in words {
        assert!(names(&error, word), "{what}: {error:?} does not name {word}");
    }
}

fn refuse_all(golden: &str, rows: Vec<(&str, &[&str], Change)>) {
    assert!(opened(&Fixture::golden(golden).place()).is_ok(), "{golden} itself");
    for (what, words, change) in rows {
        let mut fixture = Fixture::golden(golden);
        change(&mut fixture);
        assert_refused(opened(&fixture.place()), what, words);
    }
}

fn set_config(model: &mut Fixture, key: &str, value: Value) {
    model.set("config.json", key, value);
}

fn tokenizer(model: &mut Fixture, change: impl FnOnce(&mut Value)) {
    model.edit("tokenizer.json", change);
}

#[test]
fn shapes_that_lie() {
    refuse_all(
        "mean",
        vec![
            ("zero heads", &["num_attention_heads"], |model| set_config(model, "num_attention_heads", json!(0))),
            ("heads that do not divide", &["num_attention_heads"], |model| {
                set_config(model, "num_attention_heads", json!(7));
            }),
            ("a width of 2^64", &["hidden_size"], |model| set_config(model, "hidden_size", json!(u64::MAX))),
            ("a width of 1e300", &["hidden_size"], |model| set_config(model, "hidden_size", json!(1e300))),
            ("layers without number", &["num_hidden_layers"], |model| {
                set_config(model, "num_hidden_layers", json!(4_000_000_000_u64));
            }),
            ("more layers than weights", &["encoder.layer.2."], |model| {
                set_config(model, "num_hidden_layers", json!(256));
            }),
            ("a wider feed-forward part", &["intermediate.dense"], |model| {
                set_config(model, "intermediate_size", json!(65_536));
            }),
            ("a vocabulary beyond the table", &[WORDS], |model| set_config(model, "vocab_size", json!(1 << 24))),
            ("a vocabulary of one", &[WORDS], |model| set_config(model, "vocab_size", json!(1))),
            ("more positions than rows", &["position_embeddings"], |model| {
                set_config(model, "max_position_embeddings", json!(1 << 20));
            }),
            ("a table cut short with its shape", &["50 word embeddings"], |model| {
                let table = model.tensors.get_mut(WORDS).unwrap();
                table.shape[0] = 50;
                table.bytes.truncate(50 * 36 * 4);
                set_config(model, "vocab_size", json!(50));
            }),
            ("NaN", &["encoder.layer.0.output.dense.weight", "NaN"], |model| {
                model.numbers("encoder.layer.0.output.dense.weight", |numbers| numbers[0] = f32::NAN);
            }),
            ("weights that overflow", &["finite"], |model| {
                model.numbers("encoder.layer.1.output.LayerNorm.weight", |numbers| numbers.fill(f32::MAX));
            }),
            ("a maximum beyond the positions", &["max_seq_length"], |model| {
                model.set("sentence_bert_config.json", "max_seq_length", 65);
            }),
            ("a maximum of nothing", &["max_seq_length"], |model| {
                model.set("sentence_bert_config.json", "max_seq_length", 0);
            }),
            ("an epsilon of NaN", &["layer_norm_eps"], |model| set_config(model, "layer_norm_eps", json!("NaN"))),
            ("an architecture of its own", &["my-bert"], |model| set_config(model, "model_type", json!("my-bert"))),
            ("xlm-roberta", &["xlm-roberta"], |model| set_config(model, "model_type", json!("xlm-roberta"))),
            ("mpnet", &["mpnet"], |model| set_config(model, "model_type", json!("mpnet"))),
            ("an unknown activation", &["snake"], |model| set_config(model, "hidden_act", json!("snake"))),
            ("relative positions", &["relative_key"], |model| {
                set_config(model, "position_embedding_type", json!("relative_key"));
            }),
            ("code of its own", &["auto_map"], |model| {
                set_config(model, "auto_map", json!({"AutoModel": "evil.Model"}));
            }),
            ("another architecture's key", &["dim"], |model| set_config(model, "dim", json!(36))),
        ],
    );
}

#[test]
fn architectures_that_lie() {
    refuse_all(
        "distilbert",
        vec![
            ("DistilBERT by BERT's key", &["dim"], |model| {
                model.edit("config.json", |config| {
                    let width = config.as_object_mut().unwrap().remove("dim").unwrap();
                    config["hidden_size"] = width;
                });
            }),
            ("DistilBERT with token types", &["token_type_embeddings"], |model| {
                let row = model.tensors["embeddings.LayerNorm.bias"].clone();
                model.tensors.insert("embeddings.token_type_embeddings.weight".into(), row);
            }),
            ("DistilBERT with BERT's names", &["transformer.layer.0."], |model| {
                let renamed = |name: String| name.replace("transformer.layer", "encoder.layer");
                model.tensors = std::mem::take(&mut model.tensors).into_iter().map(|(n, t)| (renamed(n), t)).collect();
            }),
        ],
    );
    refuse_all(
        "roberta",
        vec![
            ("padding beyond the positions", &["pad_token_id"], |model| set_config(model, "pad_token_id", json!(63))),
            ("padding of 2^32 - 1", &["pad_token_id"], |model| set_config(model, "pad_token_id", json!(u32::MAX))),
            ("padding of 2^64 - 1", &["pad_token_id"], |model| set_config(model, "pad_token_id", json!(u64::MAX))),
            ("padding below zero", &["pad_token_id"], |model| set_config(model, "pad_token_id", json!(-1))),
            ("a maximum of every row", &["max_seq_length", "62"], |model| {
                model.set("sentence_bert_config.json", "max_seq_length", 64);
            }),
            ("more token types than rows", &["token_type_embeddings"], |model| {
                set_config(model, "type_vocab_size", json!(2));
            }),
            ("a table of fewer rows", &["position_embeddings", "[65, 36]"], |model| {
                set_config(model, "max_position_embeddings", json!(65));
            }),
        ],
    );
    refuse_all(
        "electra_narrow",
        vec![
            ("no projection", &["embeddings_project.weight"], |model| {
                model.tensors.remove("embeddings_project.weight").unwrap();
            }),
            ("a projection from nothing", &["embedding_size"], |model| set_config(model, "embedding_size", json!(0))),
            ("a projection that is not declared", &[WORDS], |model| set_config(model, "embedding_size", json!(36))),
        ],
    );
}

#[test]
fn tokenizers_that_break_the_crate() {
    refuse_all(
        "mean",
        vec![
            ("an id of 2^32 - 1", &["4294967295"], |model| {
                tokenizer(model, |json| json["model"]["vocab"]["london"] = json!(u32::MAX));
            }),
            ("a vocabulary larger than the embedding", &["203 word embeddings"], |model| {
                tokenizer(model, |json| json["model"]["vocab"]["one more"] = json!(203));
            }),
            ("a template without its tokens", &["tokenizer"], |model| {
                tokenizer(model, |json| json["post_processor"]["special_tokens"] = json!({}));
            }),
            ("a merge that is too long", &["tokenizer"], |model| {
                tokenizer(model, |json| {
                    json["model"] = json!({"type": "BPE", "vocab": {"a": 0, "b": 1}, "merges": ["ab ababab"]});
                });
            }),
            ("pieces of length zero", &["tokenizer"], |model| {
                tokenizer(model, |json| json["pre_tokenizer"] = json!({"type": "FixedLength", "length": 0}));
            }),
            ("a charsmap that lies", &["tokenizer"], |model| {
                tokenizer(model, |json| {
                    json["normalizer"] = json!({"type": "Precompiled", "precompiled_charsmap": "/////w=="});
                });
            }),
            ("an unknown token that is not there", &["tokenizer"], |model| {
                tokenizer(model, |json| json["model"]["unk_token"] = json!("[GONE]"));
            }),
            ("no model", &["tokenizer.json"], |model| {
                tokenizer(model, |json| drop(json.as_object_mut().unwrap().remove("model")));
            }),
            ("half a file", &["tokenizer.json"], |model| {
                model.files.get_mut("tokenizer.json").unwrap().truncate(1000);
            }),
            ("nested a million deep", &["tokenizer.json"], |model| model.put("tokenizer.json", "[".repeat(1 << 20))),
            ("a stride that is not below the maximum, without a model", &["tokenizer.json"], |model| {
                tokenizer(model, |json| {
                    json["truncation"] =
                        json!({"direction": "Right", "max_length": 4, "strategy": "LongestFirst", "stride": "x"});
                });
            }),
        ],
    );
}

/// What `tokenizer.json` says of truncation and padding is not believed, so it cannot break anything either.
#[test]
fn limits_of_the_tokenizer_are_not_believed() {
    let rows: [(&str, Value); 5] = [
        ("truncation", json!({"direction": "Right", "max_length": 4, "strategy": "LongestFirst", "stride": 9})),
        ("truncation", json!({"direction": "Right", "max_length": 0, "strategy": "LongestFirst", "stride": 0})),
        (
            "padding",
            json!({"strategy": {"Fixed": u64::MAX}, "direction": "Right", "pad_to_multiple_of": null,
            "pad_id": 0, "pad_type_id": 0, "pad_token": "[PAD]"}),
        ),
        (
            "padding",
            json!({"strategy": "BatchLongest", "direction": "Left", "pad_to_multiple_of": 0,
            "pad_id": 4_000_000_000_u32, "pad_type_id": 9, "pad_token": ""}),
        ),
        ("padding", Value::Null),
    ];
    let text = ["a text of words that is longer than all of these limits"];
    let expected = super::open(&Fixture::golden("mean").place().path).encode_passages(&text).unwrap();
    for (key, value) in rows {
        let mut fixture = Fixture::golden("mean");
        tokenizer(&mut fixture, |json| json[key] = value.clone());
        match BiEncoder::options().threads(1).open(&fixture.place().path) {
            Ok(encoder) => assert_eq!(encoder.encode_passages(&text).unwrap(), expected, "{key}: {value}"),
            Err(error) => assert_eq!(error.kind(), ErrorKind::Model, "{key}: {value}"),
        }
    }
}

#[test]
fn modules_that_lie() {
    refuse_all(
        "newest",
        vec![
            ("an unknown module", &["WordWeights"], |model| {
                model.edit("modules.json", |list| list[3]["type"] = json!("sentence_transformers.models.WordWeights"));
            }),
            ("code of its own", &["evil.Dense"], |model| {
                model.edit("modules.json", |list| list[2]["type"] = json!("evil.Dense"));
            }),
            ("a folder that climbs out", &["../2_Dense"], |model| {
                model.edit("modules.json", |list| list[2]["path"] = json!("../2_Dense"));
            }),
            ("a Dense of the encoder's folder", &["config.json", "in_features"], |model| {
                model.edit("modules.json", |list| list[2]["path"] = json!(""));
            }),
            ("a Dense that takes other vectors", &["2_Dense/config.json", "72", "71"], |model| {
                model.set("2_Dense/config.json", "in_features", 71);
            }),
            ("a Dense that gives other vectors", &["3_LayerNorm/config.json", "21"], |model| {
                model.set("2_Dense/config.json", "out_features", 21);
            }),
            ("a Dense of 2^63", &["out_features"], |model| {
                model.set("2_Dense/config.json", "out_features", 1_u64 << 63);
            }),
            ("an unknown function", &["torch.nn.modules.activation.Mish"], |model| {
                model.set("2_Dense/config.json", "activation_function", "torch.nn.modules.activation.Mish");
            }),
            ("a function of its own", &["os.system"], |model| {
                model.set("2_Dense/config.json", "activation_function", "os.system");
            }),
            ("a residual", &["use_residual"], |model| model.set("2_Dense/config.json", "use_residual", true)),
            ("a Dense of the tokens", &["module_input_name"], |model| {
                model.set("2_Dense/config.json", "module_input_name", "token_embeddings");
            }),
            ("a Normalize of the tokens", &["module_input_name"], |model| {
                model.set("4_Normalize/config.json", "module_input_name", "token_embeddings");
            }),
            ("a bias that is not declared", &["2_Dense.linear.bias"], |model| {
                model.set("2_Dense/config.json", "bias", false);
            }),
            ("a Dense without weights", &["2_Dense/model.safetensors"], |model| {
                model.remove("2_Dense/model.safetensors");
            }),
            ("a Dense in a pickle", &["2_Dense/model.safetensors", "safe_serialization"], |model| {
                model.remove("2_Dense/model.safetensors");
                model.put("2_Dense/pytorch_model.bin", "PK");
            }),
            ("a Dense cut short", &["2_Dense/model.safetensors"], |model| {
                model.files.get_mut("2_Dense/model.safetensors").unwrap().truncate(400);
            }),
            ("another module's weights", &["2_Dense.linear.weight"], |model| {
                let norm = model.files["3_LayerNorm/model.safetensors"].clone();
                model.put("2_Dense/model.safetensors", norm);
            }),
        ],
    );
}

/// Refused by their length, before any of it is read.
#[test]
fn files_of_a_gigabyte() {
    for file in ["config.json", "modules.json", "tokenizer.json", "sentence_bert_config.json", "2_Dense/config.json"] {
        let placed = Fixture::golden("newest").place();
        let sparse = std::fs::OpenOptions::new().write(true).open(placed.path.join(file)).unwrap();
        sparse.set_len(1 << 30).unwrap();
        assert_refused(opened(&placed), file, &[file, "1073741824"]);
    }
}

/// An index that lists a file as its own shard, or nothing but one that is not there.
#[test]
fn indexes_that_lead_in_circles() {
    const INDEX: &str = "model.safetensors.index.json";
    for (what, shard, word) in [
        ("itself", INDEX, INDEX),
        ("nothing", "model-00001-of-00001.safetensors", "model-00001-of-00001.safetensors"),
        ("the folder", ".", "plain relative path"),
        ("another folder", "1_Pooling", "1_Pooling"),
    ] {
        let mut fixture = Fixture::golden("mean");
        fixture.put(INDEX, json!({"weight_map": {WORDS: shard}}).to_string());
        let placed = fixture.place_without_weights("model");
        assert_refused(opened(&placed), what, &[word]);
    }
    let placed = Fixture::golden("mean").place_without_weights("model");
    std::fs::write(placed.path.join("pytorch_model.bin"), "PK").unwrap();
    assert_refused(opened(&placed), "a pickle", &["pytorch_model.bin", "safe_serialization"]);
}
