//! Evaluators against sentence-transformers' own.

use std::slice::from_ref;

use std::path::Path;

use serde_json::Value;

use super::{goldens, numbers, strings, text};
use crate::eval::{
    Candidates, EmbeddingSimilarity, EmbeddingSimilarityEvaluator, InformationRetrievalEvaluator, Qrels,
    RerankingEvaluator, RerankingSample, Run, SimilarPair,
};
use crate::{BiEncoder, Precision, Result};

#[test]
fn information_retrieval_equals_sentence_transformers() {
    let cases = goldens("information_retrieval");
    let mut unlike_trec = 0;
    for case in cases.as_array().unwrap() {
        let qrels = Qrels::parse_trec(text(&case["qrels"])).unwrap();
        let run = Run::parse_trec(text(&case["run"])).unwrap();
        let figures = InformationRetrievalEvaluator::default().evaluate(&qrels, &run).unwrap();
        let expected = case["expected"].as_object().unwrap();
        assert_eq!(figures.len(), expected.len());
        for (name, expected) in expected {
            assert!(
                (figures[name] - expected.as_f64().unwrap()).abs() < 1e-9,
                "{name}: {} for {expected}",
                figures[name]
            );
        }
        // The negative control: by trec_eval's rules, some of these cases are other than by sentence-transformers'.
        let trec = crate::eval::evaluate(&qrels, &run, &[crate::eval::Measure::NdcgCut(10)]).unwrap();
        let trec = trec.mean(crate::eval::Measure::NdcgCut(10)).unwrap();
        unlike_trec += usize::from((trec - figures["ndcg@10"]).abs() > 1e-3);
    }
    assert!(unlike_trec >= 6, "{unlike_trec}");
}

#[test]
fn information_retrieval_refuses_what_has_no_figure() {
    let run = Run::parse_trec("q Q0 a 1 1 t\n").unwrap();
    let evaluator = InformationRetrievalEvaluator::default();
    let irrelevant = Qrels::parse_trec("q 0 a 0\n").unwrap();
    assert!(evaluator.evaluate(&irrelevant, &run).unwrap_err().to_string().contains("no query with a relevant"));
    let zero = InformationRetrievalEvaluator { map_at_k: vec![0], ..evaluator };
    let qrels = Qrels::parse_trec("q 0 a 1\n").unwrap();
    assert!(zero.evaluate(&qrels, &run).unwrap_err().to_string().contains("map@0"));
}

fn similar_pairs(goldens: &Value) -> Vec<SimilarPair> {
    let sentences = strings(&goldens["sentences1"]).into_iter().zip(strings(&goldens["sentences2"]));
    let pairs = sentences.zip(numbers(&goldens["scores"]));
    pairs.map(|((sentence1, sentence2), score)| SimilarPair { sentence1, sentence2, score }).collect()
}

/// By the names that sentence-transformers gives them.
fn named(found: &EmbeddingSimilarity) -> [(&'static str, f64); 10] {
    [
        ("pearson_cosine", found.cosine.pearson),
        ("spearman_cosine", found.cosine.spearman),
        ("pearson_dot", found.dot.pearson),
        ("spearman_dot", found.dot.spearman),
        ("pearson_euclidean", found.euclidean.pearson),
        ("spearman_euclidean", found.euclidean.spearman),
        ("pearson_manhattan", found.manhattan.pearson),
        ("spearman_manhattan", found.manhattan.spearman),
        ("pearson_max", found.max().pearson),
        ("spearman_max", found.max().spearman),
    ]
}

#[test]
fn embedding_similarity_equals_sentence_transformers() {
    let goldens = goldens("embedding_similarity");
    let mut pairs = similar_pairs(&goldens);
    for case in goldens["cases"].as_array().unwrap() {
        let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(text(&case["model"]));
        let encoder = BiEncoder::options().precision(Precision::F32).threads(1).open(model).unwrap();
        let found = EmbeddingSimilarityEvaluator::new(pairs.clone()).evaluate(&encoder).unwrap();
        let expected = |name: &str| case["expected"][name].as_f64().unwrap();
        for (name, found) in named(&found) {
            assert!((found - expected(name)).abs() < 1e-5, "{name}: {found} for {}", expected(name));
        }
        // The negative control: two sentences change places, and nothing is as it was.
        let second = pairs[1].sentence2.clone();
        pairs[1].sentence2 = std::mem::replace(&mut pairs[0].sentence2, second);
        let found = EmbeddingSimilarityEvaluator::new(pairs.clone()).evaluate(&encoder).unwrap();
        assert!(named(&found).iter().all(|(name, found)| (found - expected(name)).abs() > 1e-4), "{found:?}");
        pairs = similar_pairs(&goldens);
    }
}

#[test]
fn embedding_similarity_refuses_what_is_not_defined() {
    let embedding = |values: &[f32]| crate::Embedding::new(values).unwrap();
    let (a, b, wide) = (embedding(&[1.0, 0.0]), embedding(&[0.0, 1.0]), embedding(&[0.0; 3]));
    let refused = |first: &[_], second: &[_], scores: &[f64]| {
        EmbeddingSimilarity::of(first, second, scores).unwrap_err().to_string()
    };
    assert!(refused(from_ref(&a), from_ref(&b), &[1.0, 2.0]).contains("1 and 1 embeddings for 2 scores"));
    assert!(refused(from_ref(&a), &[wide], &[1.0]).contains("2 and 3 numbers"));
    let pair = [a.clone(), b.clone()];
    assert!(refused(&pair, &[a.clone(), a], &[1.0, 1.0]).contains("values that differ"));
    assert!(refused(&pair, &[b.clone(), b], &[1.0, f64::NAN]).contains("finite"));
    assert!(refused(&[], &[], &[]).contains("values that differ"));
}

fn samples(case: &Value) -> Vec<RerankingSample> {
    let sample = |sample: &Value| RerankingSample {
        query: text(&sample["query"]).to_owned(),
        positive: strings(&sample["positive"]),
        candidates: match sample.get("documents") {
            Some(documents) => Candidates::Documents(strings(documents)),
            None => Candidates::Negative(strings(&sample["negative"])),
        },
    };
    case["samples"].as_array().unwrap().iter().map(sample).collect()
}

/// The score is the end of the passage.
fn recorded(pairs: &[(&str, &str)]) -> Result<Vec<f32>> {
    Ok(pairs.iter().map(|(_, passage)| passage.rsplit_once(' ').unwrap().1.parse().unwrap()).collect())
}

#[test]
fn reranking_equals_sentence_transformers() {
    let mut unlike = 0;
    for case in goldens("reranking").as_array().unwrap() {
        let always_rerank_positives = case["always_rerank_positives"].as_bool().unwrap();
        let evaluator = RerankingEvaluator { always_rerank_positives, ..RerankingEvaluator::default() };
        let samples = samples(case);
        let found = evaluator.evaluate(&samples, recorded).unwrap();
        let expected = &case["expected"];
        let close = |name: &str, found: f64| {
            let expected = expected[name].as_f64().unwrap();
            assert!((found - expected).abs() < 1e-9, "{name}: {found} for {expected} in {case}");
        };
        close("map", found.reranked.map);
        close("ndcg@10", found.reranked.ndcg);
        // sentence-transformers leaves the order of ties to NumPy's sort, which differs between machines.
        if !case["ties"].as_bool().unwrap() {
            close("mrr@10", found.reranked.mrr);
        }
        assert_eq!(found.base.is_some(), expected.get("base_map").is_some());
        if let Some(base) = found.base {
            close("base_map", base.map);
            close("base_ndcg@10", base.ndcg);
            close("base_mrr@10", base.mrr);
        }
        // The negative control: scores the other way round.
        let reversed = |pairs: &[(&str, &str)]| Ok(recorded(pairs)?.into_iter().map(|score| -score).collect());
        let reversed = evaluator.evaluate(&samples, reversed).unwrap().reranked;
        unlike += usize::from((reversed.map - found.reranked.map).abs() > 1e-3);
    }
    assert!(unlike >= 11, "{unlike}");
}

#[test]
fn reranking_refuses_scores_that_are_none() {
    let sample = RerankingSample {
        query: "how big".to_owned(),
        positive: vec!["a".to_owned()],
        candidates: Candidates::Negative(vec!["b".to_owned()]),
    };
    let evaluator = RerankingEvaluator::default();
    for scores in [vec![1.0], vec![1.0, f32::NAN]] {
        let error = evaluator.evaluate(from_ref(&sample), |_| Ok(scores.clone())).unwrap_err();
        assert!(error.to_string().contains("how big"), "{error}");
    }
    assert!(evaluator.evaluate(&[], |_| Ok(Vec::new())).unwrap_err().to_string().contains("at least one sample"));
}
