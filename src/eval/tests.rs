//! The measures against trec_eval's own figures (`tests/golden/metrics.json`, by pytrec_eval on random rankings).

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::fmt::Write;

use serde_json::Value;

use super::{Qrels, ndcg, reciprocal_rank};

fn goldens() -> Vec<(Qrels, Vec<String>, Value)> {
    let cases: Vec<Value> = serde_json::from_str(include_str!("../../tests/golden/metrics.json")).unwrap();
    let case = |case: Value| {
        let mut tsv = String::from("query-id\tcorpus-id\tscore\n");
        for (passage, grade) in case["qrels"].as_object().unwrap() {
            writeln!(tsv, "q\t{passage}\t{grade}").unwrap();
        }
        let ranking = case["ranking"].as_array().unwrap().iter().map(|id| id.as_str().unwrap().to_owned()).collect();
        (Qrels::parse_tsv(&tsv).unwrap(), ranking, case)
    };
    cases.into_iter().map(case).collect()
}

#[test]
fn measures_equal_trec_eval() {
    let goldens = goldens();
    assert_eq!(goldens.len(), 40);
    for (qrels, ranking, expected) in &goldens {
        let close = |found: f64, key: &str| (found - expected[key].as_f64().unwrap()).abs() < 1e-6;
        assert!(close(ndcg(qrels, "q", ranking, 10), "ndcg_cut_10"), "{expected}");
        assert!(close(ndcg(qrels, "q", ranking, 5), "ndcg_cut_5"), "{expected}");
        assert!(close(reciprocal_rank(qrels, "q", ranking, usize::MAX), "recip_rank"), "{expected}");
    }
}

/// A comparison that cannot fail proves nothing: the reversed rankings must not match.
#[test]
fn reversed_rankings_differ_from_trec_eval() {
    let differ = goldens().into_iter().filter(|(qrels, ranking, expected)| {
        let reversed: Vec<&String> = ranking.iter().rev().collect();
        (ndcg(qrels, "q", &reversed, 10) - expected["ndcg_cut_10"].as_f64().unwrap()).abs() > 1e-6
    });
    assert!(differ.count() > 20);
}

#[test]
fn malformed_judgements_name_their_line() {
    for bad in ["h\nq\td", "h\nq\td\tx", "h\nq\td\t1\t2"] {
        let error = Qrels::parse_tsv(bad).unwrap_err().to_string();
        assert!(error.contains("line 2"), "{error}");
    }
}
