//! Filters at scale: speed and recall by selectivity, and random filters against brute force.
//!
//!     cargo bench --bench filter -- selectivity [rows]            100000 if left out
//!     cargo bench --bench filter -- random [filters] [rows]       100000 and 100000 if left out
//!     cargo bench --bench filter -- crossover [rows]              where a walk of the graph begins to pay
//!
//! Embeddings are synthetic, of width 384, around a thousand centres, as those of texts are.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a benchmark stops at the first failure")]

use std::collections::HashMap;
use std::time::{Duration, Instant};

use marcato::{Collection, Embedding, Explanation, Filter, FilterValue, Index, Passage, Similarity};
use serde_json::{Map, Value, json};

const WIDTH: usize = 384;
const QUERIES: usize = 100;
const TOP: usize = 10;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let number = |place: usize| arguments.get(place).map_or(100_000, |argument| argument.parse().unwrap());
    match arguments.first().map_or("selectivity", String::as_str) {
        "random" => random(number(1), number(2)),
        "crossover" => crossover(number(1)),
        _ => selectivity(number(1)),
    }
}

/// `rows` passages with fields that one in 1, 2, 3, ... has as 0.
fn collection(
    index: Index,
    rows: usize,
    dice: &mut Dice,
    metadata: impl Fn(usize, &mut Dice) -> Map<String, Value>,
) -> Collection {
    let options = Collection::options().embeddings(WIDTH, Similarity::Cosine).index(index);
    let collection = options.in_memory().unwrap();
    let started = Instant::now();
    for start in (0..rows).step_by(5000) {
        let passage = |n: usize| {
            let metadata = metadata(n, dice);
            Passage::new(format!("passage {n}")).id(n.to_string()).metadata(metadata).embedding(dice.embedding())
        };
        collection.add((start..rows.min(start + 5000)).map(passage).collect::<Vec<_>>()).unwrap();
    }
    println!("{rows} passages in {:.1} s, {} index", started.elapsed().as_secs_f64(), collection.stats().index);
    collection
}

fn buckets(sizes: &[usize]) -> impl Fn(usize, &mut Dice) -> Map<String, Value> {
    let sizes = sizes.to_vec();
    move |_, dice| sizes.iter().map(|size| (format!("in{size}"), json!(dice.below(*size)))).collect()
}

fn selectivity(rows: usize) {
    let sizes = [1, 10, 100, 1000, 10_000];
    let mut dice = Dice::new(rows);
    let collection = collection(Index::Hnsw, rows, &mut dice, buckets(&sizes));
    for size in sizes {
        let started = Instant::now();
        collection.create_field_index(format!("in{size}")).unwrap();
        println!("index of in{size} built in {:.2} s", started.elapsed().as_secs_f64());
    }
    let queries: Vec<Embedding> = (0..QUERIES).map(|_| dice.embedding()).collect();
    let query = |query: &Embedding| collection.query_embedding(query.clone()).top(TOP);
    let graph = p50(queries.iter().map(|asked| query(asked).explain().unwrap()));
    // Once, so that the matrix beside the graph is there.
    let first = query(&queries[0]).filter(Filter::field("in10").eq(0)).explain().unwrap();
    println!("the first filtered query took {:.1} ms ({})", total(&first).as_secs_f64() * 1e3, first.plan);
    let exact = p50(queries.iter().map(|asked| query(asked).exact(true).explain().unwrap()));
    println!(
        "without a filter: graph {graph:.3} ms, exact scan {exact:.3} ms; 1.5 x the better is {:.3} ms",
        1.5 * graph.min(exact)
    );
    for size in sizes {
        let filter = Filter::field(format!("in{size}")).eq(0);
        let once = query(&queries[0]).filter(filter.clone()).explain().unwrap();
        let (mut found, mut wanted) = (0, 0);
        let mut plans = Vec::new();
        for asked in &queries {
            let ours = query(asked).filter(filter.clone()).explain().unwrap();
            let theirs = query(asked).filter(filter.clone()).exact(true).run().unwrap();
            assert!(ours.hits.iter().all(|hit| hit.metadata[&format!("in{size}")] == 0), "filters are exact");
            assert_eq!(ours.hits.len(), TOP.min(once.matches.unwrap() as usize), "k come back if k exist");
            found += theirs.iter().filter(|hit| ours.hits.contains(hit)).count();
            wanted += theirs.len();
            plans.push(ours.plan);
        }
        let asked = queries.iter().map(|asked| query(asked).filter(filter.clone()).explain().unwrap());
        let explained: Vec<Explanation> = asked.collect();
        let stage = |of: fn(&Explanation) -> Duration| {
            let mut times: Vec<Duration> = explained.iter().map(of).collect();
            times.sort_unstable();
            times[times.len() / 2].as_secs_f64() * 1e3
        };
        println!(
            "candidates {:.3} ms, rescored {:.3} ms, fetched {:.3} ms",
            stage(|explained| explained.times.candidates),
            stage(|explained| explained.times.rescore),
            stage(|explained| explained.times.fetch)
        );
        let time = p50(explained.into_iter());
        println!(
            "1/{size}: {} match, {:?}; filter evaluated in {:.3} ms, then p50 {time:.3} ms ({:.2} x the better), recall@{TOP} {:.4}",
            once.matches.unwrap(),
            plans[0],
            once.times.filter.as_secs_f64() * 1e3,
            time / graph.min(exact),
            found as f64 / wanted as f64,
        );
    }
    let range = Filter::field("in10000").lt(1000);
    let once = query(&queries[0]).filter(range).explain().unwrap();
    println!(
        "a range of 1000 values: {} match, evaluated in {:.3} ms",
        once.matches.unwrap(),
        once.times.filter.as_secs_f64() * 1e3
    );
}

/// The times of scan and walk over selectivities; the planner's choice is one of them.
fn crossover(rows: usize) {
    let sizes = [1, 2, 3, 4, 5, 6, 8, 10, 16, 32, 64];
    let mut dice = Dice::new(rows);
    let collection = collection(Index::Hnsw, rows, &mut dice, buckets(&sizes));
    let queries: Vec<Embedding> = (0..QUERIES).map(|_| dice.embedding()).collect();
    for size in sizes {
        collection.create_field_index(format!("in{size}")).unwrap();
        let filter = Filter::field(format!("in{size}")).eq(0);
        let ask = |exact| {
            let query = |asked: &Embedding| collection.query_embedding(asked.clone()).top(TOP).filter(filter.clone());
            let run = |asked| query(asked).exact(exact).explain().unwrap();
            let warm = run(&queries[0]);
            (warm.plan, warm.matches.unwrap(), p50(queries.iter().map(run)))
        };
        let (scanned, planned) = (ask(true), ask(false));
        println!(
            "1/{size}: {} match; scan {:.3} ms; planned ({:?}) {:.3} ms",
            scanned.1, scanned.2, planned.0, planned.2
        );
    }
}

fn total(explanation: &Explanation) -> Duration {
    let times = explanation.times;
    times.encode + times.filter + times.candidates + times.rescore + times.fetch
}

fn p50(explanations: impl Iterator<Item = Explanation>) -> f64 {
    let mut times: Vec<Duration> = explanations.map(|explanation| total(&explanation)).collect();
    times.sort_unstable();
    times[times.len() / 2].as_secs_f64() * 1e3
}

/// A filter with the set of passages that it matches, known by asking each passage's values, not Marcato.
type Known = (Filter, Vec<u64>);

fn random(filters: usize, rows: usize) {
    let mut dice = Dice::new(rows);
    let langs = ["en", "fr", "de", "it", "es"];
    let collection = collection(Index::Exact, rows, &mut dice, |_, dice| {
        let mut metadata = Map::new();
        if dice.below(10) > 0 {
            metadata.insert("year".to_owned(), json!(1950 + dice.below(75)));
        }
        metadata.insert("lang".to_owned(), json!(langs[dice.below(5) * dice.below(5) / 4 % 5]));
        metadata.insert("score".to_owned(), json!(dice.uniform()));
        metadata.insert("tag".to_owned(), (0..dice.below(4)).map(|_| format!("tag{}", dice.below(30))).collect());
        metadata.insert("draft".to_owned(), json!(dice.below(20) == 0));
        metadata.insert("day".to_owned(), json!(format!("2011-{:02}-{:02}", 1 + dice.below(12), 1 + dice.below(28))));
        metadata.insert("note".to_owned(), json!(dice.below(1000)));
        metadata
    });
    for field in ["year", "lang", "score", "tag", "draft", "day"] {
        collection.create_field_index(field).unwrap();
    }
    let all: Vec<Map<String, Value>> = collection.iter().unwrap().map(|passage| passage.unwrap().metadata).collect();
    let known = |filter: Filter, holds: &dyn Fn(&Map<String, Value>) -> bool| -> Known {
        let mut bits = vec![0u64; rows.div_ceil(64)];
        all.iter().enumerate().filter(|(_, metadata)| holds(metadata)).for_each(|(n, _)| bits[n / 64] |= 1 << (n % 64));
        (filter, bits)
    };
    let mut tests: Vec<Known> = Vec::new();
    for _ in 0..40 {
        let year = 1945 + dice.below(85) as u64;
        let of = |metadata: &Map<String, Value>| metadata.get("year").and_then(Value::as_u64);
        tests.push(known(Filter::field("year").ge(year), &|metadata| of(metadata).is_some_and(|found| found >= year)));
        tests.push(known(Filter::field("year").ne(year), &|metadata| of(metadata).is_some_and(|found| found != year)));
        tests.push(known(Filter::field("year").eq(year), &|metadata| of(metadata) == Some(year)));
        let score = dice.uniform();
        tests.push(known(Filter::field("score").lt(score), &|metadata| metadata["score"].as_f64().unwrap() < score));
        let tag = format!("tag{}", dice.below(32));
        let has = |metadata: &Map<String, Value>, tag: &str| {
            metadata["tag"].as_array().unwrap().iter().any(|found| found == tag)
        };
        tests.push(known(Filter::field("tag").eq(tag.as_str()), &|metadata| has(metadata, &tag)));
        let other = format!("tag{}", dice.below(30));
        let both = Filter::field("tag").is_in([tag.as_str(), other.as_str()]);
        tests.push(known(both, &|metadata| has(metadata, &tag) || has(metadata, &other)));
        let day = format!("2011-{:02}-{:02}", 1 + dice.below(12), 1 + dice.below(28));
        let date = FilterValue::date(day.as_str()).unwrap();
        tests.push(known(Filter::field("day").le(date), &|metadata| metadata["day"].as_str().unwrap() <= day.as_str()));
        let lang = langs[dice.below(5)];
        tests.push(known(Filter::field("lang").eq(lang), &|metadata| metadata["lang"] == lang));
    }
    tests.push(known(Filter::field("draft").is_true(), &|metadata| metadata["draft"] == true));
    tests.push(known(Filter::field("year").exists(), &|metadata| metadata.contains_key("year")));
    let unindexed: Vec<Known> = (0..20)
        .map(|_| {
            let note = dice.below(1000) as u64;
            known(Filter::field("note").lt(note), &|metadata| metadata["note"].as_u64().unwrap() < note)
        })
        .collect();
    let rankings: Vec<(Embedding, Vec<usize>)> = (0..16)
        .map(|_| {
            let query = dice.embedding();
            let hits = collection.query_embedding(query.clone()).top(rows).run().unwrap();
            (query, hits.iter().map(|hit| hit.id.as_str().parse().unwrap()).collect())
        })
        .collect();
    let (mut plans, mut evaluated, started) = (HashMap::new(), Duration::ZERO, Instant::now());
    for n in 0..filters {
        let (mut filter, mut bits) = dice.filter(&tests, 3);
        // Now and then one that has to read passages, of those that the rest leaves.
        if n % 500 == 0 {
            let (more, more_bits) = &unindexed[dice.below(unindexed.len())];
            filter = filter.and(more.clone());
            bits.iter_mut().zip(more_bits).for_each(|(a, b)| *a &= b);
        }
        // Half of them by way of their text.
        if n % 2 == 0 {
            filter = filter.to_string().parse().unwrap();
        }
        let (query, ranking) = &rankings[dice.below(rankings.len())];
        let found = collection.query_embedding(query.clone()).top(TOP).filter(filter.clone()).explain().unwrap();
        let right: Vec<String> = ranking
            .iter()
            .filter(|row| bits[**row / 64] >> (**row % 64) & 1 == 1)
            .take(TOP)
            .map(ToString::to_string)
            .collect();
        let ids: Vec<&str> = found.hits.iter().map(|hit| hit.id.as_str()).collect();
        assert_eq!(ids, right, "{filter}");
        assert_eq!(
            found.matches.unwrap(),
            bits.iter().map(|word| u64::from(word.count_ones())).sum::<u64>(),
            "{filter}"
        );
        *plans.entry(found.plan.name()).or_insert(0) += 1;
        evaluated += found.times.filter;
    }
    println!(
        "{filters} random filters over {rows} passages: all identical to brute force, in {:.0} s; plans {plans:?}; {:.3} ms to evaluate one on average",
        started.elapsed().as_secs_f64(),
        evaluated.as_secs_f64() * 1e3 / filters as f64
    );
}

/// Reproducible numbers; sums of twelve uniform ones are nearly normal.
struct Dice {
    state: u64,
    rows: usize,
    centres: Vec<Vec<f32>>,
}

impl Dice {
    fn new(rows: usize) -> Self {
        let mut dice = Self { state: 7, rows, centres: Vec::new() };
        dice.centres = (0..1000).map(|_| dice.normal()).collect();
        dice
    }

    fn uniform(&mut self) -> f64 {
        // Knuth's multiplicative generator; the high bits are good enough.
        self.state = self.state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.state >> 40) as f64 / (1u64 << 24) as f64
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.uniform() * limit as f64) as usize % limit
    }

    fn normal(&mut self) -> Vec<f32> {
        (0..WIDTH).map(|_| (0..12).map(|_| self.uniform() as f32).sum::<f32>() - 6.0).collect()
    }

    fn embedding(&mut self) -> Embedding {
        let mut vector = self.normal();
        let chosen = self.below(self.centres.len());
        vector.iter_mut().zip(&self.centres[chosen]).for_each(|(value, centre)| *value += centre);
        Embedding::new(vector).unwrap()
    }

    /// Of `tests`, at most `depth` deep.
    fn filter(&mut self, tests: &[Known], depth: usize) -> Known {
        if depth == 0 || self.below(4) == 0 {
            return tests[self.below(tests.len())].clone();
        }
        let (a, mut bits) = self.filter(tests, depth - 1);
        if self.below(5) == 0 {
            bits.iter_mut().for_each(|word| *word = !*word);
            // The last word may have bits of no passage.
            let beyond = bits.len() * 64 - self.rows;
            bits.iter_mut().last().into_iter().for_each(|word| *word = *word << beyond >> beyond);
            return (!a, bits);
        }
        let (b, others) = self.filter(tests, depth - 1);
        let both = self.below(2) == 0;
        bits.iter_mut().zip(&others).for_each(|(a, b)| if both { *a &= b } else { *a |= b });
        (if both { a.and(b) } else { a.or(b) }, bits)
    }
}
