//! Measures against trec_eval, on random runs with ties, missing queries, and grades from -1 to 4.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{goldens, text};
use crate::eval::{Evaluation, Measure, Qrels, Run, evaluate};

const CUTS: [usize; 5] = [1, 3, 5, 10, 100];

/// Every measure that trec_eval has too.
fn measures() -> Vec<Measure> {
    let cut = [Measure::NdcgCut, Measure::MapCut, Measure::P, Measure::Recall, Measure::Success];
    let mut measures = vec![Measure::Ndcg, Measure::Map, Measure::RecipRank, Measure::Rprec];
    measures.extend(cut.iter().flat_map(|measure| CUTS.map(measure)));
    measures
}

/// The values that differ by more than 1e-6 from trec_eval's, of all that it has.
fn differences(evaluation: &Evaluation, expected: &Value) -> (usize, usize) {
    let (mut different, mut compared) = (0, 0);
    for (query, expected) in expected.as_object().unwrap() {
        for (measure, value) in evaluation.query(query).unwrap() {
            compared += 1;
            let expected = expected[&measure.to_string()].as_f64().unwrap();
            different += usize::from((value - expected).abs() > 1e-6);
        }
    }
    (different, compared)
}

fn cases() -> Vec<(Qrels, Run, Value)> {
    let case = |case: &Value| {
        let qrels = Qrels::parse_trec(text(&case["qrels"])).unwrap();
        (qrels, Run::parse_trec(text(&case["run"])).unwrap(), case["expected"].clone())
    };
    goldens("trec").as_array().unwrap().iter().map(case).collect()
}

#[test]
fn measures_equal_trec_eval() {
    let mut all = 0;
    for (qrels, run, expected) in cases() {
        let evaluation = evaluate(&qrels, &run, &measures()).unwrap();
        let (different, compared) = differences(&evaluation, &expected);
        assert_eq!(different, 0, "{expected}");
        all += compared;
        // trec_eval's totals, over the queries that it looks at: those with judgements and a ranking.
        let total = |key: &str| {
            expected.as_object().unwrap().values().map(|query| query[key].as_f64().unwrap() as usize).sum::<usize>()
        };
        let counts = evaluation.counts();
        assert_eq!((counts.retrieved, counts.relevant_retrieved), (total("num_ret"), total("num_rel_ret")));
        assert_eq!(evaluation.missing().len() + expected.as_object().unwrap().len(), counts.queries);
    }
    assert!(all > 24 * 3 * measures().len(), "only {all} values");
}

/// A comparison that cannot fail proves nothing: each change of a rule must be seen.
#[test]
fn another_rule_is_noticed() {
    let noticed = |change: fn(&Qrels, &Run) -> (Qrels, Run)| {
        let differ = |(qrels, run, expected): (Qrels, Run, Value)| {
            let (qrels, run) = change(&qrels, &run);
            differences(&evaluate(&qrels, &run, &measures()).unwrap(), &expected).0
        };
        cases().into_iter().map(differ).sum::<usize>()
    };
    assert_eq!(noticed(|qrels, run| (qrels.clone(), run.clone())), 0);
    // Ties by ascending id.
    assert!(noticed(|qrels, run| (qrels.clone(), with_scores(run, |place, _| -(place as f32)))) > 100);
    // Binary grades.
    assert!(noticed(|qrels, run| (with_grades(qrels, |grade| i64::from(grade > 0)), run.clone())) > 100);
    // Negative grades taken for relevant.
    assert!(noticed(|qrels, run| (with_grades(qrels, i64::abs), run.clone())) > 100);
}

/// The run with its ties the other way round: best first, equal scores by ascending id, then scored by place.
fn with_scores(run: &Run, score: impl Fn(usize, f32) -> f32) -> Run {
    let mut changed = Run::default();
    for query in run.queries() {
        let mut ranking = run.ranking(query).to_vec();
        ranking.sort_by(|a, b| b.score.total_cmp(&a.score).then_with(|| a.id.cmp(&b.id)));
        let scored = ranking.into_iter().enumerate().map(|(place, ranked)| (ranked.id, score(place, ranked.score)));
        changed.insert(query, scored.collect::<Vec<_>>()).unwrap();
    }
    changed
}

fn with_grades(qrels: &Qrels, grade: impl Fn(i64) -> i64) -> Qrels {
    let mut changed = Qrels::default();
    for query in qrels.queries() {
        for (passage, old) in qrels.judgements(query) {
            changed.insert(query, passage, grade(old)).unwrap();
        }
    }
    changed
}

#[test]
fn a_mean_is_over_all_judged_queries() {
    let qrels = Qrels::parse_trec("a 0 x 1\nb 0 x 1\nc 0 x 0\nd 0 x 1\n").unwrap();
    let run = Run::parse_trec("a Q0 x 1 1 t\nc Q0 x 1 1 t\nd Q0 y 1 2 t\nd Q0 x 2 1 t\nz Q0 x 1 1 t\n").unwrap();
    let evaluation = evaluate(&qrels, &run, &[Measure::RecipRank, Measure::P(1)]).unwrap();
    assert_eq!(evaluation.mean(Measure::RecipRank), Some(1.5 / 4.0));
    assert_eq!(evaluation.mean(Measure::Map), None);
    let values: BTreeMap<_, _> = evaluation.values(Measure::RecipRank).unwrap().collect();
    assert_eq!(values, BTreeMap::from([("a", 1.0), ("b", 0.0), ("c", 0.0), ("d", 0.5)]));
    let warnings = evaluation.warnings();
    assert_eq!(warnings.len(), 3, "{warnings:?}");
    for (warning, parts) in warnings.iter().zip([["\"b\"", "0"], ["\"z\"", "left out"], ["\"c\"", "relevant"]]) {
        assert!(parts.iter().all(|part| warning.contains(part)), "{warning}");
    }
    let counts = evaluation.counts();
    assert_eq!((counts.queries, counts.retrieved, counts.relevant, counts.relevant_retrieved), (4, 4, 3, 2));
}

/// MS MARCO's MRR@10, which trec_eval lacks: `recip_rank` of the first ten.
#[test]
fn a_cut_reciprocal_rank_is_that_of_the_cut_ranking() {
    for (qrels, run, _) in cases() {
        for query in qrels.queries() {
            let ids: Vec<&str> = run.ranking(query).iter().map(|ranked| ranked.id.as_str()).collect();
            let cut = &ids[..ids.len().min(3)];
            let expected = Measure::RecipRank.of(&qrels, query, cut);
            assert_eq!(Measure::RecipRankCut(3).of(&qrels, query, &ids), expected);
        }
    }
}

#[test]
fn measures_have_trec_evals_names() {
    for measure in measures().into_iter().chain(Measure::USUAL) {
        assert_eq!(measure.to_string().parse::<Measure>().unwrap(), measure);
    }
    assert_eq!("ndcg_cut.10".parse::<Measure>().unwrap(), Measure::NdcgCut(10));
    for bad in ["", "ndcg@10", "P", "P_0", "P_-1", "recall_x", "ndcg_cut_", "map_cut_99999999999999999999", "rprec"] {
        let error = bad.parse::<Measure>().unwrap_err().to_string();
        assert!(error.contains(&format!("\"{bad}\"")) && error.contains("ndcg_cut_10"), "{error}");
    }
}

#[test]
fn nothing_to_measure_is_an_error() {
    let qrels = Qrels::parse_trec("a 0 x 1\n").unwrap();
    let run = Run::parse_trec("b Q0 x 1 1 t\n").unwrap();
    let refused =
        |qrels: &Qrels, run: &Run, measures: &[Measure]| evaluate(qrels, run, measures).unwrap_err().to_string();
    assert!(refused(&Qrels::default(), &run, &Measure::USUAL).contains("empty"));
    assert!(refused(&qrels, &run, &Measure::USUAL).contains("no query in common"));
    assert!(refused(&qrels, &run, &[]).contains("no measure"));
}
