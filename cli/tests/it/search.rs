//! Modes, stages and pages of a query.

use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;

use serde_json::{Value, json};

use crate::support::Place;

const PUMPS: &str = r#"{"id": "900", "text": "Replace the seal of the XJ-900 every 2,000 hours. It costs little.", "maker": "acme"}
{"id": "700", "text": "The XJ-700 is cooled by air and needs no seal.", "maker": "acme"}
{"id": "leak", "text": "Look whether water leaks from the shaft of the pump.", "maker": "bolt"}
{"id": "dry", "text": "Keep this manual in a dry place."}
"#;

/// A tiny cross-encoder with random weights.
const RERANKER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/golden/cross_bert");

fn pumps() -> Place {
    let place = Place::new();
    place.write("pumps.jsonl", PUMPS);
    place.run(&["add", "c", "pumps.jsonl"]).succeeded();
    place
}

fn query(place: &Place, arguments: &[&str]) -> Vec<Value> {
    place.run(&[&["query", "c", "--json"], arguments].concat()).succeeded().json()
}

fn ids(hits: &[Value]) -> Vec<&str> {
    hits.iter().map(|hit| hit["id"].as_str().unwrap()).collect()
}

#[test]
fn by_words_and_by_both() {
    let place = pumps();
    assert_eq!(ids(&query(&place, &["xj-900", "--mode", "lexical"])), ["900", "700"]);
    assert_eq!(ids(&query(&place, &["\"xj 900\"", "--mode", "lexical"])), ["900"]);
    assert_eq!(ids(&query(&place, &["leak*", "--mode", "lexical"])), ["leak"]);
    assert!(query(&place, &["elephants", "--mode", "lexical"]).is_empty());
    let plain = query(&place, &["my machine is dripping"]);
    assert_eq!((plain.len(), ids(&plain)[0], &plain[0]["scores"]), (4, "leak", &Value::Null));
    for fusion in ["weighted", "rrf"] {
        let both =
            query(&place, &["how often to change the gasket of an XJ-900", "--mode", "hybrid", "--fusion", fusion]);
        assert_eq!((both.len(), ids(&both)[0]), (4, "900"));
        let scores = both[0]["scores"].as_object().unwrap();
        assert_eq!(scores.keys().collect::<Vec<_>>(), ["dense", "lexical", "fused"]);
        assert_eq!(scores["fused"], both[0]["score"]);
    }
    let stats = place.run(&["stats", "c", "--json"]).succeeded().json().pop().unwrap();
    assert_eq!(stats["words"], "english");
}

#[test]
fn options_that_have_no_effect_are_refused_or_warned_of() {
    let place = pumps();
    place.run(&["query", "c", "seal", "--fusion", "rrf"]).failed(1, &["--fusion", "--mode dense", "--mode hybrid"]);
    for option in [&["--exact"][..], &["--model", "built-in"]] {
        let arguments = [&["query", "c", "seal", "--mode", "lexical"], option].concat();
        place.run(&arguments).failed(1, &[option[0], "--mode lexical", "hybrid"]);
    }
    let outcome = place.run(&["query", "c", "seal", "--collapse", "colour"]).succeeded();
    assert!(outcome.stderr.contains("no hit has the field colour"), "{}", outcome.stderr);
    let outcome = place.run(&["query", "c", "seal", "--collapse", "maker"]).succeeded();
    assert_eq!((outcome.stdout.lines().count(), outcome.stderr.as_str()), (3, ""));
}

#[test]
fn reranked_scores_are_those_of_score() {
    let place = pumps();
    let question = "how often to change the seal";
    let before = query(&place, &[question, "--mode", "hybrid"]);
    let hits = query(&place, &[question, "--mode", "hybrid", "--rerank", RERANKER, "--rerank-top", "3"]);
    let pairs: String =
        before.iter().map(|hit| format!("{}\n", json!({"query": question, "passage": hit["text"]}))).collect();
    let scores = place.run_with(&["score", "--model", RERANKER], &pairs).succeeded().json();
    let mut expected: Vec<(f64, &str)> =
        scores.iter().zip(ids(&before)).take(3).map(|(score, id)| (score["score"].as_f64().unwrap(), id)).collect();
    expected.sort_by(|a, b| b.0.total_cmp(&a.0));
    for (hit, (score, id)) in hits.iter().zip(&expected) {
        assert_eq!((&hit["id"], &hit["score"], &hit["scores"]["rerank"]), (&json!(id), &json!(score), &json!(score)));
        let first = before.iter().find(|hit| hit["id"] == *id).unwrap();
        assert_eq!(hit["scores"]["fused"], first["score"]);
    }
    assert_eq!((&hits[3]["id"], &hits[3]["score"]), (&before[3]["id"], &before[3]["score"]));
    place.run(&["query", "c", "x", "--rerank", "nowhere"]).failed(1, &["nowhere"]);
    place.run(&["query", "c", "x", "--rerank-top", "5"]).failed(2, &["--rerank"]);
}

#[test]
fn pages_thresholds_groups_and_likeness() {
    let place = pumps();
    let all = query(&place, &["a pump"]);
    let page = query(&place, &["a pump", "--offset", "1", "-k", "2"]);
    assert_eq!(ids(&page), ids(&all)[1..3]);
    assert_eq!((&page[0]["rank"], &page[1]["rank"]), (&json!(2), &json!(3)));
    let least = all[1]["score"].to_string();
    assert_eq!(ids(&query(&place, &["a pump", "--min-score", &least])), ids(&all)[..2]);
    assert_eq!(query(&place, &["a pump", "--min-score", "-1"]).len(), 4);
    assert_eq!(query(&place, &["a pump", "--collapse", "maker"]).len(), 3);
    assert_eq!(query(&place, &["a pump", "--mmr", "1"]), all);
    let like = query(&place, &["--like", "900"]);
    assert_eq!((like.len(), ids(&like)[0]), (3, "700"));
    place.run(&["query", "c", "--like", "nobody"]).failed(1, &["nobody"]);
    place.run(&["query", "c", "x", "--like", "900"]).failed(2, &["--like"]);
    place.run(&["query", "c"]).failed(2, &["TEXT"]);
    place.run(&["query", "c", "x", "--mmr", "2"]).failed(1, &["from 0 to 1"]);
}

#[test]
fn a_highlight_shows_the_sentence_and_marks_the_words() {
    let place = pumps();
    let hits = query(&place, &["replacing seals", "-k", "1", "--mode", "hybrid", "--highlight"]);
    assert_eq!(
        hits[0]["highlight"],
        json!({"sentence": {"start": 0, "end": 49, "text": "Replace the seal of the XJ-900 every 2,000 hours."}, "words": [[0, 7], [12, 16]]})
    );
    let human = place.run(&["query", "c", "replacing seals", "-k", "1", "--mode", "hybrid", "--highlight"]).succeeded();
    assert!(human.stdout.contains("*Replace* the *seal* of"), "{human:?}");
}

#[test]
fn a_collection_has_a_language_or_none_at_all() {
    let place = Place::new();
    place.run_with(&["add", "g", "-", "--language", "german"], "{\"text\": \"die Häuser\"}\n").succeeded();
    let hits = place.run(&["query", "g", "haus", "--mode", "lexical", "--json"]).succeeded().json();
    assert_eq!(hits.len(), 1);
    place.run_with(&["add", "o", "-", "--language", "off"], "{\"text\": \"houses\"}\n").succeeded();
    place.run(&["query", "o", "houses", "--mode", "lexical"]).failed(1, &["dense"]);
    place.run_with(&["add", "x", "-", "--language", "klingon"], "").failed(2, &["klingon", "german", "off"]);
}

/// Whoever writes one question at a time and waits for its answer gets it.
#[test]
fn questions_are_answered_as_they_come() {
    let place = pumps();
    let mut child = place.command(&["query", "c", "-", "-k", "1", "--json"]).stdin(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let mut answers = BufReader::new(child.stdout.take().unwrap());
    for (question, id) in [("dripping machine", "leak"), ("where to put the booklet", "dry")] {
        writeln!(stdin, "{question}").unwrap();
        let mut line = String::new();
        answers.read_line(&mut line).unwrap();
        assert_eq!(serde_json::from_str::<Value>(&line).unwrap()["id"], id);
    }
    drop(stdin);
    assert!(child.wait().unwrap().success());
}
