//! What a model says about itself: labels, activation, maximum length, kind.

use serde_json::{Value, json};

use super::open;
use crate::ErrorKind;
use crate::cross_encoder::{CrossEncoder, ScoreActivation};
use crate::model::ModelKind;
use crate::model::tests::fixture::{Fixture, golden_path, names};

const CONFIG: &str = "config.json";

fn activation(fixture: &Fixture) -> ScoreActivation {
    open(&fixture.place().path).info().activation
}

#[test]
fn what_a_model_says_about_itself() {
    let model = open(&golden_path("cross_bert"));
    let info = model.info();
    assert_eq!((info.name.as_str(), info.architecture.as_str(), info.layers), ("cross_bert", "bert", 2));
    assert_eq!((info.labels.as_slice(), info.max_tokens), (["LABEL_0".to_owned()].as_slice(), 32));
    assert!(info.drift.is_none() && info.licence.is_none());
    let numbers: usize = Fixture::golden("cross_bert").tensors.values().map(|raw| raw.bytes.len() / 4).sum();
    assert_eq!(info.parameters, numbers);
}

/// In the reference's order: the newest place, then version 4's, then the one before.
#[test]
fn the_activation_is_declared_in_three_places() {
    let (identity, sigmoid) = ("torch.nn.modules.linear.Identity", "torch.nn.modules.activation.Sigmoid");
    let mut fixture = Fixture::golden("cross_bert");
    assert_eq!(activation(&fixture), ScoreActivation::Identity);
    fixture.set(CONFIG, "sentence_transformers", json!({"activation_fn": sigmoid}));
    assert_eq!(activation(&fixture), ScoreActivation::Sigmoid, "version 4 over the one before");
    for silent in [json!({"activation_fn": null}), json!({"version": "4.0.1"}), Value::Null] {
        fixture.set(CONFIG, "sentence_transformers", silent);
        assert_eq!(activation(&fixture), ScoreActivation::Identity);
    }
    fixture.set(CONFIG, "sbert_ce_default_activation_function", Value::Null);
    assert_eq!(activation(&fixture), ScoreActivation::Sigmoid, "one label, no declaration");
    let mut modular = Fixture::golden("cross_electra");
    assert_eq!(activation(&modular), ScoreActivation::Identity, "the newest over the oldest");
    modular.set("config_sentence_transformers.json", "activation_fn", Value::Null);
    assert_eq!(activation(&modular), ScoreActivation::Sigmoid, "the oldest where the newest is silent");
    modular.set(CONFIG, "sentence_transformers", json!({"activation_fn": identity}));
    assert_eq!(activation(&modular), ScoreActivation::Identity);
    assert_eq!(open(&golden_path("cross_bert_labels")).info().activation, ScoreActivation::Identity);
}

#[test]
fn an_unknown_activation_is_refused_by_name_unless_another_is_chosen() {
    for class in ["torch.nn.modules.activation.Tanh", "my_package.Sigmoid", ""] {
        let mut fixture = Fixture::golden("cross_bert");
        fixture.set(CONFIG, "sbert_ce_default_activation_function", class);
        let placed = fixture.place();
        let error = CrossEncoder::open(&placed.path).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Model);
        assert!(names(&error, &format!("\"{class}\"")), "{error}");
        let chosen = CrossEncoder::options().activation(ScoreActivation::Sigmoid).open(&placed.path).unwrap();
        assert_eq!(chosen.info().activation, ScoreActivation::Sigmoid);
    }
}

#[test]
fn the_maximum_is_the_tokenizers_cut_to_the_table() {
    let with = |golden: &str, limit: Value| {
        let mut fixture = Fixture::golden(golden);
        fixture.set("tokenizer_config.json", "model_max_length", limit);
        open(&fixture.place().path).info().max_tokens
    };
    for (limit, max_tokens) in
        [(json!(20), 20), (json!(64), 64), (json!(512), 64), (json!(1e30), 64), (Value::Null, 64)]
    {
        assert_eq!(with("cross_bert", limit), max_tokens);
    }
    // Two rows of RoBERTa's table are not for the tokens of a text.
    assert_eq!(with("cross_roberta", json!(512)), 62);
    // A maximum of its own beats the tokenizer's.
    assert_eq!(with("cross_electra_labels", json!(20)), 29);
    let mut bare = Fixture::golden("cross_bert");
    bare.remove("tokenizer_config.json");
    assert_eq!(open(&bare.place().path).info().max_tokens, 64);
}

#[test]
fn a_chosen_maximum_has_to_fit() {
    let questions = super::Questions::read();
    for (golden, least, most) in [("cross_bert", 4, 64), ("cross_roberta", 5, 62)] {
        for max_length in [least, least + 1, 17, most] {
            let model = CrossEncoder::options().max_length(max_length).open(golden_path(golden)).unwrap();
            assert_eq!(model.info().max_tokens, max_length);
            assert_eq!(model.score(&questions.pairs()).unwrap().len(), questions.pairs.len());
        }
        for max_length in [0, 1, least - 1, most + 1, usize::MAX] {
            let error = CrossEncoder::options().max_length(max_length).open(golden_path(golden)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Misuse);
            assert!(error.to_string().contains(&format!("{least} to {most}")), "{error}");
        }
    }
}

#[test]
fn labels_by_number_and_by_name() {
    let mut fixture = Fixture::golden("cross_bert_labels");
    assert_eq!(open(&fixture.place().path).info().labels, ["contradiction", "entailment", "neutral"]);
    fixture.set(CONFIG, "id2label", Value::Null);
    fixture.set(CONFIG, "num_labels", 3);
    assert_eq!(open(&fixture.place().path).info().labels, ["LABEL_0", "LABEL_1", "LABEL_2"]);
}

#[test]
fn kinds_are_told_apart() {
    for (golden, kind) in [
        ("mean", ModelKind::BiEncoder),
        ("prefixed", ModelKind::BiEncoder),
        ("cross_bert", ModelKind::CrossEncoder),
        ("cross_electra", ModelKind::CrossEncoder),
    ] {
        assert_eq!(ModelKind::of(golden_path(golden)).unwrap(), kind, "{golden}");
    }
    // A classifier in modules is what the modules make of it.
    let mut bi_encoder = Fixture::golden("mean");
    bi_encoder.set(CONFIG, "architectures", json!(["BertForSequenceClassification"]));
    assert_eq!(ModelKind::of(bi_encoder.place().path).unwrap(), ModelKind::BiEncoder);
    assert_eq!(ModelKind::of(golden_path("gone")).unwrap_err().kind(), ErrorKind::NotFound);
}
