//! The exact view against brute force.

use std::collections::BTreeMap;

use half::f16;
use proptest::prelude::*;

use super::super::{Direction, ExactIndex, MAX_DIMENSION, VectorIndex};
use super::{Source, rows, stored};
use crate::candidate::Candidate;
use crate::error::ErrorKind;
use crate::kernels::{self, similarity_f32};
use crate::passage::RowId;
use crate::rows::Rows;
use crate::similarity::Similarity;

const DIMENSION: usize = 5;

#[derive(Clone, Debug)]
enum Step {
    Insert(u64, Vec<f16>),
    Remove(u64),
    Search(Vec<f32>, usize),
    SearchAmong(Vec<f32>, usize, Vec<u64>, bool),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    // Few values, so that scores tie often.
    let value = prop_oneof![3 => -2_i8..=2, 1 => any::<i8>()];
    let embedding = prop::collection::vec(value, DIMENSION);
    let step = prop_oneof![
        6 => (0_u64..60, embedding.clone()).prop_map(|(row, values)| {
            Step::Insert(row, values.into_iter().map(f16::from).collect())
        }),
        3 => (0_u64..60).prop_map(Step::Remove),
        2 => (embedding.clone(), 0_usize..80).prop_map(|(values, k)| {
            Step::Search(values.into_iter().map(f32::from).collect(), k)
        }),
        2 => (embedding, 0_usize..80, prop::collection::vec(0_u64..60, 0..40), any::<bool>()).prop_map(
            |(values, k, rows, inverted)| {
                Step::SearchAmong(values.into_iter().map(f32::from).collect(), k, rows, inverted)
            }
        ),
    ];
    prop::collection::vec(step, 0..250)
}

fn brute_force(model: &BTreeMap<u64, Vec<f16>>, query: &[f32], k: usize, similarity: Similarity) -> Vec<Candidate> {
    let query = Direction::new(query, DIMENSION, similarity).unwrap();
    let mut all: Vec<Candidate> = model
        .iter()
        .map(|(&row, embedding)| {
            let scale = match similarity {
                Similarity::Cosine => kernels::inverse_norm_f16(embedding),
                Similarity::Dot => 1.0,
            };
            Candidate { row: RowId(row), score: query.score(kernels::dot_f16(&query.unit, embedding) * scale) }
        })
        .collect();
    all.sort_by(|a, b| b.score.partial_cmp(&a.score).unwrap().then(a.row.cmp(&b.row)));
    all.truncate(k);
    all
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn it_is_brute_force_after_any_history(steps in steps(), cosine in any::<bool>()) {
        let similarity = if cosine { Similarity::Cosine } else { Similarity::Dot };
        let mut index = ExactIndex::new(DIMENSION, similarity).unwrap();
        let mut model = BTreeMap::new();
        for step in steps {
            match step {
                Step::Insert(row, embedding) => {
                    index.insert(RowId(row), &embedding).unwrap();
                    model.entry(row).or_insert(embedding);
                }
                Step::Remove(row) => {
                    index.remove(RowId(row)).unwrap();
                    model.remove(&row);
                }
                Step::Search(query, k) => {
                    let found = index.search(&query, k).unwrap();
                    prop_assert_eq!(&found, &brute_force(&model, &query, k, similarity));
                    for candidate in found {
                        let score = similarity_f32(&query, &model[&candidate.row.0], similarity);
                        // All numbers are at most 128, so a dot product's terms add up to no more than this.
                        let magnitude = if cosine { 1.0 } else { (DIMENSION * 128 * 128) as f32 };
                        prop_assert!((candidate.score - score).abs() <= 1e-6 * magnitude);
                    }
                }
                Step::SearchAmong(query, k, listed, inverted) => {
                    let mut among = Rows::none();
                    listed.iter().for_each(|row| among.insert(RowId(*row)));
                    let among = if inverted { !among } else { among };
                    let mut matching = model.clone();
                    matching.retain(|row, _| listed.contains(row) != inverted);
                    let found = index.search_among(&query, k, &among).unwrap();
                    prop_assert_eq!(found, brute_force(&matching, &query, k, similarity));
                }
            }
            prop_assert_eq!(index.len(), model.len());
        }
        prop_assert!((0..60).all(|row| index.contains(RowId(row)) == model.contains_key(&row)));
    }
}

#[test]
fn threads_do_not_change_the_answer() {
    let mut source = Source::clustered(1, 64, 50, 0.7);
    let embeddings: Vec<_> = (0..70_000).map(|_| stored(&source.draw())).collect();
    let build = |threads| {
        let mut index = ExactIndex::new(64, Similarity::Cosine).unwrap().threads(threads);
        index.reserve(embeddings.len());
        // Each one twice, so that the best rows are tied across the parts that threads take.
        for (row, embedding) in embeddings.iter().chain(&embeddings[..500]).enumerate() {
            index.insert(RowId(row as u64), embedding).unwrap();
        }
        index
    };
    let (one, three) = (build(1), build(3));
    for k in [1, 10, 1000] {
        let query = source.draw();
        let found = one.search(&query, k).unwrap();
        assert_eq!(found, three.search(&query, k).unwrap());
        assert_eq!(found, three.search_among(&query, k, &Rows::all()).unwrap());
        let mut one_row = Rows::none();
        one_row.insert(RowId(7));
        let others = one.search_among(&query, k, &!one_row.clone()).unwrap();
        assert_eq!(others, three.search_among(&query, k, &!one_row.clone()).unwrap());
        assert_eq!(rows(&three.search_among(&query, k, &one_row).unwrap()), [RowId(7)]);
        let mut half = Rows::none();
        (0..70_500).step_by(2).for_each(|row| half.insert(RowId(row)));
        let listed = one.search_among(&query, k, &half).unwrap();
        assert_eq!(listed, three.search_among(&query, k, &half).unwrap());
        assert!(listed.len() == k && listed.iter().all(|found| half.contains(found.row)));
        // The negative control: another query has another answer.
        assert_ne!(rows(&found), rows(&three.search(&source.draw(), k).unwrap()));
    }
}

#[test]
fn the_cosine_is_true_for_rows_of_any_length() {
    let mut index = ExactIndex::new(2, Similarity::Cosine).unwrap();
    for (row, values) in [[3.0, 4.0], [600.0, 0.0], [0.0, 0.0], [-1.0, 0.0]].iter().enumerate() {
        index.insert(RowId(row as u64), &stored(values)).unwrap();
    }
    let found = index.search(&[1e30, 0.0], 9).unwrap();
    assert_eq!(rows(&found), [1, 0, 2, 3].map(RowId));
    let scores: Vec<f32> = found.iter().map(|candidate| candidate.score).collect();
    assert!(scores.iter().zip([1.0, 0.6, 0.0, -1.0]).all(|(score, truth)| (score - truth).abs() < 1e-6), "{scores:?}");
}

#[test]
fn an_opposite_zero_is_a_tie() {
    let mut index = ExactIndex::new(1, Similarity::Dot).unwrap();
    // Both products vanish in f32, on either side.
    index.insert(RowId(7), &[f16::MIN_POSITIVE_SUBNORMAL]).unwrap();
    index.insert(RowId(3), &[-f16::MIN_POSITIVE_SUBNORMAL]).unwrap();
    assert_eq!(rows(&index.search(&[1e-40], 2).unwrap()), [RowId(3), RowId(7)]);
}

#[test]
fn extremes_have_finite_scores() {
    let mut index = ExactIndex::new(300, Similarity::Dot).unwrap();
    index.insert(RowId(0), &[f16::MAX; 300]).unwrap();
    index.insert(RowId(1), &[f16::MIN_POSITIVE_SUBNORMAL; 300]).unwrap();
    let scores: Vec<f32> = index.search(&[f32::MAX; 300], 2).unwrap().iter().map(|found| found.score).collect();
    assert!(scores[0] == f32::MAX && scores[1].is_finite() && scores[1] > 0.0, "{scores:?}");
    let faint = index.search(&[1e-40; 300], 2).unwrap();
    assert_eq!(rows(&faint), [RowId(0), RowId(1)]);
}

#[test]
fn what_breaks_a_rule_is_refused() {
    assert_eq!(ExactIndex::new(0, Similarity::Dot).err().unwrap().kind(), ErrorKind::Misuse);
    assert_eq!(ExactIndex::new(MAX_DIMENSION + 1, Similarity::Dot).err().unwrap().kind(), ErrorKind::Misuse);
    let mut index = ExactIndex::new(2, Similarity::Cosine).unwrap();
    for bad in [&[f16::ONE][..], &[f16::ONE; 3], &[f16::NAN, f16::ONE], &[f16::ONE, f16::INFINITY], &[]] {
        assert_eq!(index.insert(RowId(0), bad).unwrap_err().kind(), ErrorKind::Misuse);
    }
    for bad in [&[1.0][..], &[1.0; 3], &[f32::NAN, 1.0], &[1.0, f32::NEG_INFINITY], &[]] {
        assert_eq!(index.search(bad, 1).unwrap_err().kind(), ErrorKind::Misuse);
    }
    assert_eq!((index.len(), index.search(&[1.0, 2.0], usize::MAX).unwrap()), (0, Vec::new()));
}
