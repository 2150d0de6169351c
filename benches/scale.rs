//! A large collection, beside raw usearch with the same settings: building, asking, opening, memory, disk, and replacing a
//! tenth of it again and again.
//!
//!     cargo bench --bench scale -- [passages] [passages to replace]     1000000 and 50000 if left out
//!
//! Embeddings are synthetic, of width 384 around a thousand centres, and texts are short: what is measured is everything
//! but the encoder. With 0 passages to replace that part is left out.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a benchmark stops at the first failure")]

mod corpus;
mod process;

use std::collections::HashSet;
use std::hint::black_box;
use std::io::Read;
use std::ops::ControlFlow;
use std::path::Path;
use std::time::{Duration, Instant};

use corpus::Synthetic;
use half::f16;
use marcato::{Collection, CollectionOptions, Embedding, Index, Passage, Similarity};
use memmap2::MmapMut;
use process::{Spent, forget_peak, peak_memory};
use usearch::{IndexOptions, MetricKind, ScalarKind};

const WIDTH: usize = 384;
const CENTRES: usize = 1000;
const QUERIES: usize = 200;
const TOP: usize = 10;
/// Queries whose answers are compared with the exact ones.
const JUDGED: usize = 100;
const OPENINGS: usize = 7;
/// Of the graph, here and in the library.
const CONNECTIVITY: usize = 16;
const EXPANSION_ADD: usize = 128;

fn main() {
    let mut numbers = std::env::args().filter_map(|argument| argument.parse::<usize>().ok());
    let (rows, replaced) = (numbers.next().unwrap_or(1_000_000), numbers.next().unwrap_or(50_000));
    let folder = tempfile::tempdir().unwrap();
    scan(&folder.path().join("scan"));
    large(&folder.path().join("large"), rows);
    if replaced > 0 {
        replace(&folder.path().join("replaced"), replaced);
    }
}

fn options(index: Index) -> CollectionOptions {
    Collection::options().embeddings(WIDTH, Similarity::Cosine).index(index)
}

fn passage(number: usize, embedding: Embedding) -> Passage {
    Passage::new(format!("passage number {number} of many, as short as a note"))
        .id(format!("{number}"))
        .embedding(embedding)
}

fn fill(collection: &Collection, synthetic: &mut Synthetic, numbers: std::ops::Range<usize>) -> Duration {
    let mut taken = Duration::ZERO;
    let mut numbers = numbers.peekable();
    while numbers.peek().is_some() {
        let batch: Vec<Passage> = numbers.by_ref().take(1024).map(|number| passage(number, synthetic.next())).collect();
        let started = Instant::now();
        collection.upsert(batch).unwrap();
        taken += started.elapsed();
    }
    taken
}

/// An exact scan of 50,000 beside reading as many bytes.
fn scan(path: &Path) {
    let rows = 50_000;
    let collection = options(Index::Exact).create(path).unwrap();
    fill(&collection, &mut Synthetic::new(CENTRES, WIDTH), 0..rows);
    let query = Synthetic::new(CENTRES, WIDTH).next();
    let mut memory = MmapMut::map_anon(rows * WIDTH * 2).unwrap();
    // As the embeddings lie; on small pages it takes an eighth more time.
    #[cfg(target_os = "linux")]
    let _ = memory.advise(memmap2::Advice::HugePage);
    memory.fill(1);
    let bytes: &[u64] = bytemuck::cast_slice(&memory);
    let half = bytes.len() / 2;
    let sum = |part: &[u64]| part.iter().fold(0_u64, |sum, word| sum.wrapping_add(*word));
    let (mut scans, mut reads) = (Vec::new(), Vec::new());
    for _ in 0..100 {
        let started = Instant::now();
        black_box(collection.query_embedding(query.clone()).top(TOP).exact(true).run().unwrap());
        scans.push(started.elapsed());
        let started = Instant::now();
        std::thread::scope(|scope| {
            let other = scope.spawn(|| black_box(sum(&bytes[half..])));
            black_box(sum(&bytes[..half]));
            other.join().unwrap();
        });
        reads.push(started.elapsed());
    }
    let (scan, read) = (median(scans), median(reads));
    println!(
        "exact scan of {rows}: {:.2} ms; reading the same bytes on two threads: {:.2} ms; {:.2} x",
        milliseconds(scan),
        milliseconds(read),
        scan.as_secs_f64() / read.as_secs_f64()
    );
}

fn large(path: &Path, rows: usize) {
    println!("{rows} passages, embeddings of width {WIDTH}");
    forget_peak();
    let before = peak_memory();
    let collection = options(Index::Hnsw).create(path).unwrap();
    let mut synthetic = Synthetic::new(CENTRES, WIDTH);
    let added = fill(&collection, &mut synthetic, 0..rows);
    println!("  added at {:.0} passages/s, text to durable and searchable", rows as f64 / added.as_secs_f64());
    let queries: Vec<Embedding> = (0..QUERIES).map(|_| synthetic.next()).collect();
    let (asked, found) = ask(&collection, &queries, false);
    let peak = peak_memory();
    collection.flush().unwrap();
    println!("  search expansion {}", chosen(path));
    let vectors = (rows * WIDTH * 2) as f64;
    // Of five bytes each: twice the connectivity at the bottom, and about two in the levels above.
    let graph = (rows * (2 * CONNECTIVITY + 2) * 5) as f64;
    println!(
        "  peak memory {:.0} MB more than before; vectors in f16 {:.0} MB, links of the graph about {:.0} MB: {:.2} x",
        (peak - before) / 1e6,
        vectors / 1e6,
        graph / 1e6,
        (peak - before) / (vectors + graph)
    );
    let exact: Vec<_> = queries[..JUDGED].iter().map(|query| answer(&collection, query, true)).collect();
    println!(
        "  query by the index {:.2} ms (median), recall@{TOP} {:.4}",
        milliseconds(asked),
        recall(&found[..JUDGED], &exact)
    );
    let text = (rows * 60) as f64;
    let bytes = collection.stats().bytes as f64;
    println!("  on disk {:.0} MB: {:.2} x of vectors in f32 and text", bytes / 1e6, bytes / (2.0 * vectors + text));
    let started = Instant::now();
    collection.rebuild_indexes(|_| ControlFlow::Continue(())).unwrap();
    let rebuilt = started.elapsed().as_secs_f64();
    println!(
        "  index made anew from the store at {:.0} passages/s, search expansion {}",
        rows as f64 / rebuilt,
        chosen(path)
    );
    drop(collection);
    for _ in 0..OPENINGS {
        let start = Spent::so_far();
        let collection = options(Index::Hnsw).open(path).unwrap();
        let opened = start.since().elapsed();
        black_box(answer(&collection, &queries[0], false));
        println!(
            "  opened with its snapshot in {:.2} s, answered by the index {}, all in all",
            opened.as_secs_f64(),
            start.since()
        );
        assert_eq!(collection.open_report().rebuilt, None);
    }

    let graph = usearch::Index::new(&IndexOptions {
        dimensions: WIDTH,
        metric: MetricKind::Cos,
        quantization: ScalarKind::F16,
        connectivity: CONNECTIVITY,
        expansion_add: EXPANSION_ADD,
        ..IndexOptions::default()
    })
    .unwrap();
    graph.reserve(rows).unwrap();
    let mut synthetic = Synthetic::new(CENTRES, WIDTH);
    let mut taken = Duration::ZERO;
    for row in 0..rows {
        let embedding = synthetic.next();
        let norm = embedding.iter().map(|value| value * value).sum::<f32>().sqrt();
        let bits: Vec<i16> =
            embedding.iter().map(|value| f16::from_f32(value / norm).to_bits().cast_signed()).collect();
        let started = Instant::now();
        graph.add(row as u64, usearch::f16::from_i16s(&bits)).unwrap();
        taken += started.elapsed();
    }
    let raw = rows as f64 / taken.as_secs_f64();
    println!(
        "raw usearch: {raw:.0} rows/s on one thread; Marcato's index is made at {:.2} of that",
        rows as f64 / rebuilt / raw
    );
    beside(path, &graph, &queries, &exact);

    std::fs::remove_dir_all(path.join("views")).unwrap();
    let started = Instant::now();
    let collection = options(Index::Hnsw).open(path).unwrap();
    let opened = started.elapsed().as_secs_f64();
    let started = Instant::now();
    let same = answer(&collection, &queries[0], true) == exact[0];
    println!(
        "  with its snapshot deleted: opened in {opened:.2} s, an exact answer after {:.2} s more, as before: {same}",
        started.elapsed().as_secs_f64()
    );
}

/// Queries by turns with raw usearch and fetching what it found, up to the expansion that Marcato chose.
fn beside(path: &Path, graph: &usearch::Index, queries: &[Embedding], exact: &[HashSet<String>]) {
    let collection = options(Index::Hnsw).open(path).unwrap();
    let (chosen, mut enough) = (chosen(path), None);
    for expansion in [64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048, 3072, 4096] {
        graph.change_expansion_search(expansion);
        let (mut ours, mut theirs, mut times) = (Vec::new(), Vec::new(), (Vec::new(), Vec::new()));
        // The second round counts.
        for _ in 0..2 {
            (ours, theirs, times) = (Vec::new(), Vec::new(), (Vec::new(), Vec::new()));
            for query in queries {
                let started = Instant::now();
                ours.push(answer(&collection, query, false));
                times.0.push(started.elapsed());
                let started = Instant::now();
                let matches = graph.search(&query[..], TOP).unwrap();
                let ids: HashSet<String> = matches.keys.iter().map(u64::to_string).collect();
                ids.iter().for_each(|id| drop(black_box(collection.get(id).unwrap())));
                times.1.push(started.elapsed());
                theirs.push(ids);
            }
        }
        let (marcato, raw) = (median(times.0), median(times.1));
        let found = recall(&theirs[..JUDGED], exact);
        if found >= 0.97 {
            enough.get_or_insert(expansion);
        }
        println!(
            "  expansion {expansion}: {:.2} ms, ten rows fetched, recall {found:.4}; Marcato at {chosen} {:.2} ms, {:.2} x, recall {:.4}",
            milliseconds(raw),
            milliseconds(marcato),
            marcato.as_secs_f64() / raw.as_secs_f64(),
            recall(&ours[..JUDGED], exact)
        );
        if expansion >= chosen && enough.is_some() {
            break;
        }
    }
}

/// The search expansion in the snapshot.
fn chosen(path: &Path) -> usize {
    let mut start = [0; 24];
    std::fs::File::open(path.join("views/embeddings.hnsw")).unwrap().read_exact(&mut start).unwrap();
    u32::from_le_bytes(start[20..].try_into().unwrap()) as usize
}

/// A tenth of a collection replaced a hundred times: size and time stay.
fn replace(path: &Path, rows: usize) {
    println!("{rows} passages, a tenth replaced at a time");
    let collection = options(Index::Hnsw).create(path).unwrap();
    let mut synthetic = Synthetic::new(CENTRES, WIDTH);
    fill(&collection, &mut synthetic, 0..rows);
    let queries: Vec<Embedding> = (0..QUERIES).map(|_| synthetic.next()).collect();
    let mut first = None;
    for round in 1..=100_usize {
        let tenth = round % 10 * (rows / 10);
        fill(&collection, &mut synthetic, tenth..tenth + rows / 10);
        if round != 1 && !round.is_multiple_of(20) {
            continue;
        }
        collection.flush().unwrap();
        let (time, found) = ask(&collection, &queries, false);
        let (_, exact) = ask(&collection, &queries[..50], true);
        let bytes = collection.stats().bytes as f64;
        let (first_bytes, first_time) = *first.get_or_insert((bytes, time));
        println!(
            "  after {round:3} rounds: {:.1} MB ({:.2} x), {:.2} ms ({:.2} x), recall {:.4}",
            bytes / 1e6,
            bytes / first_bytes,
            milliseconds(time),
            time.as_secs_f64() / first_time.as_secs_f64(),
            recall(&found[..50], &exact)
        );
    }
}

/// The median time of a query, each asked once before, and what was found.
fn ask(collection: &Collection, queries: &[Embedding], exact: bool) -> (Duration, Vec<HashSet<String>>) {
    let (mut times, mut found) = (Vec::new(), Vec::new());
    for query in queries {
        black_box(answer(collection, query, exact));
    }
    for query in queries {
        let started = Instant::now();
        found.push(answer(collection, query, exact));
        times.push(started.elapsed());
    }
    (median(times), found)
}

fn answer(collection: &Collection, query: &Embedding, exact: bool) -> HashSet<String> {
    let hits = collection.query_embedding(query.clone()).top(TOP).exact(exact).run().unwrap();
    hits.iter().map(|hit| hit.id.to_string()).collect()
}

fn recall(found: &[HashSet<String>], exact: &[HashSet<String>]) -> f64 {
    let right: usize = found.iter().zip(exact).map(|(found, exact)| found.intersection(exact).count()).sum();
    right as f64 / (exact.len() * TOP) as f64
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
