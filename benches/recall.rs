//! Recall and speed of the approximate index against the exact scan, through a whole collection on disk: built, closed,
//! opened again, and opened with its snapshot deleted, cut off and with one bit flipped.
//!
//!     cargo bench --bench recall -- [rows] [width] [clustered or isotropic]     100000, 384 and both if left out
//!
//! Embeddings are synthetic: `clustered` around a thousand centres, as texts are, and `isotropic`, the hardest there is.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a benchmark stops at the first failure")]

mod corpus;

use std::collections::HashSet;
use std::fs;
use std::path::Path;
use std::time::Instant;

use corpus::Synthetic;
use marcato::{Collection, Embedding, Index, Passage, Similarity};

const QUERIES: usize = 200;
const TOP: usize = 10;

fn main() {
    let mut numbers = std::env::args().filter_map(|argument| argument.parse::<usize>().ok());
    let (rows, width) = (numbers.next().unwrap_or(100_000), numbers.next().unwrap_or(384));
    let folder = tempfile::tempdir().unwrap();
    for (name, centres) in [("clustered", 1000), ("isotropic", 0)] {
        if std::env::args().any(|argument| argument == "clustered" || argument == "isotropic")
            && std::env::args().all(|argument| argument != name)
        {
            continue;
        }
        measure(name, &mut Synthetic::new(centres, width), rows, &folder.path().join(name));
    }
}

fn measure(name: &str, synthetic: &mut Synthetic, rows: usize, path: &Path) {
    println!("{name}: {rows} embeddings of width {}", synthetic.width);
    let width = synthetic.width;
    let options = || Collection::options().embeddings(width, Similarity::Cosine).index(Index::Hnsw);
    let collection = options().create(path).unwrap();
    let started = Instant::now();
    for start in (0..rows).step_by(5000) {
        let passage = |n: usize| Passage::new(format!("{n}")).id(format!("{n}")).embedding(synthetic.next());
        let batch: Vec<Passage> = (start..rows.min(start + 5000)).map(passage).collect();
        collection.add(batch).unwrap();
    }
    collection.flush().unwrap();
    println!("  added in {:.1} s", started.elapsed().as_secs_f64());
    let queries: Vec<Embedding> = (0..QUERIES).map(|_| synthetic.next()).collect();
    let before = answers(&collection, &queries, false);
    let exact = answers(&collection, &queries, true);
    let found: usize = before.iter().zip(&exact).map(|(found, all)| found.intersection(all).count()).sum();
    println!("  recall@{TOP} {:.4}", found as f64 / (QUERIES * TOP) as f64);
    drop(collection);

    let snapshot = path.join("views").join("embeddings.hnsw");
    let sound = fs::read(&snapshot).unwrap();
    let open = |what: &str| {
        let started = Instant::now();
        let collection = options().open(path).unwrap();
        let seconds = started.elapsed().as_secs_f64();
        let after = answers(&collection, &queries, false);
        let same = before.iter().zip(&after).map(|(a, b)| a.intersection(b).count()).sum::<usize>();
        let found = after.iter().zip(&exact).map(|(found, all)| found.intersection(all).count()).sum::<usize>();
        let total = (QUERIES * TOP) as f64;
        let report = collection.open_report().rebuilt.clone().unwrap_or_else(|| "no rebuild".to_owned());
        println!(
            "  {what}: opened in {seconds:.2} s ({report}); {:.4} of the answers as before, recall {:.4}",
            same as f64 / total,
            found as f64 / total
        );
    };
    open("as it was");
    fs::remove_file(&snapshot).unwrap();
    open("snapshot deleted");
    fs::write(&snapshot, &sound[..sound.len() / 2]).unwrap();
    open("snapshot cut off");
    let mut flipped = sound;
    let middle = flipped.len() / 2;
    flipped[middle] ^= 1;
    fs::write(&snapshot, flipped).unwrap();
    open("one bit flipped");
}

/// The ids found for each query, and on the way the median time.
fn answers(collection: &Collection, queries: &[Embedding], exact: bool) -> Vec<HashSet<String>> {
    let mut times = Vec::new();
    let mut answers = Vec::new();
    for query in queries {
        let started = Instant::now();
        let hits = collection.query_embedding(query.clone()).top(TOP).exact(exact).run().unwrap();
        times.push(started.elapsed().as_secs_f64() * 1e3);
        answers.push(hits.iter().map(|hit| hit.id.to_string()).collect());
    }
    times.sort_by(f64::total_cmp);
    let how = if exact { "every passage" } else { "the index" };
    println!("  {:.2} ms per query (median) by {how}", times[times.len() / 2]);
    answers
}
