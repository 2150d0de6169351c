//! Random histories of a collection, compared after each step with the simplest thing that could be right.

use std::collections::BTreeMap;
use std::path::Path;

use half::f16;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Collection, CollectionOptions, Index, refused};
use crate::embedding::Embedding;
use crate::error::ErrorKind;
use crate::kernels::similarity_f32;
use crate::passage::{Metadata, Passage};
use crate::similarity::Similarity;

const DIMENSION: usize = 4;

#[derive(Clone, Debug)]
enum Step {
    Add(Vec<New>),
    Upsert(Vec<New>),
    Delete(Vec<u8>),
    Get(u8),
    Query([i8; DIMENSION], usize),
    Reopen,
    Flush,
}

/// A passage to add; few ids and few values, so that they meet.
#[derive(Clone, Debug)]
struct New {
    id: Option<u8>,
    title: Option<String>,
    text: String,
    metadata: Metadata,
    values: [i8; DIMENSION],
}

#[derive(Clone, Debug)]
struct Kept {
    /// Later ones are greater, as rows are.
    order: u64,
    title: Option<String>,
    text: String,
    /// As JSON, so that the order of the fields counts.
    metadata: String,
    stored: Vec<f16>,
    values: [i8; DIMENSION],
}

fn values() -> impl Strategy<Value = [i8; DIMENSION]> {
    [-3..=3i8, -3..=3i8, -3..=3i8, 1..=2i8]
}

pub(super) fn metadata() -> impl Strategy<Value = Metadata> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        // Short decimal fractions; `encoders.rs` has the others.
        (-4000..4000i32).prop_map(|n| json!(f64::from(n) / 4.0)),
        ".{0,6}".prop_map(Value::from),
    ];
    let value = leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::vec((".{0,3}", inner), 0..3)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    });
    prop::collection::vec((".{0,4}", value), 0..3).prop_map(|fields| fields.into_iter().collect())
}

fn new() -> impl Strategy<Value = New> {
    (prop::option::weighted(0.7, 0..24u8), prop::option::of(".{0,4}"), ".{0,12}", metadata(), values())
        .prop_map(|(id, title, text, metadata, values)| New { id, title, text, metadata, values })
}

fn step() -> impl Strategy<Value = Step> {
    let batch = || prop::collection::vec(new(), 0..7);
    prop_oneof![
        3 => batch().prop_map(Step::Add),
        4 => batch().prop_map(Step::Upsert),
        2 => prop::collection::vec(0..30u8, 0..5).prop_map(Step::Delete),
        1 => (0..30u8).prop_map(Step::Get),
        4 => (values(), prop_oneof![1..6usize, Just(1000)]).prop_map(|(values, top)| Step::Query(values, top)),
        1 => Just(Step::Reopen),
        1 => Just(Step::Flush),
    ]
}

/// Ids that a caller gives; some are of the kind that the store makes up.
fn name(id: u8) -> String {
    if id < 16 { format!("id {id}") } else { format!("row-{}", id - 16) }
}

fn numbers(values: [i8; DIMENSION]) -> Embedding {
    Embedding::new(values.map(f32::from)).unwrap()
}

struct Model {
    kept: BTreeMap<String, Kept>,
    rows: u64,
    similarity: Similarity,
}

impl Model {
    fn stored(&self, values: [i8; DIMENSION]) -> Vec<f16> {
        let square: f64 = values.iter().map(|value| f64::from(*value).powi(2)).sum();
        let scale = if self.similarity == Similarity::Cosine { square.sqrt().recip() } else { 1.0 };
        values.iter().map(|value| f16::from_f64(f64::from(*value) * scale)).collect()
    }

    fn put(&mut self, id: &str, new: &New) -> bool {
        let kept = Kept {
            order: self.rows,
            title: new.title.clone(),
            text: new.text.clone(),
            metadata: serde_json::to_string(&new.metadata).unwrap(),
            stored: self.stored(new.values),
            values: new.values,
        };
        self.rows += 1;
        self.kept.insert(id.to_owned(), kept).is_some()
    }

    /// (id, score) of every passage, best first.
    fn ranked(&self, query: [i8; DIMENSION]) -> Vec<(String, f32)> {
        let query = query.map(f32::from);
        let mut ranked: Vec<_> = self
            .kept
            .iter()
            .map(|(id, kept)| (similarity_f32(&query, &kept.stored, self.similarity), kept.order, id.clone()))
            .collect();
        ranked.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        ranked.into_iter().map(|(score, _, id)| (id, score)).collect()
    }

    /// What the score is about, without any rounding on the way.
    fn true_score(&self, query: [i8; DIMENSION], id: &str) -> f64 {
        let (query, row) = (query.map(f64::from), self.kept[id].values.map(f64::from));
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        match self.similarity {
            Similarity::Dot => dot(&query, &row),
            Similarity::Cosine => dot(&query, &row) / (dot(&query, &query) * dot(&row, &row)).sqrt(),
        }
    }
}

fn options(index: Index, similarity: Similarity) -> CollectionOptions {
    let options = Collection::options().embeddings(DIMENSION, similarity).index(index);
    // So that histories have it both ways.
    #[cfg(feature = "usearch")]
    let options = CollectionOptions { behind_from: 10, ..options };
    options
}

fn passages(batch: &[New]) -> Vec<Passage> {
    let passage = |new: &New| {
        let mut passage = Passage::new(new.text.clone()).metadata(new.metadata.clone()).embedding(numbers(new.values));
        passage.id = new.id.map(|id| name(id).into());
        passage.title.clone_from(&new.title);
        passage
    };
    batch.iter().map(passage).collect()
}

/// Writes a batch to both, and compares what is said of it.
fn put(collection: &Collection, model: &mut Model, batch: &[New], replace: bool) {
    let given: Vec<Option<String>> = batch.iter().map(|new| new.id.map(name)).collect();
    let repeats = |at: usize| given[at].is_some() && given[at + 1..].contains(&given[at]);
    let clashes =
        (0..batch.len()).any(|at| repeats(at) || given[at].as_ref().is_some_and(|id| model.kept.contains_key(id)));
    if !replace && clashes {
        let error = refused(collection.add(passages(batch)));
        assert_eq!(error.kind(), ErrorKind::Misuse);
        return;
    }
    let outcome = if replace { collection.upsert(passages(batch)) } else { collection.add(passages(batch)) };
    let written = outcome.unwrap();
    assert_eq!(written.ids.len(), batch.len());
    let (mut added, mut updated) = (0, 0);
    for (at, new) in batch.iter().enumerate() {
        let id = written.ids[at].as_str();
        match &given[at] {
            Some(given) => assert_eq!(id, given),
            None => {
                assert!(id.starts_with("row-"), "{id}");
                assert!(!model.kept.contains_key(id), "{id} was taken");
                assert!(!given.contains(&Some(id.to_owned())), "{id} is taken by the same batch");
            }
        }
        if repeats(at) || model.put(id, new) {
            updated += 1;
        } else {
            added += 1;
        }
    }
    assert_eq!((written.added, written.updated), (added, updated));
}

fn same(collection: &Collection, model: &Model) {
    assert_eq!(collection.len(), model.kept.len() as u64);
    let mut expected: Vec<_> = model.kept.iter().collect();
    expected.sort_by_key(|(_, kept)| kept.order);
    let mut found = collection.iter().unwrap();
    for (id, kept) in expected {
        let passage = found.next().unwrap().unwrap();
        assert_eq!(passage.id.unwrap().as_str(), id);
        assert_eq!((&passage.title, &passage.text), (&kept.title, &kept.text));
        assert_eq!(serde_json::to_string(&passage.metadata).unwrap(), kept.metadata);
        let stored: Vec<f32> = kept.stored.iter().map(|value| value.to_f32()).collect();
        assert_eq!(collection.embedding(id).unwrap().unwrap().into_vec(), stored);
    }
    assert!(found.next().is_none());
}

fn ask(collection: &Collection, model: &Model, query: [i8; DIMENSION], top: usize, exact: bool) {
    let hits = collection.query_embedding(numbers(query)).top(top).exact(exact).run().unwrap();
    let truth = model.ranked(query);
    assert_eq!(hits.len(), top.min(truth.len()), "k hits, if there are k");
    let scores: BTreeMap<&str, f32> = truth.iter().map(|(id, score)| (id.as_str(), *score)).collect();
    for hit in &hits {
        let kept = &model.kept[hit.id.as_str()];
        assert_eq!((&hit.title, &hit.text), (&kept.title, &kept.text));
        assert_eq!(serde_json::to_string(&hit.metadata).unwrap(), kept.metadata);
        assert_eq!(hit.score.to_bits(), scores[hit.id.as_str()].to_bits());
        let true_score = model.true_score(query, hit.id.as_str());
        assert!((f64::from(hit.score) - true_score).abs() < 1e-3, "{} is not {true_score}", hit.score);
    }
    let found: Vec<(String, f32)> = hits.into_iter().map(|hit| (hit.id.to_string(), hit.score)).collect();
    let ranks = |id: &str| model.kept[id].order;
    let sorted = found.windows(2).all(|w| w[0].1 > w[1].1 || w[0].1 == w[1].1 && ranks(&w[0].0) < ranks(&w[1].0));
    assert!(sorted, "best first, ties by row: {found:?}");
    if exact || collection.stats().index == Index::Exact {
        assert_eq!(found, truth[..found.len()]);
    }
}

fn open(path: &Path, index: Index, similarity: Similarity) -> Collection {
    options(index, similarity).open_or_create(path).unwrap()
}

fn run(steps: &[Step], index: Index, similarity: Similarity) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("c");
    let mut collection = Some(open(&path, index, similarity));
    let mut model = Model { kept: BTreeMap::new(), rows: 0, similarity };
    for step in steps {
        let current = collection.as_ref().unwrap();
        match step {
            Step::Add(batch) => put(current, &mut model, batch, false),
            Step::Upsert(batch) => put(current, &mut model, batch, true),
            Step::Delete(some) => {
                let some: Vec<String> = some.iter().copied().map(name).collect();
                let there = some.iter().filter(|id| model.kept.remove(*id).is_some()).count();
                assert_eq!(current.delete(&some).unwrap(), there as u64);
            }
            Step::Get(id) => {
                let found = current.get(name(*id)).unwrap().map(|passage| passage.text);
                assert_eq!(found, model.kept.get(&name(*id)).map(|kept| kept.text.clone()));
                assert_eq!(current.contains(name(*id)).unwrap(), model.kept.contains_key(&name(*id)));
            }
            Step::Query(query, top) => {
                ask(current, &model, *query, *top, false);
                ask(current, &model, *query, *top, true);
            }
            Step::Reopen => {
                drop(collection.take());
                same(collection.insert(open(&path, index, similarity)), &model);
            }
            Step::Flush => current.flush().unwrap(),
        }
    }
    same(collection.as_ref().unwrap(), &model);
    drop(collection.take());
    let collection = open(&path, index, similarity);
    same(&collection, &model);
    ask(&collection, &model, [1, 2, -1, 1], 1000, false);
}

/// Histories of each kind of index: `MARCATO_SEQUENCES` if it is set.
fn sequences() -> u32 {
    std::env::var("MARCATO_SEQUENCES").map_or(1000, |count| count.parse().expect("MARCATO_SEQUENCES is a number"))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(sequences()) })]

    #[test]
    fn an_exact_collection_is_what_its_history_says(
        steps in prop::collection::vec(step(), 20..40), dot: bool,
    ) {
        run(&steps, Index::Exact, if dot { Similarity::Dot } else { Similarity::Cosine });
    }

    #[cfg(feature = "usearch")]
    #[test]
    fn an_approximate_collection_is_what_its_history_says(
        steps in prop::collection::vec(step(), 20..40), dot: bool,
    ) {
        run(&steps, Index::Hnsw, if dot { Similarity::Dot } else { Similarity::Cosine });
    }
}
