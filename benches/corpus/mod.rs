//! Texts for benchmarks, the demo's passages, and embeddings out of thin air.

#![allow(dead_code, reason = "each benchmark uses a part")]

use marcato::{Embedding, Passage};

const CORPUS: &str = include_str!("../../cli/demo/corpus.jsonl");

/// The demo's passages, without ids.
pub(crate) fn passages() -> Vec<Passage> {
    let passage = |line: &str| {
        let value: serde_json::Value = serde_json::from_str(line).unwrap();
        Passage::new(value["text"].as_str().unwrap()).title(value["title"].as_str().unwrap())
    };
    CORPUS.lines().map(passage).collect()
}

/// `count` passages, no two alike: the demo's, each with a number in front.
pub(crate) fn many(count: usize) -> impl Iterator<Item = Passage> {
    let passages = passages();
    (0..count).map(move |n| {
        let mut passage = passages[n % passages.len()].clone().id(format!("{n}"));
        passage.text = format!("{n}. {}", passage.text);
        passage
    })
}

/// All their words.
pub(crate) fn words() -> Vec<&'static str> {
    CORPUS.split_whitespace().filter(|word| word.chars().all(char::is_alphabetic)).collect()
}

/// Reproducible embeddings: sums of twelve uniform numbers are nearly normal.
pub(crate) struct Synthetic {
    state: u64,
    pub(crate) width: usize,
    centres: Vec<Vec<f32>>,
}

impl Synthetic {
    /// Around so many centres, or, with none, in no direction more than in another.
    pub(crate) fn new(centres: usize, width: usize) -> Self {
        let mut synthetic = Self { state: 7, width, centres: Vec::new() };
        synthetic.centres = (0..centres).map(|_| synthetic.normal()).collect();
        synthetic
    }

    fn uniform(&mut self) -> f32 {
        // Knuth's multiplicative generator; the high bits are good enough.
        self.state = self.state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.state >> 40) as f32 / (1u64 << 24) as f32
    }

    fn normal(&mut self) -> Vec<f32> {
        (0..self.width).map(|_| (0..12).map(|_| self.uniform()).sum::<f32>() - 6.0).collect()
    }

    pub(crate) fn next(&mut self) -> Embedding {
        let mut vector = self.normal();
        if !self.centres.is_empty() {
            let chosen = (self.uniform() * self.centres.len() as f32) as usize % self.centres.len();
            vector.iter_mut().zip(&self.centres[chosen]).for_each(|(value, centre)| *value += centre);
        }
        Embedding::new(vector).unwrap()
    }
}
