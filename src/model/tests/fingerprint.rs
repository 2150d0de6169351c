//! Invariant M2: a fingerprint changes with whatever a vector depends on, and with nothing else.

use std::collections::BTreeSet;

use serde_json::json;

use super::fixture::{Change, Fixture, GOLDEN, golden_path};
use crate::model::Model;

const TRANSFORMER: &str = "sentence_bert_config.json";
const REFERENCE: &str = "config_sentence_transformers.json";

fn fingerprint(change: impl FnOnce(&mut Fixture)) -> String {
    let mut fixture = Fixture::golden("mean");
    change(&mut fixture);
    fixture.open().unwrap().fingerprint()
}

/// Collections keep these: if a change of the program moves one, every collection of that model has to be embedded
/// again. Then the text `marcato model 1` in the hash has to change as well, and this list.
#[test]
fn fingerprints_are_those_of_the_released_program() {
    let released = [
        (
            "mean",
            "c65da0927cca9b56d967c38de259afe46bd0fef16645405bde5a1b79e162d5aa",
            "b2572292dc4714a8d0c7f7b50bfb1bab5ccd6f006a5023454e740d9e904dbbf3",
        ),
        (
            "cls",
            "1a948d813e4bf0f5e5038c0cc0604da9a30219fbc5b5f0d0ee5b1ff7ec6f6771",
            "30d432ee5dc70d9818eea0b2f74b69a04d62667745b066c21886cf3408abaa75",
        ),
        (
            "prompts",
            "09c3f147f86dd3f7ddf90cd434f6b6a632a76d6c107a3bb1d3fef60a59015b2a",
            "12d25b549e89f4ab802fa297bb4a5170c473f889038da436c7f64b1b183e5966",
        ),
        (
            "gelu_new",
            "af4eb97a81165b4f1047d281bf685344e38117e2e002aa64f36500b9830eb590",
            "f2a1752423f09ae644f94b67045d410364c158babcff2262eab9143de886c709",
        ),
        (
            "relu",
            "fb7f6eaa407c5aecad06b4bf59734209bee5fd4d394476e26bbdbdb95bc81688",
            "3bed5daae249ec9a6aef7ff0575a8904195c22be273288214d75a7bc98092209",
        ),
        (
            "prefixed",
            "6280db2ed4188219fd4f36b3f38675742a7c64233bfa3cd67dd9d0aefb3bc6c7",
            "8d67f167a0562efd4ddf2e7c85268ad3423bafc56c1b46de5613d1db299e1998",
        ),
    ];
    for (golden, full, quantized) in released {
        let open = || Model::open(&golden_path(golden)).unwrap();
        assert_eq!(open().fingerprint(), full, "{golden}");
        assert_eq!(open().quantized().unwrap().fingerprint(), quantized, "{golden}, quantized");
    }
}

#[test]
fn every_model_has_its_own() {
    let mut seen = BTreeSet::new();
    for golden in GOLDEN {
        let model = Model::open(&golden_path(golden)).unwrap();
        let full = model.fingerprint();
        assert_eq!(full.len(), 64);
        assert!(full.bytes().all(|byte| byte.is_ascii_hexdigit()));
        assert!(seen.insert(full), "{golden}");
        assert!(seen.insert(model.quantized().unwrap().fingerprint()), "{golden}, quantized");
    }
}

#[test]
fn what_changes_it() {
    let plain = fingerprint(|_| ());
    let mut seen = BTreeSet::from([plain]);
    // The last bit of the last number of each tensor.
    for tensor in Fixture::golden("mean").tensors.into_keys() {
        let changed = fingerprint(|model| {
            model.numbers(&tensor, |numbers| {
                let last = numbers.last_mut().unwrap();
                *last = f32::from_bits(last.to_bits() ^ 1);
            })
        });
        assert!(seen.insert(changed), "{tensor}");
    }
    let rows: Vec<(&str, Change)> = vec![
        ("two tensors swapped", |model| {
            let [key, value] = ["key", "value"].map(|name| format!("encoder.layer.0.attention.self.{name}.weight"));
            let (taken, other) = (model.tensors[&key].clone(), model.tensors[&value].clone());
            model.tensors.extend([(key, other), (value, taken)]);
        }),
        ("a token", |model| {
            model.edit("tokenizer.json", |json| {
                let vocabulary = json["model"]["vocab"].as_object_mut().unwrap();
                let id = vocabulary.remove("london").unwrap();
                vocabulary.insert("lyon".into(), id);
            })
        }),
        ("the normalizer", |model| model.edit("tokenizer.json", |json| json["normalizer"]["lowercase"] = json!(false))),
        ("pooling", |model| {
            model.set("1_Pooling/config.json", "pooling_mode_mean_tokens", false);
            model.set("1_Pooling/config.json", "pooling_mode_cls_token", true);
        }),
        ("Normalize", |model| model.edit("modules.json", |modules| drop(modules.as_array_mut().unwrap().pop()))),
        ("the maximum", |model| model.set(TRANSFORMER, "max_seq_length", 31)),
        ("lower-casing", |model| model.set(TRANSFORMER, "do_lower_case", true)),
        ("the query's prompt", |model| model.set(REFERENCE, "prompts", json!({"query": "query: "}))),
        ("the passage's prompt", |model| model.set(REFERENCE, "prompts", json!({"document": "query: "}))),
        ("heads", |model| model.set("config.json", "num_attention_heads", 4)),
        ("activation", |model| model.set("config.json", "hidden_act", "relu")),
        ("epsilon", |model| model.set("config.json", "layer_norm_eps", 1e-11)),
    ];
    for (what, change) in rows {
        assert!(seen.insert(fingerprint(change)), "{what}");
    }
}

#[test]
fn what_does_not_change_it() {
    let plain = fingerprint(|_| ());
    let rows: Vec<(&str, Change)> = vec![
        ("a model card", |model| model.put("README.md", "---\nlicense: mit\n---\nchanged")),
        ("a file that is not read", |model| model.put("notes.txt", "nothing")),
        ("a key without effect", |model| model.set("config.json", "transformers_version", "9.9.9")),
        ("a prompt that is not used", |model| model.set(REFERENCE, "prompts", json!({"clustering": "c: "}))),
        ("the same activation by its other name", |model| model.set("config.json", "hidden_act", "gelu_python")),
        ("the limit of the tokenizer", |model| model.set("tokenizer_config.json", "model_max_length", 7)),
        ("white space", |model| {
            model.edit("config.json", |_| ());
            model.edit("modules.json", |_| ());
        }),
    ];
    for (what, change) in rows {
        assert_eq!(fingerprint(change), plain, "{what}");
    }
    // Nor does the directory's name.
    assert_eq!(Fixture::golden("mean").place_as("other").open().unwrap().fingerprint(), plain);
}
