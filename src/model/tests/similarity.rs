//! Which similarity a model is for, and what is put in front of its texts.

use serde_json::{Value, json};

use super::fixture::{Fixture, golden_path, names};
use crate::model::{Model, Prompts};
use crate::{BiEncoder, ErrorKind, Similarity};

const REFERENCE: &str = "config_sentence_transformers.json";

fn similarity(golden: &str, name: &str, declared: Value) -> Similarity {
    let mut fixture = Fixture::golden(golden);
    fixture.set(REFERENCE, "similarity_fn_name", declared);
    fixture.place_as(name).open().unwrap().similarity
}

/// The model's own word, then a final Normalize, then the table of known names, then cosine.
#[test]
fn the_order_of_what_decides() {
    // `mean` ends with Normalize, `relu` does not.
    assert_eq!(similarity("relu", "some-model", json!("dot")), Similarity::Dot);
    assert_eq!(similarity("relu", "some-model", json!("cosine")), Similarity::Cosine);
    assert_eq!(similarity("mean", "some-model", json!("dot")), Similarity::Dot);
    assert_eq!(similarity("relu", "msmarco-bert-base-dot-v5", json!("cosine")), Similarity::Cosine);
    assert_eq!(similarity("mean", "multi-qa-mpnet-base-dot-v1", Value::Null), Similarity::Cosine);
    for known in [
        "msmarco-bert-base-dot-v5",
        "msmarco-distilbert-base-dot-prod-v3",
        "msmarco-roberta-base-ance-firstp",
        "msmarco-distilbert-base-tas-b",
        "multi-qa-mpnet-base-dot-v1",
    ] {
        assert_eq!(similarity("relu", known, Value::Null), Similarity::Dot, "{known}");
    }
    for unknown in ["some-model", "all-MiniLM-L6-v2", "msmarco-distilbert-cos-v5", "polka-dots", "balance-first"] {
        assert_eq!(similarity("relu", unknown, Value::Null), Similarity::Cosine, "{unknown}");
    }
}

#[test]
fn the_callers_word_comes_first() {
    for wanted in [Similarity::Dot, Similarity::Cosine] {
        for golden in ["mean", "cls"] {
            let encoder = BiEncoder::options().threads(1).similarity(wanted).open(golden_path(golden)).unwrap();
            assert_eq!(encoder.info().similarity, wanted);
        }
    }
}

#[test]
fn a_similarity_that_is_not_implemented() {
    for name in ["euclidean", "manhattan", "Cosine", ""] {
        let mut fixture = Fixture::golden("mean");
        fixture.set(REFERENCE, "similarity_fn_name", name);
        let error = fixture.refused();
        assert_eq!(error.kind(), ErrorKind::Model);
        assert!(names(&error, "similarity_fn_name") && names(&error, &format!("\"{name}\"")), "{error:?}");
    }
}

/// As sentence-transformers' `encode_query` and `encode_document` choose.
#[test]
fn prompts_by_name() {
    let prompts = |prompts: Value, default: Value| {
        let mut fixture = Fixture::golden("mean");
        fixture.set(REFERENCE, "prompts", prompts);
        fixture.set(REFERENCE, "default_prompt_name", default);
        let Prompts { query, passage, .. } = fixture.open().unwrap().modules.prompts;
        (query, passage)
    };
    let both = |query: &str, passage: &str| (query.to_owned(), passage.to_owned());
    assert_eq!(prompts(Value::Null, Value::Null), both("", ""));
    assert_eq!(prompts(json!({"query": "q: "}), Value::Null), both("q: ", ""));
    assert_eq!(prompts(json!({"query": "q: ", "document": "d: "}), Value::Null), both("q: ", "d: "));
    assert_eq!(prompts(json!({"passage": "p: ", "corpus": "c: "}), Value::Null), both("", "p: "));
    assert_eq!(prompts(json!({"corpus": "c: "}), Value::Null), both("", "c: "));
    assert_eq!(prompts(json!({"passage": "p: ", "document": "d: "}), Value::Null), both("", "d: "));
    assert_eq!(prompts(json!({"document": "", "passage": "p: "}), Value::Null), both("", ""));
    assert_eq!(prompts(json!({"task": "t: "}), json!("task")), both("", ""));
    assert_eq!(prompts(json!({"query": "q: "}), json!("query")), both("q: ", ""));
    assert_eq!(prompts(json!({"query": null}), json!("document")), both("", ""));
}

#[test]
fn the_licence_of_the_model_card() {
    let rows = [
        ("---\nlicense: apache-2.0\ntags:\n- x\n---\n# Title", Some("apache-2.0")),
        ("---\ntags: [a]\nlicense:  mit \n---\n", Some("mit")),
        ("---\nlicense:\n---\n", None),
        ("---\ntags: [a]\n---\nlicense: mit\n", None),
        ("# Title\nlicense: mit\n", None),
        ("", None),
    ];
    for (readme, licence) in rows {
        let mut fixture = Fixture::golden("mean");
        fixture.put("README.md", readme);
        assert_eq!(fixture.open().unwrap().licence.as_deref(), licence, "{readme:?}");
    }
    let mut binary = Fixture::golden("mean");
    binary.put("README.md", [0xff, 0xfe, 0x00]);
    assert_eq!(binary.open().unwrap().licence, None);
    assert_eq!(Model::open(&golden_path("mean")).unwrap().licence, None);
}
