//! Tests of collections, and what they share: an encoder that needs no model, embeddings out of thin air, answers.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod backup;
#[cfg(feature = "lexical")]
mod bad_inputs;
mod batches;
#[cfg(feature = "usearch")]
mod behind;
mod check;
mod compact;
mod concurrency;
mod crashes;
#[cfg(feature = "usearch")]
mod damage;
mod disk;
mod encoders;
mod exchange;
mod faults;
mod filters;
#[cfg(feature = "usearch")]
mod format;
mod group;
mod history;
mod ingest;
mod limits;
mod model;
#[cfg(feature = "lexical")]
mod modes;
mod mutations;
mod opening;
mod plan;
#[cfg(feature = "usearch")]
mod recovery;
mod reembed;
#[cfg(feature = "usearch")]
mod upkeep;
#[cfg(feature = "lexical")]
mod words;
mod workload;

use std::path::Path;

use super::{Collection, CollectionOptions, Hit, Index};
use crate::bi_encoder::Encoder;
use crate::embedding::Embedding;
use crate::error::{Error, Result};
use crate::passage::Passage;
use crate::similarity::Similarity;

const WIDTH: usize = 16;

/// Hashes words, so that texts with words in common are alike.
#[derive(Clone)]
struct Toy {
    fingerprint: &'static str,
    name: &'static str,
}

const TOY: Toy = Toy { fingerprint: "toy-fingerprint-1", name: "toy" };

impl Encoder for Toy {
    fn encode_queries(&self, texts: &[&str]) -> Result<Vec<Embedding>> {
        self.encode_passages(texts)
    }

    fn encode_passages(&self, texts: &[&str]) -> Result<Vec<Embedding>> {
        let encode = |text: &&str| {
            let mut values = vec![0.01; WIDTH];
            for word in text.split_whitespace() {
                let mut dice = Dice(word.bytes().fold(7, |hash, byte| hash * 31 + u64::from(byte)));
                values.iter_mut().for_each(|value| *value += dice.number());
            }
            Embedding::new(values)
        };
        texts.iter().map(encode).collect()
    }

    fn dimension(&self) -> usize {
        WIDTH
    }

    fn similarity(&self) -> Similarity {
        Similarity::Cosine
    }

    fn fingerprint(&self) -> &str {
        self.fingerprint
    }

    fn max_tokens(&self) -> usize {
        usize::MAX
    }

    fn name(&self) -> &str {
        self.name
    }
}

/// Repeatable numbers: SplitMix64.
struct Dice(u64);

impl Dice {
    fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// In -1..1.
    fn number(&mut self) -> f32 {
        (self.bits() >> 40) as f32 / (1 << 23) as f32 - 1.0
    }
}

fn embedding(seed: u64) -> Embedding {
    let mut dice = Dice(seed);
    Embedding::new((0..WIDTH).map(|_| dice.number()).collect::<Vec<f32>>()).unwrap()
}

/// A passage whose embedding belongs to its number, as its text does.
fn numbered(number: u64) -> Passage {
    Passage::new(format!("text {number}")).id(format!("id {number}")).embedding(embedding(number))
}

/// For embeddings of the caller's own, [`WIDTH`] numbers each.
fn bare(index: Index) -> CollectionOptions {
    Collection::options().embeddings(WIDTH, Similarity::Cosine).index(index)
}

fn with_toy() -> CollectionOptions {
    Collection::options().encoder(TOY)
}

fn refused<T>(outcome: Result<T>) -> Error {
    outcome.err().expect("it must be refused")
}

fn names(error: &Error, parts: &[&str]) {
    for part in parts {
        assert!(error.to_string().contains(part), "\"{part}\" is not in: {error}");
    }
}

fn ids(hits: &[Hit]) -> Vec<&str> {
    hits.iter().map(|hit| hit.id.as_str()).collect()
}

/// All ids in the order of rows.
fn all_ids(collection: &Collection) -> Vec<String> {
    collection.iter().unwrap().map(|passage| passage.unwrap().id.unwrap().to_string()).collect()
}

/// The changes that the log still has.
fn logged(collection: &Collection) -> Vec<u64> {
    let reader = collection.0.store.reader().unwrap();
    (0..=reader.state().seq).filter(|seq| reader.change(*seq).unwrap().is_some()).collect()
}

/// The ten best of some questions, with the bits of their scores.
fn answers(collection: &Collection, exact: bool) -> Vec<Vec<(String, u32)>> {
    let ask = |seed| {
        let hits = collection.query_embedding(embedding(seed)).top(10).exact(exact).run().unwrap();
        hits.into_iter().map(|hit| (hit.id.to_string(), hit.score.to_bits())).collect()
    };
    (1_000_000..1_000_020).map(ask).collect()
}

/// A copy of a collection as a crash would leave it, since its files are copied while it is open.
fn crash(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() { crash(&entry.path(), &target) } else { copy(&entry.path(), &target) }
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::copy(from, to).unwrap();
}
