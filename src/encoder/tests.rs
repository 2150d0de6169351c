//! Tests of batches, pooling and normalization against what defines them, and of each backend against itself.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use proptest::prelude::*;

use super::pooling::normalize;
use super::{Backend, BackendKind, Batch, CandleBackend, CpuBackend, Wanted, distinct, plan, plan_for_threads, pool};
use crate::error::ErrorKind;
use crate::model::tests::fixture::{GOLDEN, golden_path};
use crate::model::{Model, Pooling, PoolingMode};
use crate::text::Tokens;

fn sequences() -> impl Strategy<Value = Vec<Tokens>> {
    let tokens = proptest::collection::vec((0_u32..200, 0_u32..2), 1..40)
        .prop_map(|pairs| pairs.into_iter().unzip())
        .prop_map(|(ids, type_ids)| Tokens { ids, type_ids });
    proptest::collection::vec(tokens, 0..60)
}

/// The sequences of a batch, taken apart by the lengths that it states.
fn taken_apart(batch: &Batch) -> Vec<(usize, Tokens)> {
    let mut start = 0;
    let sequence = |(place, length): (&usize, &usize)| {
        let range = start..start + length;
        start = range.end;
        (*place, Tokens { ids: batch.ids[range.clone()].to_vec(), type_ids: batch.type_ids[range].to_vec() })
    };
    batch.places.iter().zip(&batch.lengths).map(sequence).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(500) })]

    #[test]
    fn a_plan_holds_every_sequence_once(sequences in sequences(), budget in 0_usize..200) {
        let batches = plan(&sequences, budget);
        let mut found: Vec<(usize, Tokens)> = batches.iter().flat_map(taken_apart).collect();
        found.sort_by_key(|(place, _)| *place);
        let expected: Vec<(usize, Tokens)> = sequences.into_iter().enumerate().collect();
        prop_assert_eq!(found, expected);
    }

    /// Few different texts, so that most are there more than once.
    #[test]
    fn distinct_texts_make_up_all(texts in proptest::collection::vec(0_u32..6, 0..60)) {
        let (distinct, places) = distinct(&texts);
        let again: Vec<u32> = places.iter().map(|place| distinct[*place]).collect();
        prop_assert_eq!(again, texts);
        prop_assert!(distinct.iter().enumerate().all(|(at, text)| !distinct[..at].contains(text)), "{distinct:?}");
    }

    #[test]
    fn a_plan_keeps_to_its_budget(sequences in sequences(), budget in 0_usize..200) {
        for batch in plan(&sequences, budget) {
            let tokens: usize = batch.lengths.iter().sum();
            prop_assert_eq!(batch.places.len(), batch.lengths.len());
            prop_assert_eq!((tokens, tokens), (batch.ids.len(), batch.type_ids.len()));
            prop_assert!(!batch.places.is_empty());
            prop_assert!(tokens <= budget || batch.places.len() == 1, "{tokens} tokens in a budget of {budget}");
        }
    }

    /// Neighbours are alike in length, and a batch ends only where the next sequence would not fit.
    #[test]
    fn a_plan_is_longest_first_and_fills_its_batches(sequences in sequences(), budget in 0_usize..200) {
        let batches = plan(&sequences, budget);
        let lengths: Vec<usize> = batches.iter().flat_map(|batch| batch.lengths.clone()).collect();
        prop_assert!(lengths.is_sorted_by(|a, b| a >= b), "{lengths:?}");
        for pair in batches.windows(2) {
            prop_assert!(pair[0].ids.len() + pair[1].lengths[0] > budget);
        }
    }

    /// The longest sequences first, and nobody takes more than one sequence beyond a thread's share of what is left.
    #[test]
    fn threads_share_what_is_left(sequences in sequences(), budget in 0_usize..400, threads in 1_usize..9) {
        let batches = plan_for_threads(&sequences, budget, threads);
        let mut found: Vec<(usize, Tokens)> = batches.iter().flat_map(taken_apart).collect();
        let lengths: Vec<usize> = found.iter().map(|(_, tokens)| tokens.ids.len()).collect();
        prop_assert!(lengths.is_sorted_by(|a, b| a >= b), "{lengths:?}");
        let mut left: usize = lengths.iter().sum();
        for (at, batch) in batches.iter().enumerate() {
            let (tokens, room) = (batch.ids.len(), budget.min(left.div_ceil(threads).max(64)));
            prop_assert!(tokens <= room || batch.places.len() == 1, "{tokens} of {left} for {threads} threads");
            if let Some(next) = batches.get(at + 1) {
                prop_assert!(tokens + next.lengths[0] > room, "{tokens} of {left} for {threads} threads are too few");
            }
            left -= tokens;
        }
        found.sort_by_key(|(place, _)| *place);
        prop_assert_eq!(found, sequences.into_iter().enumerate().collect::<Vec<_>>());
    }

    /// Each mode by its definition, in `f64`, with and without the first tokens.
    #[test]
    fn pooling_is_as_defined(
        width in 1_usize..40,
        states in proptest::collection::vec(-10.0_f32..10.0, 40..2000),
        prompt in 0_usize..4,
        include_prompt in any::<bool>(),
    ) {
        let length = states.len() / width;
        let skipped = if include_prompt { 0 } else { prompt };
        prop_assume!(skipped < length);
        let at = |row: usize, column: usize| f64::from(states[row * width + column]);
        let all = skipped..length;
        let count = all.len() as f64;
        let defined = |mode, column| match mode {
            PoolingMode::Cls => at(skipped, column),
            PoolingMode::LastToken => at(length - 1, column),
            PoolingMode::Max => all.clone().map(|row| at(row, column)).fold(f64::MIN, f64::max),
            PoolingMode::Mean => all.clone().map(|row| at(row, column)).sum::<f64>() / count,
            PoolingMode::MeanSqrtLen => all.clone().map(|row| at(row, column)).sum::<f64>() / count.sqrt(),
            PoolingMode::WeightedMean => {
                let weight = |row: usize| (row + 1) as f64;
                all.clone().map(|row| at(row, column) * weight(row)).sum::<f64>() / all.clone().map(weight).sum::<f64>()
            }
        };
        let modes = vec![
            PoolingMode::WeightedMean,
            PoolingMode::Cls,
            PoolingMode::Max,
            PoolingMode::Mean,
            PoolingMode::MeanSqrtLen,
            PoolingMode::LastToken,
        ];
        let pooling = Pooling { modes: modes.clone(), include_prompt };
        let pooled = pool(&states[..length * width], width, &pooling, prompt);
        prop_assert_eq!(pooled.len(), modes.len() * width);
        for (mode, pooled) in modes.into_iter().zip(pooled.chunks(width)) {
            for (column, found) in pooled.iter().enumerate() {
                let tolerance = 20.0 * length as f64 * f64::from(f32::EPSILON);
                let expected = defined(mode, column);
                prop_assert!((f64::from(*found) - expected).abs() <= tolerance, "{mode:?}: {found} is not {expected}");
            }
        }
    }

    #[test]
    fn normalizing_gives_unit_length_and_keeps_the_direction(
        vector in proptest::collection::vec(-1.0_f32..1.0, 1..400),
        exponent in -10_i32..15,
    ) {
        let scaled: Vec<f32> = vector.iter().map(|value| value * 10_f32.powi(exponent)).collect();
        let norm = scaled.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>().sqrt();
        let mut found = scaled.clone();
        normalize(&mut found);
        for (found, value) in found.iter().zip(&scaled) {
            let expected = f64::from(*value) / norm.max(1e-12);
            prop_assert!((f64::from(*found) - expected).abs() <= 1e-5, "{found} is not {expected}");
        }
    }
}

#[test]
fn no_sequences_make_no_batch() {
    assert!(plan(&[], 512).is_empty());
}

/// The numbers of `torch.nn.functional.normalize` for the same vectors.
#[test]
fn normalizing_special_vectors() {
    let rows: [(&[f32], &[f32]); 5] = [
        (&[3.0, 4.0], &[0.6, 0.8]),
        (&[0.0, 0.0], &[0.0, 0.0]),
        (&[-2.0], &[-1.0]),
        (&[3e-13, 4e-13], &[0.3, 0.4]),
        (&[], &[]),
    ];
    for (vector, expected) in rows {
        let mut found = vector.to_vec();
        normalize(&mut found);
        assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6), "{vector:?} gives {found:?}");
    }
}

/// What `torch` gives for a mask of zeros: a text of which the prompt left nothing.
#[test]
fn pooling_of_nothing() {
    let pooled = |mode| pool(&[1.0, 2.0, 3.0, 4.0], 2, &Pooling { modes: vec![mode], include_prompt: false }, 2);
    assert_eq!(pooled(PoolingMode::Cls), [1.0, 2.0]);
    assert_eq!(pooled(PoolingMode::Max), [f32::NEG_INFINITY; 2]);
    for zero in [PoolingMode::Mean, PoolingMode::MeanSqrtLen, PoolingMode::WeightedMean, PoolingMode::LastToken] {
        assert_eq!(pooled(zero), [0.0; 2], "{zero:?}");
    }
}

fn backends(model: &Model) -> Vec<(&'static str, Box<dyn Backend>)> {
    vec![
        ("candle", Box::new(CandleBackend::new(BackendKind::Candle, &model.config, &model.weights).unwrap())),
        ("cpu", Box::new(CpuBackend::new(&model.config, &model.weights).unwrap())),
    ]
}

fn sequence(length: usize, seed: u32) -> Tokens {
    let ids = (0..length as u32).map(|at| (at * 37 + seed * 11 + 5) % 203).collect();
    Tokens { ids, type_ids: (0..length as u32).map(|at| at % 2).collect() }
}

/// Invariant M1 at its root: the states of a sequence do not depend on its neighbours, to the bit.
#[test]
fn states_do_not_depend_on_the_batch() {
    for golden in GOLDEN {
        let model = Model::open(&golden_path(golden)).unwrap();
        let lengths = [1, 1, 2, 2, 2, 3, 5, 5, 7, 8, 8, 8, 8, 13, 16, 17, 31, 32, 33, 63, 64, 64];
        let lengths = lengths.map(|length| model.config.positions.min(length));
        let sequences: Vec<Tokens> = (0..).zip(lengths).map(|(seed, length)| sequence(length, seed)).collect();
        for (backend, encoder) in backends(&model) {
            let mut alone = vec![Vec::new(); sequences.len()];
            for batch in plan(&sequences, 1) {
                alone[batch.places[0]] = encoder.forward(&batch, Wanted::All).unwrap();
            }
            for budget in [2, 8, 20, 64, 100, 10_000] {
                for batch in plan(&sequences, budget) {
                    let together = encoder.forward(&batch, Wanted::All).unwrap();
                    let apart = batch.places.iter().flat_map(|place| alone[*place].clone());
                    assert_eq!(together.len(), batch.ids.len() * model.config.width);
                    let same = together.iter().map(|state| state.to_bits()).eq(apart.map(f32::to_bits));
                    assert!(same, "{golden} on {backend}: lengths {:?}", batch.lengths);
                }
            }
        }
    }
}

/// Other types of token than the first reach the states: the texts of the golden models have none.
#[test]
fn token_types_reach_the_states() {
    let model = Model::open(&golden_path("mean")).unwrap();
    for (backend, encoder) in backends(&model) {
        let states = |type_id| {
            let tokens = Tokens { ids: vec![2, 9, 3], type_ids: vec![0, type_id, 0] };
            encoder.forward(&plan(&[tokens], 1)[0], Wanted::All).unwrap()
        };
        assert_ne!(states(0), states(1), "{backend}");
    }
}

/// What a hostile tokenizer could ask for ends in an error.
#[test]
fn tokens_beyond_the_tables_are_refused() {
    let model = Model::open(&golden_path("mean")).unwrap();
    for (backend, encoder) in backends(&model) {
        for (id, type_id) in [(203, 0), (1 << 31, 0), (9, 2), (9, 1 << 31)] {
            let tokens = Tokens { ids: vec![2, id, 3], type_ids: vec![0, type_id, 0] };
            let found = encoder.forward(&plan(&[tokens], 1)[0], Wanted::All);
            assert!(found.is_err(), "{backend}: token {id} of type {type_id}");
        }
        assert!(
            encoder.forward(&plan(&[sequence(65, 0)], 1)[0], Wanted::All).is_err(),
            "{backend}: beyond the positions"
        );
    }
}

fn largest_difference(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

/// The two backends agree: in f32 within rounding, and under s8 weights, of which candle rounds no activations, nearly.
#[test]
fn backends_agree() {
    for golden in GOLDEN {
        let sequences: Vec<Tokens> = (0..).zip([1, 2, 4, 5, 9, 33, 62]).map(|(seed, n)| sequence(n, seed)).collect();
        for (model, tolerance) in [
            (Model::open(&golden_path(golden)).unwrap(), 2e-5),
            (Model::open(&golden_path(golden)).unwrap().quantized().unwrap(), 0.5),
        ] {
            let [(_, candle), (_, cpu)] = backends(&model).try_into().ok().unwrap();
            for batch in plan(&sequences, 70) {
                let states = cpu.forward(&batch, Wanted::All).unwrap();
                let apart = largest_difference(&candle.forward(&batch, Wanted::All).unwrap(), &states);
                assert!(apart < tolerance, "{golden}: {apart}");
            }
        }
    }
}

/// Asking for the first tokens alone gives the rows that asking for all gives, nearly: the cpu backend takes another way.
/// On s8 weights too, where short sequences take yet another.
#[test]
fn first_tokens_alone_are_those_among_all() {
    let cls = || Model::open(&golden_path("cls")).unwrap();
    for (model, tolerance) in [(cls(), 2e-5), (cls().quantized().unwrap(), 0.5)] {
        let width = model.config.width;
        let sequences: Vec<Tokens> = (0..).zip([1, 2, 4, 5, 9, 33]).map(|(seed, n)| sequence(n, seed)).collect();
        for (backend, encoder) in backends(&model) {
            for batch in plan(&sequences, 100) {
                let all = encoder.forward(&batch, Wanted::All).unwrap();
                let mut start = 0;
                let firsts = batch.lengths.iter().flat_map(|length| {
                    let first = all[start * width..][..width].to_vec();
                    start += length;
                    first
                });
                let firsts: Vec<f32> = firsts.collect();
                let apart = largest_difference(&encoder.forward(&batch, Wanted::Cls).unwrap(), &firsts);
                assert!(apart <= if backend == "cpu" { tolerance } else { 0.0 }, "{backend}: {apart}");
            }
        }
    }
}

/// Under s8 weights a text of a few tokens keeps f32 activations, and so is as candle has it.
#[test]
fn short_texts_under_s8_weights_are_exact() {
    let model = Model::open(&golden_path("mean")).unwrap().quantized().unwrap();
    let [(_, candle), (_, cpu)] = backends(&model).try_into().ok().unwrap();
    let apart = |length| {
        let batch = &plan(&[sequence(length, 3)], 100)[0];
        let states = cpu.forward(batch, Wanted::All).unwrap();
        largest_difference(&candle.forward(batch, Wanted::All).unwrap(), &states)
    };
    assert!(apart(2) < 2e-5 && apart(4) < 2e-5, "{} {}", apart(2), apart(4));
    assert!(apart(5) > 1e-4, "a longer one is not: {}", apart(5));
}

/// Without the feature, or without such a GPU, the error says what to do.
#[cfg(not(any(feature = "cuda", feature = "metal")))]
#[test]
fn gpus_that_are_not_there() {
    let model = Model::open(&golden_path("mean")).unwrap();
    for (kind, feature) in [(BackendKind::Cuda, "cuda"), (BackendKind::Metal, "metal")] {
        let error = CandleBackend::new(kind, &model.config, &model.weights).err().unwrap();
        assert_eq!(error.kind(), ErrorKind::Misuse);
        assert!(error.to_string().contains(&format!("--features {feature}")), "{error}");
    }
}
