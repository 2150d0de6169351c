//! What a model's JSON files may not say: each row changes one thing, and the error has to name it.

use serde_json::{Value, json};

use super::fixture::{Change, Fixture, names};
use crate::ErrorKind;

const CONFIG: &str = "config.json";
const MODULES: &str = "modules.json";
const POOLING: &str = "1_Pooling/config.json";
const TRANSFORMER: &str = "sentence_bert_config.json";
const REFERENCE: &str = "config_sentence_transformers.json";

fn assert_refused(fixture: &Fixture, what: &str, words: &[&str]) {
    let error = fixture.open().err().unwrap_or_else(|| panic!("{what} must be refused"));
    assert_eq!(error.kind(), ErrorKind::Model, "{what}: {error}");
    for word in words {
        assert!(names(&error, word), "{what}: {error:?} does not name {word}");
    }
}

#[test]
fn every_golden_model_opens() {
    for golden in super::fixture::GOLDEN {
        assert!(Fixture::golden(golden).open().is_ok(), "{golden}");
    }
}

#[test]
fn values_that_are_malformed_or_not_implemented() {
    let rows: Vec<(&str, &str, Value)> = vec![
        (CONFIG, "model_type", json!("xlm-roberta")),
        (CONFIG, "model_type", json!("mpnet")),
        (CONFIG, "model_type", json!("albert")),
        (CONFIG, "model_type", json!("Bert")),
        (CONFIG, "model_type", json!("")),
        (CONFIG, "model_type", Value::Null),
        (CONFIG, "model_type", json!(["bert"])),
        (CONFIG, "hidden_act", json!("quick_gelu")),
        (CONFIG, "hidden_act", json!("gelu_10")),
        (CONFIG, "hidden_act", json!("mish")),
        (CONFIG, "hidden_act", json!("GELU")),
        (CONFIG, "hidden_act", json!(7)),
        (CONFIG, "position_embedding_type", json!("relative_key")),
        (CONFIG, "is_decoder", json!(true)),
        (CONFIG, "add_cross_attention", json!(true)),
        (CONFIG, "pruned_heads", json!({"0": [1]})),
        (CONFIG, "embedding_size", json!(18)),
        (CONFIG, "some_new_key", json!(1)),
        (CONFIG, "quantization_config", json!({"bits": 4})),
        (CONFIG, "num_attention_heads", json!(0)),
        (CONFIG, "num_attention_heads", json!(5)),
        (CONFIG, "num_attention_heads", json!(2000)),
        (CONFIG, "num_hidden_layers", json!(0)),
        (CONFIG, "num_hidden_layers", json!(-2)),
        (CONFIG, "num_hidden_layers", json!(257)),
        (CONFIG, "hidden_size", json!(-36)),
        (CONFIG, "hidden_size", json!(36.5)),
        (CONFIG, "hidden_size", json!("36")),
        (CONFIG, "hidden_size", json!(u64::MAX)),
        (CONFIG, "hidden_size", json!(1_000_000)),
        (CONFIG, "hidden_size", Value::Null),
        (CONFIG, "intermediate_size", json!(u32::MAX)),
        (CONFIG, "intermediate_size", json!([56])),
        (CONFIG, "vocab_size", json!(0)),
        (CONFIG, "vocab_size", json!(1_u64 << 40)),
        (CONFIG, "max_position_embeddings", json!(0)),
        (CONFIG, "max_position_embeddings", json!(i64::MIN)),
        (CONFIG, "type_vocab_size", json!(0)),
        (CONFIG, "layer_norm_eps", json!(0)),
        (CONFIG, "layer_norm_eps", json!(-1e-12)),
        (CONFIG, "layer_norm_eps", json!(1.5)),
        (CONFIG, "layer_norm_eps", json!("1e-5")),
        (CONFIG, "layer_norm_eps", json!([1e-5])),
        (POOLING, "word_embedding_dimension", json!(37)),
        (POOLING, "word_embedding_dimension", json!(0)),
        (POOLING, "word_embedding_dimension", Value::Null),
        (POOLING, "pooling_mode_mean_tokens", json!("yes")),
        (POOLING, "include_prompt", json!("no")),
        (POOLING, "embedding_dimension", json!(37)),
        (POOLING, "pooling_mode", json!("median")),
        (POOLING, "pooling_mode", json!(["mean", "median"])),
        (POOLING, "pooling_mode", json!(["mean", 7])),
        (POOLING, "pooling_mode", json!({"mean": true})),
        (POOLING, "pooling_mode", json!(vec!["mean"; 13])),
        (POOLING, "pooling_mode_new_tokens", json!(true)),
        (TRANSFORMER, "max_seq_length", json!(0)),
        (TRANSFORMER, "max_seq_length", json!(65)),
        (TRANSFORMER, "max_seq_length", json!(-1)),
        (TRANSFORMER, "max_seq_length", json!("32")),
        (TRANSFORMER, "max_seq_length", json!(1_u64 << 60)),
        (TRANSFORMER, "do_lower_case", json!(1)),
        (TRANSFORMER, "query_length", json!(8)),
        (TRANSFORMER, "transformer_task", json!("fill-mask")),
        (TRANSFORMER, "module_output_name", json!("logits")),
        (TRANSFORMER, "modality_config", json!({"image": {"method": "forward"}})),
        (TRANSFORMER, "processing_kwargs", json!({"text": {"padding": "max_length"}})),
        (REFERENCE, "similarity_fn_name", json!("euclidean")),
        (REFERENCE, "similarity_fn_name", json!(7)),
        (REFERENCE, "default_prompt_name", json!("retrieval")),
        (REFERENCE, "default_prompt_name", json!(7)),
        (REFERENCE, "prompts", json!(["query: "])),
        (REFERENCE, "prompts", json!({"query": 7})),
        (REFERENCE, "prompts", json!({"query": {"text": "query: "}})),
        (REFERENCE, "model_type", json!("SparseEncoder")),
        (REFERENCE, "truncate_dim", json!(16)),
    ];
    for (file, key, value) in rows {
        let mut fixture = Fixture::golden("mean");
        fixture.set(file, key, value.clone());
        assert_refused(&fixture, &format!("{file}: {key} {value}"), &[file, key]);
    }
}

#[test]
fn keys_that_are_missing() {
    let config = [
        "model_type",
        "vocab_size",
        "hidden_size",
        "num_hidden_layers",
        "num_attention_heads",
        "intermediate_size",
        "max_position_embeddings",
        "type_vocab_size",
    ];
    let rows = config.map(|key| (CONFIG, key)).into_iter().chain([(POOLING, "word_embedding_dimension")]);
    for (file, key) in rows {
        let mut fixture = Fixture::golden("mean");
        fixture.edit(file, |value| drop(value.as_object_mut().unwrap().remove(key)));
        assert_refused(&fixture, &format!("{file} without {key}"), &[file, key]);
    }
}

/// Keys that say what is assumed anyway, or nothing that a vector depends on.
#[test]
fn values_that_are_accepted() {
    let rows: Vec<(&str, &str, Value)> = vec![
        (CONFIG, "position_embedding_type", Value::Null),
        (CONFIG, "is_decoder", json!(false)),
        (CONFIG, "pruned_heads", json!({})),
        (CONFIG, "embedding_size", json!(36)),
        (CONFIG, "some_new_key", Value::Null),
        (CONFIG, "torch_dtype", json!("float32")),
        (CONFIG, "eos_token_ids", json!(0)),
        (CONFIG, "id2label", json!({"0": "LABEL_0"})),
        (CONFIG, "hidden_act", Value::Null),
        (CONFIG, "layer_norm_eps", Value::Null),
        (POOLING, "include_prompt", json!(true)),
        (POOLING, "pooling_mode_lasttoken", json!(false)),
        (TRANSFORMER, "max_seq_length", Value::Null),
        (TRANSFORMER, "max_seq_length", json!(64)),
        (TRANSFORMER, "max_seq_length", json!(3)),
        (REFERENCE, "similarity_fn_name", json!("dot_product")),
        (REFERENCE, "prompts", json!({"query": null})),
        (REFERENCE, "model_type", json!("SentenceTransformer")),
    ];
    for (file, key, value) in rows {
        let mut fixture = Fixture::golden("mean");
        fixture.set(file, key, value.clone());
        if let Err(error) = fixture.open() {
            panic!("{file}: {key} {value}: {error}");
        }
    }
}

#[test]
fn pooling_modes() {
    let modes = |change: Change| {
        let mut fixture = Fixture::golden("mean");
        fixture.set(POOLING, "pooling_mode_mean_tokens", false);
        change(&mut fixture);
        fixture.open().unwrap().modules.pooling.name()
    };
    assert_eq!(modes(|model| model.set(POOLING, "pooling_mode_cls_token", true)), "cls");
    assert_eq!(modes(|model| model.set(POOLING, "pooling_mode_lasttoken", true)), "lasttoken");
    assert_eq!(modes(|model| model.set(POOLING, "pooling_mode", "weightedmean")), "weightedmean");
    // Flags in the order of the reference, whatever theirs in the file; a list in its own.
    let flags: Change = |model| {
        for mode in ["mean_sqrt_len_tokens", "max_tokens", "mean_tokens", "cls_token"] {
            model.set(POOLING, &format!("pooling_mode_{mode}"), true);
        }
    };
    assert_eq!(modes(flags), "cls+max+mean+mean_sqrt_len_tokens");
    let list: Change = |model| {
        model.set(POOLING, "pooling_mode_max_tokens", true);
        model.set(POOLING, "pooling_mode", json!(["mean", "cls", "mean"]));
    };
    assert_eq!(modes(list), "mean+cls+mean");
    for none in [Value::Null, json!([])] {
        let mut fixture = Fixture::golden("mean");
        fixture.set(POOLING, "pooling_mode_mean_tokens", false);
        fixture.set(POOLING, "pooling_mode", none);
        assert_refused(&fixture, "no mode", &[POOLING, "no pooling mode"]);
    }
}

fn module(kind: &str, path: &str) -> Value {
    json!({"idx": 0, "name": "0", "path": path, "type": kind})
}

#[test]
fn modules() {
    let classic = |kind: &str| format!("sentence_transformers.models.{kind}");
    let list = |modules: &[(&str, &str)]| {
        Value::Array(modules.iter().map(|(kind, path)| module(&classic(kind), path)).collect())
    };
    let rows: Vec<(&str, Value, &[&str])> = vec![
        ("nothing", json!([]), &[MODULES]),
        ("no Pooling", list(&[("Transformer", "")]), &[MODULES, "Transformer"]),
        ("other order", list(&[("Pooling", "1_Pooling"), ("Transformer", "")]), &[MODULES, "Pooling"]),
        (
            "Dense without files",
            list(&[("Transformer", ""), ("Pooling", "1_Pooling"), ("Dense", "2_Dense")]),
            &["2_Dense/config.json"],
        ),
        (
            "a second Pooling",
            list(&[("Transformer", ""), ("Pooling", "1_Pooling"), ("Pooling", "1_Pooling")]),
            &[MODULES, "models.Pooling"],
        ),
        (
            "a WeightedLayerPooling",
            list(&[("Transformer", ""), ("WeightedLayerPooling", "1"), ("Pooling", "1_Pooling")]),
            &[MODULES, "WeightedLayerPooling"],
        ),
        (
            "a Normalize that leads out",
            list(&[("Transformer", ""), ("Pooling", "1_Pooling"), ("Normalize", "../2")]),
            &["../2", "plain relative path"],
        ),
        ("unknown", list(&[("Transformer", ""), ("Pooling", "1_Pooling"), ("Wonder", "2")]), &[MODULES, "Wonder"]),
        ("static", list(&[("StaticEmbedding", "")]), &[MODULES, "StaticEmbedding"]),
        (
            "a folder that is not there",
            list(&[("Transformer", "0_Transformer"), ("Pooling", "1_Pooling")]),
            &["0_Transformer/config.json"],
        ),
        (
            "custom code",
            json!([module("modeling.Transformer", ""), module(&classic("Pooling"), "1_Pooling")]),
            &[MODULES, "modeling.Transformer"],
        ),
        ("no type", json!([{"idx": 0, "path": ""}]), &[MODULES, "type"]),
        ("type is a number", json!([{"type": 7, "path": ""}]), &[MODULES, "type"]),
        ("strings", json!(["Transformer", "Pooling"]), &[MODULES, "type"]),
    ];
    for (what, modules, words) in rows {
        let mut fixture = Fixture::golden("mean");
        fixture.edit(MODULES, |value| *value = modules);
        assert_refused(&fixture, what, words);
    }
}

/// The folders of newer versions, `sentence_transformers.sentence_transformer.modules.pooling.Pooling` and the like.
#[test]
fn modules_by_their_newer_names() {
    let mut fixture = Fixture::golden("mean");
    let newer = [("transformer.Transformer", ""), ("pooling.Pooling", "1_Pooling"), ("normalize.Normalize", "2")];
    let newer =
        newer.map(|(kind, path)| module(&format!("sentence_transformers.sentence_transformer.modules.{kind}"), path));
    fixture.edit(MODULES, |value| *value = json!(newer));
    assert!(fixture.open().unwrap().modules.is_normalized());
}

#[test]
fn files_of_the_wrong_form() {
    for file in [CONFIG, POOLING, TRANSFORMER, REFERENCE] {
        for wrong in ["[]", "7", "null", "\"text\"", "[{}]"] {
            let mut fixture = Fixture::golden("mean");
            fixture.put(file, wrong);
            assert_refused(&fixture, &format!("{file}: {wrong}"), &[file, "object"]);
        }
    }
    let mut fixture = Fixture::golden("mean");
    fixture.put(MODULES, "{}");
    assert_refused(&fixture, "modules.json: {}", &[MODULES, "list"]);
    let deep = "[".repeat(100_000);
    for file in [CONFIG, POOLING, TRANSFORMER, REFERENCE, MODULES] {
        for wrong in ["", "{", "{\"a\": }", "not json", "\u{feff}{}", "{} {}", "\0", deep.as_str()] {
            let mut fixture = Fixture::golden("mean");
            fixture.put(file, wrong);
            assert_refused(&fixture, &format!("{file}: {:?}", wrong.get(..9)), &[file, "JSON"]);
        }
        let mut fixture = Fixture::golden("mean");
        fixture.put(file, [b'"', 0xff, 0xfe, b'"']);
        assert_refused(&fixture, &format!("{file}: not UTF-8"), &[file, "JSON"]);
    }
}

#[test]
fn a_maximum_without_room_for_text() {
    for limit in [1, 2] {
        let mut fixture = Fixture::golden("mean");
        fixture.set(TRANSFORMER, "max_seq_length", limit);
        assert_refused(&fixture, "too short", &["maximum", &limit.to_string()]);
    }
}
