//! From the start of a process to its printed answer: `marcato query` on a collection of 10,000 passages.
//!
//!     cargo bench -p marcato-cli --bench cold_start -- [passages]
//!
//! The embeddings are random, which makes no difference to the time. Files are in the system's cache.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a benchmark stops at the first failure")]

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use marcato::{Collection, Embedding, Error, Passage};

const ROUNDS: usize = 20;

fn main() {
    let mut arguments = std::env::args().skip(1).filter(|argument| !argument.starts_with('-'));
    let count: usize = arguments.next().map_or(10_000, |count| count.parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("c");
    let collection = Collection::create(&path).unwrap();
    let mut state = 7u64;
    let mut number = || {
        // Knuth's multiplicative generator.
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1u64 << 24) as f32 - 0.5
    };
    let passages = (0..count).map(|n| {
        let embedding = Embedding::new((0..384).map(|_| number()).collect::<Vec<_>>())?;
        let text = format!("Passage {n}: {}", "some words of no great interest ".repeat(12));
        Ok::<_, Error>(Passage::new(text).id(format!("{n}")).embedding(embedding))
    });
    collection.ingest(passages).run().unwrap();
    collection.close().unwrap();

    ask(&path);
    let mut times: Vec<f64> = (0..ROUNDS).map(|_| ask(&path)).collect();
    times.sort_by(f64::total_cmp);
    println!(
        "marcato query on {count} passages: {:.0} ms, {:.0} to {:.0} in {ROUNDS} processes",
        times[ROUNDS / 2],
        times[0],
        times[ROUNDS - 1]
    );
}

/// Milliseconds until the answer is printed and the process gone.
fn ask(path: &Path) -> f64 {
    let mut command = Command::new(env!("CARGO_BIN_EXE_marcato"));
    command.arg("query").arg(path).args(["how big is London", "-k", "5"]).stdin(Stdio::null());
    let started = Instant::now();
    let output = command.output().unwrap();
    let milliseconds = started.elapsed().as_secs_f64() * 1e3;
    assert!(output.status.success() && output.stdout.iter().filter(|byte| **byte == b'\n').count() == 5);
    milliseconds
}
