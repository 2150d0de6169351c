//! Models that do not open as cross-encoders, each with its reason.

use serde_json::json;

use super::open;
use crate::cross_encoder::CrossEncoder;
use crate::model::tests::fixture::{Change, Fixture, golden_path, names};
use crate::{BiEncoder, ErrorKind};

const CONFIG: &str = "config.json";
const MODULES: &str = "modules.json";
const SETTINGS: &str = "config_sentence_transformers.json";
const TRANSFORMER: &str = "sentence_bert_config.json";

#[test]
fn the_other_kind_is_refused_and_named() {
    let error = BiEncoder::open(golden_path("cross_bert")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Misuse);
    for part in ["cross_bert", "is a cross-encoder", "a bi-encoder is needed", "CrossEncoder"] {
        assert!(error.to_string().contains(part), "{error}");
    }
    let error = CrossEncoder::open(golden_path("mean")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Misuse);
    for part in ["mean", "is a bi-encoder", "a cross-encoder is needed", "BiEncoder"] {
        assert!(error.to_string().contains(part), "{error}");
    }
    assert_eq!(crate::quantize(golden_path("cross_bert"), "x", &["text"]).unwrap_err().kind(), ErrorKind::Misuse);
    let quantized = CrossEncoder::quantize(golden_path("mean"), "x", &[("query", "passage")]);
    assert_eq!(quantized.unwrap_err().kind(), ErrorKind::Misuse);
}

#[test]
fn several_labels_are_not_one_score() {
    let model = open(&golden_path("cross_bert_labels"));
    for error in [model.score(&[("a", "b")]).unwrap_err(), model.rank("a", &["b"], 1).unwrap_err()] {
        assert_eq!(error.kind(), ErrorKind::Misuse);
        assert!(error.to_string().contains("entailment") && error.to_string().contains("score_labels"), "{error}");
    }
}

#[test]
fn options_that_cannot_be_met() {
    for options in [CrossEncoder::options().threads(0), CrossEncoder::options().batch_tokens(0)] {
        assert_eq!(options.open(golden_path("cross_bert")).unwrap_err().kind(), ErrorKind::Misuse);
    }
    assert_eq!(CrossEncoder::open(golden_path("gone")).unwrap_err().kind(), ErrorKind::NotFound);
}

#[test]
fn what_is_malformed_or_not_supported_is_named() {
    type Row = (&'static str, &'static str, Change, &'static [&'static str]);
    let rows: &[Row] = &[
        ("no head", "cross_bert", |m| drop(m.tensors.remove("classifier.weight")), &["classifier.weight", "lack"]),
        ("no pooler", "cross_bert", |m| drop(m.tensors.remove("bert.pooler.dense.bias")), &["bert.pooler.dense.bias"]),
        ("no projection", "cross_roberta", |m| drop(m.tensors.remove("classifier.out_proj.weight")), &["out_proj"]),
        (
            "no first matrix",
            "cross_distilbert",
            |m| drop(m.tensors.remove("pre_classifier.weight")),
            &["pre_classifier"],
        ),
        (
            "other labels",
            "cross_bert",
            |m| m.set(CONFIG, "id2label", json!({"0": "a", "1": "b"})),
            &["classifier", "[2, 36]"],
        ),
        ("a gap in the labels", "cross_bert", |m| m.set(CONFIG, "id2label", json!({"1": "a"})), &["id2label"]),
        ("no labels", "cross_bert", |m| m.set(CONFIG, "id2label", json!({})), &["id2label"]),
        ("labels that are a list", "cross_bert", |m| m.set(CONFIG, "id2label", json!(["a"])), &["id2label"]),
        ("two counts", "cross_bert", |m| m.set(CONFIG, "num_labels", 2), &["num_labels", "id2label"]),
        ("zero labels", "cross_bert", |m| m.set(CONFIG, "num_labels", 0), &["num_labels"]),
        (
            "NaN in the head",
            "cross_bert",
            |m| m.numbers("classifier.bias", |w| w[0] = f32::NAN),
            &["classifier.bias", "NaN"],
        ),
        (
            "an activation that is a number",
            "cross_bert",
            |m| m.set(CONFIG, "sbert_ce_default_activation_function", 7),
            &["sbert_ce"],
        ),
        (
            "settings that are a text",
            "cross_bert",
            |m| m.set(CONFIG, "sentence_transformers", "x"),
            &["sentence_transformers"],
        ),
        (
            "a number for a class",
            "cross_bert",
            |m| m.set(CONFIG, "sentence_transformers", json!({"activation_fn": 1})),
            &["activation_fn"],
        ),
        (
            "a maximum without room",
            "cross_bert",
            |m| m.set("tokenizer_config.json", "model_max_length", 3),
            &["special tokens", "3"],
        ),
        (
            "truncation from the left",
            "cross_bert",
            |m| m.set("tokenizer_config.json", "truncation_side", "left"),
            &["truncation_side"],
        ),
        (
            "a default prompt",
            "cross_electra",
            |m| m.set(SETTINGS, "default_prompt_name", "query"),
            &["default_prompt_name"],
        ),
        ("a key of tomorrow", "cross_electra", |m| m.set(SETTINGS, "tomorrow", 1), &["tomorrow"]),
        (
            "another task",
            "cross_electra",
            |m| m.set(TRANSFORMER, "transformer_task", "text-generation"),
            &["text-generation"],
        ),
        (
            "another output",
            "cross_electra",
            |m| m.set(TRANSFORMER, "module_output_name", "token_embeddings"),
            &["module_output_name"],
        ),
        (
            "a maximum beyond the table",
            "cross_electra",
            |m| m.set(TRANSFORMER, "max_seq_length", 65),
            &["65", "64 positions"],
        ),
        (
            "a second module",
            "cross_electra",
            |m| {
                m.edit(MODULES, |list| {
                let second = json!({"type": "sentence_transformers.cross_encoder.modules.logit_score.LogitScore", "path": "1"});
                list.as_array_mut().unwrap().push(second);
            });
            },
            &["LogitScore"],
        ),
        (
            "a module of somebody else",
            "cross_electra",
            |m| m.edit(MODULES, |list| list[0]["type"] = json!("mine.Transformer")),
            &["mine.Transformer"],
        ),
        (
            "a folder of its own",
            "cross_electra",
            |m| m.edit(MODULES, |list| list[0]["path"] = json!("0_Transformer")),
            &["0_Transformer"],
        ),
        ("no list", "cross_electra", |m| m.edit(MODULES, |list| *list = json!({})), &["modules.json", "list"]),
        ("no JSON", "cross_bert", |m| m.put(CONFIG, "{"), &["config.json"]),
    ];
    for (what, golden, change, parts) in rows {
        let mut fixture = Fixture::golden(golden);
        change(&mut fixture);
        let placed = fixture.place();
        let error = CrossEncoder::open(&placed.path).err().unwrap_or_else(|| panic!("{what} must be refused"));
        assert_eq!(error.kind(), ErrorKind::Model, "{what}: {error}");
        for part in *parts {
            assert!(names(&error, part), "{what}: \"{part}\" is not in {error}");
        }
    }
}

/// Finite weights can still overflow on the way; what is not finite must not leave the model.
#[test]
fn scores_that_are_not_finite_are_an_error() {
    let mut fixture = Fixture::golden("cross_distilbert");
    fixture.numbers("classifier.weight", |numbers| numbers.fill(f32::MAX));
    fixture.numbers("pre_classifier.bias", |numbers| numbers.fill(f32::MAX));
    let error = open(&fixture.place().path).score(&[("water", "water")]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Model);
    assert!(error.to_string().contains("not finite"), "{error}");
}
