//! Texts for benchmarks: the demo's passages.

#![allow(dead_code, reason = "each benchmark uses a part")]

use marcato::Passage;

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
