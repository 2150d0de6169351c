//! `eval`: test collections searched, runs of elsewhere judged, two runs compared, and what is refused.

use std::collections::HashMap;
use std::fs;

use serde_json::{Value, json};

use crate::support::Place;

/// The demo's collection in BEIR's layout.
fn beir() -> Place {
    let place = Place::new();
    place.write("demo/corpus.jsonl", include_str!("../../demo/corpus.jsonl"));
    place.write("demo/queries.jsonl", include_str!("../../demo/queries.jsonl"));
    place.write("demo/qrels/test.tsv", include_str!("../../demo/qrels.tsv"));
    place
}

#[test]
fn a_test_collection_is_searched_and_measured() {
    let place = beir();
    let outcome = place.run(&["eval", "--data", "demo", "--run", "out.trec", "--json"]).succeeded();
    assert_eq!(outcome.stderr, "");
    let [report] = &outcome.json()[..] else { panic!("{outcome:?}") };
    let demo = place.run(&["demo", "--json"]).succeeded().json().pop().unwrap();
    assert_eq!(report["num_q"], demo["queries"]);
    assert!((report["ndcg_cut_10"].as_f64().unwrap() - demo["ndcg@10"].as_f64().unwrap()).abs() < 1e-12);
    assert!((report["recip_rank_cut_10"].as_f64().unwrap() - demo["mrr@10"].as_f64().unwrap()).abs() < 1e-12);
    for (name, value) in [("split", json!("test")), ("mode", json!("dense")), ("warnings", json!([]))] {
        assert_eq!(report[name], value);
    }
    assert_eq!(report["passages"], demo["passages"]);

    // The run that was written gives the same figures, however it is judged.
    let judged = place.run(&["eval", "--run", "out.trec", "--qrels", "demo/qrels/test.tsv", "--json"]).succeeded();
    let measures = |report: &Value| {
        let measures = report.as_object().unwrap().iter().filter(|(_, value)| value.is_number());
        measures
            .filter(|(name, _)| !name.starts_with("mill") && *name != "passages")
            .map(|(n, v)| (n.clone(), v.clone()))
            .collect::<Vec<_>>()
    };
    assert!(measures(report).len() >= 20);
    assert_eq!(measures(report), measures(&judged.json()[0]));
    let first = fs::read_to_string(place.path("out.trec")).unwrap();
    let fields: Vec<&str> = first.lines().next().unwrap().split(' ').collect();
    assert_eq!((fields.len(), fields[1], fields[3], fields[5]), (6, "Q0", "1", "marcato-dense"));

    // So does a collection that holds the passages.
    place.run(&["add", "c", "demo/corpus.jsonl"]).succeeded();
    let stored = place.run(&["eval", "--data", "demo", "--collection", "c", "--json"]).succeeded();
    assert_eq!(measures(report), measures(&stored.json()[0]));
}

/// By words alone nothing is encoded, and the ranking is that of a collection with embeddings.
#[test]
fn words_are_measured_without_a_model() {
    let place = beir();
    let report = place.run(&["eval", "--data", "demo", "--mode", "lexical", "--json"]).succeeded().json();
    assert_eq!((&report[0]["mode"], &report[0]["model"]), (&json!("lexical"), &json!("none")));
    assert!(report[0]["num_rel_ret"].as_u64().unwrap() > 0, "{report:?}");
    place.run(&["add", "c", "demo/corpus.jsonl"]).succeeded();
    let arguments = ["eval", "--data", "demo", "--collection", "c", "--mode", "lexical", "--json"];
    let stored = place.run(&arguments).succeeded().json();
    for measure in ["ndcg_cut_10", "map_cut_100", "recall_100"] {
        assert_eq!(report[0][measure], stored[0][measure], "{measure}");
    }
}

#[test]
fn passages_that_are_not_there_are_said() {
    let place = beir();
    place.write("one.jsonl", "{\"id\": \"nobody\", \"text\": \"one passage\"}\n");
    place.run(&["add", "c", "one.jsonl"]).succeeded();
    let outcome = place.run(&["eval", "--data", "demo", "--collection", "c", "--json"]).succeeded();
    assert!(outcome.stderr.contains("warning: ") && outcome.stderr.contains("not in the collection"), "{outcome:?}");
    let report = &outcome.json()[0];
    assert_eq!((report["ndcg_cut_10"].as_f64(), report["warnings"].as_array().unwrap().len()), (Some(0.0), 1));
}

/// Five queries with one relevant passage each, and two runs: the second finds it first for `q1` to `q3` only.
fn two_runs() -> Place {
    let place = Place::new();
    let lines = |line: fn(u32) -> String| (1..=5).map(line).collect::<String>();
    place.write("qrels.txt", lines(|q| format!("q{q} 0 right 2\nq{q} 0 wrong -1\n")));
    place.write("new.trec", lines(|q| format!("q{q} Q0 right 1 2 new\nq{q} Q0 wrong 2 1 new\n")));
    place.write(
        "old.trec",
        lines(|q| format!("q{q} Q0 right 1 {} old\nq{q} Q0 wrong 2 1 old\n", if q > 3 { 0 } else { 2 })),
    );
    place
}

#[test]
fn two_runs_are_compared() {
    let place = two_runs();
    let compared =
        ["eval", "--run", "new.trec", "--qrels", "qrels.txt", "--baseline", "old.trec", "--measure", "recip_rank,P_1"];
    let report = place.run(&[&compared[..], &["--json", "--per-query"]].concat()).succeeded().json().pop().unwrap();
    assert_eq!((&report["recip_rank"], &report["baseline"]["recip_rank"]), (&json!(1.0), &json!(0.8)));
    // scipy.stats.ttest_rel([1] * 5, [1, 1, 1, .5, .5]); two of the four assignments of two signs are as far.
    let comparison = &report["comparison"]["recip_rank"];
    assert!((comparison["t_test"].as_f64().unwrap() - 0.1778).abs() < 1e-4, "{comparison}");
    assert_eq!(
        (&comparison["randomization"], &comparison["better"], &comparison["worse"]),
        (&json!(0.5), &json!(2), &json!(0))
    );
    assert_eq!(report["queries"]["q5"], json!({"recip_rank": 1.0, "P_1": 1.0}));

    let table = place.run(&compared).succeeded().stdout;
    assert!(table.contains("recip_rank") && table.contains("+0.2000") && table.contains("0.1778"), "{table}");
    let swapped = ["eval", "--run", "old.trec", "--qrels", "qrels.txt", "--baseline", "new.trec", "--per-query"];
    let table = place.run(&swapped).succeeded().stdout;
    assert!(table.contains("-0.2000") && table.contains("0.5000  q5"), "{table}");
}

#[test]
fn a_page_stands_by_itself() {
    let place = two_runs();
    place.write("qrels.txt", "<b> 0 right 2\nq1 0 right 1\n");
    place.write("new.trec", "<b> Q0 <i>&\" 1 2 new\nq1 Q0 right 1 1 new\n");
    place
        .run(&["eval", "--run", "new.trec", "--qrels", "qrels.txt", "--baseline", "old.trec", "--html", "r.html"])
        .succeeded();
    let page = fs::read_to_string(place.path("r.html")).unwrap();
    for part in
        ["<!doctype html>", "<svg", "&lt;b&gt;", "&lt;i&gt;&amp;&quot;", "p, t-test", "ndcg_cut_10", "not found"]
    {
        assert!(page.contains(part), "no {part} in {page}");
    }
    for part in ["<script", "http", "src=", "url(", "@import", "<b></code>", "<i>&"] {
        assert!(!page.contains(part), "{part} in {page}");
    }
    assert_eq!(page.matches("<svg").count(), page.matches("</svg>").count());
    // With texts: the question, and the passages that answered it.
    let place = beir();
    place.run(&["eval", "--data", "demo", "--html", "r.html"]).succeeded();
    let page = fs::read_to_string(place.path("r.html")).unwrap();
    let queries = include_str!("../../demo/queries.jsonl").lines();
    let shown = queries.filter(|line| {
        let query: Value = serde_json::from_str(line).unwrap();
        page.contains(query["text"].as_str().unwrap())
    });
    assert_eq!(shown.count(), 12);
}

#[test]
fn oddities_are_warnings_and_move_the_mean_as_they_say() {
    let place = two_runs();
    place.write("qrels.txt", "q1 0 right 1\nq2 0 right 0\nq9 0 right 1\n");
    let outcome = place.run(&["eval", "--run", "new.trec", "--qrels", "qrels.txt", "--json"]).succeeded();
    for part in ["\"q9\"", "without a ranking", "not judged", "without a single relevant passage"] {
        assert!(outcome.stderr.contains(part), "{part}: {outcome:?}");
    }
    let report = &outcome.json()[0];
    assert_eq!((report["num_q"].clone(), report["recip_rank"].as_f64()), (json!(3), Some(1.0 / 3.0)));
    assert_eq!(report["warnings"].as_array().unwrap().len(), 3);
}

#[test]
fn a_query_may_be_kept_from_answering_itself() {
    let place = Place::new();
    place.write("qrels", "a 0 b 1\n");
    place.write("run", "a Q0 a 1 2 t\na Q0 b 2 1 t\n");
    let judged = ["eval", "--run", "run", "--qrels", "qrels", "--json"];
    let report = |more: &[&str]| place.run(&[&judged[..], more].concat()).succeeded().json().pop().unwrap();
    assert_eq!(report(&[])["recip_rank"], json!(0.5));
    assert_eq!(report(&["--ignore-identical-ids"])["recip_rank"], json!(1.0));
}

#[test]
fn contradictions_are_usage_errors() {
    let place = two_runs();
    for arguments in [
        &["eval"][..],
        &["eval", "--run", "new.trec"],
        &["eval", "--qrels", "qrels.txt"],
        &["eval", "--qrels", "qrels.txt", "--run", "new.trec", "--data", "demo"],
        &["eval", "--qrels", "qrels.txt", "--run", "new.trec", "--model", "demo"],
        &["eval", "--qrels", "qrels.txt", "--run", "new.trec", "--mode", "dense"],
        &["eval", "--qrels", "qrels.txt", "--run", "new.trec", "--collection", "c"],
        &["eval", "--data", "demo", "--mode", "telepathy"],
        &["eval", "--data", "demo", "--measure", "ndcg@10"],
        &["eval", "--data", "demo", "--measure", "P_0"],
        &["eval", "--data", "demo", "--top", "0"],
        &["eval", "--data", "demo", "--exact"],
    ] {
        place.run(arguments).failed(2, &["error"]);
    }
}

#[test]
fn what_cannot_be_measured_says_why() {
    let place = beir();
    let judge = |run: &str, qrels: &str, parts: &[&str]| {
        place.write("run", run);
        place.write("qrels", qrels);
        place.run(&["eval", "--run", "run", "--qrels", "qrels"]).failed(1, parts);
    };
    let (run, qrels) = ("q Q0 d 1 1 t\n", "q 0 d 1\n");
    judge("q Q0 d 1 nan t\n", qrels, &["run line 1", "\"nan\" is not a finite number"]);
    judge("q Q0 d 1 1 t\nq Q0 d 2 1 t\n", qrels, &["run line 2", "ranked twice"]);
    judge("q Q0 d 1 1 t\nbroken\n", qrels, &["run line 2", "expected query, Q0"]);
    judge(run, "q 0 d 1\nq 0 d high\n", &["qrels line 2", "whole number"]);
    judge(run, "", &["empty"]);
    judge("", qrels, &["no query in common"]);
    judge(run, "other 0 d 1\n", &["no query in common", "\"q\"", "\"other\""]);

    place.run(&["eval", "--run", "nowhere", "--qrels", "qrels"]).failed(1, &["nowhere", "No such file"]);
    place.run(&["eval", "--data", "nowhere"]).failed(1, &["nowhere", "no test collection"]);
    place.run(&["eval", "--data", "demo", "--split", "dev"]).failed(1, &["no split \"dev\"", "test"]);
    place.run(&["eval", "--data", "demo", "--collection", "nowhere"]).failed(1, &["nowhere"]);
    place.run(&["eval", "--data", "demo", "--baseline", "nowhere"]).failed(1, &["nowhere"]);
    // Found before the search.
    place.run(&["eval", "--data", "demo", "--run", "no/such/folder.trec"]).failed(1, &["no/such", "no directory"]);
    place.run(&["eval", "--data", "demo", "--html", "demo"]).failed(1, &["demo", "is a directory"]);
    place.write("demo/corpus.jsonl", "{\"_id\": \"a\", \"text\": \"x\"}\n{\"_id\": \"a\"\n");
    place.run(&["eval", "--data", "demo"]).failed(1, &["corpus.jsonl line 2"]);
    place.write("demo/corpus.jsonl", "{\"_id\": \"a\", \"text\": \"x\"}\n{\"_id\": \"a\", \"text\": \"y\"}\n");
    place.run(&["eval", "--data", "demo"]).failed(1, &["corpus.jsonl", "\"a\""]);
}

/// The scores of a reranked run are those that `score` gives the same pairs, and nothing else moves.
#[test]
fn reranking_follows_the_cross_encoder() {
    let place = beir();
    let model = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/golden/cross_bert");
    place.run(&["eval", "--data", "demo", "--run", "first.trec", "--json"]).succeeded();
    let rerank = ["--rerank", model, "--rerank-top", "7", "--json"];
    let given = ["eval", "--data", "demo", "--candidates", "first.trec", "--run", "second.trec"];
    let report = place.run(&[&given[..], &rerank].concat()).succeeded().json().pop().unwrap();
    assert_eq!((&report["rerank"], &report["rerank_top"]), (&json!("cross_bert"), &json!(7)));
    let searched = ["eval", "--data", "demo", "--run", "both.trec"];
    let both = place.run(&[&searched[..], &rerank].concat()).succeeded().json().pop().unwrap();
    assert_eq!((&both["ndcg_cut_10"], &both["baseline"]), (&report["ndcg_cut_10"], &report["baseline"]));
    let read = |name: &str| fs::read_to_string(place.path(name)).unwrap();
    assert_eq!(read("second.trec"), read("both.trec"));

    let texts = |jsonl: &str| -> HashMap<String, String> {
        let entry = |line: &str| {
            let entry: Value = serde_json::from_str(line).unwrap();
            let title = entry["title"].as_str().map_or(String::new(), |title| format!("{title} "));
            (entry["_id"].as_str().unwrap().to_owned(), title + entry["text"].as_str().unwrap())
        };
        jsonl.lines().map(entry).collect()
    };
    let (passages, queries) = (texts(&read("demo/corpus.jsonl")), texts(&read("demo/queries.jsonl")));
    let (first, second) = (ranking(&read("first.trec"), "q01"), ranking(&read("second.trec"), "q01"));
    let pairs =
        second.iter().take(7).map(|(id, _)| json!({"query": queries["q01"], "passage": passages[id]}).to_string());
    let scored = place.run_with(&["score", "--model", model], &pairs.map(|pair| pair + "\n").collect::<String>());
    let scores: Vec<f64> = scored.succeeded().json().iter().map(|line| line["score"].as_f64().unwrap()).collect();
    for ((_, found), expected) in second.iter().zip(&scores) {
        assert_eq!(*found as f32, *expected as f32);
    }
    let ids = |ranking: &[(String, f64)]| ranking.iter().map(|(id, _)| id.clone()).collect::<Vec<_>>();
    assert_ne!(ids(&first[..7]), ids(&second[..7]));
    assert_eq!(ids(&first[7..]), ids(&second[7..]));
    let mut sorted = [ids(&first[..7]), ids(&second[..7])];
    sorted.iter_mut().for_each(|ids| ids.sort());
    assert_eq!(sorted[0], sorted[1]);
}

/// The passages of one query, best first, with their scores.
fn ranking(run: &str, query: &str) -> Vec<(String, f64)> {
    let lines = run.lines().map(|line| line.split(' ').collect::<Vec<_>>()).filter(|fields| fields[0] == query);
    lines.map(|fields| (fields[2].to_owned(), fields[4].parse().unwrap())).collect()
}

#[test]
fn reranking_that_makes_no_sense_is_refused() {
    let place = beir();
    let model = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/golden/");
    place.write("first.trec", "q01 Q0 bread-rise 1 1 t\nq01 Q0 unheard-of 2 0.5 t\n");
    for arguments in [
        &["--candidates", "first.trec"][..],
        &["--rerank-top", "5"],
        &["--candidates", "first.trec", "--rerank", "m", "--mode", "dense"],
        &["--candidates", "first.trec", "--rerank", "m", "--collection", "c"],
        &["--rerank", "m", "--rerank-top", "0"],
    ] {
        place.run(&[&["eval", "--data", "demo"][..], arguments].concat()).failed(2, &["error"]);
    }
    let rerank = |with: &str, parts: &[&str]| {
        let model = format!("{model}{with}");
        place.run(&["eval", "--data", "demo", "--candidates", "first.trec", "--rerank", &model]).failed(1, parts);
    };
    rerank("cross_bert", &["\"unheard-of\"", "\"q01\"", "not in the data"]);
    rerank("cross_bert_labels", &["labels"]);
    rerank("mean", &["bi-encoder"]);
    rerank("nowhere", &["nowhere"]);
}
