//! `score`, and `model` where it meets a cross-encoder: on the tiny models that the library is tested with.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::support::Place;

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden").join(name)
}

pub(crate) fn model(name: &str) -> String {
    golden(name).to_str().unwrap().to_owned()
}

fn read(path: PathBuf) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// The pairs of the golden models, a line each.
fn lines() -> String {
    let line = |pair: &Value| json!({"query": pair[0], "passage": pair[1], "more": 7}).to_string() + "\n";
    read(golden("pairs.json"))["pairs"].as_array().unwrap().iter().map(line).collect()
}

/// Whether what was printed is what sentence-transformers gave, a number for one label and a list for several.
fn assert_scores(found: &[Value], expected: &Value) {
    let expected = expected.as_array().unwrap();
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        assert_eq!(found.as_object().unwrap().len(), 1, "{found}");
        let found = match (&found["score"], expected.as_array().unwrap().len()) {
            (Value::Number(score), 1) => vec![score.as_f64().unwrap()],
            (Value::Array(scores), 2..) => scores.iter().map(|score| score.as_f64().unwrap()).collect(),
            (other, labels) => panic!("{other} for {labels} labels"),
        };
        let expected: Vec<f64> = expected.as_array().unwrap().iter().map(|score| score.as_f64().unwrap()).collect();
        assert_eq!(found.len(), expected.len());
        let apart = found.iter().zip(&expected).all(|(a, b)| (a - b).abs() <= 1e-5 * b.abs().max(1.0));
        assert!(apart, "{found:?} is not {expected:?}");
    }
}

#[test]
fn scores_are_the_references_in_order() {
    let place = Place::new();
    for name in ["cross_bert", "cross_bert_labels", "cross_distilbert", "cross_roberta_labels"] {
        let expected = read(golden(name).join("expected.json"));
        let own = place.run_with(&["score", "--model", &model(name)], &lines()).succeeded();
        assert_scores(&own.json(), &expected["scores"]);
        assert_eq!(own.stderr, "");
        let logits = place.run_with(&["score", "--model", &model(name), "--activation", "identity"], &lines());
        assert_scores(&logits.succeeded().json(), &expected["logits"]);
        let chosen =
            ["score", "--model", &model(name), "--activation", "model", "--precision", "f32", "--threads", "1"];
        assert_eq!(place.run_with(&chosen, &lines()).succeeded().stdout, own.stdout);
    }
    let sigmoid = place.run_with(&["score", "--model", &model("cross_bert"), "--activation", "sigmoid"], &lines());
    let scores = sigmoid.succeeded().json();
    assert!(scores.iter().all(|line| (0.0..=1.0).contains(&line["score"].as_f64().unwrap())));
}

/// More than are scored together, of all lengths: the order stays, and equal pairs have equal scores.
#[test]
fn many_pairs_stay_in_order() {
    let place = Place::new();
    let many = lines().repeat(30);
    let model = model("cross_electra_labels");
    let found = place.run_with(&["score", "--model", &model, "--batch-tokens", "300"], &many).succeeded().json();
    let once = place.run_with(&["score", "--model", &model], &lines()).succeeded().json();
    assert_eq!(found.len(), 30 * once.len());
    assert!(found.iter().enumerate().all(|(at, line)| *line == once[at % once.len()]));
    assert_eq!(place.run_with(&["score", "--model", &model], "").succeeded().stdout, "");
}

#[test]
fn a_shorter_maximum_counts() {
    let place = Place::new();
    let score = |length: &str| {
        let arguments = ["score", "--model", &model("cross_bert"), "--max-length", length];
        place.run_with(&arguments, "{\"query\": \"a b c d e f\", \"passage\": \"g h i j k l\"}")
    };
    let [long, same, short] = ["64", "15", "14"].map(|length| score(length).succeeded().stdout);
    assert_eq!(long, same);
    assert_ne!(long, short);
    score("3").failed(1, &["maximum length of 3", "4 to 64"]);
    score("65").failed(1, &["maximum length of 65", "4 to 64"]);
}

#[test]
fn bad_lines_are_named() {
    let place = Place::new();
    let good = "{\"query\": \"a\", \"passage\": \"b\"}\n";
    for (line, why) in [
        ("{\"query\": \"a\"}", "there is no \"passage\""),
        ("{\"passage\": \"b\"}", "there is no \"query\""),
        ("{\"query\": 1, \"passage\": \"b\"}", "\"query\" is not a string"),
        ("{\"query\": \"a\", \"passage\": null}", "\"passage\" is not a string"),
        ("[\"a\", \"b\"]", "not a JSON object"),
        ("{\"query\": \"a\", \"passage\": oops}", "not valid JSON at column"),
    ] {
        let input = format!("{}\n{}{line}\n{good}", good.trim_end(), good.repeat(5));
        let outcome = place.run_with(&["score", "--model", &model("cross_bert")], &input);
        outcome.failed(1, &["standard input:7", why]);
    }
}

#[test]
fn models_that_cannot_score() {
    let place = Place::new();
    place.run_with(&["score"], "").failed(2, &["--model"]);
    place.run_with(&["score", "--model", "nowhere"], "").failed(1, &["nowhere"]);
    place.run_with(&["score", "--model", &model("mean")], "").failed(1, &["bi-encoder", "cross-encoder is needed"]);
    place.run_with(&["score", "--model", &model("cross_bert"), "--activation", "tanh"], "").failed(2, &["tanh"]);
    place.run_with(&["encode", "--model", &model("cross_bert")], "").failed(1, &["is a cross-encoder", "score"]);
}

#[test]
fn quantize_and_info() {
    let place = Place::new();
    let arguments = ["model", "quantize", &model("cross_roberta"), "--output", "small.marcato", "--name", "small"];
    let told = place.run(&arguments).succeeded().stdout;
    assert!(told.contains("logits") && told.contains("pairs"), "{told}");
    let made = place.run(&[&arguments[..], &["--json"]].concat()).succeeded().json().pop().unwrap();
    let info = |path: &str| place.run(&["model", "info", path, "--json"]).succeeded().json().pop().unwrap();
    let small = info("small.marcato");
    assert_eq!((&small["kind"], &small["name"]), (&json!("cross-encoder"), &json!("small")));
    assert_eq!((&small["drift"], &small["precision"]), (&made["drift"], &json!("int8")));
    assert!(small["drift"]["max_error"].as_f64().unwrap() >= small["drift"]["mean_error"].as_f64().unwrap());
    assert_eq!(small["labels"], json!(["LABEL_0"]));
    assert_eq!((&small["activation"], &small["max_tokens"]), (&json!("identity"), &json!(62)));
    let full = info(&model("cross_roberta"));
    assert_eq!((&full["precision"], &full["drift"]), (&json!("f32"), &Value::Null));
    assert_ne!(full["fingerprint"], small["fingerprint"]);
    assert_eq!(info(&model("mean"))["kind"], json!("bi-encoder"));
    let scored =
        |path: &str| place.run_with(&["score", "--model", path, "--precision", "int8"], &lines()).succeeded().stdout;
    assert_eq!(scored("small.marcato"), scored(&model("cross_roberta")));
}
