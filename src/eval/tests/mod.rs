//! Figures against those of the tools they are named after (`tests/golden/eval.json`, by `make_eval.py`), and files.
//!
//! - `trec`: measures against trec_eval
//! - `transformers`: evaluators against sentence-transformers
//! - `significance`: tests against SciPy
//! - `files`: what is read, and what is refused

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod files;
mod significance;
mod transformers;
mod trec;

use serde_json::Value;

fn goldens(of: &str) -> Value {
    let mut goldens: Value = serde_json::from_str(include_str!("../../../tests/golden/eval.json")).unwrap();
    goldens[of].take()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect()
}

fn strings(value: &Value) -> Vec<String> {
    value.as_array().unwrap().iter().map(|string| text(string).to_owned()).collect()
}
