//! The forward pass against a slow one that defines it, over the golden models, on each instruction set.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test may end by panicking")]

use allocation_counter::measure;

use super::team::{self, Patience};
use super::{CpuBackend, Wanted};
use crate::encoder::{Backend, Batch};
use crate::kernels::InstructionSet;
use crate::model::tests::fixture::{GOLDEN, golden_path};
use crate::model::{Activation, EncoderConfig, Model, Weights};

fn golden(name: &str) -> Model {
    Model::open(&golden_path(name)).unwrap()
}

fn sets() -> impl Iterator<Item = InstructionSet> {
    InstructionSet::ladder().into_iter().flatten()
}

/// Sequences of these lengths, with ids and types that cover the tables.
fn batch(config: &EncoderConfig, lengths: &[usize]) -> Batch {
    let tokens: usize = lengths.iter().sum();
    let id = |at: usize| u32::try_from((at * 31 + 7) % config.vocabulary).unwrap();
    let kind = |at: usize| u32::try_from(at / 3 % config.token_types.max(1)).unwrap();
    Batch {
        places: (0..lengths.len()).collect(),
        lengths: lengths.to_vec(),
        ids: (0..tokens).map(id).collect(),
        type_ids: (0..tokens).map(kind).collect(),
    }
}

/// Each sequence of a batch as a batch of its own.
fn alone(batch: &Batch) -> Vec<Batch> {
    let mut start = 0;
    let sequence = |(&place, &length): (&usize, &usize)| {
        let range = start..start + length;
        start += length;
        let (ids, type_ids) = (batch.ids[range.clone()].to_vec(), batch.type_ids[range].to_vec());
        Batch { places: vec![place], lengths: vec![length], ids, type_ids }
    };
    batch.places.iter().zip(&batch.lengths).map(sequence).collect()
}

/// The canonical encoder in `f64`, written for nothing but to be read.
struct Twin<'a> {
    config: &'a EncoderConfig,
    weights: &'a Weights,
}

impl Twin<'_> {
    fn tensor(&self, name: &str) -> Vec<f64> {
        self.weights.get(name).unwrap().to_f32().into_iter().map(f64::from).collect()
    }

    fn linear(&self, name: &str, rows: &[Vec<f64>]) -> Vec<Vec<f64>> {
        let (matrix, bias) = (self.tensor(&format!("{name}.weight")), self.tensor(&format!("{name}.bias")));
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        let row = |row: &Vec<f64>| {
            matrix.chunks(row.len()).zip(&bias).map(|(weights, bias)| dot(row, weights) + bias).collect()
        };
        rows.iter().map(row).collect()
    }

    fn norm(&self, name: &str, rows: &mut [Vec<f64>]) {
        let (gamma, beta) = (self.tensor(&format!("{name}.weight")), self.tensor(&format!("{name}.bias")));
        for row in rows {
            let mean = row.iter().sum::<f64>() / row.len() as f64;
            let variance = row.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / row.len() as f64;
            let scale = 1.0 / (variance + self.config.norm_eps).sqrt();
            row.iter_mut().zip(gamma.iter().zip(&beta)).for_each(|(x, (g, b))| *x = (*x - mean) * scale * g + b);
        }
    }

    fn activate(&self, x: f64) -> f64 {
        // The exact GELU has its own tests; here tanh and erf are 5e-4 apart, which the bound would notice.
        let erf = |x: f64| {
            let (mut term, mut sum) = (x, x);
            (1..300).for_each(|n| {
                term *= 2.0 * x * x / f64::from(2 * n + 1);
                sum += term;
            });
            sum * (-x * x).exp() * std::f64::consts::FRAC_2_SQRT_PI
        };
        match self.config.activation {
            Activation::Gelu => 0.5 * x * (1.0 + erf(x / std::f64::consts::SQRT_2)),
            Activation::GeluTanh => {
                0.5 * x * (1.0 + ((2.0 / std::f64::consts::PI).sqrt() * (x + 0.044_715 * x.powi(3))).tanh())
            }
            Activation::Identity => x,
            Activation::Relu => x.max(0.0),
            Activation::Sigmoid => 1.0 / (1.0 + (-x).exp()),
            Activation::Silu => x / (1.0 + (-x).exp()),
            Activation::Tanh => x.tanh(),
        }
    }

    fn embeddings(&self, sequence: &Batch) -> Vec<Vec<f64>> {
        let width = self.config.embedding_width;
        let table = |name: &str| self.tensor(&format!("embeddings.{name}.weight"));
        let (words, positions) = (table("word_embeddings"), table("position_embeddings"));
        let types = if self.config.token_types > 0 { table("token_type_embeddings") } else { vec![0.0; 9 * width] };
        let counted = |at: usize| sequence.ids[..=at].iter().filter(|id| Some(**id) != self.config.padding).count();
        let token = |at: usize, c: usize| {
            let position = match self.config.padding {
                None => at,
                Some(padding) if sequence.ids[at] == padding => 0,
                Some(_) => counted(at),
            };
            let (id, kind) = (sequence.ids[at] as usize, sequence.type_ids[at] as usize);
            words[id * width + c] + positions[position * width + c] + types[kind * width + c]
        };
        let mut rows: Vec<Vec<f64>> =
            (0..sequence.ids.len()).map(|at| (0..width).map(|c| token(at, c)).collect()).collect();
        self.norm("embeddings.LayerNorm", &mut rows);
        if width == self.config.width { rows } else { self.linear("embeddings_project", &rows) }
    }

    fn attention(&self, layer: &str, rows: &[Vec<f64>]) -> Vec<Vec<f64>> {
        let part = |name: &str| self.linear(&format!("{layer}.attention.self.{name}"), rows);
        let (queries, keys, values) = (part("query"), part("key"), part("value"));
        let width = self.config.width / self.config.heads;
        let mut context = vec![vec![0.0; self.config.width]; rows.len()];
        for head in 0..self.config.heads {
            let columns = head * width..(head + 1) * width;
            for (query, context) in queries.iter().zip(&mut context) {
                let score =
                    |key: &Vec<f64>| columns.clone().map(|c| query[c] * key[c]).sum::<f64>() / (width as f64).sqrt();
                let weights: Vec<f64> = keys.iter().map(|key| score(key).exp()).collect();
                let total: f64 = weights.iter().sum();
                for c in columns.clone() {
                    context[c] = weights.iter().zip(&values).map(|(weight, value)| weight / total * value[c]).sum();
                }
            }
        }
        context
    }

    fn forward(&self, batch: &Batch) -> Vec<f64> {
        let add = |a: &mut [Vec<f64>], b: Vec<Vec<f64>>| {
            a.iter_mut().flatten().zip(b.into_iter().flatten()).for_each(|(a, b)| *a += b);
        };
        let mut states = Vec::new();
        for sequence in alone(batch) {
            let mut rows = self.embeddings(&sequence);
            for layer in (0..self.config.layers).map(|layer| format!("encoder.layer.{layer}")) {
                let context = self.attention(&layer, &rows);
                add(&mut rows, self.linear(&format!("{layer}.attention.output.dense"), &context));
                self.norm(&format!("{layer}.attention.output.LayerNorm"), &mut rows);
                let mut inner = self.linear(&format!("{layer}.intermediate.dense"), &rows);
                inner.iter_mut().flatten().for_each(|x| *x = self.activate(*x));
                add(&mut rows, self.linear(&format!("{layer}.output.dense"), &inner));
                self.norm(&format!("{layer}.output.LayerNorm"), &mut rows);
            }
            states.extend(rows.into_iter().flatten());
        }
        states
    }
}

fn largest_difference(a: &[f32], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (f64::from(*a) - b).abs()).fold(0.0, f64::max)
}

#[test]
fn the_forward_pass_agrees_with_its_twin() {
    for name in GOLDEN {
        let model = golden(name);
        let batch = batch(&model.config, &[1, 13, model.config.positions, 2, 31]);
        let truth = Twin { config: &model.config, weights: &model.weights }.forward(&batch);
        for set in sets() {
            let backend = CpuBackend::with_instruction_set(set, &model.config, &model.weights, Wanted::Cls).unwrap();
            let worst = largest_difference(&backend.forward(&batch, Wanted::All).unwrap(), &truth);
            assert!(worst < 2e-5, "{name} {set}: {worst:e}");
        }
    }
}

/// The negative control: the bound above tells the two GELUs apart.
#[test]
fn another_activation_is_noticed() {
    let mut model = golden("mean");
    let batch = batch(&model.config, &[13, 31]);
    let truth = Twin { config: &model.config, weights: &model.weights }.forward(&batch);
    assert_eq!(model.config.activation, Activation::Gelu);
    model.config.activation = Activation::GeluTanh;
    let backend = CpuBackend::new(&model.config, &model.weights).unwrap();
    assert!(largest_difference(&backend.forward(&batch, Wanted::All).unwrap(), &truth) > 2e-5);
}

/// Invariant M1, to the bit: also in a scratch that held larger batches, and in s8.
#[test]
fn a_sequence_is_the_same_in_any_batch() {
    for model in [golden("mean"), golden("mean").quantized().unwrap()] {
        let batch = batch(&model.config, &[29, 1, 12, 29, 7, model.config.positions]);
        for (set, wanted) in sets().flat_map(|set| [(set, Wanted::All), (set, Wanted::Cls)]) {
            let backend = CpuBackend::with_instruction_set(set, &model.config, &model.weights, wanted).unwrap();
            let together = backend.forward(&batch, wanted).unwrap();
            let apart: Vec<f32> =
                alone(&batch).iter().flat_map(|batch| backend.forward(batch, wanted).unwrap()).collect();
            assert!(together.iter().zip(&apart).all(|(a, b)| a.to_bits() == b.to_bits()), "{set} {wanted:?}");
            assert_eq!(together.len(), apart.len());
        }
    }
}

/// The rows of the sequences' first tokens among those of all.
fn firsts<T: Copy>(states: &[T], lengths: &[usize], width: usize) -> Vec<T> {
    let mut rest = states;
    let first = |length: &usize| {
        let (sequence, after) = rest.split_at(length * width);
        rest = after;
        sequence[..width].to_vec()
    };
    lengths.iter().flat_map(first).collect()
}

/// On the way that does without keys and values, and on the one that has them.
#[test]
fn first_tokens_alone_agree_with_the_twin() {
    for name in GOLDEN {
        let model = golden(name);
        let lengths = [5, 1, 40, 2, 33, 7];
        let batch = batch(&model.config, &lengths);
        let truth = Twin { config: &model.config, weights: &model.weights }.forward(&batch);
        let truth = firsts(&truth, &lengths, model.config.width);
        for (set, made_for) in sets().flat_map(|set| [(set, Wanted::All), (set, Wanted::Cls)]) {
            let backend = CpuBackend::with_instruction_set(set, &model.config, &model.weights, made_for).unwrap();
            let cls = backend.forward(&batch, Wanted::Cls).unwrap();
            let worst = largest_difference(&cls, &truth);
            assert!(worst < 2e-5, "{name} {set} {made_for:?}: {worst:e}");
            let all = firsts(&backend.forward(&batch, Wanted::All).unwrap(), &lengths, model.config.width);
            assert_eq!(cls == all, made_for == Wanted::All, "{name} {set}: the two ways round differently");
        }
    }
}

/// In s8 neither way is nearer to the truth than the other; short sequences are exact on both.
#[test]
fn first_tokens_alone_are_as_near_under_s8_weights() {
    let model = golden("cls").quantized().unwrap();
    let lengths = [5, 1, 40, 12, 2, 33, 25, 64, 9];
    let batch = batch(&model.config, &lengths);
    let truth = Twin { config: &model.config, weights: &model.weights }.forward(&batch);
    let truth = firsts(&truth, &lengths, model.config.width);
    for set in sets() {
        let error = |made_for| {
            let backend = CpuBackend::with_instruction_set(set, &model.config, &model.weights, made_for).unwrap();
            let states = backend.forward(&batch, Wanted::Cls).unwrap();
            let squares = states.iter().zip(&truth).map(|(a, b)| (f64::from(*a) - b).powi(2)).sum::<f64>();
            (squares / truth.len() as f64).sqrt()
        };
        let (with, without) = (error(Wanted::All), error(Wanted::Cls));
        assert!(without < 1.2 * with && with > 0.0, "{set}: {with:e} with keys and values, {without:e} without");
    }
}

/// Buffers grow to the largest batch and stay; what a call returns is the caller's.
#[test]
fn a_warm_forward_pass_allocates_nothing_but_its_result() {
    for model in [golden("mean"), golden("cls"), golden("mean").quantized().unwrap()] {
        let (large, small) = (batch(&model.config, &[29, 12, 40]), batch(&model.config, &[7, 40, 5]));
        for set in sets() {
            let backend = CpuBackend::with_instruction_set(set, &model.config, &model.weights, Wanted::Cls).unwrap();
            for wanted in [Wanted::All, Wanted::Cls] {
                let count = |batch| measure(|| drop(backend.forward(batch, wanted).unwrap())).count_total;
                let cold = count(&large);
                assert!(wanted == Wanted::Cls || cold > 5, "the negative control: {cold}");
                assert_eq!([count(&large), count(&small)], [1, 1], "{set}");
            }
        }
    }
}

fn pool(threads: usize) -> rayon::ThreadPool {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap()
}

/// Invariant M1 once more: however many threads share it, and from whichever layer on.
#[test]
fn a_sequence_on_several_threads_is_the_same() {
    let pools: Vec<rayon::ThreadPool> = (1..=5).map(pool).collect();
    for model in [golden("mean"), golden("cls"), golden("mean").quantized().unwrap()] {
        for set in sets() {
            let backend = CpuBackend::with_instruction_set(set, &model.config, &model.weights, Wanted::Cls).unwrap();
            for length in [1, 3, 15, 16, 17, 23, 24, 41, model.config.positions] {
                let batch = batch(&model.config, &[length]);
                for wanted in [Wanted::All, Wanted::Cls] {
                    let expected = backend.forward(&batch, wanted).unwrap();
                    for (threads, pool) in (1..).zip(&pools) {
                        let shared = team::run(&backend.0, &batch, wanted, pool, Patience::Endless).unwrap();
                        assert_eq!(shared.is_some(), threads > 1 && length >= 16, "{length} tokens, {threads} threads");
                        assert!(shared.is_none_or(|shared| shared == expected), "{set}, {length} tokens");
                        assert_eq!(backend.forward_alone(&batch, wanted, pool).unwrap(), expected);
                    }
                }
            }
        }
    }
}

#[test]
fn a_thread_that_comes_too_late_is_not_waited_for() {
    let model = golden("mean");
    let backend = CpuBackend::new(&model.config, &model.weights).unwrap();
    let batch = batch(&model.config, &[40]);
    let expected = backend.forward(&batch, Wanted::All).unwrap();
    let pool = pool(2);
    let (release, held) = std::sync::mpsc::channel::<()>();
    let held = std::sync::Arc::new(std::sync::Mutex::new(held));
    for _ in 0..2 {
        let held = held.clone();
        pool.spawn(move || assert!(held.lock().unwrap().recv().is_err()));
    }
    assert_eq!(backend.forward_alone(&batch, Wanted::All, &pool).unwrap(), expected);
    drop(release);
    assert_eq!(backend.forward_alone(&batch, Wanted::All, &pool).unwrap(), expected);
}

#[test]
fn many_texts_alone_share_the_threads() {
    let model = golden("mean").quantized().unwrap();
    let backend = CpuBackend::new(&model.config, &model.weights).unwrap();
    let pool = pool(3);
    let batch = batch(&model.config, &[40]);
    let expected = backend.forward(&batch, Wanted::All).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                (0..100).for_each(|_| {
                    assert_eq!(backend.forward_alone(&batch, Wanted::All, &pool).unwrap(), expected);
                });
            });
        }
    });
}

#[test]
fn threads_share_a_backend() {
    let model = golden("mean");
    let backend = CpuBackend::new(&model.config, &model.weights).unwrap();
    let batch = batch(&model.config, &[20, 10]);
    let expected = backend.forward(&batch, Wanted::All).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..20).for_each(|_| assert_eq!(backend.forward(&batch, Wanted::All).unwrap(), expected)));
        }
    });
}

#[test]
fn what_is_outside_of_a_table_is_refused() {
    let model = golden("mean");
    let backend = CpuBackend::new(&model.config, &model.weights).unwrap();
    let good = batch(&model.config, &[3]);
    let refused = |change: fn(&mut Batch)| {
        let mut batch = good.clone();
        change(&mut batch);
        backend.forward(&batch, Wanted::All).unwrap_err().to_string()
    };
    assert!(refused(|batch| batch.ids[1] = u32::MAX).contains("token id 4294967295"));
    assert!(refused(|batch| batch.type_ids[2] = 9).contains("token type 9"));
    assert!(refused(|batch| batch.lengths = vec![2]).contains("lengths"));
    assert!(refused(|batch| batch.lengths = vec![3, 0]).contains("lengths"));
    let long = batch(&model.config, &[model.config.positions + 1]);
    assert!(backend.forward(&long, Wanted::All).unwrap_err().to_string().contains("positions"));
    // A failed call leaves nothing behind.
    assert!(backend.forward(&good, Wanted::All).is_ok());
}
