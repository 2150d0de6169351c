//! Queries by meaning, by words and by both beside each other, and what keeping an index of words costs while adding.
//!
//!     cargo bench --bench hybrid -- PASSAGES.jsonl [rows]      100000 rows if left out
//!
//! Takes the texts of a file of lines {"text"}, over and over with other words in between until there are enough, under
//! synthetic embeddings: what encoding them takes is no concern of this. Queries are encoded by the built-in model.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a benchmark stops at the first failure")]

use std::fs;
use std::time::Instant;

use marcato::{Collection, Embedding, Index, Mode, Passage};

const QUERIES: usize = 200;

fn main() {
    let mut arguments = std::env::args().skip(1).filter(|argument| !argument.starts_with("--"));
    let Some(file) = arguments.next() else {
        println!("give a file of passages: cargo bench --bench hybrid -- PASSAGES.jsonl [rows]");
        return;
    };
    let rows: usize = arguments.next().map_or(100_000, |rows| rows.parse().unwrap());
    let texts: Vec<String> = fs::read_to_string(file)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["text"].as_str().unwrap().to_owned())
        .collect();
    let mut dice = Dice(7);
    let text = |n: usize| {
        let (a, b) = (&texts[n % texts.len()], &texts[(n * 7919 + 13) % texts.len()]);
        let half = |text: &str, first: bool| {
            let words: Vec<&str> = text.split(' ').collect();
            let (begin, end) = words.split_at(words.len() / 2);
            (if first { begin } else { end }).join(" ")
        };
        format!("{} {}", half(a, n.is_multiple_of(2)), half(b, !n.is_multiple_of(2)))
    };
    let passages: Vec<Passage> = (0..rows).map(|n| Passage::new(text(n)).embedding(dice.embedding())).collect();
    println!("{rows} passages of {} texts", texts.len());

    let folder = tempfile::tempdir().unwrap();
    for words in [false, true] {
        let path = folder.path().join(format!("words-{words}"));
        let options = Collection::options().index(Index::Exact);
        let options = if words { options } else { options.without_words() };
        let collection = options.create(&path).unwrap();
        let started = Instant::now();
        for batch in passages.chunks(1000) {
            collection.add(batch.iter().cloned()).unwrap();
        }
        collection.close().unwrap();
        let seconds = started.elapsed().as_secs_f64();
        println!("  added {} words in {seconds:.1} s", if words { "with" } else { "without" });
    }

    let started = Instant::now();
    let collection = Collection::open(folder.path().join("words-true")).unwrap();
    println!("  opened in {:.2} s", started.elapsed().as_secs_f64());
    collection.query("the first").run().unwrap();
    let started = Instant::now();
    collection.query("first").mode(Mode::Lexical).run().unwrap();
    println!("  first query by words {:.0} ms: its index is loaded", started.elapsed().as_secs_f64() * 1e3);

    // A question is some consecutive words of a passage, without the quotation marks of a phrase that must occur.
    let plain: Vec<String> = texts.iter().map(|text| text.replace(['"', '*'], " ")).collect();
    let long: Vec<Vec<&str>> = plain.iter().map(|text| text.split_whitespace().collect()).collect();
    let long: Vec<&Vec<&str>> = long.iter().filter(|words| words.len() >= 16).collect();
    let questions: Vec<String> = (0..QUERIES).map(|n| long[(n * 31) % long.len()][n % 5..][..8].join(" ")).collect();
    let mut medians = Vec::new();
    for mode in [Mode::Dense, Mode::Lexical, Mode::Hybrid] {
        let mut times = Vec::with_capacity(QUERIES);
        for question in &questions {
            let started = Instant::now();
            let hits = collection.query(question.as_str()).mode(mode).run().unwrap();
            times.push(started.elapsed().as_secs_f64() * 1e3);
            assert!(!hits.is_empty(), "{question}");
        }
        times.sort_by(f64::total_cmp);
        medians.push(times[QUERIES / 2]);
        println!("  {mode}: p50 {:.2} ms, p99 {:.2} ms", times[QUERIES / 2], times[QUERIES * 99 / 100]);
    }
    println!("  hybrid / dense at p50: {:.2}", medians[2] / medians[0]);
}

/// Repeatable numbers: Knuth's multiplicative generator; the high bits are good enough.
struct Dice(u64);

impl Dice {
    fn embedding(&mut self) -> Embedding {
        let values = (0..384).map(|_| {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (self.0 >> 40) as f32 / (1u64 << 23) as f32 - 1.0
        });
        Embedding::new(values.collect::<Vec<f32>>()).unwrap()
    }
}
