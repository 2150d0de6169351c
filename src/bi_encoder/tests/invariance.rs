//! Invariant M1: a vector depends on the model and its own text alone, to the bit.

use std::path::Path;

use super::{bits, open};
use crate::BackendKind;
use crate::bi_encoder::{BiEncoder, BiEncoderOptions, Encoder};
use crate::model::Precision;
use crate::model::tests::fixture::{Expected, GOLDEN, golden_path};

/// Every way to run a model that has kernels of its own.
fn ways() -> [BiEncoderOptions; 3] {
    let options = BiEncoder::options().threads(1).batch_tokens(1);
    [
        options.clone().backend(BackendKind::Cpu).precision(Precision::F32),
        options.clone().backend(BackendKind::Cpu).precision(Precision::Int8),
        options.backend(BackendKind::Candle),
    ]
}

fn encoders(way: &BiEncoderOptions, path: &Path) -> Vec<(usize, usize, BiEncoder)> {
    let mut encoders = Vec::new();
    for threads in [1, 2] {
        for tokens in [1, 7, 64, 4096] {
            let encoder = way.clone().threads(threads).batch_tokens(tokens).open(path).unwrap();
            encoders.push((threads, tokens, encoder));
        }
    }
    encoders
}

/// An order that takes neighbours apart; `seed` and the number of texts share no divisor.
fn shuffled(count: usize, seed: usize) -> Vec<usize> {
    (0..count).map(|at| (at * seed + 5) % count).collect()
}

#[test]
fn batches_and_threads_change_no_bit() {
    for (name, way) in GOLDEN.into_iter().flat_map(|name| ways().map(|way| (name, way))) {
        let expected = Expected::of(name);
        let texts = expected.texts();
        let alone: Vec<_> = {
            let encoder = way.clone().open(golden_path(name)).unwrap();
            texts.iter().flat_map(|text| encoder.encode_passages(&[text]).unwrap()).collect()
        };
        let alone = bits(&alone);
        for (threads, tokens, encoder) in encoders(&way, &golden_path(name)) {
            let together = bits(&encoder.encode_passages(&texts).unwrap());
            assert!(together == alone, "{name}, {way:?}: {threads} threads, batches of {tokens} tokens");
            for seed in [7, 11, 35] {
                let order = shuffled(texts.len(), seed);
                let mixed: Vec<&str> = order.iter().map(|at| texts[*at]).collect();
                let found = bits(&encoder.encode_passages(&mixed).unwrap());
                assert!(
                    order.iter().zip(&found).all(|(at, found)| *found == alone[*at]),
                    "{name}, {way:?}: order {seed}"
                );
            }
        }
    }
}

#[test]
fn the_same_text_many_times_has_one_vector() {
    let encoder = open(&golden_path("mean"));
    let found = bits(&encoder.encode_passages(&["London has 9,787,426 inhabitants"; 100]).unwrap());
    assert_eq!(found.len(), 100);
    assert!(found.iter().all(|vector| *vector == found[0]));
}

#[test]
fn no_texts_give_no_vectors() {
    assert!(open(&golden_path("mean")).encode_passages(&[]).unwrap().is_empty());
}

#[test]
fn handles_may_be_used_from_many_threads_at_once() {
    let encoder = open(&golden_path("cls"));
    let expected = Expected::of("cls");
    let texts = expected.texts();
    let alone = bits(&encoder.encode_passages(&texts).unwrap());
    std::thread::scope(|scope| {
        for _ in 0..4 {
            let encoder = encoder.clone();
            scope.spawn(|| {
                let encoder = encoder;
                assert!(bits(&encoder.encode_passages(&texts).unwrap()) == alone);
            });
        }
    });
}

/// A real width: paths inside a matrix product depend on it, and tiny models would not show all of them.
#[cfg(feature = "builtin")]
#[test]
fn batches_and_threads_change_no_bit_of_the_built_in_model() {
    let expected = Expected::of("mean");
    let mut texts = expected.texts();
    texts.sort_unstable_by_key(|text| text.len());
    texts.truncate(12);
    texts.extend(["London has 9,787,426 inhabitants at the 2011 census"; 5]);
    for backend in [BackendKind::Cpu, BackendKind::Candle] {
        let vectors = |threads, tokens| {
            let options = BiEncoder::options().threads(threads).batch_tokens(tokens).backend(backend);
            bits(&options.builtin().unwrap().encode_passages(&texts).unwrap())
        };
        let alone = vectors(1, 1);
        for (threads, tokens) in [(1, 4096), (2, 40)] {
            let found = vectors(threads, tokens);
            let changed = found.iter().zip(&alone).filter(|(together, alone)| together != alone).count();
            assert_eq!(changed, 0, "{backend:?}: {threads} threads, batches of {tokens} tokens");
        }
    }
}
