//! The score of a pair depends on the model and that pair alone, to the bit.

use super::{GOLDEN, Questions, bits, open};
use crate::cross_encoder::{CrossEncoder, CrossEncoderOptions};
use crate::model::tests::fixture::golden_path;
use crate::{BackendKind, Precision};

/// Every way to run a model that has kernels of its own.
fn ways() -> [CrossEncoderOptions; 3] {
    let options = CrossEncoder::options().threads(1).batch_tokens(1);
    [
        options.clone().backend(BackendKind::Cpu).precision(Precision::F32),
        options.clone().backend(BackendKind::Cpu).precision(Precision::Int8),
        options.backend(BackendKind::Candle),
    ]
}

#[test]
fn batches_and_threads_change_no_bit() {
    let questions = Questions::read();
    let pairs = questions.pairs();
    for (golden, way) in GOLDEN.into_iter().flat_map(|golden| ways().map(|way| (golden, way))) {
        let path = golden_path(golden);
        let alone = way.clone().open(&path).unwrap();
        let alone: Vec<Vec<f32>> = pairs.iter().flat_map(|pair| alone.score_labels(&[*pair]).unwrap()).collect();
        let alone = bits(&alone);
        for (threads, tokens) in [(1, 1), (1, 100), (1, 4096), (2, 64), (2, 4096)] {
            let model = way.clone().threads(threads).batch_tokens(tokens).open(&path).unwrap();
            let together = bits(&model.score_labels(&pairs).unwrap());
            assert!(together == alone, "{golden}, {way:?}: {threads} threads, batches of {tokens} tokens");
            // An order that takes neighbours apart: the step and the number of pairs share no divisor.
            let order: Vec<usize> = (0..pairs.len()).map(|at| (at * 7 + 5) % pairs.len()).collect();
            let mixed: Vec<(&str, &str)> = order.iter().map(|at| pairs[*at]).collect();
            let found = bits(&model.score_labels(&mixed).unwrap());
            assert!(order.iter().zip(&found).all(|(at, found)| *found == alone[*at]), "{golden}, {way:?}: mixed");
        }
    }
}

#[test]
fn the_same_pair_many_times_has_one_score() {
    let model = open(&golden_path("cross_roberta"));
    let pairs = [("How big is London?", "London is big"), ("London is big", "How big is London?")];
    let alone = model.score(&pairs).unwrap();
    let many: Vec<(&str, &str)> = (0..200).map(|at| pairs[at % 2]).collect();
    let found = model.score(&many).unwrap();
    assert_eq!(found.len(), 200);
    assert!(found.iter().enumerate().all(|(at, score)| score.to_bits() == alone[at % 2].to_bits()));
}

#[test]
fn no_pairs_give_no_scores() {
    let model = open(&golden_path("cross_bert"));
    assert!(model.score::<&str, &str>(&[]).unwrap().is_empty());
    assert!(model.rank("query", &[] as &[&str], 10).unwrap().is_empty());
}

#[test]
fn handles_may_be_used_from_many_threads_at_once() {
    let model = open(&golden_path("cross_electra"));
    let questions = Questions::read();
    let alone = bits(&model.score_labels(&questions.pairs()).unwrap());
    std::thread::scope(|scope| {
        for _ in 0..4 {
            let model = model.clone();
            scope.spawn(|| {
                let model = model;
                assert!(bits(&model.score_labels(&questions.pairs()).unwrap()) == alone);
            });
        }
    });
}
