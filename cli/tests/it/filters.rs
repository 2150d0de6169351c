//! `--filter`, `--explain` and `index`.

use serde_json::{Value, json};

use crate::support::Place;

const TOWNS: &str = r#"{"id": "london", "text": "has 9,787,426 inhabitants", "title": "London", "year": 2011, "tag": ["uk", "big"]}
{"id": "leeds", "text": "has 751,485 inhabitants", "title": "Leeds", "year": 2011, "tag": ["uk"]}
{"id": "paris", "text": "has 2,102,650 inhabitants", "title": "Paris", "year": 2023, "archived": true}
"#;

fn place() -> Place {
    let place = Place::new();
    place.write("towns.jsonl", TOWNS);
    place.run(&["add", "c", "towns.jsonl"]).succeeded();
    place
}

fn ids(lines: &[Value]) -> Vec<&str> {
    let mut ids: Vec<&str> = lines.iter().map(|line| line["id"].as_str().unwrap()).collect();
    ids.sort_unstable();
    ids
}

#[test]
fn only_what_matches_is_found() {
    let place = place();
    for (filter, expected) in [
        ("year = 2011", &["leeds", "london"][..]),
        ("year >= 2011 and not archived and tag in ['big', 'small']", &["london"]),
        ("title contains 'a' or id = 'leeds'", &["leeds", "paris"]),
        ("not tag exists", &["paris"]),
    ] {
        let outcome = place.run(&["query", "c", "a city", "--json", "--filter", filter]).succeeded();
        assert_eq!(ids(&outcome.json()), expected, "{filter}");
        assert_eq!(outcome.stderr, "");
    }
    let asked = place.run_with(&["query", "c", "-", "--json", "--filter", "yaer = 2011"], "one\ntwo\n").succeeded();
    assert_eq!(asked.stdout, "");
    assert_eq!(asked.stderr, "warning: no passage has a field yaer\nwarning: the filter matches no passage\n", "once");
}

#[test]
fn an_answer_is_explained_on_standard_error() {
    let place = place();
    let query = ["query", "c", "a city", "-k", "1", "--filter", "year = 2011", "--explain"];
    let human = place.run(&query).succeeded();
    assert_eq!(human.stdout.lines().count(), 1);
    for part in ["plan ", "encode ", "2 of 3 passages match, 3 were read", "1 hits"] {
        assert!(human.stderr.contains(part), "{human:?}");
    }
    assert_eq!(
        place.run(&["index", "c", "year", "tag", "--json"]).succeeded().json(),
        [json!({"field": "year"}), json!({"field": "tag"})]
    );
    let outcome = place.run(&[&query[..], &["--json"]].concat()).succeeded();
    assert_eq!(outcome.json().len(), 1);
    let explained: Value = serde_json::from_str(&outcome.stderr).unwrap();
    let counts = ["plan", "passages", "matches", "read", "hits"].map(|key| explained[key].clone());
    assert_eq!(counts, [json!("scan"), json!(3), json!(2), json!(0), json!(1)]);
    assert!(explained["milliseconds"]["encode"].as_f64().unwrap() > 0.0);
    let dropped = place.run(&["index", "c", "year", "lang", "--drop"]).succeeded();
    assert_eq!((dropped.stdout.as_str(), dropped.stderr.as_str()), ("tag\n", "note: lang has no index\n"));
    assert_eq!(place.run(&["index", "c"]).succeeded().stdout, "tag\n");
}

#[test]
fn a_bad_filter_is_pointed_at_before_anything_is_opened() {
    let place = Place::new();
    let outcome = place.run(&["query", "nowhere", "x", "--filter", "year => 2011"]);
    outcome.failed(2, &["filter, character 7: expected a string, a number", "  year => 2011\n        ^"]);
    let deep = "(".repeat(1000);
    place.run(&["query", "nowhere", "x", "--filter", &deep]).failed(2, &["nest 64 deep"]);
    place.run(&["index", "nowhere", "--drop"]).failed(2, &["FIELDS"]);
}
