//! The forms that programs rely on.

use serde_json::{Value, json};

use crate::support::Place;

const TOWNS: &str = r#"{"id": "london", "text": "has 9,787,426 inhabitants at the 2011 census", "title": "London", "year": 2011, "tags": ["uk"]}
{"_id": "oats", "text": "Oats are sown in early spring"}
{"id": 7, "text": "A violin has four strings"}
"#;

fn keys(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

#[test]
fn add_query_get_delete_list_stats() {
    let place = Place::new();
    place.write("towns.jsonl", TOWNS);
    let added = place.run(&["add", "c", "towns.jsonl", "--json"]).succeeded();
    assert_eq!(added.stderr, "", "silence in a pipe");
    let summary = added.json().pop().unwrap();
    assert_eq!(keys(&summary), ["added", "updated", "passages", "seconds"]);
    assert_eq!((&summary["added"], &summary["updated"], &summary["passages"]), (&json!(3), &json!(0), &json!(3)));

    let hits = place
        .run(&["query", "c", "How many people live in the English capital?", "-k", "2", "--json"])
        .succeeded()
        .json();
    assert_eq!(hits.len(), 2);
    assert_eq!(hits[0]["id"], "london");
    assert_eq!(hits[0]["rank"], 1);
    assert_eq!(hits[0]["text"], "has 9,787,426 inhabitants at the 2011 census");
    assert_eq!(hits[0]["metadata"], json!({"year": 2011, "tags": ["uk"]}));
    assert!(hits[0]["score"].as_f64().unwrap() > hits[1]["score"].as_f64().unwrap());
    assert_eq!(keys(&hits[1]), ["rank", "id", "score", "text", "metadata"], "no title, no key");
    let human = place.run(&["query", "c", "stringed instrument", "-k", "1"]).succeeded();
    assert!(human.stdout.starts_with(" 1  ") && human.stdout.contains("violin"), "{human:?}");

    let got = place.run(&["get", "c", "7", "oats", "--json"]).succeeded().json();
    assert_eq!((&got[0]["id"], &got[1]["text"]), (&json!("7"), &json!("Oats are sown in early spring")));

    let again = place.run(&["add", "c", "towns.jsonl", "--json"]).succeeded().json().pop().unwrap();
    assert_eq!((&again["added"], &again["updated"], &again["passages"]), (&json!(0), &json!(3), &json!(3)));

    assert_eq!(
        place.run(&["delete", "c", "7", "nobody", "--json"]).succeeded().json()[0],
        json!({"deleted": 1, "passages": 2})
    );
    let listed = place.run(&["list", "c", "--json"]).succeeded();
    assert_eq!(
        listed.json().iter().map(|line| line["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>(),
        ["london", "oats"]
    );
    let stats = place.run(&["stats", "c", "--json"]).succeeded().json().pop().unwrap();
    assert_eq!(
        (&stats["passages"], &stats["dimension"], &stats["similarity"]),
        (&json!(2), &json!(384), &json!("cosine"))
    );

    // What `list` prints can be added elsewhere, and is the same there.
    place.run_with(&["add", "copy", "-"], &listed.stdout).succeeded();
    assert_eq!(place.run(&["list", "copy", "--json"]).succeeded().stdout, listed.stdout);
}

#[test]
fn several_questions_from_standard_input() {
    let place = Place::new();
    place.write("towns.jsonl", TOWNS);
    place.run(&["add", "c", "towns.jsonl"]).succeeded();
    let questions = "{\"_id\": \"a\", \"text\": \"when to sow grain\"}\nmusic\n";
    let hits = place.run_with(&["query", "c", "-", "-k", "1", "--json"], questions).succeeded().json();
    let pairs: Vec<_> = hits.iter().map(|hit| (hit["query"].as_str().unwrap(), hit["id"].as_str().unwrap())).collect();
    assert_eq!(pairs, [("a", "oats"), ("2", "7")]);
}

#[test]
fn encode_keeps_the_order() {
    let place = Place::new();
    let input = "{\"text\": \"a much longer text than the one after it\"}\n\n{\"text\": \"b\"}\n{\"text\": \"\"}\n";
    let vectors = place.run_with(&["encode"], input).succeeded().json();
    let alone =
        place.run_with(&["encode", "--kind", "query", "--precision", "int8"], "{\"text\": \"b\"}").succeeded().json();
    assert_eq!(vectors.len(), 3);
    assert_eq!(vectors[1], alone[0], "a vector depends on its text alone");
    for vector in &vectors {
        assert_eq!(keys(vector), ["embedding"]);
        let numbers: Vec<f64> = vector["embedding"].as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect();
        assert_eq!(numbers.len(), 384);
        assert!((numbers.iter().map(|x| x * x).sum::<f64>() - 1.0).abs() < 1e-5);
    }
}

#[test]
fn the_demo_finds_its_answers() {
    let measured = Place::new().run(&["demo", "--json"]).succeeded().json().pop().unwrap();
    assert_eq!((&measured["passages"], &measured["queries"]), (&json!(200), &json!(40)));
    // sentence-transformers with the full weights: 0.7481 and 0.7163 (by pytrec_eval).
    assert!((measured["ndcg@10"].as_f64().unwrap() - 0.748).abs() < 0.01, "{measured}");
    assert!((measured["mrr@10"].as_f64().unwrap() - 0.716).abs() < 0.015, "{measured}");
    let told = Place::new().run(&["demo"]).succeeded();
    assert!(told.stdout.contains("nDCG@10") && told.stdout.contains("marcato add"), "{told:?}");
    assert_eq!(told.stderr, "");
}

#[test]
fn bench_measures_a_model_of_each_kind() {
    let place = Place::new();
    let head = ["model", "precision", "instruction_set", "threads", "rounds", "load_milliseconds"];
    let arguments = ["bench", "--limit", "3", "--rounds", "2", "--threads", "1"];
    let told = place.run(&[&arguments[..], &["--json"]].concat()).succeeded().json().pop().unwrap();
    let own = ["passages", "tokens", "passages_per_second", "tokens_per_second", "queries", "query_milliseconds"];
    assert_eq!(keys(&told)[..12], [head, own].concat());
    assert_eq!((&told["passages"], &told["queries"], &told["rounds"]), (&json!(3), &json!(3), &json!(2)));
    assert_eq!((&told["threads"], &told["precision"]), (&json!(1), &json!("int8")));
    let number = |path: &str| told.pointer(path).and_then(Value::as_f64).unwrap();
    assert!(number("/tokens") > 3.0 * number("/passages"), "{told}");
    let per_token = number("/tokens_per_second/median") / number("/passages_per_second/median");
    assert!((per_token - number("/tokens") / 3.0).abs() < 1e-6, "{told}");
    assert!(number("/passages_per_second/min") <= number("/passages_per_second/max"), "{told}");
    assert!(number("/query_milliseconds/p50") <= number("/query_milliseconds/p99"), "{told}");
    if cfg!(target_os = "linux") {
        assert!(number("/peak_memory_bytes") > 20e6, "more than the model's weights: {told}");
    }
    let human = place.run(&arguments).succeeded();
    assert!(human.stdout.contains("passages") && human.stdout.contains("p99"), "{human:?}");

    place.write("texts.jsonl", "{\"text\": \"one\"}\n{\"text\": \"two\"}\n");
    let cross = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/golden/cross_bert");
    let arguments = ["bench", "--passages", "texts.jsonl", "--rounds", "3", "--json", "--model"];
    let told = place.run(&[&arguments[..], &[cross]].concat()).succeeded().json().pop().unwrap();
    assert_eq!(keys(&told)[6..9], ["pairs", "pairs_per_second", "rank_milliseconds"]);
    assert_eq!((&told["pairs"], &told["precision"]), (&json!(2), &json!("f32")));
    place.run(&["bench", "--passages", "nowhere.jsonl"]).failed(1, &["nowhere.jsonl"]);
    place.write("none.jsonl", "\n");
    place.run(&["bench", "--queries", "none.jsonl"]).failed(1, &["none.jsonl", "holds no passage"]);
}

#[test]
fn models_and_shells() {
    let place = Place::new();
    let info = place.run(&["model", "info", "--json"]).succeeded().json().pop().unwrap();
    assert_eq!(
        (&info["architecture"], &info["dimension"], &info["max_tokens"]),
        (&json!("bert"), &json!(384), &json!(256))
    );
    assert_eq!(
        (&info["precision"], &info["similarity"], &info["licence"]),
        (&json!("int8"), &json!("cosine"), &json!("apache-2.0"))
    );
    assert!(info["drift"]["min_cosine"].as_f64().unwrap() > 0.995);
    for shell in ["bash", "zsh", "fish", "powershell"] {
        assert!(place.run(&["completions", shell]).succeeded().stdout.contains("marcato"), "{shell}");
    }
    for arguments in [&["--help"][..], &["add", "--help"], &["query", "--help"], &["model", "quantize", "--help"]] {
        assert!(place.run(arguments).succeeded().stdout.contains("Example"), "{arguments:?}");
    }
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let place = Place::new();
    let lines: String = (0..400).map(|n| format!("{{\"id\": \"{n}\", \"text\": \"x\"}}\n")).collect();
    place.run_with(&["add", "c", "-"], &lines).succeeded();
    let mut child = place.command(&["list", "c", "--json"]).spawn().unwrap();
    drop(child.stdout.take());
    assert!(child.wait().unwrap().success());
}
