//! Scores against exact ones, and against those of `sentence_transformers.util` that `tests/golden/make.py` recorded.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use proptest::prelude::*;
use serde::Deserialize;

use super::{CORPUS, CorpusHit, QUERIES, cos_sim, dot_score, semantic_search};
use crate::{Embedding, ErrorKind, Similarity};

#[derive(Deserialize)]
struct Golden {
    queries: Vec<Vec<f32>>,
    corpus: Vec<Vec<f32>>,
    cos_sim: Vec<Vec<f32>>,
    dot_score: Vec<Vec<f32>>,
    top_k: usize,
    search_cosine: Vec<Vec<(usize, f32)>>,
    search_dot: Vec<Vec<(usize, f32)>>,
}

fn embeddings(rows: &[Vec<f32>]) -> Vec<Embedding> {
    rows.iter().map(|row| Embedding::new(row.clone()).unwrap()).collect()
}

#[test]
fn scores_equal_the_reference() {
    let golden: Golden = serde_json::from_str(include_str!("../../tests/golden/util.json")).unwrap();
    let (queries, corpus) = (embeddings(&golden.queries), embeddings(&golden.corpus));
    let close = |found: &[Vec<f32>], expected: &[Vec<f32>], slack: f32| {
        assert_eq!(found.len(), expected.len());
        found.iter().zip(expected).all(|(found, expected)| {
            assert_eq!(found.len(), expected.len());
            found.iter().zip(expected).all(|(a, b)| (a - b).abs() <= slack)
        })
    };
    let largest = golden.dot_score.iter().flatten().fold(0_f32, |largest, score| largest.max(score.abs()));
    assert!(close(&cos_sim(&queries, &corpus).unwrap(), &golden.cos_sim, 1e-6));
    assert!(close(&dot_score(&queries, &corpus).unwrap(), &golden.dot_score, largest * 1e-6));
    assert!(!close(&dot_score(&queries, &corpus).unwrap(), &golden.cos_sim, 1e-6), "the negative control");
    for (similarity, expected) in [(Similarity::Cosine, golden.search_cosine), (Similarity::Dot, golden.search_dot)] {
        let found = semantic_search(&queries, &corpus, golden.top_k, similarity).unwrap();
        let ids = |hits: &[CorpusHit]| hits.iter().map(|hit| hit.corpus_id).collect::<Vec<_>>();
        for (found, expected) in found.iter().zip(&expected) {
            assert_eq!(ids(found), expected.iter().map(|(id, _)| *id).collect::<Vec<_>>());
            let apart = found.iter().zip(expected).map(|(hit, (_, score))| (hit.score - score).abs());
            assert!(apart.fold(0.0, f32::max) <= largest * 1e-6);
        }
        assert_eq!(found.len(), expected.len());
    }
}

/// Small integers, so that every score is exact and many are equal.
fn rows(count: std::ops::Range<usize>, width: usize) -> impl Strategy<Value = Vec<Vec<f32>>> {
    prop::collection::vec(prop::collection::vec((-3_i8..4).prop_map(f32::from), width), count)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(60) })]

    #[test]
    fn the_best_are_found(
        (queries, corpus) in (1_usize..9).prop_flat_map(|width| (rows(0..150, width), rows(0..60, width))),
        top_k in 0_usize..70,
    ) {
        // Plus zero: -0 sorts below 0, and is equal to it.
        let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
        let found = semantic_search(&embeddings(&queries), &embeddings(&corpus), top_k, Similarity::Dot).unwrap();
        prop_assert_eq!(found.len(), queries.len());
        for (query, found) in queries.iter().zip(found) {
            let mut all: Vec<(usize, f32)> = corpus.iter().map(|entry| dot(query, entry) + 0.0).enumerate().collect();
            all.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
            all.truncate(top_k);
            let found: Vec<(usize, f32)> = found.iter().map(|hit| (hit.corpus_id, hit.score)).collect();
            prop_assert_eq!(found, all);
        }
    }
}

/// Blocks of queries and of the corpus meet without a gap.
#[test]
fn more_than_a_block() {
    let number = |at: usize| ((at * 37 + 11) % 101) as f32 - 50.0;
    let row = |at: usize| Embedding::new([number(at), number(at * 3 + 1), number(at * 7 + 2)]).unwrap();
    let queries: Vec<Embedding> = (0..QUERIES + 5).map(row).collect();
    let corpus: Vec<Embedding> = (0..2 * CORPUS + 9).map(row).collect();
    let scores = dot_score(&queries, &corpus).unwrap();
    for (query, scores) in queries.iter().zip(&scores) {
        let exact = corpus.iter().map(|entry| entry.iter().zip(query.iter()).map(|(a, b)| a * b).sum::<f32>());
        assert!(scores.iter().copied().eq(exact));
    }
    let hits = semantic_search(&queries, &corpus, 3, Similarity::Dot).unwrap();
    for (hits, scores) in hits.iter().zip(&scores) {
        let best = scores.iter().copied().fold(f32::MIN, f32::max);
        assert_eq!(hits[0].score, best);
        assert_eq!(Some(hits[0].corpus_id), scores.iter().position(|score| *score == best), "the first of equals");
    }
}

#[test]
fn special_embeddings() {
    let of = |rows: &[[f32; 2]]| rows.iter().map(|row| Embedding::new(*row).unwrap()).collect::<Vec<_>>();
    let a = of(&[[0.0, 0.0], [1e-30, 0.0], [3e38, 3e38], [-1.0, 0.0]]);
    let cosines = cos_sim(&a, &a).unwrap();
    assert_eq!(cosines[0], [0.0; 4]);
    assert!((cosines[1][1] - 1.0).abs() < 1e-6 && (cosines[2][2] - 1.0).abs() < 1e-6 && cosines[1][3] == -1.0);
    assert_eq!(dot_score(&a, &a).unwrap()[2][2], f32::INFINITY);
    assert_eq!(semantic_search(&a, &[], 5, Similarity::Cosine).unwrap(), vec![vec![]; 4]);
    assert!(semantic_search(&[], &a, 5, Similarity::Dot).unwrap().is_empty());
    let wide = [Embedding::new([1.0, 2.0, 3.0]).unwrap()];
    for error in [cos_sim(&a, &wide).unwrap_err(), semantic_search(&wide, &a, 1, Similarity::Dot).unwrap_err()] {
        assert_eq!(error.kind(), ErrorKind::Misuse);
        assert!(error.to_string().contains('2') && error.to_string().contains('3'), "{error}");
    }
}
